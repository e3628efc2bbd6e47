package forecast

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// TestInvalidDoseBringsNothingForward adds doses of the patient's own vaccines, at
// times near the others, to CDC's cases. One that does not count, and leaves the
// others as they were, brings no due date forward and advances no count.
//
// The exception is CDSi's own: where a target dose is skipped because enough time
// has passed since the previous dose (Table 6-8, CALCDTSKIP-5), a dose in between
// makes the skip fail, and another target dose comes next.
func TestInvalidDoseBringsNothingForward(t *testing.T) {
	s := publishedXML(t)
	e := New(s)
	byInterval := map[string]bool{}
	for i := range s.Antigens {
		for _, ser := range s.Antigens[i].Series {
			if asks(ser, schedule.ByInterval) {
				byInterval[s.Groups[ser.Group].Name] = true
			}
		}
	}
	rng := rand.New(rand.NewPCG(3, 1))
	tried := 0
	for _, c := range publishedCases(t) {
		p := c.patient(t)
		if len(p.Doses) == 0 {
			continue
		}
		before := e.Forecast(p)
		for range 10 {
			d := p.Doses[rng.IntN(len(p.Doses))]
			d.Date += Date(rng.IntN(120) - 60)
			if d.Date > p.Assessment || d.Date < p.Born {
				continue
			}
			q := *p
			q.Doses = append(slices.Clone(p.Doses), d)
			after := e.Forecast(&q)
			es := after.Doses[len(p.Doses)].Evaluations
			if len(es) == 0 || slices.ContainsFunc(es, func(e Evaluation) bool { return e.Status != NotValid }) || !sameDoses(before, after, len(p.Doses)) {
				continue
			}
			tried++
			for i := range before.Forecasts {
				f := &before.Forecasts[i]
				g := find(after.Forecasts, f)
				if g == nil || f.Status != NotComplete || g.Status != NotComplete || byInterval[f.Group] {
					continue
				}
				if g.Number > f.Number || g.Number == f.Number && g.Earliest < f.Earliest {
					t.Errorf("%s: the invalid %s of %s moved %s from dose %d, %s to dose %d, %s",
						c.ID, d.CVX, d.Date, f.Group, f.Number, f.Earliest, g.Number, g.Earliest)
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d invalid doses were tried", tried)
	}
}

func sameDoses(a, b *Result, n int) bool {
	for i := range n {
		if !slices.EqualFunc(a.Doses[i].Evaluations, b.Doses[i].Evaluations, func(x, y Evaluation) bool {
			return x.Status == y.Status && x.Series == y.Series
		}) {
			return false
		}
	}
	return true
}
