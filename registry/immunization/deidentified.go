package immunization

import (
	"context"
	"strconv"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Deidentified gives the doses of people without a name, for patient.WriteDeidentified,
// which asks who may read them.
func (s *Service) Deidentified() patient.DeidentifiedDoses { return deidentified{s} }

type deidentified struct{ *Service }

// Header names a line's columns: which of the person's doses it is, the CVX code, the age
// in days on the day it was given, and one vaccine group with what the schedule says of
// the dose there. A dose of several groups has a line for each. No date is among them, and
// no age over 89 years (45 CFR 164.514(b)(2)(i)(C)); nor lot, practice or day of entry.
func (deidentified) Header() []string {
	return []string{"dose", "cvx", "age_days", "vaccine_group", "validity", "dose_number"}
}

// Rows gives the doses of a person that count as given, valid or not. A record that has
// been locked meanwhile has none.
func (s deidentified) Rows(ctx context.Context, id string) ([][]string, error) {
	none := [][]string{make([]string, len(s.Header()))}
	now := s.clock.Now()
	g, err := s.store.PatientGate(ctx, id, "", now)
	if err != nil {
		return nil, err
	}
	if g.Locked {
		return none, nil
	}
	of, err := s.family(ctx, s.store, g)
	if err != nil {
		return nil, err
	}
	p, ids := asked(of, coldkeep.DateOf(now), "")
	if len(ids) == 0 {
		return none, nil
	}
	r := s.schedule.Engine().Forecast(p)
	var out [][]string
	for i := range ids {
		dose := []string{strconv.Itoa(i + 1), p.Doses[i].CVX, ageDays(of.subject.Birth, p.Doses[i].Date)}
		verdicts := r.Doses[i].Verdicts()
		if len(verdicts) == 0 { // of a vaccine that the schedule does not know
			out = append(out, append(dose, "", "", ""))
		}
		for _, v := range verdicts {
			number := ""
			if v.Number > 0 {
				number = strconv.Itoa(v.Number)
			}
			out = append(out, append(dose[:len(dose):len(dose)], v.Group, v.Status.String(), number))
		}
	}
	return out, nil
}

// ageDays is the age on a day; "" when it is not known or over 89 years.
func ageDays(born, on coldkeep.Date) string {
	if !born.Known() || !on.Known() || on < born || years(born, on) >= 90 {
		return ""
	}
	return strconv.Itoa(int(on - born))
}
