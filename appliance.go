package coldkeep

import "time"

// Unit is the type of an appliance, which picks the rules of a profile.
type Unit string

// The unit types that programmes name.
const (
	Refrigerator Unit = "refrigerator"
	Freezer      Unit = "freezer"
	UltraCold    Unit = "ultra-cold"
)

// ParseUnit reads a unit type; any other word is EINVALID.
func ParseUnit(s string) (Unit, error) {
	switch u := Unit(s); u {
	case Refrigerator, Freezer, UltraCold:
		return u, nil
	}
	return "", Errorf(EINVALID, "unit %q: want refrigerator, freezer or ultra-cold", s)
}

// Site is a clinic's place as the registry knows it.
type Site struct {
	ID       SiteID `json:"id"`
	Name     string `json:"name"`
	VFCPIN   string `json:"vfc_pin,omitempty"` // Vaccines for Children provider number
	TimeZone string `json:"time_zone"`         // IANA name
}

// Appliance is a fridge or freezer that holds vaccine.
type Appliance struct {
	ID        ApplianceID `json:"id"`
	Site      SiteID      `json:"site"`
	Name      string      `json:"name"`
	Unit      Unit        `json:"unit"`
	Profile   string      `json:"profile"` // such as "cdc"
	InService bool        `json:"in_service"`
	Limits    *Limits     `json:"limits,omitempty"` // the site's own range, absent: the profile's
}

// Limits are a site's own range for an appliance. A range inside the profile's
// needs no reason; one that reaches beyond it does, and is recorded with it.
type Limits struct {
	Low    Threshold `json:"low"`
	High   Threshold `json:"high"`
	Reason string    `json:"reason,omitempty"`
}

// Role is what a probe stands for in its appliance.
type Role string

// The roles. A probe without one stands for the vaccine.
const (
	RoleVaccine Role = "vaccine" // buffered, as cold as the vaccine: its excursions alarm and hold
	RoleAir     Role = "air"     // quicker than the vaccine: it only warns
)

// Assignment says that a probe stood in an appliance over a span of time.
type Assignment struct {
	Series
	Appliance ApplianceID `json:"appliance"`
	Role      Role        `json:"role,omitempty"` // "" is RoleVaccine
	From      time.Time   `json:"from"`
	To        *time.Time  `json:"to"` // absent: still there
}

// Context is what people or devices know about a stretch of an appliance's time. It
// is noted beside what the readings say and never erases it; only while a unit is
// out of service, with no vaccine in it, are its readings not judged.
type Context struct {
	ID        string      `json:"id"`
	Appliance ApplianceID `json:"appliance"`
	Kind      ContextKind `json:"kind"`
	From      time.Time   `json:"from"`
	To        *time.Time  `json:"to"` // absent: goes on
	Note      string      `json:"note,omitempty"`
	By        string      `json:"by,omitempty"` // a person's or a device's name
}

// ContextKind is what a Context says.
type ContextKind string

// The kinds of context.
const (
	ContextOutOfService ContextKind = "out-of-service"
	ContextWarmUp       ContextKind = "warm-up" // running to temperature after set-up
	ContextDefrost      ContextKind = "defrost" // planned
	ContextDoorOpen     ContextKind = "door-open"
	ContextTransport    ContextKind = "transport" // the unit or its vaccine is on the road
	ContextPowerLost    ContextKind = "power-lost"
)

// Calibration is what a probe's certificate says.
type Calibration struct {
	Series
	Offset      Temperature      `json:"offset_c"`        // added to what the probe says
	Table       [][2]Temperature `json:"table,omitempty"` // [at, offset]: instead of Offset, interpolated
	Certificate string           `json:"certificate,omitempty"`
	Expires     string           `json:"expires,omitempty"` // ISO date
}

// Covers reports whether at lies in the span [From, To).
func (a *Assignment) Covers(at time.Time) bool {
	return !at.Before(a.From) && (a.To == nil || at.Before(*a.To))
}

// Device is an agent's account on the broker.
type Device struct {
	Site         SiteID  `json:"site"`
	Agent        AgentID `json:"agent"`
	SecretSHA256 string  `json:"secret_sha256"` // hex SHA-256 of its random password
	Revoked      bool    `json:"revoked"`
	// PublicKey is the one by which its seals are to be signed, base64url Ed25519; "": the
	// first that it shows is trusted.
	PublicKey string `json:"public_key,omitempty"`
}

