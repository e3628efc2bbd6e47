package forecast

import (
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// TestSeasons holds FORECASTDTCAN-1 and Table 7-10 around the season of the
// release (RSV for infants, October to March 2025-26), before it and after it.
func TestSeasons(t *testing.T) {
	e := New(Builtin())
	day := coldkeep.NewDate
	for _, c := range []struct {
		name        string
		born, asked Date
		status      Status
		earliest    Date
	}{
		{"in the season", day(2025, 11, 3), day(2025, 12, 1), NotComplete, day(2025, 11, 3)},
		{"before it, born for it", day(2025, 8, 21), day(2025, 8, 21), NotComplete, day(2025, 10, 1)},
		{"in the last season", day(2024, 11, 3), day(2024, 12, 1), NotComplete, day(2024, 11, 3)},
		{"between the last and this", day(2025, 4, 20), day(2025, 4, 20), NotComplete, day(2025, 10, 1)},
		{"two years before", day(2023, 8, 21), day(2023, 8, 21), NotComplete, day(2023, 10, 1)},
		{"on the last day of an earlier one", day(2024, 2, 1), day(2024, 3, 31), NotComplete, day(2024, 2, 1)},
		{"after it: nothing is published", day(2026, 2, 1), day(2026, 4, 1), NotRecommended, None},
		{"a year after it", day(2026, 11, 1), day(2026, 12, 1), NotRecommended, None},
	} {
		p := &Patient{Born: c.born, Gender: schedule.Female, Assessment: c.asked}
		f := forecastOf(t, e.Forecast(p), "RSV")
		if f.Status != c.status || f.Earliest != c.earliest {
			t.Errorf("%s: %s from %s, want %s from %s", c.name, f.Status, f.Earliest, c.status, c.earliest)
		}
	}
}

// TestSeasonalCount holds FORECASTDN-1: a seasonal dose number counts the doses of
// the season that is asked about.
func TestSeasonalCount(t *testing.T) {
	e := New(Builtin())
	day := coldkeep.NewDate
	p := &Patient{Born: day(2020, 5, 1), Gender: schedule.Male, Assessment: day(2025, 9, 1), Doses: []Dose{
		{CVX: "88", Date: day(2021, 10, 1)}, {CVX: "88", Date: day(2021, 11, 1)},
	}}
	if f := forecastOf(t, e.Forecast(p), "Influenza"); f.Number != 1 || f.Earliest != day(2025, 7, 1) {
		t.Errorf("in a later season: %+v", f)
	}
	p.Assessment = day(2021, 10, 2) // the second dose is to come
	if f := forecastOf(t, e.Forecast(p), "Influenza"); f.Number != 2 || f.Earliest != day(2021, 10, 29) {
		t.Errorf("in the season of the first dose: %+v", f)
	}
	p.Assessment = day(2021, 11, 1)
	if f := forecastOf(t, e.Forecast(p), "Influenza"); f.Status != Complete {
		t.Errorf("after both: %+v", f)
	}
}
