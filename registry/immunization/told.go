package immunization

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Partly marks a dose of which a part only got into the patient (RXA-20 PA): it left the
// stock, and does not count for the schedule.
const Partly = "Given in part only"

// ToldDose is what a message tells of a dose.
type ToldDose struct {
	Dose          // fields that are empty are not spoken of; Patient names the record
	Was    string // the dose that its order number stands for; "" finds it by what it says
	Partly bool
	Sent   time.Time // when the message was made
	Heard  Heard     // what was said of the dose under that number before
	// Shared says of doses how other numbers stand for them; a dose that none stands for is
	// not among them. Absent: none does.
	Shared func(ids []string) (map[string]Sharing, error)
	Apart  bool // more is told with the dose than a dose that others tell of has
	// Stock chooses the lot of the site's stock that the dose comes from, once it is known
	// what the record holds; "" that it is not taken off any. It is asked of a dose that the
	// site gave and that has not been taken off a lot of that number yet. Absent: the stock
	// has nothing to do with it.
	Stock func(d *Dose, others []Dose) (lot string, err error)
}

// Took is what became of it.
type Took struct {
	Dose  Dose
	Did   string // "added", "updated" or "same"; "same" without a dose when an exemption on file says it
	Drawn bool   // one was taken off the stock by it
	Left  []string
	Heard Heard // with what this message has said
}

// TakeTold records a dose that a message tells of, in the transaction of what else it says,
// or brings the one up to date that it tells of again. A dose that has been given is kept
// also when the message lacks what a person would be asked for, such as who gave it: that it
// was given is what counts. Optional fields whose code is not known are left out and named
// in Left.
//
// EFORBIDDEN when the record does not open to by or the dose is from another practice's
// stock, EINVALID for a wrong date or vaccine, ECONFLICT when the dose was changed
// meanwhile.
func (s *Service) TakeTold(ctx context.Context, tx Tx, by auth.Principal, in ToldDose) (Took, error) {
	var out Took
	g, err := s.open(ctx, tx, by, in.Patient, auth.RecordDoses)
	if err != nil {
		return out, unwrapped(err)
	}
	if err := tx.LockPatient(ctx, g.Head); err != nil {
		return out, err
	}
	of, err := s.family(ctx, tx, g)
	if err != nil {
		return out, err
	}
	d := in.Dose
	if d.Kind == Administered {
		d.Site = by.Site
	}
	today, err := s.today(ctx, tx, by.Site)
	if err != nil {
		return out, err
	}
	if out.Left, err = s.checkTold(&d, of.subject, today); err != nil {
		return out, err
	}
	was := -1
	if in.Was != "" {
		was = slices.IndexFunc(of.doses, func(o Dose) bool { return o.ID == in.Was })
		if was < 0 {
			return out, coldkeep.Errorf(coldkeep.ECONFLICT, "The order number stands for a dose of another patient.")
		}
		if of.doses[was].Deleted != nil {
			was = -1
		}
	}
	if in.Was == "" {
		if was, err = in.find(of.doses, &d, by.Site); err != nil {
			return out, err
		}
		// A dose of which a person has said that only the month is known does not get a day
		// because a program repeats the first one, which stands for it where there are days only.
		d.DayUnknown = d.DayUnknown || was >= 0 && of.doses[was].DayUnknown
	}
	if was < 0 && d.Kind == Refused {
		exemptions, err := tx.Exemptions(ctx, g.Family)
		if err != nil {
			return out, err
		}
		groups := s.known().Groups(d.CVX)
		if slices.ContainsFunc(exemptions, func(e Exemption) bool { return e.refuses(&d, groups) }) {
			out.Did, out.Heard = "same", in.Heard
			return out, nil // the exemption is on the record
		}
	}
	if was < 0 {
		return s.addTold(ctx, tx, by, g, of, in, d, out)
	}
	return s.updateTold(ctx, tx, by, g, of, in, d, was, out)
}

