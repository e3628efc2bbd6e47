package forecast

import (
	"slices"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// evaluateConflict reports whether a dose is too close after another vaccine,
// of whatever antigen (CONFLICT-3). A dose of the same day does not conflict:
// the window begins a day later (CALCDTCONFLICT-1).
func (r *run) evaluateConflict(st *series, i int, g *given) bool {
	if g.cvx == schedule.NoCVX {
		return false
	}
	v := &r.s.Vaccines[g.cvx]
	if len(v.Conflicts) == 0 {
		return false
	}
	conflicts := v.Conflicts
	records := r.records[st.Antigen.Index]
	for k := range r.given {
		prev := &r.given[k]
		if prev.date >= g.date {
			break
		}
		if !v.Impacted.Has(prev.cvx) {
			continue
		}
		for c := range conflicts {
			if conflicts[c].Previous != prev.cvx {
				continue
			}
			// CALCDTCONFLICT-2: the shorter end after a valid dose. A dose of
			// another antigen is unevaluated here, which also takes the shorter.
			end := conflicts[c].MinEnd
			if e := st.evaluated(records, k); e == NotValid || e == Extraneous || e == SubStandard {
				end = conflicts[c].End
			}
			begin, until := conflicts[c].Begin.From(prev.date), end.From(prev.date)
			if begin <= g.date && g.date < until {
				if r.explain {
					r.noteConflict(st, i, g, prev, until)
				}
				return true
			}
		}
	}
	return false
}

// evaluated gives the status dose k of the history has in the series.
func (st *series) evaluated(records []int32, k int) EvalStatus {
	if n, found := slices.BinarySearch(records, int32(k)); found {
		return st.evals[n].status
	}
	return Unevaluated
}

// conflictEnd gives the latest end of a conflict with the vaccines a target dose
// prefers, or None (CALCDTCONFLICT-3: the dose and the full conflict end interval).
func (r *run) conflictEnd(t *schedule.Dose) Date {
	end := None
	if t.Impacted == nil {
		return end
	}
	for k := range r.given {
		prev := &r.given[k]
		if !t.Impacted.Has(prev.cvx) {
			continue
		}
		for p := range t.Preferable {
			v := &t.Preferable[p]
			for _, c := range r.s.Vaccines[v.CVX].Conflicts {
				if c.Previous == prev.cvx {
					end = max(end, c.End.From(prev.date))
				}
			}
		}
	}
	return end
}
