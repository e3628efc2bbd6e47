package coverage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// Measure is what a person must have had to count as covered, as data: a file that comes
// with the program (folder measures), or one that an administrator has added. A version
// never changes.
type Measure struct {
	ID      string `json:"id"` // lower-case letters, digits and hyphens
	Version int    `json:"version"`
	Title   string `json:"title"`
	About   string `json:"about"`  // in plain words
	Source  string `json:"source"` // where the definition is from
	// Who is assessed when nothing else is asked for.
	Who Ages `json:"who"`
	// By is the last birthday on which a dose counts, such as "24 months"; "" is the day of
	// the assessment.
	By    string `json:"by,omitempty"`
	Parts []Part `json:"parts"`
}

// Ages are a span of ages on the day of an assessment: From is reached, Until is not.
type Ages struct {
	From  string `json:"from"`  // such as "19 months"; "0 days" from birth
	Until string `json:"until"` // such as "36 months"
}

// Part is one vaccine of a measure.
type Part struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Antigens are CDC's names of them (CDSi). Each must have been given often enough, so
	// that a combination counts for all of its antigens and a single vaccine for its own.
	Antigens []string `json:"antigens"`
	CVX      []string `json:"cvx,omitempty"`   // these vaccines alone count; empty: all with the antigen
	Not      []string `json:"not,omitempty"`   // these do not
	From     string   `json:"from,omitempty"`  // the age from which a dose counts; "" birth
	Until    string   `json:"until,omitempty"` // the last birthday on which one counts; "" as the measure's By
	// Within takes doses of so long a time before the day, such as "10 years".
	Within string `json:"within,omitempty"`
	// Season takes doses since the last such day of a year, "07-01" being 1 July.
	Season string  `json:"season,omitempty"`
	Limits []Limit `json:"limits,omitempty"`
	// Immune lets evidence of immunity on the record stand for an antigen.
	Immune bool `json:"immune,omitempty"`
	// Complete lets it count, in the valid way, that the schedule calls the vaccine group
	// complete. It cannot go with By: the schedule speaks of the day of the assessment.
	Complete bool   `json:"complete,omitempty"`
	Ways     []Way  `json:"ways"`   // any of them fills the part
	Source   string `json:"source"` // where each number is from
}

// Limit is an age from which some of a part's vaccines count.
type Limit struct {
	CVX  []string `json:"cvx"`
	From string   `json:"from"`
}

// Way is one way to fill a part.
type Way struct {
	Doses int      `json:"doses"`        // on as many days
	Of    []string `json:"of,omitempty"` // CVX codes that alone count for it; empty: all of the part
	// The first FirstN doses must be of First, as the two of PRP-OMP after which a Hib series
	// has one dose fewer.
	First  []string `json:"first,omitempty"`
	FirstN int      `json:"first_n,omitempty"`
	// Apart is the least time between the first and the last.
	Apart string `json:"apart,omitempty"`
	// LastFrom is the age from which the last must be given.
	LastFrom string `json:"last_from,omitempty"`
}

// The bounds of a definition: what a page can show and a person can read.
const (
	mostParts = 20
	mostWays  = 6
	mostDoses = 12
)

// plan is a measure made ready for a schedule.
type plan struct {
	*Measure
	from, until *schedule.Period
	by          *schedule.Period
	parts       []partPlan
}

type partPlan struct {
	*Part
	antigens           []int // of the schedule
	groups             []int // of the schedule that the antigens are in, for what was due
	from, until, since *schedule.Period
	limits             []*schedule.Period
	month, day         int // of the season's beginning; 0 none
	apart, lastFrom    []*schedule.Period
}

// Check is nil when a measure can be worked with under a schedule. EINVALID names the field.
func (m *Measure) Check(s *schedule.Schedule) error {
	_, err := m.compile(s)
	return err
}

