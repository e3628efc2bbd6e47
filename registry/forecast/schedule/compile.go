package schedule

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	coldkeep "github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/release"
)

// Refused is why a release was not accepted: every reason found, each naming
// the antigen, series and dose it is about.
type Refused struct{ Reasons []string }

// Error counts the reasons; Summary tells them.
func (r *Refused) Error() string { return fmt.Sprintf("refused for %d reasons", len(r.Reasons)) }

// Summary gives the first few reasons in full.
func (r *Refused) Summary() string {
	const shown = 5
	if len(r.Reasons) <= shown {
		return strings.Join(r.Reasons, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(r.Reasons[:shown], "; "), len(r.Reasons)-shown)
}

// Compile turns a release into a schedule. A release that does not hold
// together is refused with EINVALID; the cause is a *Refused.
func Compile(rel *release.Release) (*Schedule, error) {
	c := &compiler{
		s:       &Schedule{Version: rel.Version, Released: None, cvx: map[string]CVX{}, obs: map[string]Obs{}, coded: map[codedValue][]Obs{}},
		rel:     rel,
		antigen: map[string]int{}, group: map[string]int{}, period: map[string]PeriodID{},
	}
	c.s.Periods = []Period{{}}
	if rel.Released != "" {
		d, err := coldkeep.ParseDate(rel.Released)
		c.check(err, "release date")
		c.s.Released = d
	}
	c.tables()
	if len(c.reasons) == 0 {
		c.antigens()
	}
	if len(c.reasons) > 0 {
		why := &Refused{c.reasons}
		return nil, coldkeep.Wrap(why, coldkeep.EINVALID, "schedule.Compile",
			"the supporting data was refused: %s", why.Summary())
	}
	return c.s, nil
}

type compiler struct {
	s       *Schedule
	rel     *release.Release
	antigen map[string]int
	group   map[string]int
	period  map[string]PeriodID
	words   int // of a Set
	reasons []string
}

func (c *compiler) refuse(format string, args ...any) {
	c.reasons = append(c.reasons, fmt.Sprintf(format, args...))
}

func (c *compiler) check(err error, where string) {
	if err != nil {
		c.refuse("%s: %s", where, coldkeep.ErrorMessage(err))
	}
}

// tables compiles the schedule file: vaccines, groups, observations, conflicts.
func (c *compiler) tables() {
	f := &c.rel.Schedule
	for what, n := range map[string]int{
		"vaccine": len(f.Vaccines), "vaccine group": len(f.Groups), "vaccine group map": len(f.GroupMaps),
		"observation": len(f.Observations), "vaccine conflict": len(f.Conflicts), "antigen": len(c.rel.Antigens),
	} {
		if n == 0 {
			c.refuse("the release has no %s", what)
		}
	}
	for i := range c.rel.Antigens {
		name := fold(c.rel.Antigens[i].Name)
		if _, dup := c.antigen[name]; dup {
			c.refuse("antigen %s is given twice", c.rel.Antigens[i].Name)
		}
		c.antigen[name] = i
	}
	c.groups()
	c.observations()
	c.vaccines()
	c.conflicts()
	c.words = (len(c.s.Vaccines) + 63) / 64
	for i := range c.s.Vaccines {
		v := &c.s.Vaccines[i]
		v.Impacted = make(Set, c.words)
		for _, k := range v.Conflicts {
			v.Impacted.add(k.Previous)
		}
	}
}

func (c *compiler) groups() {
	for i, g := range c.rel.Schedule.Groups {
		c.group[fold(g.Name)] = i
		c.s.Groups = append(c.s.Groups, Group{Name: g.Name, Full: yes(g.Full)})
	}
	grouped := map[int]bool{}
	for _, m := range c.rel.Schedule.GroupMaps {
		g, ok := c.group[fold(m.Name)]
		if !ok {
			c.refuse("vaccine group %s has antigens but is not listed", m.Name)
			continue
		}
		for _, name := range m.Antigens {
			a, ok := c.antigen[fold(name)]
			if !ok {
				c.refuse("vaccine group %s: there is no file for antigen %s", m.Name, name)
				continue
			}
			c.s.Groups[g].Antigens = append(c.s.Groups[g].Antigens, a)
			grouped[a] = true
		}
	}
	for i := range c.rel.Antigens {
		if !grouped[i] {
			c.refuse("antigen %s is in no vaccine group", c.rel.Antigens[i].Name)
		}
	}
}

func (c *compiler) observations() {
	for i := range c.s.obsByNum {
		c.s.obsByNum[i] = NoObs
	}
	for i, o := range c.rel.Schedule.Observations {
		c.s.Observations = append(c.s.Observations, Observation{Code: o.Code, Title: o.Title})
		if n := digits(o.Code); n >= 0 && n < len(c.s.obsByNum) && o.Code != "" {
			c.s.obsByNum[n] = Obs(i)
		} else {
			c.s.obs[o.Code] = Obs(i)
		}
		for _, v := range o.Coded {
			k := codedValue{fold(v.System), v.Code}
			c.s.coded[k] = append(c.s.coded[k], Obs(i))
		}
	}
}

func (c *compiler) vaccines() {
	for i := range c.s.byNumber {
		c.s.byNumber[i] = NoCVX
	}
	for _, v := range c.rel.Schedule.Vaccines {
		if _, dup := c.s.CVX(v.CVX); dup {
			c.refuse("CVX %s is mapped twice", v.CVX)
		}
		out := &c.s.Vaccines[c.vaccine(v.CVX, v.Name)]
		for _, a := range v.Associations {
			k, ok := c.antigen[fold(a.Antigen)]
			if !ok {
				c.refuse("CVX %s: there is no file for antigen %s", v.CVX, a.Antigen)
				continue
			}
			where := "CVX " + v.CVX
			out.Associations = append(out.Associations, Association{k, c.age(a.Begin, where), c.age(a.End, where)})
		}
	}
}

// vaccine adds a vaccine type.
func (c *compiler) vaccine(code, name string) CVX {
	i := CVX(len(c.s.Vaccines))
	c.s.Vaccines = append(c.s.Vaccines, Vaccine{Code: code, Name: name})
	if n := digits(code); n >= 0 && n < len(c.s.byNumber) && code != "" {
		c.s.byNumber[n] = i
	} else {
		c.s.cvx[code] = i
	}
	return i
}

// conflicts compiles the pairs that need a distance. A vaccine without an antigen
// of the schedule, such as BCG, may be one of a pair.
func (c *compiler) conflicts() {
	for _, f := range c.rel.Schedule.Conflicts {
		where := "conflict of CVX " + f.Previous + " and " + f.Current
		prev, ok := c.s.CVX(f.Previous)
		if !ok {
			prev = c.vaccine(f.Previous, "")
		}
		cur, ok := c.s.CVX(f.Current)
		if !ok {
			cur = c.vaccine(f.Current, "")
		}
		k := Conflict{prev, c.interval(f.Begin, where), c.interval(f.MinEnd, where), c.interval(f.End, where)}
		if k.Begin == nil || k.End == nil {
			c.refuse("%s has no interval", where)
			continue
		}
		if k.MinEnd == nil {
			k.MinEnd = k.End
		}
		c.s.Vaccines[cur].Conflicts = append(c.s.Vaccines[cur].Conflicts, k)
	}
}

// antigens compiles the antigen files.
func (c *compiler) antigens() {
	c.s.Antigens = make([]Antigen, len(c.rel.Antigens))
	for i := range c.rel.Antigens {
		f, a := &c.rel.Antigens[i], &c.s.Antigens[i]
		a.Index, a.Name = i, f.Name
		for _, o := range f.Immune {
			a.Immune = append(a.Immune, c.observation(o, f.Name))
		}
		for _, b := range f.BornBefore {
			d, err := parseUS(b.Date)
			c.check(err, f.Name+" immunity")
			out := BornBefore{Before: d, Country: b.Country}
			for _, o := range b.Exclusions {
				out.Not = append(out.Not, c.observation(o, f.Name))
			}
			a.BornBefore = append(a.BornBefore, out)
		}
		for _, k := range f.Contraindications {
			a.Contraindications = append(a.Contraindications,
				Contraindication{c.observation(k.Observation, f.Name), c.age(k.Begin, f.Name), c.age(k.End, f.Name)})
		}
		for _, k := range f.VaccineContraindications {
			a.VaccineContraindications = append(a.VaccineContraindications,
				VaccineContraindication{c.observation(k.Observation, f.Name), c.byAge(k.Vaccines, f.Name)})
		}
		c.series(a, f)
	}
}

func (c *compiler) series(a *Antigen, f *release.Antigen) {
	if len(f.Series) == 0 {
		c.refuse("antigen %s has no series", f.Name)
	}
	number := map[string]int{}
	for i := range f.Series {
		g := f.Series[i].Select.Group
		if g == "" {
			c.refuse("series %q has no series group", f.Series[i].Name)
		}
		if _, ok := number[g]; !ok {
			number[g] = len(a.SeriesGroups)
			a.SeriesGroups = append(a.SeriesGroups, SeriesGroup{Number: g, Name: f.Series[i].Select.GroupName})
		}
	}
	for i := range f.Series {
		s := c.oneSeries(a, &f.Series[i], number)
		a.Series = append(a.Series, s)
		g := &a.SeriesGroups[s.SeriesGroup]
		g.Series = append(g.Series, s)
		if s.Type != Risk {
			g.Common = append(g.Common, s)
		}
	}
	for i := range a.SeriesGroups {
		// A series that is only evaluated is for risk when the series it stands among are.
		g := a.SeriesGroups[i].Series
		risk := slices.ContainsFunc(g, func(s *Series) bool { return s.Type == Risk })
		for _, s := range g {
			s.ForRisk = s.Type == Risk || s.Type == EvaluationOnly && risk
		}
	}
	sort.SliceStable(a.Series, func(i, j int) bool { return !asksCompleted(a.Series[i]) && asksCompleted(a.Series[j]) })
	for _, s := range a.Series {
		s.Index = c.s.SeriesCount
		c.s.SeriesCount++
		if s.Type != Risk {
			a.Common = append(a.Common, s)
		}
	}
	for _, gender := range []Gender{Female, Male, UnknownGender} {
		for _, s := range a.Common {
			hasDefault := slices.ContainsFunc(a.SeriesGroups[s.SeriesGroup].Series, func(o *Series) bool { return o.Default && o.Genders&gender != 0 })
			if s.Genders&gender != 0 && (s.Default || s.Type == Standard && !hasDefault) {
				a.Fresh[gender] = append(a.Fresh[gender], s)
			}
		}
	}
}

func asksCompleted(s *Series) bool {
	for i := range s.Doses {
		for _, skip := range s.Doses[i].Skips {
			for _, set := range skip.Sets {
				for _, k := range set.Conditions {
					if k.Type == ByCompleted {
						return true
					}
				}
			}
		}
	}
	return false
}

func (c *compiler) oneSeries(a *Antigen, f *release.Series, number map[string]int) *Series {
	where := "series " + strconv.Quote(f.Name)
	s := &Series{
		Name: f.Name, Antigen: a, Default: yes(f.Select.Default), ProductPath: yes(f.Select.ProductPath),
		SeriesGroup: number[f.Select.Group], Equivalent: list(f.Equivalent), Priority: 'Z', Preference: NoPreference,
		MinAge: c.age(f.Select.MinAge, where), MaxAge: c.age(f.Select.MaxAge, where), Shared: f.Shared,
	}
	g, ok := c.group[fold(f.Group)]
	if !ok || !slices.Contains(c.s.Groups[g].Antigens, a.Index) {
		c.refuse("%s: vaccine group %s does not hold antigen %s", where, f.Group, a.Name)
	}
	s.Group = g
	switch fold(f.Type) {
	case "standard":
		s.Type = Standard
	case "risk":
		s.Type = Risk
	case "evaluation only":
		s.Type = EvaluationOnly
	default:
		c.refuse("%s: series type %q is unknown", where, f.Type)
	}
	for _, x := range f.Genders {
		switch fold(x) {
		case "female":
			s.Genders |= Female
		case "male":
			s.Genders |= Male
		case "unknown":
			s.Genders |= UnknownGender
		default:
			c.refuse("%s: gender %q is unknown", where, x)
		}
	}
	if s.Genders == 0 {
		s.Genders = AnyGender
	}
	if p := strings.ToUpper(f.Select.Priority); len(p) == 1 {
		s.Priority = p[0]
	}
	if p := f.Select.Preference; p != "" {
		if s.Preference = digits(p); s.Preference < 0 {
			c.refuse("%s: preference %q is not a number", where, p)
		}
	}
	for _, i := range f.Indication {
		s.Indications = append(s.Indications,
			Indication{c.observation(i.Code, where), c.age(i.Begin, where), c.age(i.End, where)})
	}
	if s.Type == Risk && len(s.Indications) == 0 {
		c.refuse("%s is a risk series with no indication", where)
	}
	if len(f.Doses) == 0 {
		c.refuse("%s has no doses", where)
	}
	for i := range f.Doses {
		s.Doses = append(s.Doses, c.dose(&f.Doses[i], i+1, where, number))
	}
	return s
}
