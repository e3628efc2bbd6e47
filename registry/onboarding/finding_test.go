package onboarding_test

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/onboarding"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/schedules"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// told is a row with what is wrong with it, and the words in which that is found.
type told struct {
	column, value string
	found         string
}

var long = strings.Repeat("Zq", 125)

// wrongs makes every kind of finding: of reading, of a row by itself, of the patient, of
// the dose. Each value is one that no message has of itself.
var wrongs = []told{
	{"street", strings.Repeat("Wq", 251), "It is longer than 500 characters."},
	{"family_name", "", "It is empty."},
	{"birth_date", "13/47/1987", "It is not a date."},
	{"vaccine_date", "", "the row names a vaccine."},
	{"vaccine_date", "14/48/1988", "It is not a date."},
	{"lot_expiry", "15/49/1989", "It is not a date and is left out."},
	{"ndc", "00006-4681-00", "It is of another vaccine than cvx says"},
	{"cvx ndc", " 77777-7777-77", "It is not in the code sets."},
	{"cvx", "", "It is empty, and so is ndc."},

	{"family_name", "9191", "Family name: is missing."},
	{"family_name", long, "Family name: want at most"},
	{"given_name", "9292", "Given name: is missing."},
	{"given_name", long, "Given name: want at most"},
	{"middle_name", long, "Middle name: want at most"},
	{"suffix", "ESQUIREZQXWV", "Suffix: want at most"},
	{"birth_date", "1877-11-29", "Birth date: is more than"},
	{"birth_date", "2097-11-29", "Birth date: is in the future."},
	{"sex", "QQX", "Sex: want"},
	{"mother_maiden_name", long, "Mother's maiden name: want at most"},
	{"street", long, "Street: want at most"},
	{"city", long, "City: want at most"},
	{"state", "ZQ", "State: want"},
	{"state", long, "State: want at most"},
	{"zip", "98989898", "ZIP code: want"},
	{"zip", long, "ZIP code: want at most"},
	{"phone", "8675309", "Telephone: want"},
	{"email", "zq.at.nowhere", "E-mail: want"},
	{"record_number", "987-65-4329", "a social security number is not kept."},
	{"record_number", long, "Identifier: want at most"},
	{"record_number", "-;-;-", "Identifier: is missing."},
	{"medicaid_id", "986-65-4328", "a social security number is not kept."},
	{"medicaid_id", long, "Identifier: want at most"},
	{"guardian_family", "", "Guardian's family name: is missing."},
	{"guardian_family", long, "Guardian's family name: want at most"},
	{"guardian_given", long, "Guardian's given name: want at most"},
	{"guardian_relation", "QZW", "Guardian's relation: choose"},

	{"vaccine_date", "2011-10-29", "Date: is before the patient was born."},
	{"vaccine_date", "2098-10-29", "Date: is in the future"},
	{"cvx", "987", "CVX: is not a code"},
	{"cvx", "98765", "CVX: want at most"},
	{"mvx", "QZX", "MVX: is not a code"},
	{"mvx", "QZXWV", "MVX: want at most"},
	{"ndc", "ZQ-77", "NDC: want 10 or 11 digits"},
	{"ndc", "77777-7777-77-77", "NDC: want at most"},
	{"lot", long, "Lot number: want at most"},
	{"body_site", "QZB", "Body site: is not one of its codes."},
	{"route", "QZR", "Route: is not one of its codes."},
	{"source", "QZ98", "Source: want one of"},
	{"given_by", long, "Given elsewhere by: want at most"},
}

// right is a row with nothing wrong, of the n-th person of a file.
func right(n int) map[string]string {
	letter := string(rune('a'+n%26)) + string(rune('a'+n/26))
	return map[string]string{"record_number": "RN77" + letter, "family_name": "Zuk" + letter, "given_name": "Wiq" + letter, "middle_name": "Xev" + letter, "suffix": "IV", "birth_date": "2019-12-23", "sex": "F",
		"mother_maiden_name": "Jyq" + letter, "street": "4242 Quv" + letter + " Lane", "city": "Vyxville", "state": "IL", "zip": "61987", "phone": "309-555-0187", "email": "zq" + letter + "@kwy.example", "medicaid_id": "MC88" + letter,
		"guardian_family": "Gyk" + letter, "guardian_given": "Hov" + letter, "guardian_relation": "MTH", "vaccine_date": "2021-09-27", "cvx": "110", "mvx": "SKB", "lot": "LQ66" + letter, "lot_expiry": "2023-08-26",
		"body_site": "LA", "route": "IM", "source": "01", "given_by": "Dr. Pwy" + letter}
}

