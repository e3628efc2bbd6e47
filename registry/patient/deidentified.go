package patient

import "github.com/coldkeep/coldkeep"

// DeidentifiedRow is a person as the store gives it for a de-identified read: no name,
// contact or identifier is among it, and no locked record.
type DeidentifiedRow struct {
	ID        string // to make the pseudonym of; it does not leave the service
	Birth     coldkeep.Date
	Sex       Sex
	Races     []string
	Ethnicity string
	ZIP       string
	County    string
	Deceased  bool
}

// AreaCount is the number of people that were born in a year and live in the ZIP codes
// with the same first three digits.
type AreaCount struct {
	ZIP3  string
	Born  int // year
	Count int
}
