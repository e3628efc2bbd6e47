package quality

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// oldest is the age in days beyond which a date is not believed: 120 years.
const oldest = 120 * 365

// childDays is the age in days up to which a person is a child to VFC: 19 years.
const childDays = 19*365 + 5

type key struct {
	site    coldkeep.SiteID
	period  string
	measure Measure
}

// tally counts.
type tally struct {
	codes  *vaccine.Codes
	today  coldkeep.Date
	now    time.Time
	counts map[key]int64
}

// period is the month of an entry, or its year when that is long ago.
func (t *tally) period(at time.Time) string {
	ago := (t.now.Year()-at.Year())*12 + int(t.now.Month()) - int(at.Month())
	if ago < months {
		return at.UTC().Format("2006-01")
	}
	return at.UTC().Format("2006")
}

// counter adds to one site and period.
func (t *tally) counter(site coldkeep.SiteID, at time.Time) func(m Measure, when bool) {
	period := t.period(at)
	return func(m Measure, when bool) {
		if when {
			t.counts[key{site, period, m}]++
		}
	}
}

func (t *tally) patient(p *PatientRow) {
	if p.Locked {
		return
	}
	add := t.counter(p.Site, p.Entered)
	add(Patients, true)
	add(NoPhone, !p.HasPhone)
	add(NoAddress, !p.HasAddress)
	add(NoRace, p.Races == "")
	add(NoEthnicity, p.Ethnicity == "")
	add(UnknownSex, p.Sex == "U" || p.Sex == "")
	add(PossibleTwice, p.PossiblyTwice)
	// A day of grace: it may have been tomorrow already where it was entered.
	entered := coldkeep.DateOf(p.Entered.UTC()) + 1
	add(ImplausibleBirth, p.Birth > entered || p.Birth < t.today-oldest)
	if child := t.today-p.Birth < childDays; child {
		add(Children, true)
		add(NoGuardian, !p.HasGuardian)
		add(NoMother, p.Mother == "")
	}
}

func (t *tally) dose(d *DoseRow) {
	if d.Locked || d.Skip {
		return
	}
	add := t.counter(d.Site, d.Entered)
	add(Doses, true)
	entered := coldkeep.DateOf(d.Entered.UTC())
	add(FutureDose, d.Given > entered+1)
	add(BeforeBirth, d.Birth.Known() && d.Given < d.Birth)
	add(ImplausibleAge, d.Birth.Known() && d.Given-d.Birth > oldest)
	v, known := t.codes.CVX(d.CVX)
	add(UnknownVaccine, !known)
	if !d.Administered {
		return
	}
	add(Given, true)
	days := max(0, entered-d.Given)
	add(WithinDay, days <= 1)
	add(WithinWeek, days <= 7)
	add(WithinMonth, days <= 30)
	t.counts[key{d.Site, t.period(d.Entered), DaysToEntry}] += int64(days)
	add(NoLot, d.Lot == "")
	add(UnknownLot, d.Lot != "" && !d.KnownLot)
	add(ExpiredLot, d.Expires.Known() && d.Given > d.Expires)
	add(NoMaker, d.MVX == "")
	add(NoEligibility, d.Eligibility == "" && d.Given-d.Birth < childDays)
	// A code that has gone out of use since was right on its day.
	add(InactiveVaccine, known && v.Status != vaccine.Active && d.Given > t.today-365)
	add(UnspecifiedCVX, known && strings.Contains(strings.ToLower(v.Name), "unspecified"))
}

// list gives the counts in the order of their keys.
func (t *tally) list() []Count {
	out := make([]Count, 0, len(t.counts))
	for k, n := range t.counts {
		if n > 0 {
			out = append(out, Count{k.site, k.period, k.measure, n})
		}
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Period, b.Period), cmp.Compare(a.Measure, b.Measure))
	})
	return out
}
