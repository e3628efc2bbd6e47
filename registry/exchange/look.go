package exchange

import (
	"context"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Messages lists messages without their texts, the latest first: of a program its own, of a
// person those of the own site, or of all. They name patients by id alone. EFORBIDDEN unless
// by may read the exchange.
func (s *Service) Messages(ctx context.Context, by auth.Principal, f Filter) ([]Message, error) {
	if err := by.Require(auth.ReadExchange, by.Site); err != nil {
		return nil, err
	}
	if by.Site != "" {
		f.Site = by.Site
	}
	if by.Role == "" {
		f.Account = by.ID
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	f.Limit = min(f.Limit, 200)
	all, err := s.store.ExchangeMessages(ctx, f)
	if err != nil {
		return nil, err
	}
	if !by.Anywhere(auth.ViewPatients) {
		for i := range all {
			all[i].Patient = ""
		}
	}
	return all, nil
}

// Message gives one message with its text and its answer, until they are cleared. That is
// a view of the patient whom it speaks of, and in the trail: who may not see patients may
// not, and a message about a person whose record is locked to by does not open. EFORBIDDEN
// (patient.IsLocked), ENOTFOUND when there is none that by may see.
func (s *Service) Message(ctx context.Context, by auth.Principal, id string) (Message, error) {
	var m Message
	for _, perm := range []auth.Permission{auth.ReadExchange, auth.ViewPatients} {
		if err := by.Require(perm, by.Site); err != nil {
			return m, err
		}
	}
	var refused error
	err := s.store.Tx(ctx, func(tx Tx) error {
		var err error
		refused = nil
		m, err = tx.ExchangeMessage(ctx, id)
		if err == nil && (!by.May(auth.ReadExchange, m.Site) || by.Role == "" && m.Account != by.ID) {
			err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such message.")
		}
		if err != nil {
			return err
		}
		subject := "message/" + m.ID
		e := s.entry(by, "message.view", subject, m.Site, "", "")
		if m.Patient != "" {
			g, err := tx.PatientGate(ctx, m.Patient, by.ID, s.clock.Now())
			if err != nil {
				return err
			}
			e.Patient = g.Head
			g.Granted = true // it came from the own site, or by is the state
			if refused = g.Require(by, auth.ViewPatients); refused != nil {
				e.What = "message.view.refused"
			}
		}
		return tx.Audit(ctx, e)
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return Message{}, err
	}
	if m.Text, err = s.opened(m.Text, m.ID); err != nil {
		return Message{}, err
	}
	m.Answer, err = s.opened(m.Answer, m.ID)
	return m, err
}

// mayStock asks for who keeps a site's stock and may see whom doses were given to.
func mayStock(by auth.Principal, site coldkeep.SiteID) error {
	if err := by.Require(auth.ManageStock, site); err != nil {
		return err
	}
	return by.Require(auth.ViewPatients, site)
}

// Undeducted lists doses of a site, or of all with "", that were given and not taken off
// its stock, the earliest first, at most 500. Whose they are is not told of a locked record
// that does not open to by. EFORBIDDEN unless by keeps that stock.
func (s *Service) Undeducted(ctx context.Context, by auth.Principal, site coldkeep.SiteID) ([]Undeducted, error) {
	if err := mayStock(by, site); err != nil {
		return nil, err
	}
	var out []Undeducted
	err := s.store.Tx(ctx, func(tx Tx) error {
		var err error
		if out, err = tx.Undeducted(ctx, site, 500); err != nil {
			return err
		}
		for i := range out {
			g, err := tx.PatientGate(ctx, out[i].Patient, by.ID, s.clock.Now())
			if err != nil {
				return err
			}
			if out[i].Patient = g.Head; patient.IsLocked(g.Require(by, auth.ViewPatients)) {
				out[i].Patient, out[i].Dose = "", ""
				continue
			}
		}
		return tx.Audit(ctx, s.entry(by, "undeducted.list", "site/"+string(site), site, "", ""))
	})
	return out, err
}

// Deduct tries again to take a dose off the stock, once what spoke against it has been put
// right: a lot was received, its count corrected, the dose's lot number edited. It gives the
// reason that speaks against it still, "" that it was taken. EFORBIDDEN, also for a dose of a
// record that is locked to by (patient.IsLocked), ENOTFOUND when no such dose waits.
func (s *Service) Deduct(ctx context.Context, by auth.Principal, dose string) (reason string, err error) {
	err = s.waiting(ctx, by, dose, func(tx Tx, u Undeducted) error {
		actor := by
		actor.Site = u.Site
		code, why, err := s.means.Deduct(ctx, tx, actor, dose)
		if err != nil {
			return err
		}
		if reason = why; code != "" {
			u.Code, u.Reason = code, why
			return tx.PutUndeducted(ctx, u)
		}
		reason = ""
		return tx.SettleUndeducted(ctx, dose, by.Name, "taken off the stock", s.clock.Now())
	})
	return reason, err
}

// Settle takes a dose off the list without taking one off the stock, with a reason.
// EINVALID without one, EFORBIDDEN, also for a dose of a record that is locked to by
// (patient.IsLocked), ENOTFOUND when no such dose waits.
func (s *Service) Settle(ctx context.Context, by auth.Principal, dose, why string) error {
	if why = cut(why, 500); len(why) < 4 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Reason: say why the dose is not taken off the stock, in 4 to 500 characters.")
	}
	return s.waiting(ctx, by, dose, func(tx Tx, u Undeducted) error {
		if err := tx.SettleUndeducted(ctx, dose, by.Name, why, s.clock.Now()); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "undeducted.settle", "dose/"+dose, u.Site, why, ""))
	})
}

// waiting hands a dose that waits to do, in a transaction, unless its record is locked to by:
// that refusal is in the trail.
func (s *Service) waiting(ctx context.Context, by auth.Principal, dose string, do func(Tx, Undeducted) error) error {
	if err := mayStock(by, by.Site); err != nil {
		return err
	}
	var refused error
	err := s.store.Tx(ctx, func(tx Tx) error {
		refused = nil
		u, err := tx.UndeductedDose(ctx, dose)
		if err == nil && (mayStock(by, u.Site) != nil || u.Settled != nil) {
			err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such dose on the list.")
		}
		if err != nil {
			return err
		}
		g, err := tx.PatientGate(ctx, u.Patient, by.ID, s.clock.Now())
		if err != nil {
			return err
		}
		if refused = g.Require(by, auth.ViewPatients); patient.IsLocked(refused) {
			e := s.entry(by, "undeducted.refused", "dose/"+dose, u.Site, "", "")
			e.Patient = g.Head
			return tx.Audit(ctx, e)
		}
		refused = nil // it was given here
		return do(tx, u)
	})
	if err == nil {
		err = refused
	}
	return err
}
