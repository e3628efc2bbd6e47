package paper_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/registry/forms/paper"
	"github.com/coldkeep/coldkeep/registry/forms/paper/papertest"
)

var noon = time.Date(2026, 3, 2, 18, 0, 0, 0, time.UTC)

func print(t *testing.T, draw func(*paper.Sheet)) (string, int) {
	t.Helper()
	s := paper.New(paper.Document{Title: "A form", At: noon, Head: "Whom it is about", Foot: "Printed on a day"})
	draw(s)
	b, pages, err := s.PDF()
	if err != nil {
		t.Fatal(err)
	}
	return papertest.Text(t, b), pages
}

func TestNamesOfManyAlphabets(t *testing.T) {
	names := []string{"Nguyễn Thị Ánh", "Łukasz Żółć", "Αλέξανδρος Παπαδόπουλος", "Олександра Шевченко", "Աննա Գրիգորյան", "Müller-Lüdenscheidt", "Þórður Ægisson"}
	text, _ := print(t, func(s *paper.Sheet) {
		for _, n := range names {
			s.Paragraph(n)
		}
		s.Paragraph("e\u0301cole") // decomposed
		s.Paragraph("דוד כהן")
	})
	for _, n := range append(names, "école") {
		if !strings.Contains(text, n) {
			t.Errorf("%q is not in the text", n)
		}
	}
	if !strings.Contains(text, "דוד כהן") && !strings.Contains(text, "ןהכ דוד") {
		t.Errorf("the Hebrew name is not in the text: %s", text)
	}
	if strings.Contains(text, "□") {
		t.Errorf("a letter is missing: %s", text)
	}
}

func TestLettersThatCannotBePrintedAreSaidToBe(t *testing.T) {
	for _, name := range []string{"王小明", "محمد", "अनिल", "𐌰𐌱", "👶"} {
		text, _ := print(t, func(s *paper.Sheet) { s.Paragraph("Name: " + name + " Smith") })
		if !strings.Contains(text, "□") || !strings.Contains(text, "cannot show") || !strings.Contains(text, "Smith") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestLongTextsAreWrappedAndTablesGoOnOnTheNextPage(t *testing.T) {
	long := strings.Repeat("Abcdefghij", 30)
	var rows [][]string
	for range 120 {
		rows = append(rows, []string{"row", "value"})
	}
	text, pages := print(t, func(s *paper.Sheet) {
		s.Fields(paper.Field{Label: "Name", Value: long}, paper.Field{Label: "Empty"})
		s.Table([]paper.Column{{Title: "First head", Share: 1}, {Title: "Second head", Share: 1}}, rows)
	})
	if pages < 3 || strings.Count(text, "First head") != pages {
		t.Errorf("%d pages with %d heads", pages, strings.Count(text, "First head"))
	}
	if got := strings.Count(strings.Join(strings.Fields(text), ""), "Abcdefghij"); got < 25 {
		t.Errorf("%d of 30 parts of the long name", got)
	}
	if !strings.Contains(text, "Page 2 of "+string(rune('0'+pages))) || strings.Count(text, "Whom it is about") != pages-1 {
		t.Errorf("the pages are not counted: %s", text[:400])
	}
}

func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	make := func() []byte {
		s := paper.New(paper.Document{Title: "A form", At: noon})
		s.Title("A form")
		s.Table([]paper.Column{{Title: "H", Share: 1}}, [][]string{{"żółć"}})
		b, _, err := s.PDF()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Equal(make(), make()) {
		t.Error("two prints differ")
	}
}

func FuzzText(f *testing.F) {
	f.Add("Ada \x00 \xff שלום \u202e x")
	s := paper.New(paper.Document{Title: "x", At: noon})
	f.Fuzz(func(t *testing.T, name string) {
		s.Text(name)
		p := paper.New(paper.Document{Title: name, At: noon, Head: name, Foot: name})
		p.Title(name)
		p.Fields(paper.Field{Label: name, Value: name})
		if _, _, err := p.PDF(); err != nil {
			t.Fatal(err)
		}
	})
}
