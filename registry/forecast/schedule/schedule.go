// Package schedule holds an immunization schedule compiled for the forecast
// engine: every code an index, every age and interval a parsed period, every
// set of vaccines a bit set. A Schedule never changes after Compile, so any
// number of goroutines may read one.
package schedule

// Schedule is one compiled release.
type Schedule struct {
	Version  string // such as "4.64"
	Released Date   // None when it is not known

	Antigens     []Antigen
	Groups       []Group
	Vaccines     []Vaccine // by CVX index
	Observations []Observation
	Periods      []Period // by PeriodID; 0 is the empty one
	SeriesCount  int

	cvx map[string]CVX
	obs map[string]Obs
	// coded finds the observations of a code of another system.
	coded map[codedValue][]Obs
	// byNumber finds the CVX code of a small number without hashing.
	byNumber [1000]CVX
	obsByNum [1000]Obs
}

// The indexes of a Schedule's tables. NoCVX and NoObs are "none".
type (
	// CVX is a vaccine type.
	CVX int16
	// Obs is an observation.
	Obs int16
	// PeriodID is a period of the table; 0 is an empty field.
	PeriodID int16
)

// NoCVX and NoObs are the indexes of what is not in the schedule.
const (
	NoCVX CVX = -1
	NoObs Obs = -1
)

// Set is a bit set of vaccine types.
type Set []uint64

// Has reports whether c is in the set.
func (s Set) Has(c CVX) bool {
	return c >= 0 && int(c>>6) < len(s) && s[c>>6]&(1<<(uint(c)&63)) != 0
}

func (s Set) add(c CVX) { s[c>>6] |= 1 << (uint(c) & 63) }

// Empty reports whether the set has no member.
func (s Set) Empty() bool {
	for _, w := range s {
		if w != 0 {
			return false
		}
	}
	return true
}

// Vaccine is a CVX code.
type Vaccine struct {
	Code         string
	Name         string
	Associations []Association
	// Conflicts are the pairs in which this vaccine is the impacted (current) one.
	Conflicts []Conflict
	// Impacted is the previous vaccines of Conflicts.
	Impacted Set
}

// Association is an antigen of a vaccine within an age window.
type Association struct {
	Antigen    int
	Begin, End PeriodID
}

// Conflict is a pair of CDSi's live virus conflicts, seen from the impacted vaccine.
type Conflict struct {
	Previous           CVX
	Begin, MinEnd, End *Period
}

// Observation is a coded fact about a patient.
type Observation struct {
	Code, Title string
}

// Group is a vaccine group.
type Group struct {
	Name     string
	Antigens []int
	Full     bool // administer full vaccine group (FORECASTDN-2)
}

// Multiple reports whether the group has more than one antigen (VACCINEGROUP-2).
func (g *Group) Multiple() bool { return len(g.Antigens) > 1 }

// Antigen is one antigen and the ways to be protected.
type Antigen struct {
	Index                    int
	Name                     string
	Immune                   []Obs
	BornBefore               []BornBefore
	Contraindications        []Contraindication
	VaccineContraindications []VaccineContraindication
	// Series are in the order they must be evaluated: a series that asks whether
	// another group is complete (Table 6-7) comes after that group.
	Series []*Series
	// Common are those of Series that need no indication, in the same order: all
	// there is for a patient without observations.
	Common []*Series
	// Fresh are those of Common that can come into question for a patient without a
	// dose of the antigen, by gender. Where a group has a default series, the other
	// standard ones need a valid dose (SELECTSCORE-2), and one that is only evaluated
	// has to be complete.
	Fresh        [AnyGender + 1][]*Series
	SeriesGroups []SeriesGroup
}

// SeriesGroup is a set of series of which one is chosen.
type SeriesGroup struct {
	Number string
	Name   string
	Series []*Series
	Common []*Series // those that need no indication
}

// BornBefore is immunity by date of birth (Table 7-3).
type BornBefore struct {
	Before  Date
	Country string
	Not     []Obs
}

// Contraindication is an antigen contraindication (Table 7-5).
type Contraindication struct {
	Observation Obs
	Begin, End  PeriodID
}

// VaccineContraindication is a vaccine contraindication (Table 7-6).
type VaccineContraindication struct {
	Observation Obs
	Vaccines    []VaccineByAge
}

// VaccineByAge is a vaccine type within an age window.
type VaccineByAge struct {
	CVX        CVX
	Begin, End PeriodID
}

// SeriesType is CDSi's series type.
type SeriesType uint8

// The series types.
const (
	Standard SeriesType = iota
	Risk
	EvaluationOnly
)

// Gender is a set of genders.
type Gender uint8

// The genders a series may require.
const (
	Female Gender = 1 << iota
	Male
	UnknownGender
	AnyGender = Female | Male | UnknownGender
)

// NoPreference is the rank of a series whose preference is empty.
const NoPreference = 1 << 20

// Series is one antigen series.
type Series struct {
	Index       int // unique in the schedule
	Name        string
	Antigen     *Antigen
	Group       int // vaccine group
	Type        SeriesType
	ForRisk     bool // of a series group for those at risk
	Genders     Gender
	Default     bool
	ProductPath bool
	SeriesGroup int // index in Antigen.SeriesGroups
	Equivalent  []string
	Priority    byte // 'A' is the highest
	Preference  int
	MinAge      PeriodID // minimum age to start
	MaxAge      PeriodID // maximum age to start
	Shared      bool     // shared clinical decision-making
	Indications []Indication
	Doses       []Dose
}