// What is said of a row holds no value of it: it is kept when the values are cleared.
func TestFindingsHoldNoValue(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		db := databasetest.Open(t, where)
		st, err := store.Open(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		clock := &movable{}
		inForce, err := schedules.New(ctx, st.Schedules(), clock)
		if err != nil {
			t.Fatal(err)
		}
		people := patient.New(st.Patients(), clock)
		s := onboarding.New(st.Onboarding(), people, immunization.New(st.Immunizations(), inForce, vaccine.Builtin(), clock), clock)
		if err := templog.New(st.Templog(), clock).AddSite(ctx, system, coldkeep.Site{ID: "lakeside", Name: "Lakeside", TimeZone: "America/Chicago"}); err != nil {
			t.Fatal(err)
		}

		// Two who are there: one who may be the same, and one who had died before the dose,
		// which is found when the row is taken over.
		add := func(row map[string]string, p patient.Patient) {
			t.Helper()
			p.Names, p.Birth, p.Sex = []patient.Name{{Family: row["family_name"], Given: row["given_name"]}}, coldkeep.NewDate(2019, 12, 23), patient.Female
			if _, err := people.Add(ctx, auth.Principal{ID: "d", Name: "Ana", Role: auth.FrontDesk, Site: "lakeside"}, p); err != nil {
				t.Fatal(err)
			}
		}
		rows, want := []map[string]string{}, []string{}
		maybe, dead := right(len(wrongs)), right(len(wrongs)+1)
		add(maybe, patient.Patient{})
		add(dead, patient.Patient{Died: coldkeep.NewDate(2020, 2, 22), Identifiers: []patient.Identifier{{Kind: "MR", Assigner: "lakeside", Value: dead["record_number"]}},
			Contacts: []patient.Contact{{Kind: patient.Phone, Value: dead["phone"]}}})
		for _, c := range []string{"record_number", "medicaid_id", "street", "city", "zip", "phone", "email", "mother_maiden_name", "guardian_family", "guardian_given", "middle_name", "suffix"} {
			delete(maybe, c)
		}
		for n, w := range wrongs {
			row := right(n)
			columns, values := strings.Fields(w.column), strings.Split(w.value, " ")
			for i, c := range columns {
				row[c] = values[min(i, len(values)-1)]
			}
			rows, want = append(rows, row), append(want, w.found)
		}
		rows, want = append(rows, maybe, dead), append(want, "The patient may be one who is in the registry already.", "Date: is after the patient died.")

		var file bytes.Buffer
		out := csv.NewWriter(&file)
		var heading []string
		for _, c := range onboarding.Columns() {
			heading = append(heading, c.Name)
		}
		_ = out.Write(heading) // into memory
		for _, r := range rows {
			record := make([]string, len(heading))
			for i, c := range heading {
				record[i] = r[c]
			}
			_ = out.Write(record)
		}
		more := right(len(rows))
		_ = out.Write(append(make([]string, len(heading)), more["family_name"]))
		out.Flush()
		broken := right(len(rows) + 1)
		file.WriteString("Mis" + broken["lot"] + `,"Qu"` + broken["street"] + "\n")
		rows = append(rows, more, broken)
		want = append(want, "The row has more fields than the heading.", "The row cannot be read")

		i, err := s.Upload(ctx, manager, &file)
		if err != nil {
			t.Fatal(err)
		}
		work := func() {
			t.Helper()
			for more := true; more; {
				if more, err = s.Step(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		work()
		if err := s.Take(ctx, manager, i.ID); err != nil {
			t.Fatal(err)
		}
		work()
		clock.ahead = 91 * 24 * time.Hour
		if n, err := s.Clear(ctx); n != 1 || err != nil {
			t.Fatalf("%d cleared, %v", n, err)
		}

		p, err := s.Get(ctx, manager, i.ID, 0, 1000)
		if err != nil || len(p.Findings) != len(rows) {
			t.Fatalf("%d rows with findings of %d, %v", len(p.Findings), len(rows), err)
		}
		for k, l := range p.Findings {
			if !slices.ContainsFunc(l.Findings, func(f onboarding.Finding) bool { return strings.Contains(f.What, want[k]) }) {
				t.Errorf("row %d: no %q in %+v", k, want[k], l.Findings)
			}
			var kept string
			if err := db.QueryRowContext(ctx, `SELECT value || findings FROM import_rows WHERE import = $1 AND n = $2`, i.ID, l.Seq).Scan(&kept); err != nil {
				t.Fatal(err)
			}
			for column, v := range rows[k] {
				// A right code of up to three letters or digits stands in words and examples.
				if v == "" || v == right(0)[column] && len(v) < 4 {
					continue
				}
				for _, form := range forms(v) {
					if strings.Contains(strings.ToUpper(kept), strings.ToUpper(form)) {
						t.Errorf("row %d: %s %q is kept in %s", k, column, v, kept)
					}
				}
			}
		}
	})
}

// forms is a value as it was written and as its digits are kept.
func forms(v string) []string { return []string{v, strings.ReplaceAll(v, "-", "")} }
