package judge

import (
	"context"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
)

// Status returns how each appliance in service stands now, by id. Of several
// probes the worst state counts, and among equals the latest record.
func (j *Judge) Status(context.Context) ([]coldkeep.ApplianceStatus, error) {
	now := j.clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	worst := map[coldkeep.ApplianceID]coldkeep.ApplianceStatus{}
	for _, tracks := range j.tracks {
		for _, t := range tracks {
			if !t.assignment.Covers(now) {
				continue
			}
			st := coldkeep.ApplianceStatus{Appliance: t.Appliance, Probe: t.Series.String(), Celsius: t.latest.Celsius,
				Quality: t.latest.Quality, State: t.standing(now.UnixMilli()), Online: j.online[t.Site][t.Agent]}
			if t.latest.At != 0 {
				at := utc(t.latest.At)
				st.At = &at
			}
			if was, ok := worst[t.Appliance]; !ok || worse(&st, &was) {
				worst[t.Appliance] = st
			}
		}
	}
	out := make([]coldkeep.ApplianceStatus, 0, len(worst))
	for _, st := range worst {
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b coldkeep.ApplianceStatus) int {
		return strings.Compare(string(a.Appliance), string(b.Appliance))
	})
	return out, nil
}

func (t *track) standing(now int64) coldkeep.State {
	state := coldkeep.StateOK
	if !t.latest.Celsius.Known() {
		state = coldkeep.StateFault
	}
	if t.latest.At == 0 || now-t.latest.At > t.rules.MaxGap().Milliseconds() {
		state = coldkeep.StateNoData
	}
	for i := range t.open {
		f := &t.open[i]
		if f.Kind != coldkeep.TooWarm && f.Kind != coldkeep.TooCold {
			continue
		}
		if slices.Contains(f.Actions, coldkeep.ActionAlert) || slices.Contains(f.Actions, coldkeep.ActionHold) {
			return coldkeep.StateExcursion
		}
		if state == coldkeep.StateOK {
			state = coldkeep.StateWarning
		}
	}
	return state
}

var severity = []coldkeep.State{coldkeep.StateOK, coldkeep.StateWarning, coldkeep.StateFault, coldkeep.StateNoData, coldkeep.StateExcursion}

func worse(a, b *coldkeep.ApplianceStatus) bool {
	sa, sb := slices.Index(severity, a.State), slices.Index(severity, b.State)
	if sa != sb {
		return sa > sb
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
