package exchange

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Submission is one message that comes in.
type Submission struct {
	Door Door
	Name string // of what it came in, such as a file; for people, may be empty
	Text []byte // one message; CR, LF or CRLF ends a segment
}

// ErrMany is of a text that holds more than one message where one is wanted: EINVALID.
var ErrMany = coldkeep.Errorf(coldkeep.EINVALID, "There is more than one message (MSH). Send one at a time, or a file of them.")

// ErrTooLarge is of a text that is larger than MaxMessage or MaxFile: EINVALID.
var ErrTooLarge = coldkeep.Errorf(coldkeep.EINVALID, "The message is too large.")

// Submit takes one message in real time, does what it asks and gives the answer, an HL7
// message of the same version: for an update (VXU) an acknowledgement, for a query (QBP,
// VXQ) a response. by is the interface account that has come in through the door.
//
// A message that is refused for what it says, or that its sender may not send, is no error:
// its answer says so (AE or AR). An error is of what no answer can be given to in HL7's
// terms, and the door says it in its own: EUNAUTHORIZED when by is nobody, EFORBIDDEN when
// by has no scope for it, EINVALID when the text is no HL7 message (ErrMany, ErrTooLarge
// tell two cases apart). When the registry itself fails, err has the code EUNAVAILABLE or
// EINTERNAL, is to be logged, and answer holds an AR that is to be sent all the same.
//
// The very same text again, of an update that was kept, gives the very same answer and
// changes nothing. Whoever gives up waiting may therefore send again.
func (s *Service) Submit(ctx context.Context, by auth.Principal, in Submission) (answer []byte, err error) {
	if err := s.maySend(by); err != nil {
		return nil, err
	}
	if len(in.Text) > MaxMessage {
		return nil, ErrTooLarge
	}
	if headers(in.Text) > 1 {
		return nil, ErrMany
	}
	env, err := s.means.Read(in.Text)
	if err != nil {
		return nil, err
	}
	from, err := s.sender(ctx, by)
	m := Message{ID: ulid.Make().String(), Door: in.Door, Account: by.ID, Who: by.Name, Site: by.Site, At: s.clock.Now(), SHA256: sha(in.Text)}
	if err == nil {
		m, err = s.do(ctx, by, from, m, env, in.Text, nil)
	}
	if err != nil {
		r := s.means.Refuse(Request{ID: m.ID, Sender: from, Site: by.Site, Envelope: env, Text: in.Text, At: m.At}, Rejected,
			Finding{Severity: "E", Code: "207", Text: "The registry could not take this message now. Nothing of it was kept; send it again later."})
		return r.Answer, err
	}
	return m.Answer, nil
}

// maySend asks for a program of one site.
func (s *Service) maySend(by auth.Principal) error {
	if err := by.Require(auth.ExchangeRecords, by.Site); err != nil {
		return err
	}
	if by.Site == "" {
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "Records are exchanged by the interface account of one site.")
	}
	return nil
}

// headers counts the lines that begin a message.
func headers(text []byte) int {
	n := 0
	for line := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return r == '\r' || r == '\n' || r == '\v' }) {
		if strings.HasPrefix(strings.TrimLeft(line, " \t"), "MSH|") {
			n++
		}
	}
	return n
}

func fold(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }

// tries is how often a message is tried when others change the same record meanwhile.
const tries = 5

// do does one message and writes down what became of it: by itself, or as the message of
// a file that waited.
func (s *Service) do(ctx context.Context, by auth.Principal, from Sender, m Message, env Envelope, text []byte, file *File) (Message, error) {
	began := time.Now()
	r := Request{ID: m.ID, Sender: from, Site: from.Site, Envelope: env, Text: text, At: m.At, Test: !from.Production || env.Processing != "" && env.Processing != "P", File: file != nil}
	m.Control, m.Type, m.Profile, m.Version, m.Processing, m.Test = env.Control, env.Type, env.Profile, env.Version, env.Processing, r.Test
	m.Text = text
	site, ok := from.speaksFor(env.Facility)
	if !ok {
		return s.refused(ctx, r, m, began, file, Erred, Finding{Severity: "E", Code: "103", Detail: "4", Place: "MSH-4", Segment: 1,
			Text: "This sender may not speak for this facility. The registry's staff can add it to what is agreed on."})
	}
	if !from.knows(env.Application) {
		return s.refused(ctx, r, m, began, file, Erred, Finding{Severity: "E", Code: "103", Detail: "4", Place: "MSH-3", Segment: 1,
			Text: "This sender is not known to send from this application. The registry's staff can add it to what is agreed on."})
	}
	r.Site, m.Site = site, site
	actor, err := s.acting(ctx, by, site)
	if err != nil {
		return m, err
	}
	for try := 0; ; try++ {
		out, err := s.attempt(ctx, actor, r, m, began, file)
		if coldkeep.ErrorCode(err) != coldkeep.ECONFLICT || try == tries {
			return out, err
		}
	}
}

