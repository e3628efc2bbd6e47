// Package guide holds what a receiver must do with immunization messages: CDC's guide for
// HL7 2.5.1 (release 1.5 with the addendum of 2015: profiles Z22, Z34, Z44) and, as far as
// it is known from the field, version 2.3.1. It says what of a message counts, what the
// sender has to be told, and frames the answer. It looks at the message alone; what the
// registry knows is for package hl7.
package guide

import (
	"fmt"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// Guide is the set of rules that a message is judged by.
type Guide int

// The guides.
const (
	// Claimed is CDC's 2.5.1 guide for a message that says so in MSH-21.
	Claimed Guide = iota
	// Near is the same guide for a message of a version near it, or that claims no
	// profile: what the guide requires for form's sake may be missing.
	Near
	// Old is 2.3.1, and 2.4 and earlier versions, which are written alike.
	Old
	guides
)

// String names the guide for people.
func (g Guide) String() string { return [...]string{"2.5.1", "near 2.5.1", "2.3.1"}[g] }

// Checker judges messages. It is safe for use by several at once.
type Checker struct {
	// Codes are the code sets in force; nil takes those that come with the program.
	Codes *vaccine.Codes
	// Today is the day at the registry: nothing can have happened after it.
	Today coldkeep.Date
}

// Result is what the guides say of a message.
type Result struct {
	Guide    Guide
	Header   Header
	Findings []Finding
	// Outcome is MSA-1 as far as the message alone decides.
	Outcome Outcome
	// Rejected means that nothing of the message may be stored or answered: Update and
	// Query are absent.
	Rejected bool
	Update   *Update // of a VXU
	Query    *Query  // of a QBP or a VXQ
	// Asked tells a query from an update, also when it is rejected and its Query absent.
	Asked bool
	// Echo are a query's segments that the answer repeats, also when it is rejected.
	Echo []er7.Segment

	version string // that answers are written in
}

// maxFindings is the most that is told of one message: an answer that is longer than its
// question helps nobody. Errors beyond it still count.
const maxFindings = 200

// Check judges a message.
func (c *Checker) Check(m *er7.Message) *Result {
	codes := c.Codes
	if codes == nil {
		codes = vaccine.Builtin()
	}
	w := &walk{codes: codes, today: c.Today, message: m, result: &Result{Outcome: AA}}
	w.run()
	r := w.result
	if r.Outcome == AA && w.errors > 0 {
		r.Outcome = AE
	}
	if w.left > 0 {
		r.Findings = append(r.Findings, Finding{Severity: Warning, Code: ApplicationError, Rule: "more",
			Text: fmt.Sprintf("%d further findings are left out.", w.left)})
	}
	if r.Rejected {
		r.Update, r.Query = nil, nil
	}
	return r
}

// walk is one message being judged.
type walk struct {
	codes   *vaccine.Codes
	today   coldkeep.Date
	message *er7.Message
	result  *Result
	errors  int
	left    int
}

// tell adds a finding.
func (w *walk) tell(f Finding) {
	if f.Severity == Error {
		w.errors++
	}
	if len(w.result.Findings) >= maxFindings {
		w.left++
		return
	}
	w.result.Findings = append(w.result.Findings, f)
}

// say adds a finding in one line.
func (w *walk) say(s Severity, at er7.Location, code, app, rule, format string, args ...any) {
	w.tell(Finding{Severity: s, Location: at, Code: code, AppCode: app, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// reject says that the whole message falls, and why.
func (w *walk) reject(at er7.Location, rule, text string) {
	w.result.Rejected = true
	w.say(Error, at, SegmentSequence, "", rule, "%s", text)
}

func (w *walk) run() {
	w.notes()
	if !w.header() {
		return
	}
	switch w.result.Header.Type {
	case "VXU":
		w.update()
	case "QBP":
		w.query()
	case "VXQ":
		w.oldQuery()
	}
}

// notes repeats what the parser had to understand with good will.
func (w *walk) notes() {
	for _, n := range w.message.Notes {
		s, code := Warning, ApplicationError
		switch n.Code {
		case er7.NotASegment:
			// A line break inside a field cuts the rest of its segment off.
			s, code = Error, SegmentSequence
		case er7.Outside:
			code = SegmentSequence
		case er7.InMessage:
			s = Information
		}
		text := n.Text
		if n.Line > 0 {
			text = fmt.Sprintf("Line %d: %s", n.Line, n.Text)
		}
		w.tell(Finding{Severity: s, Code: code, Rule: string(n.Code), Text: text})
	}
}
