package guide

import (
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

// Header is MSH.
type Header struct {
	Type, Event, Structure string // MSH-9, such as "VXU", "V04", "VXU_V04"
	Version                string // MSH-12 as it was sent
	Profile                string // MSH-21 as it was sent, such as "Z22"; "" when there is none
	ControlID              string // MSH-10
	Processing             string // MSH-11: P, T or D
	SendingApplication     Authority
	SendingFacility        Authority
	ReceivingApplication   Authority
	ReceivingFacility      Authority
	SendingOrganization    Organization // MSH-22: who answers for it
	ReceivingOrganization  Organization // MSH-23
	Sent                   time.Time    // MSH-7; the zero time when it says none
}

// Authority is an HD: who assigns identifiers.
type Authority struct {
	Namespace string // of a local table
	Universal string // such as an OID
	Kind      string // of Universal, such as "ISO"
}

// Organization is an XON.
type Organization struct {
	Name      string
	ID        string // XON-10
	Authority Authority
}

// Update is what a VXU says once everything is taken out that a receiver has to ignore
// (table 3-1 of the guide). An empty field leaves the stored value alone; Erase lists what
// the sender wants erased. It is a delta for the person and complete for each order: what
// is not in it has not been withdrawn.
type Update struct {
	Patient Patient
	Orders  []Order
}

// Patient is PID, PD1 and NK1. Every value is of the published table that its comment
// names or is "".
type Patient struct {
	Identifiers []Identifier // PID-3, at least one but in 2.3.1; never a social security number
	Names       []Name       // PID-5, at least one, the legal one first
	Maiden      string       // PID-6: the mother's family name before her first marriage
	Birth       coldkeep.Date
	Sex         string    // HL7 table 0001: F, M, X or U
	Races       []string  // CDCREC, such as "2106-3"; older letters are translated
	Ethnicity   string    // CDCREC
	Language    string    // ISO 639-2 in lower case, such as "spa"
	Addresses   []Address // PID-11, without those marked as bad
	Contacts    []Contact // PID-13 and PID-14
	Multiple    *bool
	BirthOrder  int // from 1; 0 when it was not said
	Died        coldkeep.Date
	Deceased    *bool

	Publicity     string // HL7 table 0215
	PublicityFrom coldkeep.Date
	Protected     *bool // PD1-12: do not share
	ProtectedFrom coldkeep.Date
	Status        string // HL7 table 0441, with the organization that sends: A, I, L, M, P or U
	StatusFrom    coldkeep.Date

	Kin   []Kin
	Erase []string // fields sent as null, such as "PID-11"
}

// Identifier is a CX.
type Identifier struct {
	Value     string
	Authority Authority
	Kind      string // HL7 table 0203, such as "MR"; "" when an older message has none
}

// Name is an XPN.
type Name struct {
	Family, Given, Middle, Suffix, Prefix string
	Kind                                  string // HL7 table 0200: L, A, M, B, U and others
}

// Address is an XAD.
type Address struct {
	Street, Street2, City, State, ZIP, Country, County string
	Kind                                               string // HL7 table 0190, such as "H" or "BDL"; "" when not said
}

// Contact is an XTN.
type Contact struct {
	Kind  ContactKind
	Value string // ten digits, or "+" and digits of another country; an address of e-mail
	Use   string // HL7 table 0201 as sent, such as "PRN"
}

// ContactKind is what a contact is.
type ContactKind string

// The kinds of contacts.
const (
	Phone ContactKind = "phone"
	Cell  ContactKind = "cell"
	Work  ContactKind = "work"
	Email ContactKind = "email"
)

// Kin is NK1: who answers for the patient.
type Kin struct {
	Name      Name
	Relation  string // HL7 table 0063, such as "MTH"
	Addresses []Address
	Contacts  []Contact
	At        er7.Location
}

// Order is one dose, refusal or statement: the group of ORC, RXA, RXR and OBX.
type Order struct {
	Kind   OrderKind
	Action Action
	// Filler is ORC-3: the id of the dose in the system where it was entered, by which it is
	// updated and deleted. Its Value is "" when the sender gives none (2.3.1, or 9999), or
	// one that different doses of the message share.
	Filler    ID
	Placer    ID     // ORC-2
	EnteredBy Person // ORC-10
	OrderedBy Person // ORC-12
	Enterer   string // ORC-17: the organization, in words or a local code

	Date       coldkeep.Date // RXA-3
	MonthOnly  bool          // of a historical dose: RXA-9 says in words (OnlyMonth) that the day of RXA-3 is not known
	CVX        string        // as the CVX set writes it, never ""; "998" with nothing given
	NDC        string        // 5-4-2 with dashes
	MVX        string        // "" of a given dose, too: an error said so
	Lot        string        // likewise
	Expires    coldkeep.Date // a month's end when the sender gives the month
	Amount     string        // a decimal number; "" when not known
	Unit       string        // UCUM, such as "mL"
	Source     string        // NIP001: "00" given by who sends it, otherwise where the report is from
	Completion string        // HL7 table 0322: CP, PA, RE or NA
	Refusal    string        // NIP002
	RefusalWhy string        // in words
	GivenBy    Person        // RXA-10
	Facility   Authority     // RXA-11.4: where it was given
	Note       string        // further repetitions of RXA-9 in words

	Route       string // HL7 table 0162, such as "IM"; NCIT codes are translated, and intravenous is ""
	BodySite    string // HL7 table 0163
	Eligibility string // HL7 table 0064, V01 to V25; "" of a given dose, too: a finding said so
	Method      string // VXC40 per dose, VXC41 per visit
	Funding     string // PHC70, VXC50 to VXC52
	VIS         []Sheet

	// Observations are all OBX that were taken, also those that are read above.
	Observations []Observation
	Erase        []string     // fields sent as null, such as "RXA-15"
	At           er7.Location // of RXA, for findings
	OrderAt      er7.Location // of ORC; Segment is "" when there is none
}

// OrderKind says what an order tells of.
type OrderKind string

// The kinds of orders.
const (
	Given      OrderKind = "given"      // RXA-9 00 and RXA-20 CP: by who sends it
	Partial    OrderKind = "partial"    // PA: counts for stock and recall, not for evaluation
	Historical OrderKind = "historical" // NIP001 01 to 08
	Refused    OrderKind = "refused"
	Nothing    OrderKind = "nothing" // 998: it carries observations about the person
)

// Action is RXA-21, HL7 table 0323.
type Action string

// The actions. An Add of a dose whose Filler is known is an Update.
const (
	Add    Action = "A"
	Change Action = "U"
	Delete Action = "D"
)

// ID is an EI.
type ID struct {
	Value     string
	Authority Authority
}

// Person is an XCN: somebody of a practice.
type Person struct {
	ID                                            string
	Family, Given, Middle, Suffix, Prefix, Degree string
	Authority                                     Authority
	Kind                                          string // of the ID, HL7 table 0203, such as "NPI"
}

// Sheet is a Vaccine Information Statement that was handed out.
type Sheet struct {
	Document  string        // the 24 digits of its barcode; "" when it is told by its vaccine
	CVX       string        // of the sheet, such as "107"; "" when it is told by its barcode
	Edition   coldkeep.Date // of a sheet that is told by its vaccine
	Presented coldkeep.Date
}

// Observation is OBX.
type Observation struct {
	Code   string // LOINC
	Title  string // its name as sent
	Group  string // OBX-4
	Type   string // OBX-2, such as "CE"
	Value  string // the code, number, text or date as sent
	Text   string // of a coded value
	System string // of a coded value
	// The alternate code, of another system.
	AltValue, AltText, AltSystem string
	Units                        string
	Date                         coldkeep.Date // OBX-14
	Day                          coldkeep.Date // the value, when it is a date
	Method                       string        // OBX-17
	At                           er7.Location
}

// Query is what a QBP (Z34, Z44) or a VXQ asks.
type Query struct {
	// Person holds what is known of whom it asks for; only identifiers, names, maiden
	// name, birth date, sex, addresses, contacts and birth order are set.
	Person   Patient
	Forecast bool   // Z44: the evaluated history with a forecast
	Tag      string // QPD-2, to be repeated in QAK-1
	Limit    int    // RCP-2: most patients that may come back; 0 when not said
	// Echo are the segments that every answer repeats whole: QPD, or QRD and QRF.
	Echo []er7.Segment
}
