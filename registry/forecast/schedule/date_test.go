package schedule

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
)

func parse(t *testing.T, s string) Date {
	t.Helper()
	d, err := coldkeep.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestPeriods holds the date rules with the examples of the specification.
func TestPeriods(t *testing.T) {
	for _, c := range []struct{ rule, from, period, want string }{
		{"CALCDT-1", "2000-01-15", "3 years", "2003-01-15"},
		{"CALCDT-2", "2000-11-15", "3 months", "2001-02-15"},
		{"CALCDT-3", "2000-02-26", "1 week", "2000-03-04"},
		{"CALCDT-4", "2000-03-02", "0 days - 4 days", "2000-02-27"},
		{"CALCDT-5", "2000-03-31", "6 months", "2000-10-01"},
		{"CALCDT-5", "2008-02-29", "1 year", "2009-03-01"},
		{"CALCDT-5", "2000-01-31", "1 month", "2000-03-01"},
		{"CALCDT-6", "2000-01-31", "6 months - 4 days", "2000-07-27"},
		{"CALCDT-6", "2010-05-10", "16 years - 4 months", "2026-01-10"},
		{"case and number vary", "2000-01-15", "46 Years", "2046-01-15"},
		{"case and number vary", "2000-01-15", "1 years - 4 days", "2001-01-11"},
		{"backwards over a year", "2000-01-31", "0 days - 1 month", "1999-12-31"},
	} {
		p, err := ParsePeriod(c.period)
		if err != nil {
			t.Errorf("%s: %v", c.rule, err)
			continue
		}
		if got := p.From(parse(t, c.from)); got.String() != c.want {
			t.Errorf("%s: %s and %s is %s, want %s", c.rule, c.from, c.period, got, c.want)
		}
	}
	for _, bad := range []string{"", "6", "months", "6 fortnights", "6 months 4 days", "6 months -", "six months", "-6 months", "99999 days"} {
		if p, err := ParsePeriod(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, p)
		}
	}
}

var day1970 = coldkeep.CivilDate(1970, 1, 1)

// TestDatesAreCivil compares the calendar with the standard library's.
func TestDatesAreCivil(t *testing.T) {
	if coldkeep.CivilDate(1900, 1, 1) != Past || coldkeep.CivilDate(2999, 12, 31) != Future {
		t.Error("the assumed values are not 1 January 1900 and 31 December 2999")
	}
	rapid.Check(t, func(t *rapid.T) {
		days := rapid.IntRange(-60000, int(Future-day1970)).Draw(t, "day")
		d := day1970 + Date(days)
		want := time.Unix(int64(days)*86400, 0).UTC().Format(time.DateOnly)
		if d.String() != want {
			t.Fatalf("%d is %s, want %s", d, d, want)
		}
		if y, m, day := d.Civil(); coldkeep.CivilDate(y, m, day) != d {
			t.Fatalf("%d does not come back", d)
		}
		if got, err := coldkeep.ParseDate(want); err != nil || got != d {
			t.Fatalf("%s is read as %v, %v", want, got, err)
		}
	})
}

// TestPeriodsKeepOrder holds that a later day is never overtaken: due dates of
// two people stay in the order of their births.
func TestPeriodsKeepOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Period{
			Years: rapid.Int16Range(0, 80).Draw(t, "years"), Months: rapid.Int16Range(-6, 30).Draw(t, "months"),
			Days: rapid.Int16Range(-4, 60).Draw(t, "days"),
		}
		d := day1970 + Date(rapid.IntRange(-20000, 40000).Draw(t, "day"))
		a, b := p.From(d), p.From(d+1)
		if b < a || b > a+5 {
			t.Fatalf("%+v from %s is %s, from the day after %s", p, d, a, b)
		}
	})
}

func TestBadDates(t *testing.T) {
	for _, bad := range []string{"", "2025-02-30", "2025-13-01", "2025-00-10", "2025-1-1", "20250101", "0001-01-01", "3000-01-01", "2025-01-0a"} {
		if d, err := coldkeep.ParseDate(bad); err == nil {
			t.Errorf("%q was read as %s", bad, d)
		}
	}
	var d Date
	if err := d.UnmarshalText(nil); err != nil || d != None || d.String() != "" {
		t.Error("an empty date is not None")
	}
}
