package judge

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/foresight"
	"github.com/coldkeep/coldkeep/gateway/ledger"
)

// track is the judge's memory of one appliance.
type track struct {
	// Fixed, or changed by applyMirror under Judge.mu only.
	key        ledger.Track
	whole      string // all that it is made of
	appliance  coldkeep.Appliance
	rules      *excursion.Rules
	past       past
	history    *excursion.History
	watch      *foresight.Config
	generation int64 // of the site's lease
	several    bool  // its probes belong to several devices, whose readings cross on their way

	// Guarded by Judge.mu.
	pending   []excursion.Sample // durable and not judged yet
	behind    int64              // earliest time (ms) of those that were let go, to be read from the store; never for none
	spare     []excursion.Sample // room for pending
	tickets   []*ticket          // commits under way that hold samples of it
	savedAt   int64              // no checkpoint is later than this event time, ms
	reload    bool               // it must be read from the store
	gone      bool               // another track has its place
	before    *track             // the one whose place it has, while somebody is at work on that
	busy      bool               // somebody is at work on it
	nextLook  int64              // ms on the collector's clock
	notBefore time.Time          // on the machine's clock
	at        int                // its place in the ticket being made, -1 for none
	seen      map[coldkeep.Series]int64
	latest    []excursion.Sample // of each probe
	open      []excursion.Finding
	foreseen  *coldkeep.Foresight
	steppedAt time.Time // when it last had something new, on the collector\'s clock
	seenAt    []int64   // of each probe the time of its latest record, ms
	notes     []note    // events that wait

	// Of whoever is at work on it.
	state      *excursion.State  // nil until read
	pos        pos               // of the state's last sample
	ahead      []foresight.State // of each probe
	heard      []note            // events that wait for the next reading, by time
	folds      []folds           // of each probe
	foldedFrom int64             // they are whole from this event time on, ms; math.MinInt64 is always
	last       []int64           // time of each probe's last record, ms, 0 for none
	backTo     int64             // a late sample's time, ms, never for none
	savedTo    int64             // time of the latest checkpoint, ms
	fresh      bool              // nothing of it was ever judged
	horizon    int64             // what is before was let go, ms; math.MinInt64 for nothing
	firsts     []bool            // probes of which nothing was judged before what is being read
	already    map[pos]struct{}  // read from the store, and perhaps still to come from a commit
	readAt     time.Time
	base       *mark // where a slightly late sample goes back to; of several devices only
	recent     []excursion.Sample
	book       []ledger.Judged // what stands and may still change
}

// mark is a state that can be gone back to.
type mark struct {
	state *excursion.State
	pos   pos
	last  []int64
}

// outcome is what judging an appliance gave.
type outcome struct {
	ledger.Judgement
	track    *track
	unjudged []ledger.Unjudged // entries it has dealt with
	latest   []excursion.Sample
	open     []excursion.Finding
	book     []ledger.Judged
	stepped  bool

	since     int64 // judged from here on, ms
	unsettled int64 // what ends at this time (ms) or later may be found again
	reset     bool  // the book must be read anew
	found     []excursion.Finding
}

func (o *outcome) worth() bool {
	return o.Rewound != never || len(o.Checkpoints)+len(o.Revised)+len(o.Quarters) > 0
}

// checkpoint is the form in which a state is kept.
type checkpoint struct {
	Last      []int64         `json:"last"`
	Engine    json.RawMessage `json:"engine"`
	Foresight [][]byte        `json:"foresight"`
}

func comparePos(a, b pos) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.probe, b.probe), cmp.Compare(a.seq, b.seq))
}

