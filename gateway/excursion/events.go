package excursion

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Event is a time [From, To) in which a device reported a door open or power lost,
// in ms since 1970-01-01 UTC. One that goes on ends at math.MaxInt64.
type Event struct {
	Kind     coldkeep.ContextKind
	From, To int64
}

// EventFinding is an event that lasted longer than a rule of the profile allows.
type EventFinding struct {
	Kind       coldkeep.ContextKind
	Start, End int64 // End is 0 while it goes on
	Minutes    int   // what the rule allows
	Actions    []coldkeep.Action
	Source     string
}

// Events judges the events of an appliance up to now (ms) by the profile's event
// rules. Events of one kind that touch or overlap are one. The findings come by
// start, kind and minutes.
func Events(r *Rules, events []Event, now int64) []EventFinding {
	var out []EventFinding
	for _, e := range merged(events) {
		until := min(e.To, now)
		for i := range r.events {
			ru := &r.events[i]
			if ru.Event != e.Kind || until-e.From <= (time.Duration(ru.Minutes)*time.Minute).Milliseconds() {
				continue
			}
			f := EventFinding{Kind: e.Kind, Start: e.From, End: e.To, Minutes: ru.Minutes, Actions: slices.Clone(ru.Actions), Source: ru.Source}
			if e.To > now || e.To == math.MaxInt64 {
				f.End = 0
			}
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b EventFinding) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Minutes, b.Minutes))
	})
	return out
}

// Watched reports whether the profile has rules for what devices report.
func (r *Rules) Watched() bool { return len(r.events) > 0 }

func merged(events []Event) []Event {
	sorted := slices.Clone(events)
	slices.SortFunc(sorted, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	var out []Event
	for _, e := range sorted {
		if n := len(out); n > 0 && out[n-1].Kind == e.Kind && e.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, e.To)
			continue
		}
		if e.From < e.To {
			out = append(out, e)
		}
	}
	return out
}
