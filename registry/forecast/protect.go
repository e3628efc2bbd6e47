package forecast

import (
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// protect decides immunity (7.2) and contraindications (7.3) of an antigen.
func (r *run) protect(a *schedule.Antigen) {
	out := &r.antigens[a.Index]
	*out = antigen{removed: out.removed[:0], best: out.best[:0], ahead: out.ahead[:0]}
	out.immune, out.because = r.immune(a)
	if !r.anyObs || out.immune {
		return
	}
	for _, c := range a.Contraindications { // Table 7-5
		if r.observed[c.Observation] && r.within(c.Begin, c.End, r.p.Assessment) {
			out.contraindicated = true
			out.because = r.s.Observations[c.Observation].Title
		}
	}
	for i := range a.VaccineContraindications { // Table 7-6
		c := &a.VaccineContraindications[i]
		if !r.observed[c.Observation] {
			continue
		}
		for _, v := range c.Vaccines {
			if r.within(v.Begin, v.End, r.p.Assessment) { // CALCDTCI-1, CALCDTCI-2
				out.removed = append(out.removed, v.CVX)
				if !out.contraindicated {
					out.because = r.s.Observations[c.Observation].Title
				}
			}
		}
	}
}

// immune is Table 7-3, and says what the immunity rests on.
func (r *run) immune(a *schedule.Antigen) (bool, string) {
	for _, o := range a.Immune {
		if r.observed[o] {
			return true, r.s.Observations[o].Title
		}
	}
	for i := range a.BornBefore {
		b := &a.BornBefore[i]
		if r.p.Born >= b.Before || slices.ContainsFunc(b.Not, func(o schedule.Obs) bool { return r.observed[o] }) {
			continue
		}
		if b.Country == "" || sameCountry(b.Country, r.p.BirthCountry) {
			return true, "born before the immunity birth date"
		}
	}
	return false, ""
}

// sameCountry compares the schedule's "U.S." with how patients carry it.
func sameCountry(a, b string) bool {
	short := func(s string) string {
		s = strings.ToUpper(strings.ReplaceAll(s, ".", ""))
		if s == "USA" || s == "UNITED STATES" || s == "UNITED STATES OF AMERICA" {
			return "US"
		}
		return s
	}
	return b != "" && short(a) == short(b)
}

// contraindicated is Table 7-7: the antigen is, or every preferable vaccine of
// the series is.
func (r *run) contraindicated(st *series) bool {
	a := &r.antigens[st.Antigen.Index]
	if a.contraindicated {
		return true
	}
	if len(a.removed) == 0 {
		return false
	}
	any := false
	for i := range st.Doses {
		for k := range st.Doses[i].Preferable {
			any = true
			if !slices.Contains(a.removed, st.Doses[i].Preferable[k].CVX) {
				return false
			}
		}
	}
	return any
}
