package forecast

import (
	"slices"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// TestTwoForecasts holds FORECASTVG-1: standard and risk stay apart, and a shared
// decision is named.
func TestTwoForecasts(t *testing.T) {
	p := &Patient{Born: coldkeep.CivilDate(1988, 6, 23), Gender: schedule.Female, Assessment: coldkeep.CivilDate(2025, 10, 1),
		Observations: []Observation{{Code: "007", Date: None}, {Code: "170", Date: coldkeep.CivilDate(2025, 6, 1)}, {Code: "no such code", Date: None}}}
	res := New(Builtin()).Forecast(p)
	kinds := map[bool]*Forecast{}
	for i := range res.Forecasts {
		if f := &res.Forecasts[i]; f.Group == "DTaP/Tdap/Td" {
			kinds[f.Risk] = f
		}
	}
	if kinds[true] == nil || kinds[false] == nil {
		t.Fatalf("want a standard and a risk forecast, got %+v", kinds)
	}
	if want := coldkeep.CivilDate(2025, 6, 1) + 27*7; kinds[true].Earliest != want {
		t.Errorf("in pregnancy from %s, want %s", kinds[true].Earliest, want)
	}
	if len(res.Undetermined) != 1 || res.Undetermined[0].Code != "no such code" {
		t.Errorf("the unknown code was not said: %+v", res.Undetermined)
	}
	if f := forecastOf(t, res, "COVID-19"); !f.Shared || f.Reason&SharedDecision == 0 {
		t.Errorf("shared clinical decision-making is not named: %+v", f)
	}
}

// TestPregnancyOfUnknownOnset holds that the dose is due, without dates.
func TestPregnancyOfUnknownOnset(t *testing.T) {
	p := &Patient{Born: coldkeep.CivilDate(1988, 6, 23), Gender: schedule.Female, Assessment: coldkeep.CivilDate(2025, 10, 1),
		Observations: []Observation{{Code: "007", Date: None}}}
	f := forecastOf(t, New(Builtin()).Forecast(p), "DTaP/Tdap/Td")
	if !f.Risk || f.Status != NotComplete || f.Earliest != None || f.Reason&DateNeeded == 0 {
		t.Errorf("got %+v", f)
	}
}

// TestUpcoming holds Table 5-4: an indication does not apply before its age, and
// is announced when that is near.
func TestUpcoming(t *testing.T) {
	born, nine := coldkeep.CivilDate(2017, 3, 1), coldkeep.CivilDate(2026, 3, 1)
	for _, c := range []struct {
		name       string
		assessment Date
		want       int
		due        bool
	}{
		{"a month before 9 years", coldkeep.CivilDate(2026, 2, 1), 1, true},
		{"two years before", coldkeep.CivilDate(2024, 2, 1), 0, false},
		{"at 9 years", nine, 0, true},
	} {
		p := &Patient{Born: born, Gender: schedule.Male, Assessment: c.assessment, Observations: []Observation{{Code: "211", Date: None}}}
		res := New(Builtin()).Forecast(p)
		if len(res.Upcoming) != c.want {
			t.Errorf("%s: %+v", c.name, res.Upcoming)
		}
		i := slices.IndexFunc(res.Forecasts, func(f Forecast) bool { return f.Group == "Dengue" })
		if (i >= 0) != c.due {
			t.Errorf("%s: dengue is forecast: %v", c.name, i >= 0)
		}
		if i < 0 {
			continue
		}
		f := res.Forecasts[i]
		if f.Earliest != nine || f.Number != 1 || (f.Begins == nine) != (c.want == 1) {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

// TestInfantWithoutStartDate holds the reading of an empty candidate earliest
// date: an infant at risk is due, and an adult follows the adult series, though
// the infant one has the higher priority.
func TestInfantWithoutStartDate(t *testing.T) {
	risk := []Observation{{Code: "070", Date: None}}
	for _, c := range []struct {
		name     string
		born     Date
		earliest Date
	}{
		{"9 months", coldkeep.CivilDate(2025, 2, 1), coldkeep.CivilDate(2025, 9, 1)},
		{"60 years", coldkeep.CivilDate(1965, 2, 1), coldkeep.CivilDate(1967, 2, 1)},
	} {
		p := &Patient{Born: c.born, Gender: schedule.Male, Assessment: coldkeep.CivilDate(2025, 11, 10), Observations: risk}
		f := forecastOf(t, New(Builtin()).Forecast(p), "Meningococcal")
		if !f.Risk || f.Status != NotComplete || f.Number != 1 || f.Earliest != c.earliest || f.Recommended != c.earliest {
			t.Errorf("%s: %+v, want from %s", c.name, f, c.earliest)
		}
	}
}

// TestUnknownIsSaid holds Table 5-4: an observation nobody knows of is not applied,
// and what hangs on it is said; one that was ruled out is not asked again.
func TestUnknownIsSaid(t *testing.T) {
	e := New(Builtin())
	p := &Patient{Born: coldkeep.CivilDate(1988, 6, 23), Gender: schedule.Male, Assessment: coldkeep.CivilDate(2025, 10, 1)}
	plain := e.Forecast(p)
	asked := func(res *Result, group, code string) bool {
		return slices.ContainsFunc(res.Unasked, func(u Unasked) bool {
			return u.Group == group && slices.ContainsFunc(u.Observations, func(o schedule.Observation) bool { return o.Code == code })
		})
	}
	if !asked(e.Explain(p), "Pneumococcal", "014") {
		t.Error("diabetes was not asked about")
	}
	p.Observations = []Observation{{Code: "014", Presence: Unknown}, {Code: "160", Presence: Absent}, {Code: "080", Presence: Unknown}}
	res := e.Explain(p)
	if !sameForecasts(plain.Forecasts, res.Forecasts) {
		t.Error("what is not known changed a forecast")
	}
	if len(res.Undetermined) != 2 || res.Undetermined[0].Code != "014" || !slices.Contains(res.Undetermined[0].Groups, "Pneumococcal") ||
		!slices.Contains(res.Undetermined[1].Groups, "MMR") {
		t.Errorf("it is said: %+v", res.Undetermined)
	}
	if asked(res, "Pneumococcal", "014") || asked(res, "Pneumococcal", "160") {
		t.Error("what was recorded is asked again")
	}
	p.Observations[0].Presence = Present
	if f := forecastOf(t, e.Forecast(p), "Pneumococcal"); !f.Risk || f.Status != NotComplete {
		t.Errorf("with diabetes: %+v", f)
	}
}

// TestRiskToComeStandsBeside holds that a risk series of a later age is told beside
// the standard one that is due today, and displaces it only when it applies.
func TestRiskToComeStandsBeside(t *testing.T) {
	e := New(Builtin())
	born := coldkeep.CivilDate(2025, 1, 10)
	p := &Patient{Born: born, Gender: schedule.Male, Assessment: coldkeep.CivilDate(2025, 6, 10), Observations: []Observation{{Code: "151"}},
		Doses: []Dose{{CVX: "49", Date: coldkeep.CivilDate(2025, 6, 10)}}}
	fs := e.Forecast(p).Of("Hib")
	if len(fs) != 2 || fs[0].Risk || fs[0].Begins != None || fs[0].Number != 2 || fs[0].Earliest != coldkeep.CivilDate(2025, 7, 8) {
		t.Fatalf("today: %+v", fs)
	}
	if year := coldkeep.CivilDate(2026, 1, 10); !fs[1].Risk || fs[1].Begins != year || fs[1].Earliest != year {
		t.Errorf("to come: %+v", fs[1])
	}
	p.Assessment = coldkeep.CivilDate(2026, 1, 10)
	if fs := e.Forecast(p).Of("Hib"); len(fs) != 1 || !fs[0].Risk || fs[0].Begins != None {
		t.Errorf("at 12 months: %+v", fs)
	}
}
