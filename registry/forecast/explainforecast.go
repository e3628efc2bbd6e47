package forecast

import (
	"strings"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// told is what an explained forecast keeps beside its dates: what each of them
// rests on, in words.
type told struct {
	because                    string // the indication of a risk series
	earliest, recommended, due string
}

// noteRelevant tells which indication a risk series is followed for (Table 5-4).
func (r *run) noteRelevant(st *series) {
	st.told = told{}
	var titles []string
	for _, i := range st.Indications {
		begins := r.age(i.Begin, schedule.Past)
		if !r.observed[i.Observation] || begins > max(r.p.Assessment, st.from) || r.p.Assessment >= r.age(i.End, schedule.Future) {
			continue
		}
		o := r.s.Observations[i.Observation]
		titles = append(titles, o.Title)
		says := "The series applies because of: " + o.Title + "."
		if begins > r.p.Assessment {
			says = "The series will apply from " + begins.String() + " because of: " + o.Title + "."
		}
		st.note("Table 5-4", says, fact("observation", o.Code), r.ageFact("from", i.Begin), r.ageFact("until", i.End))
	}
	st.told.because = list(titles)
}

// noteSkip tells which conditions made a target dose unnecessary (Table 6-11).
func (r *run) noteSkip(st *series, t *schedule.Dose, s *schedule.Skip, ctx schedule.Context, ref Date, i int) {
	facts := []Fact{dateFact("reference date", ref)}
	var why []string
	for k := range s.Sets {
		for c := range s.Sets[k].Conditions {
			if c := &s.Sets[k].Conditions[c]; r.conditionMet(st, t, c, ctx, ref, i) {
				f := r.conditionFact(st, t, c, ctx, i)
				facts, why = append(facts, f), append(why, f.Value)
			}
		}
	}
	says := "Step " + itoa(t.Number) + " of the series is not needed: " + strings.Join(why, "; ") + "."
	if ctx == schedule.InEvaluation {
		e := &st.evals[i]
		e.notes = append(e.notes, Decision{Rule: "Table 6-11", Says: says, Facts: facts})
		return
	}
	st.note("Table 6-11", says, facts...)
}

// conditionFact tells a condition that is met, the table it is of, and its value.
func (r *run) conditionFact(st *series, t *schedule.Dose, c *schedule.Condition, ctx schedule.Context, i int) Fact {
	switch c.Type {
	case schedule.ByAge:
		return Fact{"age (Table 6-6)", "the age is" + r.window(c.Begin, c.EndAge)}
	case schedule.ByInterval:
		return Fact{"interval (Table 6-8)", spell(c.Interval) + " or more since the previous dose"}
	case schedule.ByCompleted:
		return Fact{"completed series (Table 6-7)", "another series of " + st.Antigen.Name + " is complete"}
	}
	n := r.count(st, t, c, ctx, i)
	kind := plural(n, "dose")
	if c.Valid {
		kind += " that count"
	}
	start, end := r.counted(t, c, ctx)
	if start != None {
		kind += " from " + start.String()
	}
	if end != None {
		kind += " before " + end.String()
	}
	return Fact{"dose count (Table 6-9)", kind + r.window(c.Begin, c.EndAge) + ", " +
		[...]string{"more than", "exactly", "fewer than"}[c.Compare] + " " + itoa(c.Count)}
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
	if st.status == AgedOut {
		if a := agesAt(st.targets[st.next].dose, r.p.Assessment); a != nil {
			facts = append(facts, r.ageFact("maximum age", a.Max))
		}
	}
	st.note("Table 7-10", says, facts...)
}

// noteCandidate tells what holds the earliest date, the latest of them last
// (FORECASTDTCAN-1).
func (r *run) noteCandidate(st *series, t *schedule.Dose, candidate Date) {
	var facts []Fact
	st.told.earliest = ""
	holds := func(name, value string, d Date) {
		facts = append(facts, Fact{name, value + ": " + d.String()})
		if d == candidate && st.told.earliest == "" {
			st.told.earliest = value
		}
	}
	records := r.records[st.Antigen.Index]
	for i := range t.Intervals {
		v := &t.Intervals[i]
		if v.Min == nil || !v.Holds(r.p.Assessment) {
			continue
		}
		if ref := r.reference(st, v, len(records)); ref != None {
			holds("minimum interval", spell(v.Min)+" after "+r.anchorWords(st, v, ref, len(records)), v.Min.From(ref))
		}
	}
	if a := agesAt(t, r.p.Assessment); a != nil && a.Min != 0 {
		holds("minimum age", "the age of "+r.periodText(a.Min), r.age(a.Min, None))
	}
	if start, _ := r.season(t); start != None {
		holds("season start", "the season begins", start)
	}
	if d := r.conflictEnd(t); d != None {
		holds("end of vaccine conflicts", "the distance from "+r.conflictWith(t, d), d)
	}
	if st.from != None {
		holds("indication begins", "the risk series begins to apply", st.from)
	}
	if st.told.earliest == "" && candidate != None {
		holds("most recent dose", "the day of the last dose", candidate)
	}
	st.note("FORECASTDTCAN-1", "The next step of the series is step "+itoa(t.Number)+".", facts...)
}

// conflictWith names the vaccine whose conflict with the dose ends last
// (CALCDTCONFLICT-3).
func (r *run) conflictWith(t *schedule.Dose, end Date) string {
	for k := range r.given {
		prev := &r.given[k]
		for p := range t.Preferable {
			for _, c := range r.s.Vaccines[t.Preferable[p].CVX].Conflicts {
				if c.Previous == prev.cvx && c.End.From(prev.date) == end {
					return r.vaccineName(prev.cvx) + " of " + prev.date.String()
				}
			}
		}
	}
	return "another vaccine"
}

// noteDates tells the dates and what the recommended one rests on (FORECASTDT-1
// to FORECASTDT-6).
func (r *run) noteDates(st *series, t *schedule.Dose) {
	st.told.recommended, st.told.due = "", ""
	if a := agesAt(t, r.p.Assessment); a != nil {
		if a.EarliestRec != 0 {
			st.told.recommended = "at the age of " + r.periodText(a.EarliestRec)
		}
		if a.LatestRec != 0 {
			st.told.due = "the age of " + r.periodText(a.LatestRec)
		}
	}
	records := r.records[st.Antigen.Index]
	var last, lastDue Date
	byAge, byAgeDue := st.told.recommended != "", st.told.due != ""
	for i := range t.Intervals {
		v := &t.Intervals[i]
		ref := None
		if v.Holds(r.p.Assessment) {
			ref = r.reference(st, v, len(records))
		}
		if ref == None {
			continue
		}
		if v.EarliestRec != nil && !byAge && v.EarliestRec.From(ref) >= last {
			last = v.EarliestRec.From(ref)
			st.told.recommended = spell(v.EarliestRec) + " after " + r.anchorWords(st, v, ref, len(records))
		}
		if v.LatestRec != nil && !byAgeDue && v.LatestRec.From(ref) >= lastDue {
			lastDue = v.LatestRec.From(ref)
			st.told.due = spell(v.LatestRec) + " after " + r.anchorWords(st, v, ref, len(records))
		}
	}
	facts := []Fact{dateFact("earliest", st.earliest), dateFact("recommended", st.recommended), dateFact("past due", st.pastDue), dateFact("latest", st.latest)}
	if st.told.recommended != "" {
		facts = append(facts, fact("recommended by", st.told.recommended))
	}
	if st.told.due != "" {
		facts = append(facts, fact("past due by", st.told.due))
	}
	says := "The dose is due; its dates are not known."
	if st.earliest != None {
		says = "The dose may be given from " + st.earliest.String() + "."
	}
	st.note("FORECASTDT-1", says, facts...)
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
		f.Decisions = append(f.Decisions, Decision{
			Rule: "Table 8-14", Says: "The best series for " + st.Antigen.Name + " is “" + st.Name + "”.",
			Facts: []Fact{
				fact("series group", st.Antigen.SeriesGroups[st.SeriesGroup].Name),
				fact("doses satisfied", itoa(st.satisfied)), fact("chosen", chosenSays[st.chosen]),
			},
		})
		f.Decisions = append(f.Decisions, st.notes...)
	}
	if len(m) > 1 {
		f.Decisions = append(f.Decisions, Decision{Rule: "Table 9-4", Says: "Together: " + f.Status.String() + "."})
	}
	if f.Status == NotComplete {
		f.Decisions = append(f.Decisions, Decision{
			Rule: "FORECASTVG-2", Says: "Dose " + itoa(f.Number) + " of " + f.Group + " is next.",
			Facts: []Fact{dateFact("earliest", f.Earliest), dateFact("recommended", f.Recommended), dateFact("past due", f.PastDue)},
		})
	}
	if f.Shared {
		f.Decisions = append(f.Decisions, Decision{Rule: "FORECASTGUIDANCE-1", Says: sharedSays})
	}
	f.Words = r.forecastWords(m, f)
}

