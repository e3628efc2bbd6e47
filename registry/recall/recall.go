// Package recall asks people to come: those who are due or late by the schedule in force,
// as a run of reminders and recalls of a practice, and those who were given a dose that a
// break of the cold chain has spoilt, until each of them has come to an end.
//
// What is told to whom is bounded: a run counts people and gives the reason for everybody
// who is left out, and never shows a list but of those for whom a notice is made. A text
// that others may read (an e-mail, a text message, a postcard) has no field for anything of
// a patient's.
package recall

import (
	"time"

	"github.com/coldkeep/coldkeep"
)

// Mode says which of the two a run does, in the words of HL7 table 0215.
type Mode string

// A reminder is of what is due, a recall of what is late.
const (
	Both     Mode = "both"
	Reminder Mode = "reminder"
	Recall   Mode = "recall"
)

// Params say whom a run asks to come. The zero Date is no bound.
type Params struct {
	Mode      Mode          `json:"mode"`
	BornFrom  coldkeep.Date `json:"born_from,omitzero"`
	BornTo    coldkeep.Date `json:"born_to,omitzero"`
	Groups    []string      `json:"vaccine_groups,omitempty"` // CDC's names; none: every group
	DueWithin int           `json:"due_within_days"`          // of a reminder: due now, or within so many days
	OverdueBy int           `json:"overdue_by_days"`          // of a recall: late by so many days or more
	NotWithin int           `json:"not_within_days"`          // nobody who had a notice within so many days; 0: does not matter
	ZIPs      []string      `json:"zip,omitempty"`            // that the address begins with; none: anywhere
	Respond   int           `json:"respond_within_days"`      // a dose within so many days is an answer to the notice
}

// State is where a run stands.
type State string

// The states of a run.
const (
	Counting State = "counting" // its people are looked at
	Ready    State = "ready"    // it waits for a person
	Issuing  State = "issuing"  // notices are made
	Issued   State = "issued"   // notices were made; more may be, by another channel
	Dropped  State = "dropped"  // nothing was or will be sent
)

// Channel is a means of telling people.
type Channel string

// The channels, in the order in which a household is told by the first that reaches it.
const (
	Email    Channel = "email"
	SMS      Channel = "sms"
	Letter   Channel = "letter"
	Postcard Channel = "postcard"
	Phone    Channel = "phone"
)

// Channels lists them.
func Channels() []Channel { return []Channel{Email, SMS, Letter, Postcard, Phone} }

// Title is the channel in words.
func (c Channel) Title() string {
	switch c {
	case Email:
		return "E-mail"
	case SMS:
		return "Text message"
	case Letter:
		return "Letter"
	case Postcard:
		return "Postcard"
	case Phone:
		return "Telephone call"
	}
	return string(c)
}

// electronic reports whether the program itself sends it.
func (c Channel) electronic() bool { return c == Email || c == SMS }

// Run is who is asked to come, once.
type Run struct {
	ID       string
	Site     coldkeep.SiteID // the practice; "" the programme, for the jurisdiction
	Cold     string          // the cold-chain recall that it is for; "" for none
	State    State
	Params   Params
	Schedule string // the version of the schedule by which it was counted
	Today    coldkeep.Date
	Last     string // how far the program is
	Looked   int    // people looked at
	Expected int    // people to look at
	Round    int    // how often notices were made
	Channels []Channel
	ByID     string
	By       string
	At       time.Time
	IssuedAt *time.Time // absent: nothing was made
	Ended    *time.Time
}

// Busy reports whether the program is at work on it.
func (r Run) Busy() bool { return r.State == Counting || r.State == Issuing }

// Group is a vaccine group of which something is due.
type Group struct {
	Name string        `json:"group"`
	Due  coldkeep.Date `json:"due,omitzero"` // recommended
	Late bool          `json:"late,omitempty"`
}

// Outcome is what came of a notice to a person.
type Outcome string

// The outcomes; "" is none yet.
const (
	Came     Outcome = "came"     // a dose of a group of the notice, in time
	Declined Outcome = "declined" // said no on the telephone
)

// Person is one of a run's cohort.
type Person struct {
	Run      string
	Patient  string
	Verdict  Reason // Told: notices are made; any other is why not
	Groups   []Group
	Channels []Channel     // that reach the person
	Noticed  coldkeep.Date // the zero Date: not yet
	Outcome  Outcome
	On       coldkeep.Date // of the outcome
	By       string        // whose word it is; "" the record's
}

// NoticeState is where a notice stands.
type NoticeState string

// The states of a notice. Unsure is one whose receipt was lost, by a broken connection or
// the end of a process: it may have arrived, and is not sent again but by a person's word.
const (
	Making    NoticeState = "making"
	Pending   NoticeState = "pending"
	Sending   NoticeState = "sending"
	Sent      NoticeState = "sent"
	Paper     NoticeState = "paper" // to be printed, or called
	Unsure    NoticeState = "unsure"
	Refused   NoticeState = "refused"   // the other side does not take it
	Withdrawn NoticeState = "withdrawn" // meanwhile there was a reason not to
)

// Notice is what a household is told by, once for each run and channel.
type Notice struct {
	ID        string
	Run       string
	Site      coldkeep.SiteID
	Round     int
	Channel   Channel
	Household string
	Language  string // "en" or "es"
	Target    string
	State     NoticeState
	Stop      string
	Attempts  int
	Due       time.Time
	Claimed   *time.Time
	SentAt    *time.Time
	MadeAt    time.Time
	Why       string // it was refused or withdrawn, or not taken the last time
	Patients  []string
}

// Consent is that who answers for a person agreed to messages at an address or a number.
type Consent struct {
	ID      string
	Patient string
	Channel Channel // Email or SMS
	Target  string
	Agreed  string // who has agreed, and how it is known
	Site    coldkeep.SiteID
	By      string
	At      time.Time
	Ended   *time.Time
	EndedBy string
}

// Attempt is a try to reach a person, or what came back of one.
type Attempt struct {
	ID      string
	Patient string
	Site    coldkeep.SiteID
	Run     string
	Channel Channel
	Result  Result
	Address string // a hash of the address or number that does not reach the person; "" otherwise
	Note    string
	By      string
	At      time.Time
}

// Result is what came of an attempt.
type Result string

// The results.
const (
	Reached     Result = "reached"
	LeftMessage Result = "left-message"
	NoAnswer    Result = "no-answer"
	WrongNumber Result = "wrong-number"
	Returned    Result = "returned" // by the post, or the e-mail came back
	SaidNo      Result = "declined"
)

// Results lists them, with words for people.
func Results() []struct {
	Result Result
	Title  string
} {
	return []struct {
		Result Result
		Title  string
	}{{Reached, "Reached, will come"}, {LeftMessage, "Left a message"}, {NoAnswer, "No answer"}, {WrongNumber, "Wrong number"}, {SaidNo, "Declined"}, {Returned, "Came back: undeliverable"}}
}
