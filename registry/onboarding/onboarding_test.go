package onboarding_test

import (
	"fmt"
	"maps"
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

var (
	system  = auth.System("Test")
	manager = auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
	other   = auth.Principal{ID: "o", Name: "Ines", Role: auth.PracticeManager, Site: "northgate"}
	nurse   = auth.Principal{ID: "n", Name: "Marcus", Role: auth.Nurse, Site: "lakeside"}
	state   = auth.Principal{ID: "s", Name: "Grace", Role: auth.StateAdmin}
)

const head = "record_number,family_name,given_name,birth_date,sex,vaccine_date,cvx,ndc,lot,remarks\n"

const file = head +
	`1,Okafor,Ada,2025-01-15,F,2025-03-17,110,,A1,first
1,Okafor,Ada,1/15/2025,F,5/19/2025,110,,A2,
2,Lindqvist,Björn,2024-06-02,M,,,,,
3,Nowak,Zofia,2024-02-30,F,2024-05-01,20,,,
4,Haddad,Omar,2024-03-01,M,2024-02-01,20,,,before birth
5,Silva,Ana,2024-03-01,F,2024-05-02,,00006-4681-00,,
6,Broken,"Qu"ote,2024-03-01,F,,,,,
7,Park,Min,2023-08-09,M,2023-10-12,9999,,,
`

func TestTakenOver(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		st, err := store.Open(ctx, databasetest.Open(t, where))
		if err != nil {
			t.Fatal(err)
		}
		clock := coldkeep.RealClock{}
		inForce, err := schedules.New(ctx, st.Schedules(), clock)
		if err != nil {
			t.Fatal(err)
		}
		doses := immunization.New(st.Immunizations(), inForce, vaccine.Builtin(), clock)
		s := onboarding.New(st.Onboarding(), patient.New(st.Patients(), clock), doses, clock)
		for _, id := range []coldkeep.SiteID{"lakeside", "northgate"} {
			if err := templog.New(st.Templog(), clock).AddSite(ctx, system, coldkeep.Site{ID: id, Name: "Clinic " + string(id), TimeZone: "America/Chicago"}); err != nil {
				t.Fatal(err)
			}
		}
		for _, by := range []auth.Principal{nurse, state, {}} {
			if _, err := s.Upload(ctx, by, strings.NewReader(file)); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN && coldkeep.ErrorCode(err) != coldkeep.EUNAUTHORIZED {
				t.Errorf("%s: %v", by.Name, err)
			}
		}
		work := func() {
			t.Helper()
			for {
				more, err := s.Step(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if !more {
					return
				}
			}
		}
		run := func(file string) onboarding.Progress {
			t.Helper()
			i, err := s.Upload(ctx, manager, strings.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			work()
			p, err := s.Get(ctx, manager, i.ID, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		p := run(file)
		if p.State != onboarding.Checked || p.Total != 8 || p.Verdicts[onboarding.Fresh] != 3 || p.Verdicts[onboarding.More] != 1 || p.Verdicts[onboarding.Refused] != 4 {
			t.Fatalf("%+v", p)
		}
		var found []string
		for _, l := range p.Findings {
			for _, f := range l.Findings {
				found = append(found, fmt.Sprintf("%d %s %v", l.N, f.Column, f.Refuse))
			}
		}
		if !slices.Equal(found, []string{"5 birth_date true", "6  true", "8  true", "9  true"}) {
			t.Errorf("%q", found)
		}
		if none, err := st.SampleOf(ctx, 10); err != nil || len(none) != 0 {
			t.Errorf("the dry run has entered %d patients, %v", len(none), err)
		}
		if _, err := s.Get(ctx, other, p.ID, 0, 10); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			t.Errorf("another practice: %v", err)
		}
		if err := s.Take(ctx, manager, p.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.Take(ctx, manager, p.ID); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Error(err)
		}
		work()
		again := run(file) // the same import
		if again.ID != p.ID || again.State != onboarding.Done || again.Taken != 4 {
			t.Errorf("%+v", again)
		}
		ids, err := st.SampleOf(ctx, 10)
		if err != nil || len(ids) != 3 {
			t.Fatalf("%d patients, %v", len(ids), err)
		}
		all, err := st.Doses(ctx, ids)
		if err != nil || len(all) != 3 || all[0].Kind != immunization.Historical || all[0].Elsewhere != "Clinic lakeside" {
			t.Fatalf("%+v, %v", all, err)
		}
		// A corrected file: patients are found again, doses are not entered twice.
		corrected := run(file + "8,Reyes,Luz,2024-01-05,F,,,,,\n")
		if corrected.ID == p.ID || corrected.Verdicts[onboarding.Matched] != 3 || corrected.Verdicts[onboarding.Fresh] != 1 {
			t.Errorf("%+v", corrected.Verdicts)
		}
		if err := s.Take(ctx, manager, corrected.ID); err != nil {
			t.Fatal(err)
		}
		work()
		ids, err = st.SampleOf(ctx, 10)
		if err != nil || len(ids) != 4 {
			t.Errorf("%d patients, %v", len(ids), err)
		}
		if all, err = st.Doses(ctx, ids); err != nil || len(all) != 3 {
			t.Errorf("%d doses, %v", len(all), err)
		}
	})
}

type movable struct {
	coldkeep.RealClock
	ahead time.Duration
}

func (c *movable) Now() time.Time { return time.Now().Add(c.ahead) }

// After 90 days what was uploaded is gone; verdicts and counts stay. One that nobody has
// taken over cannot be any more, and may be sent again.
func TestValuesAreCleared(t *testing.T) {
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
		s := onboarding.New(st.Onboarding(), patient.New(st.Patients(), clock), immunization.New(st.Immunizations(), inForce, vaccine.Builtin(), clock), clock)
		if err := templog.New(st.Templog(), clock).AddSite(ctx, system, coldkeep.Site{ID: "lakeside", Name: "Lakeside", TimeZone: "America/Chicago"}); err != nil {
			t.Fatal(err)
		}
		upload := func(file string) onboarding.Import {
			t.Helper()
			i, err := s.Upload(ctx, manager, strings.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			for more := true; more; {
				if more, err = s.Step(ctx); err != nil {
					t.Fatal(err)
				}
			}
			return i
		}
		get := func(id string) onboarding.Progress {
			t.Helper()
			p, err := s.Get(ctx, manager, id, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		kept := func() (n int) {
			t.Helper()
			if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM import_rows WHERE value LIKE '%Okafor%' OR value LIKE '%Haddad%'`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		const left = head + "9,Okafor,Ngozi,2024-02-02,F,,,,,\n"
		taken := upload(file)
		if err := s.Take(ctx, manager, taken.ID); err != nil {
			t.Fatal(err)
		}
		abandoned := upload(left)
		before := get(taken.ID)
		clock.ahead = 89 * 24 * time.Hour
		if n, err := s.Clear(ctx); n != 0 || err != nil || kept() != 4 {
			t.Fatalf("%d cleared, %v, %d rows kept", n, err, kept())
		}
		clock.ahead = 91 * 24 * time.Hour
		if n, err := s.Clear(ctx); n != 2 || err != nil || kept() != 0 {
			t.Fatalf("%d cleared, %v, %d rows kept", n, err, kept())
		}
		if n, err := s.Clear(ctx); n != 0 || err != nil {
			t.Errorf("again: %d, %v", n, err)
		}
		after := get(taken.ID)
		if after.State != onboarding.Done || after.Cleared == nil || !maps.Equal(after.Verdicts, before.Verdicts) || len(after.Findings) != len(before.Findings) || after.Findings[0].N != before.Findings[0].N {
			t.Errorf("%+v, before %+v", after, before)
		}
		if p := get(abandoned.ID); p.State != onboarding.Dropped || p.SHA256 != abandoned.SHA256 || p.Verdicts[onboarding.Fresh] != 1 {
			t.Errorf("%+v", p)
		}
		if err := s.Take(ctx, manager, abandoned.ID); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Errorf("a dropped import is taken over: %v", err)
		}
		if i := upload(left); i.ID == abandoned.ID || get(i.ID).State != onboarding.Checked {
			t.Errorf("%+v", i)
		}
	})
}

func TestNoFile(t *testing.T) {
	for name, in := range map[string]string{
		"empty":         "",
		"no heading":    "1,2,3\n",
		"twice":         "family_name,given_name,birth_date,sex,sex\n",
		"not text":      head + "\xff\xfe",
		"column is not": "family_name,given_name,birth_date\n",
		"too many rows": head + strings.Repeat("1,A,B,2024-01-01,F,,,,,\n", 100_001),
	} {
		if rows, err := onboarding.Read(strings.NewReader(in)); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
	}
	rows, err := onboarding.Read(strings.NewReader(string(onboarding.Template())))
	if err != nil || len(rows) != 1 || len(rows[0].Findings) != 0 {
		t.Errorf("the template: %+v, %v", rows, err)
	}
	if e, findings := rows[0].Entry(vaccine.Builtin(), "Clinic"); len(findings) != 0 || e.Dose == nil || e.Dose.Date != coldkeep.NewDate(2025, 3, 17) {
		t.Errorf("%+v, %+v", e, findings)
	}
}

// Whatever the bytes, a file is refused as a whole or read row by row; every row that is
// not taken says why.
// Whoever sends a file learns which of its columns nobody reads.
func TestPassedOver(t *testing.T) {
	for file, want := range map[string][]string{
		"\xef\xbb\xbfFamily Name,given_name,Birth_Date,SEX\n":   nil,
		"\xef\xbb\xbftelephone,family_name, e-mail ,\nx,y,z,\n": {"telephone", "e-mail"},
		"":  nil,
		`"`: nil,
	} {
		if got := onboarding.PassedOver(strings.NewReader(file)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(file)
	f.Add("\xef\xbb\xbffamily_name,given_name,birth_date,sex\r\n\"a\nb\",c,1/2/2024,F\r\n\"")
	f.Add(string(onboarding.Template()))
	f.Fuzz(func(t *testing.T, in string) {
		if over := onboarding.PassedOver(strings.NewReader(in)); len(over) > 12 {
			t.Errorf("%d columns", len(over))
		}
		rows, err := onboarding.Read(strings.NewReader(in))
		if err != nil && coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Fatal(err)
		}
		for i := range rows {
			e, findings := rows[i].Entry(vaccine.Builtin(), "Clinic")
			ok := !slices.ContainsFunc(findings, func(f onboarding.Finding) bool { return f.Refuse })
			if ok && (!e.Patient.Birth.Known() || e.Dose != nil && (!e.Dose.Date.Known() || e.Dose.CVX == "" && e.Dose.NDC == "")) {
				t.Errorf("%+v is taken", rows[i])
			}
		}
	})
}
