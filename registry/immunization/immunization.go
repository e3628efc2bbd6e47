// Package immunization is what was done to protect a patient, and what speaks against
// it or makes it unnecessary: doses, refusals, contraindications, adverse reactions,
// evidence of immunity and exemptions. Whether a dose counts, and what is due, is the
// forecast's word (package forecast); this package gives it the history.
package immunization

import (
	"time"

	"github.com/coldkeep/coldkeep"
)

// Dose is one vaccine dose: given, told of, or refused.
type Dose struct {
	ID      string // ULID
	Patient string
	Kind    DoseKind
	Date    coldkeep.Date // the day it was given or refused
	// DayUnknown is that only the month of a historical dose is known. Date is then the first
	// day that can be meant, by which no age or interval is taken for longer than it was.
	DayUnknown bool
	CVX        string               // vaccine code, such as "107"
	MVX        string               // manufacturer code; "" when not known
	NDC        string               // 5-4-2 with dashes; "" when not known
	Lot        string               // the manufacturer's lot number as printed; "" when not known
	Expires    coldkeep.Date        // of the lot
	StockID    string               // the stock line it was drawn from (inventory.Lot.ID); "" for a dose from elsewhere
	Unit       coldkeep.ApplianceID // where that lot stood when the dose was drawn; "" when not known

	BodySite    string // HL7 table 0163, such as "LA"
	Route       string // HL7 table 0162, such as "IM"
	Amount      string // mL as a decimal, such as "0.5"; "" when not known
	Eligibility string // at the time of this dose: HL7 table 0064, V01 to V25
	Funding     string // of this dose: CDC VXC50, VXC51, VXC52, PHC70 …; "" when not known
	VIS         []VIS
	GivenBy     string // name and title (42 U.S.C. 300aa-25)
	OrderedBy   string
	Site        coldkeep.SiteID // the practice that gave it; "" when it is from elsewhere
	Source      string          // of a historical dose: HL7 NIP001, such as "01"; "00" administered
	Elsewhere   string          // who gave a historical dose, in words
	Refusal     string          // of a refused dose: HL7 NIP002, such as "00" parental decision

	// NonViable marks a dose that a cold-chain break spoilt, with the disposition that
	// says so: CDSi's dose condition.
	NonViable string
	// DuplicateOf is the record that stands for this one: both tell of one dose, and the
	// other says more. It is kept and not counted.
	DuplicateOf string
	// DistinctFrom lists records that a person has said are of another dose.
	DistinctFrom []string
	// Deleted is set on a dose that was entered by mistake. It is kept and not counted.
	Deleted     *Deletion
	Note        string          // of the one who recorded it, such as why a warning was passed over
	EnteredBy   string          // the name
	EnteredSite coldkeep.SiteID // whose person or program recorded it; "" the state
	EnteredAt   time.Time
	Revision    int64
}

// Counts reports whether the dose is one to look at: given, not deleted and not told of
// by a better record.
func (d *Dose) Counts() bool {
	return d.Kind != Refused && d.Deleted == nil && d.DuplicateOf == ""
}

// Change is a dose's earlier value, with who replaced it and why.
type Change struct {
	Before Dose
	By     string
	At     time.Time
	Why    string
}

// Subject is what the forecast and the checks need of a person.
type Subject struct {
	ID          string // the record that stands for the person
	Birth       coldkeep.Date
	Sex         string // HL7 table 0001
	BirthNation string // ISO 3166 alpha-3; "" when not known
	Died        coldkeep.Date
	Deceased    bool
}

// DoseKind says what is known of a dose.
type DoseKind string

// The kinds of doses.
const (
	Administered DoseKind = "administered" // given by the practice that records it
	Historical   DoseKind = "historical"   // not from the stock of the practice that records it
	Refused      DoseKind = "refused"
)

// Deletion is why a dose no longer counts.
type Deletion struct {
	By     string
	At     time.Time
	Reason string
}

// VIS is a Vaccine Information Statement that was given with a dose: the edition and
// the day it was handed over are part of the record (42 U.S.C. 300aa-26).
type VIS struct {
	Document string // CDC's name, or the 24 digits of its code
	Edition  coldkeep.Date
	Given    coldkeep.Date
	Language string `json:",omitempty"` // ISO 639-2, such as "spa"; "" English, or not recorded
}

// Fact is something that is true of a patient and bears on the forecast or on whether
// a dose may be given: a contraindication or precaution, evidence of immunity, or a
// condition that puts the patient at risk.
type Fact struct {
	ID      string
	Patient string
	Kind    FactKind
	Code    string        // CDSi observation code, such as "080"
	Title   string        // as it stood when it was recorded
	From    coldkeep.Date // since when; the zero Date: not known
	Until   coldkeep.Date // of a passing one, such as pregnancy; the zero Date: it lasts
	Basis   string        // of immunity: "disease" or "titre" with its date; otherwise the source in words
	By      string
	Site    coldkeep.SiteID
	At      time.Time
	Ended   *Deletion // absent: it stands
}

// FactKind groups facts for people.
type FactKind string

// The kinds of facts.
const (
	Contraindication FactKind = "contraindication"
	Precaution       FactKind = "precaution"
	Immunity         FactKind = "immunity"
	Condition        FactKind = "condition"
)

// Reaction is an adverse event after vaccination, with what VAERS form 2.0 asks.
type Reaction struct {
	ID        string
	Patient   string
	Doses     []string // the doses of that day (item 17)
	Onset     *time.Time
	Pregnant  string   // item 8: "yes", "no", "unknown"
	Medicines string   // item 9
	Allergies string   // item 10
	Illnesses string   // item 11
	Chronic   string   // item 12
	Reporter  string   // item 13
	Event     string   // item 18
	Tests     string   // item 19
	Recovered string   // item 20: "yes", "no", "unknown"
	Results   []string // item 21, such as "emergency-room", "hospital", "died"
	Relation  string   // item 13: "professional", "patient", "guardian" or "other"
	Doctor    string   // item 14: the best professional to ask, with a telephone number
	Facility  string   // item 16, such as "office"
	By        string
	Site      coldkeep.SiteID
	At        time.Time
	Ended     *Deletion // entered by mistake
}

// Exemption is a document by which a child need not have a vaccine for school.
type Exemption struct {
	ID      string
	Patient string
	Kind    ExemptionKind
	Groups  []string // CDC's names of the vaccine groups it covers; empty: all
	From    coldkeep.Date
	Until   coldkeep.Date // the zero Date: no end
	Signer  string        // the physician, or the parent
	Source  string        // which document is on file
	By      string
	Site    coldkeep.SiteID
	At      time.Time
	Ended   *Deletion
}

// ExemptionKind says on what ground.
type ExemptionKind string

// The kinds of exemptions (77 Ill. Adm. Code 665.510 and 665.520).
const (
	Medical   ExemptionKind = "medical"
	Religious ExemptionKind = "religious"
)
