package immunization

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// EnteredSince lists the doses, facts, reactions and exemptions that were entered under
// each record from a time on, also those that have ended since: patient.Family.
func (s *Service) EnteredSince(ctx context.Context, in patient.Tx, since map[string]time.Time) ([]patient.Entered, error) {
	tx, err := onDoses(in)
	if err != nil {
		return nil, err
	}
	all, err := s.entered(ctx, tx, slices.Sorted(maps.Keys(since)))
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(e patient.Entered) bool { return e.At.Before(since[e.Record]) })
	slices.SortStableFunc(all, func(a, b patient.Entered) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// entered lists all entries of some records.
func (s *Service) entered(ctx context.Context, tx Tx, records []string) ([]patient.Entered, error) {
	var out []patient.Entered
	doses, err := tx.Doses(ctx, records)
	if err != nil {
		return nil, err
	}
	for i := range doses {
		d := &doses[i]
		what := fmt.Sprintf("%s on %s, %s", s.codes.Name(d.CVX), d.Date, d.Kind)
		if d.Lot != "" {
			what += ", lot " + d.Lot
		}
		out = append(out, patient.Entered{ID: d.ID, Kind: "dose", Record: d.Patient, What: what, By: d.EnteredBy, At: d.EnteredAt, Ended: d.Deleted != nil})
	}
	facts, err := tx.Facts(ctx, records)
	if err != nil {
		return nil, err
	}
	for _, f := range facts {
		out = append(out, patient.Entered{ID: f.ID, Kind: "fact", Record: f.Patient, What: string(f.Kind) + ": " + f.Title, By: f.By, At: f.At, Ended: f.Ended != nil})
	}
	reactions, err := tx.Reactions(ctx, records)
	if err != nil {
		return nil, err
	}
	for _, r := range reactions {
		out = append(out, patient.Entered{ID: r.ID, Kind: "reaction", Record: r.Patient, What: r.Event, By: r.By, At: r.At, Ended: r.Ended != nil, Doses: r.Doses})
	}
	exemptions, err := tx.Exemptions(ctx, records)
	for _, e := range exemptions {
		out = append(out, patient.Entered{ID: e.ID, Kind: "exemption", Record: e.Patient, What: fmt.Sprintf("%s, signed by %s", e.Kind, e.Signer), By: e.By, At: e.At, Ended: e.Ended != nil})
	}
	return out, err
}

// Assign moves entries that were made since a merge to the record that it had folded:
// patient.Family. A reaction goes where all of its doses are, whatever was chosen, since
// the report has both. A dose keeps the lot that it was drawn from: the stock does not
// change. What was moved is kept with the merge, and is in the trail of both.
func (s *Service) Assign(ctx context.Context, in patient.Tx, by auth.Principal, m patient.Merge, head string, since map[string]time.Time, move []string) error {
	tx, err := onDoses(in)
	if err != nil {
		return err
	}
	if err := tx.LockPatient(ctx, head); err != nil { // no dose is entered meanwhile
		return err
	}
	all, err := s.EnteredSince(ctx, in, since)
	if err != nil {
		return err
	}
	for _, id := range move {
		if !slices.ContainsFunc(all, func(e patient.Entered) bool { return e.ID == id }) {
			return coldkeep.Errorf(coldkeep.EINVALID, "An entry that is to go with the other record was not made since the merge. Look at the page again.")
		}
	}
	for i := range all { // doses before the reactions that tell of them
		if e := &all[i]; e.Kind != "reaction" && slices.Contains(move, e.ID) {
			if err := s.move(ctx, tx, by, &m, e); err != nil {
				return err
			}
		}
	}
	for i := range all {
		e := &all[i]
		if e.Kind != "reaction" {
			continue
		}
		goes, err := s.goes(ctx, tx, &m, e, slices.Contains(move, e.ID), since)
		if err != nil {
			return err
		}
		if goes {
			if err := s.move(ctx, tx, by, &m, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// goes tells whether a reaction goes to the record that a merge had folded: with its doses,
// and as was chosen when those are of both records.
func (s *Service) goes(ctx context.Context, tx Tx, m *patient.Merge, e *patient.Entered, chosen bool, stay map[string]time.Time) (bool, error) {
	here, there := 0, 0
	for _, id := range e.Doses {
		d, err := tx.Dose(ctx, id)
		if err != nil {
			return false, err
		}
		if leaves, err := s.leaves(ctx, tx, m, d.Patient, stay); err != nil {
			return false, err
		} else if leaves {
			there++
		} else {
			here++
		}
	}
	if here > 0 && there > 0 || here+there == 0 {
		return chosen, nil
	}
	return there > 0, nil
}

// leaves tells whether a record is the one that a merge had folded, or stands under it.
func (s *Service) leaves(ctx context.Context, tx Tx, m *patient.Merge, record string, stay map[string]time.Time) (bool, error) {
	for record != m.Loser {
		if _, ok := stay[record]; ok {
			return false, nil
		}
		into, err := tx.MergedInto(ctx, record)
		if err != nil || into == "" {
			return false, err
		}
		record = into
	}
	return true, nil
}

func (s *Service) move(ctx context.Context, tx Tx, by auth.Principal, m *patient.Merge, e *patient.Entered) error {
	now := s.clock.Now()
	var err error
	switch e.Kind {
	case "dose":
		var d Dose
		if d, err = tx.Dose(ctx, e.ID); err != nil {
			return err
		}
		d.Patient, d.Revision = m.Loser, d.Revision+1
		err = tx.UpdateDose(ctx, d, by.Name, m.UndoneWhy, now)
	case "fact":
		err = tx.MoveFact(ctx, e.ID, m.Loser)
	case "reaction":
		err = tx.MoveReaction(ctx, e.ID, m.Loser)
	case "exemption":
		err = tx.MoveExemption(ctx, e.ID, m.Loser)
	}
	if err != nil {
		return err
	}
	if err := tx.InsertMove(ctx, m.ID, *e, m.Loser); err != nil {
		return err
	}
	if err := tx.Audit(ctx, s.entry(by, e.Kind+".move", "patient/"+e.Record, m.UndoneWhy, e.Kind+" "+e.ID+" to patient/"+m.Loser)); err != nil {
		return err
	}
	return tx.Audit(ctx, s.entry(by, e.Kind+".move", "patient/"+m.Loser, m.UndoneWhy, e.Kind+" "+e.ID+" from patient/"+e.Record))
}

// onDoses is a transaction on patients as one on their doses, which that of the registry's
// store is; another is EINTERNAL.
func onDoses(in patient.Tx) (Tx, error) {
	tx, ok := in.(Tx)
	if !ok {
		return nil, coldkeep.Errorf(coldkeep.EINTERNAL, "a transaction on patients is none on their doses")
	}
	return tx, nil
}
