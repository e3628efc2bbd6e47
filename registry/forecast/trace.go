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

	clause  string // the part of a sentence about the dose
	against bool   // it speaks against the dose
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
	st.notes = append(st.notes, Decision{Rule: rule, Says: says, Facts: facts})
}

// noteDose adds a decision about record i: the clause is how the sentence about
// the dose puts it.
func (st *series) noteDose(i int, rule, clause string, against bool, facts ...Fact) {
	e := &st.evals[i]
	e.notes = append(e.notes, Decision{Rule: rule, Says: sentence(clause), Facts: facts, clause: clause, against: against})
}
