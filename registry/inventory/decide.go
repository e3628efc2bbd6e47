package inventory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Decide ends the hold on one lot by a named person's word: Released, the doses
// may be used, or Wasted, they may not and are taken off the stock. A wasted lot
// is wasted in every hold it is in. EFORBIDDEN when by may not decide holds there,
// ENOTFOUND for a lot that is not in the hold, EINVALID for another outcome or
// without a reason, ECONFLICT when somebody has decided already.
func (s *Service) Decide(ctx context.Context, by auth.Principal, hold, lot string, outcome HoldState, why string) error {
	return s.DecideLot(ctx, by, Decision{Hold: hold, Lot: lot, Outcome: outcome, Why: why})
}

// Decision is a person's word on one lot in a hold.
type Decision struct {
	Hold, Lot string
	Outcome   HoldState
	Why       string
	// Given says that the doses that were given from a wasted lot since the hold's begin
	// are not to be trusted either: they no longer count, and the patients are due again.
	Given bool
}

// DecideLot is Decide, with a word on the doses that were given. Errors as Decide;
// EINVALID when doses of a lot that is released are to be distrusted.
func (s *Service) DecideLot(ctx context.Context, by auth.Principal, d Decision) error {
	hold, lot, outcome, why := d.Hold, d.Lot, d.Outcome, d.Why
	if d.Given && outcome != Wasted {
		return coldkeep.Errorf(coldkeep.EINVALID, "Doses given from a lot that may be used count.")
	}
	if outcome != Released && outcome != Wasted {
		return coldkeep.Errorf(coldkeep.EINVALID, "Outcome %q: want released or wasted.", outcome)
	}
	why, err := checkReason(why)
	if err != nil {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		h, err := s.decidable(ctx, tx, by, hold)
		if err != nil {
			return err
		}
		on, err := tx.HoldsOn(ctx, lot)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(on, func(hl HoldLot) bool { return hl.Hold == hold })
		if i < 0 {
			return coldkeep.Errorf(coldkeep.ENOTFOUND, "The lot is not in this hold.")
		}
		if on[i].State != Held {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "%s has decided already: %s.", on[i].DecidedBy, on[i].State)
		}
		if outcome == Released {
			return s.decide(ctx, tx, by, h, on[i], Released, why)
		}
		first := h
		for _, hl := range on {
			if hl.State != Held {
				continue
			}
			if err := s.decide(ctx, tx, by, h, hl, Wasted, why); err != nil {
				return err
			}
			other, err := tx.Hold(ctx, hl.Hold)
			if err != nil {
				return err
			}
			if other.Since.Before(first.Since) {
				first = other
			}
		}
		if d.Given {
			if err := s.spoil(ctx, tx, by, first, lot, why); err != nil {
				return err
			}
		}
		l, err := tx.Lot(ctx, lot)
		if err != nil {
			return err
		}
		if err := tx.SetDoses(ctx, lot, 0); err != nil {
			return err
		}
		if err := s.journal(ctx, tx, by, StockEntry{Lot: lot, Kind: StockWasted, Doses: -l.DosesOnHand, Why: why}); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "lot.waste", "lot/"+lot, h.Site, why, fmt.Sprintf("%d doses taken off", l.DosesOnHand)))
	})
}

func (s *Service) decide(ctx context.Context, tx Tx, by auth.Principal, h Hold, hl HoldLot, outcome HoldState, why string) error {
	now := s.clock.Now()
	hl.State, hl.DecidedBy, hl.DecidedAt, hl.Reason = outcome, by.Name, &now, why
	if err := tx.UpdateHoldLot(ctx, hl); err != nil {
		return err
	}
	what := "hold.release"
	if outcome == Wasted {
		what = "hold.waste"
	}
	return tx.Audit(ctx, s.entry(by, what, "lot/"+hl.Lot, h.Site, why, "hold "+hl.Hold))
}

// DecideProposal answers a proposal by a named person's word. Accepting an
// extension makes the hold reach back and holds the lots that were released from
// it again; accepting a release releases every lot that is still held. Errors as
// Decide.
func (s *Service) DecideProposal(ctx context.Context, by auth.Principal, id string, accept bool, why string) error {
	why, err := checkReason(why)
	if err != nil {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		p, err := tx.Proposal(ctx, id)
		if err != nil {
			return err
		}
		h, err := s.decidable(ctx, tx, by, p.Hold)
		if err != nil {
			return err
		}
		if p, err = tx.Proposal(ctx, id); err != nil { // as it stands under the lock
			return err
		}
		if !p.Open() {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "%s has decided already: %s.", p.DecidedBy, p.State)
		}
		now := s.clock.Now()
		p.State, p.DecidedBy, p.DecidedAt, p.Decision = proposalDismissed, by.Name, &now, why
		if accept {
			p.State = proposalAccepted
			if err := s.accept(ctx, tx, by, h, p); err != nil {
				return err
			}
		}
		if err := tx.UpdateProposal(ctx, p); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "proposal."+p.State, "hold/"+h.ID, h.Site, why, p.Action))
	})
}

