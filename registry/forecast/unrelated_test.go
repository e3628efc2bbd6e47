package forecast

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// unrelated lists the vaccine types that are of no antigen of a vaccine group and
// in no conflict: what a patient has of them says nothing of the group.
func unrelated(s *schedule.Schedule, group string) []string {
	var out []string
	g := slices.IndexFunc(s.Groups, func(g schedule.Group) bool { return g.Name == group })
	previous := map[schedule.CVX]bool{}
	for i := range s.Vaccines {
		for _, c := range s.Vaccines[i].Conflicts {
			previous[c.Previous] = true
		}
	}
	for i := range s.Vaccines {
		v := &s.Vaccines[i]
		if len(v.Conflicts) > 0 || previous[schedule.CVX(i)] {
			continue
		}
		if !slices.ContainsFunc(v.Associations, func(a schedule.Association) bool { return slices.Contains(s.Groups[g].Antigens, a.Antigen) }) {
			out = append(out, v.Code)
		}
	}
	return out
}

// TestOtherVaccinesSayNothing gives the patients of CDC's cases, who have doses of
// one vaccine group only, the doses of others that a real patient has as well. The
// answer for the group stays.
func TestOtherVaccinesSayNothing(t *testing.T) {
	s := publishedXML(t)
	e := New(s)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range publishedCases(t) {
		p := c.patient(t)
		others := unrelated(s, c.Group)
		q := *p
		q.Doses = slices.Clone(p.Doses)
		for range 12 {
			q.Doses = append(q.Doses, Dose{CVX: others[rng.IntN(len(others))], Date: p.Born + Date(rng.IntN(int(p.Assessment-p.Born)+1))})
		}
		alone, among := e.Forecast(p), e.Forecast(&q)
		if !sameForecasts(alone.Of(c.Group), among.Of(c.Group)) {
			t.Errorf("%s: with other vaccines\n%+v\nis\n%+v", c.ID, alone.Of(c.Group), among.Of(c.Group))
		}
		for i := range p.Doses {
			if a, b := verdictOf(&alone.Doses[i], c.Group), verdictOf(&among.Doses[i], c.Group); a != b {
				t.Errorf("%s: dose %d with other vaccines was %+v and is %+v", c.ID, i+1, a, b)
			}
		}
	}
}

func verdictOf(d *DoseResult, group string) Verdict {
	for _, v := range d.Verdicts() {
		if v.Group == group {
			return v
		}
	}
	return Verdict{}
}
