package paper

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
)

func material(ch recall.Channel, n int) *recall.Material {
	m := &recall.Material{Settings: recall.Settings{Name: "Lakeside Family Clinic", Street: "1200 Harbor Street", City: "Waukegan", State: "IL", ZIP: "60085", Phone: "(224) 555-0100"}, Today: coldkeep.NewDate(2026, 3, 2)}
	for i := range n {
		sh := recall.Sheet{To: "Nora Brandt", Address: &patient.Address{Street: fmt.Sprintf("%d Harbor Street", 400+i), City: "Waukegan", State: "IL", ZIP: "60085"},
			Names: []string{"Mila Rose Brandt", "Jonas Brandt"}, Groups: []string{"MMR", "Varicella", "DTaP/Tdap/Td"}}
		sh.Channel, sh.Language = ch, "en"
		if i%2 == 1 {
			sh.To, sh.Address.Street2, sh.Language, sh.Names = "Nguyễn Thị Mai Peña-Łukasiewicz", "Apt 12 B", "es", []string{"Sofía Isabel García López"}
		}
		m.Sheets = append(m.Sheets, sh)
	}
	if ch == recall.Postcard {
		for i := range m.Sheets {
			m.Sheets[i].Names, m.Sheets[i].Groups = nil, nil
		}
	}
	return m
}

// text is what a PDF says, by pdftotext; "" where there is none on the machine.
func text(t *testing.T, pdf []byte) string {
	t.Helper()
	if !bytes.HasPrefix(pdf, []byte("%PDF-")) {
		t.Fatal("not a PDF")
	}
	dir := t.TempDir()
	if keep := os.Getenv("COLDKEEP_SCREENSHOTS"); keep != "" {
		dir = keep
	}
	path := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+".pdf")
	if err := os.WriteFile(path, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("pdftotext", "-layout", path, "-").Output()
	if err != nil {
		t.Logf("pdftotext: %v; the words are not looked at", err)
		return ""
	}
	return string(out)
}

func TestLetters(t *testing.T) {
	pdf, err := Letters(material(recall.Letter, 4))
	if err != nil {
		t.Fatal(err)
	}
	said := text(t, pdf)
	if said == "" {
		return
	}
	if n := strings.Count(said, "\f"); n != 4 {
		t.Errorf("%d pages", n)
	}
	for _, want := range []string{"Nora Brandt", "400 Harbor Street", "Mila Rose Brandt", "Jonas Brandt", "MMR, Varicella", "Nguyễn Thị Mai Peña-Łukasiewicz", "Apt 12 B", "Estimado/a", "varicela", "March 2, 2026", "2 de marzo de 2026"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in\n%s", want, said)
		}
	}
}

// A card tells whom it is for and that they are to call, and nothing else.
func TestPostcards(t *testing.T) {
	pdf, err := Postcards(material(recall.Postcard, 5))
	if err != nil {
		t.Fatal(err)
	}
	said := text(t, pdf)
	for _, not := range []string{"Mila", "Jonas", "MMR", "accin", "mmuniz"} {
		if strings.Contains(said, not) {
			t.Errorf("%q is on a postcard", not)
		}
	}
	if said != "" && (strings.Count(said, "Nora Brandt") != 3 || strings.Count(said, "\f") != 2) {
		t.Error(said)
	}
}

func TestLabels(t *testing.T) {
	for _, s := range Stocks() {
		t.Run(s.Name, func(t *testing.T) {
			pdf, err := Labels(material(recall.Letter, s.Columns*s.Rows), s.Name, 3)
			if err != nil {
				t.Fatal(err)
			}
			if said := text(t, pdf); said != "" && strings.Count(said, "\f") != 2 {
				t.Error(said)
			}
			if s.Left+float64(s.Columns-1)*s.StepWide+s.Wide > pageWide+0.1 || s.Top+float64(s.Rows)*s.High > pageHigh+0.1 {
				t.Error("the labels are beside the sheet")
			}
		})
	}
	if _, err := Labels(material(recall.Letter, 1), "9999", 0); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Error(err)
	}
	if _, err := Labels(material(recall.Letter, 1), "5160", 30); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Error(err)
	}
}

func TestMerge(t *testing.T) {
	m := material(recall.Letter, 2)
	m.Sheets[0].Address.Street = `=HYPERLINK("http://x")`
	b, err := Merge(m)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][0] != "Nora Brandt" || rows[1][1] != `'=HYPERLINK("http://x")` || rows[2][7] != "Sofía Isabel García López" {
		t.Errorf("%q, %v", rows, err)
	}
}
