package immunization

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
)

// Catalogue lists what may be recorded as a fact, by the schedule in force.
func (s *Service) Catalogue() forecast.Catalogue { return s.schedule.Engine().Catalogue() }

// AddFact records a contraindication, a precaution, evidence of immunity or a condition.
// EFORBIDDEN when the record does not open to by or it may not record, ENOTFOUND for an
// unknown patient, EINVALID for a wrong field or an unknown code, ECONFLICT when the same
// stands already.
func (s *Service) AddFact(ctx context.Context, by auth.Principal, f Fact) (Fact, error) {
	if err := s.may(ctx, by, auth.RecordDoses, by.Site, of(f.Patient)); err != nil {
		return f, err
	}
	if err := s.checkFact(&f); err != nil {
		return f, err
	}
	err := s.tx(ctx, by, func(tx Tx) error {
		g, err := s.open(ctx, tx, by, f.Patient, auth.RecordDoses)
		if err != nil {
			return err
		}
		today, err := s.today(ctx, tx, by.Site)
		if err != nil {
			return err
		}
		switch {
		case f.From > today:
			return coldkeep.Errorf(coldkeep.EINVALID, "Since: %s is in the future.", f.From)
		case f.From.Known() && f.From < g.Birth && f.Kind != Condition:
			return coldkeep.Errorf(coldkeep.EINVALID, "Since: %s is before the patient was born.", f.From)
		}
		has, err := tx.Facts(ctx, g.Family)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(has, func(o Fact) bool { return o.Ended == nil && o.Kind == f.Kind && o.Code == f.Code && o.Title == f.Title }) {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "This is on the record already. End it first to record it anew.")
		}
		f.ID, f.Patient, f.By, f.Site, f.At, f.Ended = ulid.Make().String(), g.Head, by.Name, by.Site, s.clock.Now(), nil
		if err := tx.InsertFact(ctx, f); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "fact.add", "patient/"+g.Head, "", string(f.Kind)+" "+f.Code+", "+f.ID))
	})
	return f, err
}

func (s *Service) checkFact(f *Fact) error {
	if !slices.Contains([]FactKind{Contraindication, Precaution, Immunity, Condition}, f.Kind) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Kind %q: want contraindication, precaution, immunity or condition.", f.Kind)
	}
	f.Code = strings.TrimSpace(f.Code)
	for _, x := range []struct {
		name  string
		value *string
		most  int
	}{{"Title", &f.Title, 300}, {"Source", &f.Basis, 500}} {
		if err := field(x.name, x.value, x.most); err != nil {
			return err
		}
	}
	if f.Code == "" {
		// What the schedule has no code for is kept in words; it warns at entry.
		if f.Kind != Precaution || f.Title == "" {
			return coldkeep.Errorf(coldkeep.EINVALID, "What: please choose one from the list; a precaution may be in words.")
		}
	} else {
		sc := s.schedule.Engine().Schedule()
		o, ok := sc.Observation(f.Code)
		if !ok {
			return coldkeep.Errorf(coldkeep.EINVALID, "What: %q is not an observation code of the schedule (%s).", f.Code, sc.Version)
		}
		f.Code, f.Title = sc.Observations[o].Code, sc.Observations[o].Title
	}
	if f.Until.Known() && f.From.Known() && f.Until < f.From {
		return coldkeep.Errorf(coldkeep.EINVALID, "Until: is before the day since when it is so.")
	}
	if f.Kind == Immunity && f.Basis == "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "Source: evidence of immunity says what it rests on: the disease and who verified it, or the titre and its date.")
	}
	return nil
}

// EndFact says that a fact is no longer true or was entered by mistake. Errors as
// AddFact; ECONFLICT when it has been ended.
func (s *Service) EndFact(ctx context.Context, by auth.Principal, id, why string) error {
	return s.end(ctx, by, why, "fact.end", auth.RecordDoses, func(tx Tx) (string, error) {
		f, err := tx.Fact(ctx, id)
		return f.Patient, absent(err, "fact", id, auth.RecordDoses)
	}, func(tx Tx, d Deletion) error { return tx.EndFact(ctx, id, d) }, id)
}

// end is what ending a fact, a reaction and an exemption have in common.
func (s *Service) end(ctx context.Context, by auth.Principal, why, what string, perm auth.Permission, whose func(Tx) (string, error), do func(Tx, Deletion) error, id string) error {
	if err := s.may(ctx, by, perm, by.Site, whose); err != nil {
		return err
	}
	why, err := checkReason(why)
	if err != nil {
		return err
	}
	return s.tx(ctx, by, func(tx Tx) error {
		of, err := whose(tx)
		if err != nil {
			return err
		}
		g, err := s.open(ctx, tx, by, of, perm)
		if err != nil {
			return err
		}
		if err := do(tx, Deletion{By: by.Name, At: s.clock.Now(), Reason: why}); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, what, "patient/"+g.Head, why, id))
	})
}

