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

func (l *Lot) check() error {
	l.Number, l.Product = strings.ToUpper(strings.TrimSpace(l.Number)), strings.TrimSpace(l.Product)
	l.MVX = strings.ToUpper(strings.TrimSpace(l.MVX))
	l.NDC = strings.TrimSpace(l.NDC)
	l.CVX = strings.TrimSpace(l.CVX)
	if l.Number == "" || len(l.Number) > 40 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Lot number: want 1 to 40 characters.")
	}
	if l.Product == "" || len(l.Product) > 120 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Product: want 1 to 120 characters.")
	}
	if len(l.CVX) < 2 || len(l.CVX) > 3 || strings.Trim(l.CVX, "0123456789") != "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "CVX: want two or three digits, such as 03 or 216.")
	}
	if !validNDC(l.NDC) {
		return coldkeep.Errorf(coldkeep.EINVALID, "NDC: want 5-4-2 digits, such as 00006-4681-00.")
	}
	if len(l.MVX) < 2 || len(l.MVX) > 3 {
		return coldkeep.Errorf(coldkeep.EINVALID, "MVX: want two or three letters, such as MSD.")
	}
	if _, err := time.Parse(time.DateOnly, l.Expires); err != nil {
		return coldkeep.Errorf(coldkeep.EINVALID, "Expires: want a date such as 2027-06-30.")
	}
	if l.Funding != Public && l.Funding != Private {
		return coldkeep.Errorf(coldkeep.EINVALID, "Funding: want public or private.")
	}
	if l.DosesOnHand < 0 || l.DosesOnHand > 100_000 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Doses on hand: want 0 to 100000.")
	}
	return nil
}

func validNDC(s string) bool {
	parts := strings.Split(s, "-")
	if len(parts) != 3 || len(parts[0]) != 5 || len(parts[1]) != 4 || len(parts[2]) != 2 {
		return false
	}
	return strings.Trim(s, "0123456789-") == ""
}

// Receive adds a lot that stands in a unit from a time on. If that unit has an
// open hold, the lot joins it. EFORBIDDEN when by may not manage stock there,
// EINVALID for a wrong field or a unit of another site, ENOTFOUND for an unknown
// unit, ECONFLICT when the same lot stands there already.
func (s *Service) Receive(ctx context.Context, by auth.Principal, l Lot, unit coldkeep.ApplianceID, from time.Time) (Lot, error) {
	if err := by.Require(auth.ManageStock, l.Site); err != nil {
		return l, err
	}
	if err := l.check(); err != nil {
		return l, err
	}
	now := s.clock.Now()
	if from.IsZero() || from.Year() < 2000 || from.After(now.Add(time.Minute)) {
		return l, coldkeep.Errorf(coldkeep.EINVALID, "From: want a time since 2000 that is not in the future.")
	}
	l.ID, l.CreatedAt = ulid.Make().String(), now
	return l, s.store.Tx(ctx, func(tx Tx) error {
		a, err := tx.LockAppliance(ctx, unit)
		if err != nil {
			return err
		}
		if a.Site != l.Site {
			return coldkeep.Errorf(coldkeep.EINVALID, "Unit: %q is of another site than the lot.", unit)
		}
		standing, err := tx.PlacementsIn(ctx, unit)
		if err != nil {
			return err
		}
		for _, p := range standing {
			if p.To != nil {
				continue
			}
			other, err := tx.Lot(ctx, p.Lot)
			if err != nil {
				return err
			}
			if other.Number == l.Number && other.NDC == l.NDC && other.Funding == l.Funding {
				return coldkeep.Errorf(coldkeep.ECONFLICT, "Lot %s (%s, %s) stands in %s already; change its doses instead.", l.Number, l.Product, l.Funding, a.Name)
			}
		}
		if err := tx.InsertLot(ctx, l); err != nil {
			return err
		}
		if err := s.journal(ctx, tx, by, StockEntry{Lot: l.ID, Kind: StockReceived, Doses: l.DosesOnHand, OnHand: l.DosesOnHand}); err != nil {
			return err
		}
		if err := tx.Audit(ctx, s.entry(by, "lot.receive", "lot/"+l.ID, l.Site, "",
			fmt.Sprintf("%s %s, %d doses, into %s", l.Product, l.Number, l.DosesOnHand, unit))); err != nil {
			return err
		}
		return s.place(ctx, tx, by, l, Placement{ID: ulid.Make().String(), Lot: l.ID, Appliance: unit, From: from})
	})
}

