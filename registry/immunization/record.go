package immunization

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Confirm is what comes with a dose: how a person answers warnings, and which form it is.
type Confirm struct {
	Yes  bool   // the warnings have been read
	Why  string // needed when the dose should not have been given as it was
	Form string // the form's key: a form that comes again records nothing more; "" none
}

// Unconfirmed is the error of a dose that is not recorded until somebody has read the
// warnings. Its code is ECONFLICT.
type Unconfirmed struct{ Warnings []Warning }

// Error gives the warnings in one sentence each.
func (u *Unconfirmed) Error() string {
	var b strings.Builder
	for i, w := range u.Warnings {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w.Text)
	}
	return b.String()
}

// Unwrap is the coded form.
func (u *Unconfirmed) Unwrap() error {
	return coldkeep.Errorf(coldkeep.ECONFLICT, "%s", u.Error())
}

// Record adds a dose, given, told of or refused, to a person's record. A dose from the
// practice's stock takes it off the lot in the same transaction, and what is printed on
// the lot (product, maker, lot number, expiry, funding) is the lot's word. It returns the
// dose as it is kept, or the earlier one when the same has been recorded before, or by the
// same form (Confirm.Form).
//
// EFORBIDDEN when by may not record doses there or the record does not open, ENOTFOUND
// for an unknown patient or lot, EINVALID for a wrong field, ECONFLICT when no dose is
// left, *Unconfirmed (ECONFLICT) when there are warnings that c does not answer, and
// *UsedForm (ECONFLICT) when the form has recorded another dose.
func (s *Service) Record(ctx context.Context, by auth.Principal, d Dose, c Confirm) (Dose, error) {
	if by.Site != "" && d.Kind == Administered {
		d.Site = by.Site
	}
	form, err := sentForm(by, d, c.Form)
	if err != nil {
		return d, err
	}
	if err := s.may(ctx, by, auth.RecordDoses, by.Site, of(d.Patient)); err != nil {
		return d, err
	}
	if d.Kind == Administered {
		if err := s.may(ctx, by, auth.RecordDoses, d.Site, of(d.Patient)); err != nil {
			return d, err
		}
	}
	said, err := s.ofStatements(ctx, &d)
	if err != nil {
		return d, err
	}
	sent := d
	err = s.tx(ctx, by, func(tx Tx) error {
		g, err := s.open(ctx, tx, by, sent.Patient, auth.RecordDoses)
		if err != nil {
			return err
		}
		if err := tx.LockPatient(ctx, g.Head); err != nil {
			return err
		}
		before, err := s.sentBefore(ctx, tx, form)
		if err != nil {
			return err
		}
		if before != nil {
			d = *before
			return nil
		}
		if d, err = s.record(ctx, tx, by, g, sent, c, said...); err != nil || form.Form == "" {
			return err
		}
		form.Dose = d.ID
		return tx.InsertDoseForm(ctx, form, s.clock.Now())
	})
	return d, err
}

func (s *Service) record(ctx context.Context, tx Tx, by auth.Principal, g patient.Gate, d Dose, c Confirm, said ...Warning) (Dose, error) {
	d.ID, d.Revision = ulid.Make().String(), 1
	d.Patient = g.Head
	d.EnteredBy, d.EnteredSite, d.EnteredAt = by.Name, by.Site, s.clock.Now()
	d.NonViable, d.DuplicateOf, d.DistinctFrom, d.Deleted = "", "", nil, nil
	c.Why = strings.TrimSpace(c.Why)
	if c.Why != "" && d.Note == "" {
		d.Note = c.Why
	}
	before, err := s.family(ctx, tx, g)
	if err != nil {
		return d, err
	}
	warnings, err := s.prepare(ctx, tx, by, &d, before)
	if err != nil {
		return d, err
	}
	if same := before.same(&d); same != nil {
		return *same, nil
	}
	if err := confirmed(append(warnings, said...), c); err != nil {
		return d, err
	}
	if d.StockID != "" {
		if _, err := inventory.Draw(ctx, tx, by, d.Site, d.StockID, d.ID, d.Date, s.clock.Now()); err != nil {
			return d, err
		}
	}
	if err := tx.InsertDose(ctx, d); err != nil {
		return d, err
	}
	before.doses = append(before.doses, d)
	if err := s.link(ctx, tx, before.doses); err != nil {
		return d, err
	}
	e := s.entry(by, "dose.record", "patient/"+g.Head, c.Why, fmt.Sprintf("%s, CVX %s on %s, dose %s", d.Kind, d.CVX, d.Date, d.ID))
	if err := tx.Audit(ctx, e); err != nil {
		return d, err
	}
	return tx.Dose(ctx, d.ID)
}

