package judge

import (
	"context"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
)

// Status returns how each appliance in service stands now, by id. Of several
// probes the one that matters most speaks: out of range before silent or faulty,
// and a probe that gives readings before one that gives none, so that what a dead
// probe said last never hides what a live one says.
func (j *Judge) Status(context.Context) ([]coldkeep.ApplianceStatus, error) {
	now := j.clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	chosen := map[coldkeep.ApplianceID]coldkeep.ApplianceStatus{}
	for _, tracks := range j.tracks {
		for _, t := range tracks {
			if !t.assignment.Covers(now) {
				continue
			}
			st := coldkeep.ApplianceStatus{Appliance: t.Appliance, Probe: t.String(), Celsius: t.latest.Celsius,
				Quality: t.latest.Quality, State: t.standing(now.UnixMilli()), Online: j.online[t.Site][t.Agent]}
			if t.latest.At != 0 {
				at := utc(t.latest.At)
				st.At = &at
			}
			if was, ok := chosen[t.Appliance]; !ok || before(&st, &was) {
				chosen[t.Appliance] = st
			}
		}
	}
	out := make([]coldkeep.ApplianceStatus, 0, len(chosen))
	for _, st := range chosen {
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b coldkeep.ApplianceStatus) int {
		return strings.Compare(string(a.Appliance), string(b.Appliance))
	})
	return out, nil
}

// standing is what one probe says of its appliance.
func (t *track) standing(now int64) coldkeep.State {
	out := coldkeep.StateOK
	for i := range t.open {
		f := &t.open[i]
		if f.Kind != coldkeep.TooWarm && f.Kind != coldkeep.TooCold {
			continue
		}
		if slices.Contains(f.Actions, coldkeep.ActionAlert) || slices.Contains(f.Actions, coldkeep.ActionHold) {
			return coldkeep.StateExcursion
		}
		out = coldkeep.StateWarning
	}
	switch {
	case t.latest.At == 0 || now-t.latest.At > t.rules.MaxGap().Milliseconds():
		return coldkeep.StateNoData
	case !t.latest.Celsius.Known():
		return coldkeep.StateFault
	}
	return out
}

// order is by how much a state matters when another probe of the same appliance
// says something else: a live reading, good or bad, before silence.
var order = []coldkeep.State{coldkeep.StateExcursion, coldkeep.StateWarning, coldkeep.StateOK, coldkeep.StateFault, coldkeep.StateNoData}

// before reports whether a speaks for the appliance rather than b.
func before(a, b *coldkeep.ApplianceStatus) bool {
	if ra, rb := slices.Index(order, a.State), slices.Index(order, b.State); ra != rb {
		return ra < rb
	}
	switch {
	case a.At == nil:
		return false
	case b.At == nil || a.At.After(*b.At):
		return true
	case a.At.Equal(*b.At):
		return a.Probe < b.Probe
	}
	return false
}
