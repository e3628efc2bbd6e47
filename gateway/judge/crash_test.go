package judge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// drawUnit gives a refrigerator one to three probes of one or two devices, which come
// and go, and takes it out of service now and then.
func drawUnit(t *rapid.T) *unit {
	u := newUnit()
	ap := u.mirror.Appliances[0].ID
	at := func(label string) time.Time {
		return time.UnixMilli(base + rapid.SampledFrom([]int64{0, 0, 0, 30, 600, 2000}).Draw(t, label)*minute).UTC()
	}
	u.mirror.Assignments = nil
	for i := range rapid.IntRange(1, 3).Draw(t, "probes") {
		s := u.series
		s.Probe += coldkeep.ProbeID(fmt.Sprint("-", i))
		if rapid.Bool().Draw(t, fmt.Sprint("other device", i)) {
			s.Agent = "agent-2"
		}
		as := coldkeep.Assignment{Series: s, Appliance: ap, From: at(fmt.Sprint("from", i))}
		if i > 0 && rapid.Bool().Draw(t, fmt.Sprint("air", i)) {
			as.Role = coldkeep.RoleAir
		}
		if rapid.IntRange(0, 3).Draw(t, fmt.Sprint("left", i)) == 0 {
			to := as.From.Add(time.Duration(rapid.SampledFrom([]int64{20, 500, 3000}).Draw(t, fmt.Sprint("stayed", i)) * int64(time.Minute)))
			as.To = &to
		}
		u.mirror.Assignments = append(u.mirror.Assignments, as)
	}
	if rapid.IntRange(0, 3).Draw(t, "away") == 0 {
		from := at("away from")
		to := from.Add(time.Duration(rapid.SampledFrom([]int64{10, 400}).Draw(t, "away for")) * time.Minute)
		u.mirror.Contexts = []coldkeep.Context{{ID: "c", Appliance: ap, Kind: coldkeep.ContextOutOfService, From: from, To: &to}}
	}
	return u
}

// Whatever the order of arrival, however often the judge dies, commits fail and are
// tried again and the store is away: what stands in the end is what one look at all
// readings gives, and the feed tells it in revisions without a hole.
func TestAnyOrderAnyCrash(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		b := newBench(t, where)
		rapid.Check(t, func(t *rapid.T) {
			u := drawUnit(t)
			var all []coldkeep.Reading
			at := base
			for i := range rapid.IntRange(1, 80).Draw(t, "n") {
				at += rapid.SampledFrom([]int64{0, 1000, minute, 5 * minute, 12 * minute, 31 * minute, 7 * 60 * minute}).Draw(t, fmt.Sprint("dt", i))
				r := u.reading(int64(i+1), at, rapid.SampledFrom([]coldkeep.Temperature{5000, 5000, 8001, 9000, 1999, 0, none}).Draw(t, fmt.Sprint("c", i)))
				r.Series = rapid.SampledFrom(u.mirror.Assignments).Draw(t, fmt.Sprint("probe", i)).Series
				all = append(all, r)
			}
			fails := rapid.SliceOfN(rapid.IntRange(0, 5), 16, 16).Draw(t, "fails")
			var asked atomic.Int64
			store := flaky{b.store, func() bool { return fails[int(asked.Add(1))%len(fails)] == 0 }}
			j := b.judge(store, u)
			given := all
			if rapid.Bool().Draw(t, "unordered") {
				given = rapid.Permutation(all).Draw(t, "order")
			}
			var flying []func(bool) // commits that are durable and that the judge has not heard of
			var inTheAir [][]coldkeep.Reading
			for len(given) > 0 {
				n := rapid.IntRange(1, len(given)).Draw(t, "chunk")
				done := b.enter(t, j, given[:n])
				inTheAir = append(inTheAir, given[:n])
				flying = append(flying, done)
				given = given[n:]
				land := func() {
					for _, done := range flying {
						done(true)
					}
					flying, inTheAir = nil, nil
				}
				switch rapid.IntRange(0, 5).Draw(t, "then") {
				case 0: // the judge has not come round yet
				case 1: // everything dies; what was durable has been entered
					flying, inTheAir = nil, nil
					j = b.judge(store, u)
				case 2: // the judge works between a commit and the news of it
					work(j)
				case 3: // the news is that it failed, and it is tried again
					for i, done := range flying {
						done(false)
						flying[i] = b.enter(t, j, inTheAir[i])
					}
				case 4:
					if rapid.Bool().Draw(t, "log while news is on its way") {
						if err := j.logIntervals(context.Background()); err != nil && !errors.Is(err, errFlaky) {
							t.Fatal(err)
						}
					}
					land()
					j.lookForSilence()
					work(j)
					if err := j.logIntervals(context.Background()); err != nil && !errors.Is(err, errFlaky) {
						t.Fatal(err)
					}
				default:
					land()
					work(j)
				}
			}
			for _, done := range flying {
				done(true)
			}
			work(j)
			if rapid.Bool().Draw(t, "log before the restart") {
				if err := j.logIntervals(context.Background()); err != nil && !errors.Is(err, errFlaky) {
					t.Fatal(err)
				}
			}
			j = b.judge(b.store, u)
			work(j)
			b.compare(t, u, all)
			b.compareLog(t, j, u, all)
		})
	})
}

