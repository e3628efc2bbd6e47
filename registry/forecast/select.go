package forecast

import (
	"slices"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// selectBest finds the best patient series of an antigen (chapter 8): one
// prioritized series for each series group, then those that are not redundant.
func (r *run) selectBest(a *schedule.Antigen) {
	var scratch [8]*series
	prioritized := scratch[:0]
	for i := range a.SeriesGroups {
		g := &a.SeriesGroups[i]
		prioritized = append(prioritized, r.prioritize(r.candidates(g.Series, g.Common)))
	}
	out := &r.antigens[a.Index]
	for i, st := range prioritized {
		if st != nil && best(st, i, prioritized) {
			out.best = append(out.best, st)
		}
	}
	if r.anyObs {
		r.lookAhead(a, prioritized)
	}
}

// lookAhead forecasts the risk series that begin to apply to the patient before
// long, of the series groups that have nothing to say today. [I] Table 5-4 asks
// whether an indication applies on the assessment date; a forecast is about the
// days after it, and CDC's cases expect the first dose from the day on which the
// indication begins. Such a series stands beside the others and displaces none:
// Table 8-14 is of those that apply today.
func (r *run) lookAhead(a *schedule.Antigen, prioritized []*series) {
	for i := range a.SeriesGroups {
		if prioritized[i] != nil {
			continue
		}
		any := false
		for _, ser := range a.SeriesGroups[i].Series {
			from := r.begins(ser)
			if from == None || r.follows[ser.Index] {
				continue
			}
			any = true
			r.follows[ser.Index] = true
			r.follow(ser, from)
		}
		if !any {
			continue
		}
		st := r.prioritize(a.SeriesGroups[i].Series)
		if st == nil || st.from == None || st.status != NotComplete {
			continue
		}
		if !slices.ContainsFunc(prioritized, func(o *series) bool { return o != nil && o.status == Complete && equivalent(st, o) }) {
			r.antigens[a.Index].ahead = append(r.antigens[a.Index].ahead, st)
		}
	}
}

// equivalent reports whether the series names the other's series group as one
// that protects as well (Table 8-14).
func equivalent(st, o *series) bool {
	return slices.Contains(st.Equivalent, number(o))
}

// best is Table 8-14.
func best(st *series, self int, prioritized []*series) bool {
	if st.status == Complete {
		return true
	}
	complete, risk := false, false
	for i, o := range prioritized {
		if i == self || o == nil || !equivalent(st, o) {
			continue
		}
		complete = complete || o.status == Complete
		risk = risk || o.Type == schedule.Risk
	}
	if complete || st.Type == schedule.EvaluationOnly {
		return false
	}
	return st.Type == schedule.Risk || !risk
}

// prioritize gives the prioritized series of a series group, or nil.
func (r *run) prioritize(group []*schedule.Series) *series {
	var scratch [24]*series
	var standBy *series
	complete, inProcess := 0, 0
	var oneComplete, oneInProcess *series
	for _, s := range group {
		if s.Default && r.follows[s.Index] && r.mayStart(&r.states[s.Index]) {
			standBy = &r.states[s.Index] // SELECTB-7
			break
		}
	}
	if standBy != nil && !r.anyObs && len(r.records[standBy.Antigen.Index]) == 0 {
		// Without a dose and an indication nothing is scorable beside a default
		// (SELECTSCORE-2), so it is the one (Table 8-3).
		return standBy.by(byDefault)
	}
	pool := r.scorable(group, scratch[:0])
	for _, st := range pool {
		switch {
		case st.status == Complete: // SELECTB-6
			complete++
			oneComplete = st
		case st.status == NotComplete && st.satisfied > 0: // SELECTB-16
			inProcess++
			oneInProcess = st
		}
	}
	// Table 8-3.
	switch {
	case len(pool) == 0:
		return standBy.by(byDefault)
	case len(pool) == 1:
		return pool[0].by(onlyScorable)
	case complete == 1:
		return oneComplete.by(onlyComplete)
	case complete == 0 && inProcess == 1:
		return oneInProcess.by(onlyInProcess)
	case complete == 0 && inProcess == 0 && standBy != nil:
		return standBy.by(byDefault)
	}
	return r.highest(pool, complete, inProcess).by(byScore)
}

// by notes how a series was chosen; there may be none.
func (st *series) by(how chosen) *series {
	if st != nil {
		st.chosen = how
	}
	return st
}

// mayStart holds the minimum age to start. [I] No rule of the specification
// names it; without it a series for those of 75 years and over would be forecast
// to infants. A patient with a valid dose in the series has started it.
func (r *run) mayStart(st *series) bool {
	return st.satisfied > 0 || max(r.p.Assessment, st.from) >= r.age(st.MinAge, schedule.Past)
}

// higher gives the higher of two priorities, A before B; 0 is none.
func higher(a, b byte) byte {
	if a == 0 || b < a {
		return b
	}
	return a
}

// cannotStart reports whether a series was never begun and has no start: it has
// aged out, or no date to start from. [I] Such a series does not set the highest
// priority of its group (SELECTSCORE-2), or it would hide the series of lower
// priority the patient can follow. Were none better, they would be candidates,
// as with SELECTB-24.
func (st *series) cannotStart() bool {
	return st.satisfied == 0 && (st.status == AgedOut || st.status == NotComplete && st.noStart)
}

// scorable gives the series of a group that may be chosen (SELECTSCORE-2).
func (r *run) scorable(group []*schedule.Series, pool []*series) []*series {
	candidates, valid, hasDefault := 0, 0, false
	top, all := byte(0), byte(0)
	for _, s := range group {
		if !r.follows[s.Index] {
			continue
		}
		st := &r.states[s.Index]
		if st.status != Contraindicated {
			candidates++
		}
		valid += st.satisfied
		hasDefault = hasDefault || s.Default
		if s.Type == schedule.Risk && r.mayStart(st) {
			all = higher(all, s.Priority)
			if !st.cannotStart() {
				top = higher(top, s.Priority)
			}
		}
	}
	if top == 0 {
		top = all
	}
	for _, s := range group {
		if !r.follows[s.Index] || !r.mayStart(&r.states[s.Index]) {
			continue
		}
		st := &r.states[s.Index]
		if st.status == Contraindicated && candidates > 0 {
			continue // SELECTB-24
		}
		switch s.Type {
		case schedule.Risk:
			if s.Priority == top {
				pool = append(pool, st)
			}
		case schedule.EvaluationOnly:
			if st.status == Complete {
				pool = append(pool, st)
			}
		case schedule.Standard:
			started := st.satisfied > 0 && st.first < r.age(s.MaxAge, schedule.Future)
			if started || valid == 0 && !hasDefault {
				pool = append(pool, st)
			}
		}
	}
	return pool
}
