package judge

import (
	"math"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/foresight"
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

// foresee lets foresight see the next sample of a probe that stands for vaccine.
func (t *track) foresee(in *excursion.Sample) {
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
