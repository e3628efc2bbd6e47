package patient

import (
	"context"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Entered is a dose or another entry of a person, as who takes a merge apart looks at it.
type Entered struct {
	ID     string
	Kind   string // "dose", "fact", "reaction" or "exemption"
	Record string // the one that it is under
	What   string // in words
	By     string
	At     time.Time
	Ended  bool // deleted, or no longer true
	// Doses are those that a reaction tells of: it goes with them.
	Doses []string
}

// Unmerging is a merge with what has been entered for the person since: it may be of
// either of the two.
type Unmerging struct {
	Merge
	Loser, Survivor Patient // the records themselves
	Entered         []Entered
}

// path gives the records that have stood for a merge's folded record since, and from when on
// each did: the survivor, the one that was folded into in turn, and so on.
func path(ctx context.Context, tx Tx, m *Merge, family []string) (map[string]time.Time, error) {
	all, err := tx.Merges(ctx, family)
	if err != nil {
		return nil, err
	}
	out := map[string]time.Time{}
	at, since := m.Survivor, m.At
	for out[at] = since; ; out[at] = since {
		i := slices.IndexFunc(all, func(o Merge) bool { return o.Loser == at && o.UndoneAt == nil })
		if i < 0 {
			return out, nil
		}
		at = all[i].Survivor
		if all[i].At.After(since) {
			since = all[i].At
		}
	}
}

// Unmerging shows a merge that stands, both records, and what has been entered since for
// the two together. The view of both is in the trail. ECONFLICT when it was undone,
// ENOTFOUND, EFORBIDDEN.
func (s *Service) Unmerging(ctx context.Context, by auth.Principal, merge string) (Unmerging, error) {
	var u Unmerging
	err := s.guarded(ctx, by, "patient.unmerge", "", func(tx Tx) error {
		if err := by.Require(auth.ResolveDuplicates, by.Site); err != nil {
			return err
		}
		var err error
		if u.Merge, err = tx.Merge(ctx, merge); err != nil {
			return err
		}
		if u.UndoneAt != nil {
			return errUndone
		}
		g, err := tx.PatientGate(ctx, u.Merge.Loser, by.ID, s.clock.Now())
		if err != nil {
			return err
		}
		for id, into := range map[string]*Patient{u.Merge.Loser: &u.Loser, u.Merge.Survivor: &u.Survivor} {
			if *into, err = tx.Patient(ctx, id); err != nil {
				return err
			}
			if err := tx.Audit(ctx, s.entry(by, "patient.view", id, "", "to take a merge apart")); err != nil {
				return err
			}
		}
		if s.family == nil {
			return nil
		}
		since, err := path(ctx, tx, &u.Merge, g.Family)
		if err != nil {
			return err
		}
		u.Entered, err = s.family.EnteredSince(ctx, tx, since)
		return err
	})
	return u, err
}

var errUndone = coldkeep.Errorf(coldkeep.ECONFLICT, "This merge has been undone already.")

// UnmergePatients undoes a merge, whatever has been merged or undone before or since: the
// folded record stands again with all that had been folded into it. What was entered since
// the merge stays with the survivor, but for the entries that move names: they go with the
// folded record (Unmerging lists them; a reaction goes with its doses). The pairs that the
// merge had settled are open again. EINVALID without a reason and for an entry that was not
// made since the merge, ECONFLICT when it was undone, ENOTFOUND, EFORBIDDEN.
func (s *Service) UnmergePatients(ctx context.Context, by auth.Principal, merge, why string, move ...string) (Merge, error) {
	var m Merge
	if err := s.may(ctx, by, auth.ResolveDuplicates, "patient.unmerge", ""); err != nil {
		return m, err
	}
	why, err := reason(why)
	if err != nil {
		return m, err
	}
	err = s.guarded(ctx, by, "patient.unmerge", "", func(tx Tx) error {
		var err error
		if m, err = tx.Merge(ctx, merge); err != nil {
			return err
		}
		now := s.clock.Now()
		m.UndoneAt, m.UndoneBy, m.UndoneWhy = &now, by.Name, why
		g, err := tx.PatientGate(ctx, m.Loser, by.ID, now)
		if err != nil {
			return err
		}
		since, err := path(ctx, tx, &m, g.Family)
		if err != nil {
			return err
		}
		if err := tx.EndMerge(ctx, m); err != nil {
			return err
		}
		under, err := below(ctx, tx, m.Loser)
		if err != nil {
			return err
		}
		if s.family != nil {
			if err := s.family.Assign(ctx, tx, by, m, g.Head, since, move); err != nil {
				return err
			}
		} else if len(move) > 0 {
			return coldkeep.Errorf(coldkeep.EINVALID, "There are no entries to go with either record.")
		}
		if err := tx.SetMergedInto(ctx, m.Loser, ""); err != nil {
			return err
		}
		if err := tx.SetHead(ctx, under, m.Loser); err != nil {
			return err
		}
		if err := reopen(ctx, tx, under, g.Family); err != nil {
			return err
		}
		if err := s.familyChanged(ctx, tx, m.Loser, g.Head); err != nil {
			return err
		}
		if err := tx.Audit(ctx, s.entry(by, "patient.unmerge", m.Loser, why, "from patient/"+m.Survivor)); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "patient.unmerge", m.Survivor, why, "without patient/"+m.Loser))
	})
	return m, err
}

// reopen opens the pairs again that a merge had settled between those records of a family
// that leave it and the rest.
func reopen(ctx context.Context, tx Tx, leave, family []string) error {
	pairs, err := tx.PairsOf(ctx, leave)
	if err != nil {
		return err
	}
	stays := func(id string) bool { return slices.Contains(family, id) && !slices.Contains(leave, id) }
	for _, p := range pairs {
		if p.State != PairMerged || !stays(p.A) && !stays(p.B) {
			continue
		}
		if err := tx.ReopenPair(ctx, p.A, p.B); err != nil {
			return err
		}
	}
	return nil
}

// below gives a record and all that stand under it.
func below(ctx context.Context, tx Tx, id string) ([]string, error) {
	out := []string{id}
	for i := 0; i < len(out); i++ {
		children, err := tx.Children(ctx, out[i])
		if err != nil {
			return nil, err
		}
		out = append(out, children...)
	}
	return out, nil
}
