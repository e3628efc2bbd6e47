package immunization

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Heard says of each thing that messages tell of a dose when the last one was made that
// spoke of it. An earlier one that comes later tells only what no later one has spoken of:
// so messages in any order leave the same dose.
type Heard map[string]time.Time

// The things that messages tell of a dose. They are kept, so the words stay. Kind, day and
// vaccine, of which every message speaks, are one.
const (
	saidDose    = "dose"
	saidMVX     = "mvx"
	saidNDC     = "ndc"
	saidLot     = "lot"
	saidExpires = "expires"
	saidFunding = "funding"
	saidGivenBy = "given-by"
	saidSource  = "source"
	saidWhere   = "elsewhere"
	saidRefusal = "refusal"
	saidVIS     = "vis"
)

// HeardAll is what was heard when a message spoke of everything.
func HeardAll(sent time.Time) Heard {
	out := Heard{saidDose: sent, saidExpires: sent, saidVIS: sent}
	for _, f := range (&Dose{}).saidTexts() {
		out[f.name] = sent
	}
	return out
}

type saidText struct {
	name  string
	value *string
}

// saidTexts are the texts of a dose that a message may tell or leave out.
func (d *Dose) saidTexts() []saidText {
	return []saidText{{saidMVX, &d.MVX}, {saidNDC, &d.NDC}, {saidLot, &d.Lot}, {"site", &d.BodySite}, {"route", &d.Route}, {"amount", &d.Amount}, {"eligibility", &d.Eligibility}, {saidFunding, &d.Funding},
		{saidGivenBy, &d.GivenBy}, {"ordered-by", &d.OrderedBy}, {saidSource, &d.Source}, {saidWhere, &d.Elsewhere}, {saidRefusal, &d.Refusal}, {"note", &d.Note}}
}

// speaksOf names what a message tells of a dose. Its kind says of some things that there are
// none.
func (d *Dose) speaksOf() []string {
	out := []string{saidDose}
	for _, f := range d.saidTexts() {
		if *f.value != "" {
			out = append(out, f.name)
		}
	}
	if d.Expires.Known() {
		out = append(out, saidExpires)
	}
	if len(d.VIS) > 0 {
		out = append(out, saidVIS)
	}
	switch d.Kind {
	case Administered:
		out = append(out, saidWhere, saidRefusal)
	case Historical:
		out = append(out, saidRefusal, saidGivenBy)
	case Refused:
		out = append(out, saidSource, saidLot, saidExpires, saidGivenBy)
	}
	return out
}

// heard is a dose with what a message made at a time tells of it in place of what stood; what
// the message does not speak of stays, and what a later one has spoken of.
func (d Dose) heard(m *Dose, sent time.Time, before Heard) (Dose, Heard) {
	out, now := d, Heard{}
	maps.Copy(now, before)
	for _, name := range m.speaksOf() {
		if sent.Before(before[name]) {
			continue
		}
		now[name] = sent
		switch name {
		case saidDose:
			out.Kind, out.Date, out.DayUnknown, out.CVX, out.Site = m.Kind, m.Date, m.DayUnknown, m.CVX, m.Site
		case saidExpires:
			out.Expires = m.Expires
		case saidVIS:
			out.VIS = m.VIS
		default:
			out.copyText(name, m)
		}
	}
	return out, now
}

func (d *Dose) copyText(name string, from *Dose) {
	texts := from.saidTexts()
	for i, f := range d.saidTexts() {
		if f.name == name {
			*f.value = *texts[i].value
		}
	}
}

// Sharing is how a number stands for a dose.
type Sharing int

// The ways of sharing.
const (
	Unshared Sharing = iota
	Shared           // another number stands for it as well
	Alone            // another number does, and has told more than the dose
)

