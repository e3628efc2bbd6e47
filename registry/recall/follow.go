package recall

import (
	"context"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// Follow keeps up with the records: doses that were spoilt open recalls, doses that came
// close them, and answer notices. more says that there may be more of it now.
func (s *Service) Follow(ctx context.Context) (more bool, err error) {
	if _, err := s.Open(ctx); err != nil {
		return false, err
	}
	changed, err := s.store.ColdChanged(ctx, together)
	if err != nil {
		return false, err
	}
	for _, p := range changed {
		if err := s.store.Tx(ctx, func(tx Tx) error { return s.see(ctx, tx, p) }); err != nil {
			return false, err
		}
	}
	if now := s.clock.Now(); s.answersDue(now) {
		runs, err := s.store.RunsAwaiting(ctx, now.AddDate(0, 0, -mostDays))
		if err != nil {
			return false, err
		}
		for _, r := range runs {
			if err := s.answers(ctx, r); err != nil {
				return false, err
			}
		}
	}
	return len(changed) == together, nil
}

// answersEvery is how often answers to notices are looked for by themselves: who opens a
// run's page has its looked for anyway.
const answersEvery = 10 * time.Minute

func (s *Service) answersDue(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.answered.IsZero() && now.Sub(s.answered) < answersEvery {
		return false
	}
	s.answered = now
	return true
}

// see looks whether somebody in a cold-chain recall has come to an end.
func (s *Service) see(ctx context.Context, tx Tx, seen ColdPerson) error {
	g, err := tx.PatientGate(ctx, seen.Patient, "", s.clock.Now())
	if err != nil {
		return err
	}
	if err := tx.LockPatient(ctx, g.Head); err != nil {
		return err
	}
	p, err := tx.ColdPerson(ctx, seen.Recall, seen.Patient)
	if err != nil || !p.State.Open() {
		return err
	}
	c, err := tx.Cold(ctx, p.Recall)
	if err != nil {
		return err
	}
	members, err := tx.Members(ctx, c.Site, []string{g.Head})
	if err != nil || len(members) == 0 {
		return err
	}
	spoilt, err := tx.ColdDoses(ctx, p.Recall, p.Patient)
	if err != nil {
		return err
	}
	today, err := s.today(ctx, tx, c.Site)
	if err != nil {
		return err
	}
	p.Seen = seen.Seen
	if err := tx.SetColdSeen(ctx, p); err != nil {
		return err
	}
	if !slices.ContainsFunc(spoilt, func(d immunization.Dose) bool { return d.NonViable != "" && d.Deleted == nil }) {
		return s.step(ctx, tx, system(), c, p, ColdCounts, "")
	}
	if members[0].Deceased {
		return s.step(ctx, tx, system(), c, p, ColdDeceased, "")
	}
	_, done, err := s.advise(ctx, tx, &members[0], spoilt, c.Opened, today)
	if err != nil || !done {
		return err
	}
	return s.step(ctx, tx, system(), c, p, Revaccinated, "")
}

// answers looks who came after a run's notices.
func (s *Service) answers(ctx context.Context, r Run) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		people, err := tx.Awaited(ctx, r.ID)
		if err != nil {
			return err
		}
		for _, p := range people {
			g, err := tx.PatientGate(ctx, p.Patient, "", s.clock.Now())
			if err != nil {
				return err
			}
			doses, err := tx.Doses(ctx, g.Family)
			if err != nil {
				return err
			}
			on, came := s.came(&r, &p, doses)
			if !came {
				continue
			}
			p.Outcome, p.On, p.By = Came, on, ""
			if err := tx.SetOutcome(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// came finds the first dose that answers a notice: given of one of its groups, from the day of
// the notice on, within the days that the run allows.
func (s *Service) came(r *Run, p *Person, doses []immunization.Dose) (coldkeep.Date, bool) {
	for i := range doses {
		d := &doses[i]
		if !d.Counts() || d.NonViable != "" || d.Date < p.Noticed || d.Date-p.Noticed > coldkeep.Date(r.Params.Respond) {
			continue
		}
		if d.Date == p.Noticed && r.IssuedAt != nil && d.EnteredAt.Before(r.IssuedAt.Add(-time.Hour)) {
			continue // it had been given before
		}
		of := s.Doses.GroupsOf(d.CVX)
		if slices.ContainsFunc(p.Groups, func(g Group) bool { return slices.Contains(of, g.Name) }) {
			return d.Date, true
		}
	}
	return 0, false
}
