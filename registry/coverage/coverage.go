// Package coverage says how many of a practice's, or of the jurisdiction's, people have had
// their vaccines: by measures that are data, in two ways of counting beside each other, on any
// day, also a past one. An assessment is a walk over everybody of the ages that are asked for;
// it goes on by itself, and what it has found is kept as counts. Nobody's name is in them.
//
// What counts on a day is what was given by that day and entered by its end, as far as it was
// not deleted by then. What is not dated in the registry is taken as it stands today: the
// county and ZIP code of the address, the birth date, which records are one person's, that a
// dose was spoilt, and who has opted out.
package coverage

import (
	"time"

	"github.com/coldkeep/coldkeep"
)

// Basis is by what a person is a practice's.
type Basis string

// The two denominators of practices (CoCASA's and MIROW's terms). The state's own is by
// standing whichever it is.
const (
	ByOwnership Basis = "ownership" // has the person as an active patient on the day
	ByService   Basis = "service"   // has given the person a dose within two years before it
)

// Ask is what somebody wants to know.
type Ask struct {
	Site     coldkeep.SiteID // one practice; "" the whole programme with all practices, counties and areas
	Measures []string        // ids
	Day      coldkeep.Date   // of the assessment; the zero Date is today
	Basis    Basis           // "" is ByOwnership
	// Ages, or births from Born to BornTo, take the place of each measure's own ages.
	Ages         Ages
	Born, BornTo coldkeep.Date
	Months       int // how many ends of months before Day are assessed as well, 0 to 24
}

// Asked is what an assessment was asked for, as it is kept with it.
type Asked struct {
	Measures []Measure     `json:"measures"` // as they were
	Basis    Basis         `json:"basis"`
	Ages     *Ages         `json:"ages,omitempty"`
	Born     coldkeep.Date `json:"born,omitzero"`
	BornTo   coldkeep.Date `json:"born_to,omitzero"`
	Months   int           `json:"months,omitempty"`
}

// Measure finds one of the assessment's measures; nil when it is none of them.
func (a *Asked) Measure(id string) *Measure {
	for i := range a.Measures {
		if a.Measures[i].ID == id {
			return &a.Measures[i]
		}
	}
	return nil
}

// State is where an assessment stands.
type State string

// The states of an assessment.
const (
	Waiting   State = "waiting"
	Running   State = "running"
	Done      State = "done"
	Cancelled State = "cancelled"
	Failed    State = "failed"
)

// Run is an assessment.
type Run struct {
	ID       string // ULID
	Site     coldkeep.SiteID
	Asked    Asked
	Day      coldkeep.Date
	Cutoff   time.Time // what was entered later does not count
	Zone     string    // in which the day ends
	ByID, By string
	At       time.Time
	State    State
	Tries    int       // how often it was begun: after a restart it begins anew, with the same result
	Beat     time.Time // when whoever works on it was last heard of
	Done     int64     // people looked at
	Total    int64
	Schedule string // the version that doses were judged by
	Began    *time.Time
	Ended    *time.Time
	EndedBy  string // who cancelled it
	Trouble  string // why it failed
}

// Busy reports whether the assessment goes on.
func (r *Run) Busy() bool { return r.State == Waiting || r.State == Running }

// Days are the days that are assessed: the day itself, then the ends of the months before it.
func (r *Run) Days() []coldkeep.Date {
	out := []coldkeep.Date{r.Day}
	year, month, _ := r.Day.Civil()
	for range r.Asked.Months {
		out = append(out, coldkeep.NewDate(year, month, 1)-1)
		if month--; month == 0 {
			year, month = year-1, 12
		}
	}
	return out
}

// moments are the days with the end of what was known on each.
func (r *Run) moments() []moment {
	zone, err := time.LoadLocation(r.Zone)
	if err != nil {
		zone = time.UTC
	}
	days := r.Days()
	out := make([]moment, len(days))
	for i, d := range days {
		out[i] = moment{d, (d + 1).Midnight(zone).Add(-time.Millisecond)}
		if out[i].known.After(r.Cutoff) {
			out[i].known = r.Cutoff
		}
	}
	return out
}

// Dim is by what counts are broken down.
type Dim string

// The breakdowns. Practices overlap: one person may be in several.
const (
	All        Dim = "all"
	ByPractice Dim = "practice"
	ByCounty   Dim = "county"
	ByZIP3     Dim = "zip3" // the first three digits of the ZIP code
)

// Withheld stands for a number that is not told, because it is of so few people.
const Withheld = -1

// Count is the numbers of one measure, or of one part of it, for one practice or area on one
// day. Of a part, near is who lacks one dose of it; missed and visits are of measures alone.
type Count struct {
	Day     coldkeep.Date
	Dim     Dim
	Value   string // a site, county or ZIP3; "" of All, and of an area that is not known
	Measure string
	Part    string // "" the measure as a whole

	People      int64 // assessed
	Valid       int64 // covered with doses that are valid by the schedule
	Counted     int64 // covered by count
	ValidOnly   int64
	CountedOnly int64
	Near        int64 // lack exactly one valid dose: one visit away
	NearCounted int64 // the same by count
	// Missed people are not covered in the valid way, and at a visit of the last two years a
	// dose was due and none of its vaccine group was given. Visits are those of people who
	// are not covered.
	Missed       int64
	Visits       int64
	MissedVisits int64
}

// Rate is a share in percent; ok is false when it is not told or there is nobody.
func Rate(n, of int64) (percent float64, ok bool) {
	if n < 0 || of <= 0 {
		return 0, false
	}
	return 100 * float64(n) / float64(of), true
}

// Benchmark is the programme's rate of the same measure for the same ages.
type Benchmark struct {
	Run            string
	Day            coldkeep.Date
	Valid, Counted float64 // percent
}

// Smallest is the smallest number of people that is told to who may not see patients.
type Smallest struct {
	N   int64
	By  string // "" as it comes
	At  time.Time
	Why string
}

// smallestDefault is the threshold that comes with the program: CMS asks those who use its
// data to tell no cell under 11, and states follow it for counts of people by area.
const smallestDefault = 11

// Kept is a measure that may be chosen.
type Kept struct {
	Measure
	Own     bool // added by an administrator
	By      string
	At      time.Time
	Retired *time.Time // it is not offered any more
}
