package forecast

import (
	"slices"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// evaluateIntervals judges the distances of record i: every preferable interval
// (Table 6-18), or else an allowable one (Table 6-21). It gives TooSoon,
// GraceInterval or NoReason.
func (r *run) evaluateIntervals(st *series, t *schedule.Dose, i int, g *given) Reason {
	out := NoReason
	for k := range t.Intervals {
		v := &t.Intervals[k]
		if !v.Holds(g.date) {
			continue
		}
		ref := r.reference(st, v, i)
		if ref == None {
			continue // nothing to count from
		}
		absMin, least := after(v.AbsMin, ref, schedule.Past), after(v.Min, ref, schedule.Past) // CALCDTINT-3, -4
		switch {
		case g.date < absMin:
			out = TooSoon
		case g.date < least && out == NoReason:
			out = GraceInterval
		}
		if r.explain {
			r.noteInterval(st, i, g.date, ref, v, g.date < absMin, g.date < least)
		}
	}
	if out != TooSoon {
		return out
	}
	for k := range t.Allowable {
		v := &t.Allowable[k]
		if !v.Holds(g.date) {
			continue
		}
		ref := r.reference(st, v, i)
		if ref == None {
			continue
		}
		absMin := after(v.AbsMin, ref, schedule.Past)
		if r.explain {
			r.noteAllowable(st, i, g.date, ref, v, g.date < absMin)
		}
		if g.date >= absMin {
			return NoReason
		}
	}
	return TooSoon
}

// after adds an interval to its reference date.
func after(p *schedule.Period, ref, empty Date) Date {
	if p == nil {
		return empty
	}
	return p.From(ref)
}

// reference finds the date an interval is counted from, looking at the records
// before record i; a forecast looks at all of them.
func (r *run) reference(st *series, v *schedule.Interval, i int) Date {
	records := r.records[st.Antigen.Index]
	switch v.From {
	case schedule.FromPrevious:
		// CALCDTINT-1: the previous dose, valid or not, unless inadvertent.
		for k := i - 1; k >= 0; k-- {
			e := &st.evals[k]
			if (e.status == Valid || e.status == NotValid) && e.reason&Inadvertent == 0 {
				return r.given[records[k]].date
			}
		}
	case schedule.FromTarget:
		// CALCDTINT-2: the dose that satisfied the target dose of that number.
		for k := len(st.targets) - 1; k >= 0; k-- {
			if t := &st.targets[k]; t.dose.Number == v.Target && t.status == satisfied {
				return r.given[records[t.by]].date
			}
		}
	case schedule.FromMostRecent:
		// CALCDTINT-8: the latest dose of the listed vaccine types, unless inadvertent.
		last := len(r.given)
		if i < len(records) {
			last = int(records[i])
		}
		for k := last - 1; k >= 0; k-- {
			if v.Vaccines.Has(r.given[k].cvx) && !st.inadvertent(records, k) {
				return r.given[k].date
			}
		}
	case schedule.FromObservation:
		// CALCDTINT-9: the latest active observation.
		if r.observed[v.Observation] {
			return r.obsDates[v.Observation]
		}
	}
	return None
}

// inadvertent reports whether dose k of the history was inadvertent in the series.
func (st *series) inadvertent(records []int32, k int) bool {
	n, found := slices.BinarySearch(records, int32(k))
	return found && st.evals[n].reason&Inadvertent != 0
}
