// Package judge applies the excursion engine to what comes in and enters what it
// finds in the ledger. In the usual case a reading goes from the intake straight
// into the running state of its appliance. Whatever the judge says can be derived
// anew from the readings store alone: whenever it died, it takes up the latest
// checkpoint and reads on from there, and a late reading sends it back to the
// checkpoint before.
package judge

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/internal/tracing"
)

const (
	// checkpointEvery is the event time between two checkpoints: what a restart or a
	// late reading costs at most to read again.
	checkpointEvery = 6 * time.Hour

	// retryAfter is the wait, on the machine's clock, after the store or the ledger
	// failed.
	retryAfter = time.Second

	// lateEvery is how often at most, on the machine's clock, late readings send one
	// appliance back to a checkpoint: a device that fills a gap sends many.
	lateEvery = time.Second

	// stillComing is how long, on the machine's clock, a backlog may pause within a quarter
	// hour until that is told as it is.
	stillComing = 10 * time.Second

	// readers is how many appliances may be read from the store at once. The others
	// are judged from memory meanwhile.
	readers = 2

	// most is how many samples of one appliance wait in memory; beyond, they are read
	// from the store.
	most = 100_000

	// together is how many appliances' judgements one transaction carries.
	together = 500
)

// Judge judges the appliances whose probes it knows.
type Judge struct {
	store  readings.Store
	ledger *ledger.Ledger
	clock  coldkeep.Clock
	log    *slog.Logger
	live   func(coldkeep.LiveEvent)

	wake    chan struct{}
	reading chan struct{} // holds a token for each appliance that is being read
	loads   sync.WaitGroup

	retryAfter, lateEvery, stillComing time.Duration // shorter in tests

	mu       sync.Mutex
	next     *coldkeep.Mirror          // not yet taken up
	held     map[coldkeep.SiteID]int64 // the sites that are this collector's, with the generations of their leases; nil is all
	mirror   coldkeep.Mirror           // taken up
	mirrored bool                      // a mirror has been
	unruled  map[coldkeep.Series]bool  // they stand in an appliance that cannot be judged at present
	tracks   map[coldkeep.ApplianceID]*track
	seats    map[coldkeep.Series][]seat
	due      map[*track]struct{}
	online   map[coldkeep.SiteID]map[coldkeep.AgentID]bool
	since    map[coldkeep.SiteID]time.Time // when the site became this collector's
	free     []*ticket
	hearing  time.Time // since when what devices send reaches us; zero while it does not
}

// New makes a judge. live may be nil; it is told when an appliance's screen has
// something new and must not block.
func New(store readings.Store, led *ledger.Ledger, clock coldkeep.Clock, log *slog.Logger, live func(coldkeep.LiveEvent)) *Judge {
	if live == nil {
		live = func(coldkeep.LiveEvent) {}
	}
	return &Judge{store: store, ledger: led, clock: clock, log: log, live: live,
		retryAfter: retryAfter, lateEvery: lateEvery, stillComing: stillComing, wake: make(chan struct{}, 1), reading: make(chan struct{}, readers),
		tracks: map[coldkeep.ApplianceID]*track{}, seats: map[coldkeep.Series][]seat{}, due: map[*track]struct{}{},
		online: map[coldkeep.SiteID]map[coldkeep.AgentID]bool{}, since: map[coldkeep.SiteID]time.Time{}, hearing: clock.Now()}
}

func (j *Judge) nudge() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// SetOnline tells the judge of an agent's birth or will.
func (j *Judge) SetOnline(site coldkeep.SiteID, agent coldkeep.AgentID, online bool) {
	j.mu.Lock()
	if j.online[site] == nil {
		j.online[site] = map[coldkeep.AgentID]bool{}
	}
	j.online[site][agent] = online
	j.mu.Unlock()
	j.live(coldkeep.LiveEvent{Type: "status", Site: site})
}

