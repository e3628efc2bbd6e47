package forecast

import (
	"strconv"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// Decision is one step of the reasoning: the rule or table of CDSi that decided,
// what it says for a nurse, and the values it looked at.
type Decision struct {
	Rule  string `json:"rule"`
	Says  string `json:"says"`
	Facts []Fact `json:"facts,omitempty"`
}

// Fact is a value a decision looked at.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func fact(name, value string) Fact { return Fact{name, value} }

func dateFact(name string, d Date) Fact {
	switch d {
	case None, schedule.Past, schedule.Future:
		return Fact{name, "none"}
	}
	return Fact{name, d.String()}
}

// ageFact tells an age of the schedule and the date the patient reaches it.
func (r *run) ageFact(name string, id schedule.PeriodID) Fact {
	if id == 0 {
		return Fact{name, "none"}
	}
	return Fact{name, r.s.Periods[id].Text + ": " + r.age(id, None).String()}
}

// intervalFact tells an interval of the schedule and the date it is over.
func intervalFact(name string, p *schedule.Period, ref Date) Fact {
	if p == nil {
		return Fact{name, "none"}
	}
	return Fact{name, p.Text + ": " + p.From(ref).String()}
}

func itoa(n int) string { return strconv.Itoa(n) }

// note adds a decision about the series as a whole. The callers ask r.explain
// first, so that a forecast without explanation pays nothing.
func (st *series) note(rule, says string, facts ...Fact) {
	st.notes = append(st.notes, Decision{rule, says, facts})
}

// noteDose adds a decision about record i.
func (st *series) noteDose(i int, rule, says string, facts ...Fact) {
	e := &st.evals[i]
	e.notes = append(e.notes, Decision{rule, says, facts})
}

// noteRelevant tells which indication a risk series is followed for.
func (r *run) noteRelevant(st *series) {
	for _, i := range st.Indications {
		if r.observed[i.Observation] && r.within(i.Begin, i.End, r.p.Assessment) {
			o := r.s.Observations[i.Observation]
			st.note("Table 5-4", "The series applies because of: "+o.Title+".", fact("observation", o.Code))
		}
	}
}

func (st *series) noteInterval(i int, rule string, given, ref Date, v *schedule.Interval, soon, grace bool) {
	says := "Enough time had passed."
	switch {
	case soon:
		says = "Given too soon."
	case grace:
		says = "Given before the minimum interval, within the grace period."
	}
	st.noteDose(i, rule, says, dateFact("given", given), anchorFact(v, ref),
		intervalFact("absolute minimum interval", v.AbsMin, ref), intervalFact("minimum interval", v.Min, ref))
}

func anchorFact(v *schedule.Interval, ref Date) Fact {
	switch v.From {
	case schedule.FromTarget:
		return dateFact("counted from dose "+itoa(v.Target), ref)
	case schedule.FromMostRecent:
		return dateFact("counted from the latest dose of the listed vaccines", ref)
	case schedule.FromObservation:
		return dateFact("counted from the observation", ref)
	}
	return dateFact("counted from the previous dose", ref)
}

// noteSkip tells which conditions made a target dose unnecessary.
func (r *run) noteSkip(st *series, t *schedule.Dose, s *schedule.Skip, ctx schedule.Context, ref Date, i int) {
	facts := []Fact{dateFact("reference date", ref)}
	for k := range s.Sets {
		for c := range s.Sets[k].Conditions {
			if c := &s.Sets[k].Conditions[c]; r.conditionMet(st, t, c, ctx, ref, i) {
				facts = append(facts, r.conditionFact(st, t, c, ctx, i))
			}
		}
	}
	says := "Dose " + itoa(t.Number) + " of the series is not needed."
	if ctx == schedule.InEvaluation {
		st.noteDose(i, "Table 6-11", says, facts...)
		return
	}
	st.note("Table 6-11", says, facts...)
}

func (r *run) conditionFact(st *series, t *schedule.Dose, c *schedule.Condition, ctx schedule.Context, i int) Fact {
	switch c.Type {
	case schedule.ByAge:
		return Fact{"age (Table 6-6)", "from " + r.periodText(c.Begin) + " to " + r.periodText(c.EndAge)}
	case schedule.ByInterval:
		return Fact{"interval (Table 6-8)", c.Interval.Text + " since the previous dose"}
	case schedule.ByCompleted:
		return Fact{"completed series (Table 6-7)", "another series of " + st.Antigen.Name + " is complete"}
	}
	kind := "doses"
	if c.Valid {
		kind = "valid doses"
	}
	return Fact{"dose count (Table 6-9)", itoa(r.count(st, t, c, ctx, i)) + " " + kind + ", " +
		[]string{"more than", "equal to", "less than"}[c.Compare] + " " + itoa(c.Count)}
}

func (r *run) periodText(id schedule.PeriodID) string {
	if id == 0 {
		return "any age"
	}
	return r.s.Periods[id].Text
}

// noteNeed tells why another dose is or is not needed (Table 7-10).
func (r *run) noteNeed(st *series, candidate Date) {
	says := "Another dose is needed."
	switch {
	case st.status != NotComplete:
		says = st.status.String() + ": " + st.reason.String() + "."
	case st.reason != NoReason:
		says = "Another dose is needed. " + st.reason.String() + "."
	}
	facts := []Fact{
		dateFact("assessment date", r.p.Assessment), dateFact("candidate earliest date", candidate),
		fact("doses satisfied", itoa(st.satisfied)),
	}
	if st.status == Immune || st.status == Contraindicated {
		facts = append(facts, fact("because of", r.antigens[st.Antigen.Index].because))
	}
	st.note("Table 7-10", says, facts...)
}

// noteCandidate tells what holds the earliest date (FORECASTDTCAN-1).
func (r *run) noteCandidate(st *series, t *schedule.Dose) {
	var facts []Fact
	if a := agesAt(t, r.p.Assessment); a != nil {
		facts = append(facts, r.ageFact("minimum age", a.Min))
	}
	for i := range t.Intervals {
		v := &t.Intervals[i]
		if !v.Holds(r.p.Assessment) {
			continue
		}
		if ref := r.reference(st, v, len(r.records[st.Antigen.Index])); ref != None {
			facts = append(facts, anchorFact(v, ref), intervalFact("minimum interval", v.Min, ref))
		}
	}
	start, _ := r.season(t)
	facts = append(facts, dateFact("end of vaccine conflicts", r.conflictEnd(t)), dateFact("season start", start))
	st.note("FORECASTDTCAN-1", "The next dose of the series is dose "+itoa(t.Number)+".", facts...)
}

func (st *series) noteDates(t *schedule.Dose) {
	st.note("FORECASTDT-1", "Dose "+itoa(t.Number)+" of the series may be given from "+st.earliest.String()+".",
		dateFact("recommended", st.recommended), dateFact("past due", st.pastDue), dateFact("latest", st.latest))
}

// chosen says how a series became the prioritized one of its group.
type chosen uint8

const (
	byDefault chosen = iota
	onlyScorable
	onlyComplete
	onlyInProcess
	byScore
)

var chosenSays = [...]string{
	byDefault:     "the default series (Table 8-3)",
	onlyScorable:  "the only series that applies (Table 8-3)",
	onlyComplete:  "the only complete series (Table 8-3)",
	onlyInProcess: "the only series in process (Table 8-3)",
	byScore:       "the most points, or the preferred of equals (SELECTBEST-2)",
}

// explainGroup gathers the decisions of the best series, each named, and adds
// how they became one forecast.
func (r *run) explainGroup(m []*series, f *Forecast) {
	for _, st := range m {
		f.Decisions = append(f.Decisions, Decision{"Table 8-14",
			"The best series for " + st.Antigen.Name + " is \"" + st.Name + "\".",
			[]Fact{
				fact("series group", st.Antigen.SeriesGroups[st.SeriesGroup].Name),
				fact("doses satisfied", itoa(st.satisfied)), fact("chosen", chosenSays[st.chosen]),
			}})
		f.Decisions = append(f.Decisions, st.notes...)
	}
	if len(m) > 1 {
		f.Decisions = append(f.Decisions, Decision{"Table 9-4", "Together: " + f.Status.String() + ".", nil})
	}
	if f.Status == NotComplete {
		f.Decisions = append(f.Decisions, Decision{"FORECASTVG-2",
			"Dose " + itoa(f.Number) + " of " + f.Group + " is next.",
			[]Fact{dateFact("earliest", f.Earliest), dateFact("recommended", f.Recommended), dateFact("past due", f.PastDue)}})
	}
	if f.Shared {
		f.Decisions = append(f.Decisions, Decision{"FORECASTGUIDANCE-1",
			"This vaccine is a matter of shared clinical decision-making: talk it over with the patient.", nil})
	}
}
