package forecast

import "github.com/coldkeep/coldkeep/registry/forecast/schedule"

// relevant decides whether the patient follows a series (Table 5-5).
func (r *run) relevant(s *schedule.Series) bool {
	if s.Genders&r.p.Gender == 0 {
		return false
	}
	if s.Type != schedule.Risk {
		return true
	}
	// Table 5-4: an indication applies when its observation is active and the
	// patient is in its age window (CALCDTIND-1, CALCDTIND-2).
	later := schedule.Indication{Observation: schedule.NoObs}
	for _, i := range s.Indications {
		if !r.observed[i.Observation] {
			continue
		}
		if r.within(i.Begin, i.End, r.p.Assessment) {
			return true
		}
		if r.p.Assessment < r.age(i.Begin, schedule.Past) {
			later = i
		}
	}
	if later.Observation != schedule.NoObs {
		r.upcoming(s, later)
	}
	return false
}

// upcoming tells once for a vaccine group which observation will matter, and
// when first.
func (r *run) upcoming(s *schedule.Series, i schedule.Indication) {
	u := Upcoming{r.s.Groups[s.Group].Name, r.s.Observations[i.Observation].Code, r.age(i.Begin, schedule.Past)}
	for k := range r.out.Upcoming {
		if o := &r.out.Upcoming[k]; o.Group == u.Group && o.Observation == u.Observation {
			o.From = min(o.From, u.From)
			return
		}
	}
	r.out.Upcoming = append(r.out.Upcoming, u)
}
