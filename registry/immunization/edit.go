package immunization

import (
	"context"
	"fmt"
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Edit corrects a dose that stands at d.Revision and keeps what was there. A dose that a
// practice has given is that practice's to correct, and the registry's staff's; a
// historical one is everybody's who may record doses. The lot of a dose may be another
// one afterwards: the first gets its dose back. Kind and patient stay as they are.
//
// Errors as Record; ECONFLICT also when the dose has been changed since or was deleted.
func (s *Service) Edit(ctx context.Context, by auth.Principal, d Dose, why string, c Confirm) (Dose, error) {
	if err := s.may(ctx, by, auth.RecordDoses, by.Site, ofDose(ctx, d.ID)); err != nil {
		return d, err
	}
	why, err := checkReason(why)
	if err != nil {
		return d, err
	}
	err = s.change(ctx, by, d.ID, d.Revision, func(tx Tx, g patient.Gate, was Dose) error {
		d = corrected(was, d)
		of, err := s.family(ctx, tx, g)
		if err != nil {
			return err
		}
		// Of a dose whose lot stays, the stock has nothing to say that is new.
		moved := d.StockID != was.StockID || d.Date != was.Date || d.Eligibility != was.Eligibility
		warnings, err := s.prepare(ctx, tx, by, &d, of)
		if err != nil {
			return err
		}
		if !moved {
			warnings = nil
		}
		if err := confirmed(warnings, c); err != nil {
			return err
		}
		now := s.clock.Now()
		if d.StockID != was.StockID {
			if was.StockID != "" {
				if err := inventory.Return(ctx, tx, by, was.StockID, d.ID, why, now); err != nil {
					return err
				}
			}
			if d.StockID != "" {
				if _, err := inventory.Draw(ctx, tx, by, d.Site, d.StockID, d.ID, d.Date, now); err != nil {
					return err
				}
			}
		}
		if err := tx.UpdateDose(ctx, d, by.Name, why, now); err != nil {
			return err
		}
		i := slices.IndexFunc(of.doses, func(o Dose) bool { return o.ID == d.ID })
		of.doses[i] = d
		if err := s.link(ctx, tx, of.doses); err != nil {
			return err
		}
		if err := tx.Audit(ctx, s.entry(by, "dose.edit", "patient/"+g.Head, why, differences(&was, &d))); err != nil {
			return err
		}
		d, err = tx.Dose(ctx, d.ID)
		return err
	})
	return d, err
}

// corrected is what an edit may change of a dose, on top of what it was.
func corrected(was, d Dose) Dose {
	out := was
	out.Revision = was.Revision + 1
	out.DayUnknown = d.DayUnknown
	out.Date, out.CVX, out.MVX, out.NDC, out.Lot, out.Expires, out.StockID = d.Date, d.CVX, d.MVX, d.NDC, d.Lot, d.Expires, d.StockID
	out.BodySite, out.Route, out.Amount, out.Eligibility, out.Funding, out.VIS = d.BodySite, d.Route, d.Amount, d.Eligibility, d.Funding, d.VIS
	out.GivenBy, out.OrderedBy, out.Source, out.Elsewhere, out.Refusal, out.Note = d.GivenBy, d.OrderedBy, d.Source, d.Elsewhere, d.Refusal, d.Note
	return out
}

// differences names the fields that changed; their values are in the dose's history.
func differences(a, b *Dose) string {
	out := "dose " + a.ID + ":"
	for _, f := range []struct {
		name string
		same bool
	}{{"date", a.Date == b.Date && a.DayUnknown == b.DayUnknown}, {"CVX", a.CVX == b.CVX}, {"MVX", a.MVX == b.MVX}, {"NDC", a.NDC == b.NDC}, {"lot", a.Lot == b.Lot && a.StockID == b.StockID},
		{"expiry", a.Expires == b.Expires}, {"body site", a.BodySite == b.BodySite}, {"route", a.Route == b.Route}, {"amount", a.Amount == b.Amount},
		{"eligibility", a.Eligibility == b.Eligibility}, {"funding", a.Funding == b.Funding}, {"given by", a.GivenBy == b.GivenBy}, {"ordered by", a.OrderedBy == b.OrderedBy},
		{"VIS", slices.Equal(a.VIS, b.VIS)}, {"source", a.Source == b.Source && a.Elsewhere == b.Elsewhere}, {"refusal", a.Refusal == b.Refusal}, {"note", a.Note == b.Note}} {
		if !f.same {
			out += " " + f.name
		}
	}
	return out
}

// Delete takes a dose that was entered by mistake out of the count, with a reason. It is
// kept. A dose from the stock goes back on its lot. Errors as Edit.
func (s *Service) Delete(ctx context.Context, by auth.Principal, id string, revision int64, why string) error {
	if err := s.may(ctx, by, auth.RecordDoses, by.Site, ofDose(ctx, id)); err != nil {
		return err
	}
	why, err := checkReason(why)
	if err != nil {
		return err
	}
	return s.change(ctx, by, id, revision, func(tx Tx, g patient.Gate, was Dose) error {
		now := s.clock.Now()
		d := was
		d.Revision++
		d.Deleted = &Deletion{By: by.Name, At: now, Reason: why}
		d.DuplicateOf = ""
		if d.StockID != "" {
			if err := inventory.Return(ctx, tx, by, d.StockID, d.ID, why, now); err != nil {
				return err
			}
		}
		if err := tx.UpdateDose(ctx, d, by.Name, why, now); err != nil {
			return err
		}
		return s.relink(ctx, tx, by, g, "dose.delete", why, fmt.Sprintf("CVX %s on %s, dose %s", d.CVX, d.Date, d.ID))
	})
}

// TellApart says by a person's word that two records are of two doses, not of one, so
// that both count. Errors as Edit; EINVALID when the other is not the same person's.
func (s *Service) TellApart(ctx context.Context, by auth.Principal, id string, revision int64, other, why string) error {
	if err := s.may(ctx, by, auth.RecordDoses, by.Site, ofDose(ctx, id)); err != nil {
		return err
	}
	why, err := checkReason(why)
	if err != nil {
		return err
	}
	return s.change(ctx, by, id, revision, func(tx Tx, g patient.Gate, was Dose) error {
		o, err := tx.Dose(ctx, other)
		if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND || err == nil && (!slices.Contains(g.Family, o.Patient) || other == id) {
			return coldkeep.Errorf(coldkeep.EINVALID, "The other dose is not on this record.")
		}
		if err != nil {
			return err
		}
		d := was
		d.Revision++
		if !slices.Contains(d.DistinctFrom, other) {
			d.DistinctFrom = append(slices.Clone(d.DistinctFrom), other)
		}
		if err := tx.UpdateDose(ctx, d, by.Name, why, s.clock.Now()); err != nil {
			return err
		}
		return s.relink(ctx, tx, by, g, "dose.distinct", why, "dose "+id+" is not dose "+other)
	})
}

// Trust says by a person's word whether a single dose that was given from the stock can
// be trusted: words name the break that spoilt it, "" that it counts after all. To distrust
// a dose is safe, and whoever may record doses may say so; that vaccine which was called
// spoilt is good is what deciding about holds is, and needs that permission too. Errors as
// Edit.
func (s *Service) Trust(ctx context.Context, by auth.Principal, id string, revision int64, words, why string) error {
	if err := s.may(ctx, by, auth.RecordDoses, by.Site, ofDose(ctx, id)); err != nil {
		return err
	}
	if words == "" {
		if err := s.may(ctx, by, auth.DecideHolds, by.Site, ofDose(ctx, id)); err != nil {
			return err
		}
	}
	why, err := checkReason(why)
	if err != nil {
		return err
	}
	if err := field("What spoilt the dose", &words, 500); err != nil {
		return err
	}
	return s.change(ctx, by, id, revision, func(tx Tx, g patient.Gate, was Dose) error {
		if was.Kind == Refused {
			return coldkeep.Errorf(coldkeep.EINVALID, "A refused dose was not given.")
		}
		d := was
		d.Revision++
		d.NonViable = words
		if err := tx.UpdateDose(ctx, d, by.Name, why, s.clock.Now()); err != nil {
			return err
		}
		what := "dose.spoil"
		if words == "" {
			what = "dose.trust"
		}
		return tx.Audit(ctx, s.entry(by, what, "patient/"+g.Head, why, "dose "+id))
	})
}

func (s *Service) relink(ctx context.Context, tx Tx, by auth.Principal, g patient.Gate, what, why, detail string) error {
	doses, err := tx.Doses(ctx, g.Family)
	if err != nil {
		return err
	}
	if err := s.link(ctx, tx, doses); err != nil {
		return err
	}
	return tx.Audit(ctx, s.entry(by, what, "patient/"+g.Head, why, detail))
}

// FamilyChanged finds anew which doses of a person tell of one, in the transaction that
// has merged records or taken a merge apart: patient.Family. tx has to be one on doses
// too, which that of the registry's store is; another is EINTERNAL.
func (s *Service) FamilyChanged(ctx context.Context, in patient.Tx, head string) error {
	tx, err := onDoses(in)
	if err != nil {
		return err
	}
	g, err := tx.PatientGate(ctx, head, "", s.clock.Now())
	if err != nil {
		return err
	}
	if err := tx.LockPatient(ctx, g.Head); err != nil {
		return err
	}
	doses, err := tx.Doses(ctx, g.Family)
	if err != nil {
		return err
	}
	return s.link(ctx, tx, doses)
}

// change opens a dose for a correction: the record under its lock, the dose as it stands
// there, at the revision that was looked at.
func (s *Service) change(ctx context.Context, by auth.Principal, id string, revision int64, do func(Tx, patient.Gate, Dose) error) error {
	if err := s.may(ctx, by, auth.RecordDoses, by.Site, ofDose(ctx, id)); err != nil {
		return err
	}
	return s.tx(ctx, by, func(tx Tx) error {
		d, err := tx.Dose(ctx, id)
		if err != nil {
			return absent(err, "dose", id, auth.RecordDoses)
		}
		g, err := s.open(ctx, tx, by, d.Patient, auth.RecordDoses)
		if err != nil {
			return err
		}
		if err := tx.LockPatient(ctx, g.Head); err != nil {
			return err
		}
		if d, err = tx.Dose(ctx, id); err != nil { // as it stands under the lock
			return err
		}
		switch {
		case d.Kind == Administered && by.Site != "" && by.Site != d.Site:
			return &refusal{coldkeep.Errorf(coldkeep.EFORBIDDEN, "This dose is from another practice's stock: only that practice can correct it."), "patient/" + g.Head, auth.RecordDoses}
		case d.Deleted != nil:
			return coldkeep.Errorf(coldkeep.ECONFLICT, "%s has deleted this dose: %s", d.Deleted.By, d.Deleted.Reason)
		case d.Revision != revision:
			return coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has changed this dose meanwhile. Look at it again, then make your change.")
		}
		return do(tx, g, d)
	})
}

// History lists a dose's earlier values, the latest first. EFORBIDDEN when the record
// does not open to by, ENOTFOUND.
func (s *Service) History(ctx context.Context, by auth.Principal, id string) ([]Change, error) {
	var out []Change
	err := s.tx(ctx, by, func(tx Tx) error {
		d, err := tx.Dose(ctx, id)
		if err != nil {
			return absent(err, "dose", id, auth.ViewPatients)
		}
		g, err := s.open(ctx, tx, by, d.Patient, auth.ViewPatients)
		if err != nil {
			return err
		}
		if out, err = tx.DoseHistory(ctx, id); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "dose.history", "patient/"+g.Head, "", "dose "+id))
	})
	return out, err
}
