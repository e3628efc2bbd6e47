// Package onboarding takes over a practice's patients and doses from a file: it is read,
// every row is looked at without changing anything (a dry run), and once a person has
// said so the rows are taken over one by one. A row that is wrong never stops the others,
// the same file again is the same import, and a process that dies goes on where it was.
package onboarding

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// State is where an import stands.
type State string

// The states of an import.
const (
	Checking State = "checking" // its rows are looked at
	Checked  State = "checked"  // it waits for a person
	Taking   State = "taking"   // its rows are taken over
	Done     State = "done"
	Dropped  State = "dropped" // nobody took it over in time, and its values are gone
)

// Verdict is what is said of a row.
type Verdict string

// The verdicts. More is a further row of a patient of the same file.
const (
	Fresh    Verdict = "new"
	Matched  Verdict = "matched"
	Possible Verdict = "possible" // may be somebody who is there: entered by itself, and a person decides
	More     Verdict = "more"
	Refused  Verdict = "refused"
)

// Import is a file of a practice's.
type Import struct {
	ID     string
	Site   coldkeep.SiteID
	SHA256 string
	State  State
	Total  int // rows
	ByID   string
	By     string
	At     time.Time
	Ended  *time.Time // absent: it goes on
	// Cleared is when the uploaded values were deleted; absent: they are there.
	Cleared *time.Time
}

// Line is a row with what was said of it.
type Line struct {
	Row
	Seq     int     // its place in the file, from 1
	Verdict Verdict // "" before it was looked at
	Patient string  // once it was taken over
	Done    bool
}

// Counts is how far an import is.
type Counts struct {
	Looked, Taken int
	Verdicts      map[Verdict]int
}

// Reader reads what is kept. A missing row is ENOTFOUND.
type Reader interface {
	Site(ctx context.Context, id coldkeep.SiteID) (coldkeep.Site, error)
	Import(ctx context.Context, id string) (Import, error)
	ImportByFile(ctx context.Context, site coldkeep.SiteID, sha256 string) (Import, error)
	Imports(ctx context.Context, site coldkeep.SiteID) ([]Import, error) // the latest first
	ImportCounts(ctx context.Context, id string) (Counts, error)
	// ImportFindings lists rows with findings after line n.
	ImportFindings(ctx context.Context, id string, after, limit int) ([]Line, error)
	// ImportWork gives an import that waits for the program, and rows of it that are next;
	// ENOTFOUND when there is none.
	ImportWork(ctx context.Context, limit int) (Import, []Line, error)
	// ImportsToClear lists imports whose values are there and that ended, or wait to be
	// taken over since they were sent, before a time.
	ImportsToClear(ctx context.Context, before time.Time) ([]Import, error)
	// ImportLines lists lines after line n.
	ImportLines(ctx context.Context, id string, after, limit int) ([]Line, error)
}

// Tx is a transaction on it, on patients and on doses.
type Tx interface {
	Reader
	patient.Tx
	immunization.Tx
	audit.Writer
	InsertImport(ctx context.Context, i Import, rows []Row) error
	SetImportState(ctx context.Context, id string, from, to State, at *time.Time) error // ECONFLICT when it is not in from
	PutImportLine(ctx context.Context, id string, l Line, at *time.Time) error
	// ClearImportLine replaces what was uploaded of a line; its verdict and findings stay.
	ClearImportLine(ctx context.Context, id string, seq int, left Row) error
	// ClearImport says since when an import's values are gone. One in state Dropped frees
	// its file: it may be sent again. ECONFLICT when it is not in state from.
	ClearImport(ctx context.Context, id string, from, to State, at time.Time) error
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}

// Service is the taking over of files.
type Service struct {
	store    Store
	patients *patient.Service
	doses    *immunization.Service
	clock    coldkeep.Clock
	wake     chan struct{}
}

// New returns the service. Its work is done while Work runs.
func New(store Store, patients *patient.Service, doses *immunization.Service, clock coldkeep.Clock) *Service {
	return &Service{store: store, patients: patients, doses: doses, clock: clock, wake: make(chan struct{}, 1)}
}

