// Package judge applies the excursion engine to what is stored and enters what it
// finds in the ledger. Its work is derived from the readings store alone: whenever
// it died, it takes up the latest checkpoint and reads on from there, and a late
// reading sends it back to the checkpoint before.
package judge

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

// checkpointEvery is the event time between two checkpoints: what a restart or a
// late reading costs at most to read again.
const checkpointEvery = 6 * time.Hour

// retryAfter is the wait, on the machine's clock, after the store or the ledger
// failed.
const retryAfter = time.Second

// Judge judges the series whose probes stand in an appliance.
type Judge struct {
	store  readings.Store
	ledger *ledger.Ledger
	clock  coldkeep.Clock
	log    *slog.Logger
	live   func(coldkeep.LiveEvent)

	wake chan struct{}

	mu      sync.Mutex
	mirror  *coldkeep.Mirror // not yet taken up
	waiting map[coldkeep.Series]struct{}
	tracks  map[coldkeep.Series][]*track
	online  map[coldkeep.SiteID]map[coldkeep.AgentID]bool
}

// track is the judge's memory of one probe's stay in one appliance. Only Run's
// goroutine touches state; the rest is guarded by Judge.mu.
type track struct {
	ledger.Track
	assignment coldkeep.Assignment
	until      time.Time // when the probe's next stay in the appliance begins; zero for none
	appliance  coldkeep.Appliance
	rules      *excursion.Rules
	state      *excursion.State // nil until loaded
	savedAt    int64            // event time of the latest checkpoint, ms
	fresh      bool             // nothing of it was ever judged

	latest excursion.Sample
	open   []excursion.Finding
}

// New makes a judge. live may be nil; it is told when an appliance's screen has
// something new and must not block.
func New(store readings.Store, led *ledger.Ledger, clock coldkeep.Clock, log *slog.Logger, live func(coldkeep.LiveEvent)) *Judge {
	if live == nil {
		live = func(coldkeep.LiveEvent) {}
	}
	return &Judge{store: store, ledger: led, clock: clock, log: log, live: live, wake: make(chan struct{}, 1),
		waiting: map[coldkeep.Series]struct{}{}, tracks: map[coldkeep.Series][]*track{},
		online: map[coldkeep.SiteID]map[coldkeep.AgentID]bool{}}
}

// Notice tells the judge that readings of a series were stored and entered as
// unjudged.
func (j *Judge) Notice(series ...coldkeep.Series) {
	j.mu.Lock()
	for _, s := range series {
		j.waiting[s] = struct{}{}
	}
	j.mu.Unlock()
	j.nudge()
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
	j.mirror = &m
	j.mu.Unlock()
	j.nudge()
}

// applyMirror takes up the latest mirror, in Run's goroutine. A stay that goes on
// under the same rules keeps its state.
func (j *Judge) applyMirror() {
	j.mu.Lock()
	defer j.mu.Unlock()
	m := j.mirror
	if m == nil {
		return
	}
	j.mirror = nil
	old := j.tracks
	j.tracks = make(map[coldkeep.Series][]*track, len(m.Assignments))
	for _, as := range m.Assignments {
		ap, ok := m.Appliance(as.Appliance)
		if !ok || !ap.InService {
			continue
		}
		rules, err := compile(&ap)
		if err != nil {
			j.log.Error("appliance cannot be judged", "appliance", ap.ID, "error", err)
			continue
		}
		key := ledger.Track{Series: as.Series, Appliance: ap.ID, Rules: rules.Profile() + "/" + string(ap.Unit) + "/" + stay(&as)}
		t := &track{Track: key, latest: excursion.Sample{Celsius: coldkeep.NoTemperature}}
		for _, o := range old[as.Series] {
			if o.Track == key {
				t = o
			}
		}
		t.assignment, t.appliance, t.rules = as, ap, rules
		t.until = time.Time{}
		for _, next := range m.Assignments {
			if next.Series == as.Series && next.Appliance == as.Appliance && next.From.After(as.From) && (t.until.IsZero() || next.From.Before(t.until)) {
				t.until = next.From
			}
		}
		j.tracks[as.Series] = append(j.tracks[as.Series], t)
		j.waiting[as.Series] = struct{}{}
	}
}

