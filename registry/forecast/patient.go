package forecast

import "github.com/coldkeep/coldkeep/registry/forecast/schedule"

// Date is a calendar day.
type Date = schedule.Date

// None is a date that is not there.
const None = schedule.None

// Patient is who is asked about (CDSi 4.1).
type Patient struct {
	ID           string
	Born         Date
	Gender       schedule.Gender // Female, Male or UnknownGender
	BirthCountry string          // "" when it is not known
	Assessment   Date            // the day the question is asked for
	Observations []Observation
	Doses        []Dose
}

// Observation is a coded fact about the patient. Without a date it holds
// throughout; a date after the assessment date is not yet a fact.
type Observation struct {
	Code string
	Date Date
}

// Dose is a vaccine dose administered.
type Dose struct {
	Date      Date
	CVX       string
	MVX       string
	LotExpiry Date // None, or zero, when it is not known
	// Condition is CDSi's dose condition flag: the dose cannot be trusted, as
	// after a break of the cold chain.
	Condition bool
}
