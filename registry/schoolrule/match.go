package schoolrule

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/coldkeep/coldkeep"
)

// matcher looks whether a child's doses meet a requirement.
type matcher struct {
	rule  *Rule
	child *Child
	on    coldkeep.Date
	// hopeful takes the day that suits of a dose of which the month alone is known.
	hopeful bool
}

// unmet is what is missing of a step.
type unmet struct {
	words []string
	left  int // doses
	begun bool
	late  bool // the series can no longer be met
	next  coldkeep.Date
}

// unmet looks at each way to meet a step; nil is that one of them is met. Otherwise it gives
// what is missing on the shortest way.
func (m *matcher) unmet(s *Step) *unmet {
	if s == nil {
		return nil
	}
	var best *unmet
	for i := range s.Any {
		u := m.missing(&s.Any[i])
		if u == nil {
			return nil
		}
		if a := s.Any[i].Advise; a == Never || a == IfBegun && !u.begun || u.late && a != Always {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(u.left, best.left), cmp.Compare(u.next, best.next)) < 0 {
			best = u
		}
	}
	return best
}

// missing is what a series wants that the doses do not show. A series is met when some of
// the doses, in their order, keep every age and interval: others beside them do no harm, so
// that no dose can make a child less protected.
func (m *matcher) missing(s *Series) *unmet {
	doses := m.relevant(s)
	n, chain := 0, []Dose(nil)
	for first := range doses {
		if got := m.chain(s, doses[first:]); len(got) > n {
			n, chain = len(got), got
		}
	}
	if n == len(s.Doses) {
		return nil
	}
	u := &unmet{left: len(s.Doses) - n, next: m.next(s, chain, doses)}
	want := &s.Doses[n]
	u.begun, u.late = n > 0, want.Before.set && u.next >= want.Before.From(m.child.Birth)
	words := "1 more dose"
	if u.left > 1 {
		words = fmt.Sprintf("%d more doses", u.left)
	}
	if n == 0 && u.left == len(s.Doses) {
		words = fmt.Sprintf("%d dose%s", u.left, plural(u.left))
	}
	if s.Words != "" && len(s.Doses) > 1 {
		words += " (for " + s.Words + ")"
	}
	u.words = append(u.words, words)
	last, which := &s.Doses[len(s.Doses)-1], "the last "
	if u.left == 1 {
		which = ""
	}
	switch {
	case want.Age.set && len(s.Doses) == 1:
		u.words = append(u.words, "at "+want.Age.Text+" or later")
	case want.Age.set && want != last:
		u.words = append(u.words, "the first of them at "+want.Age.Text+" or later")
	case last.Age.set:
		u.words = append(u.words, which+"at "+last.Age.Text+" or later")
	}
	if last.After.set && last.After.Months > 0 {
		u.words = append(u.words, which+last.After.Text+" or more after the one before")
	}
	if last.Within.set {
		u.words = append(u.words, which+"within "+last.Within.Text)
	}
	if !m.hopeful {
		h := *m
		h.hopeful = true
		if h.missing(s) == nil {
			u.words = append(u.words, "or the days of doses of which only the month is recorded")
		}
	}
	return u
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// relevant are the doses of a series' vaccines, by date.
func (m *matcher) relevant(s *Series) []Dose {
	var out []Dose
	for _, d := range m.child.Doses {
		if slices.ContainsFunc(s.Doses, func(want Want) bool { return m.rule.of(d.CVX, want.Of) }) && d.From <= m.on {
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(a, b Dose) int { return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(a.From, b.From)) })
	return out
}

// chain takes, of doses by date, the first as the series' first and then each next one at
// the earliest: if any choice meets the series with that first dose, this one does, since a
// dose taken earlier leaves the most room for the next.
func (m *matcher) chain(s *Series, doses []Dose) []Dose {
	var out []Dose
	for _, d := range doses {
		if len(out) == len(s.Doses) {
			break
		}
		if m.fits(&s.Doses[len(out)], d, out) {
			out = append(out, d)
		} else if len(out) == 0 {
			return nil
		}
	}
	return out
}

// fits reports whether a dose may be the next of a series after those before it.
func (m *matcher) fits(want *Want, d Dose, before []Dose) bool {
	early, late := d.From, d.To // by the day that suits least
	if m.hopeful {
		early, late = d.To, d.From
	}
	grace := coldkeep.Date(m.rule.GraceDays)
	switch {
	case !m.rule.of(d.CVX, want.Of):
		return false
	case want.Age.set && early < want.Age.From(m.child.Birth)-grace:
		return false
	case want.Before.set && late >= want.Before.From(m.child.Birth):
		return false
	case want.Within.set && want.Within.From(early) < m.on:
		return false
	}
	if len(before) == 0 {
		return true
	}
	from := func(b Dose, p Period) coldkeep.Date {
		if m.hopeful {
			return p.From(b.From) - grace
		}
		return p.From(b.To) - grace
	}
	return early > before[len(before)-1].From && // not the same dose told of twice
		(!want.After.set || early >= from(before[len(before)-1], want.After)) &&
		(!want.AfterFirst.set || early >= from(before[0], want.AfterFirst))
}

// next is the first day, from the day of the judgement, on which the dose after a chain
// would count. A dose of the same vaccine that did not count keeps its distance as well
// (ACIP, General Best Practice Guidelines: a dose is repeated after the minimum interval).
func (m *matcher) next(s *Series, chain, all []Dose) coldkeep.Date {
	want := &s.Doses[len(chain)]
	out := m.on
	if want.Age.set {
		out = max(out, want.Age.From(m.child.Birth))
	}
	if len(chain) > 0 && want.AfterFirst.set {
		out = max(out, want.AfterFirst.From(chain[0].To))
	}
	if want.After.set {
		for _, d := range all {
			out = max(out, want.After.From(d.To))
		}
	}
	return out
}