func (m *Measure) compile(s *schedule.Schedule) (*plan, error) {
	bad := func(format string, a ...any) error {
		return coldkeep.Errorf(coldkeep.EINVALID, format, a...)
	}
	if !isID(m.ID) {
		return nil, bad("id: %q: want 1 to 40 lower-case letters, digits and hyphens", m.ID)
	}
	if m.Version < 1 {
		return nil, bad("version: want 1 or more")
	}
	for _, f := range []struct{ name, value string }{{"title", m.Title}, {"about", m.About}, {"source", m.Source}} {
		if strings.TrimSpace(f.value) == "" || len(f.value) > 1000 {
			return nil, bad("%s: want words, at most 1000 characters", f.name)
		}
	}
	if len(m.Parts) == 0 || len(m.Parts) > mostParts {
		return nil, bad("parts: %d of them; want 1 to %d", len(m.Parts), mostParts)
	}
	out := &plan{Measure: m, parts: make([]partPlan, len(m.Parts))}
	var err error
	if out.from, out.until, err = m.Who.periods("who"); err != nil {
		return nil, err
	}
	if out.by, err = period("by", m.By); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i := range m.Parts {
		if seen[m.Parts[i].ID] {
			return nil, bad("parts[%d].id: %q is there twice", i, m.Parts[i].ID)
		}
		seen[m.Parts[i].ID] = true
		if m.Parts[i].Complete && m.By != "" {
			return nil, bad("parts[%d].complete: cannot go with by", i)
		}
		if out.parts[i], err = m.Parts[i].compile(s, fmt.Sprintf("parts[%d]", i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a Ages) periods(name string) (from, until *schedule.Period, err error) {
	if from, err = need(name+".from", a.From); err != nil {
		return nil, nil, err
	}
	if until, err = need(name+".until", a.Until); err != nil {
		return nil, nil, err
	}
	if some := coldkeep.NewDate(2000, 1, 1); from.From(some) < some || until.From(some) <= from.From(some) {
		return nil, nil, coldkeep.Errorf(coldkeep.EINVALID, "%s: ages from %q until %q: the second must be the later one", name, a.From, a.Until)
	}
	return from, until, nil
}

func (p *Part) compile(s *schedule.Schedule, name string) (out partPlan, err error) {
	bad := func(format string, a ...any) error {
		return coldkeep.Errorf(coldkeep.EINVALID, name+format, a...)
	}
	out.Part = p
	switch {
	case !isID(p.ID):
		return out, bad(".id: %q: want lower-case letters, digits and hyphens", p.ID)
	case strings.TrimSpace(p.Title) == "" || len(p.Title) > 100:
		return out, bad(".title: want words, at most 100 characters")
	case strings.TrimSpace(p.Source) == "" || len(p.Source) > 1000:
		return out, bad(".source: say where the numbers are from, in at most 1000 characters")
	case len(p.Antigens) == 0:
		return out, bad(".antigens: want at least one")
	case len(p.Ways) == 0 || len(p.Ways) > mostWays:
		return out, bad(".ways: %d of them; want 1 to %d", len(p.Ways), mostWays)
	}
	for _, a := range p.Antigens {
		i := slices.IndexFunc(s.Antigens, func(x schedule.Antigen) bool { return x.Name == a })
		if i < 0 {
			return out, bad(".antigens: %q is none of the schedule's", a)
		}
		out.antigens = append(out.antigens, i)
		for g := range s.Groups {
			if slices.Contains(s.Groups[g].Antigens, i) && !slices.Contains(out.groups, g) {
				out.groups = append(out.groups, g)
			}
		}
	}
	for _, f := range []struct {
		name string
		list []string
	}{{".cvx", p.CVX}, {".not", p.Not}} {
		if err := checkCVX(s, name+f.name, f.list); err != nil {
			return out, err
		}
	}
	for _, f := range []struct {
		into       **schedule.Period
		name, text string
	}{{&out.from, ".from", p.From}, {&out.until, ".until", p.Until}, {&out.since, ".within", p.Within}} {
		if *f.into, err = period(name+f.name, f.text); err != nil {
			return out, err
		}
	}
	if p.Season != "" {
		d, err := coldkeep.ParseDate("2001-" + p.Season) // no leap day: it is not in every year
		if err != nil {
			return out, bad(".season: %q: want month and day, such as \"07-01\"", p.Season)
		}
		_, out.month, out.day = d.Civil()
	}
	for i, l := range p.Limits {
		if len(l.CVX) == 0 {
			return out, bad(".limits[%d].cvx: want at least one", i)
		}
		if err := checkCVX(s, fmt.Sprintf("%s.limits[%d].cvx", name, i), l.CVX); err != nil {
			return out, err
		}
		at, err := need(fmt.Sprintf("%s.limits[%d].from", name, i), l.From)
		if err != nil {
			return out, err
		}
		out.limits = append(out.limits, at)
	}
	if !slices.ContainsFunc(p.Ways, func(w Way) bool { return w.FirstN == 0 }) {
		return out, bad(".ways: one must be open to every product, without first")
	}
	for i := range p.Ways {
		apart, last, err := p.Ways[i].compile(s, fmt.Sprintf("%s.ways[%d]", name, i))
		if err != nil {
			return out, err
		}
		out.apart, out.lastFrom = append(out.apart, apart), append(out.lastFrom, last)
	}
	return out, nil
}

func (w *Way) compile(s *schedule.Schedule, name string) (apart, last *schedule.Period, err error) {
	bad := func(format string, a ...any) error {
		return coldkeep.Errorf(coldkeep.EINVALID, name+format, a...)
	}
	if w.Doses < 1 || w.Doses > mostDoses {
		return nil, nil, bad(".doses: %d; want 1 to %d", w.Doses, mostDoses)
	}
	if (w.FirstN > 0) != (len(w.First) > 0) || w.FirstN < 0 || w.FirstN > w.Doses {
		return nil, nil, bad(".first_n: %d goes with first, and is at most doses", w.FirstN)
	}
	if err := checkCVX(s, name+".of", w.Of); err != nil {
		return nil, nil, err
	}
	if err := checkCVX(s, name+".first", w.First); err != nil {
		return nil, nil, err
	}
	if apart, err = period(name+".apart", w.Apart); err != nil {
		return nil, nil, err
	}
	if apart != nil && w.Doses < 2 {
		return nil, nil, bad(".apart: wants 2 doses or more")
	}
	last, err = period(name+".last_from", w.LastFrom)
	return apart, last, err
}

func checkCVX(s *schedule.Schedule, name string, codes []string) error {
	for _, c := range codes {
		if _, ok := s.CVX(c); !ok {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: %q is no CVX code of the schedule", name, c)
		}
	}
	return nil
}

// period reads an age or a length of time; "" is nil.
func period(name, text string) (*schedule.Period, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	p, err := schedule.ParsePeriod(text)
	if err != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "%s: %q is not an age: want such as \"19 months\", \"42 days\" or \"12 months - 4 days\"", name, text)
	}
	if p.Years > 150 || p.Months > 1800 { // nobody is as old
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "%s: %q is more than 150 years", name, text)
	}
	return &p, nil
}

func need(name, text string) (*schedule.Period, error) {
	p, err := period(name, text)
	if err == nil && p == nil {
		err = coldkeep.Errorf(coldkeep.EINVALID, "%s: an age is missing", name)
	}
	return p, err
}

func isID(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
