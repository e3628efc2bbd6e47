package immunization

import (
	"context"
	"slices"
	"strconv"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
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

// forecasters is how many cores the forecasts of an export take.
const forecasters = 2

// Rows gives the doses of people that count as given, valid or not. A record that has been
// locked meanwhile has none.
func (s deidentified) Rows(ctx context.Context, heads []string) (map[string][][]string, error) {
	open, err := s.store.OpenFamilies(ctx, heads)
	if err != nil {
		return nil, err
	}
	var records []string
	whose := map[string]int{} // a record, in open
	for i := range open {
		for _, id := range open[i].Records {
			whose[id] = i
			records = append(records, id)
		}
	}
	doses, err := s.store.Doses(ctx, records)
	if err != nil {
		return nil, err
	}
	facts, err := s.store.Facts(ctx, records)
	if err != nil {
		return nil, err
	}
	people := make([]family, len(open))
	for i := range open {
		people[i].subject = open[i].Subject
	}
	for _, d := range doses {
		f := &people[whose[d.Patient]]
		f.doses = append(f.doses, d)
	}
	for _, v := range facts {
		f := &people[whose[v.Patient]]
		f.facts = append(f.facts, v)
	}
	today := coldkeep.DateOf(s.clock.Now())
	questions := make([]*forecast.Patient, len(people))
	for i := range people {
		questions[i], _ = asked(&people[i], today, "")
	}
	out, i := map[string][][]string{}, 0
	for _, r := range s.schedule.Engine().All(ctx, slices.Values(questions), forecasters) {
		out[questions[i].ID] = told(questions[i], r)
		i++
	}
	if i < len(questions) {
		return nil, ctx.Err()
	}
	return out, nil
}

// told are the lines of a person.
func told(p *forecast.Patient, r *forecast.Result) (out [][]string) {
	for i := range p.Doses {
		dose := []string{strconv.Itoa(i + 1), p.Doses[i].CVX, ageDays(p.Born, p.Doses[i].Date)}
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
	return out
}

// ageDays is the age on a day; "" when it is not known or over 89 years.
func ageDays(born, on coldkeep.Date) string {
	if !born.Known() || !on.Known() || on < born || years(born, on) >= 90 {
		return ""
	}
	return strconv.Itoa(int(on - born))
}
