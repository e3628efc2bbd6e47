package judge

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/foresight"
	"github.com/coldkeep/coldkeep/gateway/ledger"
)

// foreseeing is what foresight needs to know of an appliance.
func foreseeing(ap *coldkeep.Appliance, rules *excursion.Rules) (*foresight.Config, error) {
	p, err := coldkeep.FindProfile(ap.Profile)
	if err != nil {
		return nil, err
	}
	u, err := p.Unit(ap.Unit)
	if err != nil {
		return nil, err
	}
	low, high := u.Low, u.High
	if ap.Limits != nil {
		low, high = ap.Limits.Low, ap.Limits.High
	}
	milli := func(t coldkeep.Threshold) coldkeep.Temperature {
		return coldkeep.Temperature(math.Round(t.Celsius() * 1000))
	}
	return &foresight.Config{Unit: ap.Unit, Low: milli(low), High: milli(high), MaxGap: rules.MaxGap()}, nil
}

// Note hears of a device's events. Those of doors and of power settle the cause of
// what foresight sees; the excursions themselves do not depend on them.
func (j *Judge) Note(site coldkeep.SiteID, agent coldkeep.AgentID, events []ledger.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, t := range j.tracks {
		if t.appliance.Site != site {
			continue
		}
		for i, s := range t.past.probes {
			if s.Agent != agent {
				continue
			}
			for k := range events {
				r := &events[k].Record
				if (r.Probe == "" || r.Probe == s.Probe) && len(t.notes) < notesMost {
					t.notes = append(t.notes, note{i, foresight.Sample{At: r.At, Celsius: coldkeep.NoTemperature, Event: foresight.Event(r.Event)}})
				}
			}
		}
	}
}

// note is an event for the foresight of one probe.
type note struct {
	probe int
	foresight.Sample
}

// notesMost bounds the events of an appliance that wait for its next reading.
const notesMost = 256

// takeNotes takes the events that wait, by time.
func (j *Judge) takeNotes(t *track) []note {
	j.mu.Lock()
	defer j.mu.Unlock()
	notes := t.notes
	t.notes = nil
	slices.SortStableFunc(notes, func(a, b note) int { return cmp.Compare(a.At, b.At) })
	return notes
}

// foresee lets foresight see the next sample of a probe that stands for vaccine.
func (t *track) foresee(in *excursion.Sample) {
	for len(t.heard) > 0 && t.heard[0].At <= in.At {
		n := t.heard[0]
		t.ahead[n.probe].Step(t.watch, n.Sample)
		t.heard = t.heard[1:]
	}
	if t.past.speaksForVaccine(in.Probe, in.At) {
		t.ahead[in.Probe].Step(t.watch, foresight.Sample{At: in.At, Celsius: in.Celsius})
	}
}

func (p *past) speaksForVaccine(probe int, at int64) bool {
	return slices.ContainsFunc(p.stays, func(as coldkeep.Assignment) bool {
		return as.Role != coldkeep.RoleAir && as.Series == p.probes[probe] && as.From.UnixMilli() <= at && at < openEnd(as.To)
	})
}

// foresight is the warning that stands, of the probe that will be out first. What
// has begun is no longer foreseen.
func (t *track) foresight(open []excursion.Finding) *coldkeep.Foresight {
	var out *coldkeep.Foresight
	for i := range t.ahead {
		w, ok := t.ahead[i].Current(t.watch)
		if !ok || !t.past.speaksForVaccine(i, t.last[i]) || slices.ContainsFunc(open, func(f excursion.Finding) bool { return f.Kind == w.Side }) {
			continue
		}
		f := &coldkeep.Foresight{Cause: string(w.Cause), Kind: w.Side, SeenAt: utc(w.At), Words: w.Words}
		if w.Reaches != 0 {
			at := utc(w.Reaches)
			f.Reaches = &at
		}
		if out == nil || sooner(f.Reaches, out.Reaches) {
			out = f
		}
	}
	return out
}

// sooner reports whether a is sooner than b, not known being later than all.
func sooner(a, b *time.Time) bool {
	return a != nil && (b == nil || a.Before(*b))
}
