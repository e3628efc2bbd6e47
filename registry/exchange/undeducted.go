package exchange

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// The codes of why a dose that was given is not taken off the stock. They are those of the
// field: a dose is taken off when it was given by the site (RXA-9 00, RXA-20 CP or PA), at a
// facility that the sender speaks for, from a lot that the site has, of that vaccine or else
// its group, that was in date and bought by money that the patient is eligible for.
const (
	NoFacility   = "facility"      // RXA-11.4 names none that the sender speaks for
	NoLotNumber  = "no-lot"        // RXA-15 is empty
	UnknownLot   = "unknown-lot"   // the site has no such lot
	OtherVaccine = "other-vaccine" // the site's lot is of another vaccine group
	ExpiredLot   = "expired"       // on the day of the dose
	WrongFunding = "funding"       // does not fit OBX 64994-7
	NoneLeft     = "none-left"     // by the books
	SameDay      = "same-day"      // another dose of the vaccine was taken off for this patient and day
)

// UndeductedCodes are all of them.
func UndeductedCodes() []string {
	return []string{NoFacility, NoLotNumber, UnknownLot, OtherVaccine, ExpiredLot, WrongFunding, NoneLeft, SameDay}
}

// Undeducted is a dose that was given by a site and not taken off its stock.
type Undeducted struct {
	Dose    string          // immunization.Dose.ID
	Patient string          // whose record it is on now
	Site    coldkeep.SiteID // whose stock it should have come from
	Account string          // of the sender
	Sender  string          // the account's name; read with the row
	Message string          // that told of it last
	At      time.Time       // of that message
	Code    string          // one of UndeductedCodes
	Reason  string          // in the field's terms, as the sender was told it
	Settled *time.Time      // absent: it waits
	By      string
	Why     string

	// Of the dose and its patient, in what Service.Undeducted lists.
	Given    coldkeep.Date
	CVX, Lot string
	Name     patient.Name
	Birth    coldkeep.Date
	// Locked says that the patient has opted out of sharing, and that who looks can do nothing
	// about the dose. Then all but Site and At is empty, unless the record was opened for
	// viewing in an emergency.
	Locked bool
}

// MostUndeducted is how many doses Undeducted lists at most: each of them is looked up and
// entered in the trail by itself.
const MostUndeducted = 200

// mayStock asks for who keeps a site's stock and may see whom doses were given to.
func mayStock(by auth.Principal, site coldkeep.SiteID) error {
	if err := by.Require(auth.ManageStock, site); err != nil {
		return err
	}
	return by.Require(auth.ViewPatients, site)
}

// Undeducted lists doses of a site, or of all with "", that were given and not taken off its
// stock, the earliest first, and tells how many there are in all. It passes over the first
// skip and lists at most limit, MostUndeducted at most. Whose they are is in the trail for each
// of them. Of a locked record that does not open to by nothing is told but that a dose waits.
// EFORBIDDEN unless by keeps that stock.
func (s *Service) Undeducted(ctx context.Context, by auth.Principal, site coldkeep.SiteID, skip, limit int) (list []Undeducted, total int, err error) {
	if err := mayStock(by, site); err != nil {
		return nil, 0, err
	}
	err = s.store.Tx(ctx, func(tx Tx) error {
		var err error
		if list, err = tx.Undeducted(ctx, site, max(skip, 0), min(max(limit, 1), MostUndeducted)); err != nil {
			return err
		}
		counts, err := tx.CountUndeducted(ctx, site)
		if err != nil {
			return err
		}
		total = 0
		for _, n := range counts {
			total += n
		}
		var open []string
		for i := range list {
			if err := s.shown(ctx, tx, by, &list[i]); err != nil {
				return err
			}
			if list[i].Patient != "" {
				open = append(open, list[i].Patient)
			}
		}
		names, err := tx.Names(ctx, open)
		if err != nil {
			return err
		}
		for i := range list {
			list[i].Name = names[list[i].Patient]
		}
		return tx.Audit(ctx, s.entry(by, "undeducted.list", "site/"+string(site), site, "", ""))
	})
	return list, total, err
}

// shown makes a row of the list what by may see of it, and enters that in the trail.
func (s *Service) shown(ctx context.Context, tx Tx, by auth.Principal, u *Undeducted) error {
	g, err := s.gate(ctx, tx, by, u.Patient)
	if err != nil {
		return err
	}
	e := s.entry(by, "undeducted.view", "patient/"+g.Head, u.Site, "", "dose "+u.Dose)
	if err := g.Require(by, auth.ViewPatients); err != nil {
		if !patient.IsLocked(err) {
			return err
		}
		*u = Undeducted{Site: u.Site, At: u.At, Locked: true}
		e.What = "undeducted.view.refused"
		return tx.Audit(ctx, e)
	}
	d, err := tx.Dose(ctx, u.Dose)
	if err != nil {
		return err
	}
	u.Patient, u.Birth, u.Given, u.CVX, u.Lot = g.Head, g.Birth, d.Date, d.CVX, d.Lot
	u.Locked = closed(&g, by) != nil
	return tx.Audit(ctx, e)
}

// gate is that of a patient who was given a dose by a site: who keeps its stock need not have
// searched for the patient. A lock is another matter.
func (s *Service) gate(ctx context.Context, tx Tx, by auth.Principal, id string) (patient.Gate, error) {
	g, err := tx.PatientGate(ctx, id, by.ID, s.clock.Now())
	g.Granted = true
	return g, err
}

