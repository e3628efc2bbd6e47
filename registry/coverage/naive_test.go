package coverage

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// naive is a second way to the counts: it asks of every person, day, place and measure from
// the beginning, with sets of days in place of lists, and shares nothing with the first but the
// nouns and the forecast.
type naive struct {
	run  *Run
	sums map[string]*Count
}

func end(day coldkeep.Date, r *Run) time.Time {
	zone, err := time.LoadLocation(r.Zone)
	if err != nil {
		panic(err)
	}
	y, m, d := day.Civil()
	last := time.Date(y, time.Month(m), d, 0, 0, 0, 0, zone).AddDate(0, 0, 1).Add(-time.Millisecond)
	if r.Cutoff.Before(last) {
		return r.Cutoff
	}
	return last
}

func stands(from time.Time, until *time.Time, at time.Time) bool {
	if from.After(at) {
		return false
	}
	return until == nil || at.Before(*until)
}

// naiveDoses are those that were given as far as was known.
func naiveDoses(p *Person, day coldkeep.Date, at time.Time) (out []Dose) {
	alive := map[string]bool{}
	for _, d := range p.Doses {
		if !d.Refused && d.Date <= day && stands(d.Entered, d.Deleted, at) {
			alive[d.ID] = true
		}
	}
	known := map[string]bool{}
	for _, d := range p.Doses {
		if d.Date <= day && stands(d.Entered, d.Deleted, at) {
			known[d.ID] = true
		}
	}
	for _, d := range p.Doses {
		if alive[d.ID] && !known[d.DuplicateOf] {
			out = append(out, d)
		}
	}
	return out
}

func naiveAsk(p *Person, doses []Dose, day coldkeep.Date, at time.Time) *forecast.Patient {
	q := &forecast.Patient{Born: p.Birth, Gender: forecast.GenderOf(p.Sex), BirthCountry: p.BirthNation, Assessment: day}
	for _, d := range doses {
		x := forecast.Dose{Date: d.Date, CVX: d.CVX, MVX: d.MVX, LotExpiry: forecast.None, Condition: d.NonViable}
		if d.Expires != 0 {
			x.LotExpiry = d.Expires
		}
		q.Doses = append(q.Doses, x)
	}
	for _, f := range p.Facts {
		if stands(f.Entered, f.Ended, at) && (f.From == 0 || f.From <= day) && (f.Until == 0 || day <= f.Until) {
			o := forecast.Observation{Code: f.Code, Date: forecast.None}
			if f.From != 0 {
				o.Date = f.From
			}
			q.Observations = append(q.Observations, o)
		}
	}
	return q
}

func plus(d coldkeep.Date, period string, sign int) coldkeep.Date {
	p, err := schedule.ParsePeriod(period)
	if err != nil {
		panic(err)
	}
	if sign < 0 {
		p.Years, p.Months, p.Days = -p.Years, -p.Months, -p.Days
	}
	return p.From(d)
}

