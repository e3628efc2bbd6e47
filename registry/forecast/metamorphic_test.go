package forecast

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// The properties below hold for the specification as a whole, whatever the
// schedule says; they are tried on the built-in one.

// somePatient draws a patient with a plausible or an odd history.
func somePatient(s *schedule.Schedule) *rapid.Generator[*Patient] {
	return rapid.Custom(func(t *rapid.T) *Patient {
		p := &Patient{
			Born:   coldkeep.CivilDate(rapid.IntRange(1940, 2025).Draw(t, "year"), rapid.IntRange(1, 12).Draw(t, "month"), rapid.IntRange(1, 28).Draw(t, "day")),
			Gender: rapid.SampledFrom([]schedule.Gender{schedule.Female, schedule.Male, schedule.UnknownGender}).Draw(t, "gender"),
		}
		p.Assessment = p.Born + Date(rapid.IntRange(0, 30000).Draw(t, "age"))
		for range rapid.IntRange(0, 8).Draw(t, "doses") {
			p.Doses = append(p.Doses, someDose(t, s, p))
		}
		for range rapid.IntRange(0, 2).Draw(t, "observations") {
			p.Observations = append(p.Observations, Observation{
				Code: rapid.SampledFrom(s.Observations).Draw(t, "observation").Code,
			})
		}
		return p
	})
}

// someDose draws a dose on or before the assessment date.
func someDose(t *rapid.T, s *schedule.Schedule, p *Patient) Dose {
	span := int(p.Assessment - p.Born)
	days := rapid.IntRange(0, span).Draw(t, "days")
	if rapid.Bool().Draw(t, "early") {
		days = min(days, rapid.IntRange(0, 2000).Draw(t, "early days"))
	}
	return Dose{
		Date: p.Born + Date(days), CVX: rapid.SampledFrom(s.Vaccines).Draw(t, "cvx").Code,
		MVX: rapid.SampledFrom([]string{"", "SKB", "MSD", "PMC"}).Draw(t, "mvx"), LotExpiry: None,
	}
}

func sameForecasts(a, b []Forecast) bool {
	return slices.EqualFunc(a, b, func(x, y Forecast) bool {
		return x.Group == y.Group && x.Risk == y.Risk && x.Reason == y.Reason && !differs(&x, &y)
	})
}

// TestOrderOfDosesIsIrrelevant holds 4.2: the records are sorted.
func TestOrderOfDosesIsIrrelevant(t *testing.T) {
	e := New(Builtin())
	gen := somePatient(Builtin())
	rapid.Check(t, func(t *rapid.T) {
		p := gen.Draw(t, "patient")
		before := e.Forecast(p)
		order := rapid.Permutation(indexes(len(p.Doses))).Draw(t, "order")
		q := *p
		q.Doses = nil
		for _, i := range order {
			q.Doses = append(q.Doses, p.Doses[i])
		}
		after := e.Forecast(&q)
		if !sameForecasts(before.Forecasts, after.Forecasts) {
			t.Fatalf("the order changed a forecast:\n%+v\n%+v", before.Forecasts, after.Forecasts)
		}
		for i, from := range order {
			if twins(p, from) {
				continue // two doses that cannot be told apart
			}
			if !slices.EqualFunc(after.Doses[i].Evaluations, before.Doses[from].Evaluations, func(a, b Evaluation) bool {
				return a.Antigen == b.Antigen && a.Risk == b.Risk && a.Status == b.Status && a.Reason == b.Reason
			}) {
				t.Fatalf("the order changed an evaluation of %+v", q.Doses[i])
			}
		}
	})
}

