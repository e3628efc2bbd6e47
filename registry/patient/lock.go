package patient

import (
	"context"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Form is a signed form on file: who signed what it says, and when.
type Form struct {
	Signer   string        // the patient, or who answers for the patient
	Relation string        // HL7 table 0063, "SEL" for the patient
	Signed   coldkeep.Date // the day on the form
	Kept     string        // where the paper is, such as "chart"
}

// check gives the form in words, for the record.
func (f Form) check(today coldkeep.Date) (string, error) {
	if err := text("Signed by", &f.Signer, 120); err != nil {
		return "", err
	}
	if err := text("Kept where", &f.Kept, 120); err != nil {
		return "", err
	}
	switch {
	case !hasLetter(f.Signer):
		return "", invalid("Signed by", "is missing.")
	case !known(Relations, f.Relation):
		return "", invalid("Relation", "choose one, such as mother, or self.")
	case !f.Signed.Known() || f.Signed > today:
		return "", invalid("Signed on", "want the day on the form, not in the future.")
	}
	words := fmt.Sprintf("signed %s by %s (%s)", f.Signed, f.Signer, Title(Relations, f.Relation))
	if f.Kept != "" {
		words += ", kept in " + f.Kept
	}
	return words, nil
}

// Lock closes a person's record after an opt-out (77 Ill. Adm. Code 689.80): from
// then on only the state and by's site see it. EINVALID when the form lacks something,
// ECONFLICT when it is locked, EFORBIDDEN.
func (s *Service) Lock(ctx context.Context, by auth.Principal, id string, f Form) error {
	if err := s.may(ctx, by, auth.LockPatients, "patient.lock", id); err != nil {
		return err
	}
	words, err := f.check(s.today())
	if err != nil {
		return err
	}
	return s.guarded(ctx, by, "patient.lock", id, func(tx Tx) error {
		g, err := s.gate(ctx, tx, by, id, auth.LockPatients)
		if err != nil {
			return err
		}
		if g.Locked {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "This record is locked already.")
		}
		now := s.clock.Now()
		// Every record of the person is locked, so that an un-merge opens none.
		for _, member := range g.Family {
			if err := tx.InsertLock(ctx, LockRecord{ID: ulid.Make().String(), Patient: member, Lock: Lock{Site: by.Site, By: by.Name, At: now, Form: words}}); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, s.entry(by, "patient.lock", g.Head, "", "opt-out form on file"))
	})
}

// Unlock opens a record again by a form that opts back in. EINVALID, ECONFLICT when it is
// not locked, EFORBIDDEN when by is neither the state nor the site that locked it.
func (s *Service) Unlock(ctx context.Context, by auth.Principal, id string, f Form) error {
	if err := s.may(ctx, by, auth.LockPatients, "patient.unlock", id); err != nil {
		return err
	}
	words, err := f.check(s.today())
	if err != nil {
		return err
	}
	return s.guarded(ctx, by, "patient.unlock", id, func(tx Tx) error {
		g, err := s.gate(ctx, tx, by, id, auth.LockPatients)
		if err != nil {
			return err
		}
		if !g.Locked {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "This record is not locked.")
		}
		if err := tx.EndLocks(ctx, g.Family, by.Name, words, s.clock.Now()); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "patient.unlock", g.Head, "", "opt-in form on file"))
	})
}

// BreakGlass opens a locked record to by in an emergency, for viewing alone and for one
// hour. The record must have been found by a search, or be of a patient of the practice.
// The state is told: Emergencies lists it until somebody there has looked at it. EINVALID
// without a reason, EFORBIDDEN, ECONFLICT when the record is not locked to by.
func (s *Service) BreakGlass(ctx context.Context, by auth.Principal, id, why string) (until time.Time, err error) {
	if err := s.may(ctx, by, auth.BreakGlass, "patient.emergency", id); err != nil {
		return until, err
	}
	why, err = reason(why)
	if err != nil {
		return until, err
	}
	err = s.guarded(ctx, by, "patient.emergency", id, func(tx Tx) error {
		now := s.clock.Now()
		g, err := tx.PatientGate(ctx, id, by.ID, now)
		if err != nil {
			return err
		}
		if !g.Granted && !g.Own(by.Site) {
			return coldkeep.Errorf(coldkeep.EFORBIDDEN, "Search for the patient first, by name and birth date or by an identifier.")
		}
		if !g.Locked || g.Require(by, auth.ViewPatients) == nil {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "This record is open to you already.")
		}
		until = now.Add(emergencyLife)
		if err := tx.InsertEmergency(ctx, Emergency{ID: ulid.Make().String(), Patient: g.Head, WhoID: by.ID, Who: by.Name, Site: by.Site, At: now, Until: until, Why: why}); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "patient.emergency", g.Head, why, "locked record opened for viewing until "+until.UTC().Format(time.RFC3339)))
	})
	return until, err
}

// Emergencies lists locked records that were opened in an emergency: those that the state
// has not looked at yet, or those it has, the latest first. It names who opened them and
// why, not the patient. EFORBIDDEN unless by may read the audit.
func (s *Service) Emergencies(ctx context.Context, by auth.Principal, open bool) ([]Emergency, error) {
	if err := by.Require(auth.ReadAudit, ""); err != nil {
		return nil, err
	}
	return s.store.Emergencies(ctx, open, 200)
}

// ReviewEmergency records what the state found. EINVALID without words, ECONFLICT when
// somebody has reviewed it, EFORBIDDEN.
func (s *Service) ReviewEmergency(ctx context.Context, by auth.Principal, id, review string) error {
	if err := by.Require(auth.ReadAudit, ""); err != nil {
		return err
	}
	review, err := reason(review)
	if err != nil {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		if err := tx.ReviewEmergency(ctx, id, by.Name, review, s.clock.Now()); err != nil {
			return err
		}
		e := s.entry(by, "patient.emergency-review", "", review, "")
		e.Subject = "emergency/" + id
		return tx.Audit(ctx, e)
	})
}
