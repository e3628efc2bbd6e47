package schoolrule

import (
	"bytes"
	"embed"
	"encoding/json"
	"slices"
	"sync"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// Rule is a version of a rule.
type Rule struct {
	ID           string              `json:"id"`
	Title        string              `json:"title"`
	Version      string              `json:"version"`
	From         coldkeep.Date       `json:"from"` // the first day it is judged by
	Notes        string              `json:"notes"`
	GraceDays    int                 `json:"grace_days"` // by which a dose may come before a minimum age or interval
	Exclusion    string              `json:"exclusion"`
	Grades       []Grade             `json:"grades"`
	Vaccines     map[string][]string `json:"vaccines"` // the CVX codes of a kind of vaccine
	Requirements []Requirement       `json:"requirements"`
}

// Grade is a grade, or child care, or college.
type Grade struct {
	Code  string `json:"code"`
	Title string `json:"title"`
}

// Requirement is what is asked about one disease or vaccine.
type Requirement struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Diseases []string      `json:"diseases"`
	Groups   []string      `json:"groups"` // the schedule's vaccine groups, by which exemptions speak
	BornFrom coldkeep.Date `json:"born_from"`
	Proofs   []Proof       `json:"proofs"`
	Cases    []Case        `json:"cases"`
}

// Proof is what shows immunity without doses.
type Proof struct {
	Codes          []string      `json:"codes"` // CDSi observations
	All            bool          `json:"all"`   // every code is needed, not one
	LaboratoryOnly bool          `json:"laboratory_only"`
	DiseaseUntil   coldkeep.Date `json:"disease_until"` // from when on a diagnosis alone does not do
	Source         string        `json:"source"`
}

// Case is what is asked in some grades at some ages.
type Case struct {
	Grades []string `json:"grades"`
	From   Period   `json:"from"`  // the age from which it holds
	Until  Period   `json:"until"` // and before which
	Source string   `json:"source"`
	Steps  []Step   `json:"steps"` // by age; the last whose age has come is in force
}

// Step is what is asked by an age, in any of some ways.
type Step struct {
	By  Period   `json:"by"`
	Any []Series `json:"any"`
}

// Series is doses in their order.
type Series struct {
	Words  string `json:"words"`
	Advise Advise `json:"advise"`
	Doses  []Want `json:"doses"`
}

// Advise says whether a child who lacks doses is told of a series.
type Advise string

// A series that the United States no longer have the vaccine for is never named, and one
// that few begin only to who has.
const (
	Always  Advise = ""
	IfBegun Advise = "begun"
	Never   Advise = "never"
)

// Want is one dose of a series.
type Want struct {
	Of         []string `json:"of"`          // kinds of vaccine
	Age        Period   `json:"age"`         // the least
	Before     Period   `json:"before"`      // an age by which it is too late
	After      Period   `json:"after"`       // the least time since the dose before
	AfterFirst Period   `json:"after_first"` // … and since the first
	Within     Period   `json:"within"`      // the most time before the day of the judgement
}

// Period is an age or an interval, counted as the forecast counts: months by the calendar,
// and a day that a month does not have is the first of the next.
type Period struct {
	schedule.Period
	set bool
}

// UnmarshalJSON reads words such as "4 years".
func (p *Period) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := schedule.ParsePeriod(s)
	p.Period, p.set = v, true
	return err
}

// of reports whether a CVX code is of one of some kinds of vaccine.
func (r *Rule) of(cvx string, kinds []string) bool {
	return slices.ContainsFunc(kinds, func(k string) bool { return slices.Contains(r.Vaccines[k], cvx) })
}

