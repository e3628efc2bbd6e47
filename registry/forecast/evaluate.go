package forecast

import (
	"slices"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// evaluateSeries walks the target doses of a series and the records of its
// antigen together (4.4). A satisfied target dose moves both on, a dose that
// does not satisfy moves to the next record, a skipped target dose moves to the
// next target dose with the same record.
func (r *run) evaluateSeries(st *series) {
	if len(st.targets) == len(st.Doses) { // as they were left, but for what became of them
		for i := range st.targets {
			st.targets[i].status, st.targets[i].by = notSatisfied, -1
		}
	} else {
		st.targets = st.targets[:0]
		for i := range st.Doses {
			st.targets = append(st.targets, target{dose: &st.Doses[i], by: -1})
		}
	}
	records := r.records[st.Antigen.Index]
	st.evals = slices.Grow(st.evals, len(records))[:len(records)]
	clear(st.evals)
	for i := 0; i < len(records); {
		if st.next == len(st.targets) {
			// No target dose is left: the rest is extraneous (4.4).
			st.evals[i] = evaluation{status: Extraneous, reason: SeriesComplete}
			if r.explain {
				st.noteDose(i, "4.4", "no dose of the series was left to give", true)
			}
			i++
			continue
		}
		t := &st.targets[st.next]
		g := &r.given[records[i]]
		if why := substandard(g.dose); why != NoReason {
			st.evals[i] = evaluation{status: SubStandard, reason: why, target: t.dose.Number}
			if r.explain {
				st.noteDose(i, "Table 6-3", substandardWords(g.dose, why), true, dateFact("given", g.date), dateFact("lot expiry", g.dose.LotExpiry))
			}
			i++
			continue
		}
		if r.skips(st, t.dose, schedule.InEvaluation, g.date, i) {
			t.status = skipped
			st.next++
			continue
		}
		e := &st.evals[i]
		e.target = t.dose.Number
		e.status, e.reason = r.evaluateDose(st, t.dose, i, g)
		if e.status == Valid {
			t.status, t.by = satisfied, int32(i)
			if t.dose.Recurring {
				// A recurring dose is followed by another of itself (4.4).
				st.insert(st.next+1, target{dose: t.dose, by: -1})
			}
			st.next++
			st.satisfied++
			e.nth = st.satisfied
			if st.first == None {
				st.first = g.date
			}
		}
		i++
	}
}

// insert puts a target dose in the series.
func (st *series) insert(at int, t target) {
	st.targets = append(st.targets, target{})
	copy(st.targets[at+1:], st.targets[at:])
	st.targets[at] = t
}

// substandard is Table 6-3: a dose given after its lot expired, or flagged, is
// not evaluated.
func substandard(d *Dose) Reason {
	switch {
	case d.LotExpiry != None && d.LotExpiry != 0 && d.Date > d.LotExpiry:
		return LotExpired
	case d.Condition:
		return ConditionFlag
	}
	return NoReason
}

// evaluateDose evaluates record i against a target dose, 6.3 to 6.10.
func (r *run) evaluateDose(st *series, t *schedule.Dose, i int, g *given) (EvalStatus, Reason) {
	// Table 6-13: an inadvertent vaccine is not valid, whatever else holds.
	if t.Inadvertent.Has(g.cvx) {
		if r.explain {
			st.noteDose(i, "Table 6-13", "with a vaccine that is listed as given by mistake for this dose", true, fact("cvx", g.dose.CVX))
		}
		return NotValid, Inadvertent
	}
	why := r.evaluateAge(st, t, i, g) | r.evaluateIntervals(st, t, i, g)
	if r.evaluateConflict(st, i, g) {
		why |= LiveVirusConflict
	}
	if !r.preferable(st, t, i, g) && !r.allowable(st, t, i, g) {
		why |= WrongVaccine
	}
	// Table 6-31, the columns in order.
	const grace = GraceAge | GraceInterval
	switch {
	case why&^grace == 0:
		return Valid, why
	case why&TooOld != 0:
		return Extraneous, why &^ grace
	}
	return NotValid, why &^ grace
}

// evaluateAge is Table 6-15. It gives TooYoung, TooOld, GraceAge or NoReason.
func (r *run) evaluateAge(st *series, t *schedule.Dose, i int, g *given) Reason {
	a := agesAt(t, g.date)
	if a == nil {
		return NoReason
	}
	absMin, least := r.age(a.AbsMin, schedule.Past), r.age(a.Min, schedule.Past) // CALCDTAGE-5, CALCDTAGE-4
	most := r.age(a.Max, schedule.Future)                                        // CALCDTAGE-1
	out := NoReason
	switch {
	case g.date < absMin:
		out = TooYoung
	case g.date >= most:
		out = TooOld
	case g.date < least:
		out = GraceAge
	}
	if r.explain {
		r.noteAge(st, i, g, a, out)
	}
	return out
}

// agesAt gives the ages in force on the anchor date (RELEVANT-1, RELEVANT-2).
func agesAt(t *schedule.Dose, anchor Date) *schedule.Age {
	for i := range t.Ages {
		if t.Ages[i].Holds(anchor) {
			return &t.Ages[i]
		}
	}
	return nil
}
