package recall

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// mostDays bounds spans of days in a run's parameters: ten years.
const mostDays = 3660

func (p *Params) check(groups []string) error {
	if p.Mode == "" {
		p.Mode = Both
	}
	if p.Respond == 0 {
		p.Respond = 60
	}
	for i, z := range p.ZIPs {
		p.ZIPs[i] = strings.TrimSpace(z)
		if len(p.ZIPs[i]) < 3 || len(p.ZIPs[i]) > 5 || strings.Trim(p.ZIPs[i], "0123456789") != "" {
			return coldkeep.Errorf(coldkeep.EINVALID, "ZIP code %q: want three to five digits.", z)
		}
	}
	for _, g := range p.Groups {
		if !slices.Contains(groups, g) {
			return coldkeep.Errorf(coldkeep.EINVALID, "Vaccine group %q: the schedule in force has none of that name.", g)
		}
	}
	for _, d := range []struct {
		name  string
		value int
	}{{"Due within", p.DueWithin}, {"Late by", p.OverdueBy}, {"No notice within", p.NotWithin}, {"Answer within", p.Respond}} {
		if d.value < 0 || d.value > mostDays {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: want 0 to %d days.", d.name, mostDays)
		}
	}
	switch {
	case p.Mode != Both && p.Mode != Reminder && p.Mode != Recall:
		return coldkeep.Errorf(coldkeep.EINVALID, "Mode %q: want both, reminder or recall.", p.Mode)
	case p.BornFrom.Known() && p.BornTo.Known() && p.BornFrom > p.BornTo:
		return coldkeep.Errorf(coldkeep.EINVALID, "Born: %s is after %s.", p.BornFrom, p.BornTo)
	case len(p.ZIPs) > 100 || len(p.Groups) > 100:
		return coldkeep.Errorf(coldkeep.EINVALID, "Too many ZIP codes or vaccine groups: want at most 100.")
	}
	return nil
}

// Start begins a run of by's practice, or of the state's: its people are looked at, and
// nothing is sent. EINVALID names a wrong parameter, EFORBIDDEN.
func (s *Service) Start(ctx context.Context, by auth.Principal, p Params) (Run, error) {
	if err := by.Require(auth.RecallPatients, by.Site); err != nil {
		return Run{}, err
	}
	if err := p.check(s.Doses.GroupNames()); err != nil {
		return Run{}, err
	}
	return s.start(ctx, by, Run{Site: by.Site, Params: p}, func(tx Tx, r *Run) (err error) {
		r.Expected, err = tx.CohortSize(ctx, r.Site, p.BornFrom, p.BornTo)
		return err
	})
}

// StartCold begins the notices of a cold-chain recall to those who have not come to an end.
// What people wish of reminders does not keep them from being told of a dose that may not
// protect; a lock of another site's, and having died, do. EFORBIDDEN, ENOTFOUND.
func (s *Service) StartCold(ctx context.Context, by auth.Principal, recall string) (Run, error) {
	c, err := s.ownCold(ctx, s.store, by, recall, auth.RecallPatients)
	if err != nil {
		return Run{}, err
	}
	return s.start(ctx, by, Run{Site: c.Site, Cold: c.ID, Params: Params{Mode: Both, Respond: mostDays}}, func(tx Tx, r *Run) error {
		open, err := tx.ColdOpen(ctx, c.ID, "", 1<<20)
		r.Expected = len(open)
		return err
	})
}

func (s *Service) start(ctx context.Context, by auth.Principal, r Run, size func(Tx, *Run) error) (Run, error) {
	r.ID, r.State, r.At, r.ByID, r.By = ulid.Make().String(), Counting, s.clock.Now(), by.ID, by.Name
	r.Schedule = s.Schedule.Engine().Schedule().Version
	err := s.store.Tx(ctx, func(tx Tx) error {
		var err error
		if r.Today, err = s.today(ctx, tx, r.Site); err != nil {
			return err
		}
		if err := size(tx, &r); err != nil {
			return err
		}
		if err := tx.InsertRun(ctx, r); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "recall.start", "recall/"+r.ID, r.Site, ""))
	})
	s.woken()
	return r, err
}