// Load reads a rule. EINVALID when it is not whole: a kind of vaccine, a grade or a series
// that is not there.
func Load(b []byte) (*Rule, error) {
	var r Rule
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "rule: %v", err)
	}
	bad := func(what, name string) error {
		return coldkeep.Errorf(coldkeep.EINVALID, "rule %s: %s %q is not one of it", r.ID, what, name)
	}
	if r.ID == "" || r.Version == "" || !r.From.Known() || len(r.Requirements) == 0 || r.GraceDays < 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "rule %q: id, version, first day and requirements are needed", r.ID)
	}
	for _, q := range r.Requirements {
		for _, k := range q.Cases {
			for _, g := range k.Grades {
				if !slices.ContainsFunc(r.Grades, func(have Grade) bool { return have.Code == g }) {
					return nil, bad("grade", g)
				}
			}
			if k.Source == "" || len(k.Steps) == 0 {
				return nil, bad("a case without source or steps of", q.ID)
			}
			for _, s := range k.Steps {
				for _, a := range s.Any {
					for _, w := range a.Doses {
						for _, kind := range w.Of {
							if len(r.Vaccines[kind]) == 0 {
								return nil, bad("vaccine", kind)
							}
						}
					}
					if len(a.Doses) == 0 || !slices.Contains([]Advise{Always, IfBegun, Never}, a.Advise) {
						return nil, bad("a series without doses, or with another advice, of", q.ID)
					}
				}
				if !slices.ContainsFunc(s.Any, func(a Series) bool { return a.Advise == Always }) {
					return nil, bad("a step without a series to advise of", q.ID)
				}
			}
		}
	}
	return &r, nil
}

//go:embed *.json
var files embed.FS

var builtin = sync.OnceValue(func() []*Rule {
	names, err := files.ReadDir(".")
	var out []*Rule
	for _, n := range names {
		var b []byte
		if b, err = files.ReadFile(n.Name()); err != nil {
			break
		}
		r, e := Load(b)
		if err = e; err != nil {
			break
		}
		out = append(out, r)
	}
	if err != nil {
		panic("the built-in school rules cannot be read: " + err.Error())
	}
	return out
})

// The rules that come with the program.
const (
	School  = "il-665"
	College = "il-694"
)

// Of gives the version of a rule by which is judged on a day, of those that come with the
// program. ENOTFOUND when there is none.
func Of(id string, on coldkeep.Date) (*Rule, error) { return latest(builtin(), id, on) }

func latest(rules []*Rule, id string, on coldkeep.Date) (*Rule, error) {
	var best *Rule
	for _, r := range rules {
		if r.ID == id && r.From <= on && (best == nil || r.From > best.From) {
			best = r
		}
	}
	if best == nil {
		return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "No version of the rule %s is known for %s.", id, on)
	}
	return best, nil
}

// Grades lists the grades of both rules on a day, the youngest first.
func Grades(on coldkeep.Date) []Grade {
	var out []Grade
	for _, id := range []string{School, College} {
		if r, err := Of(id, on); err == nil {
			out = append(out, r.Grades...)
		}
	}
	return out
}

// For gives the rule that a grade is of, on a day. EINVALID for an unknown grade.
func For(grade string, on coldkeep.Date) (*Rule, error) {
	for _, id := range []string{School, College} {
		r, err := Of(id, on)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(r.Grades, func(g Grade) bool { return g.Code == grade }) {
			return r, nil
		}
	}
	return nil, coldkeep.Errorf(coldkeep.EINVALID, "Grade: %q is none that the rules know.", grade)
}

// TitleOf is a grade in words.
func TitleOf(grade string, on coldkeep.Date) string {
	for _, g := range Grades(on) {
		if g.Code == grade {
			return g.Title
		}
	}
	return grade
}

// UsualGrade is the grade that a child of that age is usually in on a day: who is five on or
// before 1 September begins with kindergarten (105 ILCS 5/10-20.12), and the school year
// turns on 1 July.
func UsualGrade(birth, on coldkeep.Date) string {
	y, m, _ := on.Civil()
	if m < 7 {
		y--
	}
	by, bm, bd := birth.Civil()
	age := y - by
	if bm > 9 || bm == 9 && bd > 1 {
		age--
	}
	grades := []string{"K", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}
	switch {
	case age < 5:
		return "child-care"
	case age-5 < len(grades):
		return grades[age-5]
	}
	return "college"
}
