// Package vis is the Vaccine Information Statements: which editions there are and which are
// current, which belong to a dose, the statements themselves in the languages that the
// programme has put in, and what was handed over with doses. A current statement is given
// before each dose, each time, and its edition and the day are part of the record (42 U.S.C.
// 300aa-26).
//
// Editions come with the code sets. What the programme adds, or says otherwise of one, is
// kept beside them and goes first; nothing is replaced.
package vis

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// Statement is an edition of a Vaccine Information Statement.
type Statement struct {
	Code    string        // the 24 digits of its barcode
	Name    string        // such as "Polio Vaccine"
	Edition coldkeep.Date // its date
	Current bool
	CVX     []string
	Several bool   // it stands for several statements at once: the one for a baby's first vaccines
	Address string // CDC's page of the English text; "" not known
	Added   bool   // by the programme, or said otherwise of by it
	By, Why string // who did so, and why
	Texts   []Text // without their content, the English one first
}

// Document is the part of a code that all editions of one statement share.
func (s *Statement) Document() string { return documentOf(s.Code) }

func documentOf(code string) string {
	if len(code) != 24 {
		return code
	}
	return code[3:16]
}

// Language finds the text in a language; absent when there is none.
func (s *Statement) Language(code string) *Text {
	for i := range s.Texts {
		if s.Texts[i].Language == code {
			return &s.Texts[i]
		}
	}
	return nil
}

// Text is a statement in one language: a file, or where it is to be had.
type Text struct {
	ID        string
	Code      string
	Language  string // ISO 639-2, such as "spa"
	Address   string // https; "" for a file
	Media     string // of a file: "application/pdf" or "text/plain; charset=utf-8"
	Content   []byte
	SHA256    string
	Size      int64
	Withdrawn bool // the language is no longer offered
	Why       string
	By        string
	At        time.Time
	Builtin   bool // CDC's own, which comes with the data
}

// Edition is what the programme has said of an edition.
type Edition struct {
	ID      string
	Code    string
	Name    string
	Edition coldkeep.Date
	Current bool
	CVX     []string
	Why     string
	By      string
	At      time.Time
}

// Given is a dose as the report about statements looks at it.
type Given struct {
	Dose    string
	Patient string
	CVX     string
	On      coldkeep.Date
	VIS     []immunization.VIS
}

// Reader reads what is kept. A missing row is ENOTFOUND.
type Reader interface {
	Editions(ctx context.Context) ([]Edition, error)              // the latest of each code
	Texts(ctx context.Context) ([]Text, error)                    // the latest of each code and language, without content
	Text(ctx context.Context, id string) (Text, error)            // with its content
	TextHistory(ctx context.Context, code string) ([]Text, error) // all of a code, the latest first, without content
	PatientGate(ctx context.Context, id, who string, at time.Time) (patient.Gate, error)
	Doses(ctx context.Context, patients []string) ([]immunization.Dose, error)
	// GivenAt lists the doses that a practice has given on the days from one to another, at
	// most limit after an id, but for those of people whose record another has locked.
	GivenAt(ctx context.Context, site coldkeep.SiteID, from, to coldkeep.Date, after string, limit int) ([]Given, error)
}

// Tx is a transaction on it.
type Tx interface {
	Reader
	audit.Writer
	InsertEdition(ctx context.Context, e Edition) error
	InsertText(ctx context.Context, t Text) error
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}

// Service is the statements.
type Service struct {
	store Store
	codes *vaccine.Codes
	clock coldkeep.Clock
}

// New returns the service.
func New(store Store, codes *vaccine.Codes, clock coldkeep.Clock) *Service {
	return &Service{store: store, codes: codes, clock: clock}
}

//go:embed documents.json
var documentsJSON []byte

// document is what is known of a statement in all its editions.
type document struct {
	Address string `json:"address"`
	Several bool   `json:"several"`
}

var documents = sync.OnceValue(func() map[string]document {
	var d map[string]document
	if err := json.Unmarshal(documentsJSON, &d); err != nil {
		panic("the built-in documents cannot be read: " + err.Error())
	}
	return d
})

