package forecast

import "github.com/coldkeep/coldkeep/registry/forecast/schedule"

// highest scores the series of a pool and gives the one with most points, and of
// equals the one preferred (Table 8-5, SELECTBEST-1, SELECTBEST-2).
func (r *run) highest(pool []*series, complete, inProcess int) *series {
	var scratch [24]*series
	scored := scratch[:0]
	for _, st := range pool {
		st.score = 0
		switch {
		case complete > 0:
			if st.status == Complete {
				scored = append(scored, st)
			}
		case inProcess > 0:
			if st.status == NotComplete && st.satisfied > 0 {
				scored = append(scored, st)
			}
		default:
			scored = append(scored, st)
		}
	}
	switch {
	case complete > 0:
		award(scored, 1, mostValid) // Table 8-7
	case inProcess > 0: // Table 8-9
		for _, st := range scored {
			st.score += sign(st.ProductPath && st.allValid(), 2)
			st.score += sign(r.completable(st), 3)
		}
		award(scored, 2, mostValid)
		award(scored, 2, func(st *series) int { return -st.remaining() }) // SELECTB-5
		award(scored, 1, r.finishes)                                      // SELECTB-11
	default: // Table 8-11
		award(scored, 1, start)
		for _, st := range scored {
			st.score += sign(r.completable(st), 1)
			st.score += sign(!st.ProductPath, 1) // SELECTB-23
		}
	}
	var out *series
	for _, st := range scored {
		if out == nil || st.score > out.score || st.score == out.score && st.Preference < out.Preference {
			out = st
		}
	}
	return out
}

func sign(yes bool, points int) int {
	if yes {
		return points
	}
	return -points
}

// never is the measure of a series that cannot have the merit at all.
const never = -1 << 40

// award gives points to the one series with the greatest measure, none to
// several that share it, and takes them from the others.
func award(scored []*series, points int, measure func(*series) int) {
	top, n := never, 0
	for _, st := range scored {
		switch m := measure(st); {
		case m == never:
		case m > top:
			top, n = m, 1
		case m == top:
			n++
		}
	}
	for _, st := range scored {
		switch m := measure(st); {
		case m == never || m < top:
			st.score -= points
		case n == 1:
			st.score += points
		}
	}
}

// mostValid measures the number of valid doses (SELECTB-19, SELECTB-21).
func mostValid(st *series) int { return st.satisfied }

// allValid is SELECTB-2: every dose evaluated against the series is valid.
func (st *series) allValid() bool {
	for i := range st.evals {
		if e := &st.evals[i]; e.status != Valid && e.target != 0 {
			return false
		}
	}
	return true
}

// remaining counts the target doses not satisfied.
func (st *series) remaining() int {
	n := 0
	for i := range st.targets {
		if st.targets[i].status == notSatisfied {
			n++
		}
	}
	return n
}

// start measures who can start earliest (SELECTB-14), among the series with a
// start date.
func start(st *series) int {
	if st.noStart || st.earliest == None {
		return never
	}
	return -int(st.earliest)
}

// finish is SELECTB-12: the earliest date and the longest minimum interval of
// the target doses still to come after it. A series without a start has no end.
func (r *run) finish(st *series) Date {
	if st.noStart || st.earliest == None {
		return schedule.Future
	}
	out := st.earliest
	for i := st.next + 1; i < len(st.targets); i++ {
		for k := range st.targets[i].dose.Intervals {
			v := &st.targets[i].dose.Intervals[k]
			if v.Min != nil && v.Holds(r.p.Assessment) {
				out = max(out, v.Min.From(st.earliest))
			}
		}
	}
	return out
}

// completable is SELECTB-3: the series finishes before the maximum age of its
// last dose.
func (r *run) completable(st *series) bool {
	last := st.targets[len(st.targets)-1].dose
	a := agesAt(last, r.p.Assessment)
	if a == nil {
		return true
	}
	return r.finish(st) < r.age(a.Max, schedule.Future)
}

// finishes measures who can finish earliest (SELECTB-11).
func (r *run) finishes(st *series) int {
	if !r.completable(st) {
		return never
	}
	return -int(r.finish(st))
}
