package coverage

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldkeep/coldkeep"
)

// pace is how the work is cut up.
type pace struct {
	look     time.Duration // how often Work asks for something to do
	beat     time.Duration // how often it says how far it is
	stale    time.Duration // an assessment whose worker was silent for so long is another's to begin
	together int           // people read at once
	workers  int           // 0: one a core
}

// together: some ten thousand rows of doses a query, which are read in tens of milliseconds.
var usual = pace{look: 5 * time.Second, beat: time.Second, stale: 30 * time.Second, together: 500}

// mostTries is how often an assessment is begun before it is given up: what has taken the
// process down so often will do it again.
const mostTries = 5

func (s *Service) woken() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Work makes assessments, one after the other, until ctx ends. failed is told of errors. Several
// processes may work on one database.
func (s *Service) Work(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(s.pace.look)
	defer tick.Stop()
	for {
		did, err := s.Step(ctx)
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		if did && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.wake:
		}
	}
}

// Step makes the assessment that has waited longest, if there is one. An assessment that fails
// ends as Failed, and its error is returned. EUNAVAILABLE when the database does not answer.
func (s *Service) Step(ctx context.Context) (did bool, err error) {
	engine := s.schedule.Engine()
	var r Run
	err = s.store.Tx(ctx, func(tx Tx) error {
		var err error
		// The machine's clock: how long somebody was silent has nothing to do with a demo's.
		now := time.Now()
		r, err = tx.ClaimCoverageRun(ctx, s.worker, now, now.Add(-s.pace.stale), engine.Schedule().Version)
		return err
	})
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	state, trouble, counts, done := Done, "", []Count(nil), int64(0)
	t, passed, err := s.pass(ctx, &r, func() (*survey, error) { return newSurvey(&r, engine) })
	switch {
	case ctx.Err() != nil:
		return true, nil // the process ends: whoever begins it again finds it stale
	case errors.Is(err, errTaken):
		return true, nil // cancelled, or another's
	case err != nil && r.Tries < mostTries && coldkeep.ErrorCode(err) != coldkeep.EINVALID:
		return false, err // it is stale after a while, and begun again
	case err != nil:
		state, trouble = Failed, fmt.Sprintf("It was begun %d times and could not be finished: %s", r.Tries, coldkeep.ErrorMessage(err))
	default:
		counts, done = t.list(), passed
	}
	e := s.store.Tx(ctx, func(tx Tx) error {
		return tx.EndCoverageRun(ctx, r.ID, s.worker, state, s.clock.Now(), trouble, done, counts)
	})
	if coldkeep.ErrorCode(e) == coldkeep.ECONFLICT {
		e = nil // cancelled at the last moment
	}
	return true, errors.Join(err, e)
}

var errTaken = errors.New("the assessment is not this worker's any more")

// pass walks over everybody that an assessment is about. It holds no transaction; what is
// entered meanwhile is after the cutoff and does not count.
func (s *Service) pass(ctx context.Context, r *Run, ready func() (*survey, error)) (*tally, int64, error) {
	v, err := ready()
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	first, last := v.births()
	heads, total, err := s.heads(ctx, r, first, last)
	if err != nil {
		return nil, 0, err
	}
	var done atomic.Int64
	var beating sync.WaitGroup
	over := make(chan struct{})
	beating.Go(func() { s.beat(ctx, r, &done, total, over, cancel) })
	defer func() { close(over); beating.Wait() }()

	n := s.pace.workers
	if n < 1 {
		n = runtime.GOMAXPROCS(0)
	}
	jobs := make(chan []string, n)
	tallies := make([]*tally, n)
	var workers sync.WaitGroup
	for i := range tallies {
		tallies[i] = v.tally()
		workers.Go(func() {
			for ids := range jobs {
				people, err := s.store.CoveragePeople(ctx, ids)
				if err != nil {
					cancel(err)
					return
				}
				for k := range people {
					tallies[i].person(&people[k])
				}
				done.Add(int64(len(ids)))
			}
		})
	}
	err = heads(func(ids []string) error {
		select {
		case jobs <- ids:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(jobs)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return nil, 0, cause
	}
	if err != nil {
		return nil, 0, err
	}
	for _, t := range tallies[1:] {
		tallies[0].merge(t)
	}
	return tallies[0], done.Load(), nil
}

// beat says how far an assessment is until it is over, and ends it when it is not this
// worker's any more.
func (s *Service) beat(ctx context.Context, r *Run, done *atomic.Int64, total int64, over <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(s.pace.beat)
	defer tick.Stop()
	for {
		err := s.store.Tx(ctx, func(tx Tx) error {
			return tx.BeatCoverageRun(ctx, r.ID, s.worker, time.Now(), done.Load(), total)
		})
		if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
			cancel(errTaken)
			return
		}
		// Another error may pass; when it lasts, the walk meets it as well.
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// heads gives a function that hands out the people of an assessment in their order, some at
// a time, and how many there are.
func (s *Service) heads(ctx context.Context, r *Run, first, last coldkeep.Date) (func(func([]string) error) error, int64, error) {
	n := s.pace.together
	if r.Site != "" {
		all, err := s.store.CoverageHeadsOf(ctx, r.Site, r.Asked.Basis, first, last)
		if err != nil {
			return nil, 0, err
		}
		return func(give func([]string) error) error {
			for at := 0; at < len(all); at += n {
				if err := give(all[at:min(at+n, len(all))]); err != nil {
					return err
				}
			}
			return nil
		}, int64(len(all)), nil
	}
	total, err := s.store.CoverageHeadCount(ctx, first, last)
	if err != nil {
		return nil, 0, err
	}
	return func(give func([]string) error) error {
		for after := (Head{Birth: first}); ; {
			some, err := s.store.CoverageHeads(ctx, first, last, after, n)
			if err != nil {
				return err
			}
			if len(some) == 0 {
				return nil
			}
			ids := make([]string, len(some))
			for i := range some {
				ids[i] = some[i].ID
			}
			if err := give(ids); err != nil {
				return err
			}
			after = some[len(some)-1]
		}
	}, total, nil
}
