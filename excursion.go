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
)

// ExcursionState is where an excursion stands.
type ExcursionState string

// The states of an excursion.
const (
	ExcursionOpen      ExcursionState = "open"
	ExcursionClosed    ExcursionState = "closed"
	ExcursionWithdrawn ExcursionState = "withdrawn" // late readings showed that it was none
)

// Excursion is a time an appliance stood out of range, as one probe saw it, in
// one revision. Late readings make a later revision; none is overwritten.
type Excursion struct {
	ID         string         `json:"id"`
	Revision   int            `json:"revision"` // from 1
	Site       SiteID         `json:"site"`
	Appliance  ApplianceID    `json:"appliance"`
	Probe      string         `json:"probe"` // "site/agent/probe"
	Kind       Kind           `json:"kind"`  // too-warm or too-cold
	Rule       RuleType       `json:"rule"`  // the rule that asked for most
	Profile    string         `json:"profile"`
	Start      time.Time      `json:"start"`
	End        *time.Time     `json:"end"` // null while open
	PeakAt     time.Time      `json:"peak_at"`
	Extreme    Temperature    `json:"extreme_c"`
	MinutesOut float64        `json:"minutes_out"`
	Actions    []Action       `json:"actions"`
	State      ExcursionState `json:"state"`
	Reason     string         `json:"reason,omitempty"` // why this revision was made
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
