package exchange

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Senders lists the interface accounts of scope records with what is agreed on with each:
// those of the own site, or of all. EFORBIDDEN unless by may read the exchange.
func (s *Service) Senders(ctx context.Context, by auth.Principal) ([]Sender, error) {
	if err := by.Require(auth.ReadExchange, by.Site); err != nil {
		return nil, err
	}
	all, err := s.store.ExchangeSenders(ctx, by.Site)
	if err != nil || by.Role != "" {
		return all, err
	}
	return slices.DeleteFunc(all, func(x Sender) bool { return x.Account != by.ID }), nil
}

// Sender is what is agreed on with one account. EFORBIDDEN; ENOTFOUND when there is none
// that by may see.
func (s *Service) Sender(ctx context.Context, by auth.Principal, account string) (Sender, error) {
	all, err := s.Senders(ctx, by)
	if err != nil {
		return Sender{}, err
	}
	i := slices.IndexFunc(all, func(x Sender) bool { return x.Account == account })
	if i < 0 {
		return Sender{}, errNoSender
	}
	return all[i], nil
}

var errNoSender = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such sender.")

// PutSender changes what is agreed on with an account, as it stood at x.Revision. A
// practice's manager says from which systems and by which codes its messages come, which
// answer files it wants and whether its doses draw from the stock. Whether what is sent is
// kept (Production), and whether a sender speaks for other sites, the state alone says.
// EFORBIDDEN, ENOTFOUND, EINVALID for a wrong field, ECONFLICT when somebody has changed it
// since.
func (s *Service) PutSender(ctx context.Context, by auth.Principal, x Sender) (Sender, error) {
	if err := by.Require(auth.ManagePeople, by.Site); err != nil {
		return x, err
	}
	err := s.store.Tx(ctx, func(tx Tx) error {
		a, err := tx.AccountByID(ctx, x.Account)
		if err == nil && (!slices.Contains(a.Scopes, auth.ScopeRecords) || !by.May(auth.ManagePeople, a.Site)) {
			err = errNoSender
		}
		if err != nil {
			return err
		}
		was, err := tx.ExchangeSender(ctx, a.ID)
		if err != nil && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			return err
		}
		if x.Revision != was.Revision {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody else has changed this meanwhile. Look at it again, then make your change.")
		}
		x.Name, x.Site = a.Name, a.Site
		if err := x.check(); err != nil {
			return err
		}
		if !by.May(auth.ManageProgramme, "") {
			if x.Production != was.Production {
				return coldkeep.Errorf(coldkeep.EFORBIDDEN, "Whether a sender is tested or its messages are kept is for a state administrator to say.")
			}
			for _, f := range x.Facilities {
				if f.Site != a.Site && !slices.Contains(was.Facilities, f) {
					return coldkeep.Errorf(coldkeep.EFORBIDDEN, "That a sender speaks for another site is for a state administrator to say.")
				}
			}
		}
		for _, f := range x.Facilities {
			if _, err := tx.Site(ctx, f.Site); err != nil {
				return err
			}
		}
		x.UpdatedBy, x.UpdatedAt, x.Revision = by.Name, s.clock.Now(), was.Revision+1
		if err := tx.PutExchangeSender(ctx, x); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "exchange.sender", "account/"+a.ID, a.Site, "", x.words()))
	})
	return x, err
}

func (s *Sender) check() error {
	if !slices.Contains([]Answers{Always, ErrorsOnly, Never}, s.Answers) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Answers: want always, errors-only or never.")
	}
	if len(s.Applications) > 20 || len(s.Facilities) > 200 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Applications and facilities: want at most 20 and 200.")
	}
	for i, a := range s.Applications {
		if s.Applications[i] = strings.TrimSpace(a); s.Applications[i] == "" || len(a) > 180 {
			return coldkeep.Errorf(coldkeep.EINVALID, "Application: want the name in MSH-3, 1 to 180 characters.")
		}
	}
	for i := range s.Facilities {
		f := &s.Facilities[i]
		if f.Code = strings.TrimSpace(f.Code); f.Code == "" || len(f.Code) > 180 {
			return coldkeep.Errorf(coldkeep.EINVALID, "Facility: want the code in MSH-4, 1 to 180 characters.")
		}
		if slices.ContainsFunc(s.Facilities[:i], func(o Facility) bool { return fold(o.Code) == fold(f.Code) }) {
			return coldkeep.Errorf(coldkeep.EINVALID, "Facility %q: is there twice.", f.Code)
		}
	}
	return nil
}

func (s *Sender) words() string {
	mode, stock := "tested", ""
	if s.Production {
		mode = "in production"
	}
	if s.Deducts {
		stock = ", its doses draw from the stock"
	}
	return fmt.Sprintf("%s, speaks for %d facilities, answers %s%s", mode, len(s.Facilities), s.Answers, stock)
}