// SetMirror gives the judge the registry's truth: which probe stands in which
// appliance, and by which rules that is judged.
func (j *Judge) SetMirror(m coldkeep.Mirror) {
	j.mu.Lock()
	j.next = &m
	j.mu.Unlock()
	j.nudge()
}

// SetSites says which sites are this collector's, each with the generation of its
// lease. Until it is called all are. A site that was away and is back is judged from
// its checkpoints on: somebody else may have judged it meanwhile.
func (j *Judge) SetSites(held map[coldkeep.SiteID]int64) {
	j.mu.Lock()
	j.held = maps.Clone(held)
	if j.held == nil {
		j.held = map[coldkeep.SiteID]int64{}
	}
	if j.next == nil && j.mirrored {
		m := j.mirror
		j.next = &m
	}
	j.mu.Unlock()
	j.nudge()
}

// holds reports whether a site is this collector's. The caller holds j.mu.
func (j *Judge) holds(site coldkeep.SiteID) bool {
	_, ok := j.held[site]
	return ok || j.held == nil
}

// Hears says whether what devices send reaches the collector and its stores at
// present: silence means something only after it has for a while. Until it is called
// it does.
func (j *Judge) Hears(now bool) {
	at := j.clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case !now:
		j.hearing = time.Time{}
	case j.hearing.IsZero():
		j.hearing = at
	}
}

// Run judges until ctx ends.
func (j *Judge) Run(ctx context.Context) error {
	defer j.loads.Wait()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		j.applyMirror()
		j.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			j.lookForSilence()
			if err := j.logIntervals(ctx); err != nil && ctx.Err() == nil {
				j.log.Warn("temperature log waits", "error", err)
			}
		case <-j.wake:
		}
	}
}

// round judges every appliance that has something new. What can be judged from
// memory is; what must be read from the store is, beside the others.
func (j *Judge) round(ctx context.Context) {
	var batch []*outcome
	for _, t := range j.takeDue() {
		o, err := j.fromMemory(ctx, t)
		switch {
		case err != nil:
			j.later(ctx, t, err)
		case o == nil:
			j.read(ctx, t)
		default:
			batch = append(batch, o)
		}
		if len(batch) == together {
			j.save(ctx, batch)
			batch = nil
		}
	}
	j.save(ctx, batch)
}

// takeDue takes the appliances that wait and that nobody is at work on.
func (j *Judge) takeDue() []*track {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []*track
	now := time.Now()
	for t := range j.due {
		if t.gone {
			delete(j.due, t)
			continue
		}
		if t.before != nil && !t.before.busy {
			t.before = nil
		}
		if t.busy || t.before != nil || now.Before(t.notBefore) {
			continue
		}
		delete(j.due, t)
		t.busy = true
		out = append(out, t)
	}
	return out
}

// release ends the work on an appliance, which is due again when more has come.
func (j *Judge) release(t *track) {
	j.mu.Lock()
	t.busy = false
	if len(t.pending) > 0 || t.reload {
		j.due[t] = struct{}{}
	}
	_, again := j.due[t]
	again = again && !time.Now().Before(t.notBefore)
	j.mu.Unlock()
	if again {
		j.nudge()
	}
}

// read judges an appliance from the store, beside the others.
func (j *Judge) read(ctx context.Context, t *track) {
	select {
	case j.reading <- struct{}{}:
	default:
		// All readers are at work; it stays due and one of them will nudge.
		j.mu.Lock()
		t.busy, t.reload = false, true
		j.due[t] = struct{}{}
		j.mu.Unlock()
		return
	}
	j.loads.Go(func() {
		defer func() {
			<-j.reading
			j.nudge()
		}()
		read, end := tracing.Span(ctx, "judge.read")
		o, err := j.fromStore(read, t)
		end(err)
		if err != nil {
			j.later(ctx, t, err)
			return
		}
		j.save(ctx, []*outcome{o})
	})
}

