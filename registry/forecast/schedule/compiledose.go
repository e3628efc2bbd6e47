package schedule

import (
	"fmt"
	"strings"

	"github.com/coldkeep/coldkeep/registry/forecast/release"
)

// dose compiles one target dose. Doses are numbered 1, 2, 3 in their order; a
// release where one is missing is partial.
func (c *compiler) dose(f *release.Dose, n int, series string, number map[string]int) Dose {
	where := fmt.Sprintf("%s dose %d", series, n)
	if fold(f.Number) != fmt.Sprintf("dose %d", n) {
		c.refuse("%s: found %q in its place", where, f.Number)
	}
	d := Dose{Number: n, Recurring: yes(f.Recurring), SeasonStart: None, SeasonEnd: None, Inadvertent: c.set(f.Inadvertent, where)}
	for _, a := range f.Ages {
		d.Ages = append(d.Ages, Age{
			Window: c.window(a.Effective, a.Cessation, where),
			AbsMin: c.age(a.AbsMin, where), Min: c.age(a.Min, where), EarliestRec: c.age(a.EarliestRec, where),
			LatestRec: c.age(a.LatestRec, where), Max: c.age(a.Max, where),
		})
	}
	for i := range f.Intervals {
		d.Intervals = append(d.Intervals, c.oneInterval(&f.Intervals[i], n, where))
	}
	for i := range f.AllowedInts {
		d.Allowable = append(d.Allowable, c.oneInterval(&f.AllowedInts[i], n, where))
	}
	if len(f.Preferable)+len(f.Allowable) == 0 {
		c.refuse("%s accepts no vaccine", where)
	}
	d.Impacted = make(Set, c.words)
	for _, p := range f.Preferable {
		v := c.cvx(p.CVX, where)
		d.Preferable = append(d.Preferable, PreferableVaccine{
			CVX: v, Begin: c.age(p.Begin, where), End: c.age(p.End, where),
			Trade: p.Trade, MVX: p.MVX, Forecast: yes(p.Forecast),
		})
		if v != NoCVX {
			for w := range d.Impacted {
				d.Impacted[w] |= c.s.Vaccines[v].Impacted[w]
			}
		}
	}
	if d.Impacted.Empty() {
		d.Impacted = nil
	}
	d.AllowedTypes = c.byAge(f.Allowable, where)
	for i := range f.Skips {
		d.Skips = append(d.Skips, c.skip(&f.Skips[i], where, number))
	}
	if len(f.Season) > 1 {
		c.refuse("%s has %d seasons", where, len(f.Season))
	}
	for _, s := range f.Season {
		d.Seasonal = true
		d.SeasonStart, d.SeasonEnd = c.compact(s.Start, None, where), c.compact(s.End, None, where)
	}
	return d
}

func (c *compiler) oneInterval(f *release.Interval, n int, where string) Interval {
	i := Interval{
		Window: c.window(f.Effective, f.Cessation, where), Observation: NoObs, Priority: fold(f.Priority) == "override" || yes(f.Priority),
		AbsMin: c.interval(f.AbsMin, where), Min: c.interval(f.Min, where),
		EarliestRec: c.interval(f.EarliestRec, where), LatestRec: c.interval(f.LatestRec, where),
	}
	switch {
	case yes(f.FromPrevious):
		i.From = FromPrevious
	case f.FromTarget != "":
		i.From, i.Target = FromTarget, digits(f.FromTarget)
		if i.Target < 1 || i.Target >= n {
			c.refuse("%s: an interval from dose %q", where, f.FromTarget)
		}
	case f.FromMostRecent != "":
		i.From, i.Vaccines = FromMostRecent, c.set(list(f.FromMostRecent), where)
	case f.FromObservation != "":
		i.From, i.Observation = FromObservation, c.observation(f.FromObservation, where)
	default:
		c.refuse("%s: an interval from nothing", where)
	}
	return i
}

func (c *compiler) skip(f *release.Skip, where string, number map[string]int) Skip {
	s := Skip{All: c.all(f.SetLogic, where)}
	switch fold(f.Context) {
	case "evaluation":
		s.Context = InEvaluation
	case "forecast":
		s.Context = InForecast
	case "both":
		s.Context = InBoth
	case "n/a": // applies nowhere
	default:
		c.refuse("%s: skip context %q is unknown", where, f.Context)
	}
	for i := range f.Sets {
		set := SkipSet{Window: c.window(f.Sets[i].Effective, f.Sets[i].Cessation, where), All: c.all(f.Sets[i].Logic, where)}
		for k := range f.Sets[i].Conditions {
			set.Conditions = append(set.Conditions, c.condition(&f.Sets[i].Conditions[k], where, number))
		}
		if len(set.Conditions) == 0 {
			c.refuse("%s: a skip set without conditions", where)
		}
		s.Sets = append(s.Sets, set)
	}
	return s
}

