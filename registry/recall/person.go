package recall

import (
	"context"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Choice is an address or number on a record that messages may be agreed to for.
type Choice struct {
	Channel Channel
	Target  string
	Whose   string // "the patient", or the guardian's name
}

// Chart is what there is to say about notices of one person.
type Chart struct {
	Patient  string
	Name     patient.Name
	Birth    coldkeep.Date
	Standing patient.Standing // with by's practice
	Notices  []ToldOf         // the latest first
	Consents []Consent        // in force
	Choices  []Choice         // that nobody has agreed to yet
	Attempts []Attempt        // the latest first
	Cold     []ColdEntry      // recalls after a break of the cold chain, the latest first
	// Tries are the tries to reach the person since the last that did, of Methods kinds.
	Tries, Methods int
	MayBeLost      bool // enough was tried: a person may say that the patient is lost to follow-up
}

// A person may be called lost to follow-up after three tries by two means or more that have
// come to nothing: MIROW's guide to patient status asks for several documented tries by
// different means, and leaves their number to the jurisdiction.
const (
	lostTries   = 3
	lostMethods = 2
)

// Of gives it, for who may call patients and to whom the record opens. EFORBIDDEN,
// ENOTFOUND.
func (s *Service) Of(ctx context.Context, by auth.Principal, id string) (Chart, error) {
	var c Chart
	err := s.guarded(ctx, by, id, auth.CallPatients, func(tx Tx, g patient.Gate) error {
		c = Chart{Patient: g.Head}
		p, err := patient.Person(ctx, tx, g)
		if err != nil {
			return err
		}
		c.Name, c.Birth, c.Standing = p.Name(), p.Birth, p.Standing(string(by.Site))
		if c.Notices, err = tx.NoticesOf(ctx, g.Family); err != nil {
			return err
		}
		if c.Consents, err = tx.Consents(ctx, g.Family); err != nil {
			return err
		}
		if c.Attempts, err = tx.Attempts(ctx, g.Family); err != nil {
			return err
		}
		if c.Cold, err = s.coldOf(ctx, tx, g); err != nil {
			return err
		}
		c.choices(&p)
		c.Tries, c.Methods = tries(c.Notices, c.Attempts)
		c.MayBeLost = c.Tries >= lostTries && c.Methods >= lostMethods
		return tx.Audit(ctx, s.entry(by, "recall.view", "patient/"+g.Head, by.Site, ""))
	})
	return c, err
}

func (c *Chart) choices(p *patient.Patient) {
	put := func(whose string, all []patient.Contact) {
		for _, k := range all {
			if k.Until != nil || k.Kind != patient.Email && k.Kind != patient.Cell {
				continue
			}
			ch := Choice{Channel: SMS, Target: k.Value, Whose: whose}
			if k.Kind == patient.Email {
				ch.Channel = Email
			}
			has := slices.ContainsFunc(c.Choices, func(o Choice) bool { return o.Target == ch.Target }) ||
				slices.ContainsFunc(c.Consents, func(o Consent) bool { return o.Channel == ch.Channel && o.Target == ch.Target })
			if !has {
				c.Choices = append(c.Choices, ch)
			}
		}
	}
	for _, g := range p.Guardians {
		if g.Until == nil {
			put(full(g.Given, g.Family), g.Contacts)
		}
	}
	put("the patient", p.Contacts)
}

// tries counts those since the person was last reached, and the means that were used.
func tries(notices []ToldOf, attempts []Attempt) (n, methods int) {
	since := int64(0)
	for _, a := range attempts {
		if a.Result == Reached || a.Result == SaidNo {
			since = max(since, a.At.UnixMilli())
		}
	}
	used := map[Channel]bool{}
	count := func(ch Channel, at int64) {
		if at > since {
			n++
			used[ch] = true
		}
	}
	for _, t := range notices {
		if t.Outcome == Came {
			since = max(since, t.MadeAt.UnixMilli())
		}
	}
	for _, t := range notices {
		// That a household is on a list to be called is no try yet: the calls are.
		if t.Channel != Phone && (t.State == Sent || t.State == Paper) {
			count(t.Channel, t.MadeAt.UnixMilli())
		}
	}
	for _, a := range attempts {
		if a.Channel == Phone && a.Result != Reached && a.Result != SaidNo {
			count(Phone, a.At.UnixMilli())
		}
	}
	return n, len(used)
}

// guarded runs do when a record opens to by. A refusal is in the record's trail.
func (s *Service) guarded(ctx context.Context, by auth.Principal, id string, perm auth.Permission, do func(Tx, patient.Gate) error) error {
	if err := by.Require(perm, by.Site); coldkeep.ErrorCode(err) == coldkeep.EUNAUTHORIZED {
		return err
	}
	var refused error
	head := id
	err := s.store.Tx(ctx, func(tx Tx) error {
		refused = nil
		g, err := tx.PatientGate(ctx, id, by.ID, s.clock.Now())
		if err != nil {
			if e := by.Require(perm, by.Site); e != nil {
				return e
			}
			return err
		}
		head = g.Head
		if refused = g.Require(by, perm); refused != nil {
			return refused
		}
		return do(tx, g)
	})
	if refused == nil {
		return err
	}
	if e := s.store.Tx(ctx, func(tx Tx) error {
		return tx.Audit(ctx, s.entry(by, "recall.refused", "patient/"+head, by.Site, "", string(perm)))
	}); e != nil {
		return e
	}
	return refused
}

// Agree records that who answers for a person has agreed to messages at an address or number
// on the record. agreed says who, and how it is known. EINVALID, ECONFLICT when it is recorded
// already, EFORBIDDEN, ENOTFOUND.
func (s *Service) Agree(ctx context.Context, by auth.Principal, id string, ch Channel, target, agreed string) error {
	agreed = strings.TrimSpace(agreed)
	return s.guarded(ctx, by, id, auth.CallPatients, func(tx Tx, g patient.Gate) error {
		if agreed == "" || len(agreed) > 200 {
			return coldkeep.Errorf(coldkeep.EINVALID, "Who has agreed: want 1 to 200 characters.")
		}
		if !ch.electronic() {
			return coldkeep.Errorf(coldkeep.EINVALID, "Channel %q: an agreement is for e-mail or text messages.", ch)
		}
		if err := tx.LockPatient(ctx, g.Head); err != nil {
			return err
		}
		p, err := patient.Person(ctx, tx, g)
		if err != nil {
			return err
		}
		var c Chart
		if c.Consents, err = tx.Consents(ctx, g.Family); err != nil {
			return err
		}
		if slices.ContainsFunc(c.Consents, func(k Consent) bool { return k.Channel == ch && k.Target == target }) {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "This agreement is recorded already.")
		}
		c.choices(&p)
		if !slices.ContainsFunc(c.Choices, func(k Choice) bool { return k.Channel == ch && k.Target == target }) {
			return coldkeep.Errorf(coldkeep.EINVALID, "The record has no such address or mobile number in use.")
		}
		if err := tx.InsertConsent(ctx, Consent{ID: ulid.Make().String(), Patient: g.Head, Channel: ch, Target: target, Agreed: agreed, Site: by.Site, By: by.Name, At: s.clock.Now()}); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "recall.consent", "patient/"+g.Head, by.Site, agreed, string(ch)))
	})
}

