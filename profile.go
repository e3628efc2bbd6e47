package coldkeep

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
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

// EventRule is a line of a profile about what a device reports beside temperatures:
// an open door, lost power.
type EventRule struct {
	Event   ContextKind `json:"event"`   // door-open or power-lost
	Minutes int         `json:"minutes"` // met when it lasts longer than this
	Actions []Action    `json:"actions"`
	Source  string      `json:"source"`
}

// UnitRules are the rules of a profile for one type of unit.
type UnitRules struct {
	Low        Threshold `json:"low"`  // lowest temperature in range
	High       Threshold `json:"high"` // highest temperature in range
	CloseAfter int       `json:"close_after_min"`
	MaxGap     int       `json:"max_gap_min"` // a longer silence is a gap, neither in nor out
	// LoggingInterval is how far apart a logger's readings may be by the programme, in
	// minutes; 0 when it does not say.
	LoggingInterval int `json:"logging_interval_min,omitempty"`
	// NoDataAlert is how long an appliance may be without a reading that can be believed
	// until a person is called.
	NoDataAlert int         `json:"no_data_alert_min"`
	Rules       []Rule      `json:"rules"`
	Events      []EventRule `json:"events,omitempty"`
	RangeSource string      `json:"range_source"`
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

// Within gives the rules with a site's own range: it takes the place of the
// profile's range, and of the limit of each rule that begins at the edge which it
// moves. Rules with a limit of their own, such as the freezing line, stay. A range
// that is none, or that reaches beyond the profile's without a reason, is EINVALID.
func (u *UnitRules) Within(l *Limits) (*UnitRules, error) {
	if err := validRange(l.Low, l.High); err != nil {
		return nil, err
	}
	if (l.Low.exact() < u.Low.exact() || l.High.exact() > u.High.exact()) && strings.TrimSpace(l.Reason) == "" {
		return nil, Errorf(EINVALID, "the site's range %v to %v reaches beyond the profile's, %v to %v: that needs a reason", l.Low, l.High, u.Low, u.High)
	}
	out := *u
	out.Low, out.High = l.Low, l.High
	out.Rules = slices.Clone(u.Rules)
	for i := range out.Rules {
		switch r := &out.Rules[i]; {
		case r.Kind == TooWarm && r.Beyond.exact() == u.High.exact():
			r.Beyond = l.High
		case r.Kind == TooCold && r.Beyond.exact() == u.Low.exact():
			r.Beyond = l.Low
		}
	}
	return &out, nil
}

// exact gives a threshold in 9000ths of °C above -17.7… °C (0 °F), which is whole in
// both scales, for comparing two thresholds.
func (th Threshold) exact() int64 {
	if th.Scale == ScaleFahrenheit {
		return 5 * th.Milli
	}
	return 9*th.Milli + 160_000
}

func validRange(low, high Threshold) error {
	for _, th := range []Threshold{low, high} {
		if th.Scale != ScaleCelsius && th.Scale != ScaleFahrenheit {
			return Errorf(EINVALID, "range: low and high are both needed, as \"2C\" or \"36F\"")
		}
	}
	if low.Scale != high.Scale || low.Milli >= high.Milli {
		return Errorf(EINVALID, "range %v to %v: want one unit and low below high", low, high)
	}
	return nil
}

// Profile is a jurisdiction's rules as published, in one version. A change of a
// number is a new version; an excursion records the version that judged it.
type Profile struct {
	Name          string `json:"name"`
	Version       int    `json:"version"`
	Title         string `json:"title"`
	RetentionYear int    `json:"retention_years"`
	// RecalibrateYears is how long a probe's certificate holds by the programme, when it
	// says so and the certificate does not.
	RecalibrateYears int `json:"recalibrate_years,omitempty"`
	// Notes are what the programme asks beside its rules, each with its source.
	Notes []string            `json:"notes,omitempty"`
	Units map[Unit]*UnitRules `json:"units"`
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
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, Errorf(EINVALID, "profile %s: there is more than one thing in it", p.Ref())
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	return &p, nil
}

// profileName keeps a reference, name@version+site, readable in one way.
var profileName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

func (p *Profile) validate() error {
	if !profileName.MatchString(p.Name) || p.Version < 1 {
		return Errorf(EINVALID, "profile %q: a name of a-z, 0-9 and - and a version from 1 are needed", p.Name)
	}
	if p.RetentionYear < 3 {
		return Errorf(EINVALID, "profile %s: retention_years %d is below the three years that every programme asks", p.Ref(), p.RetentionYear)
	}
	if p.RecalibrateYears < 0 || p.RecalibrateYears > 10 {
		return Errorf(EINVALID, "profile %s: recalibrate_years %d: want up to 10", p.Ref(), p.RecalibrateYears)
	}
	if len(p.Units) == 0 {
		return Errorf(EINVALID, "profile %s: no units", p.Ref())
	}
	for unit, u := range p.Units {
		at := fmt.Sprintf("profile %s, %s", p.Ref(), unit)
		if _, err := ParseUnit(string(unit)); err != nil {
			return Errorf(EINVALID, "profile %s: %s", p.Ref(), ErrorMessage(err))
		}
		if u == nil {
			return Errorf(EINVALID, "%s: no rules", at)
		}
		if err := u.validate(); err != nil {
			return Errorf(EINVALID, "%s%s", at, ErrorMessage(err))
		}
	}
	return nil
}

// longestGap bounds max_gap_min: a record with a hole of a day is no record.
const longestGap = 24 * 60

// longestRule bounds what a rule counts, in minutes: a year.
const longestRule = 365 * 24 * 60

// validate returns an error whose message begins with ": " or with the place.
func (u *UnitRules) validate() error {
	if err := validRange(u.Low, u.High); err != nil {
		return Errorf(EINVALID, ": %s", ErrorMessage(err))
	}
	if u.RangeSource == "" {
		return Errorf(EINVALID, ": no range_source")
	}
	if u.CloseAfter < 1 || u.MaxGap < 1 || u.CloseAfter > longestGap || u.MaxGap > longestGap {
		return Errorf(EINVALID, ": close_after_min and max_gap_min must be from 1 to %d", longestGap)
	}
	if u.LoggingInterval < 0 || u.LoggingInterval > u.MaxGap {
		return Errorf(EINVALID, ": logging_interval_min %d: want up to max_gap_min %d, or each pause between two readings is a gap", u.LoggingInterval, u.MaxGap)
	}
	if u.NoDataAlert < u.MaxGap {
		return Errorf(EINVALID, ": no_data_alert_min %d is below max_gap_min %d", u.NoDataAlert, u.MaxGap)
	}
	if u.NoDataAlert > longestRule {
		return Errorf(EINVALID, ": no_data_alert_min %d: want up to %d, a year", u.NoDataAlert, longestRule)
	}
	for i := range u.Rules {
		if err := u.Rules[i].validate(); err != nil {
			return Errorf(EINVALID, ", rule %d: %s", i+1, ErrorMessage(err))
		}
	}
	for i := range u.Events {
		if err := u.Events[i].validate(); err != nil {
			return Errorf(EINVALID, ", event rule %d: %s", i+1, ErrorMessage(err))
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
	if r.Minutes > longestRule || r.Window > longestRule/60 {
		return Errorf(EINVALID, "minutes %d, window_h %d: want up to a year", r.Minutes, r.Window)
	}
	if r.Beyond.Scale != ScaleCelsius && r.Beyond.Scale != ScaleFahrenheit {
		return Errorf(EINVALID, "no beyond")
	}
	return validAsk(r.Actions, r.Source)
}

func (r *EventRule) validate() error {
	if r.Event != ContextDoorOpen && r.Event != ContextPowerLost {
		return Errorf(EINVALID, "event %q: want door-open or power-lost", r.Event)
	}
	if r.Minutes < 1 || r.Minutes > longestRule {
		return Errorf(EINVALID, "an event rule has minutes, up to a year of them")
	}
	return validAsk(r.Actions, r.Source)
}

func validAsk(actions []Action, source string) error {
	if len(actions) == 0 {
		return Errorf(EINVALID, "no actions")
	}
	for i, a := range actions {
		if a.Rank() == 0 {
			return Errorf(EINVALID, "action %q: want log, warn, alert or hold", a)
		}
		if slices.Contains(actions[:i], a) {
			return Errorf(EINVALID, "action %q is there twice", a)
		}
	}
	if source == "" {
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
		if f.Name() != p.Name+".json" {
			return nil, Errorf(EINTERNAL, "%s holds profile %q: a file is named after its profile", f.Name(), p.Name)
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