// find gives the place of the dose that is told of again by what it says, -1 for none. One
// that another number stands for is it when the very same is said of both: a program that
// gives a dose a new number in each message makes one dose. As soon as something else is said
// under one number they are two (see updateTold), so it does not matter which came first.
func (in *ToldDose) find(doses []Dose, d *Dose, site coldkeep.SiteID) (int, error) {
	var at []int
	var ids []string
	for i := range doses {
		if sameTold(&doses[i], d, site) {
			at, ids = append(at, i), append(ids, doses[i].ID)
		}
	}
	shared := map[string]Sharing{}
	if in.Shared != nil && len(ids) > 0 {
		var err error
		if shared, err = in.Shared(ids); err != nil {
			return -1, err
		}
	}
	for _, i := range at {
		switch shared[doses[i].ID] {
		case Unshared:
			return i, nil
		case Shared:
			if !in.Apart && doses[i].saysSame(d, in.Partly) {
				return i, nil
			}
		case Alone:
		}
	}
	return -1, nil
}

// saysSame reports whether a message says of a dose what the record says, and no less. What
// the lot has said counts for nothing.
func (d *Dose) saysSame(m *Dose, partly bool) bool {
	drawn := d.StockID != ""
	texts := m.saidTexts()
	for i, f := range d.saidTexts() {
		if *f.value != *texts[i].value && (!drawn || f.name != saidMVX && f.name != saidNDC && f.name != saidFunding) {
			return false
		}
	}
	return d.Kind == m.Kind && d.Date == m.Date && d.DayUnknown == m.DayUnknown && d.CVX == m.CVX && (drawn || d.Expires == m.Expires) && slices.Equal(d.VIS, m.VIS) && (d.NonViable == Partly) == partly
}

// parts reports whether what a message says under one number makes a dose of its own of one
// that other numbers stand for as well.
func (in *ToldDose) parts(was, now *Dose) (bool, error) {
	if in.Shared == nil || !in.Apart && was.saysSame(now, now.NonViable == Partly) {
		return false, nil
	}
	shared, err := in.Shared([]string{was.ID})
	return shared[was.ID] != Unshared, err
}

// ForgetTold takes off the dose in.Was what was said of it before a time at which, as is
// heard only now, a message took it back: later ones have told of it anew. It returns the
// dose that stands for the number afterwards and what is left of what was heard. Errors as
// TakeTold.
func (s *Service) ForgetTold(ctx context.Context, tx Tx, by auth.Principal, in ToldDose, since time.Time) (string, Heard, error) {
	left := maps.Clone(in.Heard)
	maps.DeleteFunc(left, func(_ string, at time.Time) bool { return at.Before(since) })
	if len(left) == len(in.Heard) {
		return in.Was, left, nil
	}
	g, err := s.open(ctx, tx, by, in.Patient, auth.RecordDoses)
	if err != nil {
		return in.Was, in.Heard, unwrapped(err)
	}
	if err := tx.LockPatient(ctx, g.Head); err != nil {
		return in.Was, in.Heard, err
	}
	of, err := s.family(ctx, tx, g)
	if err != nil {
		return in.Was, in.Heard, err
	}
	at := slices.IndexFunc(of.doses, func(o Dose) bool { return o.ID == in.Was })
	if at < 0 {
		return in.Was, in.Heard, coldkeep.Errorf(coldkeep.ECONFLICT, "The order number stands for a dose of another patient.")
	}
	now := of.doses[at]
	for name := range in.Heard {
		if _, stays := left[name]; stays {
			continue
		}
		switch name {
		case saidExpires:
			now.Expires = 0
		case saidVIS:
			now.VIS = nil
		default:
			now.copyText(name, &Dose{})
		}
	}
	settle := s.settleTold
	apart, err := in.parts(&of.doses[at], &now)
	if err != nil {
		return in.Was, in.Heard, err
	}
	if apart {
		settle = func(ctx context.Context, tx Tx, by auth.Principal, g patient.Gate, of *family, in ToldDose, now Dose, _ int, out Took) (Took, error) {
			return s.splitTold(ctx, tx, by, g, of, in, now, out)
		}
	}
	out, err := settle(ctx, tx, by, g, of, in, now, at, Took{Heard: left})
	return out.Dose.ID, left, err
}
