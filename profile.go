package coldkeep

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"sort"
	"strings"
	"sync"
	"time"
)

// Action is what a rule asks for once it is met.
type Action string

// The actions, from least to most.
const (
	ActionLog   Action = "log"   // into the temperature log
	ActionWarn  Action = "warn"  // shown, nobody is called
	ActionAlert Action = "alert" // a person is called until one answers
	ActionHold  Action = "hold"  // the lots in the unit are held
)

// Rank orders actions from least (1) to most (4); an unknown action is 0.
func (a Action) Rank() int {
	switch a {
	case ActionLog:
		return 1
	case ActionWarn:
		return 2
	case ActionAlert:
		return 3
	case ActionHold:
		return 4
	}
	return 0
}

// RuleType is how a rule counts time beyond its limit.
type RuleType string

// The three kinds of rule. They run together.
const (
	Instant     RuleType = "instant"     // one reading beyond the limit
	Consecutive RuleType = "consecutive" // beyond it for this long without a break
	Cumulative  RuleType = "cumulative"  // beyond it for this long in all within a window
)

// Rule is one line of a profile.
type Rule struct {
	Kind    Kind      `json:"kind"` // too-warm or too-cold
	Type    RuleType  `json:"type"`
	Beyond  Threshold `json:"beyond"`             // out when past this
	OrAt    bool      `json:"or_at,omitempty"`    // out at the limit too
	Minutes int       `json:"minutes,omitempty"`  // consecutive, cumulative
	Window  int       `json:"window_h,omitempty"` // hours, cumulative
	Actions []Action  `json:"actions"`            // what it asks for
	Source  string    `json:"source"`             // who says so
}

// Out reports whether t, which must be known, is beyond the rule's limit.
func (r *Rule) Out(t Temperature) bool {
	c := r.Beyond.Compare(t)
	if r.Kind == TooCold {
		c = -c
	}
	return c > 0 || c == 0 && r.OrAt
}

// UnitRules are the rules of a profile for one type of unit.
type UnitRules struct {
	Low        Threshold `json:"low"`  // lowest temperature in range
	High       Threshold `json:"high"` // highest temperature in range
	CloseAfter int       `json:"close_after_min"`
	MaxGap     int       `json:"max_gap_min"` // a longer silence is a gap, neither in nor out
	// NoDataAlert is how long an appliance may be without a reading that can be believed
	// until a person is called.
	NoDataAlert int    `json:"no_data_alert_min"`
	Rules       []Rule `json:"rules"`
	RangeSource string `json:"range_source"`
}

// Out tells whether t, which must be known, is out of range and to which side;
// "" is in range.
func (u *UnitRules) Out(t Temperature) Kind {
	if u.High.Compare(t) > 0 {
		return TooWarm
	}
	if u.Low.Compare(t) < 0 {
		return TooCold
	}
	return ""
}

// CloseAfterDuration is how long an appliance must be back in range for an
// excursion to be over.
func (u *UnitRules) CloseAfterDuration() time.Duration {
	return time.Duration(u.CloseAfter) * time.Minute
}

// MaxGapDuration is the longest silence between two readings that still counts
// as continuous record.
func (u *UnitRules) MaxGapDuration() time.Duration { return time.Duration(u.MaxGap) * time.Minute }

// Profile is a jurisdiction's rules as published, in one version. A change of a
// number is a new version; an excursion records the version that judged it.
type Profile struct {
	Name          string              `json:"name"`
	Version       int                 `json:"version"`
	Title         string              `json:"title"`
	RetentionYear int                 `json:"retention_years"`
	Units         map[Unit]*UnitRules `json:"units"`
}

// Ref is name@version, as excursions record it.
func (p *Profile) Ref() string { return fmt.Sprintf("%s@%d", p.Name, p.Version) }

// Unit returns the rules for a type of unit; a unit that the profile does not
// cover is EINVALID.
func (p *Profile) Unit(u Unit) (*UnitRules, error) {
	r, ok := p.Units[u]
	if !ok {
		return nil, Errorf(EINVALID, "profile %s has no rules for unit %q", p.Ref(), u)
	}
	return r, nil
}