// unwrapped is a refusal as other services know it.
func unwrapped(err error) error {
	if r, ok := err.(*refusal); ok { //nolint:errorlint // open's own
		return r.error
	}
	return err
}

// sameTold finds the dose that a message without a known order number tells of again.
func sameTold(o, d *Dose, site coldkeep.SiteID) bool {
	return o.Deleted == nil && o.EnteredSite == site && o.Kind == d.Kind && (d.Kind != Refused || o.Refusal == d.Refusal) && o.Date == d.Date && o.CVX == d.CVX &&
		(o.Lot == d.Lot || o.Lot == "" || d.Lot == "") && (d.Kind != Historical || o.Source == d.Source || o.Source == "01" || d.Source == "01")
}

// checkTold looks at a dose by itself and leaves out what is optional and wrong.
func (s *Service) checkTold(d *Dose, of Subject, today coldkeep.Date) (left []string, err error) {
	for _, f := range []struct {
		name  string
		value *string
		most  int
	}{{"Lot number", &d.Lot, 40}, {"Given by", &d.GivenBy, 200}, {"Ordered by", &d.OrderedBy, 200}, {"Given elsewhere by", &d.Elsewhere, 200}, {"Note", &d.Note, 2000}} {
		if err := field(f.name, f.value, f.most); err != nil {
			left, *f.value = append(left, f.name), ""
		}
	}
	d.Lot, d.MVX = strings.ToUpper(d.Lot), strings.ToUpper(strings.TrimSpace(d.MVX))
	vis := d.VIS
	d.VIS = nil
	if err := s.checkDay(d, of, today); err != nil {
		return left, err
	}
	for _, v := range vis {
		if v.Given.Known() && v.Given <= today && v.Edition <= v.Given {
			d.VIS = append(d.VIS, v)
		} else {
			left = append(left, "VIS")
		}
	}
	for _, f := range []struct {
		name  string
		value *string
	}{{"MVX", &d.MVX}, {"NDC", &d.NDC}, {"Eligibility", &d.Eligibility}, {"Body site", &d.BodySite}, {"Route", &d.Route}, {"Funding", &d.Funding}, {"Amount", &d.Amount}} {
		alone := Dose{CVX: d.CVX}
		switch f.name {
		case "MVX":
			alone.MVX = *f.value
		case "NDC":
			alone.NDC = *f.value
		case "Eligibility":
			alone.Eligibility = *f.value
		case "Body site":
			alone.BodySite = *f.value
		case "Route":
			alone.Route = *f.value
		case "Funding":
			alone.Funding = *f.value
		case "Amount":
			alone.Amount = *f.value
		}
		if *f.value == "" || s.checkCodes(&alone) == nil && len(*f.value) <= 13 {
			continue
		}
		if _, known := s.codes.CVX(d.CVX); known {
			left, *f.value = append(left, f.name), ""
		}
	}
	if err := s.checkCodes(d); err != nil {
		return left, err
	}
	switch d.Kind {
	case Administered:
		d.Source, d.Elsewhere, d.Refusal = "00", "", ""
	case Historical:
		d.StockID, d.Unit, d.Refusal, d.GivenBy, d.Site = "", "", "", "", ""
		if d.Source == "" || d.Source == "00" || !In(Sources(), d.Source) {
			d.Source = "01"
		}
	case Refused:
		d.StockID, d.Unit, d.Source, d.Lot, d.Expires, d.GivenBy, d.Site = "", "", "", "", 0, "", ""
		if !In(Refusals(), d.Refusal) {
			return left, coldkeep.Errorf(coldkeep.EINVALID, "Reason of the refusal: want 00, 01, 02 or 03.")
		}
		if d.Refusal == "02" && d.Note == "" {
			d.Note = "Another reason, which was not told."
		}
	default:
		return left, coldkeep.Errorf(coldkeep.EINVALID, "Kind: want administered, historical or refused.")
	}
	return left, nil
}

