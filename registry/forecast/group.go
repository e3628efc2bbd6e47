package forecast

import (
	"slices"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// reportGroups makes the vaccine group forecasts (chapter 9). Only like is
// merged with like: the best series of one series group are one forecast, so a
// standard and a risk series of a vaccine group stay apart (FORECASTVG-1). The
// risk forecast comes first, because it is about this patient, unless it has
// nothing to say.
func (r *run) reportGroups() {
	for g := range r.s.Groups {
		from := len(r.out.Forecasts)
		for _, risk := range []bool{true, false} {
			r.members = r.members[:0]
			for _, a := range r.s.Groups[g].Antigens {
				for _, st := range r.antigens[a].best {
					if st.Group == g && st.ForRisk == risk {
						r.members = append(r.members, st)
					}
				}
			}
			if m := mostTelling(r.members); len(m) > 0 {
				r.merge(&r.s.Groups[g], m, r.out.add())
			}
		}
		if f := r.out.Forecasts[from:]; len(f) == 2 && telling[f[0].Status] >= telling[NotRecommended] {
			f[0], f[1] = f[1], f[0]
		}
		r.reportAhead(g)
	}
}

// reportAhead adds the forecast of a risk series that is to come. It follows the
// others, which are about today.
func (r *run) reportAhead(g int) {
	r.members = r.members[:0]
	for _, a := range r.s.Groups[g].Antigens {
		for _, st := range r.antigens[a].ahead {
			if st.Group == g {
				r.members = append(r.members, st)
			}
		}
	}
	if m := mostTelling(r.members); len(m) > 0 {
		f := r.out.add()
		r.merge(&r.s.Groups[g], m, f)
		for _, st := range m {
			f.Begins = earlier(f.Begins, st.from)
		}
	}
}

// mostTelling gives the series of one series group. [I] A vaccine group may have
// several groups of one type, such as a childhood series and one from 50 years
// on; who has aged out of the first is forecast by the second.
func mostTelling(m []*series) []*series {
	var out []*series
	var top Status
	for rest := m; len(rest) > 0; {
		n := partition(rest)
		if s, _ := groupStatus(rest[:n]); out == nil || telling[s] < telling[top] {
			out, top = rest[:n], s
		}
		rest = rest[n:]
	}
	for _, st := range out {
		st.shown = true
	}
	return out
}

// telling orders the statuses by what they ask of anyone.
var telling = [...]int{NotComplete: 0, Contraindicated: 1, Immune: 2, Complete: 3, NotRecommended: 4, AgedOut: 5}

// partition moves the series of the first one's series group to the front.
func partition(m []*series) int {
	n := 1
	for i := 1; i < len(m); i++ {
		if number(m[i]) == number(m[0]) {
			m[i], m[n] = m[n], m[i]
			n++
		}
	}
	return n
}

func number(st *series) string { return st.Antigen.SeriesGroups[st.SeriesGroup].Number }

// merge makes one forecast of the best series of a vaccine group.
func (r *run) merge(g *schedule.Group, m []*series, f *Forecast) {
	f.Group, f.Risk = g.Name, m[0].ForRisk
	f.Status, f.Reason = groupStatus(m)
	for _, st := range m {
		f.Shared = f.Shared || st.Shared
		f.Series = append(f.Series, st.Name)
	}
	if f.Status == NotComplete {
		r.mergeDates(g, m, f)
		if f.Shared {
			f.Reason |= SharedDecision
		}
	}
	if r.explain {
		r.explainGroup(m, f)
	}
}

// groupStatus is Table 9-4, and SINGLEANTVG-1 for a group of one. The reasons
// are those of the series that decide it (FORECASTVG-7).
func groupStatus(m []*series) (Status, Reason) {
	status := Immune
	for _, s := range []Status{Contraindicated, AgedOut, NotRecommended, NotComplete, Complete} {
		if slices.ContainsFunc(m, func(st *series) bool { return st.status == s }) {
			status = s
			break
		}
	}
	why := NoReason
	for _, st := range m {
		if st.status == status {
			why |= st.reason
		}
	}
	return status, why
}

// mergeDates is FORECASTVG-2 to -9, SINGLEANTVG-2 and MULTIANTVG-1.
func (r *run) mergeDates(g *schedule.Group, m []*series, f *Forecast) {
	first, last, priority := None, None, false
	for _, st := range m {
		if st.status != NotComplete {
			continue
		}
		f.Antigens = append(f.Antigens, st.Antigen.Name) // FORECASTVG-8
		first, last = earlier(first, st.earliest), max(last, st.earliest)
		f.Recommended = earlier(f.Recommended, st.recommended)
		f.PastDue = earlier(f.PastDue, st.pastDue)
		f.Latest = earlier(f.Latest, st.latest) // FORECASTVG-4
		priority = priority || st.priority
		// FORECASTDN-2: with the full group given at once the lowest number counts.
		n := r.numberShown(st)
		if f.Number == 0 || g.Full && n < f.Number || !g.Full && n > f.Number {
			f.Number = n
		}
		for _, v := range st.vaccines { // FORECASTVG-9
			if code := r.s.Vaccines[v].Code; !slices.Contains(f.CVX, code) {
				f.CVX = append(f.CVX, code)
			}
		}
	}
	f.Earliest = last
	if g.Multiple() && priority {
		f.Earliest = max(first, r.lastOf(g)) // MULTIANTVG-1, FORECASTPRIORITY-1
	}
	f.Recommended = max(f.Recommended, f.Earliest) // FORECASTVG-2
	if f.PastDue != None {
		f.PastDue = max(f.PastDue, f.Earliest) // FORECASTVG-3
	}
}

// numberShown is the dose number a series brings to its vaccine group. [I] A risk
// series often goes on where the standard one ended and skips its own first
// doses, so the doses that count in another best series of the antigen count in
// the number too; CDC's own condition cases read FORECASTDN-1 so. A season or a
// dose counted from an event, as in each pregnancy, begins a count of its own.
func (r *run) numberShown(st *series) int {
	t := st.targets[st.next].dose
	if st.Type != schedule.Risk || t.SeasonStart != None {
		return st.number
	}
	for i := range t.Intervals {
		if t.Intervals[i].From == schedule.FromObservation {
			return st.number
		}
	}
	n := 1
	for i := range st.evals {
		for _, o := range r.antigens[st.Antigen.Index].best {
			if o.evals[i].status == Valid {
				n++
				break
			}
		}
	}
	return max(n, st.number)
}

func earlier(a, b Date) Date {
	switch {
	case a == None:
		return b
	case b == None:
		return a
	}
	return min(a, b)
}

// lastOf gives the date of the last dose of a vaccine group.
func (r *run) lastOf(g *schedule.Group) Date {
	out := None
	for _, a := range g.Antigens {
		if n := len(r.records[a]); n > 0 {
			out = max(out, r.given[r.records[a][n-1]].date)
		}
	}
	return out
}

// reportDoses gives each dose its evaluation by the best series of its antigens
// that the forecasts show.
func (r *run) reportDoses() {
	for g := range r.s.Groups {
		for _, a := range r.s.Groups[g].Antigens {
			for i, rec := range r.records[a] {
				d := &r.out.Doses[r.given[rec].input]
				for _, best := range [...][]*series{r.antigens[a].best, r.antigens[a].ahead} {
					for _, st := range best {
						if st.Group != g || !st.shown {
							continue
						}
						e := &st.evals[i]
						d.Evaluations = append(d.Evaluations, Evaluation{
							Group: r.s.Groups[g].Name, Antigen: st.Antigen.Name, Risk: st.ForRisk,
							Series: st.Name, Target: e.target, Number: e.nth, Status: e.status, Reason: e.reason, Decisions: e.notes,
						})
						if r.explain {
							what := r.s.Groups[g].Name
							if st.ForRisk {
								what += " (risk series)"
							}
							d.Evaluations[len(d.Evaluations)-1].Words = r.doseWords(st, i, what)
						}
					}
				}
			}
		}
	}
}