// ParseProfile reads and checks a profile. A wrong one is EINVALID with the place
// and the reason.
func ParseProfile(b []byte) (*Profile, error) {
	var p Profile
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return nil, Wrap(err, EINVALID, "coldkeep.ParseProfile", "profile is not readable: %v", err)
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	return &p, nil
}

func (p *Profile) validate() error {
	if p.Name == "" || p.Version < 1 {
		return Errorf(EINVALID, "profile %q: a name and a version from 1 are needed", p.Name)
	}
	if p.RetentionYear < 3 {
		return Errorf(EINVALID, "profile %s: retention_years %d is below the three years that every programme asks", p.Ref(), p.RetentionYear)
	}
	if len(p.Units) == 0 {
		return Errorf(EINVALID, "profile %s: no units", p.Ref())
	}
	for unit, u := range p.Units {
		at := fmt.Sprintf("profile %s, %s", p.Ref(), unit)
		if _, err := ParseUnit(string(unit)); err != nil {
			return Errorf(EINVALID, "profile %s: %s", p.Ref(), ErrorMessage(err))
		}
		if u.Low.Scale != u.High.Scale || u.Low.Milli >= u.High.Milli {
			return Errorf(EINVALID, "%s: range %v to %v: want one unit and low below high", at, u.Low, u.High)
		}
		if u.CloseAfter < 1 || u.MaxGap < 1 {
			return Errorf(EINVALID, "%s: close_after_min and max_gap_min must be at least 1", at)
		}
		if u.NoDataAlert < u.MaxGap {
			return Errorf(EINVALID, "%s: no_data_alert_min %d is below max_gap_min %d", at, u.NoDataAlert, u.MaxGap)
		}
		for i := range u.Rules {
			if err := u.Rules[i].validate(); err != nil {
				return Errorf(EINVALID, "%s, rule %d: %s", at, i+1, ErrorMessage(err))
			}
		}
	}
	return nil
}

func (r *Rule) validate() error {
	if r.Kind != TooWarm && r.Kind != TooCold {
		return Errorf(EINVALID, "kind %q: want too-warm or too-cold", r.Kind)
	}
	switch r.Type {
	case Instant:
		if r.Minutes != 0 || r.Window != 0 {
			return Errorf(EINVALID, "an instant rule has no minutes and no window_h")
		}
	case Consecutive:
		if r.Minutes < 1 || r.Window != 0 {
			return Errorf(EINVALID, "a consecutive rule has minutes and no window_h")
		}
	case Cumulative:
		if r.Minutes < 1 || r.Window < 1 || r.Minutes > r.Window*60 {
			return Errorf(EINVALID, "a cumulative rule has minutes that fit its window_h")
		}
	default:
		return Errorf(EINVALID, "type %q: want instant, consecutive or cumulative", r.Type)
	}
	if len(r.Actions) == 0 {
		return Errorf(EINVALID, "no actions")
	}
	for _, a := range r.Actions {
		if a.Rank() == 0 {
			return Errorf(EINVALID, "action %q: want log, warn, alert or hold", a)
		}
	}
	if r.Source == "" {
		return Errorf(EINVALID, "no source")
	}
	return nil
}

//go:embed profiles/*.json
var profileFiles embed.FS

var builtin = sync.OnceValues(func() (map[string]*Profile, error) {
	files, err := profileFiles.ReadDir("profiles")
	if err != nil {
		return nil, err
	}
	out := make(map[string]*Profile, len(files))
	for _, f := range files {
		b, err := profileFiles.ReadFile(path.Join("profiles", f.Name()))
		if err != nil {
			return nil, err
		}
		p, err := ParseProfile(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		out[p.Name] = p
	}
	return out, nil
})

// FindProfile returns a built-in profile by name; an unknown name is EINVALID
// and the message lists those there are.
func FindProfile(name string) (*Profile, error) {
	all, err := builtin()
	if err != nil {
		return nil, err
	}
	if p, ok := all[name]; ok {
		return p, nil
	}
	return nil, Errorf(EINVALID, "profile %q is not known; there are: %s", name, strings.Join(ProfileNames(), ", "))
}

// ProfileNames lists the built-in profiles in alphabetical order.
func ProfileNames() []string {
	all, _ := builtin()
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
