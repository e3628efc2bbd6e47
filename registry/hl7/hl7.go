// Package hl7 is what immunization messages mean for the registry: an update (VXU) becomes
// patients, doses and facts, a query (QBP Z34 and Z44, VXQ) the search for a person and an
// answer with candidates, a history, or an evaluated history with a forecast. How messages
// are written is the business of package er7, what a receiver has to make of them by CDC's
// guide that of package guide; who may send them, and what is written down of them, that of
// package exchange, whose Meaning this is.
package hl7

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// Identity is how the registry names itself in messages.
type Identity struct {
	Application string // MSH-3 of answers
	Facility    string // MSH-4
	Authority   string // of the registry's own numbers for people and doses, in PID-3.4 and ORC-3.2
}

// DefaultIdentity is the name of a registry that was given none.
var DefaultIdentity = Identity{Application: "COLDKEEP", Facility: "IIS", Authority: "COLDKEEP"}

// Messages is the meaning of messages: an exchange.Meaning.
type Messages struct {
	people *patient.Service
	doses  *immunization.Service
	codes  *vaccine.Codes
	clock  coldkeep.Clock
	us     Identity
}

var _ exchange.Meaning = (*Messages)(nil)

// New returns the meaning of messages for a registry.
func New(people *patient.Service, doses *immunization.Service, clock coldkeep.Clock, us Identity) *Messages {
	return &Messages{people: people, doses: doses, codes: doses.Codes(), clock: clock, us: us}
}

// Read parses what a message says of itself. EINVALID when it is no HL7.
func (m *Messages) Read(text []byte) (exchange.Envelope, error) {
	msg, err := er7.Parse(text)
	if err != nil {
		return exchange.Envelope{}, err
	}
	return m.envelope(m.check(msg, m.clock.Now())), nil
}

func (m *Messages) check(msg *er7.Message, at time.Time) *guide.Result {
	// The latest day that has begun anywhere on earth.
	c := guide.Checker{Codes: m.codes, Today: coldkeep.DateOf(at.Add(14 * time.Hour))}
	return c.Check(msg)
}

func (m *Messages) envelope(res *guide.Result) exchange.Envelope {
	h := &res.Header
	e := exchange.Envelope{Control: h.ControlID, Type: strings.TrimSuffix(h.Type+"^"+h.Event, "^"), Profile: h.Profile, Version: h.Version, Processing: strings.ToUpper(h.Processing),
		Application: authority(h.SendingApplication), Facility: authority(h.SendingFacility), Responsible: h.SendingOrganization.ID, Sent: h.Sent,
		Update: h.Type == "VXU", Query: res.Asked}
	if res.Update != nil {
		e.Turn = "born " + res.Update.Patient.Birth.String()
	}
	return e
}

// Do does what a message asks, in a transaction, and answers it.
func (m *Messages) Do(ctx context.Context, tx exchange.Tx, by auth.Principal, r exchange.Request) (exchange.Result, error) {
	msg, err := er7.Parse(r.Text)
	if err != nil {
		return exchange.Result{}, err
	}
	res := m.check(msg, r.At)
	switch {
	case res.Rejected || res.Update == nil && res.Query == nil:
		outcome := res.Outcome
		if outcome == guide.AA {
			outcome = guide.AE
		}
		out := exchange.Result{Outcome: exchange.Outcome(outcome), Findings: findings(res.Findings)}
		if res.Asked && outcome != guide.AR {
			out.Answer = m.respond(res, nothing(guide.AE, "AE"), res.Findings)
		} else {
			out.Answer = m.acknowledge(res, outcome, res.Findings)
		}
		return out, nil
	case res.Query != nil:
		return m.query(ctx, tx, by, &r, res)
	}
	did, err := m.update(ctx, tx, by, &r, res.Update)
	if err != nil {
		return did.Result, err
	}
	all := slices.Concat(res.Findings, did.found)
	if r.Test {
		all = append(all, guide.Finding{Severity: guide.Information, Code: guide.Accepted, Rule: "tested", Text: "This was a test: the message was looked at, and nothing of it was kept."})
	}
	outcome := guide.OutcomeOf(all)
	if res.Outcome != guide.AA {
		outcome = res.Outcome // errors beyond those that are told
	}
	out := did.Result
	out.Outcome, out.Findings, out.Kept = exchange.Outcome(outcome), findings(all), out.Commit && outcome == guide.AA
	out.Answer = m.acknowledge(res, outcome, all)
	return out, nil
}