// fromMemory judges the samples that came by way of the intake. It returns nil when
// the appliance must be read from the store.
func (j *Judge) fromMemory(ctx context.Context, t *track) (*outcome, error) {
	samples, reload := j.takePending(t)
	if reload || t.state == nil {
		j.mu.Lock()
		t.letGo(samples)
		j.mu.Unlock()
		return nil, nil
	}
	defer j.giveBack(t, samples)
	slices.SortFunc(samples, excursion.Compare)
	samples = slices.DeleteFunc(samples, func(s excursion.Sample) bool {
		_, known := t.already[posOf(&s)]
		return known && comparePos(posOf(&s), t.pos) <= 0
	})
	o := &outcome{track: t, Judgement: ledger.Judgement{Track: t.key, Site: t.appliance.Site, Generation: t.generation, Rewound: never}, since: t.state.At, unsettled: t.state.Unsettled(), latest: slices.Clone(t.latest)}
	if len(samples) > 0 && comparePos(posOf(&samples[0]), t.pos) <= 0 {
		if t.base == nil || comparePos(posOf(&samples[0]), t.base.pos) <= 0 {
			j.sendBack(t, samples[0].At)
			return nil, nil
		}
		// A little late, behind another device's: from the mark on again.
		o.Rewound, o.since, o.unsettled, o.reset = samples[0].At, t.base.state.At, t.base.state.Unsettled(), true
		if o.Rewound <= t.savedTo {
			t.savedTo = 0
		}
		t.mendLog(o, samples)
		samples = append(slices.Clone(t.recent), samples...)
		slices.SortStableFunc(samples, excursion.Compare)
		t.state, t.pos, t.last = t.base.state.Clone(), t.base.pos, slices.Clone(t.base.last)
		t.recent = t.recent[:0]
		t.unfold(t.base.pos.at + 1)
	}
	if t.heard = append(t.heard[:len(t.heard):len(t.heard)], j.takeNotes(t)...); len(t.heard) > notesMost {
		t.heard = t.heard[len(t.heard)-notesMost:] // of a clock gone wrong
	}
	for i := range samples {
		j.step(t, o, &samples[i])
	}
	return o, j.conclude(ctx, o)
}

func blank(n int) []excursion.Sample {
	out := make([]excursion.Sample, n)
	for i := range out {
		out[i].Celsius = coldkeep.NoTemperature
	}
	return out
}

// giveBack keeps the room of samples for later ones.
func (j *Judge) giveBack(t *track, samples []excursion.Sample) {
	if cap(samples) > spareMost {
		return
	}
	j.mu.Lock()
	t.spare = samples
	j.mu.Unlock()
}

// spareMost is the room, in samples, that an appliance keeps for itself.
const spareMost = 1024

// sendBack has an appliance read again from before a late sample.
func (j *Judge) sendBack(t *track, late int64) {
	j.mu.Lock()
	t.reload = true
	t.notBefore = time.Now().Add(j.lateEvery)
	j.mu.Unlock()
	if late <= t.state.At {
		t.state = nil // the ledger's entry, or the checkpoint's place, says how far back
		t.backTo = min(late, t.backTo)
	}
}

// step lets the engine see the next sample.
func (j *Judge) step(t *track, o *outcome, in *excursion.Sample) {
	if !t.past.covers(in.Probe, in.At) {
		return
	}
	p := posOf(in)
	if comparePos(p, t.pos) <= 0 {
		return // seen
	}
	if t.savedTo == 0 || in.At-t.savedTo >= checkpointEvery.Milliseconds() {
		// The state so far, before this later sample, is a checkpoint.
		if t.state.At != 0 && in.At > t.state.At && j.mayCheckpoint(t, t.state.At) {
			b, _ := json.Marshal(t.checkpoint()) // numbers and the engine's own JSON always marshal
			o.Checkpoints = append(o.Checkpoints, ledger.Checkpoint{At: t.state.At, History: t.past.fingerprint(t.state.At), State: b})
			t.savedTo = t.state.At
		}
	}
	switch prev := t.last[in.Probe]; {
	case prev != 0 && in.At-prev > quarter.Milliseconds():
		// The quarter hours between two readings have a line too.
		o.gap(t.past.probes[in.Probe], prev, in.At)
	case t.fresh || t.firsts != nil && t.firsts[in.Probe]:
		o.quarter(t.past.probes[in.Probe], in.At)
	case prev != 0 && coldkeep.IntervalStart(prev) != coldkeep.IntervalStart(in.At) && j.mayBeTold(prev):
		// What was told as silence to its end was none.
		o.quarter(t.past.probes[in.Probe], prev)
	}
	t.state.Step(t.rules, t.history, *in, func(f excursion.Finding) { o.found = append(o.found, f) })
	t.foresee(in)
	t.fold(in)
	t.pos, t.last[in.Probe], o.latest[in.Probe], o.stepped = p, in.At, *in, true
	if t.several {
		t.remember(in)
	}
}

// mayBeTold reports whether the quarter hour of a time (ms) may be in the log already.
func (j *Judge) mayBeTold(at int64) bool {
	return coldkeep.IntervalStart(at)+(quarter+settle).Milliseconds() <= j.clock.Now().UnixMilli()
}

