package coldkeep

import "time"

// Kind is the direction of an excursion, or one of the two findings that are not
// temperatures.
type Kind string

// The kinds of finding.
const (
	TooWarm     Kind = "too-warm"
	TooCold     Kind = "too-cold"
	SensorFault Kind = "sensor-fault"
	NoData      Kind = "no-data"

	// DoorOpen and PowerLost are what a device reports beside temperatures, for longer
	// than the profile lets pass. Like silence they have no rule, extreme and minutes.
	DoorOpen  Kind = "door-open"
	PowerLost Kind = "power-lost"

	// DeviceFault is a device that sends what cannot be read or not be trusted. It
	// belongs to no appliance.
	DeviceFault Kind = "device-fault"
)

// ExcursionState is where an excursion stands.
type ExcursionState string

// The states of an excursion.
const (
	ExcursionOpen      ExcursionState = "open"
	ExcursionClosed    ExcursionState = "closed"
	ExcursionWithdrawn ExcursionState = "withdrawn" // late readings showed that it was none
)

// Excursion is a time in which an appliance stood out of range, or in which nobody
// can say how it stood: no-data and sensor-fault are told the same way, with no
// rule, extreme and minutes, once they last as long as the profile allows. It is
// one revision: late readings make a later one; none is overwritten.
type Excursion struct {
	ID         string         `json:"id"`
	Revision   int            `json:"revision"` // from 1
	Site       SiteID         `json:"site"`
	Appliance  ApplianceID    `json:"appliance"`
	Probe      string         `json:"probe"` // "site/agent/probe" of the one that went furthest
	Kind       Kind           `json:"kind"`
	Role       Role           `json:"role,omitempty"` // of the probes that saw it; an air probe's only warns
	Rule       RuleType       `json:"rule"`           // the rule that asked for most
	Profile    string         `json:"profile"`
	Start      time.Time      `json:"start"`
	End        *time.Time     `json:"end"` // null while open
	PeakAt     time.Time      `json:"peak_at"`
	Extreme    Temperature    `json:"extreme_c"`
	MinutesOut float64        `json:"minutes_out"`
	Actions    []Action       `json:"actions"`
	State      ExcursionState `json:"state"`
	Reason     string         `json:"reason,omitempty"` // why this revision was made

	// DegreeMinutes is the area between the trace and the edge of the range, in °C·min.
	DegreeMinutes float64 `json:"degree_minutes,omitempty"`
	// MKT is the mean kinetic temperature from start to end (USP <1160>), for too-warm
	// only and for information: nothing is decided by it, and freezing is never averaged.
	MKT *Temperature `json:"mkt_c,omitempty"`
	// Witnesses are the probes that stood in the appliance meanwhile.
	Witnesses []Witness `json:"witnesses,omitempty"`
	// Contexts are the kinds of context that it touches.
	Contexts []ContextKind `json:"contexts,omitempty"`
}

// Witness is what one probe saw of an excursion.
type Witness struct {
	Probe   string      `json:"probe"` // "site/agent/probe"
	Role    Role        `json:"role"`
	Out     bool        `json:"out"`       // it was out of range itself
	Extreme Temperature `json:"extreme_c"` // its warmest or coldest; null when it gave nothing
}

// Verdict is what one profile says of the time of an excursion.
type Verdict struct {
	Profile    string      `json:"profile"` // name@version
	Excursions []Excursion `json:"excursions"`
}

// Has reports whether the excursion calls for action a.
func (x *Excursion) Has(a Action) bool {
	for _, b := range x.Actions {
		if a == b {
			return true
		}
	}
	return false
}

// HoldRequest asks the registry to hold all that stood in an appliance.
type HoldRequest struct {
	ID        string      `json:"id"`
	Excursion string      `json:"excursion"`
	Appliance ApplianceID `json:"appliance"`
	Since     time.Time   `json:"since"`
	Reason    string      `json:"reason"`
}

// Hold is the registry's answer: the lots it found and holds. A hold is on a lot
// in a place, never on the lot number everywhere.
type Hold struct {
	ID   string    `json:"hold"`
	Lots []HeldLot `json:"lots"`
}

// HeldLot is one lot that stood in the unit at any time since the hold's start.
type HeldLot struct {
	Lot         string      `json:"lot"`
	Product     string      `json:"product"`
	NDC         string      `json:"ndc"`
	Site        SiteID      `json:"site"`
	Appliance   ApplianceID `json:"appliance"`
	DosesOnHand int         `json:"doses_on_hand"`
	InUnit      []Span      `json:"in_unit"`
	MovedTo     ApplianceID `json:"moved_to,omitempty"` // where it stands now, if elsewhere
}

// Span is a time from From until To; an absent To is still going on.
type Span struct {
	From time.Time  `json:"from"`
	To   *time.Time `json:"to"`
}

// HoldProposal is the collector's word on a hold after a revision of the
// excursion. A person in the registry decides.
type HoldProposal struct {
	Action string     `json:"action"` // "extend" or "release"
	Since  *time.Time `json:"since,omitempty"`
	Reason string     `json:"reason"`
}
