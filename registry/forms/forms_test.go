package forms_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/forms"
	"github.com/coldkeep/coldkeep/registry/forms/paper/papertest"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

var update = flag.Bool("update", false, "write the golden texts anew")

// varying is what differs between two prints of the same record.
var varying = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}\b|\b[0-9A-HJKMNP-TV-Z]{26}\b`)

// golden compares the text of a print with what was found right before.
func golden(t *testing.T, name string, pdf []byte) string {
	t.Helper()
	papertest.Keep(t, name, pdf)
	text := papertest.Text(t, pdf)
	got := varying.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("#", len(s)) })
	var lines []string
	for line := range strings.Lines(got) {
		if l := strings.Join(strings.Fields(line), " "); l != "" {
			lines = append(lines, l)
		}
	}
	got = strings.Join(lines, "\n") + "\n"
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return got
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("%s, line %d:\n got %s\nwant %s", name, i+1, a[i], b[i])
			}
		}
		t.Fatalf("%s: %d lines, want %d", name, len(a), len(b))
	}
	return got
}

func has(t *testing.T, where, text string, words ...string) {
	t.Helper()
	flat := strings.Join(strings.Fields(text), " ")
	for _, w := range words {
		no := strings.HasPrefix(w, "!")
		if strings.Contains(flat, strings.TrimPrefix(w, "!")) == no {
			t.Errorf("%s: %q", where, w)
		}
	}
}

// sixthGrader has combination vaccines, a dose that does not count, months without a day,
// proof of immunity and an exemption.
func sixthGrader(w *world) string {
	id := w.child("2014-05-01")
	w.had(id, "110 2014-07-01 2014-09-01 2014-11-01", "48 2014-07-01 2014-09-01", "133 2014-07 2014-09-01", "20 2015-08-10", "130 2018-05-20", "94 2015-04-20 2018-06-01", "83 2015-06-01", "150 2015-10-01", "116 2014-07-01", "115 2025-08-01", "09 2025-08-30", "28 2015-02-01")
	_, err := w.doses.AddFact(w.ctx, nurse, immunization.Fact{Patient: id, Kind: immunization.Immunity, Code: "019", Basis: "titre, anti-HBs positive", From: coldkeep.NewDate(2024, 2, 3)})
	w.must(err)
	_, err = w.doses.AddFact(w.ctx, nurse, immunization.Fact{Patient: id, Kind: immunization.Immunity, Code: "024", Basis: "disease, Dr. Lund", From: coldkeep.NewDate(2017, 1, 9)})
	w.must(err)
	_, err = w.doses.AddExemption(w.ctx, nurse, immunization.Exemption{Patient: id, Kind: immunization.Religious, Groups: []string{"Meningococcal"}, From: coldkeep.NewDate(2026, 8, 1), Signer: "Gus Guardiana", Source: "Certificate of religious exemption"})
	w.must(err)
	return id
}

func TestCertificate(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	id := sixthGrader(w)
	b, err := w.CertificatePDF(w.ctx, nurse, id, "6")
	w.must(err)
	text := golden(t, "certificate", b)
	has(t, "certificate", text, "Okafor", "Ada", "Chidinma", "05/01/2014", "77 Hidden Lane", "Gus Guardiana", "☒ Tdap ☐ Td ☐ DT", "☐ Tdap ☒ Td ☐ DT", "☐ Tdap ☐ Td ☒ DT", "☒ IPV ☐ OPV", "2015*", "Hepatitis B 02/03/2024",
		"Varicella 01/09/2017", "Religious: Meningococcal, from 08/01/2026", "Other: Rotavirus", "not valid by the recommended schedule", "UNPROTECTED", "Page 2 of 2", "Yes ☐ No", "Physical examination")
}

func TestACombinationFillsItsRowsAndAMonthStaysAMonth(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	id := w.child("2014-05-01")
	w.had(id, "146 2014-07-01", "133 2014-07", "05 2015-06-01")
	p, err := w.Certificate(w.ctx, nurse, id, "")
	w.must(err)
	got := map[string]string{}
	for _, r := range p.Rows {
		for _, d := range r.Doses {
			parts := d.Parts()
			got[r.ID] += strings.Join(parts[:], "/") + d.Tick + " "
		}
	}
	want := map[string]string{"dtap": "07/01/2014 ", "polio": "07/01/2014IPV ", "hib": "07/01/2014 ", "hepb": "07/01/2014 ", "pcv": "07/–/2014 ", "mmr": "06/01/2015 "}
	for row, doses := range want {
		if got[row] != doses {
			t.Errorf("%s: %q, want %q", row, got[row], doses)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
	has(t, "comments", strings.Join(p.Comments, " "), "MMR row, 06/01/2015: measles alone.")
	if p.Status != nil {
		t.Error("a status without a grade")
	}
}

// More doses than the grid has room for go on to a sheet of their own, none is lost and none
// is told twice.
func TestOverflow(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	id := w.child("2011-05-01")
	for y := 2012; y <= 2025; y++ { // fourteen seasons
		w.had(id, "150 "+coldkeep.NewDate(y, 10, 1).String())
	}
	w.had(id, "20 2011-07-01 2011-09-01 2011-11-01 2012-09-01 2013-03-01 2014-03-01 2015-06-01", "116 2011-07-01 2011-09-01", "208 2021-08-01 2021-09-01", "37 2020-01-01", "24 2020-02-02")
	p, err := w.Certificate(w.ctx, nurse, id, "10")
	w.must(err)
	all, seen := 0, map[string]int{}
	for _, sheet := range p.Sheets() {
		for _, r := range sheet.Rows {
			if len(r.Doses) > forms.Columns {
				t.Errorf("%s has %d doses on a sheet", r.ID, len(r.Doses))
			}
			for _, d := range r.Doses {
				all++
				seen[r.Label+d.ID]++
			}
		}
	}
	if len(seen) != all || all != 14+7+2+2+1+1 {
		t.Errorf("%d doses in %d cells", len(seen), all)
	}
	b, err := w.CertificatePDF(w.ctx, nurse, id, "10")
	w.must(err)
	text := golden(t, "overflow", b)
	has(t, "overflow", text, "continuation sheet", "Continuation sheet 1", "Continuation sheet 3", "13", "Other: Yellow Fever")
}

func TestNamesOnTheCertificate(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	for _, n := range [][3]string{{"Шевченко-Коваленко", "Олександра", "Миколаївна"}, {"Nguyễn Thị", "Ánh Nguyệt", ""}, {"Παπαδόπουλος", "Αλέξανδρος", ""}, {"Wolfeschlegelsteinhausenbergerdorff-Przybyszewska", "Hubert Blaine Maximilian Alexander", "Leopold Ferdinand"}} {
		id := w.child("2020-05-01", named(n[0], n[1], n[2]))
		b, err := w.CertificatePDF(w.ctx, nurse, id, "1")
		w.must(err)
		papertest.Keep(t, "name-"+n[1], b)
		flat := strings.Join(strings.Fields(papertest.Text(t, b)), "")
		for _, part := range n {
			for word := range strings.FieldsSeq(part) {
				if len(word) > 20 {
					word = word[:20] // the rest is on the box's next line
				}
				if !strings.Contains(flat, word) {
					t.Errorf("%q is not on the certificate of %s", word, n[0])
				}
			}
		}
	}
}

func TestHistory(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	id := sixthGrader(w)
	w.given(id, "03")
	_, err := w.doses.AddFact(w.ctx, nurse, immunization.Fact{Patient: id, Kind: immunization.Precaution, Title: "Faints after needles"})
	w.must(err)
	b, err := w.HistoryPDF(w.ctx, nurse, id)
	w.must(err)
	text := golden(t, "history", b)
	has(t, "history", text, "official immunization history", "Okafor, Ada Chidinma", "Gus Guardiana (father)", "Page 1 of", "SECRETLOT", "Marcus Hale, RN,", "Lakeside Clinic", "historical: Dr. Lund", "not valid:", "about", "Faints after needles",
		"anti-HBs positive", "Doses on this report: 18", "no social security number", "12 Shore Road", "12 years 4 months")
}

func TestVisitAndTheFormsToSign(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	id := w.child("2021-03-10")
	w.given(id, "94", "130")
	b, err := w.VisitPDF(w.ctx, nurse, id, today)
	w.must(err)
	has(t, "visit", golden(t, "visit", b), "SECRETLOT", "0.5 mL", "Marcus Hale, RN", "Dr. Kim", "MMRV", "01/31/2025", "Medicaid", "Public, VFC", "12 Shore Road")
	_, err = w.VisitPDF(w.ctx, nurse, id, 0)
	w.wants(err, coldkeep.EINVALID)
	b, err = w.VisitPDF(w.ctx, nurse, id, today-1)
	w.must(err)
	papertest.Keep(t, "visit-blank", b)
	has(t, "another day", papertest.Text(t, b), "!SECRETLOT")
	b, err = w.OptOutPDF(w.ctx, nurse, id)
	w.must(err)
	has(t, "opt-out", golden(t, "optout", b), "Opting out", "Okafor, Ada", "689.80", "!Opting in")
	b, err = w.NewPatientPDF(w.ctx, nurse, id)
	w.must(err)
	has(t, "new patient", golden(t, "newpatient", b), "☒ Asian", "☐ White", "☒ Female", "Spanish", "(312) 555-0142", "Alexander", "social security number")
	w.lock(id)
	b, err = w.OptOutPDF(w.ctx, nurse, id)
	w.must(err)
	has(t, "opt-in", papertest.Text(t, b), "Opting in", "!Opting out")
	for _, f := range []forms.Form{forms.OptOut, forms.NewPatient, forms.Certificate} {
		b, err = w.Blank(teacher, f)
		w.must(err)
		papertest.Keep(t, "blank-"+string(f), b)
		has(t, "blank "+string(f), papertest.Text(t, b), "!Okafor", "Form printed 09/01/2026")
	}
}

func TestVaers(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	id := w.child("2021-03-10")
	w.had(id, "21 2026-08-20")
	given := w.given(id, "03", "130")
	onset := time.Date(2026, 9, 1, 16, 30, 0, 0, time.UTC)
	r, err := w.doses.AddReaction(w.ctx, nurse, immunization.Reaction{Patient: id, Doses: given, Onset: &onset, Event: "Fainted ten minutes after the second needle; recovered lying down.", Tests: "Blood pressure 84/50", Recovered: "yes", Results: []string{"none"},
		Reporter: "Marcus Hale", Allergies: "Peanut", Doctor: "Dr. Kim, 618-555-0101"})
	w.must(err)
	b, err := w.VaersPDF(w.ctx, nurse, r.ID)
	w.must(err)
	has(t, "VAERS", golden(t, "vaers", b), "Ada Okafor", "77 Hidden Lane", "5 years, 5 months", "09/01/2026 11:30 AM", "Fainted ten minutes", "M-M-R II", "SECRETLOT", "22 Other vaccines within one month before", "08/20/2026", "Peanut", "None of these", "!Essential and missing")
}

// A school has the certificate and nothing that is not its own to see; a locked record is
// printed by nobody but the state and the site that locked it, and who has not searched
// prints nothing.
func TestWhoMayPrint(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	id := sixthGrader(w)
	w.given(id, "03")
	w.find(teacher, id)
	b, err := w.CertificatePDF(w.ctx, teacher, id, "6")
	w.must(err)
	has(t, "the school's certificate", golden(t, "certificate-school", b), "Okafor", "05/01/2014", "EXEMPT, RELIGIOUS", "Hepatitis B 02/03/2024", "!Hidden Lane", "!Guardiana", "!0142", "!SECRETLOT", "!Lund", "!Female", "!anti-HBs", "!Shore Road")
	_, err = w.HistoryPDF(w.ctx, teacher, id)
	w.wants(err, coldkeep.EFORBIDDEN)
	_, err = w.SchoolStatus(w.ctx, teacher, id, "")
	w.must(err)
	_, err = w.CertificatePDF(w.ctx, elsewhere, id, "6")
	w.wants(err, coldkeep.EFORBIDDEN)
	w.find(elsewhere, id)
	_, err = w.CertificatePDF(w.ctx, elsewhere, id, "6")
	w.must(err)
	w.lock(id)
	for _, by := range []struct {
		who  string
		call func() error
	}{
		{"a school", func() error { _, err := w.CertificatePDF(w.ctx, teacher, id, "6"); return err }}, {"a school", func() error { _, err := w.SchoolStatus(w.ctx, teacher, id, ""); return err }},
		{"another practice", func() error { _, err := w.HistoryPDF(w.ctx, elsewhere, id); return err }}, {"another practice", func() error { _, err := w.OptOutPDF(w.ctx, elsewhere, id); return err }},
		{"another practice", func() error { _, err := w.PrintsOf(w.ctx, elsewhere, id); return err }},
	} {
		if err := by.call(); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN || !strings.Contains(err.Error(), "locked") {
			t.Errorf("%s prints a locked record: %v", by.who, err)
		}
	}
	_, err = w.HistoryPDF(w.ctx, nurse, id)
	w.must(err)
	w.find(admin, id)
	_, err = w.HistoryPDF(w.ctx, admin, id)
	w.must(err)
	printed := 0
	w.must(w.st.Forms().Tx(w.ctx, func(tx forms.Tx) error {
		all, err := tx.Prints(w.ctx, []string{id})
		printed = len(all)
		return err
	}))
	if printed != 4 {
		t.Errorf("%d prints are kept", printed)
	}
	_, err = w.CertificatePDF(w.ctx, nurse, id, "thirteen")
	w.wants(err, coldkeep.EINVALID)
	_, err = w.HistoryPDF(w.ctx, nurse, "01ARZ3NDEKTSV4RRFFQ69G5FAV")
	w.wants(err, coldkeep.ENOTFOUND)
}