// short is how many doses of a part are lacking in a way of counting.
func (n *naive) short(m *Measure, part *Part, p *Person, day coldkeep.Date, at time.Time, valid bool) int {
	doses := naiveDoses(p, day, at)
	r := testEngine.Forecast(naiveAsk(p, doses, day, at))
	s := testEngine.Schedule()
	if part.Complete && valid {
		all := true
		for _, a := range part.Antigens {
			done := false
			for g := range s.Groups {
				if slices.ContainsFunc(s.Groups[g].Antigens, func(i int) bool { return s.Antigens[i].Name == a }) {
					for _, f := range r.Of(s.Groups[g].Name) {
						done = done || f.Status == forecast.Complete && !f.Risk && f.Begins == forecast.None
					}
				}
			}
			all = all && done
		}
		if all {
			return 0
		}
	}
	worst := 0
	for _, antigen := range part.Antigens {
		immune := false
		for _, o := range naiveAsk(p, doses, day, at).Observations {
			for i := range s.Antigens {
				if s.Antigens[i].Name == antigen && slices.ContainsFunc(s.Antigens[i].Immune, func(x schedule.Obs) bool { return s.Observations[x].Code == o.Code }) {
					immune = true
				}
			}
		}
		if immune && part.Immune {
			continue
		}
		days := map[coldkeep.Date][]string{}
		for i, d := range doses {
			switch {
			case d.NonViable, len(part.CVX) > 0 && !slices.Contains(part.CVX, d.CVX), slices.Contains(part.Not, d.CVX):
				continue
			case part.From != "" && d.Date < plus(p.Birth, part.From, 1), part.From == "" && d.Date < p.Birth:
				continue
			case part.Until != "" && d.Date > plus(p.Birth, part.Until, 1), part.Until == "" && m.By != "" && d.Date > plus(p.Birth, m.By, 1):
				continue
			case part.Within != "" && d.Date < plus(day, part.Within, -1):
				continue
			}
			if part.Season != "" {
				season := func(x coldkeep.Date) int { // the year in which the season of a day began
					y, _, _ := x.Civil()
					if x.String()[5:] < part.Season {
						return y - 1
					}
					return y
				}
				if season(d.Date) != season(day) {
					continue
				}
			}
			late := true
			for _, l := range part.Limits {
				if slices.Contains(l.CVX, d.CVX) && d.Date < plus(p.Birth, l.From, 1) {
					late = false
				}
			}
			has := false
			for _, e := range r.Doses[i].Evaluations {
				has = has || e.Antigen == antigen && (!valid || e.Status == forecast.Valid)
			}
			if !valid && !has { // one that no series looked at has no evaluation: its codes tell
				if c, ok := s.CVX(d.CVX); ok {
					for _, a := range s.Vaccines[c].Associations {
						begun := a.Begin == 0 || s.Periods[a.Begin].From(p.Birth) <= d.Date
						over := a.End != 0 && s.Periods[a.End].From(p.Birth) <= d.Date
						has = has || s.Antigens[a.Antigen].Name == antigen && begun && !over
					}
				}
			}
			if has && late {
				days[d.Date] = append(days[d.Date], d.CVX)
			}
		}
		var all []coldkeep.Date
		for d := range days {
			all = append(all, d)
		}
		slices.Sort(all)
		best := 1000
		for _, w := range part.Ways {
			open := true
			for i := 0; i < w.FirstN && i < len(all); i++ {
				hit := false
				for _, c := range days[all[i]] {
					hit = hit || slices.Contains(w.First, c)
				}
				open = open && hit
			}
			if !open {
				continue
			}
			var mine []coldkeep.Date
			for _, d := range all {
				hit := len(w.Of) == 0
				for _, c := range days[d] {
					hit = hit || slices.Contains(w.Of, c)
				}
				if hit {
					mine = append(mine, d)
				}
			}
			lack := max(0, w.Doses-len(mine))
			if lack == 0 && (w.Apart != "" && mine[len(mine)-1] < plus(mine[0], w.Apart, 1) || w.LastFrom != "" && mine[len(mine)-1] < plus(p.Birth, w.LastFrom, 1)) {
				lack = 1
			}
			best = min(best, lack)
		}
		worst = max(worst, best)
	}
	return worst
}

// belongs says in whose counts a person is: "" the state's.
func (n *naive) belongs(p *Person, day coldkeep.Date, at time.Time) map[coldkeep.SiteID]bool {
	out := map[coldkeep.SiteID]bool{}
	if p.Birth == 0 || day < p.Birth {
		return out
	}
	last := map[coldkeep.SiteID]Standing{}
	laterDeath := false
	for _, s := range p.Standings {
		if s.Site == "" && s.Standing == patient.Deceased && s.Since.After(at) {
			laterDeath = true
		}
		if !stands(s.Since, s.Until, at) {
			continue
		}
		was, ok := last[s.Site]
		if !ok || was.Since.Before(s.Since) || was.Since.Equal(s.Since) && s.Standing == patient.Active {
			last[s.Site] = s
		}
	}
	switch {
	case p.Died != 0 && p.Died <= day:
		return out
	case p.Died != 0:
	case last[""].Standing == patient.Deceased, p.Deceased && !laterDeath:
		return out
	}
	if s, ok := last[""]; !ok || s.Standing == patient.Active {
		out[""] = true
	}
	if n.run.Asked.Basis == ByOwnership {
		for site, s := range last {
			if site != "" && s.Standing == patient.Active {
				out[site] = true
			}
		}
	} else {
		for _, d := range naiveDoses(p, day, at) {
			if d.Administered && d.Site != "" && day-d.Date < 730 {
				out[d.Site] = true
			}
		}
	}
	for site := range out {
		if site != "" && p.Locked && p.LockSite != site {
			delete(out, site)
		}
	}
	return out
}

