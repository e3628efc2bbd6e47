package immunization

import (
	"context"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// Schedule gives the engine of the schedule in force.
type Schedule interface {
	Engine() *forecast.Engine
}

// Service is what was done to protect patients.
type Service struct {
	store    Store
	schedule Schedule
	codes    *vaccine.Codes
	clock    coldkeep.Clock

	statements Statements // absent: nobody looks
}

// Statements looks at the Vaccine Information Statements that are to be recorded with a dose.
type Statements interface {
	Check(ctx context.Context, handed []VIS) ([]Warning, error)
}

// CheckStatements names who looks at the statements of a dose. It is to be called before the service is
// used; without it every edition is taken as it comes.
func (s *Service) CheckStatements(by Statements) { s.statements = by }

// ofStatements are the warnings about a dose's statements.
func (s *Service) ofStatements(ctx context.Context, d *Dose) ([]Warning, error) {
	if s.statements == nil || d.Kind != Administered {
		return nil, nil
	}
	return s.statements.Check(ctx, d.VIS)
}

// New returns the service.
func New(store Store, schedule Schedule, codes *vaccine.Codes, clock coldkeep.Clock) *Service {
	return &Service{store: store, schedule: schedule, codes: codes, clock: clock}
}

// Codes are the vaccine code sets that the service works by.
func (s *Service) Codes() *vaccine.Codes { return s.codes }

// open reads the gate of a person's record and asks whether by may do perm with it. What
// is refused is in the trail as well, in a transaction of its own, since that of the
// caller is given up.
func (s *Service) open(ctx context.Context, tx Tx, by auth.Principal, id string, perm auth.Permission) (patient.Gate, error) {
	g, err := tx.PatientGate(ctx, id, by.ID, s.clock.Now())
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return g, absent(err, "patient", id, perm)
	}
	if err != nil {
		return g, err
	}
	if err := g.Require(by, perm); err != nil {
		return g, &refusal{err, "patient/" + g.Head, perm}
	}
	return g, nil
}

// refusal is a record that did not open, or an id of nothing.
type refusal struct {
	error
	subject string
	perm    auth.Permission
}

// absent makes a refusal of ENOTFOUND: who tries out ids, of patients, doses or of other
// entries, is seen.
func absent(err error, kind, id string, perm auth.Permission) error {
	if coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		return err
	}
	return &refusal{err, kind + "/" + id[:min(len(id), ulid.EncodedSize)], perm}
}

func (r *refusal) Unwrap() error { return r.error }

// tx runs do in a transaction. When a record did not open to by, it writes that down.
func (s *Service) tx(ctx context.Context, by auth.Principal, do func(Tx) error) error {
	err := s.store.Tx(ctx, do)
	r, ok := err.(*refusal) //nolint:errorlint // open's own, handed through
	switch {
	case !ok:
		return err
	case !by.Known():
		return r.error
	}
	if e := s.store.Tx(ctx, func(tx Tx) error {
		return tx.Audit(ctx, s.entry(by, "doses.refused", r.subject, "", string(r.perm)))
	}); e != nil {
		return e
	}
	return r.error
}

// may is nil when by may do perm at all. A refusal is in the trail of the patient whom whose
// names.
func (s *Service) may(ctx context.Context, by auth.Principal, perm auth.Permission, site coldkeep.SiteID, whose func(Tx) (string, error)) error {
	refused := by.Require(perm, site)
	if coldkeep.ErrorCode(refused) != coldkeep.EFORBIDDEN {
		return refused
	}
	err := s.store.Tx(ctx, func(tx Tx) error {
		id, err := whose(tx)
		subject := "patient/" + id
		if r, ok := err.(*refusal); ok { //nolint:errorlint // absent's own, handed through
			subject = r.subject // there is nobody whose trail it would be in
		} else if err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "doses.refused", subject, "", string(perm)))
	})
	if err != nil {
		return err
	}
	return refused
}

// of names a patient, and ofDose the patient of a dose, for may.
func of(patient string) func(Tx) (string, error) {
	return func(Tx) (string, error) { return patient, nil }
}

func ofDose(ctx context.Context, id string) func(Tx) (string, error) {
	return func(tx Tx) (string, error) {
		d, err := tx.Dose(ctx, id)
		return d.Patient, absent(err, "dose", id, auth.RecordDoses)
	}
}

// entry begins an audit entry of by's.
func (s *Service) entry(by auth.Principal, what, subject, why, detail string) audit.Entry {
	return audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: subject, Site: by.Site, Why: why, Detail: detail}
}

// today is the calendar day at a site.
func (s *Service) today(ctx context.Context, tx Tx, site coldkeep.SiteID) (coldkeep.Date, error) {
	zone := time.UTC
	if site != "" {
		of, err := tx.Site(ctx, site)
		if err != nil {
			return 0, err
		}
		if l, err := time.LoadLocation(of.TimeZone); err == nil {
			zone = l
		}
	}
	return coldkeep.DateOf(s.clock.Now().In(zone)), nil
}

// checkReason asks for the words that a correction needs.
func checkReason(why string) (string, error) {
	why = strings.TrimSpace(why)
	if why == "" {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "Reason: please say why.")
	}
	if len(why) > 2000 {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "Reason: want at most 2000 characters.")
	}
	return why, nil
}

// field bounds a text and takes off the blanks around it.
func field(name string, value *string, most int) error {
	*value = strings.TrimSpace(*value)
	if len(*value) > most {
		return coldkeep.Errorf(coldkeep.EINVALID, "%s: want at most %d characters.", name, most)
	}
	return nil
}
