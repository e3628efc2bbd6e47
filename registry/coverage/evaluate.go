package coverage

import (
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// The two ways of counting. By count, a dose counts when the measure's own ages and days
// allow it. In the valid way it must, besides, be valid by the schedule for the antigen. A
// dose that a cold-chain break spoilt counts in neither: it protected nobody.
type way int

const (
	byCount way = iota
	byValid
	ways
)

// lacking is how many doses a person lacks, by part of a measure and way; 0 is covered.
type lacking [][ways]int

// evaluator says what people lack. It is for one goroutine.
type evaluator struct {
	s      *schedule.Schedule
	worker *forecast.Worker
	hist   history
	past   history // at a visit
	// valid says of each dose of hist, antigen by antigen, whether it is valid.
	valid    [][]bool
	complete []bool // by vaccine group
	immune   []bool // by antigen
	found    []given
	byName   map[string]int // antigens
	groupOf  map[string]int
}

// given is what was given of an antigen on one day.
type given struct {
	day coldkeep.Date
	cvx []string
}

func newEvaluator(e *forecast.Engine) *evaluator {
	v := &evaluator{s: e.Schedule(), worker: e.Worker(), byName: map[string]int{}, groupOf: map[string]int{}}
	for i := range v.s.Antigens {
		v.byName[v.s.Antigens[i].Name] = i
	}
	for i := range v.s.Groups {
		v.groupOf[v.s.Groups[i].Name] = i
	}
	v.complete, v.immune = make([]bool, len(v.s.Groups)), make([]bool, len(v.s.Antigens))
	return v
}

// look reads a person at a moment and asks the schedule.
func (v *evaluator) look(p *Person, m moment) {
	v.hist.at(p, m)
	r := v.worker.Forecast(&v.hist.ask)
	for len(v.valid) < len(v.hist.doses) {
		v.valid = append(v.valid, make([]bool, len(v.s.Antigens)))
	}
	for i := range v.hist.doses {
		clear(v.valid[i])
		for _, e := range r.Doses[i].Evaluations {
			// By the standard or the risk series of the antigen, as on the patient's page.
			if e.Status == forecast.Valid {
				v.valid[i][v.byName[e.Antigen]] = true
			}
		}
	}
	clear(v.complete)
	for i := range r.Forecasts {
		if f := &r.Forecasts[i]; f.Status == forecast.Complete && !f.Risk && f.Begins == forecast.None {
			v.complete[v.groupOf[f.Group]] = true
		}
	}
	clear(v.immune)
	for _, o := range v.hist.ask.Observations {
		if i, ok := v.s.Observation(o.Code); ok {
			for a := range v.s.Antigens {
				v.immune[a] = v.immune[a] || slices.Contains(v.s.Antigens[a].Immune, i)
			}
		}
	}
}

// lack gives what the person that was looked at lacks of a measure.
func (v *evaluator) lack(m *plan, on moment, out lacking) lacking {
	out = out[:0]
	for i := range m.parts {
		var n [ways]int
		for w := range ways {
			n[w] = v.part(m, &m.parts[i], on, w)
		}
		out = append(out, n)
	}
	return out
}

// total is how many doses are lacking altogether.
func (l lacking) total(w way) (n int) {
	for i := range l {
		n += l[i][w]
	}
	return n
}

// part is how many doses are lacking of one part: of the antigen that lacks most, since one
// dose may fill several.
func (v *evaluator) part(m *plan, p *partPlan, on moment, w way) int {
	if w == byValid && p.Complete && !slices.ContainsFunc(p.groups, func(g int) bool { return !v.complete[g] }) {
		return 0
	}
	from, until := v.window(m, p, on.day)
	most := 0
	for _, a := range p.antigens {
		if p.Immune && v.immune[a] {
			continue
		}
		v.find(p, a, from, until, w)
		least := -1
		for k := range p.Ways {
			if n := v.missing(p, k, v.found); n >= 0 && (least < 0 || n < least) {
				least = n
			}
		}
		most = max(most, least)
	}
	return most
}

// window is the first and the last day on which a dose of a part counts.
func (v *evaluator) window(m *plan, p *partPlan, day coldkeep.Date) (from, until coldkeep.Date) {
	born := v.hist.ask.Born
	from, until = born, day
	if p.from != nil {
		from = p.from.From(born)
	}
	switch {
	case p.until != nil:
		until = min(until, p.until.From(born))
	case m.by != nil:
		until = min(until, m.by.From(born))
	}
	if p.since != nil {
		back := schedule.Period{Years: -p.since.Years, Months: -p.since.Months, Days: -p.since.Days}
		from = max(from, back.From(day))
	}
	if p.month > 0 {
		year, _, _ := day.Civil()
		start := coldkeep.NewDate(year, p.month, p.day)
		if start > day {
			start = coldkeep.NewDate(year-1, p.month, p.day)
		}
		from = max(from, start)
	}
	return from, until
}

// find lists the days on which a dose of an antigen was given that counts for a part. Two on
// one day are one.
func (v *evaluator) find(p *partPlan, antigen int, from, until coldkeep.Date, w way) {
	v.found = v.found[:0]
	for i, d := range v.hist.doses {
		if d.NonViable || d.Date < from || d.Date > until || !v.has(d, antigen) ||
			len(p.CVX) > 0 && !slices.Contains(p.CVX, d.CVX) || slices.Contains(p.Not, d.CVX) || v.tooEarly(p, d) {
			continue
		}
		if w == byValid && !v.valid[i][antigen] {
			continue
		}
		if n := len(v.found); n > 0 && v.found[n-1].day == d.Date {
			v.found[n-1].cvx = append(v.found[n-1].cvx, d.CVX)
			continue
		}
		if n := len(v.found); n < cap(v.found) { // the codes' storage is used again
			v.found = v.found[:n+1]
			v.found[n].day, v.found[n].cvx = d.Date, append(v.found[n].cvx[:0], d.CVX)
			continue
		}
		v.found = append(v.found, given{d.Date, []string{d.CVX}})
	}
}

// has reports whether a vaccine has an antigen, at the age it was given: live zoster vaccine
// is varicella vaccine below 50 years.
func (v *evaluator) has(d *Dose, antigen int) bool {
	i, ok := v.s.CVX(d.CVX)
	if !ok {
		return false
	}
	born := v.hist.ask.Born
	for _, a := range v.s.Vaccines[i].Associations {
		if a.Antigen == antigen && (a.Begin == 0 || v.s.Periods[a.Begin].From(born) <= d.Date) && (a.End == 0 || d.Date < v.s.Periods[a.End].From(born)) {
			return true
		}
	}
	return false
}

func (v *evaluator) tooEarly(p *partPlan, d *Dose) bool {
	for i := range p.Limits {
		if slices.Contains(p.Limits[i].CVX, d.CVX) && d.Date < p.limits[i].From(v.hist.ask.Born) {
			return true
		}
	}
	return false
}

// missing is how many doses a way lacks; -1 when it is closed, because the first doses were
// of other products.
func (v *evaluator) missing(p *partPlan, k int, all []given) int {
	w := &p.Ways[k]
	for i := range min(w.FirstN, len(all)) {
		if !any2(all[i].cvx, w.First) {
			return -1
		}
	}
	n := 0
	var first, last coldkeep.Date
	for i := range all {
		if len(w.Of) > 0 && !any2(all[i].cvx, w.Of) {
			continue
		}
		if n == 0 {
			first = all[i].day
		}
		n, last = n+1, all[i].day
	}
	if n < w.Doses {
		return w.Doses - n
	}
	if p.apart[k] != nil && last < p.apart[k].From(first) || p.lastFrom[k] != nil && last < p.lastFrom[k].From(v.hist.ask.Born) {
		return 1
	}
	return 0
}

func any2(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// lookBack is how long before the day visits are looked at for missed opportunities: so long
// as a practice can still do something about how it works.
const lookBack = 2 * 365

// visit is a day on which somebody was vaccinated, with the vaccine groups of which a dose was
// due and none was given.
type visit struct {
	day    coldkeep.Date
	sites  []coldkeep.SiteID
	missed []bool // by vaccine group
}

// visits gives the days of the last two years on which a practice gave the person a dose. A
// dose is due by what was given before that day. It was not missed when it was refused that
// day or the person is exempt from it.
func (v *evaluator) visits(p *Person, m moment) (out []visit) {
	for _, d := range v.hist.doses {
		if !d.Administered || d.Site == "" || d.Date < m.day-lookBack {
			continue
		}
		if n := len(out); n > 0 && out[n-1].day == d.Date {
			if !slices.Contains(out[n-1].sites, d.Site) {
				out[n-1].sites = append(out[n-1].sites, d.Site)
			}
			continue
		}
		out = append(out, visit{day: d.Date, sites: []coldkeep.SiteID{d.Site}, missed: make([]bool, len(v.s.Groups))})
	}
	for i := range out {
		v.due(p, &out[i], m)
	}
	return out
}

func (v *evaluator) due(p *Person, at *visit, m moment) {
	v.past.at(p, moment{at.day, m.known})
	ask := v.past.ask
	ask.Doses = nil
	for i, d := range v.past.doses {
		if d.Date < at.day {
			ask.Doses = append(ask.Doses, v.past.ask.Doses[i])
		}
	}
	r := v.worker.Forecast(&ask)
	for i := range r.Forecasts {
		f := &r.Forecasts[i]
		if f.Status != forecast.NotComplete || f.Begins != forecast.None || f.Shared || f.Recommended == forecast.None || f.Recommended > at.day {
			continue
		}
		g := v.groupOf[f.Group]
		got := slices.ContainsFunc(v.past.doses, func(d *Dose) bool { return d.Date == at.day && inGroup(v.s, d.CVX, g) })
		if !got && !p.refused(v.s, g, at.day, m) && !p.exempt(f.Group, at.day, m) {
			at.missed[g] = true
		}
	}
}

// missedOf reports whether a dose for a measure was missed at a visit.
func (at *visit) missedOf(m *plan) bool {
	return slices.ContainsFunc(m.parts, func(p partPlan) bool { return at.missedPart(&p) })
}

func (at *visit) missedPart(p *partPlan) bool {
	return slices.ContainsFunc(p.groups, func(g int) bool { return at.missed[g] })
}