func (s *Service) woken() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Upload reads a file of by's practice and begins its dry run. The same file again gives
// the import that there is. EFORBIDDEN when by may not import for a practice, EINVALID
// when it is no file of rows.
func (s *Service) Upload(ctx context.Context, by auth.Principal, file io.Reader) (Import, error) {
	var i Import
	if err := s.may(by); err != nil {
		return i, err
	}
	body, err := io.ReadAll(io.LimitReader(file, MaxBytes+1))
	if err != nil {
		return i, coldkeep.Wrap(err, coldkeep.EINVALID, "onboarding.Upload", "The file could not be read.")
	}
	rows, err := Read(bytes.NewReader(body))
	if err != nil {
		return i, err
	}
	if len(rows) == 0 {
		return i, coldkeep.Errorf(coldkeep.EINVALID, "The file has no rows under its heading.")
	}
	sum := sha256.Sum256(body)
	i = Import{ID: ulid.Make().String(), Site: by.Site, SHA256: hex.EncodeToString(sum[:]), State: Checking, Total: len(rows), ByID: by.ID, By: by.Name, At: s.clock.Now()}
	err = s.store.Tx(ctx, func(tx Tx) error {
		has, err := tx.ImportByFile(ctx, by.Site, i.SHA256)
		if err == nil {
			i = has
			return nil
		}
		if coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			return err
		}
		if err := tx.InsertImport(ctx, i, rows); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "import.upload", i, ""))
	})
	s.woken()
	return i, err
}

// may asks for a person of one practice: what is taken over is that practice's.
func (s *Service) may(by auth.Principal) error {
	if err := by.Require(auth.ImportPatients, by.Site); err != nil {
		return err
	}
	if by.Site == "" {
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "A file is imported by somebody of the practice whose patients they are.")
	}
	return nil
}

func (s *Service) entry(by auth.Principal, what string, i Import, detail string) audit.Entry {
	return audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: "import/" + i.ID, Site: i.Site, Detail: detail}
}

// Progress is an import with how far it is, and rows with findings.
type Progress struct {
	Import
	Counts
	Findings []Line
}

// Get gives an import of by's practice, with at most limit rows that have findings after
// a line. EFORBIDDEN, ENOTFOUND.
func (s *Service) Get(ctx context.Context, by auth.Principal, id string, after, limit int) (Progress, error) {
	var p Progress
	if err := s.may(by); err != nil {
		return p, err
	}
	i, err := s.store.Import(ctx, id)
	if err == nil && i.Site != by.Site {
		err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such import.")
	}
	if err != nil {
		return p, err
	}
	p.Import = i
	if p.Counts, err = s.store.ImportCounts(ctx, id); err != nil {
		return p, err
	}
	p.Findings, err = s.store.ImportFindings(ctx, id, after, limit)
	return p, err
}

// List gives the imports of by's practice, the latest first. EFORBIDDEN.
func (s *Service) List(ctx context.Context, by auth.Principal) ([]Import, error) {
	if err := s.may(by); err != nil {
		return nil, err
	}
	return s.store.Imports(ctx, by.Site)
}

// Take begins to take over the rows of an import that was looked at. EFORBIDDEN,
// ENOTFOUND, ECONFLICT when it is not waiting for it.
func (s *Service) Take(ctx context.Context, by auth.Principal, id string) error {
	if err := s.may(by); err != nil {
		return err
	}
	err := s.store.Tx(ctx, func(tx Tx) error {
		i, err := tx.Import(ctx, id)
		if err == nil && i.Site != by.Site {
			err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such import.")
		}
		if err != nil {
			return err
		}
		if err := tx.SetImportState(ctx, id, Checked, Taking, nil); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "import.take", i, ""))
	})
	s.woken()
	return err
}

// Work looks at and takes over what there is, until ctx ends. failed hears of what keeps
// it from working; it tries again.
func (s *Service) Work(ctx context.Context, failed func(error)) {
	pause := time.NewTicker(20 * time.Second) // also what another process was given
	defer pause.Stop()
	for {
		more, err := s.Step(ctx)
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		if more && err == nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-pause.C:
		}
	}
}

// chunk is how many rows are done between two looks at what there is to do.
const chunk = 50

