package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// The bounds of what is taken.
const (
	// MaxMessage is how many bytes one message may have. The largest records, with a
	// hundred doses and their observations, have some hundred thousand.
	MaxMessage = 1 << 20
	// MaxFile is how many bytes a file may have: a year of a large practice.
	MaxFile = 512 << 20
)

// keepTexts is for how long the texts of messages and answers are kept: long enough to
// look after a finding and to give a repeated message its first answer. A registry does
// not keep a second copy of its patients in a form that no lock covers.
const keepTexts = 90 * 24 * time.Hour

// PartKind is what a piece of a file is.
type PartKind int

// The kinds of pieces.
const (
	PartMessage PartKind = iota
	PartHead             // FHS or BHS
	PartFoot             // BTS or FTS
	PartNothing          // neither: what its notes tell of was passed over
)

// Part is a piece of a file.
type Part struct {
	Kind  PartKind
	Text  []byte
	Notes []Finding // about the file, such as a wrong count in BTS-1
}

// Meaning reads messages and does what they ask: package hl7.
type Meaning interface {
	// Read parses what a message says of itself. EINVALID when it is no HL7 at all, and
	// nothing can be answered in HL7's terms.
	Read(text []byte) (Envelope, error)
	// Do does what a message asks, in a transaction, and answers it. An error is of the
	// store: the message is then tried again.
	Do(ctx context.Context, tx Tx, by auth.Principal, r Request) (Result, error)
	// Refuse answers a message that is not looked at, with what is wrong.
	Refuse(r Request, outcome Outcome, f Finding) Result
	// Split goes through a file of messages, with or without wrapper.
	Split(file io.Reader, each func(p Part) error) error
	// Wrap makes the wrapper of an answer file to one that was wrapped by head; nothing when
	// it was not. n is how many answers it holds.
	Wrap(head string, at time.Time, n int) (before, after []byte)
	// Deduct takes a given dose off the stock by the rules of an exchange; code and reason
	// say which of them speaks against it, code "" that none did.
	Deduct(ctx context.Context, tx Tx, by auth.Principal, dose string) (code, reason string, err error)
}

// Service is the exchange of records.
type Service struct {
	store   Store
	means   Meaning
	clock   coldkeep.Clock
	seal    *auth.Sealer
	wake    chan struct{}
	retries map[string]int // of messages of files that could not be done, by id; Step's alone
}

// New returns the service. Texts of messages are sealed by seal; nil keeps them in clear.
// Files are worked through while Work runs.
func New(store Store, means Meaning, clock coldkeep.Clock, seal *auth.Sealer) *Service {
	return &Service{store: store, means: means, clock: clock, seal: seal, wake: make(chan struct{}, 1), retries: map[string]int{}}
}

func (s *Service) woken() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// sealed and opened are a text as it is kept, and as it was.
func (s *Service) sealed(text []byte, id string) []byte {
	if s.seal == nil || text == nil {
		return text
	}
	return []byte(s.seal.Seal(string(text), id))
}

func (s *Service) opened(text []byte, id string) ([]byte, error) {
	if text == nil || !auth.IsSealed(string(text)) {
		return text, nil
	}
	if s.seal == nil {
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "messages are sealed, and no secret key is set up to open them: name its file (--secret-key-file)")
	}
	out, err := s.seal.Open(string(text), id)
	return []byte(out), err
}

// entry begins an audit entry of by's.
func (s *Service) entry(by auth.Principal, what, subject string, site coldkeep.SiteID, why, detail string) audit.Entry {
	return audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: subject, Site: site, Why: why, Detail: detail}
}

// sha is the sum of a message's text, whatever its lines end with and whatever frames it.
func sha(text []byte) string {
	h := sha256.New()
	start, b := 0, text
	put := func(line []byte) {
		if len(line) > 0 {
			_, _ = h.Write(line) // never fails
			_, _ = h.Write([]byte{'\r'})
		}
	}
	for i, c := range b {
		if c == '\r' || c == '\n' || c == '\v' || c == '\f' || c == 0x1c {
			put(b[start:i])
			start = i + 1
		}
	}
	put(b[start:])
	return hex.EncodeToString(h.Sum(nil))
}

// acting is who a message is done as: by, for the site that it speaks for. A site whose
// enrolment has ended records nothing, whoever speaks for it.
func (s *Service) acting(ctx context.Context, by auth.Principal, site coldkeep.SiteID) (auth.Principal, error) {
	if site == by.Site {
		return by, nil
	}
	until, err := s.store.EnrolledUntil(ctx, site)
	if err != nil {
		return by, err
	}
	by.Site, by.Lapsed = site, until != nil && !s.clock.Now().Before(*until)
	return by, nil
}

// sender is what is agreed on with who sends. A person who uploads a file speaks for the
// own site, as it is.
func (s *Service) sender(ctx context.Context, by auth.Principal) (Sender, error) {
	if by.Role != "" {
		return Sender{Account: by.ID, Name: by.Name, Site: by.Site, Production: true, Answers: Always}, nil
	}
	has, err := s.store.ExchangeSender(ctx, by.ID)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		has, err = Sender{Account: by.ID, Answers: Always}, nil
	}
	has.Name, has.Site = by.Name, by.Site
	return has, err
}

// speaksFor is the site that a message of a sender is from. ok is false when the sender
// may not speak for that facility.
func (s *Sender) speaksFor(facility string) (site coldkeep.SiteID, ok bool) {
	if len(s.Facilities) == 0 {
		return s.Site, true
	}
	for _, f := range s.Facilities {
		if fold(f.Code) == fold(facility) {
			return f.Site, true
		}
	}
	return "", false
}

var errGivenUp = errors.New("given up")
