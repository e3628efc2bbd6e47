package inventory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Hold holds every lot that stood in an appliance at any time since, and answers
// with those that wait for a person. The same id or the same excursion again
// extends the hold: it may reach further back and take in more lots, never less.
// What a person has decided about a lot stands; when the hold then reaches further
// back, a proposal asks a person to look again. A lot that came only after the
// excursion was over was not touched by it and is left out; should the end be
// revised, ExcursionChanged takes it in.
//
// EFORBIDDEN when by may not collect, EINVALID for a wrong field, an unknown appliance
// or an excursion that is no temperature, ECONFLICT when id or excursion are known for
// another appliance or in another hold.
func (s *Service) Hold(ctx context.Context, by auth.Principal, r coldkeep.HoldRequest) (coldkeep.Hold, error) {
	if err := by.Require(auth.Collect, ""); err != nil {
		return coldkeep.Hold{}, err
	}
	if err := checkRequest(&r); err != nil {
		return coldkeep.Hold{}, err
	}
	var answer coldkeep.Hold
	err := s.store.Tx(ctx, func(tx Tx) error {
		a, err := tx.LockAppliance(ctx, r.Appliance)
		if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
			return coldkeep.Errorf(coldkeep.EINVALID, "appliance: %q is not known", r.Appliance)
		}
		if err != nil {
			return err
		}
		h, isNew, err := s.find(ctx, tx, r, a)
		if err != nil {
			return err
		}
		if err := s.setUntil(ctx, tx, &h); err != nil {
			return err
		}
		switch earlier := r.Since.Before(h.Since); {
		case isNew:
			if err := tx.InsertHold(ctx, h); err != nil {
				return err
			}
			if err := tx.Audit(ctx, s.entry(by, "hold.begin", "hold/"+h.ID, h.Site, h.Reason, since(h))); err != nil {
				return err
			}
		case earlier:
			h.Since = r.Since
			if err := s.reachBack(ctx, tx, by, h, r.Reason); err != nil {
				return err
			}
		}
		if err := tx.UpdateHold(ctx, h); err != nil {
			return err
		}
		if err := s.resolve(ctx, tx, by, h); err != nil {
			return err
		}
		answer, err = s.answer(ctx, tx, h)
		return err
	})
	return answer, err
}

func checkRequest(r *coldkeep.HoldRequest) error {
	for _, f := range []struct{ name, value string }{{"id", r.ID}, {"excursion", r.Excursion}, {"appliance", string(r.Appliance)}} {
		if f.value == "" || len(f.value) > 200 {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: want 1 to 200 characters", f.name)
		}
	}
	if y := r.Since.UTC().Year(); y < 2000 || y >= 2100 {
		return coldkeep.Errorf(coldkeep.EINVALID, "since: want a time between 2000 and 2100")
	}
	if len(r.Reason) > 2000 {
		return coldkeep.Errorf(coldkeep.EINVALID, "reason: want at most 2000 characters")
	}
	return nil
}

// find returns the hold that r speaks of, or a new one.
func (s *Service) find(ctx context.Context, tx Tx, r coldkeep.HoldRequest, a coldkeep.Appliance) (h Hold, isNew bool, err error) {
	byID, errID := tx.Hold(ctx, r.ID)
	if errID != nil && coldkeep.ErrorCode(errID) != coldkeep.ENOTFOUND {
		return h, false, errID
	}
	byExcursion, errX := tx.HoldByExcursion(ctx, r.Excursion)
	if errX != nil && coldkeep.ErrorCode(errX) != coldkeep.ENOTFOUND {
		return h, false, errX
	}
	switch {
	case errID == nil && errX == nil && byID.ID != byExcursion.ID:
		return h, false, coldkeep.Errorf(coldkeep.ECONFLICT, "excursion: %q has hold %q, not %q", r.Excursion, byExcursion.ID, r.ID)
	case errID == nil && byID.Excursion != r.Excursion:
		return h, false, coldkeep.Errorf(coldkeep.ECONFLICT, "excursion: hold %q is for %q, not %q", byID.ID, byID.Excursion, r.Excursion)
	case errID == nil:
		h = byID
	case errX == nil:
		h = byExcursion
	default:
		return Hold{ID: r.ID, Excursion: r.Excursion, Site: a.Site, Appliance: a.ID, Since: r.Since,
			Reason: r.Reason, CreatedAt: s.clock.Now()}, true, nil
	}
	if h.Appliance != r.Appliance {
		return h, false, coldkeep.Errorf(coldkeep.ECONFLICT, "appliance: hold %q is on appliance %q", h.ID, h.Appliance)
	}
	return h, false, nil
}

