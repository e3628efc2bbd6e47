package forecast

import "github.com/coldkeep/coldkeep/registry/forecast/schedule"

// Date is a calendar day.
type Date = schedule.Date

// None is a date that is not there.
const None = schedule.None

// The genders a series may ask for. UnknownGender is any other, and one that is
// not known.
const (
	Female        = schedule.Female
	Male          = schedule.Male
	UnknownGender = schedule.UnknownGender
)

// GenderOf reads the letter a record has: F, M, and anything else for unknown.
func GenderOf(letter string) schedule.Gender {
	switch letter {
	case "F", "f":
		return Female
	case "M", "m":
		return Male
	}
	return UnknownGender
}

// Patient is who is asked about (CDSi 4.1).
type Patient struct {
	ID           string
	Born         Date
	Gender       schedule.Gender // Female, Male or UnknownGender; 0 is unknown
	BirthCountry string          // "" when it is not known
	Assessment   Date            // the day the question is asked for
	Observations []Observation
	Doses        []Dose
}

// Observation is a coded fact about the patient: a condition, evidence of
// immunity, a contraindication or an adverse reaction, all by CDSi's observation
// codes (Catalogue lists them, Schedule.Coded finds them from SNOMED and others).
// Without a date it holds throughout; a date after the assessment date is not yet
// a fact. One that has ended is left out by who builds the Patient.
type Observation struct {
	Code     string
	Date     Date
	Presence Presence // Present when nothing is said
}

// Presence says what is known of an observation.
type Presence uint8

// An unknown observation is not applied, and Result.Undetermined says what hangs
// on it (Table 5-4, Table 7-5). An absent one was asked about and ruled out.
const (
	Present Presence = iota
	Unknown
	Absent
)

// Dose is a vaccine dose administered. One dated after the assessment date is not
// yet given: it has no evaluation.
type Dose struct {
	Date      Date
	CVX       string
	MVX       string
	LotExpiry Date // None, or zero, when it is not known
	// Condition is CDSi's dose condition flag: the dose cannot be trusted, as
	// after a break of the cold chain.
	Condition bool
}
