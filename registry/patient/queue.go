package patient

import (
	"context"
	"slices"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// queuePage is how many pairs one look at the queue gives.
const queuePage = 100

// pair puts two records in the queue, and tells whether they are new there.
func (s *Service) pair(ctx context.Context, tx Tx, foundBy, x, y string, c *Comparison) (bool, error) {
	if y < x {
		x, y = y, x
	}
	return tx.PutPair(ctx, Pair{A: x, B: y, State: PairOpen, Score: c.Score, Parts: c.Parts(), FoundBy: foundBy, FoundAt: s.clock.Now()})
}

// Duplicates lists pairs of records in a state, the likeliest first. EFORBIDDEN unless by
// may decide about them.
func (s *Service) Duplicates(ctx context.Context, by auth.Principal, state PairState) ([]Pair, error) {
	if err := by.Require(auth.ResolveDuplicates, by.Site); err != nil {
		return nil, err
	}
	return s.store.Pairs(ctx, state, queuePage)
}

// Side is one record of a pair as who decides sees it.
type Side struct {
	Patient
	Gate Gate
}

// ComparePair shows both records of a pair beside each other, with the score as it is now.
// The view of both is in the trail. ENOTFOUND when there is no such pair, EFORBIDDEN.
func (s *Service) ComparePair(ctx context.Context, by auth.Principal, a, b string) (Pair, [2]Side, error) {
	var p Pair
	var sides [2]Side
	if b < a {
		a, b = b, a
	}
	err := s.guarded(ctx, by, "patient.compare", a, func(tx Tx) error {
		if err := by.Require(auth.ResolveDuplicates, by.Site); err != nil {
			return err
		}
		var err error
		if p, err = tx.Pair(ctx, a, b); err != nil {
			return err
		}
		var profiles [2]Profile
		for i, id := range []string{a, b} {
			g, err := tx.PatientGate(ctx, id, by.ID, s.clock.Now())
			if err != nil {
				return err
			}
			sides[i].Gate = g
			if sides[i].Patient, err = tx.Patient(ctx, id); err != nil { // the record itself, as it would be after an un-merge
				return err
			}
			profiles[i] = ProfileOf(&sides[i].Patient)
			if err := tx.Audit(ctx, s.entry(by, "patient.view", id, "", "comparing possible duplicates")); err != nil {
				return err
			}
		}
		c := s.weights.Compare(&profiles[0], &profiles[1])
		if p.State == PairOpen {
			p.Score, p.Parts = c.Score, c.Parts()
		}
		return nil
	})
	return p, sides, err
}

// NotDuplicate decides that two records are two people. EINVALID without a reason,
// ECONFLICT when somebody has decided, ENOTFOUND, EFORBIDDEN.
func (s *Service) NotDuplicate(ctx context.Context, by auth.Principal, a, b, why string) error {
	if err := s.may(ctx, by, auth.ResolveDuplicates, "patient.not-duplicate", a); err != nil {
		return err
	}
	why, err := reason(why)
	if err != nil {
		return err
	}
	if b < a {
		a, b = b, a
	}
	return s.guarded(ctx, by, "patient.not-duplicate", a, func(tx Tx) error {
		p, err := tx.Pair(ctx, a, b)
		if err != nil {
			return err
		}
		if err := s.decide(ctx, tx, by, p, PairDifferent, why); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "patient.not-duplicate", a, why, "not the same person as patient/"+b))
	})
}

func (s *Service) decide(ctx context.Context, tx Tx, by auth.Principal, p Pair, state PairState, why string) error {
	now := s.clock.Now()
	p.State, p.DecidedBy, p.DecidedAt, p.Why = state, by.Name, &now, why
	return tx.DecidePair(ctx, p)
}

