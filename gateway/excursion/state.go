package excursion

import (
	"encoding/json"
	"slices"

	"github.com/coldkeep/coldkeep"
)

// stateVersion changes when an old checkpoint cannot be resumed by this engine.
const stateVersion = 2

// State is all the engine remembers of an appliance's past. It is small whatever
// the length of the past, and Marshal gives it a versioned form. The zero State
// remembers nothing. It is not safe for concurrent use.
type State struct {
	At, Seq int64 // of the latest sample, At 0 before the first
	Probe   int   // of the latest sample

	stateOf
	rules string // Rules.Key of the rules that it was judged by

	// Of the history that it is in, found anew after a restart.
	hist *History
	next int64 // when the history has its next change
}

// stateOf is what of a State is kept beside its place.
type stateOf struct {
	Begun   bool    `json:"begun,omitempty"`
	Vaccine voice   `json:"vaccine"`
	Air     *voice  `json:"air,omitempty"` // nil until an air probe stood in the appliance
	Probes  []probe `json:"probes,omitempty"`
}

// probe is a probe that stands in the appliance.
type probe struct {
	Probe int  `json:"probe"`
	Air   bool `json:"air,omitempty"` // it stands for the air, not for the vaccine

	Heard   int64 `json:"heard"`            // since when it is silent: its latest record, the begin of its stay or the end of the appliance's silence
	Silent  bool  `json:"silent,omitempty"` // it is a finding that it is silent since Heard while others give records
	Good    int64 `json:"good,omitempty"`   // its latest believed reading in this stay, 0 none
	Celsius coldkeep.Temperature
	Settled bool      `json:"settled,omitempty"` // a reading in range came in this stay
	Fault   *faultRun `json:"fault,omitempty"`
}

type faultRun struct {
	Start   int64            `json:"start"`
	Reason  coldkeep.Quality `json:"reason"`
	Warned  bool             `json:"warned,omitempty"`  // it has lasted as long as the profile allows
	Alerted bool             `json:"alerted,omitempty"` // and no vaccine probe spoke then
}

// voice is what all probes of one role say together.
type voice struct {
	Heard int64        `json:"heard,omitempty"` // since when none of them gave a record
	Good  int64        `json:"good,omitempty"`  // latest believed reading of any, 0 none
	Sides [2]sideState `json:"sides"`           // too warm, too cold
}

// sideState is one direction's running excursion and what its rules count.
type sideState struct {
	T        coldkeep.Temperature `json:"t,omitempty"`   // the latest said, once Good is set
	Out      bool                 `json:"out,omitempty"` // that is out
	Episode  *episode             `json:"episode,omitempty"`
	Counters []ruleState          `json:"counters,omitempty"` // beside the side's rules

	rated coldkeep.Temperature // of which rate is known, to save working it out again
	rate  float64
}

type episode struct {
	Start     int64                `json:"start"`
	Back      int64                `json:"back,omitempty"` // first reading back in range, 0 while out
	PeakAt    int64                `json:"peak_at"`
	Extreme   coldkeep.Temperature `json:"extreme"`
	Probe     int                  `json:"probe"` // of the extreme
	OutMS     int64                `json:"out_ms"`
	AreaMS    int64                `json:"area_ms,omitempty"`
	Heat      kinetic              `json:"heat"` // from Start to Back
	Tail      kinetic              `json:"tail"` // since Back
	Actions   actions              `json:"actions,omitempty"`
	Rule      int                  `json:"rule"` // index of the rule that asked for most, -1 none yet
	FromStart bool                 `json:"from_start,omitempty"`
	Witnesses []Witness            `json:"witnesses"`
}

type ruleState struct {
	Since  int64      `json:"since,omitempty"` // consecutive: start of the run, 0 when not beyond
	Beyond bool       `json:"beyond,omitempty"`
	Spans  [][2]int64 `json:"spans,omitempty"` // cumulative: stretches beyond, in the window
	Sum    int64      `json:"sum,omitempty"`   // cumulative: total of Spans
}

type stateJSON struct {
	V     int    `json:"v"`
	Rules string `json:"rules,omitempty"`
	At    int64  `json:"at"`
	Seq   int64  `json:"seq"`
	Probe int    `json:"probe,omitempty"`
	stateOf
}

// Marshal gives the state a form to keep. A number with a fraction comes back as
// the very same one.
func (s *State) Marshal() []byte {
	b, _ := json.Marshal(stateJSON{stateVersion, s.rules, s.At, s.Seq, s.Probe, s.stateOf}) // numbers and strings always marshal
	return b
}