// Indication is a reason to follow a risk series.
type Indication struct {
	Observation Obs
	Begin, End  PeriodID
}

// Dose is one target dose.
type Dose struct {
	Number       int
	Ages         []Age
	Intervals    []Interval
	Allowable    []Interval
	Preferable   []PreferableVaccine
	AllowedTypes []VaccineByAge
	Inadvertent  Set
	Skips        []Skip
	Recurring    bool
	Seasonal     bool
	SeasonStart  Date // None when empty
	SeasonEnd    Date // None when empty
	// Impacted is the union of the conflicting (previous) vaccines of the
	// preferable vaccines, so that a forecast asks only when it has to; nil when
	// there is none.
	Impacted Set
}

// Window is the span in which an age, interval or skip is in force, both ends
// included (RELEVANT-1, RELEVANT-2).
type Window struct{ Effective, Cessation Date }

// Holds reports whether the anchor date is in the window.
func (w Window) Holds(anchor Date) bool { return w.Effective <= anchor && anchor <= w.Cessation }

// Age is one instance of the ages of a target dose.
type Age struct {
	Window
	AbsMin, Min, EarliestRec, LatestRec, Max PeriodID
}

// Anchor says what an interval is counted from.
type Anchor uint8

// The anchors, each with the rule that finds its date.
const (
	FromPrevious    Anchor = iota // CALCDTINT-1
	FromTarget                    // CALCDTINT-2
	FromMostRecent                // CALCDTINT-8
	FromObservation               // CALCDTINT-9
)

// Interval is one instance of a preferable or allowable interval.
type Interval struct {
	Window
	From        Anchor
	Target      int // for FromTarget
	Vaccines    Set // for FromMostRecent
	Observation Obs // for FromObservation
	Priority    bool

	AbsMin, Min, EarliestRec, LatestRec *Period // nil when empty
}

// PreferableVaccine is a vaccine a target dose prefers.
type PreferableVaccine struct {
	CVX        CVX
	Begin, End PeriodID
	Trade      string
	MVX        string
	Forecast   bool // forecastVaccineType Y
}

// Context says where a skip applies.
type Context uint8

// The contexts of a skip.
const (
	InEvaluation Context = 1 << iota
	InForecast
	InBoth = InEvaluation | InForecast
)

// Skip says when a target dose is not needed (Table 6-11).
type Skip struct {
	Context Context
	All     bool // every set must be met, not any
	Sets    []SkipSet
}

// SkipSet is a set of conditions (Table 6-10).
type SkipSet struct {
	Window
	All        bool // every condition must be met, not any
	Conditions []Condition
}

// ConditionType is the type of a skip condition.
type ConditionType uint8

// The condition types, each with its decision table.
const (
	ByAge       ConditionType = iota // Table 6-6
	ByCompleted                      // Table 6-7
	ByInterval                       // Table 6-8
	ByCount                          // Table 6-9, by age, by date or by both
)

// Compare says how a dose count is compared.
type Compare uint8

// The comparisons of Table 6-9.
const (
	MoreThan Compare = iota
	EqualTo
	LessThan
)

// Condition is one condition of a skip.
type Condition struct {
	Type       ConditionType
	Start, End Date     // ByCount; None when empty
	Begin      PeriodID // ByAge, ByCount
	EndAge     PeriodID
	Interval   *Period // ByInterval
	Count      int
	Compare    Compare
	Valid      bool  // count valid doses only
	Vaccines   Set   // nil counts every vaccine
	Groups     []int // ByCompleted: indexes in Antigen.SeriesGroups
}

// CVX finds a vaccine type by its code; a leading zero does not matter.
func (s *Schedule) CVX(code string) (CVX, bool) {
	if n := digits(code); n >= 0 && n < len(s.byNumber) && code != "" {
		c := s.byNumber[n]
		return c, c != NoCVX
	}
	c, ok := s.cvx[code]
	if !ok {
		c = NoCVX
	}
	return c, ok
}

// Observation finds an observation by its code; leading zeros do not matter.
func (s *Schedule) Observation(code string) (Obs, bool) {
	if n := digits(code); n >= 0 && n < len(s.obsByNum) && code != "" {
		o := s.obsByNum[n]
		return o, o != NoObs
	}
	o, ok := s.obs[code]
	if !ok {
		o = NoObs
	}
	return o, ok
}

type codedValue struct{ system, code string }

// Coded gives the observation codes that a code of another system stands for; a
// code may stand for several. The systems are those the release names, such as
// SNOMED, CVX and CDCPHINVS.
func (s *Schedule) Coded(system, code string) []string {
	var out []string
	for _, o := range s.coded[codedValue{fold(system), code}] {
		out = append(out, s.Observations[o].Code)
	}
	return out
}

// Season is the window of a seasonal recommendation.
type Season struct {
	Group      string
	Series     string
	Start, End Date
}

// EndedSeasons lists the seasonal series whose window has ended before a day:
// they stop recommending until a newer release is loaded.
func (s *Schedule) EndedSeasons(at Date) []Season {
	var out []Season
	for i := range s.Antigens {
		for _, ser := range s.Antigens[i].Series {
			last := Season{Group: s.Groups[ser.Group].Name, Series: ser.Name, End: None}
			for _, d := range ser.Doses {
				if d.SeasonEnd > last.End {
					last.Start, last.End = d.SeasonStart, d.SeasonEnd
				}
			}
			if last.End != None && last.End < at {
				out = append(out, last)
			}
		}
	}
	return out
}