// MergePatients folds one record into another: from then on the survivor stands for both.
// Nothing of either is changed or moved, so that UnmergePatients restores both exactly;
// doses stay with the record they were entered for and are read through the family
// (Gate.Family). EINVALID without a reason or for one record twice, ECONFLICT when they
// are one already, ENOTFOUND, EFORBIDDEN.
func (s *Service) MergePatients(ctx context.Context, by auth.Principal, loser, survivor, why string) (Merge, error) {
	var m Merge
	if err := s.may(ctx, by, auth.ResolveDuplicates, "patient.merge", survivor); err != nil {
		return m, err
	}
	why, err := reason(why)
	if err != nil {
		return m, err
	}
	err = s.guarded(ctx, by, "patient.merge", survivor, func(tx Tx) error {
		now := s.clock.Now()
		from, err := tx.PatientGate(ctx, loser, by.ID, now)
		if err != nil {
			return err
		}
		into, err := tx.PatientGate(ctx, survivor, by.ID, now)
		if err != nil {
			return err
		}
		if from.Head == into.Head {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "These two are one record already.")
		}
		m = Merge{ID: ulid.Make().String(), Loser: from.Head, Survivor: into.Head, At: now, WhoID: by.ID, Who: by.Name, Why: why}
		if err := tx.InsertMerge(ctx, m); err != nil {
			return err
		}
		if err := tx.SetMergedInto(ctx, from.Head, into.Head); err != nil {
			return err
		}
		if err := tx.SetHead(ctx, from.Family, into.Head); err != nil {
			return err
		}
		if err := s.settle(ctx, tx, by, from.Family, into.Family, why); err != nil {
			return err
		}
		if err := s.familyChanged(ctx, tx, into.Head); err != nil {
			return err
		}
		if err := tx.Audit(ctx, s.entry(by, "patient.merge", from.Head, why, "into patient/"+into.Head)); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "patient.merge", into.Head, why, "with patient/"+from.Head))
	})
	return m, err
}

// settle decides the open pairs between two families that have become one.
func (s *Service) settle(ctx context.Context, tx Tx, by auth.Principal, one, other []string, why string) error {
	pairs, err := tx.PairsOf(ctx, one)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		between := slices.Contains(one, p.A) && slices.Contains(other, p.B) || slices.Contains(one, p.B) && slices.Contains(other, p.A)
		if !between || p.State != PairOpen {
			continue
		}
		if err := s.decide(ctx, tx, by, p, PairMerged, why); err != nil {
			return err
		}
	}
	return nil
}

// MergesOf lists the merges that a record was in, those that were undone among them.
func (s *Service) MergesOf(ctx context.Context, by auth.Principal, id string) ([]Merge, error) {
	if err := by.Require(auth.ResolveDuplicates, by.Site); err != nil {
		return nil, err
	}
	g, err := s.store.PatientGate(ctx, id, by.ID, s.clock.Now())
	if err != nil {
		return nil, err
	}
	return s.store.Merges(ctx, g.Family)
}

// Sweep compares records that have changed since it last saw them with those they share a
// key with, and puts pairs that may be one person in the queue: up to limit records. It
// tells how many records it has looked at and how many pairs are new. It never merges.
func (s *Service) Sweep(ctx context.Context, limit int) (seen, found int, err error) {
	batch, err := s.store.Unswept(ctx, limit)
	if err != nil {
		return 0, 0, err
	}
	for i := range batch {
		c := &batch[i]
		all, err := s.store.ProfilesByKey(ctx, c.Profile.Keys(), c.ID, maxCandidates)
		if err != nil {
			return seen, found, err
		}
		all = slices.DeleteFunc(all, func(other Candidate) bool { return other.Head == c.Head })
		var pairs []Scored
		for j := range all {
			if cmp := s.weights.Compare(&c.Profile, &all[j].Profile); cmp.Possible() {
				pairs = append(pairs, Scored{ID: all[j].Head, Comparison: cmp})
			}
		}
		fresh := 0
		err = s.store.Tx(ctx, func(tx Tx) error {
			fresh = 0
			for k := range pairs {
				isNew, err := s.pair(ctx, tx, "Sweep", c.Head, pairs[k].ID, &pairs[k].Comparison)
				if err != nil {
					return err
				}
				if isNew {
					fresh++
				}
			}
			return tx.SetSwept(ctx, c.ID, c.Revision)
		})
		if err != nil {
			return seen, found, err
		}
		seen, found = seen+1, found+fresh
	}
	return seen, found, nil
}
