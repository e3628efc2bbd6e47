package recall

import (
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Reason is why somebody of a cohort is left out.
type Reason string

// The reasons, in the order in which the first that applies is given; Told is none.
const (
	Told            Reason = ""
	IsDeceased      Reason = "deceased"
	IsLocked        Reason = "locked"
	IsMoved         Reason = "moved"
	IsLost          Reason = "lost"
	IsInactive      Reason = "inactive"
	WantsNone       Reason = "publicity-none"
	WantsProvider   Reason = "publicity-provider"
	OnlyReminders   Reason = "publicity-reminder-only"
	OnlyRecalls     Reason = "publicity-recall-only"
	NotifiedLately  Reason = "notified-lately"
	HasRefused      Reason = "refused"
	IsExempt        Reason = "exempt"
	Contraindicated Reason = "contraindicated"
	NotDue          Reason = "not-due"
	Complete        Reason = "complete"
	Unreachable     Reason = "no-contact"
	HasEnded        Reason = "ended" // of a cold-chain recall: came to its end meanwhile
)

// Reasons lists them but for Told.
func Reasons() []Reason {
	return []Reason{IsDeceased, IsLocked, IsMoved, IsLost, IsInactive, WantsNone, WantsProvider, OnlyReminders, OnlyRecalls, NotifiedLately, HasRefused, IsExempt, Contraindicated, NotDue, Complete, Unreachable, HasEnded}
}

// Title is the reason in words.
func (r Reason) Title() string {
	switch r {
	case Told:
		return "To be told"
	case IsDeceased:
		return "Deceased"
	case IsLocked:
		return "Record locked by another site"
	case IsMoved:
		return "Moved or gone elsewhere"
	case IsLost:
		return "Lost to follow-up"
	case IsInactive:
		return "No longer a patient"
	case WantsNone:
		return "Wants no reminder or recall"
	case WantsProvider:
		return "Wants notices to go to the provider"
	case OnlyReminders:
		return "Wants reminders only, and is late already"
	case OnlyRecalls:
		return "Wants recalls only, and is not late yet"
	case NotifiedLately:
		return "Had a notice lately"
	case HasRefused:
		return "Has refused what is due"
	case IsExempt:
		return "Exempt from what is due"
	case Contraindicated:
		return "What is missing is contraindicated"
	case NotDue:
		return "Not due yet, or not late enough"
	case Complete:
		return "Nothing is missing"
	case Unreachable:
		return "No usable address, telephone number or agreed contact"
	case HasEnded:
		return "Settled meanwhile"
	}
	return string(r)
}

// candidate is one of a cohort as judge looks at it.
type candidate struct {
	patient   string
	birth     coldkeep.Date
	standing  patient.Standing // with the run's practice
	deceased  bool
	locked    bool // by another than the run's practice
	publicity string
	zip       string
	last      coldkeep.Date // of the last notice; the zero Date: none
	refused   []string
	exempt    func(group string) bool
	forecasts []forecast.Forecast
}

// wish is what a person's publicity code allows (HL7 table 0215).
type wish struct {
	reminder, recall bool
	provider         bool // what there is goes to the provider, who knows already
	calls            bool // the telephone may be used
}

// wishOf reads PD1-11. A code that is not there, or not of the table, is no wish: a person
// is told, as 02 is.
func wishOf(code string) wish {
	switch code {
	case "01":
		return wish{calls: false}
	case "03":
		return wish{reminder: true, recall: true}
	case "04":
		return wish{reminder: true, calls: true}
	case "05":
		return wish{reminder: true}
	case "06":
		return wish{recall: true, calls: true}
	case "07":
		return wish{recall: true}
	case "08", "09", "10", "11", "12":
		return wish{provider: true}
	}
	return wish{reminder: true, recall: true, calls: true}
}

// inCohort reports whether a person is one of whom a run asks at all.
func (p *Params) inCohort(c *candidate) bool {
	if p.BornFrom.Known() && c.birth < p.BornFrom || p.BornTo.Known() && c.birth > p.BornTo {
		return false
	}
	return len(p.ZIPs) == 0 || slices.ContainsFunc(p.ZIPs, func(z string) bool { return strings.HasPrefix(c.zip, z) })
}

// who gives the reason that lies in the person, not in what is due.
func who(c *candidate) Reason {
	switch {
	case c.deceased:
		return IsDeceased
	case c.locked:
		return IsLocked
	case c.standing == patient.Moved:
		return IsMoved
	case c.standing == patient.Lost:
		return IsLost
	case c.standing != patient.Active:
		return IsInactive
	}
	return Told
}

// judge says whether a person is told, of which groups, or why not.
func (p *Params) judge(c *candidate, today coldkeep.Date) (Reason, []Group) {
	if r := who(c); r != Told {
		return r, nil
	}
	w := wishOf(c.publicity)
	switch {
	case w.provider:
		return WantsProvider, nil
	case !w.reminder && !w.recall:
		return WantsNone, nil
	case p.NotWithin > 0 && c.last.Known() && today-c.last < coldkeep.Date(p.NotWithin):
		return NotifiedLately, nil
	}
	var out []Group
	seen := map[Reason]bool{}
	for i := range c.forecasts {
		f := &c.forecasts[i]
		if f.Shared || f.Begins != forecast.None || len(p.Groups) > 0 && !slices.Contains(p.Groups, f.Group) {
			continue
		}
		switch f.Status {
		case forecast.NotComplete:
		case forecast.Contraindicated:
			seen[Contraindicated] = true
			continue
		default:
			seen[Complete] = true
			continue
		}
		g, why := p.due(c, f, w, today)
		if why != Told {
			seen[why] = true
			continue
		}
		if !slices.ContainsFunc(out, func(has Group) bool { return has.Name == g.Name }) {
			out = append(out, g)
		}
	}
	if len(out) > 0 {
		return Told, out
	}
	for _, r := range Reasons() {
		if seen[r] {
			return r, nil
		}
	}
	return Complete, nil
}

// due says whether a group that is not complete is one to tell of.
func (p *Params) due(c *candidate, f *forecast.Forecast, w wish, today coldkeep.Date) (Group, Reason) {
	g := Group{Name: f.Group}
	if f.Recommended != forecast.None {
		g.Due = f.Recommended
	}
	g.Late = f.PastDue != forecast.None && today > f.PastDue
	reminded := !g.Late && f.Recommended != forecast.None && f.Recommended <= today+coldkeep.Date(p.DueWithin)
	recalled := g.Late && today-f.PastDue >= coldkeep.Date(p.OverdueBy)
	switch p.Mode {
	case Reminder:
		recalled = false
	case Recall:
		reminded = false
	}
	switch {
	case !reminded && !recalled:
		return g, NotDue
	case c.exempt != nil && c.exempt(f.Group):
		return g, IsExempt
	case slices.Contains(c.refused, f.Group):
		return g, HasRefused
	case recalled && !w.recall:
		return g, OnlyReminders
	case reminded && !w.reminder:
		return g, OnlyRecalls
	}
	return g, Told
}
