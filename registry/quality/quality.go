// Package quality says how good the registry's data are, by who entered them and when:
// how complete records of patients are, how soon after they were given doses were entered,
// and which doses cannot be right. It holds counts only. They are made by a walk over the
// whole registry that goes on beside everything else, and the report says when that was.
package quality

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// Measure is what is counted.
type Measure string

// The measures of records of patients, by the practice and the month in which the record
// was entered. Locked records are in none of them (77 Ill. Adm. Code 689.80).
const (
	Patients         Measure = "patients"
	NoPhone          Measure = "patients.no-phone"
	NoAddress        Measure = "patients.no-address"
	NoRace           Measure = "patients.no-race"
	NoEthnicity      Measure = "patients.no-ethnicity"
	UnknownSex       Measure = "patients.unknown-sex"
	Children         Measure = "children" // under 19
	NoGuardian       Measure = "children.no-guardian"
	NoMother         Measure = "children.no-mother"
	ImplausibleBirth Measure = "patients.implausible-birth" // in the future when it was entered, or more than 120 years ago
	PossibleTwice    Measure = "patients.possible-duplicate"
)

// The measures of doses, by the practice and the month in which they were entered.
const (
	Doses           Measure = "doses"
	Given           Measure = "given" // by the practice that entered them
	WithinDay       Measure = "given.within-1-day"
	WithinWeek      Measure = "given.within-7-days"
	WithinMonth     Measure = "given.within-30-days"
	DaysToEntry     Measure = "given.days-to-entry" // the sum over all that were given
	NoLot           Measure = "given.no-lot"
	UnknownLot      Measure = "given.unknown-lot" // not one that the practice has had in stock here
	ExpiredLot      Measure = "given.expired-lot"
	NoMaker         Measure = "given.no-manufacturer"
	NoEligibility   Measure = "given.no-eligibility" // to a child under 19
	FutureDose      Measure = "doses.future"         // given after they were entered
	BeforeBirth     Measure = "doses.before-birth"
	ImplausibleAge  Measure = "doses.implausible-age" // given at more than 120 years
	UnknownVaccine  Measure = "doses.unknown-cvx"
	InactiveVaccine Measure = "given.inactive-cvx" // given by the practice, with a code that is not of a vaccine in use
	UnspecifiedCVX  Measure = "given.unspecified"  // given by the practice, with a code for "formulation not known"
)

// Line is a measure as the report shows it.
type Line struct {
	Measure Measure
	Of      Measure // what it is a share of
	Good    bool    // a high share is good
	Section string  // "Completeness", "Timeliness" or "Validity"
	Title   string
}

// Lines are those of the report, in its order.
var Lines = []Line{
	{NoPhone, Patients, false, "Completeness", "No telephone number"},
	{NoAddress, Patients, false, "Completeness", "No address"},
	{NoRace, Patients, false, "Completeness", "No race"},
	{NoEthnicity, Patients, false, "Completeness", "No ethnicity"},
	{UnknownSex, Patients, false, "Completeness", "Sex not known"},
	{NoGuardian, Children, false, "Completeness", "Child without a guardian"},
	{NoMother, Children, false, "Completeness", "Child without the mother's maiden name"},
	{NoLot, Given, false, "Completeness", "Dose given, no lot"},
	{NoMaker, Given, false, "Completeness", "Dose given, no manufacturer"},
	{NoEligibility, Given, false, "Completeness", "Dose given to a child, no eligibility"},
	{WithinDay, Given, true, "Timeliness", "Entered on the day or the next"},
	{WithinWeek, Given, true, "Timeliness", "Entered within 7 days"},
	{WithinMonth, Given, true, "Timeliness", "Entered within 30 days"},
	{FutureDose, Doses, false, "Validity", "Dose dated after its entry"},
	{BeforeBirth, Doses, false, "Validity", "Dose before the birth date"},
	{ImplausibleAge, Doses, false, "Validity", "Dose at more than 120 years of age"},
	{UnknownVaccine, Doses, false, "Validity", "Vaccine code unknown"},
	{InactiveVaccine, Given, false, "Validity", "Dose given recently, vaccine code no longer in use"},
	{UnspecifiedCVX, Given, false, "Validity", "Dose given, vaccine code “unspecified formulation”"},
	{UnknownLot, Given, false, "Validity", "Lot never in the practice's stock here"},
	{ExpiredLot, Given, false, "Validity", "Lot had expired"},
	{ImplausibleBirth, Patients, false, "Validity", "Birth date in the future or over 120 years ago"},
	{PossibleTwice, Patients, false, "Validity", "Possibly a duplicate, not decided yet"},
}

// Counts are numbers by measure.
type Counts map[Measure]int64

// Count is one number as it is kept.
type Count struct {
	Site    coldkeep.SiteID // who entered the data; "" the state
	Period  string          // "2026-03", or "2021" for what is older than the months that are told apart
	Measure Measure
	N       int64
}

// Walk is when the counts were made, and over how much.
type Walk struct {
	Began, Ended    time.Time
	Patients, Doses int64
}

// Row is one practice's, or one period's, counts.
type Row struct {
	Site   coldkeep.SiteID
	Period string // "" all together
	Counts Counts
}

// Report is what may be read of the counts.
type Report struct {
	Walk     *Walk // absent: nothing has been counted yet
	Site     coldkeep.SiteID
	Total    Counts
	ByPeriod []Row // the latest first
	BySite   []Row // by the number of doses; of the site alone for who belongs to one
}

// Share is a measure's share in percent of what it is of; ok is false when there is none.
func (c Counts) Share(l Line) (percent float64, ok bool) {
	of := c[l.Of]
	if of == 0 {
		return 0, false
	}
	return 100 * float64(c[l.Measure]) / float64(of), true
}

// MeanDays is the mean number of days from a dose to its entry.
func (c Counts) MeanDays() (days float64, ok bool) {
	if c[Given] == 0 {
		return 0, false
	}
	return float64(c[DaysToEntry]) / float64(c[Given]), true
}

// PatientRow is what is looked at of a record.
type PatientRow struct {
	ID                                                       string
	Site                                                     coldkeep.SiteID
	Entered                                                  time.Time
	Birth                                                    coldkeep.Date
	Sex, Races, Ethnicity, Mother                            string
	HasPhone, HasAddress, HasGuardian, Locked, PossiblyTwice bool
}

// DoseRow is what is looked at of a dose.
type DoseRow struct {
	ID                                   string
	Site                                 coldkeep.SiteID
	Entered                              time.Time
	Birth, Given, Expires                coldkeep.Date
	CVX, MVX, Lot, Eligibility           string
	Administered, KnownLot, Locked, Skip bool // Skip: refused, deleted, or told of by another record
}

// Reader reads counts, and the registry in steps.
type Reader interface {
	QualityCounts(ctx context.Context, site coldkeep.SiteID) ([]Count, error) // of one site; "" of all
	QualityWalk(ctx context.Context) (*Walk, error)                           // nil when there was none
	// PatientsAfter and DosesAfter give up to limit rows behind an id, in the order of ids.
	PatientsAfter(ctx context.Context, id string, limit int) ([]PatientRow, error)
	DosesAfter(ctx context.Context, id string, limit int) ([]DoseRow, error)
}

// Tx is a transaction on it.
type Tx interface {
	Reader
	audit.Writer
	// ReplaceQuality puts the counts of a walk in the place of the last ones.
	ReplaceQuality(ctx context.Context, w Walk, counts []Count) error
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}
