// Package paper lays a form out on paper: a PDF of US Letter pages with selectable text, a
// typeface that has the letters of most alphabets, tables that break between rows, and a
// foot on every page that counts them. It knows nothing of what is printed.
package paper

import (
	"bytes"
	"strings"
	"sync"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/typeface"
)

// Of a Letter page, in millimeters.
const (
	pageWidth  = 215.9
	pageHeight = 279.4
	margin     = 12.0
	// Width is what a form has from side to side.
	Width = pageWidth - 2*margin
	// foot is what is kept free below for the lines of the foot.
	foot = 14.0
)

// Document is what a paper is besides its content.
type Document struct {
	Title string
	At    time.Time // of printing; it is the document's date, so that the same input gives the same bytes
	// Head is at the top of every page but the first, such as whom the paper is about, and
	// Foot below every page, before the page's number.
	Head, Foot string
}

// Sheet is a paper in the making. Its methods go down the page and begin a new one when
// there is no room.
type Sheet struct {
	pdf *fpdf.Fpdf
	doc Document
	// unprintable is that a text had letters the typeface has not, or of a writing that has to
	// be joined or stacked, which is not done here.
	unprintable bool
}

// New begins a paper with its first page.
func New(d Document) *Sheet {
	p := fpdf.NewCustom(&fpdf.InitType{OrientationStr: "P", UnitStr: "mm", SizeStr: "Letter"})
	s := &Sheet{pdf: p, doc: d}
	p.SetCatalogSort(true)
	p.SetCreationDate(d.At.UTC())
	p.SetModificationDate(d.At.UTC())
	p.SetProducer("Coldkeep", true)
	p.SetTitle(d.Title, true)
	p.SetLang("en-US")
	p.SetMargins(margin, margin, margin)
	p.SetAutoPageBreak(false, 0)
	p.AliasNbPages("{nb}")
	typeface.Add(p)
	p.SetDrawColor(90, 90, 90)
	p.SetLineWidth(0.2)
	p.SetHeaderFuncMode(func() {
		if p.PageNo() > 1 && d.Head != "" {
			s.font("", 8)
			p.SetY(margin - 5)
			p.CellFormat(Width, 4, s.Text(d.Head), "", 1, "L", false, 0, "")
		}
		p.SetY(margin)
	}, false)
	p.SetFooterFunc(func() {
		s.font("", 7)
		p.SetXY(margin, pageHeight-foot+2)
		p.Line(margin, pageHeight-foot+1.5, pageWidth-margin, pageHeight-foot+1.5)
		lines := s.wrap(d.Foot, Width-26, "", 7)
		for _, line := range lines {
			p.CellFormat(Width-26, 3.1, line, "", 2, "L", false, 0, "")
		}
		p.SetXY(pageWidth-margin-26, pageHeight-foot+2)
		p.CellFormat(26, 3.1, "Page "+itoa(p.PageNo())+" of {nb}", "", 0, "R", false, 0, "")
	})
	p.AddPage()
	return s
}

// PDF gives the paper's bytes and the number of its pages. EINTERNAL when the library
// cannot write it.
func (s *Sheet) PDF() (content []byte, pages int, err error) {
	if s.unprintable {
		s.Small("□ stands for a letter that this print cannot show. The printed page of the registry's screens shows it.")
	}
	var b bytes.Buffer
	if err := s.pdf.Output(&b); err != nil {
		return nil, 0, coldkeep.Wrap(err, coldkeep.EINTERNAL, "paper.PDF", "%s", s.doc.Title)
	}
	return b.Bytes(), s.pdf.PageNo(), nil
}

func (s *Sheet) font(style string, size float64) { s.pdf.SetFont(typeface.Family, style, size) }

// face reads which letters the typeface has.
var face = sync.OnceValue(func() *sfnt.Font {
	f, err := sfnt.Parse(typeface.Regular)
	if err != nil {
		panic("the typeface of printed forms cannot be read: " + err.Error())
	}
	return f
})

// joined are writings whose letters change by their neighbours: Arabic and its kin, and
// those of South and Southeast Asia. Printed letter by letter they would be wrong.
func joined(r rune) bool {
	return r >= 0x0600 && r <= 0x08FF || r >= 0x0900 && r <= 0x0DFF || r >= 0x0F00 && r <= 0x109F || r >= 0x1780 && r <= 0x17FF || r >= 0xFB50 && r <= 0xFEFC
}

// Text is a text as it can be drawn: letters in their composed form, from right to left
// where they are so, and a box for each that the typeface has not.
func (s *Sheet) Text(t string) string {
	plain := true
	for i := 0; i < len(t); i++ {
		plain = plain && t[i] >= ' ' && t[i] < 0x7f
	}
	if plain {
		return t
	}
	var buf sfnt.Buffer
	f := face()
	t = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r == 0x7f:
			return -1
		}
		if i, err := f.GlyphIndex(&buf, r); err == nil && i != 0 && r <= 0xffff && !joined(r) {
			return r
		}
		s.unprintable = true
		return '□'
	}, norm.NFC.String(t))
	var p bidi.Paragraph
	if _, err := p.SetString(t); err != nil {
		return t
	}
	o, err := p.Order()
	if err != nil || o.NumRuns() == 0 {
		return t
	}
	var b strings.Builder
	rightToLeft := false
	for i := range o.NumRuns() {
		run := o.Run(i)
		if run.Direction() == bidi.RightToLeft {
			rightToLeft = true
			b.WriteString(bidi.ReverseString(run.String()))
			continue
		}
		b.WriteString(run.String())
	}
	if !rightToLeft {
		return t
	}
	return b.String()
}

// wrap breaks a text into lines of a width, in the font that it sets. A word that is too
// long for a line is broken.
func (s *Sheet) wrap(t string, width float64, style string, size float64) []string {
	s.font(style, size)
	var out []string
	for part := range strings.SplitSeq(t, "\n") {
		line := ""
		for word := range strings.FieldsFuncSeq(s.Text(part), func(r rune) bool { return r == ' ' }) {
			next := word
			if line != "" {
				next = line + " " + word
			}
			if s.pdf.GetStringWidth(next) <= width {
				line = next
				continue
			}
			if line != "" {
				out = append(out, line)
			}
			line = ""
			for _, r := range word {
				if line != "" && s.pdf.GetStringWidth(line+string(r)) > width {
					out = append(out, line)
					line = ""
				}
				line += string(r)
			}
		}
		out = append(out, line)
	}
	return out
}

// room begins a new page unless so much of this one is left. It reports whether it did.
func (s *Sheet) room(height float64) bool {
	if s.pdf.GetY()+height <= pageHeight-foot {
		return false
	}
	s.pdf.AddPage()
	return true
}

// NewPage goes on on a page of its own.
func (s *Sheet) NewPage() { s.pdf.AddPage() }

// Gap leaves some millimeters free.
func (s *Sheet) Gap(height float64) { s.pdf.SetY(s.pdf.GetY() + height) }

// Left is how much of the page is left, in millimeters.
func (s *Sheet) Left() float64 { return pageHeight - foot - s.pdf.GetY() }

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}