// setUntil sets when the hold's excursion was over as far as the registry knows:
// absent while it is open or has not been posted. Once it is withdrawn, what is
// held stays held and what comes from then on does not join.
func (s *Service) setUntil(ctx context.Context, r Reader, h *Hold) error {
	x, err := r.Excursion(ctx, h.Excursion)
	switch {
	case coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND:
		return nil
	case err != nil:
		return err
	case x.Kind != coldkeep.TooWarm && x.Kind != coldkeep.TooCold:
		return coldkeep.Errorf(coldkeep.EINVALID, "excursion: %q is %s, for which nothing is held", x.ID, x.Kind)
	case x.State != coldkeep.ExcursionWithdrawn:
		h.Until = x.End
	case h.Until == nil:
		now := s.clock.Now()
		h.Until = &now
	}
	return nil
}

// reachBack records that a hold now begins earlier, and asks a person to look
// again at the lots that were decided on what was known before.
func (s *Service) reachBack(ctx context.Context, tx Tx, by auth.Principal, h Hold, why string) error {
	if err := tx.Audit(ctx, s.entry(by, "hold.extend", "hold/"+h.ID, h.Site, why, since(h))); err != nil {
		return err
	}
	lots, err := tx.HoldLotsOf(ctx, h.ID)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(lots, func(l HoldLot) bool { return l.State == Released }) {
		return nil
	}
	back := h.Since
	return s.propose(ctx, tx, h, coldkeep.HoldProposal{Action: actionExtend, Since: &back,
		Reason: "The excursion began earlier than was known when lots were released. " + why})
}

// resolve takes into a hold every lot that stood in the unit in its span and is
// not in it yet. The unit is locked.
func (s *Service) resolve(ctx context.Context, tx Tx, by auth.Principal, h Hold) error {
	placements, err := tx.PlacementsIn(ctx, h.Appliance)
	if err != nil {
		return err
	}
	has, err := tx.HoldLotsOf(ctx, h.ID)
	if err != nil {
		return err
	}
	in := make(map[string]bool, len(has))
	for _, l := range has {
		in[l.Lot] = true
	}
	for _, p := range placements {
		if in[p.Lot] || !p.touches(h.Since, h.Until) {
			continue
		}
		in[p.Lot] = true
		if err := tx.InsertHoldLot(ctx, HoldLot{Hold: h.ID, Lot: p.Lot, State: Held, JoinedAs: JoinedResolved, JoinedAt: s.clock.Now()}); err != nil {
			return err
		}
		if err := tx.Audit(ctx, s.entry(by, "hold.lot", "lot/"+p.Lot, h.Site, "", "hold "+h.ID)); err != nil {
			return err
		}
	}
	return nil
}

// answer is the hold as the contract gives it: the lots that wait for a person.
func (s *Service) answer(ctx context.Context, tx Tx, h Hold) (coldkeep.Hold, error) {
	out := coldkeep.Hold{ID: h.ID, Lots: []coldkeep.HeldLot{}}
	lots, err := tx.HoldLotsOf(ctx, h.ID)
	if err != nil {
		return out, err
	}
	for _, hl := range lots {
		if hl.State != Held {
			continue
		}
		l, err := tx.Lot(ctx, hl.Lot)
		if err != nil {
			return out, err
		}
		placements, err := tx.PlacementsOf(ctx, hl.Lot)
		if err != nil {
			return out, err
		}
		held := coldkeep.HeldLot{Lot: l.Number, Product: l.Product, NDC: l.NDC, Site: l.Site, Appliance: h.Appliance,
			DosesOnHand: l.DosesOnHand, InUnit: []coldkeep.Span{}}
		for _, p := range placements {
			if p.Appliance == h.Appliance && p.touches(h.Since, nil) {
				held.InUnit = append(held.InUnit, coldkeep.Span{From: p.From, To: p.To})
			}
			if p.To == nil && p.Appliance != h.Appliance {
				held.MovedTo = p.Appliance
			}
		}
		out.Lots = append(out.Lots, held)
	}
	slices.SortFunc(out.Lots, func(a, b coldkeep.HeldLot) int {
		return strings.Compare(a.Product+"\x00"+a.Lot, b.Product+"\x00"+b.Lot)
	})
	return out, nil
}