// later gives an appliance up for now. Its state may be ahead of the ledger, so it
// is read again.
func (j *Judge) later(ctx context.Context, t *track, err error) {
	if ctx.Err() == nil {
		j.log.Warn("judging waits", "appliance", t.appliance.ID, "error", err)
	}
	t.state = nil
	j.mu.Lock()
	t.reload, t.notBefore = true, time.Now().Add(j.retryAfter)
	j.mu.Unlock()
	j.release(t)
	time.AfterFunc(j.retryAfter, j.nudge)
}

// save enters judgements in one transaction and ends the work on their appliances.
func (j *Judge) save(ctx context.Context, batch []*outcome) {
	if len(batch) == 0 {
		return
	}
	var js []ledger.Judgement
	var us []ledger.Unjudged
	for _, o := range batch {
		if o.worth() {
			js = append(js, o.Judgement)
		}
		us = append(us, j.settled(o)...)
	}
	if len(js)+len(us) > 0 {
		saved, end := tracing.Span(ctx, "judge.save", tracing.Count{Name: "appliances", N: len(js)})
		err := j.ledger.SaveJudgements(saved, j.clock.Now(), us, js)
		end(err)
		if err != nil {
			for _, o := range batch {
				j.later(ctx, o.track, err)
			}
			return
		}
	}
	for _, o := range batch {
		t := o.track
		t.book = o.book
		ahead := t.foresight(o.open)
		j.mu.Lock()
		t.latest, t.open, t.foreseen = o.latest, o.open, ahead
		if o.stepped {
			t.steppedAt, t.seenAt = time.Now(), slices.Clone(t.last)
		}
		j.mu.Unlock()
		j.release(t)
		if o.stepped {
			j.live(coldkeep.LiveEvent{Type: "status", Site: t.appliance.Site, Appliance: t.appliance.ID})
		}
		if len(o.Revised) > 0 {
			j.live(coldkeep.LiveEvent{Type: "excursion", Site: t.appliance.Site, Appliance: t.appliance.ID})
		}
	}
}

// settled returns the unjudged entries that o was the last to deal with: a probe
// that has stood in several appliances is judged in each.
func (j *Judge) settled(o *outcome) []ledger.Unjudged {
	if len(o.unjudged) == 0 {
		return nil
	}
	var out []ledger.Unjudged
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, u := range o.unjudged {
		o.track.seen[u.Series] = u.Gen
		all := true
		for _, s := range j.seats[u.Series] {
			all = all && s.track.seen[u.Series] == u.Gen
		}
		if all {
			out = append(out, u)
			for _, s := range j.seats[u.Series] { // the next entry counts from 1 again
				delete(s.track.seen, u.Series)
			}
		}
	}
	return out
}

// lookForSilence makes those appliances due of which nothing has been believed for
// as long as their profile allows.
func (j *Judge) lookForSilence() {
	now := j.clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, t := range j.tracks {
		if !t.busy && len(t.tickets) == 0 && time.Since(t.readAt) > stillToCome {
			t.already = nil
		}
		if t.reload || now.UnixMilli() < t.nextLook {
			continue
		}
		t.nextLook = now.Add(lookEvery).UnixMilli()
		j.due[t] = struct{}{}
	}
}

// lookEvery is how often, on the collector's clock, a silent appliance is looked at.
const lookEvery = time.Minute

// listened reports whether the collector has listened to a site long enough for
// silence to mean something.
func (j *Judge) listened(t *track, now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	since, ok := j.since[t.appliance.Site]
	if j.hearing.After(since) {
		since = j.hearing
	}
	return ok && !j.hearing.IsZero() && now.Sub(since) >= t.rules.NoDataAlert()
}

// never is a time (ms) after everything.
const never = int64(math.MaxInt64)

// pos is a place in an appliance's samples.
type pos struct {
	at, seq int64
	probe   int
}

func posOf(s *excursion.Sample) pos { return pos{s.At, s.Seq, s.Probe} }
