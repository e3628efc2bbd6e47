package forecast

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// EvalStatus is the evaluation status of a dose against a series (Table 6-31 and
// section 4.4).
type EvalStatus uint8

// The evaluation statuses. Unevaluated is a dose no series looked at.
const (
	Unevaluated EvalStatus = iota
	Valid
	NotValid
	Extraneous
	SubStandard
)

var evalNames = [...]string{"", "Valid", "Not Valid", "Extraneous", "Sub-standard"}

// String gives CDSi's name of the status.
func (s EvalStatus) String() string { return evalNames[s] }

// Status is the status of a patient series or a vaccine group (Table 7-10,
// Table 9-4).
type Status uint8

// The statuses.
const (
	NotComplete Status = iota
	Complete
	Immune
	Contraindicated
	AgedOut
	NotRecommended
)

var statusNames = [...]string{"Not Complete", "Complete", "Immune", "Contraindicated", "Aged Out", "Not Recommended"}

// String gives CDSi's name of the status.
func (s Status) String() string { return statusNames[s] }

// Reason is why a dose or a forecast has its status: a set of the reasons below,
// since a dose may be both too early for the age and too soon after the last.
type Reason uint32

// The reasons, in the order of the steps that give them.
const (
	LotExpired Reason = 1 << iota
	ConditionFlag
	Inadvertent
	TooYoung
	TooOld
	TooSoon
	LiveVirusConflict
	WrongVaccine
	SeriesComplete
	GraceAge
	GraceInterval
	DoneComplete
	DonePast
	HasImmunity
	HasContraindication
	SeasonOver
	OverMaxAge
	CannotFinish
	SharedDecision
	DateNeeded

	NoReason Reason = 0
)

// reasonNames are CDSi's words where it has some, in the order of the bits.
var reasonNames = [...]string{
	"Lot expired before the dose was given",
	"Dose condition: the dose cannot be trusted",
	"Inadvertent Vaccine",
	"Age: Too Young",
	"Age: Too Old",
	"Interval: Too Soon",
	"Live Virus Conflict",
	"Not a preferable or allowable vaccine",
	"Series Already Complete",
	"Age: Grace Period",
	"Interval: Grace Period",
	"Patient series is complete",
	"Not recommended at this time due to past immunization history",
	"Patient has evidence of immunity",
	"Patient has a contraindication",
	"Past seasonal recommendation end date",
	"Patient has exceeded the maximum age",
	"Patient is unable to finish the series prior to the maximum age",
	"Shared clinical decision-making",
	"The dates depend on the date of an observation that is not recorded",
}

// String gives the reasons, joined by "; ".
func (r Reason) String() string {
	if r == 0 {
		return ""
	}
	if r&(r-1) == 0 {
		return reasonNames[bits.TrailingZeros32(uint32(r))]
	}
	var all []string
	for ; r != 0; r &= r - 1 {
		all = append(all, reasonNames[bits.TrailingZeros32(uint32(r))])
	}
	return strings.Join(all, "; ")
}

// Result is the answer for one patient.
type Result struct {
	ID        string
	Doses     []DoseResult // in the order they were given in
	Forecasts []Forecast   // in the order of the schedule's vaccine groups
	// Undetermined names what a risk could not be decided by.
	Undetermined []Undetermined
	// Upcoming names risk series that begin to apply at a later age.
	Upcoming []Upcoming
	// Unasked is filled when explained: the observations nobody has recorded, by
	// which a risk series of the vaccine group would be followed.
	Unasked []Unasked
}

// reset empties a result and keeps its storage.
func (res *Result) reset(p *Patient) {
	res.ID, res.Forecasts = p.ID, res.Forecasts[:0]
	res.Undetermined, res.Upcoming, res.Unasked = res.Undetermined[:0], res.Upcoming[:0], res.Unasked[:0]
	res.Doses = slices.Grow(res.Doses[:0], len(p.Doses))[:len(p.Doses)]
	for i := range p.Doses {
		d := &res.Doses[i]
		d.Date, d.CVX, d.Evaluations = p.Doses[i].Date, p.Doses[i].CVX, d.Evaluations[:0]
		d.Words = nil
	}
}

// add appends an empty forecast and keeps the storage of one that was there.
func (res *Result) add() *Forecast {
	n := len(res.Forecasts)
	res.Forecasts = slices.Grow(res.Forecasts, 1)[:n+1]
	f := &res.Forecasts[n]
	*f = Forecast{
		Earliest: None, Recommended: None, PastDue: None, Latest: None,
		CVX: f.CVX[:0], Series: f.Series[:0], Antigens: f.Antigens[:0],
	}
	return f
}

// DoseResult is what became of one dose.
type DoseResult struct {
	Date        Date
	CVX         string
	Evaluations []Evaluation
	Words       []string // when explained: what became of the dose, a sentence a vaccine group
}

// Evaluation is the status of a dose for one antigen, by the best series of it.
type Evaluation struct {
	Group     string
	Antigen   string
	Risk      bool // by a risk series
	Series    string
	Target    int // the target dose of the series it was evaluated against; 0 for none
	Number    int // which of the doses that count it is; 0 when it does not
	Status    EvalStatus
	Reason    Reason
	Words     string     // when explained: the evaluation in one sentence
	Decisions []Decision // when explained
}

// Forecast is the next dose of a vaccine group. A group has two when a standard
// and a risk series both apply, and another when a risk series begins to apply
// within a year (Begins).
type Forecast struct {
	Group    string
	Risk     bool
	Begins   Date // the day a risk series to come begins to apply; None for one of today
	Status   Status
	Number   int // of the dose due; 0 when none is
	Earliest Date
	// Recommended and PastDue are the adjusted dates (FORECASTVG-2, -3).
	Recommended Date
	PastDue     Date
	Latest      Date
	CVX         []string // recommended vaccine types
	Reason      Reason
	Shared      bool     // a matter of shared clinical decision-making
	Series      []string // the best series behind it
	Antigens    []string // recommended antigens (FORECASTVG-8)
	Words       []string // when explained: the forecast in a few sentences
	Decisions   []Decision
}

// Upcoming is a risk series whose indication the patient has and whose age window
// begins within a year (Table 5-4).
type Upcoming struct {
	Group       string
	Observation string
	From        Date
}

// Undetermined is a risk or a contraindication that was neither confirmed nor
// ruled out: the observation is recorded as unknown, or its code is not one of
// this schedule's.
type Undetermined struct {
	Code   string
	Title  string   // "" of a code the schedule does not know
	Groups []string // vaccine groups whose forecast it may change
	Says   string
}

// Unasked is what a vaccine group has risk series for at the patient's age and
// gender, and nothing is recorded of.
type Unasked struct {
	Group        string
	Observations []schedule.Observation
}