// ExcursionChanged tells the hold of an excursion, if there is one, about a new
// revision: a lot that came while it was open, as is now known, joins; one that
// comes after its end does not. EFORBIDDEN when by may not collect; otherwise errors are the
// store's only.
func (s *Service) ExcursionChanged(ctx context.Context, by auth.Principal, x coldkeep.Excursion) error {
	if err := by.Require(auth.Collect, ""); err != nil {
		return err
	}
	_, err := s.store.HoldByExcursion(ctx, x.ID)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return nil
	}
	if err != nil {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		if _, err := tx.LockAppliance(ctx, x.Appliance); err != nil {
			return err
		}
		h, err := tx.HoldByExcursion(ctx, x.ID)
		if err != nil {
			return err
		}
		if err := s.setUntil(ctx, tx, &h); err != nil {
			return err
		}
		if err := tx.UpdateHold(ctx, h); err != nil {
			return err
		}
		return s.resolve(ctx, tx, by, h)
	})
}

func since(h Hold) string {
	return fmt.Sprintf("%s since %s", h.Appliance, h.Since.UTC().Format(time.RFC3339))
}

// Propose keeps the collector's word on a hold for a person to decide; the same
// word again while it is open is the same proposal. EFORBIDDEN
// when by may not collect, ENOTFOUND for an unknown hold, EINVALID for a wrong
// field.
func (s *Service) Propose(ctx context.Context, by auth.Principal, hold string, p coldkeep.HoldProposal) error {
	if err := by.Require(auth.Collect, ""); err != nil {
		return err
	}
	switch {
	case p.Action != actionExtend && p.Action != actionRelease:
		return coldkeep.Errorf(coldkeep.EINVALID, "action: %q: want extend or release", p.Action)
	case p.Action == actionExtend && p.Since == nil:
		return coldkeep.Errorf(coldkeep.EINVALID, "since: is missing; extend says since when")
	case p.Since != nil && (p.Since.UTC().Year() < 2000 || p.Since.UTC().Year() >= 2100):
		return coldkeep.Errorf(coldkeep.EINVALID, "since: want a time between 2000 and 2100")
	case strings.TrimSpace(p.Reason) == "" || len(p.Reason) > 2000:
		return coldkeep.Errorf(coldkeep.EINVALID, "reason: want 1 to 2000 characters")
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		h, err := s.lockHold(ctx, tx, hold)
		if err != nil {
			return err
		}
		return s.propose(ctx, tx, h, p)
	})
}

func (s *Service) propose(ctx context.Context, tx Tx, h Hold, p coldkeep.HoldProposal) error {
	all, err := tx.ProposalsOf(ctx, h.ID)
	if err != nil {
		return err
	}
	for _, q := range all {
		sameSince := p.Since == nil && q.Since == nil || p.Since != nil && q.Since != nil && p.Since.UnixMilli() == q.Since.UnixMilli()
		if q.Open() && q.Action == p.Action && sameSince {
			return nil
		}
	}
	return tx.InsertProposal(ctx, Proposal{ID: ulid.Make().String(), Hold: h.ID, Action: p.Action, Since: p.Since,
		Reason: p.Reason, State: proposalOpen, CreatedAt: s.clock.Now()})
}

// lockHold returns a hold with its unit locked.
func (s *Service) lockHold(ctx context.Context, tx Tx, id string) (Hold, error) {
	h, err := tx.Hold(ctx, id)
	if err != nil {
		return h, err
	}
	if _, err := tx.LockAppliance(ctx, h.Appliance); err != nil {
		return h, err
	}
	return tx.Hold(ctx, id) // as it stands under the lock
}
