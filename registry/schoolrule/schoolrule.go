// Package schoolrule judges whether a child has the proof of immunity that a school, a
// child-care centre or a college asks for. It is a pure function of a record, a grade and a
// day; what is asked for is data, a file for each rule and version, with the source of every
// number beside it (77 Ill. Adm. Code 665 and 694).
package schoolrule

import (
	"slices"

	"github.com/coldkeep/coldkeep"
)

// Child is a record as far as the rules look at it.
type Child struct {
	Birth      coldkeep.Date
	Doses      []Dose
	Evidence   []Evidence
	Exemptions []Exemption // that hold on the day of the judgement
}

// Dose is a dose that counts as a record. Of one of which the month alone is known, From
// and To are the first and the last day that can be meant; otherwise they are one day.
type Dose struct {
	CVX      string
	From, To coldkeep.Date
}

// Evidence is proof of immunity other than doses.
type Evidence struct {
	Code    string        // CDSi observation code, such as "020"
	On      coldkeep.Date // of the diagnosis; the zero Date: not known
	Disease bool          // it rests on the disease, not on a laboratory's report
}

// Exemption is a document by which a child need not have vaccines.
type Exemption struct {
	Kind   Ground
	Groups []string // the schedule's vaccine groups; empty: all
}

// Ground is what an exemption rests on.
type Ground string

// The grounds of 665.510 and 665.520.
const (
	Medical   Ground = "medical"
	Religious Ground = "religious"
)

// Status is how a child stands, in the words that schools report by.
type Status string

// The statuses, the best first. InProcess is that doses are missing and the next may not be
// given yet, or its deadline has not come.
const (
	Protected       Status = "protected"
	InProcess       Status = "in process"
	ExemptMedical   Status = "exempt, medical"
	ExemptReligious Status = "exempt, religious"
	Unprotected     Status = "unprotected"
)

// Finding is how a child stands with one requirement.
type Finding struct {
	Requirement string        `json:"requirement"` // its id, such as "polio"
	Title       string        `json:"title"`
	Diseases    []string      `json:"diseases"`
	Status      Status        `json:"status"`
	By          string        `json:"shown_by,omitempty"` // of one who is protected: what shows it
	Missing     []string      `json:"missing,omitempty"`  // in words
	Next        coldkeep.Date `json:"next_from,omitzero"` // the first day on which the next dose would count
	Deadline    coldkeep.Date `json:"deadline,omitzero"`  // by which it is asked for; the zero Date: now
	Source      string        `json:"source"`             // of the requirement
}

// Judgement is how a child stands with a rule in a grade.
type Judgement struct {
	Rule      string        `json:"rule"` // such as "77 Ill. Adm. Code 665"
	Version   string        `json:"version"`
	Grade     string        `json:"grade"`
	On        coldkeep.Date `json:"on"`
	Status    Status        `json:"status"`
	Findings  []Finding     `json:"requirements"`
	Exclusion string        `json:"exclusion,omitempty"` // of one who is unprotected: what follows
}

// Judge says how a child stands in a grade on a day. EINVALID when the rule does not know
// the grade, or the child's birth date is not known or after that day.
func (r *Rule) Judge(c Child, grade string, on coldkeep.Date) (Judgement, error) {
	g := slices.IndexFunc(r.Grades, func(g Grade) bool { return g.Code == grade })
	if g < 0 {
		return Judgement{}, coldkeep.Errorf(coldkeep.EINVALID, "Grade: %q is not one of %s.", grade, r.Title)
	}
	if !c.Birth.Known() || c.Birth > on {
		return Judgement{}, coldkeep.Errorf(coldkeep.EINVALID, "Birth date: the rule cannot be applied without one.")
	}
	j := Judgement{Rule: r.Title, Version: r.Version, Grade: grade, On: on, Status: Protected}
	for i := range r.Requirements {
		if f, ok := r.judge(&r.Requirements[i], &c, grade, on); ok {
			j.Findings = append(j.Findings, f)
		}
	}
	var medical, religious bool
	for _, f := range j.Findings {
		medical, religious = medical || f.Status == ExemptMedical, religious || f.Status == ExemptReligious
	}
	has := func(s Status) bool {
		return slices.ContainsFunc(j.Findings, func(f Finding) bool { return f.Status == s })
	}
	switch {
	case has(Unprotected):
		j.Status, j.Exclusion = Unprotected, r.Exclusion
	case has(InProcess):
		j.Status = InProcess
	case religious:
		j.Status = ExemptReligious
	case medical:
		j.Status = ExemptMedical
	}
	return j, nil
}

