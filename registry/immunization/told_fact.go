package immunization

import (
	"context"
	"slices"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// toldAnew is why a fact ended that a later message tells otherwise, and toldNoMore why a
// reaction did whose dose a message took back: what ended so may be told again.
const (
	toldAnew   = "told anew by a message"
	toldNoMore = "taken back by a message"
)

// FactTold records a fact that a message tells of. One that a person has entered stays as it
// is, and so does one that a person has ended: kept is then false. What an earlier message
// told of it (again) gives way. Errors as AddFact, without ECONFLICT.
func (s *Service) FactTold(ctx context.Context, tx Tx, by auth.Principal, f Fact, again bool) (kept bool, err error) {
	g, err := s.open(ctx, tx, by, f.Patient, auth.RecordDoses)
	if err != nil {
		return false, unwrapped(err)
	}
	if err := s.checkFact(&f); err != nil {
		return false, err
	}
	today, err := s.today(ctx, tx, by.Site)
	if err != nil {
		return false, err
	}
	if f.From > today || f.From.Known() && f.From < g.Birth && f.Kind != Condition {
		return false, coldkeep.Errorf(coldkeep.EINVALID, "Since: is in the future, or before the patient was born.")
	}
	if err := tx.LockPatient(ctx, g.Head); err != nil {
		return false, err
	}
	has, err := tx.Facts(ctx, g.Family)
	if err != nil {
		return false, err
	}
	exemptions, err := tx.Exemptions(ctx, g.Family)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(exemptions, func(e Exemption) bool { return e.says(&f) }) {
		return false, nil
	}
	for _, o := range has {
		switch {
		case o.Kind != f.Kind || o.Code != f.Code || o.Title != f.Title || o.Ended != nil && o.Ended.Reason == toldAnew:
		case o.Ended != nil:
			if o.From == f.From {
				return false, nil // it does not come back because a program says the same again
			}
		case o.From == f.From && o.Until == f.Until && o.Basis == f.Basis:
			return again, nil
		case !again:
			return false, nil
		default:
			if err := tx.EndFact(ctx, o.ID, Deletion{By: by.Name, At: s.clock.Now(), Reason: toldAnew}); err != nil {
				return false, err
			}
		}
	}
	f.ID, f.Patient, f.By, f.Site, f.At, f.Ended = ulid.Make().String(), g.Head, by.Name, by.Site, s.clock.Now(), nil
	if err := tx.InsertFact(ctx, f); err != nil {
		return false, err
	}
	return true, tx.Audit(ctx, s.entry(by, "fact.add", "patient/"+g.Head, "by message", string(f.Kind)+" "+f.Code+", "+f.ID))
}

// ReactionTold records an adverse event that a message tells of with a dose; the same again
// is the one that is there, and added is false. Errors as AddReaction.
func (s *Service) ReactionTold(ctx context.Context, tx Tx, by auth.Principal, r Reaction) (added bool, err error) {
	g, err := s.open(ctx, tx, by, r.Patient, auth.RecordDoses)
	if err != nil {
		return false, unwrapped(err)
	}
	if err := checkReaction(&r); err != nil {
		return false, err
	}
	if err := tx.LockPatient(ctx, g.Head); err != nil {
		return false, err
	}
	has, err := tx.Reactions(ctx, g.Family)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(has, func(o Reaction) bool {
		return o.Event == r.Event && slices.Equal(o.Doses, r.Doses) && (o.Ended == nil || o.Ended.Reason != toldNoMore)
	}) {
		return false, nil
	}
	r.ID, r.Patient, r.By, r.Site, r.At, r.Ended = ulid.Make().String(), g.Head, by.Name, by.Site, s.clock.Now(), nil
	if err := tx.InsertReaction(ctx, r); err != nil {
		return false, err
	}
	return true, tx.Audit(ctx, s.entry(by, "reaction.add", "patient/"+g.Head, "by message", r.ID))
}

// ForgetReaction ends a reaction that was told of a dose before a message took it back. What
// is not there is none. Errors as TakeTold.
func (s *Service) ForgetReaction(ctx context.Context, tx Tx, by auth.Principal, head, dose, event string) error {
	g, err := s.open(ctx, tx, by, head, auth.RecordDoses)
	if err != nil {
		return unwrapped(err)
	}
	has, err := tx.Reactions(ctx, g.Family)
	if err != nil {
		return err
	}
	for _, o := range has {
		if o.Ended != nil || o.Event != event || !slices.Equal(o.Doses, []string{dose}) {
			continue
		}
		if err := tx.EndReaction(ctx, o.ID, Deletion{By: by.Name, At: s.clock.Now(), Reason: toldNoMore}); err != nil {
			return err
		}
		if err := tx.Audit(ctx, s.entry(by, "reaction.end", "patient/"+g.Head, "by message", o.ID)); err != nil {
			return err
		}
	}
	return nil
}
