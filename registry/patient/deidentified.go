package patient

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// DeidentifiedRow is a person as the store gives it for a de-identified read: no name,
// contact or identifier is among it, and no locked record.
type DeidentifiedRow struct {
	ID        string // to make the pseudonym of, and to read doses by; it does not leave the registry
	Birth     coldkeep.Date
	Sex       Sex
	Races     []string
	Ethnicity string
	ZIP       string
	County    string
	Deceased  bool
}

// AreaCount is the number of people that were born in a year and live in the ZIP codes
// with the same first three digits.
type AreaCount struct {
	ZIP3  string
	Born  int // year
	Count int
}

// fewest is the smallest count that is told: cells under 11 are suppressed, as CMS asks of
// those who use its data.
const fewest = 11

// sparse are the ZIP3 areas with 20,000 people or fewer by the census of 2010, which may
// not be told of anybody (45 CFR 164.514(b)(2)(i)(B); HHS's list).
const sparse = " 036 059 102 203 205 369 556 692 821 823 878 879 884 893 "

// area is what is told of a ZIP code.
func area(zip string) string {
	if len(zip) < 3 {
		return ""
	}
	if strings.Contains(sparse, " "+zip[:3]+" ") {
		return "000"
	}
	return zip[:3]
}

// ageBand is what is told of an age: years up to 17, then bands; from 90 on all are one
// (45 CFR 164.514(b)(2)(i)(C)).
func ageBand(years int) string {
	switch {
	case years < 0:
		return ""
	case years < 18:
		return strconv.Itoa(years)
	case years < 20:
		return "18-19"
	case years < 90:
		return fmt.Sprintf("%d-%d", years/5*5, years/5*5+4)
	}
	return "90+"
}

// DeidentifiedDoses adds the doses of people to a de-identified read.
type DeidentifiedDoses interface {
	// Header names the columns that it adds.
	Header() []string
	// Rows gives the doses of people, by the ids of their standing records: a line each, in
	// the columns of Header. Who is not among them has none to be told.
	Rows(ctx context.Context, ids []string) (map[string][][]string, error)
}

// deidentifiedBatch is how many people are read at once.
const deidentifiedBatch = 500

// WriteDeidentified writes every person whose record is open as CSV: a pseudonym that is
// the same in each export of this registry, age band and year of birth, the first three
// digits of the ZIP code, sex, race, ethnicity and county; doses may add columns and lines,
// or be nil. Counties and areas with fewer than eleven people are left empty. The export is in the
// trail before its first line is written. EFORBIDDEN unless by may read de-identified
// records.
func (s *Service) WriteDeidentified(ctx context.Context, by auth.Principal, w io.Writer, doses DeidentifiedDoses) error {
	if err := by.Require(auth.ReadDeidentified, ""); err != nil {
		return err
	}
	var secret []byte
	err := s.store.Tx(ctx, func(tx Tx) error {
		fresh := make([]byte, 32)
		_, _ = rand.Read(fresh) // never fails
		var err error
		if secret, err = tx.PseudonymKey(ctx, fresh); err != nil {
			return err
		}
		e := s.entry(by, "patient.de-identified", "", "", "every open record as CSV")
		e.Subject = "patients"
		return tx.Audit(ctx, e)
	})
	if err != nil {
		return err
	}
	few, err := s.fewPeople(ctx)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	header := []string{"person", "year_of_birth", "age", "zip3", "sex", "race", "ethnicity", "county", "deceased"}
	if doses != nil {
		header = append(header, doses.Header()...)
	}
	if err := out.Write(header); err != nil {
		return err
	}
	today, _, _ := s.today().Civil()
	for after := ""; ; {
		people, err := s.store.Deidentified(ctx, after, deidentifiedBatch)
		if err != nil {
			return err
		}
		of, none := map[string][][]string{}, [][]string{nil}
		if doses != nil {
			ids := make([]string, len(people))
			for i := range people {
				ids[i] = people[i].ID
			}
			if of, err = doses.Rows(ctx, ids); err != nil {
				return err
			}
			none = [][]string{make([]string, len(doses.Header()))}
		}
		for i := range people {
			d := &people[i]
			line := few.line(secret, d, today)
			rows := of[d.ID]
			if len(rows) == 0 {
				rows = none
			}
			for _, more := range rows {
				if err := out.Write(append(line[:len(line):len(line)], more...)); err != nil {
					return err
				}
			}
			after = d.ID
		}
		out.Flush()
		if err := out.Error(); err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "patient.WriteDeidentified", "the export could not be written")
		}
		if len(people) < deidentifiedBatch {
			return nil
		}
	}
}