// compareLog holds the temperature log, as the feed has told it, against lines made
// from the store in one go.
func (b *bench) compareLog(t *rapid.T, j *Judge, u *unit, all []coldkeep.Reading) {
	for { // a round does a thousand, also those that other cases have left
		if err := j.logIntervals(context.Background()); err != nil {
			t.Fatal(err)
		}
		left, err := b.led.Unlogged(context.Background(), b.clock.Now().UnixMilli(), nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			break
		}
	}
	got := map[string]coldkeep.Interval{}
	for after := int64(0); ; {
		changes, err := b.led.Changes(context.Background(), after, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) == 0 {
			break
		}
		for _, c := range changes {
			if after = c.N; c.Interval != nil && c.Interval.Appliance == u.mirror.Appliances[0].ID {
				got[c.Interval.Probe+c.Interval.From.String()] = *c.Interval
			}
		}
	}
	for _, r := range all {
		for _, s := range j.stints(r.Series) {
			if !s.assignment.Covers(r.Time()) {
				continue
			}
			maxGap := s.rules.MaxGap().Milliseconds()
			want := newIntervalBuilder(&s, coldkeep.IntervalStart(r.At), maxGap)
			err := b.store.Range(context.Background(), r.Series, want.from-maxGap, want.to+maxGap+1, func(x *coldkeep.Reading) error {
				if s.assignment.Covers(x.Time()) {
					want.add(x)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			w := want.done(b.clock.Now().UnixMilli())
			g := got[w.Probe+w.From.String()]
			w.Revision = g.Revision
			gb, _ := json.Marshal(g)
			wb, _ := json.Marshal(w)
			if string(gb) != string(wb) {
				t.Fatalf("line of the log:\ngot  %s\nwant %s", gb, wb)
			}
		}
	}
}

// The log of a year is judged while it arrives in a device's batches, newest first.
func TestJudgedWhileLoading(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	j := b.judge(b.store, u)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- j.Run(ctx) }()
	for day := int64(20); day >= 0; day-- {
		rs := u.minutes(day*1440, day*1440+1439, 5000)
		for i := range rs[600:700] {
			rs[600+i].Celsius = 9000
		}
		b.bring(t, j, rs)
	}
	deadline := time.Now().Add(time.Minute)
	for len(b.standing(t, u)) != 21 || b.waiting(t) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d excursions stand, want 21; %d series wait", len(b.standing(t, u)), b.waiting(t))
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func (b *bench) waiting(t *testing.T) int {
	us, err := b.led.Unjudged(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(us)
}