const sharedSays = "This vaccine is a matter of shared clinical decision-making: talk it over with the patient."

// forecastWords puts a forecast in a few sentences.
func (r *run) forecastWords(m []*series, f *Forecast) []string {
	what := f.Group
	if f.Risk {
		what += " (risk series)"
	}
	var out []string
	switch f.Status {
	case NotComplete:
		out = append(out, dueWords(what, m, f))
		if f.Latest != None {
			out = append(out, "It is not given after "+f.Latest.String()+".")
		}
		var names []string
		for _, c := range f.CVX {
			v, _ := r.s.CVX(c)
			names = append(names, r.vaccineName(v)+" (CVX "+c+")")
		}
		if len(names) > 0 {
			out = append(out, "Recommended vaccine: "+strings.Join(names, ", ")+".")
		}
		if f.Shared {
			out = append(out, sharedSays)
		}
	case Complete:
		n := 0
		for _, st := range m {
			n = max(n, st.satisfied)
		}
		out = append(out, what+": complete. "+plural(n, "dose")+" of the series count"+map[bool]string{true: "s"}[n == 1]+".")
	case Immune, Contraindicated:
		says := map[Status]string{Immune: "immune, no dose is needed", Contraindicated: "not to be given"}[f.Status]
		for _, st := range m {
			if b := r.antigens[st.Antigen.Index].because; st.status == f.Status && b != "" {
				says += ", because of: " + b
				break
			}
		}
		out = append(out, what+": "+says+".")
	case AgedOut:
		out = append(out, what+": no dose is due. "+f.Reason.String()+".")
	case NotRecommended:
		out = append(out, what+": no dose is recommended now. "+f.Reason.String()+".")
	}
	if f.Risk {
		for _, st := range m {
			if st.told.because != "" {
				out = append(out, "The risk series applies because of: "+st.told.because+".")
				break
			}
		}
	}
	if f.Begins != None {
		out = append(out, "It begins to apply on "+f.Begins.String()+".")
	}
	return out
}