// Step does some rows of the import that has waited longest. more says that there was
// something to do.
func (s *Service) Step(ctx context.Context) (more bool, err error) {
	i, lines, err := s.store.ImportWork(ctx, chunk)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	by := auth.System(i.By)
	by.ID, by.Site = i.ByID, i.Site
	if len(lines) == 0 {
		return true, s.store.Tx(ctx, func(tx Tx) error {
			if i.State == Checking {
				return tx.SetImportState(ctx, i.ID, Checking, Checked, nil)
			}
			now := s.clock.Now()
			if err := tx.SetImportState(ctx, i.ID, Taking, Done, &now); err != nil {
				return err
			}
			return tx.Audit(ctx, s.entry(by, "import.done", i, ""))
		})
	}
	of, err := s.store.Site(ctx, i.Site)
	if err != nil {
		return true, err
	}
	for _, l := range lines {
		if i.State == Checking {
			err = s.look(ctx, by, i, l, of)
		} else {
			err = s.take(ctx, by, i, l, of)
		}
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// look is the dry run of one row.
func (s *Service) look(ctx context.Context, by auth.Principal, i Import, l Line, of coldkeep.Site) error {
	e, findings := l.Entry(s.doses.Codes(), of.Name)
	today := coldkeep.DateOf(s.clock.Now().Add(14 * time.Hour)) // the latest day that has begun on earth
	for k := range e.Patient.Identifiers {
		if d := &e.Patient.Identifiers[k]; d.Kind == "MR" {
			d.Assigner = string(i.Site)
		}
	}
	if !refused(findings) {
		if err := e.Patient.Normalise(today); err != nil {
			findings = append(findings, Finding{What: coldkeep.ErrorMessage(err), Refuse: true})
		} else if e.Dose != nil {
			if err := s.doses.Check(*e.Dose, immunization.Subject{Birth: e.Patient.Birth}, today); err != nil {
				findings = append(findings, Finding{What: coldkeep.ErrorMessage(err), Refuse: true})
			}
		}
	}
	switch {
	case refused(findings):
		l.Verdict = Refused
	case !l.First:
		l.Verdict = More
	default:
		d, err := s.patients.Match(ctx, by, &e.Patient)
		if err != nil {
			return err
		}
		switch d.Outcome {
		case patient.Matched:
			l.Verdict = Matched
		case patient.Possible:
			l.Verdict = Possible
			findings = append(findings, Finding{What: "The patient may be one who is in the registry already.", Advice: "It is entered by itself, and the state decides whether they are one."})
		default:
			l.Verdict = Fresh
		}
	}
	l.Findings = findings
	return s.store.Tx(ctx, func(tx Tx) error { return tx.PutImportLine(ctx, i.ID, l, nil) })
}

func refused(all []Finding) bool {
	return slices.ContainsFunc(all, func(f Finding) bool { return f.Refuse })
}

// take takes over one row, patient and dose in one transaction. A row that is refused now
// says so and the rest goes on.
func (s *Service) take(ctx context.Context, by auth.Principal, i Import, l Line, of coldkeep.Site) error {
	now := s.clock.Now()
	e, _ := l.Entry(s.doses.Codes(), of.Name)
	err := s.store.Tx(ctx, func(tx Tx) error {
		id, _, err := s.patients.Resolve(ctx, tx, by, e.Patient)
		if err != nil {
			return err
		}
		if e.Dose != nil {
			d := *e.Dose
			d.Patient = id
			if _, err := s.doses.RecordIn(ctx, tx, by, d); err != nil {
				return err
			}
		}
		l.Patient = id
		return tx.PutImportLine(ctx, i.ID, l, &now)
	})
	switch coldkeep.ErrorCode(err) {
	case coldkeep.EINVALID, coldkeep.EFORBIDDEN, coldkeep.ECONFLICT, coldkeep.ENOTFOUND:
		l.Verdict, l.Patient = Refused, ""
		l.Findings = append(l.Findings, Finding{What: coldkeep.ErrorMessage(err), Refuse: true})
		return s.store.Tx(ctx, func(tx Tx) error { return tx.PutImportLine(ctx, i.ID, l, &now) })
	}
	return err
}
