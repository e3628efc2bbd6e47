package forecast

import (
	"slices"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// relevant decides whether the patient follows a series (Table 5-5).
func (r *run) relevant(s *schedule.Series) bool {
	if s.Genders&r.gender == 0 {
		return false
	}
	if s.Type != schedule.Risk {
		return true
	}
	// Table 5-4: an indication applies when its observation is active and the
	// patient is in its age window (CALCDTIND-1, CALCDTIND-2).
	for _, i := range s.Indications {
		if r.observed[i.Observation] && r.within(i.Begin, i.End, r.p.Assessment) {
			return true
		}
	}
	r.noteUpcoming(s)
	return false
}

// soon is how far ahead a risk series is announced, in days.
const soon = 366

// begins gives the day a risk series of another time begins to apply to the
// patient, by an indication the patient has and an age to come, or None when that
// is not soon (Table 5-4, CALCDTIND-1).
func (r *run) begins(s *schedule.Series) Date {
	out := None
	if s.Type != schedule.Risk || s.Genders&r.gender == 0 {
		return out
	}
	for _, i := range s.Indications {
		from := r.age(i.Begin, schedule.Past)
		if r.observed[i.Observation] && from > r.p.Assessment && from <= r.p.Assessment+soon {
			out = earlier(out, from)
		}
	}
	return out
}

// noteUpcoming tells, once for a vaccine group and observation, that a risk
// series begins to apply before long.
func (r *run) noteUpcoming(s *schedule.Series) {
	for _, i := range s.Indications {
		from := r.age(i.Begin, schedule.Past)
		if !r.observed[i.Observation] || from <= r.p.Assessment || from > r.p.Assessment+soon {
			continue
		}
		u := Upcoming{r.s.Groups[s.Group].Name, r.s.Observations[i.Observation].Code, from}
		k := slices.IndexFunc(r.out.Upcoming, func(o Upcoming) bool { return o.Group == u.Group && o.Observation == u.Observation })
		if k < 0 {
			r.out.Upcoming = append(r.out.Upcoming, u)
		} else {
			r.out.Upcoming[k].From = min(r.out.Upcoming[k].From, from)
		}
	}
}