func (s *Service) addTold(ctx context.Context, tx Tx, by auth.Principal, g patient.Gate, of *family, in ToldDose, d Dose, out Took) (Took, error) {
	d.ID, d.Revision, d.Patient = ulid.Make().String(), 1, g.Head
	d.EnteredBy, d.EnteredSite, d.EnteredAt = by.Name, by.Site, s.clock.Now()
	d.StockID, d.Unit, d.NonViable, d.DuplicateOf, d.DistinctFrom, d.Deleted = "", "", "", "", nil, nil
	if in.Partly {
		d.NonViable = Partly
	}
	_, out.Heard = Dose{}.heard(&d, in.Sent, in.Heard)
	return s.insertTold(ctx, tx, by, g, of, in, d, out)
}

// splitTold makes a dose of its own of what one of several numbers that stood for one dose
// says now.
func (s *Service) splitTold(ctx context.Context, tx Tx, by auth.Principal, g patient.Gate, of *family, in ToldDose, d Dose, out Took) (Took, error) {
	d.ID, d.Revision, d.Patient = ulid.Make().String(), 1, g.Head
	d.EnteredBy, d.EnteredSite, d.EnteredAt = by.Name, by.Site, s.clock.Now()
	d.StockID, d.Unit, d.DuplicateOf = "", "", ""
	return s.insertTold(ctx, tx, by, g, of, in, d, out)
}

func (s *Service) insertTold(ctx context.Context, tx Tx, by auth.Principal, g patient.Gate, of *family, in ToldDose, d Dose, out Took) (Took, error) {
	if err := s.drawTold(ctx, tx, by, in, &d, of.doses, &out); err != nil {
		return out, err
	}
	if err := tx.InsertDose(ctx, d); err != nil {
		return out, err
	}
	of.doses = append(of.doses, d)
	if err := s.link(ctx, tx, of.doses); err != nil {
		return out, err
	}
	out.Dose, out.Did = of.doses[len(of.doses)-1], "added"
	return out, tx.Audit(ctx, s.entry(by, "dose.record", "patient/"+g.Head, "", fmt.Sprintf("%s, CVX %s on %s, dose %s, by message", d.Kind, d.CVX, d.Date, d.ID)))
}

// drawTold takes a dose off the lot that is chosen for it.
func (s *Service) drawTold(ctx context.Context, tx Tx, by auth.Principal, in ToldDose, d *Dose, others []Dose, out *Took) error {
	if in.Stock == nil || d.Kind != Administered || d.StockID != "" {
		return nil
	}
	lot, err := in.Stock(d, others)
	if err != nil || lot == "" {
		return err
	}
	drawn, err := inventory.Draw(ctx, tx, by, d.Site, lot, d.ID, d.Date, s.clock.Now())
	if err != nil {
		return err
	}
	funding := d.Funding
	d.StockID = lot
	stockSays(d, drawn)
	if funding != "" && (funding == "PHC70") == (drawn.Funding == inventory.Private) {
		d.Funding = funding // the message says the same more exactly
	}
	out.Drawn = true
	return nil
}

// updateTold brings a dose up to date by what a message tells of it again.
func (s *Service) updateTold(ctx context.Context, tx Tx, by auth.Principal, g patient.Gate, of *family, in ToldDose, d Dose, at int, out Took) (Took, error) {
	was := of.doses[at]
	if was.Kind == Administered && by.Site != "" && by.Site != was.Site {
		return out, coldkeep.Errorf(coldkeep.EFORBIDDEN, "This dose is from another practice's stock: only that practice can correct it.")
	}
	now, heard := was.heard(&d, in.Sent, in.Heard)
	if out.Heard = heard; !in.Sent.Before(in.Heard[saidDose]) {
		if in.Partly {
			now.NonViable = Partly
		} else if now.NonViable == Partly {
			now.NonViable = ""
		}
	}
	apart, err := in.parts(&was, &now)
	if err != nil {
		return out, err
	}
	if apart {
		return s.splitTold(ctx, tx, by, g, of, in, now, out)
	}
	return s.settleTold(ctx, tx, by, g, of, in, now, at, out)
}