// all merges what the programme has said with the code sets. Current ones come first, then
// by name, then the newest.
func (s *Service) all(ctx context.Context, r Reader) ([]Statement, error) {
	said, err := r.Editions(ctx)
	if err != nil {
		return nil, err
	}
	texts, err := r.Texts(ctx)
	if err != nil {
		return nil, err
	}
	byCode := map[string]*Statement{}
	for _, st := range s.codes.AllStatements() {
		byCode[st.Code] = &Statement{Code: st.Code, Name: strings.TrimSuffix(st.Name, " VIS"), Edition: st.Edition, Current: st.Current, CVX: st.CVX}
	}
	for _, e := range said {
		byCode[e.Code] = &Statement{Code: e.Code, Name: e.Name, Edition: e.Edition, Current: e.Current, CVX: e.CVX, Added: true, By: e.By, Why: e.Why}
	}
	for _, t := range texts {
		if st := byCode[t.Code]; st != nil && !t.Withdrawn {
			st.Texts = append(st.Texts, t)
		}
	}
	out := make([]Statement, 0, len(byCode))
	for _, st := range byCode {
		d := documents()[st.Document()]
		st.Several = d.Several
		// CDC's address is of the edition that is current, whichever that is.
		if st.Current && d.Address != "" {
			st.Address = d.Address
			if st.Language("eng") == nil {
				st.Texts = append(st.Texts, Text{Code: st.Code, Language: "eng", Address: d.Address, By: "CDC", Builtin: true})
			}
		}
		slices.SortFunc(st.Texts, func(a, b Text) int {
			return cmp.Or(first(a.Language == "eng", b.Language == "eng"), cmp.Compare(LanguageName(a.Language), LanguageName(b.Language)))
		})
		out = append(out, *st)
	}
	slices.SortFunc(out, func(a, b Statement) int {
		return cmp.Or(first(a.Current, b.Current), cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(b.Edition, a.Edition), cmp.Compare(a.Code, b.Code))
	})
	return out, nil
}

func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// LanguageName is a language in words.
func LanguageName(code string) string { return patient.Title(patient.Languages, code) }

// may is nil for who works with patients, or keeps the programme.
func may(by auth.Principal) error {
	if by.Anywhere(auth.ManageProgramme) {
		return nil
	}
	return by.Require(auth.SearchPatients, by.Site)
}

// List gives every edition, current ones first. EUNAUTHORIZED, EFORBIDDEN for who works
// with no patients.
func (s *Service) List(ctx context.Context, by auth.Principal) ([]Statement, error) {
	if err := may(by); err != nil {
		return nil, err
	}
	return s.all(ctx, s.store)
}

// Get finds an edition by its code. Errors as List; ENOTFOUND.
func (s *Service) Get(ctx context.Context, by auth.Principal, code string) (Statement, error) {
	all, err := s.List(ctx, by)
	if err != nil {
		return Statement{}, err
	}
	return find(all, code)
}

func find(all []Statement, code string) (Statement, error) {
	for _, st := range all {
		if st.Code == code {
			return st, nil
		}
	}
	return Statement{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no edition with the code %s.", code)
}

// Choice is the current statements that belong to a dose: each of them, or the one that
// stands for several at once.
type Choice struct {
	Each    []Statement
	Several []Statement
}

// Covers reports whether handing over some codes is enough: every statement of the vaccine,
// or one that stands for several. A vaccine without statements needs none.
func (c *Choice) Covers(codes []string) bool {
	has := func(st Statement) bool {
		return slices.ContainsFunc(codes, func(code string) bool { return documentOf(code) == st.Document() })
	}
	if slices.ContainsFunc(c.Several, has) {
		return true
	}
	for _, st := range c.Each {
		if !has(st) {
			return false
		}
	}
	return true
}

// For gives the statements to hand over before a dose of a vaccine. Errors as List.
func (s *Service) For(ctx context.Context, by auth.Principal, cvx string) (Choice, error) {
	all, err := s.List(ctx, by)
	if err != nil {
		return Choice{}, err
	}
	return choice(all, cvx), nil
}

func choice(all []Statement, cvx string) Choice {
	var c Choice
	for _, st := range all {
		switch {
		case !st.Current || !slices.Contains(st.CVX, cvx):
		case st.Several:
			c.Several = append(c.Several, st)
		default:
			c.Each = append(c.Each, st)
		}
	}
	return c
}

// outdated is the edition that was to be handed over instead of one on a day; absent when
// that one was right. A statement that is not known by its code cannot be judged.
func outdated(all []Statement, v immunization.VIS) *Statement {
	var newer *Statement
	for i := range all {
		st := &all[i]
		if st.Document() == documentOf(v.Document) && st.Edition > v.Edition && st.Edition <= v.Given && (newer == nil || st.Edition > newer.Edition) {
			newer = st
		}
	}
	return newer
}

// Check looks at the statements that are to be recorded with a dose, for the dose's form: an
// edition that a newer one had replaced by the day it was handed over is a warning.
func (s *Service) Check(ctx context.Context, handed []immunization.VIS) ([]immunization.Warning, error) {
	if len(handed) == 0 {
		return nil, nil
	}
	all, err := s.all(ctx, s.store)
	if err != nil {
		return nil, err
	}
	var out []immunization.Warning
	for _, v := range handed {
		if newer := outdated(all, v); newer != nil {
			out = append(out, immunization.Warning{Code: "vis-outdated", Text: newer.Name + ": the edition of " + v.Edition.String() + " is outdated; that of " + newer.Edition.String() + " is to be handed over."})
		}
	}
	return out, nil
}

func (s *Service) entry(by auth.Principal, what, subject, why, detail string) audit.Entry {
	return audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: subject, Site: by.Site, Why: why, Detail: detail}
}