// stay names an assignment's span. A stay whose end has changed is judged anew, as
// it would be after a restart.
func stay(as *coldkeep.Assignment) string {
	s := as.From.UTC().Format(time.RFC3339Nano)
	if as.To != nil {
		s += "/" + as.To.UTC().Format(time.RFC3339Nano)
	}
	return s
}

func compile(ap *coldkeep.Appliance) (*excursion.Rules, error) {
	p, err := coldkeep.FindProfile(ap.Profile)
	if err != nil {
		return nil, err
	}
	return excursion.Compile(p, ap.Unit)
}

// Run judges until ctx ends. It returns an error only when it cannot go on.
func (j *Judge) Run(ctx context.Context) error {
	if err := j.loadWaiting(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		j.applyMirror()
		if s, ok := j.next(); ok {
			if err := j.judgeSeries(ctx, s); err != nil && ctx.Err() == nil {
				j.log.Warn("judging waits", "series", s.String(), "error", err)
				// The others go on meanwhile.
				time.AfterFunc(retryAfter, func() { j.Notice(s) })
			}
		}
		var idle <-chan struct{} = j.wake
		if j.busy() {
			ready := make(chan struct{})
			close(ready)
			idle = ready
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := j.logIntervals(ctx); err != nil && ctx.Err() == nil {
				j.log.Warn("temperature log waits", "error", err)
			}
		case <-idle:
		}
	}
}

// busy reports whether a series waits.
func (j *Judge) busy() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.waiting) > 0
}

func (j *Judge) loadWaiting(ctx context.Context) error {
	us, err := j.ledger.Unjudged(ctx)
	if err != nil {
		return err
	}
	for _, u := range us {
		j.Notice(u.Series)
	}
	return nil
}

func (j *Judge) next() (coldkeep.Series, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for s := range j.waiting {
		delete(j.waiting, s)
		return s, true
	}
	return coldkeep.Series{}, false
}

// judgeSeries judges what is new of a series in each appliance it stood in.
func (j *Judge) judgeSeries(ctx context.Context, s coldkeep.Series) error {
	j.mu.Lock()
	tracks := append([]*track(nil), j.tracks[s]...)
	j.mu.Unlock()
	if len(tracks) == 0 {
		return nil // it stays unjudged until its probe is assigned
	}
	u, waiting, err := j.ledger.UnjudgedOf(ctx, s)
	if err != nil {
		return err
	}
	if !waiting {
		u.From = math.MaxInt64
	}
	js := make([]ledger.Judgement, 0, len(tracks))
	for _, t := range tracks {
		jm, err := j.judgeTrack(ctx, t, u.From)
		if err != nil {
			j.forget(tracks)
			return err
		}
		js = append(js, jm)
	}
	more, err := j.ledger.SaveJudgements(ctx, j.clock.Now(), u, js)
	if err != nil {
		j.forget(tracks)
		return err
	}
	if more && waiting {
		j.Notice(s)
	}
	for i, t := range tracks {
		t.fresh = false
		j.live(coldkeep.LiveEvent{Type: "status", Site: t.Site, Appliance: t.Appliance})
		if len(js[i].Revised) > 0 {
			j.live(coldkeep.LiveEvent{Type: "excursion", Site: t.Site, Appliance: t.Appliance})
		}
	}
	return nil
}

// forget drops states that may be ahead of the ledger; they are loaded again.
func (j *Judge) forget(tracks []*track) {
	for _, t := range tracks {
		t.state = nil
	}
}

