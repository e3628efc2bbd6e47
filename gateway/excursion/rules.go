// Package excursion judges an appliance's readings by a profile. It is pure: the
// same samples, history and rules give the same findings, whatever the order of
// arrival, however often the process died, live or replayed years later. It knows
// no clock, no store and no network; package judge brings it the samples in order
// of event time.
//
// Several probes speak with one voice a role. A probe speaks with its latest
// believed reading, for as long as the profile's max_gap. The appliance is as warm
// as the warmest of its vaccine probes that speak and as cold as the coldest; this
// is looked at whenever one of them gives a believed reading, and holds until the
// next such time or, past max_gap, is a gap. Air probes are a second voice that at
// most warns. What a probe said before its stay, or before the appliance came back
// into service, is not heard.
package excursion

import (
	"encoding/base32"
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Rules are a profile's rules for one type of unit, made ready for judging.
type Rules struct {
	profile     string
	key         string
	closeAfter  int64 // ms
	maxGap      int64 // ms
	noDataAlert int64 // ms
	warm, cold  side
	events      []coldkeep.EventRule
}

// side holds the rules of one direction. Every limit is a whole number of
// thousandths of °C, exact also for a limit published in °F: beyond is a monotone
// question, so there is a first temperature that answers yes.
type side struct {
	kind  coldkeep.Kind
	limit coldkeep.Temperature // the first temperature that opens an excursion
	edge  coldkeep.Temperature // of the range, rounded down to a thousandth of °C
	rules []rule
}

type rule struct {
	typ     coldkeep.RuleType
	limit   coldkeep.Temperature // the first temperature beyond
	need    int64                // ms, consecutive and cumulative
	window  int64                // ms, cumulative
	actions actions
}

func (s *side) beyond(limit, t coldkeep.Temperature) bool {
	if s.kind == coldkeep.TooWarm {
		return t >= limit
	}
	return t <= limit
}

// actions is a set of coldkeep.Action.
type actions uint8

const (
	actLog actions = 1 << iota
	actWarn
	actAlert
	actHold
)

var allActions = [...]coldkeep.Action{coldkeep.ActionLog, coldkeep.ActionWarn, coldkeep.ActionAlert, coldkeep.ActionHold}

func (a actions) list() []coldkeep.Action {
	var out []coldkeep.Action
	for i, act := range allActions {
		if a&(1<<i) != 0 {
			out = append(out, act)
		}
	}
	return out
}

// capped is what the set is for a voice: air only warns.
func (a actions) capped(air bool) actions {
	if air && a&(actAlert|actHold) != 0 {
		return a&^(actAlert|actHold) | actWarn
	}
	return a
}

// Compile makes a profile's rules for a unit ready, with the site's own range if
// limits is not nil: it takes the place of the profile's range and of the limits of
// the rules that begin at its edges. A unit that the profile does not cover, and
// limits that coldkeep.UnitRules.Within refuses, are EINVALID.
func Compile(p *coldkeep.Profile, unit coldkeep.Unit, limits *coldkeep.Limits) (*Rules, error) {
	u, err := p.Unit(unit)
	if err != nil {
		return nil, err
	}
	ref := p.Ref()
	if limits != nil {
		if u, err = u.Within(limits); err != nil {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "profile %s, %s: %s", ref, unit, coldkeep.ErrorMessage(err))
		}
		ref += "+site"
	}
	r := &Rules{profile: ref, closeAfter: u.CloseAfterDuration().Milliseconds(), maxGap: u.MaxGapDuration().Milliseconds(),
		noDataAlert: (time.Duration(u.NoDataAlert) * time.Minute).Milliseconds(), events: u.Events}
	r.warm = compileSide(u, coldkeep.TooWarm)
	r.cold = compileSide(u, coldkeep.TooCold)
	sum := fnv.New64a()
	fmt.Fprintf(sum, "%d %d %d %+v %+v", r.closeAfter, r.maxGap, r.noDataAlert, r.warm, r.cold)
	r.key = ref + "/" + string(unit) + "/" + base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum.Sum(nil))
	return r, nil
}

func compileSide(u *coldkeep.UnitRules, kind coldkeep.Kind) side {
	s := side{kind: kind}
	s.limit = firstBeyond(kind, func(t coldkeep.Temperature) bool { return u.Out(t) == kind })
	if edge := u.High; kind == coldkeep.TooWarm {
		s.edge = floor(edge)
	} else {
		s.edge = floor(u.Low)
	}
	for i := range u.Rules {
		in := &u.Rules[i]
		if in.Kind != kind {
			continue
		}
		out := rule{typ: in.Type, limit: firstBeyond(kind, in.Out),
			need: (time.Duration(in.Minutes) * time.Minute).Milliseconds(), window: (time.Duration(in.Window) * time.Hour).Milliseconds()}
		for _, a := range in.Actions {
			out.actions |= 1 << (a.Rank() - 1)
		}
		s.rules = append(s.rules, out)
		// A rule stricter than the range opens the excursion by itself.
		s.limit = stricter(kind, s.limit, out.limit)
	}
	return s
}

// floor gives a threshold in thousandths of °C, rounded down.
func floor(th coldkeep.Threshold) coldkeep.Temperature {
	// The last temperature at or below the threshold is one before the first above it.
	return firstBeyond(coldkeep.TooWarm, func(t coldkeep.Temperature) bool { return th.Compare(t) > 0 }) - 1
}

func stricter(kind coldkeep.Kind, a, b coldkeep.Temperature) coldkeep.Temperature {
	if kind == coldkeep.TooWarm {
		return min(a, b)
	}
	return max(a, b)
}

// firstBeyond finds the temperature nearest to the range for which out holds, out
// being monotone in the direction of kind.
func firstBeyond(kind coldkeep.Kind, out func(coldkeep.Temperature) bool) coldkeep.Temperature {
	lo, hi := int64(math.MinInt32)+1, int64(math.MaxInt32)
	sign := int64(1)
	if kind == coldkeep.TooCold {
		sign = -1
		lo, hi = -hi, -lo
	}
	for lo < hi { // smallest x with out(sign·x)
		mid := lo + (hi-lo)/2
		if out(coldkeep.Temperature(sign * mid)) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return coldkeep.Temperature(sign * lo)
}

// Profile is the reference of the profile, name@version, with "+site" when the
// site's own range is in force.
func (r *Rules) Profile() string { return r.profile }

// Key names these very rules: two that differ in any number, also by the site's
// range, have different keys.
func (r *Rules) Key() string { return r.key }

// MaxGap is the longest silence that still counts as continuous record.
func (r *Rules) MaxGap() time.Duration { return time.Duration(r.maxGap) * time.Millisecond }

// CloseAfter is how long a unit must be back in range for an excursion to end.
func (r *Rules) CloseAfter() time.Duration { return time.Duration(r.closeAfter) * time.Millisecond }

// NoDataAlert is how long an appliance may be without a reading that can be
// believed until a person is called.
func (r *Rules) NoDataAlert() time.Duration { return time.Duration(r.noDataAlert) * time.Millisecond }

func (r *Rules) side(i int) *side {
	if i == 0 {
		return &r.warm
	}
	return &r.cold
}
