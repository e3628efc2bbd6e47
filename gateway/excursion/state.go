package excursion

import (
	"encoding/json"

	"github.com/coldkeep/coldkeep"
)

// Sample is what the engine sees of a reading. Celsius is NoTemperature when the
// probe gave nothing to be believed; Quality then says why.
type Sample struct {
	At      int64 // ms since 1970-01-01 UTC
	Seq     int64 // orders samples of one time
	Celsius coldkeep.Temperature
	Quality coldkeep.Quality
}

// Before orders samples by event time.
func (s *Sample) Before(o *Sample) bool {
	if s.At != o.At {
		return s.At < o.At
	}
	return s.Seq < o.Seq
}

// Finding is something that the engine says of a probe's record: an excursion, a
// sensor fault or a gap. Times are ms since 1970-01-01 UTC.
type Finding struct {
	Kind  coldkeep.Kind
	Start int64 // first reading out of range; first record of a fault; last record before a gap
	End   int64 // first reading back in range of the stretch that closed it; 0 while open

	// Of an excursion only.
	Rule    coldkeep.RuleType // the rule that asked for most; of equals, the profile's first
	PeakAt  int64             // when the extreme was first reached
	Extreme coldkeep.Temperature
	OutMS   int64 // time out of range, without gaps
	Actions []coldkeep.Action

	Reason coldkeep.Quality // of a sensor fault: its first code
}

// stateVersion changes when an old checkpoint cannot be resumed by this engine.
const stateVersion = 1

// State is all the engine remembers of a probe's past. It is small whatever the
// length of the past, and MarshalState gives it a versioned form.
type State struct {
	At, Seq int64 // of the latest sample, At 0 before the first
	goodAt  int64 // of the latest believed reading
	fault   *faultRun
	sides   [2]sideState // too warm, too cold
}

type faultRun struct {
	Start  int64            `json:"start"`
	Reason coldkeep.Quality `json:"reason"`
}

// sideState is one direction's running excursion and what its rules count.
type sideState struct {
	Out      bool        `json:"out,omitempty"` // the latest believed reading was out
	Episode  *episode    `json:"episode,omitempty"`
	Counters []ruleState `json:"counters,omitempty"` // beside the side's rules
}

type episode struct {
	Start   int64                `json:"start"`
	Back    int64                `json:"back,omitempty"` // first reading back in range, 0 while out
	PeakAt  int64                `json:"peak_at"`
	Extreme coldkeep.Temperature `json:"extreme"`
	OutMS   int64                `json:"out_ms"`
	Actions actions              `json:"actions,omitempty"`
	Rule    int                  `json:"rule"` // index of the rule that asked for most, -1 none yet
}

type ruleState struct {
	Since  int64      `json:"since,omitempty"` // consecutive: start of the run, 0 when not beyond
	Beyond bool       `json:"beyond,omitempty"`
	Spans  [][2]int64 `json:"spans,omitempty"` // cumulative: stretches beyond, in the window
	Sum    int64      `json:"sum,omitempty"`   // cumulative: total of Spans
}

type stateJSON struct {
	V      int          `json:"v"`
	At     int64        `json:"at"`
	Seq    int64        `json:"seq"`
	GoodAt int64        `json:"good_at"`
	Fault  *faultRun    `json:"fault,omitempty"`
	Sides  [2]sideState `json:"sides"`
}

// Marshal gives the state a form to keep.
func (s *State) Marshal() []byte {
	b, _ := json.Marshal(stateJSON{stateVersion, s.At, s.Seq, s.goodAt, s.fault, s.sides}) // numbers and strings always marshal
	return b
}

// UnmarshalState reads what Marshal wrote. A state of another version, or one
// that does not fit the rules, is EINVALID: judge from the start instead.
func UnmarshalState(b []byte, r *Rules) (*State, error) {
	var j stateJSON
	if err := json.Unmarshal(b, &j); err != nil || j.V != stateVersion {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "engine state of version %d is not readable", j.V)
	}
	for i, s := range j.Sides {
		rules := r.side(i).rules
		if n := len(s.Counters); n != 0 && n != len(rules) {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "engine state has %d counters for %d rules", n, len(rules))
		}
		if s.Episode != nil && s.Episode.Rule >= len(rules) {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "engine state names rule %d of %d", s.Episode.Rule, len(rules))
		}
	}
	return &State{At: j.At, Seq: j.Seq, goodAt: j.GoodAt, fault: j.Fault, sides: j.Sides}, nil
}

func (r *Rules) side(i int) *side {
	if i == 0 {
		return &r.warm
	}
	return &r.cold
}
