package recall

import (
	"context"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// family is who acts by a link or by an answer: whoever holds the address or the number.
var family = func() auth.Principal { return auth.System("The family, by its own word") }

// StopPage is what the page behind a link shows: whose messages end, and nothing of whom
// they were about.
type StopPage struct {
	Clinic, Phone, Language string
	Ended                   bool // they have ended
}

// StopPage gives it. ENOTFOUND for a link that was never sent.
func (s *Service) StopPage(ctx context.Context, stop string) (StopPage, error) {
	n, err := s.byStop(ctx, s.store, stop)
	if err != nil {
		return StopPage{}, err
	}
	set, err := settings(ctx, s.store, n.Site)
	if err != nil {
		return StopPage{}, err
	}
	left, err := s.store.ConsentsAt(ctx, n.Channel, n.Target)
	return StopPage{Clinic: set.Name, Phone: set.Phone, Language: n.Language, Ended: len(left) == 0}, err
}

func (s *Service) byStop(ctx context.Context, r Reader, stop string) (Notice, error) {
	if len(stop) < 20 || len(stop) > 40 {
		return Notice{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such page.")
	}
	return r.NoticeByStop(ctx, stop)
}

// Stop ends all messages to the address that a link was sent to. none says that no notice of
// any kind is wished any more; the publicity code of those whom the message was about becomes
// 01 then (HL7 table 0215). Done again it changes nothing. ENOTFOUND.
func (s *Service) Stop(ctx context.Context, stop string, none bool) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		n, err := s.byStop(ctx, tx, stop)
		if err != nil {
			return err
		}
		if err := s.stop(ctx, tx, n.Channel, n.Target, nil); err != nil || !none {
			return err
		}
		for _, id := range n.Patients {
			if err := s.publicity(ctx, tx, id, func(string) string { return "01" }); err != nil {
				return err
			}
		}
		return nil
	})
}

// Answer takes an answer to a text message, as a carrier's gateway hands it on. One that asks
// for no more ends the agreement of everybody with that number, and their publicity code
// becomes the one without calls (02 is 03, 04 is 05, 06 is 07). stopped says so; any other answer
// is not kept.
func (s *Service) Answer(ctx context.Context, from, text string) (stopped bool, err error) {
	number, ok := patient.NormalPhone(from)
	if !ok {
		return false, coldkeep.Errorf(coldkeep.EINVALID, "from: is not a telephone number")
	}
	if !IsStop(text) {
		return false, nil
	}
	return true, s.store.Tx(ctx, func(tx Tx) error { return s.stop(ctx, tx, SMS, number, noCalls) })
}

// noCalls is the publicity code that allows the same but for the telephone.
func noCalls(code string) string {
	switch code {
	case "", "02":
		return "03"
	case "04":
		return "05"
	case "06":
		return "07"
	}
	return code
}

func (s *Service) stop(ctx context.Context, tx Tx, ch Channel, target string, publicity func(string) string) error {
	all, err := tx.ConsentsAt(ctx, ch, target)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for _, c := range all {
		if err := s.endConsent(ctx, tx, family(), c); err != nil {
			return err
		}
		if publicity == nil || done[c.Patient] {
			continue
		}
		done[c.Patient] = true
		if err := s.publicity(ctx, tx, c.Patient, publicity); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) endConsent(ctx context.Context, tx Tx, by auth.Principal, c Consent) error {
	if err := tx.EndConsent(ctx, c.ID, by.Name, s.clock.Now()); err != nil {
		return err
	}
	return tx.Audit(ctx, s.entry(by, "recall.consent-end", "patient/"+c.Patient, c.Site, "", string(c.Channel)))
}

// publicity changes a record's PD1-11 by the family's word.
func (s *Service) publicity(ctx context.Context, tx Tx, id string, change func(string) string) error {
	g, err := tx.PatientGate(ctx, id, "", s.clock.Now())
	if err != nil {
		return err
	}
	if err := tx.LockPatient(ctx, g.Head); err != nil {
		return err
	}
	p, err := tx.Patient(ctx, g.Head)
	if err != nil {
		return err
	}
	was, now := p.Publicity, s.clock.Now().UTC().Truncate(time.Millisecond)
	if p.Publicity = change(was); p.Publicity == was {
		return nil
	}
	from := p.Revision
	p.Revision, p.UpdatedAt = from+1, now
	if err := tx.UpdatePatient(ctx, p, from); err != nil {
		return err
	}
	by := family()
	if err := tx.InsertChange(ctx, patient.Change{ID: ulid.Make().String(), Patient: p.ID, Revision: p.Revision, At: now, WhoID: by.ID, Who: by.Name, What: "patient.edit",
		Fields: []patient.FieldChange{{Field: "reminder and recall", Before: was, After: p.Publicity}}}); err != nil {
		return err
	}
	return tx.Audit(ctx, s.entry(by, "patient.edit", "patient/"+p.ID, "", "", "reminder and recall"))
}