// judge looks at one requirement; ok is false when it does not ask anything of the child.
func (r *Rule) judge(q *Requirement, c *Child, grade string, on coldkeep.Date) (Finding, bool) {
	k := q.caseFor(c, grade, on)
	if k == nil || q.BornFrom.Known() && c.Birth < q.BornFrom {
		return Finding{}, false
	}
	f := Finding{Requirement: q.ID, Title: q.Title, Diseases: q.Diseases, Source: k.Source}
	if by := q.proved(c); by != "" {
		f.Status, f.By = Protected, by
		return f, true
	}
	m := matcher{rule: r, child: c, on: on}
	in, next := k.steps(c, on)
	missing := m.unmet(in)
	switch {
	case in != nil && missing == nil:
		f.Status, f.By = Protected, "doses"
	case in == nil && m.unmet(next) == nil:
		f.Status, f.By = Protected, "doses" // what is asked for later is there already
	case in == nil: // the first deadline has not come
		missing = m.unmet(next)
		f.Status, f.Deadline = InProcess, next.By.From(c.Birth)
		f.Missing, f.Next = missing.words, missing.next
	default:
		f.Status = Unprotected
		f.Missing, f.Next = missing.words, missing.next
		if missing.next > on {
			f.Status = InProcess
		}
	}
	if f.Status != Protected {
		if e := q.exempt(c); e != "" {
			f.Status = e
		}
	}
	return f, true
}

// caseFor finds what a requirement asks in a grade at the child's age.
func (q *Requirement) caseFor(c *Child, grade string, on coldkeep.Date) *Case {
	for i := range q.Cases {
		k := &q.Cases[i]
		if slices.Contains(k.Grades, grade) && (!k.From.set || k.From.From(c.Birth) <= on) && (!k.Until.set || on < k.Until.From(c.Birth)) {
			return k
		}
	}
	return nil
}

// steps gives the step that is in force at the child's age, and the one after it; either
// may be absent.
func (k *Case) steps(c *Child, on coldkeep.Date) (in, next *Step) {
	for i := range k.Steps {
		s := &k.Steps[i]
		if s.By.set && s.By.From(c.Birth) > on {
			return in, s
		}
		in = s
	}
	return in, nil
}

// proved says by what else than doses a requirement is met; "" by nothing.
func (q *Requirement) proved(c *Child) string {
	for _, p := range q.Proofs {
		shown := map[string]bool{}
		how := "laboratory proof"
		for _, e := range c.Evidence {
			switch {
			case !slices.Contains(p.Codes, e.Code):
			case !e.Disease:
				shown[e.Code] = true
			case !p.LaboratoryOnly && (!p.DiseaseUntil.Known() || e.On.Known() && e.On < p.DiseaseUntil):
				shown[e.Code], how = true, "verified disease"
			}
		}
		if len(shown) > 0 && (!p.All || len(shown) == len(p.Codes)) {
			return how
		}
	}
	return ""
}

func (q *Requirement) exempt(c *Child) Status {
	out := Status("")
	for _, e := range c.Exemptions {
		if len(e.Groups) > 0 && !slices.ContainsFunc(q.Groups, func(g string) bool { return slices.Contains(e.Groups, g) }) {
			continue
		}
		if e.Kind == Medical {
			return ExemptMedical // it tells more of the child's risk
		}
		out = ExemptReligious
	}
	return out
}
