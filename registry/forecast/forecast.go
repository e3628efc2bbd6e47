package forecast

import (
	"slices"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// forecastSeries finds the status of a series and the dates of its next dose
// (chapter 7). A forecast that would be skipped on its own earliest date is made
// again for the next target dose (7.6).
func (r *run) forecastSeries(st *series) {
	all := len(r.records[st.Antigen.Index])
	for {
		// 7.1, with the assessment date.
		for st.next < len(st.targets) && r.skips(st, st.targets[st.next].dose, schedule.InForecast, r.p.Assessment, all) {
			st.targets[st.next].status = skipped
			st.next++
		}
		st.clearDates()
		candidate := None
		if st.next < len(st.targets) {
			candidate = r.candidate(st, st.targets[st.next].dose)
			if r.explain {
				r.noteCandidate(st, st.targets[st.next].dose, candidate)
			}
		}
		st.status, st.reason = r.need(st, candidate)
		if r.explain {
			r.noteNeed(st, candidate)
		}
		if st.status != NotComplete {
			return
		}
		t := st.targets[st.next].dose
		r.dates(st, t, candidate)
		// 7.6, with the earliest date.
		if !r.skips(st, t, schedule.InForecast, st.earliest, all) {
			return
		}
		st.targets[st.next].status = skipped
		st.next++
	}
}

// need is Table 7-10. Its columns overlap and the specification gives no order;
// [I] protection comes before history, history before season and age.
func (r *run) need(st *series, candidate Date) (Status, Reason) {
	switch {
	case r.antigens[st.Antigen.Index].immune:
		return Immune, HasImmunity
	case r.contraindicated(st):
		return Contraindicated, HasContraindication
	case st.next == len(st.targets) && st.satisfied > 0:
		return Complete, DoneComplete
	case st.next == len(st.targets):
		return NotRecommended, DonePast
	}
	t := st.targets[st.next].dose
	if _, end := r.season(t); end != None && r.p.Assessment > end {
		return NotRecommended, SeasonOver
	}
	most := schedule.Future
	if a := agesAt(t, r.p.Assessment); a != nil {
		most = r.age(a.Max, schedule.Future) // CALCDTAGE-1
	}
	switch {
	case r.p.Assessment >= most:
		return AgedOut, OverMaxAge
	case candidate >= most:
		return AgedOut, CannotFinish
	case candidate == None && r.undated(t):
		return NotComplete, DateNeeded
	}
	// [I] A candidate earliest date of which no part has a value does not end the
	// series. Table 7-9 assumes 31 December 2999 for it, which would tell an infant
	// at risk, who skips to a dose without a minimum age, of having aged out.
	return NotComplete, NoReason
}

// undated reports whether the dose counts from an observation without a date, as
// from the onset of a pregnancy. Then the dose is due and its dates are not known.
func (r *run) undated(t *schedule.Dose) bool {
	for i := range t.Intervals {
		v := &t.Intervals[i]
		if v.From == schedule.FromObservation && v.Holds(r.p.Assessment) && (!r.observed[v.Observation] || r.obsDates[v.Observation] == None) {
			return true
		}
	}
	return false
}

// candidate is FORECASTDTCAN-1, the latest of the dates before which the dose
// cannot be given.
func (r *run) candidate(st *series, t *schedule.Dose) Date {
	out := None
	if a := agesAt(t, r.p.Assessment); a != nil {
		out = r.age(a.Min, None) // CALCDTAGE-4
	}
	out = max(out, st.from) // Table 5-4: no dose before the indication applies
	records := r.records[st.Antigen.Index]
	for i := range t.Intervals {
		v := &t.Intervals[i]
		if v.Min == nil || !v.Holds(r.p.Assessment) {
			continue
		}
		if ref := r.reference(st, v, len(records)); ref != None {
			out = max(out, v.Min.From(ref)) // CALCDTINT-4
		}
	}
	if len(r.given) > 0 {
		out = max(out, r.conflictEnd(t))
	}
	start, _ := r.season(t)
	out = max(out, start)
	// The inadvertent doses and the most recent dose evaluated in the series.
	for i := len(records) - 1; i >= 0; i-- {
		if st.evals[i].target != 0 && st.evals[i].status != SubStandard {
			out = max(out, r.given[records[i]].date)
			break
		}
	}
	return out
}

// dates is 7.5, for the next target dose.
func (r *run) dates(st *series, t *schedule.Dose, candidate Date) {
	rec, past := None, None
	if a := agesAt(t, r.p.Assessment); a != nil {
		rec = r.age(a.EarliestRec, None) // CALCDTAGE-3
		past = r.age(a.LatestRec, None)  // CALCDTAGE-2
		st.latest = r.age(a.Max, None)   // CALCDTAGE-1
	}
	// FORECASTDT-2 and -3: the age decides, and without one the latest interval.
	byAge, byAgePast := rec != None, past != None
	records := r.records[st.Antigen.Index]
	intervals, priority := 0, 0
	for i := range t.Intervals {
		v := &t.Intervals[i]
		if !v.Holds(r.p.Assessment) {
			continue
		}
		intervals++
		if v.Priority {
			priority++
		}
		if (byAge || v.EarliestRec == nil) && (byAgePast || v.LatestRec == nil) {
			continue
		}
		ref := r.reference(st, v, len(records))
		if ref == None {
			continue
		}
		if !byAge && v.EarliestRec != nil {
			rec = max(rec, v.EarliestRec.From(ref)) // CALCDTINT-5
		}
		if !byAgePast && v.LatestRec != nil {
			past = max(past, v.LatestRec.From(ref)) // CALCDTINT-6
		}
	}
	st.priority = intervals > 0 && intervals == priority   // FORECASTPRIORITY-1
	st.earliest, st.noStart = candidate, candidate == None // FORECASTDT-1
	if st.noStart {
		st.earliest = rec // [I] the only date there is, if there is one
	}
	st.recommended = max(st.earliest, rec) // FORECASTDT-5
	if past != None {
		st.pastDue = max(st.earliest, past-1) // FORECASTDT-6
	}
	if st.latest != None {
		st.latest-- // FORECASTDT-4
	}
	st.number = r.doseNumber(st, t)
	r.recommend(st, t)
	if r.explain {
		r.noteDates(st, t)
	}
}

// doseNumber is FORECASTDN-1. A seasonal series counts the doses of its season.
func (r *run) doseNumber(st *series, t *schedule.Dose) int {
	start, _ := r.season(t)
	if start == None {
		return st.satisfied + 1
	}
	n, records := 1, r.records[st.Antigen.Index]
	for i := range st.targets {
		if x := &st.targets[i]; x.status == satisfied && r.given[records[x.by]].date >= start {
			n++
		}
	}
	return n
}

// recommend is FORECASTRECVAC-1: the preferable vaccines of the dose that are
// flagged, not contraindicated, and right for the age on the earliest or the
// recommended date.
func (r *run) recommend(st *series, t *schedule.Dose) {
	removed := r.antigens[st.Antigen.Index].removed
	for i := range t.Preferable {
		v := &t.Preferable[i]
		if !v.Forecast || slices.Contains(removed, v.CVX) || slices.Contains(st.vaccines, v.CVX) {
			continue
		}
		if r.within(v.Begin, v.End, st.earliest) || r.within(v.Begin, v.End, st.recommended) {
			st.vaccines = append(st.vaccines, v.CVX)
		}
	}
}
