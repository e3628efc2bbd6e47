package inventory

import (
	"context"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Drawn is a dose taken from a lot.
type Drawn struct {
	Lot
	Unit coldkeep.ApplianceID // where the lot stood that day; "" when it stood nowhere then
	// Hold is the hold that speaks against the dose; absent: none does.
	Hold *Hold
}

// Draw takes a dose from a lot for the immunization with that id, in the transaction that
// records it, and says where the lot stood. It takes the dose also from a lot that is on
// hold or expired, since it may have been given already: what is then to be done is the
// caller's to say. ENOTFOUND for a lot of another practice, ECONFLICT when no dose is
// left.
func Draw(ctx context.Context, tx Tx, by auth.Principal, site coldkeep.SiteID, lot, dose string, on coldkeep.Date, at time.Time) (Drawn, error) {
	d, err := Look(ctx, tx, site, lot, on)
	if err != nil {
		return d, err
	}
	left, err := tx.AddDoses(ctx, lot, -1)
	if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
		return d, coldkeep.Errorf(coldkeep.ECONFLICT, "Lot %s has no dose left by the books. Count it on the lots page, or choose another lot.", d.Number)
	}
	if err != nil {
		return d, err
	}
	d.DosesOnHand = left
	return d, tx.InsertStockEntry(ctx, StockEntry{ID: ulid.Make().String(), Lot: lot, At: at, Kind: StockDrawn, Doses: -1, OnHand: left, Dose: dose, By: by.Name})
}

// Look is what Draw would say of a lot, without taking a dose. Which holds are on the lot
// is read under its unit's lock. ENOTFOUND for a lot of another practice.
func Look(ctx context.Context, tx Tx, site coldkeep.SiteID, lot string, on coldkeep.Date) (Drawn, error) {
	var d Drawn
	l, err := tx.Lot(ctx, lot)
	if err == nil && l.Site != site {
		err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such lot in this practice's stock.")
	}
	if err != nil {
		return d, err
	}
	d.Lot = l
	where, err := openPlacement(ctx, tx, lot)
	if err != nil {
		return d, err
	}
	if where != nil {
		if _, err := tx.LockAppliance(ctx, where.Appliance); err != nil {
			return d, err
		}
	}
	of, err := tx.Site(ctx, site)
	if err != nil {
		return d, err
	}
	zone := zoneOf(of)
	stays, err := tx.PlacementsOf(ctx, lot)
	if err != nil {
		return d, err
	}
	d.Unit = unitOn(stays, on, zone)
	holds, err := tx.HoldsOn(ctx, lot)
	if err != nil {
		return d, err
	}
	for _, hl := range holds {
		if hl.State == Released {
			continue
		}
		h, err := tx.Hold(ctx, hl.Hold)
		if err != nil {
			return d, err
		}
		// The hour at which the dose was given is not known: the whole day counts.
		if on >= coldkeep.DateOf(h.Since.In(zone)) && (d.Hold == nil || h.Since.Before(d.Hold.Since)) {
			d.Hold = &h
		}
	}
	return d, nil
}

// unitOn is where a lot stood on a day; the last place of that day when it was moved.
func unitOn(stays []Placement, on coldkeep.Date, zone *time.Location) coldkeep.ApplianceID {
	begin, end := on.Midnight(zone), (on + 1).Midnight(zone)
	unit := coldkeep.ApplianceID("")
	for _, p := range stays {
		if p.From.Before(end) && (p.To == nil || p.To.After(begin)) {
			unit = p.Appliance
		}
	}
	return unit
}

// Return puts a dose back that was not given after all, in the transaction that deletes
// its record. Of a lot that was wasted meanwhile there is nothing to return to.
func Return(ctx context.Context, tx Tx, by auth.Principal, lot, dose, why string, at time.Time) error {
	holds, err := tx.HoldsOn(ctx, lot)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.State == Wasted {
			return nil
		}
	}
	left, err := tx.AddDoses(ctx, lot, 1)
	if err != nil {
		return err
	}
	return tx.InsertStockEntry(ctx, StockEntry{ID: ulid.Make().String(), Lot: lot, At: at, Kind: StockReturned, Doses: 1, OnHand: left, Dose: dose, By: by.Name, Why: why})
}

// spoil marks the doses that were given from a lot since a hold began: a decision of its
// own, on the record of each patient.
func (s *Service) spoil(ctx context.Context, tx Tx, by auth.Principal, h Hold, lot, why string) error {
	since, err := s.firstDay(ctx, tx, h)
	if err != nil {
		return err
	}
	words := fmt.Sprintf("Its lot stood out of range from %s and was wasted: %s", since, why)
	spoilt, err := tx.SpoilDoses(ctx, lot, since, words, by.Name, why, s.clock.Now())
	if err != nil {
		return err
	}
	// On each patient's own trail too: it is their record that says otherwise now.
	for _, d := range spoilt {
		if err := tx.Audit(ctx, s.entry(by, "dose.spoil", "patient/"+d.Patient, h.Site, why, "dose "+d.Dose+", with its lot")); err != nil {
			return err
		}
	}
	return tx.Audit(ctx, s.entry(by, "doses.spoil", "lot/"+lot, h.Site, why, fmt.Sprintf("%d doses given since %s no longer count", len(spoilt), since)))
}

func (s *Service) firstDay(ctx context.Context, r Reader, h Hold) (coldkeep.Date, error) {
	site, err := r.Site(ctx, h.Site)
	if err != nil {
		return 0, err
	}
	return coldkeep.DateOf(h.Since.In(zoneOf(site))), nil
}

// GivenUnderHold counts the doses that were given from a lot on the day a hold on it
// began, or later. ENOTFOUND when there is no hold that by may see.
func (s *Service) GivenUnderHold(ctx context.Context, by auth.Principal, hold, lot string) (int, error) {
	h, err := s.store.Hold(ctx, hold)
	if err == nil && !by.May(auth.View, h.Site) {
		err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no hold %q.", hold)
	}
	if err != nil {
		return 0, err
	}
	since, err := s.firstDay(ctx, s.store, h)
	if err != nil {
		return 0, err
	}
	return s.store.GivenSince(ctx, lot, since)
}

// Journal lists the latest changes of a lot's doses, the latest first. ENOTFOUND when
// there is no lot that by may see.
func (s *Service) Journal(ctx context.Context, by auth.Principal, lot string) ([]StockEntry, error) {
	l, err := s.store.Lot(ctx, lot)
	if err == nil && !by.May(auth.View, l.Site) {
		err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no lot %q.", lot)
	}
	if err != nil {
		return nil, err
	}
	return s.store.StockEntries(ctx, lot, 200)
}

// journal adds a change of by's to a lot's journal.
func (s *Service) journal(ctx context.Context, tx Tx, by auth.Principal, e StockEntry) error {
	e.ID, e.At, e.By = ulid.Make().String(), s.clock.Now(), by.Name
	return tx.InsertStockEntry(ctx, e)
}

// zoneOf is a clinic's time zone; a name that this machine does not know is UTC.
func zoneOf(s coldkeep.Site) *time.Location {
	l, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return time.UTC
	}
	return l
}