// closed is the refusal of a record that is locked to by, also to who has opened it in an
// emergency: that is for viewing alone.
func closed(g *patient.Gate, by auth.Principal) error { return g.Require(by, auth.ManageStock) }

// CountUndeducted tells how many doses wait at by's site, or at each for the programme, those
// of locked records among them. EFORBIDDEN unless by keeps stock.
func (s *Service) CountUndeducted(ctx context.Context, by auth.Principal) (map[coldkeep.SiteID]int, error) {
	if err := mayStock(by, by.Site); err != nil {
		return nil, err
	}
	return s.store.CountUndeducted(ctx, by.Site)
}

// Deduct tries again to take a dose off the stock, once what spoke against it has been put
// right: a lot was received, its count corrected, the dose's lot number edited. It gives the
// reason that speaks against it still, "" that it was taken; to ask for one that was taken
// already does nothing more. EFORBIDDEN, also for a dose of a record that is locked to by
// (patient.IsLocked), ENOTFOUND when no such dose was listed, ECONFLICT when it waits no more.
func (s *Service) Deduct(ctx context.Context, by auth.Principal, dose string) (reason string, err error) {
	err = s.listed(ctx, by, dose, func(tx Tx, u Undeducted, d immunization.Dose) error {
		reason = ""
		switch {
		case d.Deleted != nil || d.Kind != immunization.Administered:
			return errNotGiven
		case u.Settled != nil && d.StockID != "":
			return nil
		case u.Settled != nil:
			return settled(u)
		}
		code, why, err := s.means.Deduct(ctx, tx, by, dose)
		if err != nil {
			return err
		}
		e := s.entry(by, "undeducted.deduct", "dose/"+dose, u.Site, "", "")
		e.Patient = d.Patient
		if code != "" {
			reason, e.Detail = why, "not possible: "+code
			u.Code, u.Reason = code, why
			if err := tx.PutUndeducted(ctx, u); err != nil {
				return err
			}
			return tx.Audit(ctx, e)
		}
		if err := tx.SettleUndeducted(ctx, dose, by.Name, "taken off the stock", s.clock.Now()); err != nil {
			return err
		}
		return tx.Audit(ctx, e)
	})
	return reason, err
}

// Settle takes a dose off the list without taking one off the stock, with a reason. The same
// by the same person again does nothing more. EFORBIDDEN, also for a dose of a record that is
// locked to by (patient.IsLocked), ENOTFOUND when no such dose was listed, EINVALID without a
// reason, ECONFLICT when it waits no more.
func (s *Service) Settle(ctx context.Context, by auth.Principal, dose, why string) error {
	return s.listed(ctx, by, dose, func(tx Tx, u Undeducted, d immunization.Dose) error {
		why := strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(why, "\x00", ""), "\uFFFD"))
		if n := utf8.RuneCountInString(why); n < 4 || n > 500 {
			return coldkeep.Errorf(coldkeep.EINVALID, "Reason: say why the dose is not taken off the stock, in 4 to 500 characters.")
		}
		switch {
		case u.Settled != nil && u.By == by.Name && u.Why == why:
			return nil
		case u.Settled != nil:
			return settled(u)
		case d.StockID != "":
			return coldkeep.Errorf(coldkeep.ECONFLICT, "This dose has been taken off the stock meanwhile.")
		}
		if err := tx.SettleUndeducted(ctx, dose, by.Name, why, s.clock.Now()); err != nil {
			return err
		}
		e := s.entry(by, "undeducted.settle", "dose/"+dose, u.Site, why, "")
		e.Patient = d.Patient
		return tx.Audit(ctx, e)
	})
}

var errNotGiven = coldkeep.Errorf(coldkeep.ECONFLICT, "The dose was deleted, or is not one that was given by the site: there is nothing to take off the stock.")

// settled is what is said of a dose that somebody has dealt with. The reason is not told: it
// is a person's own words, and errors hold none of a patient's data.
func settled(u Undeducted) error {
	return coldkeep.Errorf(coldkeep.ECONFLICT, "This dose is on the list no more: %s has dealt with it.", u.By)
}

// listed hands a dose that is, or was, on the list to do, as both stand under the patient's
// lock, unless its record is locked to by: that refusal is in the trail.
func (s *Service) listed(ctx context.Context, by auth.Principal, dose string, do func(Tx, Undeducted, immunization.Dose) error) error {
	if err := mayStock(by, by.Site); err != nil {
		return err
	}
	var refused error
	err := s.store.Tx(ctx, func(tx Tx) error {
		refused = nil
		u, err := tx.UndeductedDose(ctx, dose)
		if err == nil && mayStock(by, u.Site) != nil {
			err = coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such dose on the list.")
		}
		if err != nil {
			return err
		}
		g, err := s.gate(ctx, tx, by, u.Patient)
		if err != nil {
			return err
		}
		if refused = closed(&g, by); refused != nil {
			e := s.entry(by, "undeducted.refused", "dose/"+dose, u.Site, "", "")
			e.Patient = g.Head
			return tx.Audit(ctx, e)
		}
		// Somebody else, or a message, may be at the same dose: it is theirs or ours.
		if err := tx.LockPatient(ctx, g.Head); err != nil {
			return err
		}
		if u, err = tx.UndeductedDose(ctx, dose); err != nil {
			return err
		}
		d, err := tx.Dose(ctx, dose)
		if err != nil {
			return err
		}
		d.Patient = g.Head
		return do(tx, u, d)
	})
	if err == nil {
		err = refused
	}
	return err
}
