package auth

import (
	"context"

	"github.com/coldkeep/coldkeep/registry/audit"
)

// RefusedRequest enters in the trail a request that was refused before any service saw it,
// such as a form that a page of another site has sent. by may be nobody. why is of the
// registry's own words, never of what was sent.
func (s *Service) RefusedRequest(ctx context.Context, by Principal, why string) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		e := s.entry(by, "request.refused", "request", by.Site, why)
		if !by.Known() {
			e.Who = "Nobody"
		}
		return tx.Audit(ctx, e)
	})
}

// expire ends a sign-in whose time is over, and says so in the trail: once, since it has
// ended then.
func (s *Service) expire(ctx context.Context, st Standing, why string) error {
	now := s.clock.Now()
	return s.store.Tx(ctx, func(tx Tx) error {
		n, err := tx.EndSignIns(ctx, st.Person, st.ID, "", now)
		if err != nil || n == 0 {
			return err
		}
		p := st.Account
		return tx.Audit(ctx, audit.Entry{At: now, WhoID: p.ID, Who: p.Name, What: "person.expired", Subject: "person/" + p.ID, Site: st.Site, Detail: why, Session: st.ID})
	})
}