// judgeTrack brings a track up to what is stored, from its state or, when
// readings from a time (ms) on are late for that, from the checkpoint before them.
func (j *Judge) judgeTrack(ctx context.Context, t *track, late int64) (ledger.Judgement, error) {
	out := ledger.Judgement{Track: t.Track, Rewound: math.MaxInt64}
	if t.state == nil || t.state.At >= late {
		before := late
		c, err := j.ledger.Checkpoint(ctx, t.Track, before)
		if err != nil {
			return out, err
		}
		t.state, t.savedAt, t.fresh = &excursion.State{}, 0, c == nil
		if c != nil {
			if t.state, err = excursion.UnmarshalState(c.State, t.rules); err != nil {
				// A state of an older engine: judge from the start.
				j.log.Info("engine state is of another version, judging from the start", "series", t.Series.String(), "error", err)
				t.state, before = &excursion.State{}, math.MinInt64
			} else {
				t.savedAt = c.At
			}
		}
		out.Rewound = before
	}
	since := t.state.At
	from := max(since, t.assignment.From.UnixMilli())
	to := int64(math.MaxInt64)
	if t.assignment.To != nil {
		to = t.assignment.To.UnixMilli()
	}
	var found []excursion.Finding
	latest := excursion.Sample{Celsius: coldkeep.NoTemperature}
	err := j.store.Range(ctx, t.Series, from, to, func(r *coldkeep.Reading) error {
		in := excursion.Sample{At: r.At, Seq: r.Seq, Celsius: r.Celsius, Quality: r.Quality}
		latest = in
		if in.At == t.state.At && in.Seq <= t.state.Seq {
			return nil // the sample that the state ends with
		}
		if t.savedAt == 0 || in.At-t.savedAt >= checkpointEvery.Milliseconds() {
			// The state so far, before this later sample, is a checkpoint.
			if t.state.At != 0 && in.At > t.state.At {
				out.Checkpoints = append(out.Checkpoints, ledger.Checkpoint{At: t.state.At, State: t.state.Marshal()})
				t.savedAt = t.state.At
			}
		}
		switch prev := t.state.At; {
		case prev != 0 && in.At-prev > quarter.Milliseconds():
			// The quarter hours between two readings have a line too.
			out.Quarters = appendGap(out.Quarters, prev, in.At)
		case t.fresh:
			out.Quarters = appendQuarter(out.Quarters, in.At)
		}
		t.state.Step(t.rules, in, func(f excursion.Finding) { found = append(found, f) })
		return nil
	})
	if err != nil {
		return out, err
	}
	open := t.state.Open(t.rules)
	gone := t.assignment.To != nil && !j.clock.Now().Before(*t.assignment.To)
	if gone {
		// What the probe saw to the end of its stay is over for this appliance.
		for i := range open {
			open[i].End = to
		}
	}
	found = append(found, open...)
	if late != math.MaxInt64 {
		// Late readings may have filled gaps of quarter hours without a reading of their
		// own, a gap's length around them.
		out.Quarters = appendGap(out.Quarters, late-t.rules.MaxGap().Milliseconds(), t.state.At)
	}
	// An excursion that was over by the state we started from ended at least
	// close_after before it; what ended later, or is open, is judged here.
	book, err := j.ledger.Excursions(ctx, t.Track, since-t.rules.CloseAfter().Milliseconds())
	if err != nil {
		return out, err
	}
	mine := book[:0]
	for _, b := range book {
		if !b.Start.Before(t.assignment.From) && (t.until.IsZero() || b.Start.Before(t.until)) {
			mine = append(mine, b)
		}
	}
	out.Revised, err = reconcile(t.Track, t.appliance.Site, t.rules.Profile(), t.state.At, found, mine, func(id string) (ledger.Judged, bool, error) {
		return j.ledger.Excursion(ctx, id)
	})
	for i := range out.Revised {
		if x := &out.Revised[i]; gone && x.End != nil && x.End.Equal(*t.assignment.To) {
			x.Reason = "the probe left the unit"
		}
	}
	j.mu.Lock()
	if latest.At != 0 {
		t.latest = latest
	}
	t.open = open
	j.mu.Unlock()
	return out, err
}
