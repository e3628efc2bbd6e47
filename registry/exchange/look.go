package exchange

import (
	"context"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
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
