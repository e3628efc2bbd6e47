package coverage

import (
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Person is one person as the store gives it: of all records that were merged into one, with
// what was entered and taken back when.
type Person struct {
	Head        string
	Birth       coldkeep.Date
	Sex         string
	BirthNation string
	County, ZIP string // of the address today
	Deceased    bool
	Died        coldkeep.Date
	Locked      bool
	LockSite    coldkeep.SiteID // who locked it; "" the state, or more than one
	Standings   []Standing
	Doses       []Dose
	Facts       []Fact
	Exemptions  []Exemption
}

// Standing is how a person stood with a practice, or the jurisdiction (""), and when.
type Standing struct {
	Site     coldkeep.SiteID
	Standing patient.Standing
	Since    time.Time
	Until    *time.Time // absent: it stands
}

// Dose is a dose, or a refusal.
type Dose struct {
	ID           string
	Date         coldkeep.Date
	Refused      bool
	Administered bool // given by Site
	CVX, MVX     string
	Expires      coldkeep.Date
	Site         coldkeep.SiteID
	NonViable    bool // a cold-chain break spoilt it
	DuplicateOf  string
	Entered      time.Time
	Deleted      *time.Time
}

// Fact is an observation of CDSi's.
type Fact struct {
	Code        string
	From, Until coldkeep.Date
	Entered     time.Time
	Ended       *time.Time
}

// Exemption covers vaccine groups, or all when there are none.
type Exemption struct {
	Groups      []string
	From, Until coldkeep.Date
	Entered     time.Time
	Ended       *time.Time
}

// moment is a day of assessment with the end of what was known on it.
type moment struct {
	day   coldkeep.Date
	known time.Time // what was entered later is not looked at
}

// stood reports whether something that was entered, and perhaps taken back, stood then.
func (m moment) stood(entered time.Time, ended *time.Time) bool {
	return !entered.After(m.known) && (ended == nil || ended.After(m.known))
}

func covers(from, until, on coldkeep.Date) bool {
	return (!from.Known() || from <= on) && (!until.Known() || on <= until)
}

// standing is how the person stood with a site: of several records of one person, the word
// that came last. ok is false when there was none.
func (p *Person) standing(site coldkeep.SiteID, m moment) (last patient.Standing, ok bool) {
	var since time.Time
	for i := range p.Standings {
		s := &p.Standings[i]
		if s.Site == site && m.stood(s.Since, s.Until) && (!ok || s.Since.After(since) || s.Since.Equal(since) && s.Standing == patient.Active) {
			last, since, ok = s.Standing, s.Since, true
		}
	}
	return last, ok
}

// dead reports whether the person had died. One whose day of death is not known had when the
// registry was told of it.
func (p *Person) dead(m moment) bool {
	if p.Died.Known() {
		return p.Died <= m.day
	}
	if s, ok := p.standing("", m); ok && s == patient.Deceased {
		return true
	}
	return p.Deceased && !slices.ContainsFunc(p.Standings, func(s Standing) bool {
		return s.Site == "" && s.Standing == patient.Deceased && s.Since.After(m.known)
	})
}

// counts says in whose counts the person is: the state's, and which practices'. Nobody is
// who has died, was not born yet, or has no birth date. The state has those who are its
// active residents, and those of whom nothing else was said. A practice has its active
// patients (ByOwnership), or whom it has vaccinated within serviceFor (ByService). A record
// that is locked is counted by the state and by the site that has locked it, and by nobody
// else.
func (p *Person) counts(m moment, basis Basis) (state bool, sites []coldkeep.SiteID) {
	if !p.Birth.Known() || p.Birth > m.day || p.dead(m) {
		return false, nil
	}
	s, ok := p.standing("", m)
	state = !ok || s == patient.Active
	add := func(site coldkeep.SiteID) {
		if site != "" && (!p.Locked || site == p.LockSite) && !slices.Contains(sites, site) {
			sites = append(sites, site)
		}
	}
	if basis == ByService {
		for i := range p.Doses {
			if d := &p.Doses[i]; d.Administered && d.Date > m.day-serviceFor && p.given(d, m) {
				add(d.Site)
			}
		}
		return state, sites
	}
	for i := range p.Standings {
		site := p.Standings[i].Site
		if s, _ := p.standing(site, m); s == patient.Active {
			add(site)
		}
	}
	return state, sites
}

// serviceFor is how long after a vaccination a person is a practice's by service: two years
// are the longest pause between the visits of a child on the schedule up to age six, and what
// practices call an active chart.
const serviceFor = 2 * 365

// given reports whether a dose was one then: given by the day, and entered, not deleted and
// not told of by a better record by the moment.
func (p *Person) given(d *Dose, m moment) bool {
	if d.Refused || d.Date > m.day || !m.stood(d.Entered, d.Deleted) {
		return false
	}
	if d.DuplicateOf == "" {
		return true
	}
	for i := range p.Doses {
		if better := &p.Doses[i]; better.ID == d.DuplicateOf {
			return !(better.Date <= m.day && m.stood(better.Entered, better.Deleted)) // what stood for it was not known yet
		}
	}
	return true
}

// history is a person at a moment.
type history struct {
	doses []*Dose // that were given, by date and id
	ask   forecast.Patient
}

// at fills h in; the storage of the one before is used again.
func (h *history) at(p *Person, m moment) {
	h.doses = h.doses[:0]
	a := &h.ask
	*a = forecast.Patient{ID: p.Head, Born: p.Birth, Gender: forecast.GenderOf(p.Sex), BirthCountry: p.BirthNation, Assessment: max(m.day, p.Birth),
		Doses: a.Doses[:0], Observations: a.Observations[:0]}
	for i := range p.Doses {
		if d := &p.Doses[i]; p.given(d, m) {
			h.doses = append(h.doses, d)
			a.Doses = append(a.Doses, asked(d))
		}
	}
	for i := range p.Facts {
		if f := &p.Facts[i]; f.Code != "" && m.stood(f.Entered, f.Ended) && covers(f.From, f.Until, m.day) {
			o := forecast.Observation{Code: f.Code, Date: forecast.None}
			if f.From.Known() {
				o.Date = f.From
			}
			a.Observations = append(a.Observations, o)
		}
	}
}

func asked(d *Dose) forecast.Dose {
	out := forecast.Dose{Date: d.Date, CVX: d.CVX, MVX: d.MVX, LotExpiry: forecast.None, Condition: d.NonViable}
	if d.Expires.Known() {
		out.LotExpiry = d.Expires
	}
	return out
}

// exempt reports whether an exemption covers a vaccine group on a day.
func (p *Person) exempt(group string, on coldkeep.Date, m moment) bool {
	return slices.ContainsFunc(p.Exemptions, func(e Exemption) bool {
		return m.stood(e.Entered, e.Ended) && covers(e.From, e.Until, on) && (len(e.Groups) == 0 || slices.Contains(e.Groups, group))
	})
}

// refused reports whether a vaccine of a group was refused on a day.
func (p *Person) refused(s *schedule.Schedule, group int, on coldkeep.Date, m moment) bool {
	return slices.ContainsFunc(p.Doses, func(d Dose) bool {
		return d.Refused && d.Date == on && m.stood(d.Entered, d.Deleted) && inGroup(s, d.CVX, group)
	})
}

// inGroup reports whether a vaccine has an antigen of a group.
func inGroup(s *schedule.Schedule, cvx string, group int) bool {
	i, ok := s.CVX(cvx)
	return ok && slices.ContainsFunc(s.Vaccines[i].Associations, func(a schedule.Association) bool {
		return slices.Contains(s.Groups[group].Antigens, a.Antigen)
	})
}
