package paper

// The parts that forms are made of.

// Title is the form's name, and is in the document's outline.
func (s *Sheet) Title(t string) {
	s.pdf.Bookmark(s.Text(t), 0, -1)
	for _, line := range s.wrap(t, Width, "B", 14) {
		s.pdf.CellFormat(Width, 6.5, line, "", 1, "L", false, 0, "")
	}
}

// Heading begins a part of the form. It keeps so many millimeters with it on its page.
func (s *Sheet) Heading(t string, with float64) {
	s.room(7 + with)
	s.Gap(1.5)
	s.pdf.Bookmark(s.Text(t), 1, -1)
	for _, line := range s.wrap(t, Width, "B", 10) {
		s.pdf.CellFormat(Width, 5, line, "", 1, "L", false, 0, "")
	}
	s.Gap(0.5)
}

// Paragraph is running text.
func (s *Sheet) Paragraph(t string) { s.lines(t, "", 9, 4.1) }

// Small is running text of less weight.
func (s *Sheet) Small(t string) { s.lines(t, "", 7.5, 3.4) }

// Strong is running text in bold.
func (s *Sheet) Strong(t string) { s.lines(t, "B", 9, 4.1) }

func (s *Sheet) lines(t, style string, size, height float64) {
	for _, line := range s.wrap(t, Width, style, size) {
		if s.room(height) {
			s.font(style, size)
		}
		s.pdf.CellFormat(Width, height, line, "", 1, "L", false, 0, "")
	}
}

// Field is a box with a word of what is in it.
type Field struct {
	Label, Value string
	Share        float64 // of the width of its row, beside the others'
}

// Fields is a row of boxes, as high as its fullest. An empty one is to be filled in by hand.
func (s *Sheet) Fields(row ...Field) { s.FieldsOf(0, row...) }

// FieldsOf is Fields with at least some millimeters of height.
func (s *Sheet) FieldsOf(least float64, row ...Field) {
	all := 0.0
	for i := range row {
		if row[i].Share == 0 {
			row[i].Share = 1
		}
		all += row[i].Share
	}
	const line, label = 3.9, 3.0
	height := max(least, label+line+0.8)
	labels, values := make([][]string, len(row)), make([][]string, len(row))
	for i, f := range row {
		w := Width * f.Share / all
		labels[i], values[i] = s.wrap(f.Label, w-1.6, "", 6.5), s.wrap(f.Value, w-1.6, "", 9)
		height = max(height, label*float64(len(labels[i]))+line*float64(len(values[i]))+0.8)
	}
	s.room(height)
	x, y := margin, s.pdf.GetY()
	for i, f := range row {
		w := Width * f.Share / all
		s.pdf.Rect(x, y, w, height, "D")
		s.font("", 6.5)
		s.pdf.SetXY(x+0.8, y+0.3)
		for _, l := range labels[i] {
			s.pdf.CellFormat(w-1.6, label-0.2, l, "", 2, "L", false, 0, "")
		}
		s.font("", 9)
		for _, v := range values[i] {
			s.pdf.CellFormat(w-1.6, line, v, "", 2, "L", false, 0, "")
		}
		x += w
	}
	s.pdf.SetXY(margin, y+height)
}

// Column is a column of a table.
type Column struct {
	Title string
	Share float64 // of the width
	Right bool
}

// Table is rows under heads, which stand again on every page. A row stays on one page.
func (s *Sheet) Table(columns []Column, rows [][]string) { s.table(columns, rows, 7.6, 3.5) }

// Dense is Table with small letters.
func (s *Sheet) Dense(columns []Column, rows [][]string) { s.table(columns, rows, 6.3, 2.6) }

func (s *Sheet) table(columns []Column, rows [][]string, size, line float64) {
	all := 0.0
	for _, c := range columns {
		all += c.Share
	}
	draw := func(cells []string, style string, fill bool) {
		wrapped, height := make([][]string, len(cells)), 0.0
		for i, c := range cells {
			wrapped[i] = s.wrap(c, Width*columns[i].Share/all-1.4, style, size)
			height = max(height, float64(len(wrapped[i]))*line+1)
		}
		s.row(columns, all, wrapped, height, line, fill)
	}
	heads := make([]string, len(columns))
	for i, c := range columns {
		heads[i] = c.Title
	}
	height := func(cells []string) float64 {
		h := 0.0
		for i, c := range cells {
			h = max(h, float64(len(s.wrap(c, Width*columns[i].Share/all-1.4, "", size)))*line+1)
		}
		return h
	}
	first := true
	for _, r := range rows {
		need := height(r)
		if first {
			need += height(heads)
		}
		if s.room(need) || first {
			s.font("B", size)
			draw(heads, "B", true)
			first = false
		}
		s.font("", size)
		draw(r, "", false)
	}
}

func (s *Sheet) row(columns []Column, all float64, wrapped [][]string, height, line float64, fill bool) {
	x, y := margin, s.pdf.GetY()
	s.pdf.SetFillColor(232, 236, 240)
	for i := range wrapped {
		w, style := Width*columns[i].Share/all, "D"
		if fill {
			style = "FD"
		}
		s.pdf.Rect(x, y, w, height, style)
		s.pdf.SetXY(x+0.7, y+0.5)
		align := "L"
		if columns[i].Right {
			align = "R"
		}
		for _, t := range wrapped[i] {
			s.pdf.CellFormat(w-1.4, line, t, "", 2, align, false, 0, "")
		}
		x += w
	}
	s.pdf.SetXY(margin, y+height)
}

// Sign is lines for people to write on.
func (s *Sheet) Sign(labels ...string) {
	w := Width / float64(len(labels))
	below, most := make([][]string, len(labels)), 0
	for i, l := range labels {
		below[i] = s.wrap(l, w-3, "", 6.5)
		most = max(most, len(below[i]))
	}
	s.room(8 + 2.7*float64(most))
	y := s.pdf.GetY() + 7
	s.font("", 6.5)
	for i := range labels {
		x := margin + float64(i)*w
		s.pdf.Line(x, y, x+w-3, y)
		s.pdf.SetXY(x, y+0.4)
		for _, l := range below[i] {
			s.pdf.CellFormat(w-3, 2.7, l, "", 2, "L", false, 0, "")
		}
	}
	s.pdf.SetXY(margin, y+0.6+2.7*float64(most))
}

// Tick is a box with a word, ticked or not.
func Tick(on bool, word string) string {
	if on {
		return "☒\u00a0" + word
	}
	return "☐\u00a0" + word
}