// View is a run with its counts.
type View struct {
	Run
	Reasons   map[Reason]int  // people by why they are left out; Told: those who are not
	ByChannel map[Channel]int // of those who are to be told, how many each channel reaches
	Tallies   []Tally
	Settings  Settings
}

// Get gives a run of by's practice, with counts and no names. EFORBIDDEN, ENOTFOUND.
func (s *Service) Get(ctx context.Context, by auth.Principal, id string) (View, error) {
	r, err := own(ctx, s.store, by, id, auth.RecallPatients, auth.CallPatients)
	if err != nil {
		return View{}, err
	}
	v := View{Run: r}
	if r.State == Issued {
		if err := s.answers(ctx, r); err != nil {
			return v, err
		}
	}
	if v.Reasons, v.ByChannel, err = s.store.RecallCounts(ctx, id); err != nil {
		return v, err
	}
	if v.Tallies, err = s.store.RecallTallies(ctx, id); err != nil {
		return v, err
	}
	v.Settings, err = settings(ctx, s.store, r.Site)
	return v, err
}

// List gives the runs of by's practice, the latest first; of the state, its own. EFORBIDDEN.
func (s *Service) List(ctx context.Context, by auth.Principal) ([]Run, error) {
	if err := anyOf(by, by.Site, auth.RecallPatients, auth.CallPatients); err != nil {
		return nil, err
	}
	return s.store.RecallRuns(ctx, by.Site)
}

// Issue makes notices of a run that was looked at: for each person one, by the first of the
// channels, in the order of Channels, that reaches the person and has not been used for them in
// this run. round is the run's as the person saw it: pressed twice, it is done once. Who
// meanwhile has come, or must not be told any more, is left out. EINVALID without a channel
// or settings, ECONFLICT when it is not the run's turn, EFORBIDDEN, ENOTFOUND.
func (s *Service) Issue(ctx context.Context, by auth.Principal, id string, round int, channels []Channel) error {
	r, err := own(ctx, s.store, by, id, auth.RecallPatients)
	if err != nil {
		return err
	}
	r.Channels = nil
	for _, ch := range Channels() {
		if slices.Contains(channels, ch) {
			r.Channels = append(r.Channels, ch)
		}
	}
	if len(r.Channels) == 0 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Choose how people are to be told.")
	}
	for _, ch := range r.Channels {
		if !s.Carries(ch) {
			return coldkeep.Errorf(coldkeep.EINVALID, "%s: this installation has no server for it.", ch.Title())
		}
	}
	err = s.store.Tx(ctx, func(tx Tx) error {
		set, err := settings(ctx, tx, r.Site)
		if err != nil {
			return err
		}
		if !set.Ready() {
			return coldkeep.Errorf(coldkeep.EINVALID, "First say who the notices come from and which number families are to call.")
		}
		now := s.clock.Now()
		r.State, r.Round, r.Last, r.IssuedAt = Issuing, round+1, "", &now
		if err := tx.IssueRun(ctx, r); err != nil {
			return err
		}
		words := make([]string, len(r.Channels))
		for i, ch := range r.Channels {
			words[i] = string(ch)
		}
		return tx.Audit(ctx, s.entry(by, "recall.issue", "recall/"+id, r.Site, "", fmt.Sprintf("round %d by %s", r.Round, strings.Join(words, ", "))))
	})
	s.woken()
	return err
}

// Drop gives up a run of which nothing was made. ECONFLICT when something was, EFORBIDDEN,
// ENOTFOUND.
func (s *Service) Drop(ctx context.Context, by auth.Principal, id string) error {
	r, err := own(ctx, s.store, by, id, auth.RecallPatients)
	if err != nil {
		return err
	}
	if r.State != Counting && r.State != Ready {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "Notices of this run were made already.")
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		from, last, now := r.State, r.Last, s.clock.Now()
		dropped := r
		dropped.State, dropped.Ended = Dropped, &now
		if err := tx.AdvanceRun(ctx, dropped, from, last); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "recall.drop", "recall/"+id, r.Site, ""))
	})
}