// mendLog notes the quarter hours in which a slightly late sample ends what was a gap
// without it.
func (t *track) mendLog(o *outcome, samples []excursion.Sample) {
	for i := range samples {
		s := &samples[i]
		if comparePos(posOf(s), t.pos) > 0 {
			return
		}
		prev, next := t.base.last[s.Probe], int64(0)
		for k := range t.recent {
			switch r := &t.recent[k]; {
			case r.Probe != s.Probe:
			case r.At <= s.At:
				prev = max(prev, r.At)
			case next == 0:
				next = r.At
			}
		}
		if maxGap := t.rules.MaxGap().Milliseconds(); next == 0 || next-prev > maxGap {
			o.gap(t.past.probes[s.Probe], max(prev, s.At-maxGap), max(s.At, next))
		}
	}
}

func (t *track) checkpoint() checkpoint {
	c := checkpoint{Last: t.last, Engine: t.state.Marshal(), Foresight: make([][]byte, len(t.ahead))}
	for i := range t.ahead {
		if t.last[i] != 0 {
			c.Foresight[i] = t.ahead[i].Marshal()
		}
	}
	return c
}

// recentMost is how many samples a mark lags behind at most.
const recentMost = 256

// remember keeps the latest samples, and a state from before them.
func (t *track) remember(in *excursion.Sample) {
	if t.base == nil {
		t.base = &mark{t.state.Clone(), t.pos, slices.Clone(t.last)}
		return
	}
	t.recent = append(t.recent, *in)
	if len(t.recent) <= recentMost {
		return
	}
	half := t.recent[:recentMost/2]
	for i := range half {
		t.base.state.Step(t.rules, t.history, half[i], func(excursion.Finding) {})
		t.base.pos, t.base.last[half[i].Probe] = posOf(&half[i]), half[i].At
	}
	t.recent = append(t.recent[:0], t.recent[recentMost/2:]...)
}

// fromStore brings an appliance up to what is stored, from its state or, when
// readings are late for that, from the checkpoint before them.
func (j *Judge) fromStore(ctx context.Context, t *track) (*outcome, error) {
	dropped, _ := j.takePending(t) // they are in the store
	j.mu.Lock()
	t.reload = false
	if t.state != nil { // else the latest checkpoint is before them
		t.backTo = min(t.backTo, t.behind)
	}
	t.behind = never
	j.mu.Unlock()
	o := &outcome{track: t, Judgement: ledger.Judgement{Track: t.key, Site: t.appliance.Site, Generation: t.generation, Rewound: never}, reset: true, latest: slices.Clone(t.latest)}
	late := t.backTo
	for i := range dropped {
		late = min(late, dropped[i].At)
	}
	us, err := j.ledger.UnjudgedOf(ctx, t.past.probes)
	if err != nil {
		return nil, err
	}
	for _, u := range us {
		late = min(late, u.From)
	}
	if o.unjudged = us; t.state == nil || late <= t.state.At {
		if err := j.goBack(ctx, t, o, late); err != nil {
			return nil, err
		}
	}
	o.since, o.unsettled = t.state.At, t.state.Unsettled()
	if t.fresh && t.horizon != math.MinInt64 {
		// What ended before cannot be found again, and stands as it was judged.
		o.since, o.unsettled = t.horizon, t.horizon
	}
	var ring []pos
	t.firsts = make([]bool, len(t.last))
	for i, at := range t.last {
		t.firsts[i] = at == 0
	}
	for in, err := range j.samples(ctx, t, max(t.state.At, t.horizon)) {
		if err != nil {
			return nil, err
		}
		j.step(t, o, &in)
		if len(ring) < ringMost {
			ring = append(ring, posOf(&in))
		} else {
			ring[int(in.Seq)%ringMost] = posOf(&in)
		}
	}
	if late != never && t.state.At != 0 {
		// Late readings may have filled gaps of quarter hours without a reading of their
		// own, a gap's length around them.
		for _, s := range t.past.probes {
			o.gap(s, late-t.rules.MaxGap().Milliseconds(), t.state.At)
		}
	}
	// What was read may come from the intake still: it stores first and tells then.
	t.readAt = time.Now()
	t.already = make(map[pos]struct{}, len(ring))
	for _, p := range ring {
		t.already[p] = struct{}{}
	}
	t.backTo, t.fresh, t.firsts = never, false, nil
	j.mu.Lock()
	if late != never {
		t.notBefore = time.Now().Add(j.lateEvery)
		time.AfterFunc(j.lateEvery, j.nudge)
	}
	j.mu.Unlock()
	return o, j.conclude(ctx, o)
}

// stillToCome is how long, on the machine's clock, what was read from the store may
// take to come by way of the intake too. What comes later is only read again.
const stillToCome = 10 * time.Second

// ringMost is how many of the samples read last are known again when they come from
// the intake too.
const ringMost = 20_000

