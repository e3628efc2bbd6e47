package coverage

import (
	"cmp"
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// survey is an assessment made ready: who is asked about, and what for.
type survey struct {
	run     *Run
	engine  *forecast.Engine
	plans   []*plan
	moments []moment
	offsets []int // of each plan's cells within a day
	cells   int   // of a day
	ages    *[2]*schedule.Period
}

func newSurvey(r *Run, e *forecast.Engine) (*survey, error) {
	s := &survey{run: r, engine: e, moments: r.moments()}
	for i := range r.Asked.Measures {
		p, err := r.Asked.Measures[i].compile(e.Schedule())
		if err != nil {
			return nil, err
		}
		s.plans = append(s.plans, p)
		s.offsets = append(s.offsets, s.cells)
		s.cells += 1 + len(p.parts)
	}
	if r.Asked.Ages != nil {
		from, until, err := r.Asked.Ages.periods("ages")
		if err != nil {
			return nil, err
		}
		s.ages = &[2]*schedule.Period{from, until}
	}
	return s, nil
}

// assesses reports whether somebody who was born on a day is of the ages that are asked for.
func (s *survey) assesses(p *plan, born, on coldkeep.Date) bool {
	if s.run.Asked.Born.Known() {
		return s.run.Asked.Born <= born && born <= s.run.Asked.BornTo
	}
	from, until := p.from, p.until
	if s.ages != nil {
		from, until = s.ages[0], s.ages[1]
	}
	return from.From(born) <= on && on < until.From(born)
}

// births are the first and the last birth date of anybody who may be assessed: bounds that
// are a little wide, for reading.
func (s *survey) births() (first, last coldkeep.Date) {
	if s.run.Asked.Born.Known() {
		return s.run.Asked.Born, s.run.Asked.BornTo
	}
	oldest, youngest := s.moments[len(s.moments)-1].day, s.moments[0].day
	for i, p := range s.plans {
		from, until := p.from, p.until
		if s.ages != nil {
			from, until = s.ages[0], s.ages[1]
		}
		f := oldest - coldkeep.Date(int(until.Years)*366+int(until.Months)*31+int(until.Days)) - 31
		l := youngest - coldkeep.Date(int(from.Years)*365+int(from.Months)*28+int(from.Days)) + 31
		if i == 0 || f < first {
			first = f
		}
		last = max(last, l)
	}
	return max(first, coldkeep.NewDate(1800, 1, 1)), last
}

type place struct {
	dim   Dim
	value string
}

// tally counts people; it is for one goroutine. The sums do not depend on the order.
type tally struct {
	*survey
	eval  *evaluator
	sums  map[place][]Count
	lacks []lacking
	in    []int // plans that assess the person
}

func (s *survey) tally() *tally {
	return &tally{survey: s, eval: newEvaluator(s.engine), sums: map[place][]Count{}, lacks: make([]lacking, len(s.plans))}
}

// person counts one.
func (t *tally) person(p *Person) {
	for d, m := range t.moments {
		state, sites := p.counts(m, t.run.Asked.Basis)
		if t.run.Site != "" {
			if !slices.Contains(sites, t.run.Site) {
				continue
			}
		} else if !state && (len(sites) == 0 || d > 0) {
			continue
		}
		t.in = t.in[:0]
		for i, plan := range t.plans {
			if t.assesses(plan, p.Birth, m.day) {
				t.in = append(t.in, i)
			}
		}
		if len(t.in) == 0 {
			continue
		}
		t.eval.look(p, m)
		short := false // somebody lacks something
		for _, i := range t.in {
			t.lacks[i] = t.eval.lack(t.plans[i], m, t.lacks[i])
			short = short || t.lacks[i].total(byValid) > 0
		}
		var visits []visit
		if d == 0 && short {
			visits = t.eval.visits(p, m)
		}
		if t.run.Site != "" {
			t.add(place{All, ""}, d, visits, t.run.Site)
			continue
		}
		if state {
			t.add(place{All, ""}, d, visits, "")
		}
		if d > 0 {
			continue // earlier days are told as a whole
		}
		if state {
			t.add(place{ByCounty, p.County}, d, visits, "")
			t.add(place{ByZIP3, zip3(p.ZIP)}, d, visits, "")
		}
		for _, site := range sites {
			t.add(place{ByPractice, string(site)}, d, visits, site)
		}
	}
}

func zip3(zip string) string {
	if len(zip) < 3 {
		return ""
	}
	return zip[:3]
}

// add counts the person that was looked at in one place. Visits are those at a site; "" all.
func (t *tally) add(at place, day int, visits []visit, site coldkeep.SiteID) {
	sums := t.sums[at]
	if sums == nil {
		n := t.cells
		if at.dim == All {
			n *= len(t.moments)
		}
		sums = make([]Count, n)
		t.sums[at] = sums
	}
	for _, i := range t.in {
		cells := sums[day*t.cells+t.offsets[i]:]
		lack := t.lacks[i]
		whole := &cells[0]
		whole.count(lack.total(byValid), lack.total(byCount))
		for k := range lack {
			cells[1+k].count(lack[k][byValid], lack[k][byCount])
		}
		if lack.total(byValid) == 0 {
			continue
		}
		t.opportunities(cells, i, visits, site)
	}
}

// opportunities counts the visits of somebody who is not covered.
func (t *tally) opportunities(cells []Count, i int, visits []visit, site coldkeep.SiteID) {
	missed := false
	for k := range visits {
		if v := &visits[k]; site == "" || slices.Contains(v.sites, site) {
			cells[0].Visits++
			if v.missedOf(t.plans[i]) {
				cells[0].MissedVisits++
				missed = true
			}
		}
	}
	if missed {
		cells[0].Missed++
	}
}

func (c *Count) count(lackValid, lackCounted int) {
	c.People++
	valid, counted := lackValid == 0, lackCounted == 0
	switch {
	case valid && counted:
		c.Valid, c.Counted = c.Valid+1, c.Counted+1
	case valid:
		c.Valid, c.ValidOnly = c.Valid+1, c.ValidOnly+1
	case counted:
		c.Counted, c.CountedOnly = c.Counted+1, c.CountedOnly+1
	}
	if lackValid == 1 {
		c.Near++
	}
	if lackCounted == 1 {
		c.NearCounted++
	}
}

// merge adds what another tally has counted.
func (t *tally) merge(o *tally) {
	for at, from := range o.sums {
		into := t.sums[at]
		if into == nil {
			t.sums[at] = from
			continue
		}
		for i := range from {
			into[i].plus(&from[i])
		}
	}
}

func (c *Count) plus(o *Count) {
	to, from := c.numbers(), o.numbers()
	for i := range to {
		*to[i] += *from[i]
	}
}

// numbers are all that a count counts.
func (c *Count) numbers() []*int64 {
	return []*int64{&c.People, &c.Valid, &c.Counted, &c.ValidOnly, &c.CountedOnly, &c.Near, &c.NearCounted, &c.Missed, &c.Visits, &c.MissedVisits}
}

// list gives the counts in the order of day, dimension, value, measure and part. The whole is
// there also when nobody was assessed.
func (t *tally) list() []Count {
	if t.sums[place{All, ""}] == nil {
		t.sums[place{All, ""}] = make([]Count, t.cells*len(t.moments))
	}
	var out []Count
	for at, sums := range t.sums {
		for d := range len(sums) / t.cells {
			for i, p := range t.plans {
				for k := range 1 + len(p.parts) {
					c := sums[d*t.cells+t.offsets[i]+k]
					if c.People == 0 && at.dim != All {
						continue
					}
					c.Day, c.Dim, c.Value, c.Measure = t.moments[d].day, at.dim, at.value, p.ID
					if k > 0 {
						c.Part = p.Parts[k-1].ID
					}
					out = append(out, c)
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Count) int {
		return cmp.Or(-cmp.Compare(a.Day, b.Day), cmp.Compare(a.Dim, b.Dim), cmp.Compare(a.Value, b.Value), cmp.Compare(t.place(a.Measure), t.place(b.Measure)))
	})
	return out
}

func (t *tally) place(measure string) int {
	return slices.IndexFunc(t.plans, func(p *plan) bool { return p.ID == measure })
}

// Births gives the first and the last birth date of anybody whom an assessment reads. It is the
// zero Date twice when the assessment cannot be worked with.
func Births(r *Run, e *forecast.Engine) (first, last coldkeep.Date) {
	s, err := newSurvey(r, e)
	if err != nil {
		return 0, 0
	}
	return s.births()
}
