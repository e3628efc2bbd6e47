package forecast

import (
	"strings"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// noteAge tells the age at a dose (Table 6-15).
func (r *run) noteAge(st *series, i int, g *given, a *schedule.Age, why Reason) {
	clause := "at the age of " + ageWords(r.p.Born, g.date)
	if g.date == r.p.Born {
		clause = "on the day of birth"
	}
	least, absMin := r.periodText(a.Min), r.periodText(a.AbsMin)
	switch {
	case why == TooYoung:
		clause = "too young " + clause + limits("minimum "+least, counts(absMin, r.age(a.AbsMin, None)))
	case why == TooOld:
		clause = "too old " + clause + limits("only below "+r.periodText(a.Max))
	case why == GraceAge:
		clause += ", within the grace period" + limits("minimum "+least, counts(absMin, None))
	case g.date == r.p.Born: // no minimum to speak of
	case a.Min != 0 && a.Max != 0:
		clause += limits("minimum "+least, "below "+r.periodText(a.Max))
	case a.Min != 0:
		clause += limits("minimum " + least)
	case a.AbsMin != 0:
		clause += limits("minimum " + absMin)
	case a.Max != 0:
		clause += limits("below " + r.periodText(a.Max))
	}
	st.noteDose(i, "Table 6-15", clause, why&(TooYoung|TooOld) != 0, dateFact("given", g.date), r.ageFact("absolute minimum age", a.AbsMin),
		r.ageFact("minimum age", a.Min), r.ageFact("maximum age", a.Max))
}

// noteInterval tells the time since what an interval counts from (Table 6-18).
func (r *run) noteInterval(st *series, i int, date, ref Date, v *schedule.Interval, soon, grace bool) {
	clause := spanWords(int(date-ref)) + " after " + r.anchorWords(st, v, ref, i)
	if date < ref {
		clause = "before " + r.anchorWords(st, v, ref, i)
	}
	switch {
	case soon:
		clause = "too soon, " + clause + limits("minimum "+spell(v.Min), counts(spell(v.AbsMin), v.AbsMin.From(ref)))
	case grace && v.AbsMin != nil:
		clause += limits("minimum "+spell(v.Min), counts(spell(v.AbsMin), None))
	case v.Min != nil:
		clause += limits("minimum " + spell(v.Min))
	}
	st.noteDose(i, "Table 6-18", clause, soon, r.intervalFacts(v, date, ref)...)
}

// noteAllowable tells what became of a dose too soon for the preferable interval
// (Table 6-21).
func (r *run) noteAllowable(st *series, i int, date, ref Date, v *schedule.Interval, soon bool) {
	clause := "accepted by the allowable interval of " + spell(v.AbsMin) + " after " + r.anchorWords(st, v, ref, i)
	if soon {
		clause = "too soon for the allowable interval as well, " + spell(v.AbsMin) + " after " + r.anchorWords(st, v, ref, i)
	}
	st.noteDose(i, "Table 6-21", clause, soon, r.intervalFacts(v, date, ref)...)
}

func (r *run) intervalFacts(v *schedule.Interval, date, ref Date) []Fact {
	return []Fact{
		dateFact("given", date), dateFact("counted from", ref),
		intervalFact("absolute minimum interval", v.AbsMin, ref), intervalFact("minimum interval", v.Min, ref),
	}
}

// anchorWords names what an interval counts from, for record i or, past the last,
// for the next dose.
func (r *run) anchorWords(st *series, v *schedule.Interval, ref Date, i int) string {
	switch v.From {
	case schedule.FromMostRecent:
		return "the last dose of the vaccines it counts from (" + ref.String() + ")"
	case schedule.FromObservation:
		return "“" + r.s.Observations[v.Observation].Title + "” (" + ref.String() + ")"
	}
	for k := min(i, len(st.evals)) - 1; k >= 0; k-- {
		if n := st.evals[k].nth; n > 0 && r.given[r.records[st.Antigen.Index][k]].date == ref {
			return "dose " + itoa(n) + " of " + ref.String()
		}
	}
	return "the dose of " + ref.String() + ", which did not count"
}

// substandardWords tells why a dose cannot be trusted (Table 6-3).
func substandardWords(d *Dose, why Reason) string {
	if why == LotExpired {
		return "the lot had expired on " + d.LotExpiry.String()
	}
	return "the dose is flagged as one that cannot be trusted, as after a break of the cold chain"
}

// noteConflict tells which vaccine a dose came too soon after (CONFLICT-3).
func (r *run) noteConflict(st *series, i int, g, prev *given, until Date) {
	st.noteDose(i, "CONFLICT-3", "too soon after "+r.vaccineName(prev.cvx)+" of "+prev.date.String()+
		", a vaccine it must keep a distance from (from "+until.String()+")", true,
		fact("earlier cvx", prev.dose.CVX), dateFact("earlier dose", prev.date), dateFact("given", g.date), dateFact("conflict ends", until))
}

// noteWrongVaccine tells whether the vaccine is never accepted for the dose, or
// not at that age or of that maker (Table 6-29).
func (r *run) noteWrongVaccine(st *series, t *schedule.Dose, i int, g *given) {
	clause := "with a vaccine that is not accepted for this dose"
	for k := range t.AllowedTypes {
		if v := &t.AllowedTypes[k]; v.CVX == g.cvx {
			clause = "with a vaccine that is accepted for this dose only" + r.window(v.Begin, v.End)
		}
	}
	for k := range t.Preferable {
		if v := &t.Preferable[k]; v.CVX == g.cvx && !strings.Contains(clause, "only") {
			clause = "with a vaccine that is accepted for this dose only" + r.window(v.Begin, v.End)
			if v.MVX != "" {
				clause += " when it is made by " + v.MVX
			}
		}
	}
	st.noteDose(i, "Table 6-29", clause, true, fact("cvx", g.dose.CVX), fact("mvx", g.dose.MVX))
}

func (r *run) window(begin, end schedule.PeriodID) string {
	out := ""
	if begin != 0 {
		out = " from the age of " + r.periodText(begin)
	}
	if end != 0 {
		out += " below the age of " + r.periodText(end)
	}
	return out
}

// doseWords puts the evaluation of record i in one sentence. what names the
// vaccine group; the number is that of the doses that count.
func (r *run) doseWords(st *series, i int, what string) string {
	e, g := &st.evals[i], &r.given[r.records[st.Antigen.Index][i]]
	dose := " on " + g.date.String() + " (" + r.vaccineName(g.cvx) + "; CVX " + r.s.Vaccines[g.cvx].Code + ")"
	var clauses []string
	for k := range e.notes {
		if n := &e.notes[k]; n.clause != "" && n.against == (e.status != Valid) {
			clauses = append(clauses, n.clause)
		}
	}
	why := ": " + strings.Join(clauses, ", ") + "."
	switch e.status {
	case Valid:
		return "Dose " + itoa(e.nth) + " of " + what + dose + " counts" + why
	case Extraneous:
		if e.reason == SeriesComplete {
			return "The dose" + dose + " was not needed for " + what + why
		}
	}
	return "The dose" + dose + " does not count for " + what + why
}

// explainDoses puts the evaluations of each dose in sentences: one for a vaccine
// group when its antigens agree, else one for each that differs.
func (r *run) explainDoses() {
	for i := range r.out.Doses {
		d := &r.out.Doses[i]
		cvx, _ := r.s.CVX(d.CVX)
		d.Words = nil
		if cvx == schedule.NoCVX {
			d.Words = []string{"CVX " + d.CVX + " is not in the schedule, so this dose was not evaluated."}
			continue
		}
		if d.Date > r.p.Assessment {
			d.Words = []string{r.vaccineName(cvx) + " (CVX " + d.CVX + ") on " + d.Date.String() +
				" is after the day that was asked about, " + r.p.Assessment.String() + ", so it was not evaluated."}
			continue
		}
		if len(d.Evaluations) == 0 {
			d.Words = []string{r.vaccineName(cvx) + " (CVX " + d.CVX + ") on " + d.Date.String() +
				" is of no series that applies to this patient, so it was not evaluated."}
		}
		for k := range d.Evaluations {
			e := &d.Evaluations[k]
			alike, differ, first := []string{e.Antigen}, false, true
			for o := range d.Evaluations {
				x := &d.Evaluations[o]
				if o == k || x.Group != e.Group || x.Risk != e.Risk {
					continue
				}
				switch {
				case x.Words != e.Words:
					differ = true
				case o < k:
					first = false
				default:
					alike = append(alike, x.Antigen)
				}
			}
			switch {
			case !first:
			case differ:
				d.Words = append(d.Words, "For "+list(alike)+": "+e.Words)
			default:
				d.Words = append(d.Words, e.Words)
			}
		}
	}
}