// afterHorizon is how long after what was let go judging begins, where it begins anew:
// the first line of the log then has the readings before it.
const afterHorizon = time.Hour

// goBack resumes the latest checkpoint before a time (ms) that fits the past as it
// is known now, or begins at the beginning: that of all, or of what is still kept.
func (j *Judge) goBack(ctx context.Context, t *track, o *outcome, late int64) error {
	horizon, err := j.ledger.Horizon(ctx, t.past.probes)
	if err != nil {
		return err
	}
	if t.horizon = math.MinInt64; horizon > 0 {
		t.horizon = horizon + afterHorizon.Milliseconds()
	}
	t.history = t.past.history(t.horizon)
	c, err := j.ledger.Checkpoint(ctx, t.key, late, func(at int64, history string) bool {
		return at >= t.horizon && history == t.past.fingerprint(at)
	})
	if err != nil {
		return err
	}
	t.state, t.pos, t.last, t.savedTo = &excursion.State{}, pos{at: math.MinInt64}, make([]int64, len(t.past.probes)), 0
	t.base, t.recent, t.fresh, t.ahead = nil, nil, true, make([]foresight.State, len(t.past.probes))
	o.latest = blank(len(t.past.probes))
	o.Rewound = math.MinInt64 // those of other rules too
	if c != nil {
		var kept checkpoint
		err := json.Unmarshal(c.State, &kept)
		var s *excursion.State
		if err == nil {
			s, err = excursion.UnmarshalState(kept.Engine, t.rules)
		}
		if err == nil && len(kept.Last) <= len(t.last) {
			copy(t.last, kept.Last)
			for i := range kept.Foresight[:min(len(kept.Foresight), len(t.ahead))] {
				// One that cannot be read is of another version: it learns anew.
				if f, err := foresight.Unmarshal(kept.Foresight[i]); err == nil {
					t.ahead[i] = f
				}
			}
			t.state, t.fresh, t.savedTo, o.Rewound = s, false, c.At, c.At+1
			// Every sample of the state's last moment is in it: checkpoints end before a later one.
			t.pos = pos{at: c.At, seq: math.MaxInt64, probe: math.MaxInt}
		} else {
			j.log.Info("engine state is of another version, judging from the start", "appliance", t.appliance.ID, "error", err)
		}
	}
	t.unfold(math.MinInt64)
	if !t.fresh {
		t.unfold(t.pos.at + 1)
	}
	j.mu.Lock()
	t.savedAt = t.savedTo
	j.mu.Unlock()
	return nil
}

// samples reads an appliance's probes from a time (ms) on, in one order.
func (j *Judge) samples(ctx context.Context, t *track, from int64) iter.Seq2[excursion.Sample, error] {
	type head struct {
		in   excursion.Sample
		next func() (excursion.Sample, error, bool)
	}
	return func(yield func(excursion.Sample, error) bool) {
		var heads []head
		for i, s := range t.past.probes {
			lo, hi := never, int64(math.MinInt64)
			for _, as := range t.past.stays {
				if as.Series == s {
					lo, hi = min(lo, as.From.UnixMilli()), max(hi, openEnd(as.To))
				}
			}
			if lo = max(lo, from); lo >= hi {
				continue
			}
			next, stop := iter.Pull2(j.series(ctx, s, i, lo, hi))
			defer stop()
			in, err, ok := next()
			if err != nil {
				yield(in, err)
				return
			}
			if ok {
				heads = append(heads, head{in, next})
			}
		}
		for len(heads) > 0 {
			first := 0
			for i := range heads {
				if excursion.Compare(heads[i].in, heads[first].in) < 0 {
					first = i
				}
			}
			if !yield(heads[first].in, nil) {
				return
			}
			in, err, ok := heads[first].next()
			switch {
			case err != nil:
				yield(in, err)
				return
			case ok:
				heads[first].in = in
			default:
				heads = slices.Delete(heads, first, first+1)
			}
		}
	}
}

func (j *Judge) series(ctx context.Context, s coldkeep.Series, probe int, from, to int64) iter.Seq2[excursion.Sample, error] {
	return func(yield func(excursion.Sample, error) bool) {
		err := j.store.Range(ctx, s, from, to, func(r *coldkeep.Reading) error {
			if !yield(excursion.Sample{At: r.At, Seq: r.Seq, Probe: probe, Celsius: r.Celsius, Quality: r.Quality}, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && err != errEnough { //nolint:errorlint // it is ours, unwrapped
			yield(excursion.Sample{}, err)
		}
	}
}

var errEnough = coldkeep.Errorf(coldkeep.EINTERNAL, "enough")
