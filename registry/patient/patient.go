// Package patient is the registry's people: who they are, how they are found, which of
// two records are one person, and who may open them. A record is opened by need to
// know: there is no list to browse, an opted-out record is locked, and every search
// and every view is in the audit trail.
package patient

import (
	"time"

	"github.com/coldkeep/coldkeep"
)

// Patient is one person's demographics: the least set of 77 Ill. Adm. Code 689.40 and
// what HL7 carries in PID, PD1 and NK1. What has been replaced is kept, with the time
// until which it stood.
type Patient struct {
	ID          string // ULID
	Names       []Name // the current one first
	Birth       coldkeep.Date
	BirthState  string // of the United States, two letters; "" when not known
	BirthNation string // ISO 3166 alpha-3; "" when not known
	Sex         Sex
	Multiple    *bool // one of a multiple birth; absent when not known
	BirthOrder  int   // of a multiple birth, from 1; 0 when not known
	Races       []string
	Ethnicity   string
	Language    string // ISO 639-2, such as "spa"; "" when not known
	Mother      string // the mother's name before her first marriage
	Addresses   []Address
	Contacts    []Contact
	Identifiers []Identifier
	Guardians   []Guardian
	Died        coldkeep.Date
	Deceased    bool   // also when the day is not known
	Publicity   string // PD1-11, HL7 table 0215, such as "02" reminder/recall by any method
	Consent     Consent
	Statuses    []Status
	Lock        *Lock           // absent: open to all who need to know
	MergedInto  string          // the record this one was folded into; "" when it stands for itself
	Head        string          // the record that stands for this one; its own ID when it stands for itself
	Revision    int64           // counts changes; a change names the one it was made on
	CreatedBy   coldkeep.SiteID // the site that entered the record first, "" the state
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Span is the time an entry of a record stands: what has been replaced is kept.
type Span struct {
	Seq     int        // its place in the order of entry, from 1; 0 when it is not kept yet
	Until   *time.Time // absent: in use
	EndedBy string     // the name of who replaced it
}

// Name is a name of a person.
type Name struct {
	Family, Given, Middle, Suffix string
	Kind                          NameKind
	Span
}

// NameKind says what a name is to its bearer (HL7 table 0200).
type NameKind string

// The kinds of names.
const (
	Legal   NameKind = "L"
	Alias   NameKind = "A"
	Maiden  NameKind = "M"
	AtBirth NameKind = "B"
)

// Sex is the administrative sex (HL7 table 0001).
type Sex string

// The sexes as records carry them.
const (
	Female     Sex = "F"
	Male       Sex = "M"
	OtherSex   Sex = "X"
	UnknownSex Sex = "U"
)

// Address is where a person lives or gets post.
type Address struct {
	Street, Street2, City, State, ZIP, County, Country string
	Kind                                               string // HL7 table 0190, such as "H" home, "M" mailing, "BDL" birth delivery location
	Span
}

// Contact is a telephone number or an e-mail address.
type Contact struct {
	Kind  ContactKind
	Value string // ten digits of a telephone number, or "+" and its digits when it is not of the United States; an e-mail address
	Span
}

// ContactKind is how a contact is reached.
type ContactKind string

// The kinds of contacts.
const (
	Phone ContactKind = "phone"
	Cell  ContactKind = "cell"
	Work  ContactKind = "work"
	Email ContactKind = "email"
)

// Identifier is a number that somebody gave the person. A social security number is
// never one: the registry does not keep it.
type Identifier struct {
	Kind     string // HL7 table 0203, such as "MR" medical record, "MA" Medicaid, "BR" birth registry, "SR" state registry
	Assigner string // whose number it is: a site's id for MR, otherwise the name of the authority
	Value    string
	Span
}

// Guardian is who answers for a person, such as a parent.
type Guardian struct {
	Family, Given, Middle string
	Relation              string // HL7 table 0063, such as "MTH", "FTH", "GRD"
	Address               Address
	Contacts              []Contact
	Span
}

// Consent is what was said about sharing the record. Illinois shares by default, with
// the right to opt out offered at least once (77 Ill. Adm. Code 689.80).
type Consent struct {
	OfferedAt *time.Time // when the opt-out form was offered; absent: not recorded
	OfferedBy coldkeep.SiteID
}

// Lock closes a record to all but the state and the site that locked it.
type Lock struct {
	Site coldkeep.SiteID // the originating site; "" the state
	By   string          // the person's name
	At   time.Time
	Form string // which signed form is on file, such as its date and who signed
}

// Standing is whether a person is still somebody's patient (MIROW 2015).
type Standing string

// The standings. Deceased is of the jurisdiction alone.
const (
	Active   Standing = "active"
	Inactive Standing = "inactive" // no longer a patient, for another reason
	Moved    Standing = "moved"    // moved or gone elsewhere
	Lost     Standing = "lost"     // lost to follow-up
	Deceased Standing = "deceased"
)

// Status is how a person stands with a practice, or with the whole jurisdiction when
// Site is "". Recall and coverage count by it.
type Status struct {
	Site     coldkeep.SiteID
	Standing Standing
	Since    time.Time
	By       string // the person's name, or the message that said so
	Span
}

// Home is the address by which a person is counted: the home address in use, else the
// first in use that is not the place of birth. Nil when there is none.
func (p *Patient) Home() *Address {
	var first *Address
	for i := range p.Addresses {
		a := &p.Addresses[i]
		switch {
		case a.Until != nil || a.Kind == "BDL":
		case a.Kind == "H":
			return a
		case first == nil:
			first = a
		}
	}
	return first
}
