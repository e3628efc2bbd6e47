package paper

// Cell is one cell of a Grid.
type Cell struct {
	Top    string    // a line above, such as the ticks of a type
	Parts  [3]string // month, day, year
	Bottom string    // a line below, such as the name of another vaccine
}

// GridRow is a row of a Grid.
type GridRow struct {
	Label  string
	Note   string // below the label, small
	Band   string // a line across the table above this row; "" none
	Cells  []Cell
	Ticked bool // the row's cells have a line of ticks above, also when they are empty
}

// Grid is a table of dates: a label and so many columns, each parted in month, day and
// year. columns name the columns.
func (s *Sheet) Grid(label string, columns []string, rows []GridRow) {
	const left, head = 42.0, 8.0
	w := (Width - left) / float64(len(columns))
	y := s.pdf.GetY()
	s.pdf.SetFillColor(232, 236, 240)
	s.pdf.Rect(margin, y, left, head, "FD")
	s.font("B", 8)
	s.pdf.SetXY(margin+0.8, y+2)
	s.pdf.CellFormat(left-1.6, 4, s.Text(label), "", 0, "L", false, 0, "")
	for i, c := range columns {
		x := margin + left + float64(i)*w
		s.pdf.Rect(x, y, w, head, "FD")
		s.font("B", 8)
		s.pdf.SetXY(x, y+0.5)
		s.pdf.CellFormat(w, 3.8, s.Text(c), "", 0, "C", false, 0, "")
		s.font("", 6)
		for k, part := range []string{"MO", "DA", "YR"} {
			s.pdf.SetXY(x+float64(k)*w/3, y+4.4)
			s.pdf.CellFormat(w/3, 3, part, "", 0, "C", false, 0, "")
		}
	}
	s.pdf.SetXY(margin, y+head)
	for i := range rows {
		s.gridRow(&rows[i], left, w, len(columns))
	}
}

func (s *Sheet) gridRow(r *GridRow, left, w float64, columns int) {
	if r.Band != "" {
		y := s.pdf.GetY()
		s.pdf.SetFillColor(232, 236, 240)
		s.pdf.Rect(margin, y, Width, 4, "FD")
		s.font("B", 7)
		s.pdf.SetXY(margin+0.8, y+0.3)
		s.pdf.CellFormat(Width-1.6, 3.4, s.Text(r.Band), "", 0, "L", false, 0, "")
		s.pdf.SetXY(margin, y+4)
	}
	label, note := s.wrap(r.Label, left-1.6, "B", 7.5), []string(nil)
	if r.Note != "" {
		note = s.wrap(r.Note, left-1.6, "", 6)
	}
	height := max(6.3, 3.3*float64(len(label))+2.5*float64(len(note))+1)
	bottoms := make([][]string, len(r.Cells))
	for i, c := range r.Cells {
		if c.Bottom != "" {
			bottoms[i] = s.wrap(c.Bottom, w-1, "", 6)
		}
		need := 4.2 + 2.5*float64(len(bottoms[i]))
		if c.Top != "" || r.Ticked {
			need += 3.2
		}
		height = max(height, need+0.6)
	}
	if r.Ticked {
		height = max(height, 8)
	}
	y := s.pdf.GetY()
	s.pdf.Rect(margin, y, left, height, "D")
	s.pdf.SetXY(margin+0.8, y+0.6)
	s.font("B", 7.5)
	for _, l := range label {
		s.pdf.CellFormat(left-1.6, 3.3, l, "", 2, "L", false, 0, "")
	}
	s.font("", 6)
	for _, l := range note {
		s.pdf.CellFormat(left-1.6, 2.5, l, "", 2, "L", false, 0, "")
	}
	for i := range columns {
		x := margin + left + float64(i)*w
		s.pdf.Rect(x, y, w, height, "D")
		if i >= len(r.Cells) {
			continue
		}
		c, at := r.Cells[i], y+0.5
		if c.Top != "" || r.Ticked {
			s.font("", 6.2)
			s.pdf.SetXY(x, at)
			s.pdf.CellFormat(w, 3, s.Text(c.Top), "", 0, "C", false, 0, "")
			at += 3.2
		}
		s.font("", 8)
		for k, part := range c.Parts {
			s.pdf.SetXY(x+float64(k)*w/3, at)
			s.pdf.CellFormat(w/3, 4, part, "", 0, "C", false, 0, "")
		}
		if at += 4; len(bottoms[i]) > 0 {
			s.font("", 6)
			s.pdf.SetXY(x+0.5, at)
			for _, l := range bottoms[i] {
				s.pdf.CellFormat(w-1, 2.5, l, "", 2, "C", false, 0, "")
			}
		}
	}
	s.pdf.SetXY(margin, y+height)
}
