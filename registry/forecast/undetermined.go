package forecast

import (
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// reportUnknown says what hangs on an observation of which nobody knows whether
// the patient has it (Table 5-4 and Tables 7-5, 7-6: it is not applied, and its
// text is for the clinician).
func (r *run) reportUnknown() {
	for _, o := range r.unknown {
		if r.observed[o] {
			continue // recorded a second time, as present
		}
		u := Undetermined{Code: r.s.Observations[o].Code, Title: r.s.Observations[o].Title}
		for g := range r.s.Groups {
			for _, a := range r.s.Groups[g].Antigens {
				if r.hangsOn(&r.s.Antigens[a], g, o) && !slices.Contains(u.Groups, r.s.Groups[g].Name) {
					u.Groups = append(u.Groups, r.s.Groups[g].Name)
				}
			}
		}
		u.Says = "It is not known whether this applies: " + u.Title + ". It was not taken into account"
		if len(u.Groups) > 0 {
			u.Says += "; if it applies, the forecast may change for " + strings.Join(u.Groups, ", ")
		}
		u.Says += "."
		r.out.Undetermined = append(r.out.Undetermined, u)
	}
}

// hangsOn reports whether an observation could change the forecast of an antigen
// in a vaccine group at the patient's age.
func (r *run) hangsOn(a *schedule.Antigen, group int, o schedule.Obs) bool {
	for _, s := range a.Series {
		if s.Group == group && !r.follows[s.Index] && r.wouldFollow(s, o) {
			return true
		}
	}
	if slices.Contains(a.Immune, o) {
		return true
	}
	for i := range a.BornBefore {
		if r.p.Born < a.BornBefore[i].Before && slices.Contains(a.BornBefore[i].Not, o) {
			return true
		}
	}
	for _, c := range a.Contraindications {
		if c.Observation == o && r.within(c.Begin, c.End, r.p.Assessment) {
			return true
		}
	}
	return slices.ContainsFunc(a.VaccineContraindications, func(c schedule.VaccineContraindication) bool { return c.Observation == o })
}

// wouldFollow reports whether the patient would follow a risk series because of
// an observation (Table 5-5).
func (r *run) wouldFollow(s *schedule.Series, o schedule.Obs) bool {
	return s.Type == schedule.Risk && s.Genders&r.gender != 0 &&
		slices.ContainsFunc(s.Indications, func(i schedule.Indication) bool {
			return i.Observation == o && r.within(i.Begin, i.End, r.p.Assessment)
		})
}

// reportUnasked lists, by vaccine group, the observations of which nothing is
// recorded and by which a risk series would be followed.
func (r *run) reportUnasked() {
	recorded := map[schedule.Obs]bool{}
	for _, o := range r.p.Observations {
		if i, ok := r.s.Observation(o.Code); ok {
			recorded[i] = true
		}
	}
	for g := range r.s.Groups {
		ask := map[schedule.Obs]bool{}
		for _, a := range r.s.Groups[g].Antigens {
			for _, s := range r.s.Antigens[a].Series {
				if s.Type != schedule.Risk || s.Group != g || s.Genders&r.gender == 0 || r.follows[s.Index] {
					continue
				}
				for _, i := range s.Indications {
					if !recorded[i.Observation] && r.within(i.Begin, i.End, r.p.Assessment) {
						ask[i.Observation] = true
					}
				}
			}
		}
		if len(ask) == 0 {
			continue
		}
		u := Unasked{Group: r.s.Groups[g].Name}
		for i := range r.s.Observations {
			if ask[schedule.Obs(i)] {
				u.Observations = append(u.Observations, r.s.Observations[i])
			}
		}
		r.out.Unasked = append(r.out.Unasked, u)
	}
}