// all reads AND or OR. One set or one condition needs neither ("n/a" or empty).
func (c *compiler) all(logic, where string) bool {
	switch fold(logic) {
	case "and", "", "n/a":
		return true
	case "or":
		return false
	}
	c.refuse("%s: set logic %q is unknown", where, logic)
	return true
}

func (c *compiler) condition(f *release.Condition, where string, number map[string]int) Condition {
	k := Condition{
		Start: c.compact(f.Start, None, where), End: c.compact(f.End, None, where),
		Begin: c.age(f.BeginAge, where), EndAge: c.age(f.EndAge, where),
	}
	switch t := fold(f.Type); {
	case t == "age":
		k.Type = ByAge
	case t == "interval":
		k.Type, k.Interval = ByInterval, c.interval(f.Interval, where)
		if k.Interval == nil {
			c.refuse("%s: an interval condition without an interval", where)
		}
	case t == "completed series":
		k.Type = ByCompleted
		for _, g := range list(f.SeriesGroups) {
			i, ok := number[g]
			if !ok {
				c.refuse("%s: a condition on series group %s, which is not there", where, g)
			}
			k.Groups = append(k.Groups, i)
		}
	case strings.HasPrefix(t, "vaccine count by"):
		k.Type = ByCount
		c.count(&k, f, where)
	default:
		c.refuse("%s: condition type %q is unknown", where, f.Type)
	}
	return k
}

func (c *compiler) count(k *Condition, f *release.Condition, where string) {
	if k.Count = digits(f.Count); k.Count < 0 || f.Count == "" {
		c.refuse("%s: dose count %q", where, f.Count)
	}
	switch fold(f.DoseType) {
	case "valid":
		k.Valid = true
	case "total":
	default:
		c.refuse("%s: dose type %q is unknown", where, f.DoseType)
	}
	switch fold(f.CountLogic) {
	case "greater than":
		k.Compare = MoreThan
	case "equal to":
		k.Compare = EqualTo
	case "less than":
		k.Compare = LessThan
	default:
		c.refuse("%s: dose count logic %q is unknown", where, f.CountLogic)
	}
	if v := list(f.Vaccines); len(v) > 0 {
		k.Vaccines = c.set(v, where)
	}
}

func (c *compiler) byAge(in []release.VaccineByAge, where string) []VaccineByAge {
	var out []VaccineByAge
	for _, v := range in {
		out = append(out, VaccineByAge{c.cvx(v.CVX, where), c.age(v.Begin, where), c.age(v.End, where)})
	}
	return out
}

func (c *compiler) cvx(code, where string) CVX {
	v, ok := c.s.CVX(code)
	if !ok {
		c.refuse("%s: CVX %q is not in the vaccine map", where, code)
	}
	return v
}

func (c *compiler) set(codes []string, where string) Set {
	s := make(Set, c.words)
	for _, code := range codes {
		if v := c.cvx(code, where); v != NoCVX {
			s.add(v)
		}
	}
	return s
}

func (c *compiler) observation(code, where string) Obs {
	o, ok := c.s.Observation(code)
	if !ok {
		c.refuse("%s: observation %q is not in the schedule", where, code)
	}
	return o
}

// age gives the id of an age, so that a patient's dates are found once each.
func (c *compiler) age(s, where string) PeriodID {
	if s == "" {
		return 0
	}
	if id, ok := c.period[s]; ok {
		return id
	}
	p, err := ParsePeriod(s)
	c.check(err, where)
	id := PeriodID(len(c.s.Periods))
	c.s.Periods = append(c.s.Periods, p)
	c.period[s] = id
	return id
}

func (c *compiler) interval(s, where string) *Period {
	if s == "" {
		return nil
	}
	p, err := ParsePeriod(s)
	c.check(err, where)
	return &p
}

func (c *compiler) window(effective, cessation, where string) Window {
	return Window{c.compact(effective, Past, where), c.compact(cessation, Future, where)}
}

func (c *compiler) compact(s string, empty Date, where string) Date {
	if s == "" {
		return empty
	}
	d, err := parseCompact(s)
	c.check(err, where)
	return d
}

// list splits "a; b; c".
func list(s string) []string {
	var out []string
	for f := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ';' || r == ',' }) {
		if f = strings.TrimSpace(f); f != "" {
			out = append(out, f)
		}
	}
	return out
}

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func yes(s string) bool { return fold(s) == "yes" || fold(s) == "y" }
