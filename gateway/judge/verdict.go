package judge

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
)

// lookBack is how long before an excursion its readings are looked at again: the
// longest window in which profiles add up minutes.
const lookBack = 48 * time.Hour

// Verdicts returns what each built-in profile says of the time of an excursion.
// Nothing is entered. ENOTFOUND for an excursion that there is not, or whose
// appliance is not judged here.
func (j *Judge) Verdicts(ctx context.Context, id string) ([]coldkeep.Verdict, error) {
	x, ok, err := j.ledger.Excursion(ctx, id)
	if err != nil {
		return nil, err
	}
	t, err := j.visitor(x.Appliance)
	if !ok || err != nil {
		return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "excursion %q is not known, or its unit is not watched any more", id)
	}
	if horizon, err := j.ledger.Horizon(ctx, t.past.probes); err != nil || x.Start.UnixMilli() < horizon {
		if err == nil {
			err = coldkeep.Errorf(coldkeep.ENOTFOUND, "the readings of excursion %q were let go when their time was over", id)
		}
		return nil, err
	}
	end := j.clock.Now()
	if x.End != nil {
		end = *x.End
	}
	until := end.Add(t.rules.CloseAfter() + t.rules.MaxGap())
	var samples []excursion.Sample
	for in, err := range j.samples(ctx, t, x.Start.Add(-lookBack).UnixMilli()) {
		if err != nil {
			return nil, err
		}
		if in.At > until.UnixMilli() {
			break
		}
		samples = append(samples, in)
	}
	says, err := excursion.UnderAll(t.history, t.appliance.Unit, samples, min(until.UnixMilli(), j.clock.Now().UnixMilli()))
	if err != nil {
		return nil, err
	}
	out := make([]coldkeep.Verdict, len(says))
	for i, v := range says {
		out[i] = coldkeep.Verdict{Profile: v.Profile, Excursions: []coldkeep.Excursion{}}
		for k := range v.Findings {
			f := &v.Findings[k]
			if !f.Excursion() || f.Role == coldkeep.RoleAir || f.Start >= end.UnixMilli() || f.End != 0 && f.End <= x.Start.UnixMilli() {
				continue
			}
			e := t.describe(f, 0).Excursion
			e.Profile = v.Profile
			out[i].Excursions = append(out[i].Excursions, e)
		}
	}
	slices.SortStableFunc(out, func(a, b coldkeep.Verdict) int { // those that object come first
		return len(b.Excursions) - len(a.Excursions)
	})
	return out, nil
}

// visitor is a track of an appliance that only looks: also of a site that another
// collector judges.
func (j *Judge) visitor(id coldkeep.ApplianceID) (*track, error) {
	j.mu.Lock()
	m := j.mirror
	j.mu.Unlock()
	ap, ok := m.Appliance(id)
	if !ok {
		return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "appliance %q is not known", id)
	}
	rules, err := compile(&ap)
	if err != nil {
		return nil, err
	}
	p := pastOf(&m, id)
	if len(p.probes) == 0 {
		return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "no probe has stood in appliance %q", id)
	}
	return &track{appliance: ap, past: p, history: p.history(math.MinInt64), rules: rules}, nil
}