// dueWords tells the dates of a forecast and what each of them rests on: that of
// the antigen that decided it.
func dueWords(what string, m []*series, f *Forecast) string {
	if f.Earliest == None {
		if f.Reason&DateNeeded == 0 {
			return "Dose " + itoa(f.Number) + " of " + what + " is due. The schedule sets no date for it: nothing holds it back."
		}
		return "Dose " + itoa(f.Number) + " of " + what + " is due. " + sentence(DateNeeded.String())
	}
	var earliest, recommended, due string
	for _, st := range m {
		if st.status != NotComplete {
			continue
		}
		if st.earliest == f.Earliest && earliest == "" {
			earliest = limits(st.told.earliest)
		}
		if st.recommended == f.Recommended && recommended == "" {
			recommended = limits(st.told.recommended)
		}
		// A date that was moved up to the earliest rests on nothing else.
		if f.PastDue > f.Earliest && st.pastDue == f.PastDue && due == "" {
			due = limits(st.told.due)
		}
	}
	out := "Dose " + itoa(f.Number) + " of " + what + " is due: it may be given from " + f.Earliest.String() + earliest
	if f.Recommended == f.Earliest {
		out += ", and is recommended then"
	} else {
		out += ", and is recommended on " + f.Recommended.String() + recommended
	}
	if f.PastDue != None {
		out += "; it is overdue after " + f.PastDue.String() + due
	}
	return out + "."
}