// AddExemption records a document by which a child need not have vaccines for school
// (77 Ill. Adm. Code 665.510 and 665.520). Who may record exemptions alone, such as a
// school, may do so. Errors as AddFact.
func (s *Service) AddExemption(ctx context.Context, by auth.Principal, e Exemption) (Exemption, error) {
	if err := s.may(ctx, by, auth.RecordExemptions, by.Site, of(e.Patient)); err != nil {
		return e, err
	}
	if e.Kind != Medical && e.Kind != Religious {
		return e, coldkeep.Errorf(coldkeep.EINVALID, "Kind %q: want medical or religious.", e.Kind)
	}
	for _, x := range []struct {
		name  string
		value *string
	}{{"Signed by", &e.Signer}, {"Document", &e.Source}} {
		if err := field(x.name, x.value, 300); err != nil {
			return e, err
		}
		if *x.value == "" {
			return e, coldkeep.Errorf(coldkeep.EINVALID, "%s: is missing. An exemption is a document that somebody signed.", x.name)
		}
	}
	names := s.GroupNames()
	for _, g := range e.Groups {
		if !slices.Contains(names, g) {
			return e, coldkeep.Errorf(coldkeep.EINVALID, "Vaccine group %q: is not one of the schedule's.", g)
		}
	}
	if !e.From.Known() || e.Until.Known() && e.Until < e.From {
		return e, coldkeep.Errorf(coldkeep.EINVALID, "From and until: want the day from which it holds, and none or a later day until which.")
	}
	err := s.tx(ctx, by, func(tx Tx) error {
		g, err := s.open(ctx, tx, by, e.Patient, auth.RecordExemptions)
		if err != nil {
			return err
		}
		e.ID, e.Patient, e.By, e.Site, e.At, e.Ended = ulid.Make().String(), g.Head, by.Name, by.Site, s.clock.Now(), nil
		if err := tx.InsertExemption(ctx, e); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "exemption.add", "patient/"+g.Head, "", string(e.Kind)+", "+e.ID))
	})
	return e, err
}

// Words name a medical exemption where there are words only, such as in a message.
func (e *Exemption) Words() string {
	groups := "all vaccines"
	if len(e.Groups) > 0 {
		groups = strings.Join(e.Groups, ", ")
	}
	return "Medical exemption: " + groups
}

// Outlasted reports whether another exemption of all says the same in a message and holds
// for longer. A message tells one of them: told as two, the second would take the place of
// the first.
func (e *Exemption) Outlasted(all []Exemption) bool {
	until := func(e *Exemption) coldkeep.Date {
		if !e.Until.Known() {
			return math.MaxInt32 // for good
		}
		return e.Until
	}
	return slices.ContainsFunc(all, func(o Exemption) bool {
		return o.ID != e.ID && o.Kind == e.Kind && o.Ended == nil && o.Words() == e.Words() &&
			cmp.Or(cmp.Compare(until(e), until(&o)), cmp.Compare(o.From, e.From), cmp.Compare(o.ID, e.ID)) < 0
	})
}

// says reports whether an exemption on file is what a message tells of: it comes back from
// who was told of it. What a message tells is a refusal or a precaution; the exemption is the
// document.
func (e *Exemption) says(f *Fact) bool {
	return e.Kind == Medical && e.Ended == nil && f.Kind == Precaution && f.Code == "" && f.Title == e.Words() && f.From == e.From
}

func (e *Exemption) refuses(d *Dose, groups []string) bool {
	return e.Kind == Religious && e.Ended == nil && d.Kind == Refused && d.Refusal == "01" && d.Date == e.From && (len(e.Groups) == 0 || contains(e.Groups, groups))
}

// EndExemption ends an exemption. Errors as EndFact.
func (s *Service) EndExemption(ctx context.Context, by auth.Principal, id, why string) error {
	return s.end(ctx, by, why, "exemption.end", auth.RecordExemptions, func(tx Tx) (string, error) {
		e, err := tx.Exemption(ctx, id)
		return e.Patient, absent(err, "exemption", id, auth.RecordExemptions)
	}, func(tx Tx, d Deletion) error { return tx.EndExemption(ctx, id, d) }, id)
}

// Exemptions lists a child's exemptions, for who may see them without the record.
// EFORBIDDEN when the record does not open to by, ENOTFOUND.
func (s *Service) Exemptions(ctx context.Context, by auth.Principal, id string) ([]Exemption, error) {
	var out []Exemption
	err := s.tx(ctx, by, func(tx Tx) error {
		g, err := s.open(ctx, tx, by, id, auth.RecordExemptions)
		if err != nil {
			return err
		}
		if out, err = tx.Exemptions(ctx, g.Family); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "exemptions.view", "patient/"+g.Head, "", ""))
	})
	return out, err
}