func (s *Service) accept(ctx context.Context, tx Tx, by auth.Principal, h Hold, p Proposal) error {
	lots, err := tx.HoldLotsOf(ctx, h.ID)
	if err != nil {
		return err
	}
	if p.Action == actionRelease {
		for _, hl := range lots {
			if hl.State != Held {
				continue
			}
			if err := s.decide(ctx, tx, by, h, hl, Released, p.Decision); err != nil {
				return err
			}
		}
		return nil
	}
	for _, hl := range lots {
		if hl.State != Released {
			continue
		}
		hl.State, hl.DecidedBy, hl.DecidedAt, hl.Reason = Held, "", nil, ""
		if err := tx.UpdateHoldLot(ctx, hl); err != nil {
			return err
		}
		if err := tx.Audit(ctx, s.entry(by, "hold.again", "lot/"+hl.Lot, h.Site, p.Decision, "hold "+h.ID)); err != nil {
			return err
		}
	}
	if p.Since != nil && p.Since.Before(h.Since) {
		h.Since = *p.Since
		if err := tx.UpdateHold(ctx, h); err != nil {
			return err
		}
	}
	return s.resolve(ctx, tx, by, h)
}

// decidable returns a hold, locked, that by may decide on. One that by may not
// even see is ENOTFOUND.
func (s *Service) decidable(ctx context.Context, tx Tx, by auth.Principal, id string) (Hold, error) {
	h, err := s.lockHold(ctx, tx, id)
	if err != nil {
		return h, err
	}
	if by.Known() && !by.May(auth.View, h.Site) {
		return h, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no hold %q.", id)
	}
	return h, by.Require(auth.DecideHolds, h.Site)
}

// LotView is a lot as people look at it.
type LotView struct {
	Lot
	Where    *Placement // where it stands; absent: nowhere
	Holds    []LotHold  // newest first
	Stays    []Placement
	Exposure Exposure
}

// Held reports whether a hold on the lot waits for a person.
func (v *LotView) Held() bool {
	return slices.ContainsFunc(v.Holds, func(h LotHold) bool { return h.State == Held })
}

// Expired reports whether the lot's last good day is over at a time of the clinic.
func (v *LotView) Expired(local time.Time) bool { return local.Format(time.DateOnly) > v.Expires }

// LotHold is one hold on a lot.
type LotHold struct {
	HoldLot
	Of Hold
}

// Stock is what a person sees of lots and holds.
type Stock struct {
	Lots      []LotView // held ones first, then by product and lot number
	Holds     []Hold    // newest first
	Proposals []Proposal
}

// HoldOf returns the hold of an excursion. ENOTFOUND when there is none that by may see.
func (s *Service) HoldOf(ctx context.Context, by auth.Principal, excursion string) (Hold, error) {
	h, err := s.store.HoldByExcursion(ctx, excursion)
	if err == nil && !by.May(auth.View, h.Site) {
		return Hold{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "The excursion has no hold.")
	}
	return h, err
}

// Lot returns one lot as people look at it. ENOTFOUND when there is none that by may see.
func (s *Service) Lot(ctx context.Context, by auth.Principal, id string) (LotView, error) {
	all, err := s.Stock(ctx, by)
	if err != nil {
		return LotView{}, err
	}
	i := slices.IndexFunc(all.Lots, func(l LotView) bool { return l.ID == id })
	if i < 0 {
		return LotView{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such lot.")
	}
	return all.Lots[i], nil
}

// Stock lists the lots and holds that by may see; EUNAUTHORIZED or EFORBIDDEN.
func (s *Service) Stock(ctx context.Context, by auth.Principal) (Stock, error) {
	var out Stock
	if err := by.Require(auth.View, by.Site); err != nil {
		return out, err
	}
	lots, err := s.store.Lots(ctx, by.Site)
	if err != nil {
		return out, err
	}
	placements, err := s.store.Placements(ctx, by.Site)
	if err != nil {
		return out, err
	}
	if out.Holds, err = s.store.Holds(ctx, by.Site); err != nil {
		return out, err
	}
	holdLots, err := s.store.HoldLots(ctx, by.Site)
	if err != nil {
		return out, err
	}
	if out.Proposals, err = s.store.Proposals(ctx, by.Site); err != nil {
		return out, err
	}
	where, stays := map[string]*Placement{}, map[string][]Placement{}
	for i, p := range placements {
		stays[p.Lot] = append(stays[p.Lot], p)
		if p.To == nil {
			where[p.Lot] = &placements[i]
		}
	}
	excursions, err := s.store.OutOfRange(ctx, by.Site)
	if err != nil {
		return out, err
	}
	inUnit := map[coldkeep.ApplianceID][]coldkeep.Excursion{}
	for _, x := range excursions {
		inUnit[x.Appliance] = append(inUnit[x.Appliance], x)
	}
	now := s.clock.Now()
	of := map[string][]HoldLot{}
	for _, hl := range holdLots {
		of[hl.Hold] = append(of[hl.Hold], hl)
	}
	on := map[string][]LotHold{}
	for _, h := range out.Holds {
		for _, hl := range of[h.ID] {
			on[hl.Lot] = append(on[hl.Lot], LotHold{HoldLot: hl, Of: h})
		}
	}
	for _, l := range lots {
		out.Lots = append(out.Lots, LotView{Lot: l, Where: where[l.ID], Holds: on[l.ID], Stays: stays[l.ID],
			Exposure: Expose(stays[l.ID], func(u coldkeep.ApplianceID) []coldkeep.Excursion { return inUnit[u] }, now)})
	}
	slices.SortStableFunc(out.Lots, func(a, b LotView) int {
		switch {
		case a.Held() == b.Held():
			return 0
		case a.Held():
			return -1
		}
		return 1
	})
	return out, nil
}