// Disagree ends an agreement. ECONFLICT when it has ended, EFORBIDDEN, ENOTFOUND.
func (s *Service) Disagree(ctx context.Context, by auth.Principal, id, consent string) error {
	return s.guarded(ctx, by, id, auth.CallPatients, func(tx Tx, g patient.Gate) error {
		c, err := tx.Consent(ctx, consent)
		if err == nil && !slices.Contains(g.Family, c.Patient) {
			err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such agreement.")
		}
		if err != nil {
			return err
		}
		return s.endConsent(ctx, tx, by, c)
	})
}

// Try records what came of a try to reach a person: a call, or what came back from the post.
// run is the one that it belongs to, "" for none. A wrong number and what came back flag the
// number and the address: they are not used again until the record has others. EINVALID,
// EFORBIDDEN, ENOTFOUND.
func (s *Service) Try(ctx context.Context, by auth.Principal, id string, a Attempt) error {
	a.Note = strings.TrimSpace(a.Note)
	return s.guarded(ctx, by, id, auth.CallPatients, func(tx Tx, g patient.Gate) error {
		switch {
		case len(a.Note) > 500:
			return coldkeep.Errorf(coldkeep.EINVALID, "Note: want at most 500 characters.")
		case !slices.Contains(Channels(), a.Channel):
			return coldkeep.Errorf(coldkeep.EINVALID, "Channel %q: there is no such one.", a.Channel)
		case !slices.ContainsFunc(Results(), func(r struct {
			Result Result
			Title  string
		}) bool {
			return r.Result == a.Result
		}):
			return coldkeep.Errorf(coldkeep.EINVALID, "Result %q: there is no such one.", a.Result)
		case a.Result == Returned && a.Channel == Phone, a.Result == WrongNumber && a.Channel != Phone && a.Channel != SMS:
			return coldkeep.Errorf(coldkeep.EINVALID, "Result: %s is none of %s.", a.Result, strings.ToLower(a.Channel.Title()))
		}
		number := a.Address // of a wrong number: which of them; "" the first
		a.ID, a.Patient, a.Site, a.By, a.At, a.Address = ulid.Make().String(), g.Head, by.Site, by.Name, s.clock.Now(), ""
		if a.Run != "" {
			if r, err := tx.RecallRun(ctx, a.Run); err != nil || r.Site != by.Site && by.Site != "" {
				return errNoRun
			}
		}
		if a.Result == WrongNumber || a.Result == Returned {
			var err error
			if a.Address, err = s.flagged(ctx, tx, g, a.Channel, number); err != nil {
				return err
			}
		}
		if err := tx.InsertAttempt(ctx, a); err != nil {
			return err
		}
		if err := s.tryOutcome(ctx, tx, &a); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "recall.try", "patient/"+g.Head, by.Site, a.Note, string(a.Channel)+": "+string(a.Result)))
	})
}