func (n *naive) at(day coldkeep.Date, dim Dim, value, measure, part string) *Count {
	k := fmt.Sprint(day, dim, value, "/", measure, "/", part)
	if n.sums[k] == nil {
		n.sums[k] = &Count{Day: day, Dim: dim, Value: value, Measure: measure, Part: part}
	}
	return n.sums[k]
}

// missedAt says which vaccine groups were missed at a visit.
func missedAt(p *Person, doses []Dose, day coldkeep.Date, at time.Time) map[string]bool {
	out, s := map[string]bool{}, testEngine.Schedule()
	var before []Dose
	got := map[string]bool{}
	groups := func(cvx string) (all []string) {
		c, ok := s.CVX(cvx)
		for g := range s.Groups {
			if ok && slices.ContainsFunc(s.Vaccines[c].Associations, func(a schedule.Association) bool { return slices.Contains(s.Groups[g].Antigens, a.Antigen) }) {
				all = append(all, s.Groups[g].Name)
			}
		}
		return all
	}
	for _, d := range doses {
		if d.Date < day {
			before = append(before, d)
		}
		if d.Date == day {
			for _, g := range groups(d.CVX) {
				got[g] = true
			}
		}
	}
	for _, d := range p.Doses {
		if d.Refused && d.Date == day && stands(d.Entered, d.Deleted, at) {
			for _, g := range groups(d.CVX) {
				got[g] = true
			}
		}
	}
	for _, f := range testEngine.Forecast(naiveAsk(p, before, day, at)).Forecasts {
		if f.Status != forecast.NotComplete || f.Begins != forecast.None || f.Shared || f.Recommended == forecast.None || day < f.Recommended {
			continue
		}
		free := false
		for _, e := range p.Exemptions {
			free = free || stands(e.Entered, e.Ended, at) && (e.From == 0 || e.From <= day) && (e.Until == 0 || day <= e.Until) && (len(e.Groups) == 0 || slices.Contains(e.Groups, f.Group))
		}
		if !got[f.Group] && !free {
			out[f.Group] = true
		}
	}
	return out
}

func (n *naive) person(p *Person) {
	s := testEngine.Schedule()
	for i, day := range n.run.Days() {
		at := end(day, n.run)
		for of := range n.belongs(p, day, at) {
			type where struct {
				dim   Dim
				value string
			}
			var places []where
			switch {
			case n.run.Site != "" && of == n.run.Site:
				places = []where{{All, ""}}
			case n.run.Site != "":
			case of == "" && i == 0:
				zip := ""
				if len(p.ZIP) > 2 {
					zip = p.ZIP[:3]
				}
				places = []where{{All, ""}, {ByCounty, p.County}, {ByZIP3, zip}}
			case of == "":
				places = []where{{All, ""}}
			case i == 0:
				places = []where{{ByPractice, string(of)}}
			}
			for _, w := range places {
				for k := range n.run.Asked.Measures {
					m := &n.run.Asked.Measures[k]
					ages := m.Who
					if n.run.Asked.Ages != nil {
						ages = *n.run.Asked.Ages
					}
					in := plus(p.Birth, ages.From, 1) <= day && day < plus(p.Birth, ages.Until, 1)
					if n.run.Asked.Born != 0 {
						in = p.Birth >= n.run.Asked.Born && p.Birth <= n.run.Asked.BornTo
					}
					if !in {
						continue
					}
					sumValid, sumCount := 0, 0
					wanted := map[string]bool{}
					for j := range m.Parts {
						valid, count := n.short(m, &m.Parts[j], p, day, at, true), n.short(m, &m.Parts[j], p, day, at, false)
						n.tell(n.at(day, w.dim, w.value, m.ID, m.Parts[j].ID), valid, count)
						sumValid, sumCount = sumValid+valid, sumCount+count
						for g := range s.Groups {
							for _, a := range s.Groups[g].Antigens {
								if slices.Contains(m.Parts[j].Antigens, s.Antigens[a].Name) {
									wanted[s.Groups[g].Name] = true
								}
							}
						}
					}
					c := n.at(day, w.dim, w.value, m.ID, "")
					n.tell(c, sumValid, sumCount)
					if i > 0 || sumValid == 0 {
						continue
					}
					doses := naiveDoses(p, day, at)
					days := map[coldkeep.Date]bool{}
					for _, d := range doses {
						if d.Administered && d.Site != "" && (d.Site == of || of == "") && d.Date >= day-730 {
							days[d.Date] = true
						}
					}
					missed := false
					for d := range days {
						c.Visits++
						was := missedAt(p, naiveDoses(p, d, at), d, at)
						hit := false
						for g := range was {
							hit = hit || wanted[g]
						}
						if hit {
							c.MissedVisits++
							missed = true
						}
					}
					if missed {
						c.Missed++
					}
				}
			}
		}
	}
}

