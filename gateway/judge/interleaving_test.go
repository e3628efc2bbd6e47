package judge

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

func warm(xs []coldkeep.Excursion) []coldkeep.Excursion {
	return slices.DeleteFunc(xs, func(x coldkeep.Excursion) bool { return x.Kind != coldkeep.TooWarm })
}

type moving struct{ at atomic.Int64 }

func (c *moving) Now() time.Time { return time.UnixMilli(c.at.Load()).UTC() }
func (c *moving) Sleep(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// A reload drops pending samples that lie before the state.
func TestReloadDropsPending(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	j := b.judge(b.store, u)
	b.round(t, j, u.minutes(600, 660, 5000)) // checkpoint at 600, state at 660
	// E is older than the checkpoint: entered. The judge deals with it before the news.
	e := b.enter(t, j, u.minutes(100, 101, 5000))
	for _, tr := range j.tracks { // something else has it read the store
		tr.reload = true
		j.due[tr] = struct{}{}
	}
	work(j)
	if b.waiting(t) != 0 {
		t.Fatal("entry not settled")
	}
	for _, tr := range j.tracks {
		t.Logf("state %d savedAt %d", (tr.state.At-base)/minute, (tr.savedAt-base)/minute)
	}
	r := u.minutes(601, 659, 9000) // slightly late, newer than the checkpoint: no entry
	for i := range r {
		r[i].At += 1000
		r[i].Seq += 5000
	}
	done := b.enter(t, j, r)
	done(true)
	e(true)
	work(j)
	b.round(t, j, u.minutes(661, 661+500, 5000)) // time goes on, a checkpoint passes
	t.Logf("live: %s", brief(b.standing(t, u)))
	live := len(warm(b.standing(t, u)))
	b.round(t, b.judge(b.store, u), nil)
	t.Logf("restarted: %s", brief(b.standing(t, u)))
	if live == 0 || len(warm(b.standing(t, u))) == 0 {
		t.Fatal("an hour at 9 °C was never judged")
	}
}

// Overflow.
func TestOverflow(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	j := b.judge(b.store, u)
	b.round(t, j, u.minutes(600, 660, 5000))
	r := u.minutes(601, 659, 9000)
	for i := range r {
		r[i].At += 1000
		r[i].Seq += 5000
	}
	b.bring(t, j, r)
	for k := range int64(11) {
		var rs []coldkeep.Reading
		for i := range int64(10_000) {
			n := k*10_000 + i
			rs = append(rs, u.reading(10_000+n, base+661*minute+n*1000, 5000))
		}
		b.bring(t, j, rs)
	}
	work(j)
	if len(warm(b.standing(t, u))) == 0 {
		t.Fatal("an hour at 9 °C was never judged")
	}
}

// Open silence over a restart.
func TestSilenceOverRestart(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	c := &moving{}
	c.at.Store(base)
	b.clock = c
	j := b.judge(b.store, u)
	b.round(t, j, u.minutes(0, 10, 5000))
	c.at.Store(base + 600*minute)
	j.lookForSilence()
	work(j)
	t.Logf("raised:\n%s", brief(b.standing(t, u)))
	j = b.judge(b.store, u) // restart
	work(j)
	t.Logf("restarted:\n%s", brief(b.standing(t, u)))
	c.at.Store(base + 605*minute)
	b.round(t, j, u.minutes(604, 605, 5000))
	t.Logf("readings again:\n%s", brief(b.standing(t, u)))
	for m := int64(606); m < 800; m++ {
		c.at.Store(base + m*minute)
		b.round(t, j, u.minutes(m, m, 5000))
	}
	xs, _ := b.led.ExcursionsOf(t.Context(), u.mirror.Appliances[0].ID, time.UnixMilli(0), time.UnixMilli(1<<50))
	for _, x := range xs {
		t.Logf("%s %s state %s: %s", x.ID, x.Kind, x.State, x.Reason)
	}
	t.Logf("in the end:\n%s", brief(b.standing(t, u)))
	if len(xs) != 1 || xs[0].State != coldkeep.ExcursionClosed {
		t.Fatal("want the one silence, closed")
	}
}

// gate lets one series' reading wait.
type gate struct {
	readings.Store
	armed   atomic.Bool
	reached chan struct{}
	open    chan struct{}
}

func (g *gate) Range(ctx context.Context, s coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	err := g.Store.Range(ctx, s, from, to, each)
	if g.armed.CompareAndSwap(true, false) {
		close(g.reached)
		<-g.open
	}
	return err
}

// A track whose place another has taken saves after it.
func TestGoneTrackSaves(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	b.bring(t, nil, u.minutes(0, 60, 9000))
	b.bring(t, nil, u.minutes(61, 300, 5000))
	g := &gate{Store: b.store, reached: make(chan struct{}), open: make(chan struct{})}
	g.armed.Store(true)
	j := b.judge(g, u)
	j.applyMirror()
	j.round(t.Context())
	<-g.reached // the old track has read all and is about to save
	m := u.mirror
	m.Revision++
	m.Assignments = slices.Clone(m.Assignments)
	m.Assignments[0].From = time.UnixMilli(base + 120*minute).UTC() // it was put in two hours later
	j.SetMirror(m)
	j.applyMirror()
	j.round(t.Context())
	time.Sleep(300 * time.Millisecond) // the new one has saved
	close(g.open)
	j.loads.Wait()
	work(j)
	b.round(t, j, u.minutes(301, 320, 5000))
	t.Logf("live: %s", brief(b.standing(t, u)))
	if xs := warm(b.standing(t, u)); len(xs) != 0 {
		t.Errorf("live: an excursion of before the probe was put in stands")
	}
	u.mirror = m
	b.round(t, b.judge(b.store, u), nil)
	if xs := b.standing(t, u); len(xs) != 0 {
		t.Fatalf("an excursion of before the probe was put in stands:\n%s", brief(xs))
	}
}

// A site is gained, and a late reading is committed before the judge took it up.
func TestGainedSiteLateReading(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	other := b.judge(b.store, u) // the collector that had the site until now
	b.round(t, other, u.minutes(600, 660, 5000))

	j := b.judge(b.store, u)
	j.SetSites(nil)
	work(j)
	j.SetSites(map[coldkeep.SiteID]int64{"site": 2}) // as the lease's listener does; Run is at work elsewhere
	b.bring(t, j, u.minutes(100, 160, 9000))         // older than the checkpoint at 600
	t.Logf("%d series waiting for the judge", b.waiting(t))
	work(j)
	b.round(t, j, u.minutes(661, 720, 5000))
	if len(warm(b.standing(t, u))) == 0 {
		t.Fatal("an hour at 9 °C was never judged")
	}
}

func two(u *unit) {
	// The probe stood in a second appliance until minute 50, whose own probe goes on.
	first := u.mirror.Appliances[0]
	old := first
	old.ID = "old-" + first.ID
	u.mirror.Appliances = append(u.mirror.Appliances, old)
	to := time.UnixMilli(base + 50*minute).UTC()
	u.mirror.Assignments[0].From = to
	s2 := u.series
	s2.Probe += "-2"
	u.mirror.Assignments = append(u.mirror.Assignments,
		coldkeep.Assignment{Series: u.series, Appliance: old.ID, From: time.UnixMilli(base).UTC(), To: &to},
		coldkeep.Assignment{Series: s2, Appliance: old.ID, From: to})
}

// An entry of a probe that was moved is never settled.
func TestMovedProbeEntryStays(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	two(u)
	j := b.judge(b.store, u)
	b.round(t, j, u.minutes(0, 700, 5000))
	b.round(t, j, u.minutes(701, 1400, 5000))
	r := u.reading(9000, base+400*minute+1, 5000)
	b.round(t, j, []coldkeep.Reading{r})
	if n := b.waiting(t); n != 0 {
		us, _ := b.led.Unjudged(t.Context())
		t.Fatalf("%d series wait for ever: from minute %d", n, (us[0].From-base)/minute)
	}
}

// ABA: gen begins at 1 again, and what an appliance has seen is of the entry before.
func TestSeenOfAnEarlierEntry(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	two(u)
	v := *u
	v.series.Probe += "-2"
	j := b.judge(b.store, u)
	b.round(t, j, append(u.minutes(0, 700, 5000), v.minutes(50, 700, 5000)...))
	b.round(t, j, append(u.minutes(701, 1400, 5000), v.minutes(701, 1400, 5000)...))
	late := u.reading(9000, base+60*minute+1, 5000)
	b.round(t, j, []coldkeep.Reading{late})
	t.Logf("waiting after the first: %d", b.waiting(t))
	var rs []coldkeep.Reading
	for m := int64(100); m < 160; m++ {
		rs = append(rs, u.reading(9100+m, base+m*minute+1, 9000))
	}
	done := b.enter(t, j, rs)
	done(true)
	// The old appliance comes first, and the other waits (for a reader, or its second).
	now := j.tracks[u.mirror.Appliances[0].ID]
	now.notBefore = time.Now().Add(time.Hour)
	work(j)
	now.notBefore = time.Time{}
	t.Logf("waiting when the old unit has been judged: %d", b.waiting(t))
	work(j)
	if len(warm(b.standing(t, u))) == 0 {
		t.Fatal("an hour at 9 °C was never judged")
	}
}