func twins(p *Patient, i int) bool {
	for k := range p.Doses {
		if k != i && p.Doses[k] == p.Doses[i] {
			return true
		}
	}
	return false
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// TestShiftByADay moves a whole life by a day. With every day of a month below
// 28 no calendar rule but CALCDT-1 to -4 is at work, so each date moves by a day
// as well, unless a date of the calendar holds it: a season, or the day a rule
// changed.
func TestShiftByADay(t *testing.T) {
	e := New(Builtin())
	gen := somePatient(Builtin())
	rapid.Check(t, func(t *rapid.T) {
		p := gen.Draw(t, "patient")
		if !early(p) || nearACalendarDate(Builtin(), p) {
			t.Skip("a calendar rule is at work")
		}
		q := *p
		q.Born++
		q.Assessment++
		q.Doses = slices.Clone(p.Doses)
		for i := range q.Doses {
			q.Doses[i].Date++
		}
		before, after := e.Forecast(p).Forecasts, e.Forecast(&q).Forecasts
		for i := range before {
			f := &before[i]
			g := find(after, f)
			if seasonal[f.Group] {
				continue
			}
			if g == nil || g.Status != f.Status || g.Number != f.Number ||
				g.Earliest != next(f.Earliest) || g.Recommended != next(f.Recommended) || g.PastDue != next(f.PastDue) {
				t.Fatalf("a day later\n%+v\nbecame\n%+v", f, g)
			}
		}
	})
}

var seasonal = map[string]bool{"COVID-19": true, "Influenza": true, "RSV": true}

func next(d Date) Date {
	if d == None {
		return None
	}
	return d + 1
}

func early(p *Patient) bool {
	_, _, d := p.Born.Civil()
	ok := d < 25
	for i := range p.Doses {
		_, _, d := p.Doses[i].Date.Civil()
		ok = ok && d < 25
	}
	return ok
}

// nearACalendarDate reports whether a date of the patient is next to one at which
// a rule of the schedule changes.
func nearACalendarDate(s *schedule.Schedule, p *Patient) bool {
	var marks []Date
	window := func(w schedule.Window) { marks = append(marks, w.Effective, w.Cessation) }
	for i := range s.Antigens {
		for _, b := range s.Antigens[i].BornBefore {
			marks = append(marks, b.Before)
		}
		for _, ser := range s.Antigens[i].Series {
			for _, d := range ser.Doses {
				for _, a := range d.Ages {
					window(a.Window)
				}
				for _, v := range d.Intervals {
					window(v.Window)
				}
				for _, k := range d.Skips {
					for _, set := range k.Sets {
						window(set.Window)
						for _, c := range set.Conditions {
							marks = append(marks, c.Start, c.End)
						}
					}
				}
			}
		}
	}
	dates := []Date{p.Born, p.Assessment}
	for i := range p.Doses {
		dates = append(dates, p.Doses[i].Date)
	}
	for _, m := range marks {
		for _, d := range dates {
			if d >= m-1 && d <= m+1 {
				return true
			}
		}
	}
	return false
}

// TestFlaggedDoseNeverHelps holds 6.1: a dose that cannot be trusted completes
// nothing and brings no due date forward.
func TestFlaggedDoseNeverHelps(t *testing.T) {
	e := New(Builtin())
	gen := somePatient(Builtin())
	rapid.Check(t, func(t *rapid.T) {
		p := gen.Draw(t, "patient")
		d := someDose(t, Builtin(), p)
		d.Condition = true
		q := *p
		q.Doses = append(slices.Clone(p.Doses), d)
		before, res := e.Forecast(p).Forecasts, e.Forecast(&q)
		for _, ev := range res.Doses[len(p.Doses)].Evaluations {
			if ev.Status != SubStandard && ev.Reason != SeriesComplete {
				t.Fatalf("the flagged dose is %v", ev)
			}
		}
		for i := range before {
			f := &before[i]
			g := find(res.Forecasts, f)
			if g == nil || f.Status == NotComplete && (g.Status == Complete || g.Earliest < f.Earliest || g.Number != f.Number) {
				t.Fatalf("a flagged %s changed\n%+v\nto\n%+v", d.CVX, f, g)
			}
		}
	})
}

// TestTimeNeverUndoes holds that the evaluation of a series does not depend on
// the day it is asked for. (A series that asks whether another is complete,
// Table 6-7, does: that other may be completed by growing older.)
func TestTimeNeverUndoes(t *testing.T) {
	now, later := newRun(Builtin()), newRun(Builtin())
	gen := somePatient(Builtin())
	rapid.Check(t, func(t *rapid.T) {
		p := gen.Draw(t, "patient")
		q := *p
		q.Assessment += Date(rapid.IntRange(1, 5000).Draw(t, "days later"))
		now.forecast(p, new(Result), false)
		later.forecast(&q, new(Result), false)
		for i := range now.states {
			a, b := &now.states[i], &later.states[i]
			if !now.follows[i] || !later.follows[i] || asksCompleted(a.Series) {
				continue
			}
			for k := range a.evals {
				if a.evals[k].status != b.evals[k].status {
					t.Fatalf("%s: dose %d was %v and became %v", a.Name, k+1, a.evals[k].status, b.evals[k].status)
				}
			}
		}
	})
}

func asksCompleted(s *schedule.Series) bool { return asks(s, schedule.ByCompleted) }

// asks reports whether a skip of the series has a condition of the type.
func asks(s *schedule.Series, what schedule.ConditionType) bool {
	for i := range s.Doses {
		for _, k := range s.Doses[i].Skips {
			for _, set := range k.Sets {
				if slices.ContainsFunc(set.Conditions, func(c schedule.Condition) bool { return c.Type == what }) {
					return true
				}
			}
		}
	}
	return false
}

// TestInvalidDoseNeverHelps takes the doses of CDC's cases that do not count and
// asks without them: for their absence no dose is due later, and none is undone.
func TestInvalidDoseNeverHelps(t *testing.T) {
	e := New(publishedXML(t))
	tried, sooner := 0, 0
	for _, c := range publishedCases(t) {
		p := c.patient(t)
		with := e.Forecast(p)
		for i := range p.Doses {
			es := with.Doses[i].Evaluations
			if len(es) == 0 || slices.ContainsFunc(es, func(e Evaluation) bool { return e.Status != NotValid }) {
				continue
			}
			q := *p
			q.Doses = slices.Delete(slices.Clone(p.Doses), i, i+1)
			without := e.Forecast(&q).Forecasts
			tried++
			for k := range with.Forecasts {
				f := &with.Forecasts[k]
				g := find(without, f)
				if g == nil || f.Status != NotComplete || g.Status != NotComplete {
					continue
				}
				if f.Number > g.Number || f.Number == g.Number && f.Earliest < g.Earliest {
					sooner++
					t.Logf("%s: with the invalid dose %s %d from %s, without it %d from %s",
						c.ID, f.Group, f.Number, f.Earliest, g.Number, g.Earliest)
				}
			}
		}
	}
	if tried == 0 || sooner > 0 {
		t.Errorf("of %d invalid doses %d brought a due date forward", tried, sooner)
	}
}

// TestReuseLeavesNothing holds that a run used again answers as a new one.
func TestReuseLeavesNothing(t *testing.T) {
	s := Builtin()
	used := &liner{run: newRun(s)}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range publishedCases(t) {
		line := c.line(t)
		fresh := &liner{run: newRun(s)}
		explain := rng.IntN(2) == 0
		if a, b := string(used.append(nil, line, explain)), string(fresh.append(nil, line, explain)); a != b {
			t.Fatalf("a used run answers differently:\n%s\n%s", a, b)
		}
	}
}