func (n *naive) tell(c *Count, valid, count int) {
	c.People++
	if valid == 0 {
		c.Valid++
	}
	if count == 0 {
		c.Counted++
	}
	if valid == 0 && count > 0 {
		c.ValidOnly++
	}
	if valid > 0 && count == 0 {
		c.CountedOnly++
	}
	if valid == 1 {
		c.Near++
	}
	if count == 1 {
		c.NearCounted++
	}
}

func naively(r *Run, people []Person) map[string]*Count {
	n := &naive{r, map[string]*Count{}}
	for i := range people {
		n.person(&people[i])
	}
	return n.sums
}

// differ compares counts with those of the naive way; "" when they are the same.
func differ(got []Count, want map[string]*Count) string {
	some := 0
	for _, c := range got {
		w := want[fmt.Sprint(c.Day, c.Dim, c.Value, "/", c.Measure, "/", c.Part)]
		if w == nil {
			w = &Count{Day: c.Day, Dim: c.Dim, Value: c.Value, Measure: c.Measure, Part: c.Part}
		} else {
			some++
		}
		if c != *w {
			return fmt.Sprintf("got  %+v\nwant %+v", c, *w)
		}
	}
	if some != len(want) {
		return fmt.Sprintf("%d of %d counts", some, len(want))
	}
	return ""
}

var testVaccines = []string{"20", "110", "146", "10", "03", "94", "05", "21", "48", "49", "51", "08", "133", "33", "119", "116", "83", "150", "149", "115", "113", "203", "103", "165", "187", "121", "216", "28", "43", "999"}