// Move puts a lot into another unit at a time, and out of the one it stood in. If
// the new unit has an open hold, the lot joins it; the holds it has go with it.
// EFORBIDDEN, ENOTFOUND for an unknown lot or unit, EINVALID when the time is
// before the lot came where it stands or in the future, or the unit is of another
// site, ECONFLICT when it stands there already.
func (s *Service) Move(ctx context.Context, by auth.Principal, lot string, to coldkeep.ApplianceID, at time.Time) error {
	if at.After(s.clock.Now().Add(time.Minute)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "When: is in the future.")
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		l, err := s.stock(ctx, tx, by, lot)
		if err != nil {
			return err
		}
		from, err := s.lockWhere(ctx, tx, lot, to)
		if err != nil {
			return err
		}
		target, err := tx.Appliance(ctx, to)
		if err != nil {
			return err
		}
		if target.Site != l.Site {
			return coldkeep.Errorf(coldkeep.EINVALID, "Unit: %q is of another site; a transfer between sites is received there as a new lot.", to)
		}
		if from != nil {
			if from.Appliance == to {
				return coldkeep.Errorf(coldkeep.ECONFLICT, "The lot stands in %s already.", target.Name)
			}
			if !at.After(from.From) {
				return coldkeep.Errorf(coldkeep.EINVALID, "When: the lot came where it stands at %s; want a later time.", from.From.Format(time.RFC3339))
			}
			if err := tx.EndPlacement(ctx, from.ID, at); err != nil {
				return err
			}
		}
		if err := tx.Audit(ctx, s.entry(by, "lot.move", "lot/"+lot, l.Site, "", "into "+string(to))); err != nil {
			return err
		}
		return s.place(ctx, tx, by, l, Placement{ID: ulid.Make().String(), Lot: lot, Appliance: to, From: at})
	})
}

// lockWhere locks the unit a lot stands in and the one it goes to, in the order of
// their names so that two moves cannot wait for each other, and returns the open
// placement.
func (s *Service) lockWhere(ctx context.Context, tx Tx, lot string, to coldkeep.ApplianceID) (*Placement, error) {
	for range 10 {
		before, err := openPlacement(ctx, tx, lot)
		if err != nil {
			return nil, err
		}
		units := []coldkeep.ApplianceID{to}
		if before != nil && before.Appliance != to {
			units = append(units, before.Appliance)
		}
		slices.Sort(units)
		for _, u := range units {
			if _, err := tx.LockAppliance(ctx, u); err != nil {
				return nil, err
			}
		}
		now, err := openPlacement(ctx, tx, lot)
		if err != nil {
			return nil, err
		}
		if before == nil && now == nil || before != nil && now != nil && before.ID == now.ID {
			return now, nil
		}
	}
	return nil, coldkeep.Errorf(coldkeep.ECONFLICT, "The lot is being moved by others; try again.")
}

func openPlacement(ctx context.Context, r Reader, lot string) (*Placement, error) {
	all, err := r.PlacementsOf(ctx, lot)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].To == nil {
			return &all[i], nil
		}
	}
	return nil, nil
}

// place adds a placement under the unit's lock and lets the lot join the holds
// whose excursion it came into.
func (s *Service) place(ctx context.Context, tx Tx, by auth.Principal, l Lot, p Placement) error {
	if err := tx.InsertPlacement(ctx, p); err != nil {
		return err
	}
	holds, err := tx.HoldsIn(ctx, p.Appliance)
	if err != nil {
		return err
	}
	on, err := tx.HoldsOn(ctx, l.ID)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if !p.touches(h.Since, h.Until) || slices.ContainsFunc(on, func(hl HoldLot) bool { return hl.Hold == h.ID }) {
			continue
		}
		if err := tx.InsertHoldLot(ctx, HoldLot{Hold: h.ID, Lot: l.ID, State: Held, JoinedAs: JoinedPlaced, JoinedAt: s.clock.Now()}); err != nil {
			return err
		}
		if err := tx.Audit(ctx, s.entry(by, "hold.join", "lot/"+l.ID, h.Site, "", "placed during open excursion, hold "+h.ID)); err != nil {
			return err
		}
	}
	return nil
}

// SetDoses corrects the doses on hand after a count. EFORBIDDEN, ENOTFOUND, or
// EINVALID when doses are out of range or why is empty.
func (s *Service) SetDoses(ctx context.Context, by auth.Principal, lot string, doses int, why string) error {
	if doses < 0 || doses > 100_000 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Doses on hand: want 0 to 100000.")
	}
	why, err := checkReason(why)
	if err != nil {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		l, err := s.stock(ctx, tx, by, lot)
		if err != nil {
			return err
		}
		if err := tx.SetDoses(ctx, lot, doses); err != nil {
			return err
		}
		if err := s.journal(ctx, tx, by, StockEntry{Lot: lot, Kind: StockCounted, Doses: doses - l.DosesOnHand, OnHand: doses, Why: why}); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "lot.count", "lot/"+lot, l.Site, why, fmt.Sprintf("%d doses, were %d", doses, l.DosesOnHand)))
	})
}

// stock returns a lot that by may manage. One that by may not even see is
// ENOTFOUND.
func (s *Service) stock(ctx context.Context, tx Tx, by auth.Principal, lot string) (Lot, error) {
	l, err := tx.Lot(ctx, lot)
	if err != nil {
		return l, err
	}
	if by.Known() && !by.May(auth.View, l.Site) {
		return l, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no lot %q.", lot)
	}
	return l, by.Require(auth.ManageStock, l.Site)
}

func checkReason(why string) (string, error) {
	why = strings.TrimSpace(why)
	if why == "" {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "Reason: please say why.")
	}
	if len(why) > 2000 {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "Reason: want at most 2000 characters.")
	}
	return why, nil
}