// flagged gives the hash of the address or number that a try went to.
func (s *Service) flagged(ctx context.Context, tx Tx, g patient.Gate, ch Channel, number string) (string, error) {
	m := Member{Family: g.Family, Locked: g.Locked, LockSite: g.LockSite}
	m.ID = g.Head
	today := coldkeep.DateOf(s.clock.Now())
	k, err := s.contactOf(ctx, tx, &m, today)
	if err != nil {
		return "", err
	}
	switch ch {
	case Letter, Postcard:
		if k.address != nil {
			return hashOf(addressLine(k.address)), nil
		}
	case Email:
		if len(k.emails) > 0 {
			return hashOf(k.emails[0]), nil
		}
	default:
		if n, ok := patient.NormalPhone(number); ok && slices.Contains(k.phones, n) {
			return hashOf(n), nil
		}
		if len(k.phones) > 0 {
			return hashOf(k.phones[0]), nil
		}
	}
	return "", nil
}

// tryOutcome writes into the run what a try says of its notice.
func (s *Service) tryOutcome(ctx context.Context, tx Tx, a *Attempt) error {
	if a.Run == "" || a.Result != SaidNo && a.Result != Returned {
		return nil
	}
	p, err := tx.RecallPerson(ctx, a.Run, a.Patient)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND || err == nil && p.Outcome == Came {
		return nil
	}
	if err != nil {
		return err
	}
	p.Outcome, p.On, p.By = Declined, coldkeep.DateOf(a.At), a.By
	if a.Result == Returned {
		told, err := tx.ToldIn(ctx, a.Run, []string{a.Patient})
		if err != nil || len(told[a.Patient]) > 1 {
			return err // something else has told them
		}
		// They may be told by another channel, and were not told by this one.
		if err := tx.SetNoticed(ctx, a.Run, a.Patient, 0); err != nil {
			return err
		}
		return nil
	}
	return tx.SetOutcome(ctx, p)
}

// CallLost records that a person is lost to follow-up with by's practice, once enough was
// tried. It is a person's word: the program never says so by itself. EINVALID when not enough
// was tried, EFORBIDDEN, ENOTFOUND.
func (s *Service) CallLost(ctx context.Context, by auth.Principal, id, why string) error {
	if err := s.guarded(ctx, by, id, auth.RecallPatients, func(tx Tx, g patient.Gate) error {
		notices, err := tx.NoticesOf(ctx, g.Family)
		if err != nil {
			return err
		}
		attempts, err := tx.Attempts(ctx, g.Family)
		if err != nil {
			return err
		}
		if n, methods := tries(notices, attempts); n < lostTries || methods < lostMethods {
			return coldkeep.Errorf(coldkeep.EINVALID, "So far %d tries by %d means. Somebody is lost to follow-up after %d by at least %d.", n, methods, lostTries, lostMethods)
		}
		return nil
	}); err != nil {
		return err
	}
	_, err := s.Patients.SetStatus(ctx, by, id, by.Site, patient.Lost, why)
	return err
}
