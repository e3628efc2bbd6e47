// Package exchange is the coming and going of messages: who may send them and for whom,
// what was received and answered, files that are worked through in the background, and how
// good a sender's data are. What a message means for a record is package hl7's to say.
//
// A message is one transaction: what it changes, what is written down of it and its answer
// are there together or not at all. So a process may die at any moment; a sender that has
// no answer sends again, and what was kept once is not kept twice.
package exchange

import (
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Door is where a message came in.
type Door string

// The doors.
const (
	HTTP   Door = "http"   // POST /hl7
	SOAP   Door = "soap"   // CDC's web service
	SFTP   Door = "sftp"   // a file
	Upload Door = "upload" // a file that a person has uploaded
)

// Outcome is the acknowledgement code of an answer (MSA-1, HL7 table 0008).
type Outcome string

// The outcomes. Waiting is of a message of a file that has not had its turn.
const (
	Waiting  Outcome = ""
	Accepted Outcome = "AA"
	Erred    Outcome = "AE"
	Rejected Outcome = "AR"
)

// Answers says which answers the answer file of a file holds.
type Answers string

// The kinds of answer files.
const (
	Always     Answers = "always"
	ErrorsOnly Answers = "errors-only" // AE and AR
	Never      Answers = "never"
)

// Sender is what is agreed on with an interface account of scope records.
type Sender struct {
	Account string          // auth.Account.ID
	Name    string          // of the account; not kept here
	Site    coldkeep.SiteID // the account's; not kept here
	// Production says that what is sent is kept. While a sender is tested, its messages are
	// looked at and answered in the same way, and nothing of them is kept.
	Production   bool
	Applications []string   // names of its systems in MSH-3.1; empty: any
	Facilities   []Facility // whom it speaks for; empty: its own site, whatever MSH-4 says
	Answers      Answers
	Deducts      bool // doses that it sends as given are taken off the site's stock, where the rules fit
	UpdatedBy    string
	UpdatedAt    time.Time // the zero Time: nothing has been agreed on, and it is tested
	Revision     int64
}

// Facility is a site that a sender speaks for.
type Facility struct {
	Code string          `json:"code"` // in MSH-4.1, or RXA-11.4 of a dose
	Site coldkeep.SiteID `json:"site"`
}

// Finding is something that was wrong with a message, in the terms of an ERR segment.
type Finding struct {
	Severity string `json:"severity"`          // I, W or E (HL7 table 0516)
	Code     string `json:"code"`              // HL7 table 0357, such as "103"
	Detail   string `json:"detail,omitempty"`  // HL7 table 0533, such as "5"; "" none
	Place    string `json:"place,omitempty"`   // such as "RXA-5" or "PID-11.5"; "" the message
	Segment  int    `json:"segment,omitempty"` // which of the segments of that name, from 1
	Rule     string `json:"rule,omitempty"`    // which rule found it, such as "IZ-23"
	Text     string `json:"text"`              // for people; never a value of the message
}

// Deduction is what became of a given dose in the stock.
type Deduction string

// The deductions.
const (
	NotAsked  Deduction = ""       // the dose was not given by the sender's site, or its sender does not deduct
	Deducted  Deduction = "taken"  // taken off a lot
	Undeduced Deduction = "listed" // it should have been: it is on the list of doses not deducted
)

// DoseDone is what a message did about one dose.
type DoseDone struct {
	Order     string    `json:"order,omitempty"` // ORC-3
	Dose      string    `json:"dose,omitempty"`  // immunization.Dose.ID; "" none came of it
	Did       string    `json:"did"`             // "added", "updated", "same", "deleted", "late", "refused"
	Deduction Deduction `json:"deduction,omitempty"`
	Why       string    `json:"why,omitempty"` // of a dose that was refused or not deducted
}

// Message is one message as it was received, and what became of it.
type Message struct {
	ID         string // ULID
	Door       Door
	Account    string          // of the interface account or person that sent it
	Who        string          // the name
	Site       coldkeep.SiteID // it speaks for
	File       string          // "" when it came by itself
	Seq        int             // its place in the file, from 1
	Control    string          // MSH-10
	Type       string          // such as "VXU^V04"
	Profile    string          // MSH-21, such as "Z22"; "" before 2.5.1
	Version    string
	Processing string // MSH-11
	SHA256     string // of the text
	At         time.Time
	Took       time.Duration
	Outcome    Outcome
	Kept       bool // what it tells is in the record
	Test       bool // looked at only
	Matched    patient.Outcome
	Patient    string // "" when none, and for who may not see which
	Doses      []DoseDone
	Findings   []Finding
	Text       []byte     // when it is looked at by itself
	Answer     []byte     // when it is looked at by itself
	Cleared    *time.Time // since when the texts are gone; absent: they are there
}

// FileState is where a file stands.
type FileState string

// The states of a file.
const (
	Receiving FileState = "receiving"
	Queued    FileState = "queued" // its messages have their turn one after the other
	Done      FileState = "done"
)

// File is a file of messages.
type File struct {
	ID       string // ULID
	Account  string
	Who      string
	Role     auth.Role // of a person; "" of an interface account
	Site     coldkeep.SiteID
	Door     Door
	Name     string
	SHA256   string
	Again    bool // it was there before, and was asked for once more
	State    FileState
	Total    int    // messages
	Head     string // FHS and BHS as they came; "" none
	Foot     string // BTS and FTS
	Answers  Answers
	Findings []Finding // of the file itself, such as a wrong count in BTS-1
	At       time.Time
	Ended    *time.Time // absent: it goes on
	Cleared  *time.Time // since when the texts of its messages are gone
	// Known says that the very same file was there already, and this is it.
	Known bool
}

// Order is what a practice's order number stands for.
type Order struct {
	Site      coldkeep.SiteID
	Authority string // ORC-3.2, or MSH-3.1 where there is none
	Number    string // ORC-3.1
	Dose      string // "" when it was deleted before it was heard of
	Sent      time.Time
	Deleted   bool
	// Since is when the last message was made that took the dose back: what was said before
	// then is void. Zero: none did.
	Since     time.Time
	Heard     immunization.Heard // what was said of the dose since, and when
	Reactions []SaidReaction     // that were told with the dose since
}

// SaidReaction is a reaction that a message made at a time told of.
type SaidReaction struct {
	Sent  time.Time
	Event string
}

// ByContent is the authority of the numbers that the registry gives to doses which come
// without: what they say. Those of senders are in capitals.
const ByContent = "by-content"

// Word is the last that was said about a topic of a person.
type Word struct {
	Topic string
	Sent  time.Time // by the message's own word (MSH-7)
}

// Envelope is what a message says of itself.
type Envelope struct {
	Control     string
	Type        string // "VXU^V04"
	Profile     string
	Version     string
	Processing  string
	Application string    // MSH-3.1
	Facility    string    // MSH-4.1
	Responsible string    // MSH-22, the organisation that answers for it
	Sent        time.Time // MSH-7; the zero Time when it cannot be read
	Update      bool      // it changes records
	Query       bool
	Turn        string // what messages about one person have in common, such as the birth date; "" nothing
}

// Request is a message that is to be done.
type Request struct {
	ID     string // of the Message
	Sender Sender
	Site   coldkeep.SiteID // it speaks for
	Envelope
	Text []byte
	At   time.Time
	Test bool // nothing will be kept: the answer says so
	File bool // of a file
}

// Result is what became of a message.
type Result struct {
	Outcome  Outcome
	Answer   []byte
	Findings []Finding
	// Commit keeps what was written in the transaction; without it all of that is undone,
	// and the message, its answer and Trail alone are written down.
	Commit  bool
	Kept    bool // what the message tells is in the record
	Patient string
	Matched patient.Outcome
	Doses   []DoseDone
	Figures map[string]int
	Trail   []audit.Entry
	// Fleeting says that the answer tells of people of whom the message itself did not, such
	// as a list to choose from: it is not kept once it has been given.
	Fleeting bool
}

// Figure is what was counted of a sender.
type Figure struct {
	Account string
	Site    coldkeep.SiteID
	Day     coldkeep.Date
	Measure string
	N       int
}