// line is what is told of a person in a year.
func (f *few) line(secret []byte, d *DeidentifiedRow, today int) []string {
	born, _, _ := d.Birth.Civil()
	year := strconv.Itoa(born)
	if today-born >= 90 {
		year = "" // it would tell an age over 89
	}
	zip3, county := area(d.ZIP), d.County
	if f.area[zip3] {
		zip3 = ""
	}
	if f.county[county] {
		county = ""
	}
	return []string{pseudonym(secret, d.ID), year, ageBand(today - born), zip3, string(d.Sex), strings.Join(d.Races, " "), d.Ethnicity, cell(county), strconv.FormatBool(d.Deceased)}
}

// cell keeps a spreadsheet from taking a text for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// pseudonym stands for a person in all exports of one registry and leads back to nobody
// without its key.
func pseudonym(secret []byte, id string) string {
	h := hmac.New(sha256.New, secret)
	_, _ = h.Write([]byte(id)) // never fails
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:15]))
}

// few are areas and counties with too few people to be told.
type few struct{ area, county map[string]bool }

func (s *Service) fewPeople(ctx context.Context) (few, error) {
	f := few{map[string]bool{}, map[string]bool{}}
	counts, err := s.store.AreaCounts(ctx)
	if err != nil {
		return f, err
	}
	areas := map[string]int{}
	for _, c := range counts {
		areas[area(c.ZIP3)] += c.Count
	}
	for a, n := range areas {
		f.area[a] = n < fewest
	}
	counties, err := s.store.CountyCounts(ctx)
	for county, n := range counties {
		f.county[county] = n < fewest
	}
	return f, err
}

// Table is counts of people by area and age band. A count under eleven is -1.
type Table struct {
	Bands []string
	Areas []string // the first three digits of the ZIP code; "" not known
	Cells [][]int  // of each area, by band
	Total int      // rounded down to ten, so that no suppressed count can be taken from it
}

// tableBands are the age bands of the table, by their first year.
var tableBands = []struct {
	from int
	name string
}{{0, "under 1"}, {1, "1-2"}, {3, "3-5"}, {6, "6-10"}, {11, "11-12"}, {13, "13-17"}, {18, "18-49"}, {50, "50-64"}, {65, "65+"}}

// CountDeidentified counts people whose record is open by area and age band. EFORBIDDEN
// unless by may read de-identified records.
func (s *Service) CountDeidentified(ctx context.Context, by auth.Principal) (Table, error) {
	var t Table
	if err := by.Require(auth.ReadDeidentified, ""); err != nil {
		return t, err
	}
	err := s.store.Tx(ctx, func(tx Tx) error {
		e := s.entry(by, "patient.de-identified", "", "", "counts by area and age")
		e.Subject = "patients"
		return tx.Audit(ctx, e)
	})
	if err != nil {
		return t, err
	}
	// Counting a million people takes seconds, in which nobody should wait to write.
	counts, err := s.store.AreaCounts(ctx)
	return tabulate(counts, s.today()), err
}

func tabulate(counts []AreaCount, today coldkeep.Date) Table {
	var t Table
	for _, b := range tableBands {
		t.Bands = append(t.Bands, b.name)
	}
	year, _, _ := today.Civil()
	rows := map[string][]int{}
	for _, c := range counts {
		a := area(c.ZIP3)
		if rows[a] == nil {
			rows[a] = make([]int, len(tableBands))
			t.Areas = append(t.Areas, a)
		}
		band := 0
		for i, b := range tableBands {
			if year-c.Born >= b.from {
				band = i
			}
		}
		rows[a][band] += c.Count
		t.Total += c.Count
	}
	t.Total = t.Total / 10 * 10
	for _, a := range t.Areas {
		for i, n := range rows[a] {
			if n > 0 && n < fewest {
				rows[a][i] = -1
			}
		}
		t.Cells = append(t.Cells, rows[a])
	}
	return t
}
