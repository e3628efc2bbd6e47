package forecast

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestFutureDosesAreNotGiven holds that an answer for a day does not know what was
// given after it: coverage of last year is asked of today's records.
func TestFutureDosesAreNotGiven(t *testing.T) {
	e := New(Builtin())
	gen := somePatient(Builtin())
	rapid.Check(t, func(t *rapid.T) {
		p := gen.Draw(t, "patient")
		q := *p
		q.Doses = slices.Clone(p.Doses)
		for range rapid.IntRange(1, 4).Draw(t, "later doses") {
			d := someDose(t, Builtin(), p)
			d.Date = p.Assessment + Date(rapid.IntRange(1, 3000).Draw(t, "later"))
			q.Doses = append(q.Doses, d)
		}
		before, after := e.Forecast(p), e.Forecast(&q)
		if !sameForecasts(before.Forecasts, after.Forecasts) {
			t.Fatalf("a dose to come changed\n%+v\nto\n%+v", before.Forecasts, after.Forecasts)
		}
		for i := len(p.Doses); i < len(q.Doses); i++ {
			if len(after.Doses[i].Evaluations) != 0 {
				t.Fatalf("a dose to come is %+v", after.Doses[i])
			}
		}
	})
}
