package judge

import (
	"context"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
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
	for _, t := range j.tracks {
		for i, s := range t.past.probes {
			if !t.past.covers(i, now.UnixMilli()) {
				continue
			}
			st := coldkeep.ApplianceStatus{Appliance: t.appliance.ID, Probe: s.String(), Celsius: t.latest[i].Celsius,
				Quality: t.latest[i].Quality, State: t.standing(i, now.UnixMilli()), Online: j.online[s.Site][s.Agent]}
			st.Foresight = t.foreseen
			if t.latest[i].At != 0 {
				at := utc(t.latest[i].At)
				st.At = &at
			}
			if was, ok := chosen[t.appliance.ID]; !ok || before(&st, &was) {
				chosen[t.appliance.ID] = st
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
func (t *track) standing(probe int, now int64) coldkeep.State {
	out := coldkeep.StateOK
	for i := range t.open {
		f := &t.open[i]
		if f.Kind != coldkeep.TooWarm && f.Kind != coldkeep.TooCold || !saw(f, probe) {
			continue
		}
		if slices.Contains(f.Actions, coldkeep.ActionAlert) || slices.Contains(f.Actions, coldkeep.ActionHold) {
			return coldkeep.StateExcursion
		}
		out = coldkeep.StateWarning
	}
	switch {
	case t.latest[probe].At == 0 || now-t.latest[probe].At > t.rules.MaxGap().Milliseconds():
		return coldkeep.StateNoData
	case !t.latest[probe].Celsius.Known():
		return coldkeep.StateFault
	}
	return out
}

// saw reports whether a probe was itself out of range in an excursion.
func saw(f *excursion.Finding, probe int) bool {
	return slices.ContainsFunc(f.Witnesses, func(w excursion.Witness) bool { return w.Probe == probe && w.Out })
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
