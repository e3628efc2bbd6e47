package immunization

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Affected is a dose that was given from a lot while or after its unit was out of range,
// with who got it.
type Affected struct {
	Dose
	Name   patient.Name
	Birth  coldkeep.Date
	Locked bool // the record is locked: who it is, is not told
}

// GivenUnderHold lists the doses that were given from a lot on the day a hold on it began,
// or later, for the people of that practice who may see patients, and writes into the
// trail whose names were shown. Of a record that is locked for by, only the dose is told.
// EFORBIDDEN when by may not see patients there, ENOTFOUND for a lot that is not in the
// hold.
func (s *Service) GivenUnderHold(ctx context.Context, by auth.Principal, hold, lot string) ([]Affected, error) {
	var out []Affected
	err := s.tx(ctx, by, func(tx Tx) error {
		h, err := tx.Hold(ctx, hold)
		if err != nil {
			return err
		}
		if by.Known() && !by.May(auth.View, h.Site) {
			return coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no hold %q.", hold)
		}
		if err := by.Require(auth.ViewPatients, h.Site); err != nil {
			return err
		}
		in, err := tx.HoldsOn(ctx, lot)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(in, func(l inventory.HoldLot) bool { return l.Hold == hold }) {
			return coldkeep.Errorf(coldkeep.ENOTFOUND, "The lot is not in this hold.")
		}
		site, err := tx.Site(ctx, h.Site)
		if err != nil {
			return err
		}
		zone, err := time.LoadLocation(site.TimeZone)
		if err != nil {
			zone = time.UTC
		}
		doses, err := tx.DosesFrom(ctx, lot, coldkeep.DateOf(h.Since.In(zone)))
		if err != nil {
			return err
		}
		out, err = s.affected(ctx, tx, by, doses, "hold "+hold)
		return err
	})
	return out, err
}

// GivenFrom lists every dose that was given from a lot. Errors as GivenUnderHold.
func (s *Service) GivenFrom(ctx context.Context, by auth.Principal, lot string) ([]Affected, error) {
	var out []Affected
	err := s.tx(ctx, by, func(tx Tx) error {
		l, err := tx.Lot(ctx, lot)
		if err != nil {
			return err
		}
		if by.Known() && !by.May(auth.View, l.Site) {
			return coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such lot.")
		}
		if err := by.Require(auth.ViewPatients, l.Site); err != nil {
			return err
		}
		doses, err := tx.DosesFrom(ctx, lot, 0)
		if err != nil {
			return err
		}
		out, err = s.affected(ctx, tx, by, doses, "lot "+lot)
		return err
	})
	return out, err
}

func (s *Service) affected(ctx context.Context, tx Tx, by auth.Principal, doses []Dose, of string) ([]Affected, error) {
	out := make([]Affected, len(doses))
	var open []string
	for i, d := range doses {
		out[i].Dose = d
		g, err := tx.PatientGate(ctx, d.Patient, by.ID, s.clock.Now())
		if err != nil {
			return nil, err
		}
		// The practice gave the dose: it need not have searched for the patient. A lock is
		// another matter.
		g.Granted = true
		if err := g.Require(by, auth.ViewPatients); err != nil {
			if !patient.IsLocked(err) {
				return nil, err
			}
			out[i].Locked, out[i].Dose.Patient = true, ""
			if err := tx.Audit(ctx, s.entry(by, "doses.refused", "patient/"+g.Head, "", of)); err != nil {
				return nil, err
			}
			continue
		}
		out[i].Birth = g.Birth
		out[i].Dose.Patient = g.Head
		open = append(open, g.Head)
		if err := tx.Audit(ctx, s.entry(by, "doses.affected", "patient/"+g.Head, "", of+", dose "+d.ID)); err != nil {
			return nil, err
		}
	}
	names, err := tx.Names(ctx, open)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if !out[i].Locked {
			out[i].Name = names[out[i].Dose.Patient]
		}
	}
	return out, nil
}

// Pick is a lot that a dose may be drawn from, or the reason why not.
type Pick struct {
	inventory.LotView
	Groups []string // vaccine groups it is for
	Due    []string // those of them that are due for the patient
	Not    string   // why it must not be used; "" when it may
	Route  string   // HL7 table 0162 by its NDC; "" when not known
}

// Picks lists a practice's lots for a patient: those that are due first, of each vaccine
// the one that expires first on top (first expired, first out), and those that must not
// be used last, with the reason. view is the patient's.
func (s *Service) Picks(v *View, lots []inventory.LotView, site coldkeep.SiteID) []Pick {
	k := s.known()
	var out []Pick
	for _, l := range lots {
		if l.Site != site {
			continue
		}
		p := Pick{LotView: l, Groups: k.Groups(l.CVX)}
		switch {
		case l.Held():
			p.Not = "on hold"
		case l.Expires < v.Today.String():
			p.Not = "expired on " + l.Expires
		case l.DosesOnHand < 1:
			p.Not = "none left"
		case l.Where == nil:
			p.Not = "stands in no unit"
		}
		if pack, ok := s.codes.NDC(l.NDC); ok {
			p.Route = pack.Route
		}
		for i := range v.Due {
			d := &v.Due[i]
			if (d.Urgency == Overdue || d.Urgency == DueNow) && slices.Contains(p.Groups, d.Group) && !slices.Contains(p.Due, d.Group) {
				p.Due = append(p.Due, d.Group)
			}
		}
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b Pick) int {
		return cmp.Or(
			cmp.Compare(flag(a.Not != ""), flag(b.Not != "")),
			-cmp.Compare(len(a.Due), len(b.Due)),
			cmp.Compare(a.Product, b.Product),
			cmp.Compare(a.Expires, b.Expires),
		)
	})
	return out
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
