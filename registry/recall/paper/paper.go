// Package paper prints notices: letters for window envelopes, postcards and address labels
// as PDF, on US Letter sheets, and the rows of a mail merge as CSV.
package paper

import (
	"bytes"
	"encoding/csv"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/typeface"
)

// Sizes in millimetres.
const (
	inch               = 25.4
	pageWide, pageHigh = 8.5 * inch, 11 * inch
)

func begin(title string, wide, high float64) *fpdf.Fpdf {
	f := fpdf.NewCustom(&fpdf.InitType{UnitStr: "mm", Size: fpdf.SizeType{Wd: wide, Ht: high}})
	typeface.Add(f)
	f.SetTitle(title, true)
	f.SetCreator("Coldkeep", true)
	f.SetAutoPageBreak(false, 0)
	f.SetMargins(0, 0, 0)
	f.SetCellMargin(0)
	return f
}

func finish(f *fpdf.Fpdf) ([]byte, error) {
	var b bytes.Buffer
	err := f.Output(&b)
	return b.Bytes(), coldkeep.Wrap(err, coldkeep.EINTERNAL, "paper", "the PDF cannot be made")
}

// lines writes lines of a size, each cut to a width, from a place down.
func lines(f *fpdf.Fpdf, x, y, wide, size, high float64, style string, all []string) {
	f.SetFont(typeface.Family, style, size)
	for i, s := range all {
		f.SetXY(x, y+float64(i)*high)
		f.CellFormat(wide, high, fit(f, s, wide), "", 0, "L", false, 0, "")
	}
}

