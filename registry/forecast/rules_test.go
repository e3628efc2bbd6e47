package forecast

import (
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// TestRules are worked by hand from the specification and the facts of 4.64, for
// rules that CDC's cases hardly touch.
func TestRules(t *testing.T) {
	day := coldkeep.NewDate
	at := day(2025, 11, 10)
	dose := func(cvx string, d Date) Dose { return Dose{CVX: cvx, Date: d} }
	e := New(Builtin())
	for _, c := range []struct {
		rule, name string
		p          Patient
		group      string
		risk       bool
		status     Status
		number     int
		earliest   Date
		latest     Date
		last       string // status of the last dose, for the group
	}{
		{"Table 7-3", "born before 1957", Patient{Born: day(1956, 12, 31)}, "MMR", false, Immune, 0, None, None, ""},
		{"Table 7-3", "born in 1957", Patient{Born: day(1957, 1, 1)}, "MMR", false, NotComplete, 1, day(1958, 1, 1), None, ""},
		{"Table 7-3", "an exclusion: health care personnel", Patient{Born: day(1956, 12, 31), Observations: []Observation{{Code: "055"}}}, "MMR", false, NotComplete, 1, day(1957, 12, 31), None, ""},
		{"Table 7-3", "the country matches", Patient{Born: day(1979, 12, 31), BirthCountry: "USA"}, "Varicella", false, Immune, 0, None, None, ""},
		{"Table 7-3", "the country is not known", Patient{Born: day(1979, 12, 31)}, "Varicella", false, NotComplete, 1, day(1980, 12, 31), None, ""},
		{"Table 7-3", "another country", Patient{Born: day(1979, 12, 31), BirthCountry: "CA"}, "Varicella", false, NotComplete, 1, day(1980, 12, 31), None, ""},
		{"Table 7-5", "pregnancy, born before 1980 and excluded", Patient{Born: day(1979, 12, 31), BirthCountry: "US", Observations: []Observation{{Code: "007"}}}, "Varicella", false, Contraindicated, 0, None, None, ""},
		{"CONFLICT-3", "27 days after another live vaccine", Patient{Born: day(2024, 6, 1), Doses: []Dose{dose("03", day(2025, 6, 10)), dose("21", day(2025, 7, 7))}},
			"Varicella", false, NotComplete, 1, day(2025, 8, 4), None, "Not Valid"},
		{"CALCDTCONFLICT-2", "28 days after it", Patient{Born: day(2024, 6, 1), Doses: []Dose{dose("03", day(2025, 6, 10)), dose("21", day(2025, 7, 8))}},
			"Varicella", false, NotComplete, 2, day(2025, 9, 30), None, "Valid"},
		{"CALCDTCONFLICT-1", "on the same day", Patient{Born: day(2024, 6, 1), Doses: []Dose{dose("03", day(2025, 6, 10)), dose("21", day(2025, 6, 10))}},
			"Varicella", false, NotComplete, 2, day(2025, 9, 2), None, "Valid"},
		{"CALCDTCONFLICT-3", "a forecast waits for the full interval", Patient{Born: day(2024, 6, 1), Doses: []Dose{dose("03", day(2025, 11, 1))}},
			"Varicella", false, NotComplete, 1, day(2025, 11, 29), None, ""},
		{"Table 6-15", "the first day of grace", Patient{Born: day(2024, 6, 1), Doses: []Dose{dose("03", day(2025, 5, 28))}}, "MMR", false, NotComplete, 2, day(2025, 7, 1), None, "Valid"},
		{"Table 6-15", "a day before grace", Patient{Born: day(2024, 6, 1), Doses: []Dose{dose("03", day(2025, 5, 27))}}, "MMR", false, NotComplete, 1, day(2025, 6, 24), None, "Not Valid"},
		{"Table 6-18", "the first day of grace of an interval", Patient{Born: day(2025, 6, 1), Doses: []Dose{dose("10", day(2025, 8, 1)), dose("10", day(2025, 8, 25))}},
			"Polio", false, NotComplete, 3, day(2025, 9, 22), None, "Valid"},
		{"CALCDTINT-1", "a dose too soon restarts the interval", Patient{Born: day(2025, 6, 1), Doses: []Dose{dose("10", day(2025, 8, 1)), dose("10", day(2025, 8, 24))}},
			"Polio", false, NotComplete, 2, day(2025, 9, 21), None, "Not Valid"},
		{"Table 5-5", "HPV of a boy", Patient{Born: day(2012, 6, 1), Gender: Male, Doses: []Dose{dose("165", day(2023, 6, 10))}}, "HPV", false, NotComplete, 2, day(2023, 11, 10), None, "Valid"},
		{"Table 5-2", "HPV of a patient of unknown gender", Patient{Born: day(2012, 6, 1), Doses: []Dose{dose("165", day(2023, 6, 10))}}, "HPV", false, NotComplete, 2, day(2023, 11, 10), None, "Valid"},
		{"4.4", "a recurring booster", Patient{Born: day(1980, 6, 1), Doses: []Dose{
			dose("113", day(1990, 1, 1)), dose("113", day(1990, 3, 1)), dose("115", day(2006, 3, 1)), dose("113", day(2016, 3, 1)), dose("113", day(2025, 3, 1))}},
			"DTaP/Tdap/Td", false, NotComplete, 6, day(2030, 3, 1), None, "Valid"},
		{"Table 7-10", "too old for rotavirus vaccine", Patient{Born: day(2025, 1, 1)}, "Rotavirus", false, AgedOut, 0, None, None, ""},
		{"FORECASTDT-4", "the latest date is the day before the maximum age", Patient{Born: day(2025, 8, 1)}, "Hib", false, NotComplete, 1, day(2025, 9, 12), day(2030, 7, 31), ""},
		{"Table 5-4", "an indication not yet of age is not displacing", Patient{Born: day(2025, 3, 1), Observations: []Observation{{Code: "151"}}}, "Hib", false, NotComplete, 1, day(2025, 4, 12), day(2030, 2, 28), ""},
	} {
		t.Run(c.rule+" "+c.name, func(t *testing.T) {
			p := c.p
			if p.Gender == 0 && c.rule != "Table 5-2" {
				p.Gender = schedule.Female
			}
			p.Assessment = at
			res := e.Forecast(&p)
			var f *Forecast
			for i := range res.Forecasts {
				if x := &res.Forecasts[i]; x.Group == c.group && x.Risk == c.risk && x.Begins == None {
					f = x
				}
			}
			if f == nil {
				t.Fatalf("no forecast of %s", c.group)
			}
			if f.Status != c.status || f.Number != c.number || f.Earliest != c.earliest || f.Latest != c.latest {
				t.Errorf("%s, dose %d from %s, latest %s; want %s, dose %d from %s, latest %s",
					f.Status, f.Number, f.Earliest, f.Latest, c.status, c.number, c.earliest, c.latest)
			}
			if c.last != "" {
				if v := verdictOf(&res.Doses[len(p.Doses)-1], c.group); v.Status.String() != c.last {
					t.Errorf("the last dose is %s: %s", v.Status, v.Reason)
				}
			}
		})
	}
}
