package forecast

import "github.com/coldkeep/coldkeep/registry/forecast/schedule"

// skips reports whether a target dose is not needed (Table 6-11). The reference
// date is the date administered when a dose is evaluated, the assessment date
// when forecasting and the earliest date when validating (CONDSKIP-2). Of the
// history, the records before record i are known.
func (r *run) skips(st *series, t *schedule.Dose, ctx schedule.Context, ref Date, i int) bool {
	for k := range t.Skips {
		s := &t.Skips[k]
		if s.Context&ctx == 0 || len(s.Sets) == 0 {
			continue
		}
		if r.skipMet(st, t, s, ctx, ref, i) {
			if r.explain {
				r.noteSkip(st, t, s, ctx, ref, i)
			}
			return true
		}
	}
	return false
}

// skipMet joins the sets of a skip (Table 6-11) and their conditions (Table 6-10).
func (r *run) skipMet(st *series, t *schedule.Dose, s *schedule.Skip, ctx schedule.Context, ref Date, i int) bool {
	anchor := ref
	if ctx == schedule.InForecast {
		anchor = r.p.Assessment // RELEVANT-2
	}
	seen := false
	for k := range s.Sets {
		set := &s.Sets[k]
		if !set.Holds(anchor) {
			continue
		}
		seen = true
		met := set.All
		for c := range set.Conditions {
			if ok := r.conditionMet(st, t, &set.Conditions[c], ctx, ref, i); ok != set.All {
				met = ok
				break
			}
		}
		if met != s.All {
			return met
		}
	}
	return seen && s.All
}

// conditionMet decides one condition by the table of its type.
func (r *run) conditionMet(st *series, t *schedule.Dose, c *schedule.Condition, ctx schedule.Context, ref Date, i int) bool {
	switch c.Type {
	case schedule.ByAge: // Table 6-6, CALCDTSKIP-3, CALCDTSKIP-4
		return r.within(c.Begin, c.EndAge, ref)
	case schedule.ByInterval: // Table 6-8, CALCDTSKIP-5
		for k := i - 1; k >= 0; k-- {
			if g := &r.given[r.records[st.Antigen.Index][k]]; substandard(g.dose) == NoReason {
				return ref >= c.Interval.From(g.date)
			}
		}
		return false
	case schedule.ByCompleted: // Table 6-7
		for _, g := range c.Groups {
			for _, other := range st.Antigen.SeriesGroups[g].Series {
				if o := &r.states[other.Index]; r.follows[other.Index] && o != st && o.status == Complete {
					return true
				}
			}
		}
		return false
	}
	n := r.count(st, t, c, ctx, i)
	switch c.Compare { // Table 6-9
	case schedule.MoreThan:
		return n > c.Count
	case schedule.LessThan:
		return n < c.Count
	}
	return n == c.Count
}

// count is CONDSKIP-1: the doses of the listed types in the age and date window;
// valid doses of this series, or all of the history.
func (r *run) count(st *series, t *schedule.Dose, c *schedule.Condition, ctx schedule.Context, i int) int {
	n := 0
	from, until := r.age(c.Begin, schedule.Past), r.age(c.EndAge, schedule.Future)
	start, end := r.counted(t, c, ctx)
	if start != None {
		from = max(from, start)
	}
	if end != None {
		until = min(until, end)
	}
	records := r.records[st.Antigen.Index]
	if c.Valid {
		for k := range i {
			if st.evals[k].status == Valid && r.counts(&r.given[records[k]], c, from, until) {
				n++
			}
		}
		return n
	}
	if c.Vaccines == nil {
		// [I] A condition that lists no vaccine types counts the antigen's own: a
		// pneumococcal dose makes no Hib dose unnecessary.
		for k := range i {
			if g := &r.given[records[k]]; r.counts(g, c, from, until) && substandard(g.dose) == NoReason {
				n++
			}
		}
		return n
	}
	last := len(r.given)
	if ctx == schedule.InEvaluation {
		// [I] The doses so far: skipping asks whether earlier doses make this
		// target dose unnecessary.
		last = int(records[i])
	}
	for k := range last {
		// A dose that cannot be evaluated (Table 6-3) has no status to count by.
		if g := &r.given[k]; r.counts(g, c, from, until) && substandard(g.dose) == NoReason {
			n++
		}
	}
	return n
}

func (r *run) counts(g *given, c *schedule.Condition, from, until Date) bool {
	return from <= g.date && g.date < until && (c.Vaccines == nil || c.Vaccines.Has(g.cvx))
}