// UnmarshalState reads what Marshal wrote. A state of another version, of other
// rules, or one that does not fit the rules, is EINVALID: judge from the start
// instead.
func UnmarshalState(b []byte, r *Rules) (*State, error) {
	var j stateJSON
	if err := json.Unmarshal(b, &j); err != nil || j.V != stateVersion {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "engine state of version %d is not readable", j.V)
	}
	if j.Rules != "" && j.Rules != r.key {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "engine state was judged by %s, not by %s", j.Rules, r.key)
	}
	for _, v := range []*voice{&j.Vaccine, j.Air} {
		if v == nil {
			continue
		}
		for i, s := range v.Sides {
			rules := r.side(i).rules
			if n := len(s.Counters); n != 0 && n != len(rules) {
				return nil, coldkeep.Errorf(coldkeep.EINVALID, "engine state has %d counters for %d rules", n, len(rules))
			}
			if s.Episode != nil && (s.Episode.Rule < -1 || s.Episode.Rule >= len(rules)) {
				return nil, coldkeep.Errorf(coldkeep.EINVALID, "engine state names rule %d of %d", s.Episode.Rule, len(rules))
			}
		}
	}
	for _, p := range j.Probes {
		if p.Air && j.Air == nil {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "engine state has air probe %d and no air", p.Probe)
		}
	}
	return &State{At: j.At, Seq: j.Seq, Probe: j.Probe, stateOf: j.stateOf, rules: j.Rules}, nil
}

// Before reports whether a sample comes after all that the state has seen, in the
// order of Compare by time, probe and seq.
func (s *State) Before(in Sample) bool {
	if !s.Begun || in.At != s.At {
		return !s.Begun || in.At > s.At
	}
	return in.Probe > s.Probe || in.Probe == s.Probe && in.Seq > s.Seq
}

// Unsettled is the earliest time (ms) at which a finding that Step or Open gives from
// now on can have ended; what had ended before is not given again. It lies before At
// while an excursion is back in range and not yet over: then a gap or a fault that
// follows can make that long ago.
func (s *State) Unsettled() int64 {
	if !s.Begun {
		return always
	}
	at := s.At
	for _, v := range []*voice{&s.Vaccine, s.Air} {
		if v == nil {
			continue
		}
		for i := range v.Sides {
			if e := v.Sides[i].Episode; e != nil && e.Back != 0 {
				at = min(at, e.Back)
			}
		}
	}
	return at
}

// Clone returns a copy that shares nothing but the history.
func (s *State) Clone() *State {
	c := *s
	c.Vaccine.unshare()
	if c.Air != nil {
		air := *c.Air
		air.unshare()
		c.Air = &air
	}
	c.Probes = slices.Clone(c.Probes)
	for i := range c.Probes {
		if f := c.Probes[i].Fault; f != nil {
			copied := *f
			c.Probes[i].Fault = &copied
		}
	}
	return &c
}

func (v *voice) unshare() {
	for i := range v.Sides {
		st := &v.Sides[i]
		if st.Episode != nil {
			copied := *st.Episode
			copied.Witnesses = slices.Clone(copied.Witnesses)
			st.Episode = &copied
		}
		st.Counters = slices.Clone(st.Counters)
		for j := range st.Counters {
			st.Counters[j].Spans = slices.Clone(st.Counters[j].Spans)
		}
	}
}

// probe finds a probe that is listened to, nil if it is not.
func (s *State) probe(n int) *probe {
	for i := range s.Probes {
		if s.Probes[i].Probe == n {
			return &s.Probes[i]
		}
	}
	return nil
}

// voice is the one that a role speaks with.
func (s *State) voice(air bool) *voice {
	if !air {
		return &s.Vaccine
	}
	if s.Air == nil {
		s.Air = &voice{}
	}
	return s.Air
}

func role(air bool) coldkeep.Role {
	if air {
		return coldkeep.RoleAir
	}
	return coldkeep.RoleVaccine
}

// count is how many probes of a role are listened to.
func (s *State) count(air bool) int {
	n := 0
	for i := range s.Probes {
		if s.Probes[i].Air == air {
			n++
		}
	}
	return n
}

// speaks reports whether the probe's latest believed reading still holds at a time.
func (p *probe) speaks(r *Rules, at int64) bool { return p.Good != 0 && at-p.Good <= r.maxGap }