// knows reports whether a sender may send from an application.
func (s *Sender) knows(application string) bool {
	if len(s.Applications) == 0 {
		return true
	}
	for _, a := range s.Applications {
		if fold(a) == fold(application) {
			return true
		}
	}
	return false
}

// attempt does a message in one transaction. A panic of what reads it is an error: one
// message never stops the others.
func (s *Service) attempt(ctx context.Context, by auth.Principal, r Request, m Message, began time.Time, file *File) (out Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = m, coldkeep.Errorf(coldkeep.EINTERNAL, "a message could not be done: %v", p)
		}
	}()
	var res Result
	out = m
	err = s.store.Tx(ctx, func(tx Tx) error {
		out, res = m, Result{}
		if r.Update {
			if err := tx.TakeTurn(ctx, turn(r.Turn, m.SHA256)); err != nil {
				return err
			}
			if !r.Test {
				switch has, err := tx.ExchangeMessageKept(ctx, m.Account, m.SHA256); {
				case err == nil && has.Cleared == nil:
					return s.repeated(ctx, tx, has, &out, file)
				case err != nil && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND:
					return err
				}
			}
		}
		var err error
		if res, err = s.means.Do(ctx, tx, by, r); err != nil {
			return err
		}
		if !res.Commit || r.Test && r.Update {
			return errGivenUp
		}
		return s.keep(ctx, tx, r, res, &out, began, file)
	})
	if err == errGivenUp { //nolint:errorlint // handed through as it is
		res.Kept, res.Commit = false, false
		res.Patient, res.Matched = "", ""
		for i := range res.Doses {
			res.Doses[i].Dose = ""
		}
		return s.record(ctx, r, res, m, began, file)
	}
	return out, err
}

func turn(key, sum string) string {
	if key == "" {
		return "text " + sum
	}
	return key
}

// refused writes down a message that was not looked at.
func (s *Service) refused(ctx context.Context, r Request, m Message, began time.Time, file *File, outcome Outcome, f Finding) (Message, error) {
	return s.record(ctx, r, s.means.Refuse(r, outcome, f), m, began, file)
}

// record writes down a message of which nothing was kept.
func (s *Service) record(ctx context.Context, r Request, res Result, m Message, began time.Time, file *File) (Message, error) {
	var out Message
	err := s.store.Tx(ctx, func(tx Tx) error {
		out = m
		for _, e := range res.Trail {
			if err := tx.Audit(ctx, e); err != nil {
				return err
			}
		}
		return s.keep(ctx, tx, r, res, &out, began, file)
	})
	return out, err
}

// keep writes down a message with its answer.
func (s *Service) keep(ctx context.Context, tx Tx, r Request, res Result, m *Message, began time.Time, file *File) error {
	m.Outcome, m.Kept, m.Matched, m.Patient, m.Doses, m.Findings, m.Answer = res.Outcome, res.Kept, res.Matched, res.Patient, res.Doses, res.Findings, res.Answer
	m.Took = time.Since(began)
	kept := *m
	if res.Fleeting && file == nil {
		kept.Answer = nil
	}
	if err := s.put(ctx, tx, kept, file); err != nil {
		return err
	}
	return s.count(ctx, tx, r, res, m)
}

// put writes a message down as it is kept.
func (s *Service) put(ctx context.Context, tx Tx, m Message, file *File) error {
	m.Text, m.Answer = s.sealed(m.Text, m.ID), s.sealed(m.Answer, m.ID)
	if file != nil {
		return tx.FinishExchangeMessage(ctx, m)
	}
	return tx.InsertExchangeMessage(ctx, m)
}

// repeated answers a message that was kept before as it was answered then.
func (s *Service) repeated(ctx context.Context, tx Tx, has Message, m *Message, file *File) error {
	answer, err := s.opened(has.Answer, has.ID)
	if err != nil {
		return err
	}
	m.Outcome, m.Matched, m.Patient, m.Findings, m.Answer = has.Outcome, has.Matched, has.Patient, has.Findings, answer
	m.Doses = nil
	m.Findings = append(m.Findings[:len(m.Findings):len(m.Findings)], Finding{Severity: "I", Code: "0", Text: fmt.Sprintf("The very same message was kept on %s; this is its answer.", has.At.UTC().Format(time.DateOnly))})
	if err := s.put(ctx, tx, *m, file); err != nil {
		return err
	}
	return tx.AddExchangeFigures(ctx, m.Account, m.Site, coldkeep.DateOf(m.At), map[string]int{FigMessages: 1, FigRepeated: 1})
}