// prepare checks a dose and fills in what the lot and the codes say. It gives the
// warnings that a person has to answer.
func (s *Service) prepare(ctx context.Context, tx Tx, by auth.Principal, d *Dose, of *family) ([]Warning, error) {
	site := d.Site
	if site == "" {
		site = by.Site
	}
	today, err := s.today(ctx, tx, site)
	if err != nil {
		return nil, err
	}
	var warnings []Warning
	if d.StockID != "" {
		if d.Kind != Administered {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "Lot: only a dose that was given here comes from the stock.")
		}
		drawn, err := inventory.Look(ctx, tx, d.Site, d.StockID, d.Date)
		if err != nil {
			return nil, err
		}
		stockSays(d, drawn)
		warnings = append(warnings, stockWarnings(d, &drawn, of.subject)...)
	}
	if err := s.check(d, of.subject, today); err != nil {
		return nil, err
	}
	if d.Kind != Refused {
		warnings = append(warnings, s.warnings(d, of)...)
	}
	return warnings, nil
}

// stockSays copies what is printed on the lot.
func stockSays(d *Dose, l inventory.Drawn) {
	d.CVX, d.MVX, d.NDC, d.Lot, d.Unit = l.CVX, l.MVX, l.NDC, l.Number, l.Unit
	_ = d.Expires.UnmarshalText([]byte(l.Expires)) // a date, as Receive has checked
	switch {
	case l.Funding == inventory.Private:
		d.Funding = "PHC70"
	case slices.Contains([]string{"V02", "V03", "V04", "V05"}, d.Eligibility):
		d.Funding = "VXC51"
	default:
		d.Funding = "VXC52"
	}
}

// link writes down which of a person's doses tell of one.
func (s *Service) link(ctx context.Context, tx Tx, doses []Dose) error {
	of := Duplicates(doses, s.known())
	for i := range doses {
		d := &doses[i]
		if of[d.ID] != d.DuplicateOf {
			if err := tx.LinkDose(ctx, d.ID, of[d.ID]); err != nil {
				return err
			}
			d.DuplicateOf = of[d.ID]
		}
	}
	return nil
}

// confirmed is nil when a person has answered every warning.
func confirmed(warnings []Warning, c Confirm) error {
	if len(warnings) == 0 {
		return nil
	}
	stop := slices.ContainsFunc(warnings, func(w Warning) bool { return w.Stop })
	if !c.Yes || stop && c.Why == "" {
		return &Unconfirmed{warnings}
	}
	return nil
}

// family is a person's record as the checks look at it.
type family struct {
	subject Subject
	doses   []Dose
	facts   []Fact
}

func (s *Service) family(ctx context.Context, tx Reader, g patient.Gate) (*family, error) {
	var f family
	var err error
	if f.subject, err = tx.Subject(ctx, g.Head); err != nil {
		return nil, err
	}
	if f.doses, err = tx.Doses(ctx, g.Family); err != nil {
		return nil, err
	}
	f.facts, err = tx.Facts(ctx, g.Family)
	return &f, err
}

// same finds a dose that was recorded before, from the same hand and in the same words:
// a form that was sent twice, a file that came again.
func (f *family) same(d *Dose) *Dose {
	for i := range f.doses {
		o := &f.doses[i]
		if o.Deleted == nil && o.Kind == d.Kind && o.Kind != Administered && o.Date == d.Date && o.CVX == d.CVX && o.Lot == d.Lot && o.MVX == d.MVX &&
			o.EnteredSite == d.EnteredSite && o.Source == d.Source && o.Refusal == d.Refusal {
			return o
		}
	}
	return nil
}

// RecordIn is Record in a transaction of the caller's, such as one that has found or made
// the patient. Warnings count as read. Errors as Record.
func (s *Service) RecordIn(ctx context.Context, tx Tx, by auth.Principal, d Dose) (Dose, error) {
	g, err := s.open(ctx, tx, by, d.Patient, auth.RecordDoses)
	if err != nil {
		return d, err
	}
	if err := tx.LockPatient(ctx, g.Head); err != nil {
		return d, err
	}
	return s.record(ctx, tx, by, g, d, Confirm{Yes: true})
}

// Check looks at a dose by itself, before there is a record to add it to. EINVALID names
// the field.
func (s *Service) Check(d Dose, of Subject, today coldkeep.Date) error { return s.check(&d, of, today) }
