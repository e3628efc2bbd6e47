package forecast

import "github.com/coldkeep/coldkeep/registry/forecast/schedule"

// preferable is Table 6-26: a preferable vaccine type, in its age window, of the
// trade name where one is asked for. The manufacturer (MVX) and the type tell
// the trade name.
func (r *run) preferable(st *series, t *schedule.Dose, i int, g *given) bool {
	for k := range t.Preferable {
		v := &t.Preferable[k]
		if v.CVX != g.cvx || !r.within(v.Begin, v.End, g.date) {
			continue // CALCDTPREF-1, CALCDTPREF-2
		}
		if v.MVX != "" && v.MVX != g.dose.MVX {
			continue
		}
		if r.explain {
			st.noteDose(i, "Table 6-26", "with a preferable vaccine", false, fact("cvx", g.dose.CVX), fact("mvx", g.dose.MVX))
		}
		return true
	}
	return false
}

// allowable is Table 6-29: an allowable vaccine type in its age window.
func (r *run) allowable(st *series, t *schedule.Dose, i int, g *given) bool {
	for k := range t.AllowedTypes {
		v := &t.AllowedTypes[k]
		if v.CVX == g.cvx && r.within(v.Begin, v.End, g.date) { // CALCDTALLOW-1, CALCDTALLOW-2
			if r.explain {
				st.noteDose(i, "Table 6-29", "with an allowable vaccine", false, fact("cvx", g.dose.CVX), fact("mvx", g.dose.MVX))
			}
			return true
		}
	}
	if r.explain {
		r.noteWrongVaccine(st, t, i, g)
	}
	return false
}