// settleTold keeps a dose as messages have it now, with what that means for its lot.
func (s *Service) settleTold(ctx context.Context, tx Tx, by auth.Principal, g patient.Gate, of *family, in ToldDose, now Dose, at int, out Took) (Took, error) {
	was := of.doses[at]
	if was.StockID != "" {
		if now.Lot == was.Lot && now.Kind == Administered && now.Date == was.Date && (now.CVX == was.CVX || overlap(s.known().Groups(now.CVX), s.known().Groups(was.CVX))) {
			now.CVX, now.MVX, now.NDC, now.Expires = was.CVX, was.MVX, was.NDC, was.Expires // the lot's word on what it holds
		} else {
			if err := inventory.Return(ctx, tx, by, was.StockID, was.ID, "corrected by a message", s.clock.Now()); err != nil {
				return out, err
			}
			now.StockID, now.Unit = "", ""
			// What only the lot has said goes with it.
			for _, f := range now.saidTexts() {
				if _, said := out.Heard[f.name]; !said && (f.name == saidMVX || f.name == saidNDC || f.name == saidFunding) {
					*f.value = ""
				}
			}
			if _, said := out.Heard[saidExpires]; !said {
				now.Expires = 0
			}
		}
	}
	others := slices.DeleteFunc(slices.Clone(of.doses), func(o Dose) bool { return o.ID == was.ID })
	if err := s.drawTold(ctx, tx, by, in, &now, others, &out); err != nil {
		return out, err
	}
	if differences(&was, &now) == differences(&was, &was) && now.Kind == was.Kind && now.NonViable == was.NonViable {
		out.Dose, out.Did = was, "same"
		return out, nil
	}
	now.Revision = was.Revision + 1
	if err := tx.UpdateDose(ctx, now, by.Name, "by message", s.clock.Now()); err != nil {
		return out, err
	}
	of.doses[at] = now
	if err := s.link(ctx, tx, of.doses); err != nil {
		return out, err
	}
	out.Dose, out.Did = of.doses[at], "updated"
	return out, tx.Audit(ctx, s.entry(by, "dose.edit", "patient/"+g.Head, "by message", differences(&was, &now)))
}

// TakeBack takes a dose out of the count that a message says was not given, and puts it back
// on its lot. It is kept. Errors as TakeTold; ECONFLICT also when it was deleted already.
func (s *Service) TakeBack(ctx context.Context, tx Tx, by auth.Principal, head, id string) error {
	g, err := s.open(ctx, tx, by, head, auth.RecordDoses)
	if err != nil {
		return unwrapped(err)
	}
	if err := tx.LockPatient(ctx, g.Head); err != nil {
		return err
	}
	was, err := tx.Dose(ctx, id)
	switch {
	case err != nil:
		return err
	case !slices.Contains(g.Family, was.Patient):
		return coldkeep.Errorf(coldkeep.ECONFLICT, "The order number stands for a dose of another patient.")
	case was.Kind == Administered && by.Site != "" && by.Site != was.Site:
		return coldkeep.Errorf(coldkeep.EFORBIDDEN, "This dose is from another practice's stock: only that practice can correct it.")
	case was.Deleted != nil:
		return coldkeep.Errorf(coldkeep.ECONFLICT, "This dose was deleted already.")
	}
	d, now := was, s.clock.Now()
	d.Revision++
	d.Deleted, d.DuplicateOf = &Deletion{By: by.Name, At: now, Reason: "deleted by a message"}, ""
	if d.StockID != "" {
		if err := inventory.Return(ctx, tx, by, d.StockID, d.ID, "deleted by a message", now); err != nil {
			return err
		}
	}
	if err := tx.UpdateDose(ctx, d, by.Name, "deleted by a message", now); err != nil {
		return err
	}
	return s.relink(ctx, tx, by, g, "dose.delete", "deleted by a message", fmt.Sprintf("CVX %s on %s, dose %s", d.CVX, d.Date, d.ID))
}