// drawPerson makes somebody with a life that has all that a record may have.
func drawPerson(t *rapid.T, i int, day coldkeep.Date) Person {
	months := rapid.SampledFrom([]int{14, 20, 25, 30, 35, 37, 66, 135, 158, 170, 200, 500, 800}).Draw(t, "months")
	p := Person{Head: fmt.Sprintf("P%03d", i), Birth: plus(day, fmt.Sprintf("%d months", months), -1) + coldkeep.Date(rapid.IntRange(-31, 31).Draw(t, "days")),
		Sex: rapid.SampledFrom([]string{"F", "M", "U"}).Draw(t, "sex"), County: rapid.SampledFrom([]string{"", "Cook", "Will"}).Draw(t, "county"), ZIP: rapid.SampledFrom([]string{"", "60601", "62914"}).Draw(t, "zip")}
	p.Birth = min(p.Birth, day)
	anywhere := func(name string) time.Time {
		return (p.Birth + coldkeep.Date(rapid.IntRange(0, int(day-p.Birth)+20).Draw(t, name))).Midnight(time.UTC).Add(14 * time.Hour)
	}
	maybe := func(name string, one int) *time.Time {
		if rapid.IntRange(1, one).Draw(t, name) > 1 {
			return nil
		}
		at := anywhere(name + " at")
		return &at
	}
	sites := []coldkeep.SiteID{"lakeside", "northgate"}
	for range rapid.IntRange(0, 4).Draw(t, "standings") {
		p.Standings = append(p.Standings, Standing{Site: rapid.SampledFrom([]coldkeep.SiteID{"", "lakeside", "northgate"}).Draw(t, "site"),
			Standing: rapid.SampledFrom([]patient.Standing{patient.Active, patient.Active, patient.Active, patient.Moved, patient.Lost, patient.Inactive, patient.Deceased}).Draw(t, "standing"),
			Since:    anywhere("since"), Until: maybe("until", 3)})
	}
	p.Locked = rapid.IntRange(0, 4).Draw(t, "locked") == 0
	if p.Locked {
		p.LockSite = rapid.SampledFrom([]coldkeep.SiteID{"", "lakeside", "northgate"}).Draw(t, "lock site")
	}
	if rapid.IntRange(0, 9).Draw(t, "dead") == 0 {
		p.Deceased = true
		if rapid.Bool().Draw(t, "day of death") {
			p.Died = coldkeep.DateOf(anywhere("died"))
		}
	}
	for k := range rapid.IntRange(0, 14).Draw(t, "doses") {
		d := Dose{ID: fmt.Sprintf("D%02d", k), CVX: rapid.SampledFrom(testVaccines).Draw(t, "cvx"), Site: rapid.SampledFrom(sites).Draw(t, "dose site"),
			Administered: rapid.IntRange(0, 3).Draw(t, "administered") > 0, Refused: rapid.IntRange(0, 12).Draw(t, "refused") == 0, NonViable: rapid.IntRange(0, 12).Draw(t, "spoilt") == 0}
		d.Date = coldkeep.DateOf(anywhere("given"))
		d.Entered = d.Date.Midnight(time.UTC).Add(time.Duration(rapid.IntRange(0, 60*24).Draw(t, "entered")) * time.Hour)
		d.Deleted = maybe("deleted", 10)
		if !d.Administered {
			d.Site = ""
		}
		if rapid.IntRange(0, 15).Draw(t, "expires") == 0 {
			d.Expires = d.Date - 1
		}
		if k > 0 && rapid.IntRange(0, 9).Draw(t, "duplicate") == 0 {
			d.DuplicateOf, d.Date = p.Doses[k-1].ID, p.Doses[k-1].Date
		}
		p.Doses = append(p.Doses, d)
	}
	slices.SortStableFunc(p.Doses, func(a, b Dose) int { return int(a.Date - b.Date) })
	s := testEngine.Schedule()
	for range rapid.IntRange(0, 2).Draw(t, "facts") {
		a := &s.Antigens[rapid.IntRange(0, len(s.Antigens)-1).Draw(t, "antigen")]
		if len(a.Immune) > 0 {
			p.Facts = append(p.Facts, Fact{Code: s.Observations[a.Immune[0]].Code, Entered: anywhere("fact"), Ended: maybe("fact ended", 4)})
		}
	}
	if rapid.IntRange(0, 5).Draw(t, "exempt") == 0 {
		p.Exemptions = append(p.Exemptions, Exemption{Groups: rapid.SampledFrom([][]string{nil, {"MMR"}}).Draw(t, "groups"), From: p.Birth, Entered: anywhere("exempt at"), Ended: maybe("exempt until", 4)})
	}
	return p
}

// Over random people, measures, ages and days both ways agree, whatever the number of tallies
// that the people are spread over.
func TestNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := coldkeep.NewDate(2025, 1, 15) + coldkeep.Date(rapid.IntRange(0, 400).Draw(t, "day"))
		r := Run{Day: day, Zone: rapid.SampledFrom([]string{"UTC", "America/Chicago"}).Draw(t, "zone"), Cutoff: day.Midnight(time.UTC).Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "cutoff")) * time.Hour),
			Site:  rapid.SampledFrom([]coldkeep.SiteID{"", "lakeside"}).Draw(t, "of"),
			Asked: Asked{Basis: rapid.SampledFrom([]Basis{ByOwnership, ByService}).Draw(t, "basis"), Months: rapid.IntRange(0, 3).Draw(t, "trend")}}
		for range rapid.IntRange(1, 3).Draw(t, "measures") {
			m := rapid.SampledFrom(Builtin()).Draw(t, "measure")
			if r.Asked.Measure(m.ID) == nil {
				r.Asked.Measures = append(r.Asked.Measures, m)
			}
		}
		switch rapid.IntRange(0, 2).Draw(t, "cohort") {
		case 1:
			r.Asked.Ages = &Ages{From: "10 months", Until: "20 years"}
		case 2:
			r.Asked.Born, r.Asked.BornTo = day-4000, day-300
		}
		var people []Person
		for i := range rapid.IntRange(1, 8).Draw(t, "people") {
			people = append(people, drawPerson(t, i, day))
		}
		v, err := newSurvey(&r, testEngine)
		if err != nil {
			t.Fatal(err)
		}
		a, b := v.tally(), v.tally()
		for i := range people {
			if to := a; i%2 == 0 {
				to.person(&people[i])
			} else {
				b.person(&people[i])
			}
		}
		a.merge(b)
		if d := differ(a.list(), naively(&r, people)); d != "" {
			t.Fatal(d)
		}
	})
}