// fit cuts a line that is too long.
func fit(f *fpdf.Fpdf, s string, wide float64) string {
	if f.GetStringWidth(s) <= wide {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && f.GetStringWidth(string(r)+"…") > wide {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}

// address is whom post goes to, in three or four lines.
func address(sh *recall.Sheet) []string {
	out := []string{sh.To}
	a := sh.Address
	if a == nil {
		return out
	}
	out = append(out, a.Street)
	if a.Street2 != "" {
		out = append(out, a.Street2)
	}
	return append(out, strings.TrimSpace(a.City+", "+a.State+" "+a.ZIP))
}

func from(s *recall.Settings) []string {
	return []string{s.Name, s.Street, s.City + ", " + s.State + " " + s.ZIP}
}

// Letters gives one letter a page, folded in three for a number 10 envelope with a window: 4½ by
// 1⅛ inches, ⅞ from the left and ½ from the bottom. Nothing but the address is in the
// window, wherever the sheet slides. A text that is longer than a page goes on over it.
func Letters(m *recall.Material) ([]byte, error) {
	f := begin("Letters", pageWide, pageHigh)
	const left, wide, foot = inch, pageWide - 2*inch, pageHigh - 18
	for i := range m.Sheets {
		sh := &m.Sheets[i]
		subject, body := m.TextFor(sh)
		f.AddPage()
		lines(f, left, 14, wide, 11, 5.2, "B", []string{m.Settings.Name})
		lines(f, left, 19.4, wide, 9, 4.4, "", append(from(&m.Settings)[1:], m.Settings.Phone))
		// The window shows 63 to 92 mm of a sheet that stands on the envelope's edge, and up to
		// 11 mm less of one that does not.
		lines(f, left, 61, 100, 11, 4.9, "", address(sh))
		f.SetDrawColor(170, 170, 170)
		for _, fold := range []float64{pageHigh / 3, 2 * pageHigh / 3} {
			f.Line(3, fold, 7, fold)
		}
		f.SetFont(typeface.Family, "", 10.5)
		f.SetXY(left, 101)
		f.CellFormat(wide, 5, recall.Day(m.Today, sh.Language), "", 0, "R", false, 0, "")
		if subject != "" {
			f.SetFont(typeface.Family, "B", 11.5)
			f.SetXY(left, 108)
			f.MultiCell(wide, 5.6, subject, "", "L", false)
		}
		f.SetFont(typeface.Family, "", 10.5)
		y := 117.0
		for paragraph := range strings.SplitSeq(body, "\n") {
			for _, line := range split(f, paragraph, wide) {
				if y > foot {
					f.AddPage()
					f.SetFont(typeface.Family, "", 10.5)
					y = inch
				}
				f.SetXY(left, y)
				f.CellFormat(wide, 5.2, line, "", 0, "L", false, 0, "")
				y += 5.2
			}
		}
	}
	return finish(f)
}

// split breaks a paragraph into lines; an empty one is a blank line.
func split(f *fpdf.Fpdf, paragraph string, wide float64) []string {
	if strings.TrimSpace(paragraph) == "" {
		return []string{""}
	}
	return f.SplitText(paragraph, wide)
}

// Postcards gives four cards of 5½ by 4¼ inches on a sheet that lies on its side, with the
// message on the left and the address on the right: what the post carries is all there is.
func Postcards(m *recall.Material) ([]byte, error) {
	f := begin("Postcards", pageHigh, pageWide)
	const wide, high = pageHigh / 2, pageWide / 2
	for i := range m.Sheets {
		if i%4 == 0 {
			f.AddPage()
			f.SetDrawColor(200, 200, 200)
			f.SetDashPattern([]float64{1.5, 2}, 0)
			f.Line(wide, 0, wide, pageWide)
			f.Line(0, high, pageHigh, high)
			f.SetDashPattern(nil, 0)
		}
		card(f, m, &m.Sheets[i], float64(i%2)*wide, float64(i%4/2)*high, wide, high)
	}
	return finish(f)
}

func card(f *fpdf.Fpdf, m *recall.Material, sh *recall.Sheet, x, y, wide, high float64) {
	_, body := m.TextFor(sh)
	half := wide/2 - 3
	lines(f, x+6, y+6, half-4, 8, 3.6, "B", from(&m.Settings)[:1])
	lines(f, x+6, y+10, half-4, 7.5, 3.6, "", from(&m.Settings)[1:])
	f.SetFont(typeface.Family, "", 9.5)
	at := y + 34.0
	for paragraph := range strings.SplitSeq(body, "\n") {
		for _, line := range split(f, paragraph, half-11) {
			if at > y+high-8 {
				break
			}
			f.SetXY(x+6, at)
			f.CellFormat(half-11, 4.8, line, "", 0, "L", false, 0, "")
			at += 4.8
		}
	}
	f.SetDrawColor(190, 190, 190)
	f.Line(x+half, y+8, x+half, y+high-8)
	f.Rect(x+wide-24, y+6, 18, 21, "D") // the stamp
	lines(f, x+half+6, y+high*0.52, wide-half-12, 9.5, 4.8, "", address(sh))
}

// Stock is a common sheet of labels.
type Stock struct {
	Name, Title                     string
	Columns, Rows                   int
	Wide, High, Left, Top, StepWide float64 // mm
}

// Stocks are those that labels can be printed on, by the numbers under which they are sold.
func Stocks() []Stock {
	return []Stock{
		{"5160", "5160: 30 a sheet, 2⅝ × 1 in", 3, 10, 2.625 * inch, inch, 0.1875 * inch, 0.5 * inch, 2.75 * inch},
		{"5161", "5161: 20 a sheet, 4 × 1 in", 2, 10, 4 * inch, inch, 0.15625 * inch, 0.5 * inch, 4.1875 * inch},
		{"5163", "5163: 10 a sheet, 4 × 2 in", 2, 5, 4 * inch, 2 * inch, 0.15625 * inch, 0.5 * inch, 4.1875 * inch},
	}
}

// Labels gives an address label for each sheet. skip is how many labels of the first sheet
// are used up already. EINVALID for another stock, or when nothing would be left of the sheet.
func Labels(m *recall.Material, stock string, skip int) ([]byte, error) {
	var of *Stock
	for _, s := range Stocks() {
		if s.Name == stock {
			of = &s
		}
	}
	if of == nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "Labels %q: there is no such sheet.", stock)
	}
	each := of.Columns * of.Rows
	if skip < 0 || skip >= each {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "Labels used already: want 0 to %d.", each-1)
	}
	f := begin("Labels", pageWide, pageHigh)
	for i := range m.Sheets {
		at := i + skip
		if i == 0 || at%each == 0 {
			f.AddPage()
		}
		at %= each
		x, y := of.Left+float64(at%of.Columns)*of.StepWide, of.Top+float64(at/of.Columns)*of.High
		all := address(&m.Sheets[i])
		const line = 4.4
		lines(f, x+4, y+(of.High-line*float64(len(all)))/2, of.Wide-8, 9, line, "", all)
	}
	return finish(f)
}

// Merge gives the rows of a mail merge: what a letter has, for a text of one's own.
func Merge(m *recall.Material) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{"to", "street", "street2", "city", "state", "zip", "language", "names", "vaccines", "clinic", "phone", "date"}}
	for i := range m.Sheets {
		sh := &m.Sheets[i]
		a := sh.Address
		if a == nil {
			a = &patient.Address{}
		}
		row := []string{sh.To, a.Street, a.Street2, a.City, a.State, a.ZIP, sh.Language, strings.Join(sh.Names, "; "), strings.Join(sh.Groups, "; "), m.Settings.Name, m.Settings.Phone, m.Today.Midnight(time.UTC).Format(time.DateOnly)}
		for k := range row {
			row[k] = harmless(row[k])
		}
		rows = append(rows, row)
	}
	err := w.WriteAll(rows)
	return b.Bytes(), coldkeep.Wrap(err, coldkeep.EINTERNAL, "paper.Merge", "the file cannot be made")
}

// harmless keeps a spreadsheet from taking a value for a formula.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