// DrawTold takes a dose that was recorded without the stock off the lot that stock chooses.
// ok is false when it chooses none. Errors as TakeTold.
func (s *Service) DrawTold(ctx context.Context, tx Tx, by auth.Principal, id string, stock func(d *Dose, others []Dose) (string, error)) (ok bool, err error) {
	was, err := tx.Dose(ctx, id)
	if err != nil {
		return false, err
	}
	if err := by.Require(auth.RecordDoses, was.Site); err != nil {
		return false, err
	}
	g, err := tx.PatientGate(ctx, was.Patient, by.ID, s.clock.Now())
	if err != nil {
		return false, err
	}
	g.Granted = true // the practice gave the dose: by need not have searched for the patient
	if err := g.Require(by, auth.RecordDoses); err != nil {
		return false, err
	}
	if err := tx.LockPatient(ctx, g.Head); err != nil {
		return false, err
	}
	if was, err = tx.Dose(ctx, id); err != nil || was.StockID != "" {
		return was.StockID != "", err
	}
	doses, err := tx.Doses(ctx, g.Family)
	if err != nil {
		return false, err
	}
	now, out := was, Took{}
	others := slices.DeleteFunc(slices.Clone(doses), func(o Dose) bool { return o.ID == id })
	if err := s.drawTold(ctx, tx, by, ToldDose{Stock: stock}, &now, others, &out); err != nil || !out.Drawn {
		return false, err
	}
	now.Revision++
	if err := tx.UpdateDose(ctx, now, by.Name, "taken off the stock", s.clock.Now()); err != nil {
		return false, err
	}
	return true, s.relink(ctx, tx, by, g, "dose.edit", "taken off the stock", differences(&was, &now))
}

// ViewTold is View in a transaction of the caller's, such as one that answers a query.
func (s *Service) ViewTold(ctx context.Context, tx Tx, by auth.Principal, id string) (*View, error) {
	g, err := s.open(ctx, tx, by, id, auth.ViewPatients)
	if err != nil {
		return nil, unwrapped(err)
	}
	v, err := s.view(ctx, tx, g, by.Site, false)
	if err != nil {
		return nil, err
	}
	return v, tx.Audit(ctx, s.entry(by, "doses.view", "patient/"+g.Head, "", "by query"))
}

// FirstDay is the day of the earliest dose on a record that was given or told of; the zero
// Date none.
func FirstDay(ctx context.Context, r Reader, g patient.Gate) (coldkeep.Date, error) {
	doses, err := r.Doses(ctx, g.Family)
	for i := range doses {
		if doses[i].Counts() {
			return doses[i].Date, err
		}
	}
	return 0, err
}

// Coded gives the schedule's observations that a code of another system stands for.
func (s *Service) Coded(system, code string) []string {
	return s.schedule.Engine().Schedule().Coded(system, code)
}

// FindTold finds the dose of by's site that a message tells of again, by what it says; ""
// none, or more than one. Errors as TakeTold.
func (s *Service) FindTold(ctx context.Context, tx Tx, by auth.Principal, in ToldDose) (string, error) {
	g, err := s.open(ctx, tx, by, in.Patient, auth.RecordDoses)
	if err != nil {
		return "", unwrapped(err)
	}
	of, err := s.family(ctx, tx, g)
	if err != nil {
		return "", err
	}
	today, err := s.today(ctx, tx, by.Site)
	if err != nil {
		return "", err
	}
	d := in.Dose
	if d.Kind == Refused && d.Refusal == "" {
		d.Refusal = "00"
	}
	if _, err := s.checkTold(&d, of.subject, today); err != nil {
		return "", err
	}
	found := ""
	for i := range of.doses {
		if o := &of.doses[i]; sameTold(o, &d, by.Site) {
			if found != "" {
				return "", nil
			}
			found = o.ID
		}
	}
	return found, nil
}
