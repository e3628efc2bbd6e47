package guide

import (
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

// Severity is ERR-4, HL7 table 0516.
type Severity string

// The severities.
const (
	Error       Severity = "E" // data was ignored, or the whole message
	Warning     Severity = "W" // all was taken; the sender should look
	Information Severity = "I"
)

// Finding is something to tell the sender of a message: what an ERR segment says. Its
// words carry no value of the message but codes of published tables.
type Finding struct {
	Severity Severity
	er7.Location
	Code    string // HL7 table 0357
	AppCode string // HL7 table 0533; "" none
	Rule    string // which rule found it, such as "IZ-23" or "dose-before-birth"; for counting
	Text    string // for people
}

// The codes of HL7 table 0357 (with 999 of the 2015 addendum).
const (
	Accepted             = "0"
	SegmentSequence      = "100" // also: a required segment is missing
	RequiredFieldMissing = "101"
	DataTypeError        = "102"
	TableValueNotFound   = "103"
	UnsupportedType      = "200"
	UnsupportedEvent     = "201"
	UnsupportedID        = "202" // processing ID
	UnsupportedVersion   = "203"
	UnknownKey           = "204"
	DuplicateKey         = "205"
	RecordLocked         = "206"
	InternalError        = "207"
	ApplicationError     = "999"
)

// The codes of HL7 table 0533. The last is CDC's own in its examples only.
const (
	IllogicalDate      = "1"
	InvalidDate        = "2"
	IllogicalValue     = "3"
	InvalidValue       = "4"
	NotInTable         = "5"
	ObservationMissing = "6"
	RequiredMissing    = "7"
)

// conditions are the words of table 0357.
var conditions = map[string]string{
	Accepted: "Message accepted", SegmentSequence: "Segment sequence error", RequiredFieldMissing: "Required field missing",
	DataTypeError: "Data type error", TableValueNotFound: "Table value not found", UnsupportedType: "Unsupported message type",
	UnsupportedEvent: "Unsupported event code", UnsupportedID: "Unsupported processing ID", UnsupportedVersion: "Unsupported version ID",
	UnknownKey: "Unknown key identifier", DuplicateKey: "Duplicate key identifier", RecordLocked: "Application record locked",
	InternalError: "Application internal error", ApplicationError: "Application error",
}

// details are the words of table 0533.
var details = map[string]string{
	IllogicalDate: "Illogical date error", InvalidDate: "Invalid date", IllogicalValue: "Illogical value error", InvalidValue: "Invalid value",
	NotInTable: "Table value not found", ObservationMissing: "Required observation missing", RequiredMissing: "Required data missing",
}

// Outcome is MSA-1, HL7 table 0008.
type Outcome string

// The outcomes. CA, CE and CR are not used.
const (
	AA Outcome = "AA" // no errors
	AE Outcome = "AE" // any error, from a value that was ignored to the whole message
	AR Outcome = "AR" // type, event, processing ID, or a cause that is not in the message
)

// OutcomeOf is what findings add up to: AE when there is an error. AR is not theirs to say.
func OutcomeOf(findings []Finding) Outcome {
	for i := range findings {
		if findings[i].Severity == Error {
			return AE
		}
	}
	return AA
}
