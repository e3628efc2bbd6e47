package excursion

import (
	"cmp"
	"slices"

	"github.com/coldkeep/coldkeep"
)

// Finding is something that the engine says of an appliance's record: an excursion,
// a sensor fault or a gap. Times are ms since 1970-01-01 UTC.
type Finding struct {
	Kind coldkeep.Kind
	Role coldkeep.Role // the voice that says so: RoleVaccine or RoleAir

	// Probe is the one that went furthest, or is faulty, or silent. A gap of all
	// vaccine probes is that of the appliance, -1, unless only one stands in it.
	Probe int

	Start int64 // first reading out of range; first record of a fault; last record, or begin of the stay, before a gap
	End   int64 // first reading back in range of the stretch that closed it; end of the stay or service; 0 while open
	Ended Ended // why it ended

	Actions []coldkeep.Action

	// Of an excursion only.
	Rule    coldkeep.RuleType // the rule that asked for most; of equals, the profile's first
	PeakAt  int64             // when the extreme was first reached
	Extreme coldkeep.Temperature
	OutMS   int64 // time out of range, without gaps
	// AreaMS is the area between the trace and the edge of the range, in thousandths of
	// °C times ms. An edge in °F counts as the thousandth of °C at or below it.
	AreaMS int64
	// MKT is the mean kinetic temperature over the believed readings from Start to End,
	// each weighted by the time until the next one. Of too-warm only, NoTemperature
	// else and when no time has passed. For information: nothing is decided by it.
	MKT       coldkeep.Temperature
	Witnesses []Witness // of the probes that stood in the appliance meanwhile, by index
	FromStart bool      // its probe had no reading in range since its stay or the service began: warm-up

	Reason coldkeep.Quality // of a sensor fault: its first code
}

// Ended says why a finding ended.
type Ended string

// The ends of a finding.
const (
	EndedBack         Ended = ""               // back in range, back to values, back to records; or it goes on
	EndedLeft         Ended = "left"           // the probe, or the last one of its role, left the appliance
	EndedOutOfService Ended = "out-of-service" // the appliance was put out of service
)

// Witness is what one probe saw of an excursion until it was closed.
type Witness struct {
	Probe   int                  `json:"probe"`
	Role    coldkeep.Role        `json:"role"`
	Out     bool                 `json:"out,omitempty"` // it was out of range itself
	Extreme coldkeep.Temperature `json:"extreme"`       // in the excursion's direction; null when it gave nothing
}

// Minutes out of range.
func (f *Finding) Minutes() float64 { return float64(f.OutMS) / 60_000 }

// DegreeMinutes is the area beyond the edge of the range in °C·min.
func (f *Finding) DegreeMinutes() float64 { return float64(f.AreaMS) / 60_000_000 }

// Excursion reports whether the finding is of a temperature.
func (f *Finding) Excursion() bool { return f.Kind == coldkeep.TooWarm || f.Kind == coldkeep.TooCold }

// compareFindings is the order in which Judge returns them.
func compareFindings(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Kind, b.Kind), -cmp.Compare(a.Role, b.Role), cmp.Compare(a.Probe, b.Probe), cmp.Compare(a.End, b.End))
}

func compareWitnesses(a, b Witness) int {
	return cmp.Or(cmp.Compare(a.Probe, b.Probe), -cmp.Compare(a.Role, b.Role))
}

// Judge judges a whole record, which it sorts, up to now (ms, or the last sample's
// time if that is later), and returns all findings by start and kind; those that go
// on have End 0.
func Judge(r *Rules, h *History, samples []Sample, now int64) []Finding {
	slices.SortStableFunc(samples, Compare)
	var s State
	var out []Finding
	for _, in := range samples {
		s.Step(r, h, in, func(f Finding) { out = append(out, f) })
	}
	out = append(out, s.Open(r, h, max(now, s.At))...)
	slices.SortStableFunc(out, compareFindings)
	return out
}

// Verdict is what one profile says of a record.
type Verdict struct {
	Profile  string // name@version
	Findings []Finding
}

// UnderAll judges a record, which it sorts, by every built-in profile that covers
// the unit, in alphabetical order of their names. It returns EINVALID for a unit
// that none covers.
func UnderAll(h *History, unit coldkeep.Unit, samples []Sample, now int64) ([]Verdict, error) {
	slices.SortStableFunc(samples, Compare)
	var out []Verdict
	for _, name := range coldkeep.ProfileNames() {
		p, err := coldkeep.FindProfile(name)
		if err != nil {
			return nil, err
		}
		if _, ok := p.Units[unit]; !ok {
			continue
		}
		r, err := Compile(p, unit, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, Verdict{r.Profile(), Judge(r, h, samples, now)})
	}
	if out == nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "no profile has rules for unit %q", unit)
	}
	return out, nil
}
