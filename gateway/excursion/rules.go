// Package excursion judges readings by a profile. It is pure: the same samples
// and rules give the same findings, whatever the order of arrival, however often
// the process died, live or replayed years later. It knows no clock, no store and
// no network; package judge brings it the samples in order of event time.
package excursion

import (
	"math"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Rules are a profile's rules for one type of unit, made ready for judging.
type Rules struct {
	profile    string
	closeAfter int64 // ms
	maxGap     int64 // ms
	warm, cold side
}

// side holds the rules of one direction. Every limit is a whole number of
// thousandths of °C, exact also for a limit published in °F: beyond is a monotone
// question, so there is a first temperature that answers yes.
type side struct {
	kind  coldkeep.Kind
	limit coldkeep.Temperature // the first temperature that opens an excursion
	rules []rule
}

type rule struct {
	typ     coldkeep.RuleType
	limit   coldkeep.Temperature // the first temperature beyond
	need    int64                // ms, consecutive and cumulative
	window  int64                // ms, cumulative
	actions actions
	rank    int // of its strongest action
}

func (s *side) beyond(limit, t coldkeep.Temperature) bool {
	if s.kind == coldkeep.TooWarm {
		return t >= limit
	}
	return t <= limit
}

// actions is a set of coldkeep.Action.
type actions uint8

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

// Compile makes a profile's rules for a unit ready. A unit that the profile does
// not cover is EINVALID.
func Compile(p *coldkeep.Profile, unit coldkeep.Unit) (*Rules, error) {
	u, err := p.Unit(unit)
	if err != nil {
		return nil, err
	}
	r := &Rules{profile: p.Ref(), closeAfter: u.CloseAfterDuration().Milliseconds(), maxGap: u.MaxGapDuration().Milliseconds()}
	r.warm = compileSide(u, coldkeep.TooWarm)
	r.cold = compileSide(u, coldkeep.TooCold)
	return r, nil
}

func compileSide(u *coldkeep.UnitRules, kind coldkeep.Kind) side {
	s := side{kind: kind}
	s.limit = firstBeyond(kind, func(t coldkeep.Temperature) bool { return u.Out(t) == kind })
	for i := range u.Rules {
		in := &u.Rules[i]
		if in.Kind != kind {
			continue
		}
		out := rule{typ: in.Type, limit: firstBeyond(kind, in.Out),
			need: (time.Duration(in.Minutes) * time.Minute).Milliseconds(), window: (time.Duration(in.Window) * time.Hour).Milliseconds()}
		for _, a := range in.Actions {
			out.actions |= 1 << (a.Rank() - 1)
			out.rank = max(out.rank, a.Rank())
		}
		s.rules = append(s.rules, out)
		// A rule stricter than the range opens the excursion by itself.
		s.limit = stricter(kind, s.limit, out.limit)
	}
	return s
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

// Profile is the reference of the profile, name@version.
func (r *Rules) Profile() string { return r.profile }

// MaxGap is the longest silence that still counts as continuous record.
func (r *Rules) MaxGap() time.Duration { return time.Duration(r.maxGap) * time.Millisecond }

// CloseAfter is how long a unit must be back in range for an excursion to end.
func (r *Rules) CloseAfter() time.Duration { return time.Duration(r.closeAfter) * time.Millisecond }
