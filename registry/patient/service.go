package patient

import (
	"context"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

const (
	// grantLife is for how long a record opens to who has found it by a search: a working
	// shift.
	grantLife = 12 * time.Hour
	// emergencyLife is for how long a locked record opens in an emergency.
	emergencyLife = time.Hour
	// A person may search so often in one slot of time: more than any clinic's rush, less
	// than trying out names takes.
	searchSlot = 10 * time.Minute
	searchMost = 120
)

// Service is the registry's people.
type Service struct {
	store   Store
	clock   coldkeep.Clock
	weights *Weights
	family  Family
}

// Family is what else is kept of the records of a person and must be looked at anew when
// records have become one, or two: which doses tell of one.
type Family interface {
	// FamilyChanged is called in the transaction that has merged records or taken a merge
	// apart, once for each person that is there afterwards; head is the standing record.
	FamilyChanged(ctx context.Context, tx Tx, head string) error
	// EnteredSince lists what was entered under each record from a time on, by time.
	EnteredSince(ctx context.Context, tx Tx, since map[string]time.Time) ([]Entered, error)
	// Assign moves entries from the records of a person that head stands for to the one
	// that a merge had folded into them, before the two are apart. EINVALID for one that
	// EnteredSince does not list.
	Assign(ctx context.Context, tx Tx, by auth.Principal, m Merge, head string, since map[string]time.Time, move []string) error
}

// Follow names who is told of merges. It is to be called before the service is used.
func (s *Service) Follow(f Family) { s.family = f }

// familyChanged tells of the people that a merge, or its end, has left.
func (s *Service) familyChanged(ctx context.Context, tx Tx, heads ...string) error {
	if s.family == nil {
		return nil
	}
	for _, head := range heads {
		if err := s.family.FamilyChanged(ctx, tx, head); err != nil {
			return err
		}
	}
	return nil
}

// New returns the service.
func New(store Store, clock coldkeep.Clock) *Service {
	return &Service{store: store, clock: clock, weights: DefaultWeights}
}

// today is the latest day that has begun anywhere on earth (UTC+14).
func (s *Service) today() coldkeep.Date { return coldkeep.DateOf(s.clock.Now().Add(14 * time.Hour)) }

// entry begins an audit entry of by's about a patient.
func (s *Service) entry(by auth.Principal, what, id, why, detail string) audit.Entry {
	return audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: "patient/" + id, Site: by.Site, Why: why, Detail: detail}
}

// guarded runs do in a transaction on a record. When the record does not open, or there is
// none, that is in the trail as well: the refusal is written in a transaction of its own, since do's has
// been given up.
func (s *Service) guarded(ctx context.Context, by auth.Principal, what, id string, do func(Tx) error) error {
	if !by.Known() {
		return coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	err := s.store.Tx(ctx, do)
	detail := "not allowed"
	switch code := coldkeep.ErrorCode(err); {
	case code == coldkeep.ENOTFOUND && id != "":
		detail = "there is no such record" // who tries out ids is seen
		id = id[:min(len(id), ulid.EncodedSize)]
	case code != coldkeep.EFORBIDDEN:
		return err
	case IsLocked(err):
		detail = "the record is locked"
	}
	if e := s.store.Tx(ctx, func(tx Tx) error { return tx.Audit(ctx, s.entry(by, what+".refused", id, "", detail)) }); e != nil {
		return e
	}
	return err
}

// may is nil when by may do perm at all. A refusal is in the trail.
func (s *Service) may(ctx context.Context, by auth.Principal, perm auth.Permission, what, id string) error {
	if err := by.Require(perm, by.Site); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
		return err
	}
	return s.guarded(ctx, by, what, id, func(Tx) error { return by.Require(perm, by.Site) })
}

// May is nil when by's role allows perm at all, whether or not the record opens, for forms
// that show nothing of it. EUNAUTHORIZED, EFORBIDDEN; a refusal is in the record's trail.
func (s *Service) May(ctx context.Context, by auth.Principal, perm auth.Permission, what, id string) error {
	return s.may(ctx, by, perm, what, id)
}

// gate reads what decides about a record and asks it. The record it speaks of is the
// standing one.
func (s *Service) gate(ctx context.Context, tx Tx, by auth.Principal, id string, perm auth.Permission) (Gate, error) {
	if err := by.Require(perm, by.Site); err != nil {
		return Gate{}, err
	}
	g, err := tx.PatientGate(ctx, id, by.ID, s.clock.Now())
	if err != nil {
		return g, err
	}
	return g, g.Require(by, perm)
}

// change makes one change of a record: it asks the gate, reads the standing record, lets
// do change it, and keeps the new version with the history of what was changed. revision
// is the one the change was made on; 0 takes the latest.
func (s *Service) change(ctx context.Context, by auth.Principal, id, what, why string, revision int64,
	do func(tx Tx, p *Patient) (detail string, err error)) (Patient, error) {
	var p Patient
	err := s.guarded(ctx, by, what, id, func(tx Tx) error {
		g, err := s.gate(ctx, tx, by, id, auth.EditPatients)
		if err != nil {
			return err
		}
		if p, err = tx.Patient(ctx, g.Head); err != nil {
			return err
		}
		if revision != 0 && revision != p.Revision {
			return errStale
		}
		return s.keep(ctx, tx, by, &p, what, why, func(p *Patient) (string, error) { return do(tx, p) })
	})
	return p, err
}

var errStale = coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody else has changed this record since you opened it. Look at it again, then make your change.")

// keep changes a record that has been read and writes it with history and trail. A change
// that changes nothing leaves the revision as it is.
func (s *Service) keep(ctx context.Context, tx Tx, by auth.Principal, p *Patient, what, why string, do func(*Patient) (string, error)) error {
	before := *p
	detail, err := do(p)
	if err != nil {
		return err
	}
	now := s.clock.Now()
	fields := changedFields(&before, p)
	words := make([]string, 0, len(fields)+1)
	for _, f := range fields {
		words = append(words, f.Field) // the values are in the record's history, not in the trail
	}
	if detail != "" {
		words = append(words, detail)
	}
	if len(words) == 0 {
		return nil
	}
	p.Revision, p.UpdatedAt = before.Revision+1, now.UTC().Truncate(time.Millisecond)
	if err := tx.UpdatePatient(ctx, *p, before.Revision); err != nil {
		return err
	}
	if fields == nil {
		fields = []FieldChange{}
	}
	if err := tx.InsertChange(ctx, Change{ID: ulid.Make().String(), Patient: p.ID, Revision: p.Revision, At: now, WhoID: by.ID, Who: by.Name, Site: by.Site,
		What: what, Why: why, Fields: fields}); err != nil {
		return err
	}
	return tx.Audit(ctx, s.entry(by, what, p.ID, why, strings.Join(words, ", ")))
}

// reason checks a person's why.
func reason(why string) (string, error) {
	why = tidy(why)
	if len(why) < 4 || len(why) > 2000 {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "Reason: say why, in 4 to 2000 characters.")
	}
	return why, nil
}