// OnCall says who is told when a site's appliance alarms.
type OnCall struct {
	Site        SiteID   `json:"site"`
	Webhooks    []string `json:"webhooks,omitempty"` // URLs that receive alerts as JSON
	Emails      []string `json:"emails,omitempty"`
	RepeatAfter int      `json:"repeat_after_s"` // seconds until an unanswered alert is told again
}

// Mirror is what the collector needs of the registry's truth, as one revision.
type Mirror struct {
	Revision    int64        `json:"revision"`
	Sites       []Site       `json:"sites"`
	Appliances  []Appliance  `json:"appliances"`
	Assignments []Assignment `json:"assignments"`
	Devices     []Device     `json:"devices"`
	OnCall      []OnCall     `json:"on_call"`

	Contexts     []Context     `json:"contexts,omitempty"`
	Calibrations []Calibration `json:"calibrations,omitempty"`
	LotsOnHold   []LotOnHold   `json:"lots_on_hold,omitempty"` // for devices to show while the network is away
}

// LotOnHold is a lot that waits for a person because of what its appliance went
// through.
type LotOnHold struct {
	Appliance ApplianceID `json:"appliance"`
	Lot       string      `json:"lot"`
	Product   string      `json:"product"`
	Since     time.Time   `json:"since"` // of the hold
}

// Appliance finds an appliance by id.
func (m *Mirror) Appliance(id ApplianceID) (Appliance, bool) {
	for _, a := range m.Appliances {
		if a.ID == id {
			return a, true
		}
	}
	return Appliance{}, false
}

// IntervalLength is the length of an Interval of the temperature log, which
// begins on the quarter hour UTC.
const IntervalLength = 15 * time.Minute

// IntervalStart returns the start of the interval in which a time lies, both in
// ms since 1970-01-01 UTC.
func IntervalStart(at int64) int64 {
	q := IntervalLength.Milliseconds()
	return at - ((at%q)+q)%q
}

// Interval is the temperature log of one probe over a quarter of an hour.
type Interval struct {
	Appliance ApplianceID `json:"appliance"`
	Probe     string      `json:"probe"` // "site/agent/probe"
	From      time.Time   `json:"from"`  // on the quarter hour, UTC
	To        time.Time   `json:"to"`
	Min       Temperature `json:"min"` // null when no reading could be believed
	MinAt     *time.Time  `json:"min_at"`
	Max       Temperature `json:"max"`
	MaxAt     *time.Time  `json:"max_at"`
	Mean      Temperature `json:"mean"`
	Readings  int         `json:"readings"` // believed readings
	GapSec    int         `json:"gap_s"`    // seconds without any record beyond the profile's gap limit
	FaultSec  int         `json:"fault_s"`  // seconds in which the probe reported a fault
	Revision  int         `json:"revision"`
}

// State is how an appliance stands, for people.
type State string

// The states, from best to worst.
const (
	StateOK        State = "ok"
	StateWarning   State = "warning"   // out of range, no rule with an alert has been met
	StateFault     State = "fault"     // the probe reports a fault
	StateNoData    State = "no-data"   // nothing has come for longer than the profile allows
	StateExcursion State = "excursion" // an excursion that calls for action is open
)

// ApplianceStatus is the latest of an appliance.
type ApplianceStatus struct {
	Appliance ApplianceID `json:"appliance"`
	Probe     string      `json:"probe"`
	At        *time.Time  `json:"at"` // latest record
	Celsius   Temperature `json:"celsius"`
	Quality   Quality     `json:"quality,omitempty"`
	State     State       `json:"state"`
	Online    bool        `json:"online"` // the agent's link

	// Foresight warns of an excursion that has not begun.
	Foresight *Foresight `json:"foresight,omitempty"`
}

// Foresight says that an appliance is about to leave its range.
type Foresight struct {
	Cause   string     `json:"cause"` // such as "door-ajar"
	Kind    Kind       `json:"kind"`  // too-warm or too-cold
	SeenAt  time.Time  `json:"seen_at"`
	Reaches *time.Time `json:"reaches"` // when the edge will be met if it goes on so; null: not known
	Words   string     `json:"words"`   // for a person
}