// Refuse answers a message that is not looked at.
func (m *Messages) Refuse(r exchange.Request, outcome exchange.Outcome, f exchange.Finding) exchange.Result {
	out := exchange.Result{Outcome: outcome, Findings: []exchange.Finding{f}}
	told := []guide.Finding{{Severity: guide.Severity(f.Severity), Location: located(f), Code: f.Code, AppCode: f.Detail, Text: f.Text}}
	res := &guide.Result{}
	if msg, err := er7.Parse(r.Text); err == nil {
		res = m.check(msg, r.At)
	}
	if res.Asked && outcome == exchange.Erred {
		out.Answer = m.respond(res, nothing(guide.AE, "AE"), told)
	} else {
		out.Answer = m.acknowledge(res, guide.Outcome(outcome), told)
	}
	return out
}

func located(f exchange.Finding) er7.Location {
	segment, rest, _ := strings.Cut(f.Place, "-")
	l := er7.Location{Segment: segment, Seq: max(f.Segment, 1)}
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		l.Field = l.Field*10 + int(c-'0')
	}
	return l
}

// findings gives findings as the exchange keeps them.
func findings(all []guide.Finding) []exchange.Finding {
	out := make([]exchange.Finding, 0, len(all))
	for _, f := range all {
		place := f.Location
		seq := place.Seq
		place.Seq = 0
		e := exchange.Finding{Severity: string(f.Severity), Code: f.Code, Detail: f.AppCode, Segment: seq, Rule: f.Rule, Text: f.Text}
		if place.Segment != "" {
			e.Place = place.Short()
		}
		out = append(out, e)
	}
	return out
}

// Split goes through a file of messages.
func (m *Messages) Split(file io.Reader, each func(exchange.Part) error) error {
	for item, err := range er7.Split(file) {
		part := exchange.Part{Kind: exchange.PartNothing, Text: item.Text}
		switch coldkeep.ErrorCode(err) {
		case "":
		case coldkeep.EINVALID: // it was passed over, and the next ones follow
			item.Kind = ""
			part.Notes = append(part.Notes, exchange.Finding{Severity: string(guide.Error), Code: guide.SegmentSequence, Rule: "passed-over", Text: coldkeep.ErrorMessage(err)})
		default:
			return err
		}
		switch item.Kind {
		case "MSH":
			part.Kind = exchange.PartMessage
		case "FHS", "BHS":
			part.Kind = exchange.PartHead
		case "BTS", "FTS":
			part.Kind = exchange.PartFoot
		}
		for _, n := range item.Notes {
			if part.Kind == exchange.PartMessage {
				break // they come back when it is read
			}
			text := n.Text
			if n.Line > 0 {
				text = "Line " + itoa(n.Line) + ": " + text
			}
			part.Notes = append(part.Notes, exchange.Finding{Severity: string(guide.Warning), Code: guide.ApplicationError, Rule: string(n.Code), Text: text})
		}
		if err := each(part); err != nil {
			return err
		}
	}
	return nil
}

// Wrap makes the wrapper of an answer file: FHS and BHS in answer to those that came, from
// the registry to who sent them. What came without wrapper is answered without.
func (m *Messages) Wrap(head string, at time.Time, n int) (before, after []byte) {
	var b, e er7.Builder
	for _, name := range []string{"FHS", "BHS"} {
		for line := range strings.SplitSeq(head, "\r") {
			if !strings.HasPrefix(line, name) {
				continue
			}
			came, err := er7.Parse([]byte("MSH" + line[3:]))
			if err != nil {
				came = &er7.Message{}
			}
			h, _ := came.First("MSH")
			l := b.Segment(name).Set(3, m.us.Application).Set(4, m.us.Facility).Copy(5, h.Field(3)).Copy(6, h.Field(4)).Set(7, stamp(at))
			if id := h.Field(11); !id.Empty() {
				l.Copy(12, id) // the control number of the file that is answered
			}
			break
		}
	}
	if b.Len() == 0 {
		return nil, nil
	}
	if strings.Contains("\r"+head, "\rBHS") {
		e.Segment("BTS").Set(1, itoa(n))
	}
	if strings.Contains("\r"+head, "\rFHS") {
		e.Segment("FTS").Set(1, "1")
	}
	return b.Bytes(), e.Bytes()
}

// stamp is a time as MSH-7 has it (TS_Z of the guide).
func stamp(t time.Time) string { return t.Format("20060102150405-0700") }
