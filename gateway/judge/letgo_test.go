package judge

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// What was let go is not judged anew: when everything has to be read again, an
// excursion of then stands as it did, the silence where readings were is none, and what
// is still there gives the same as before.
func TestLetGoIsNotJudgedAnew(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		b := newBench(t, where)
		u := newUnit()
		const day = 24 * 3600 * 1000
		var all []coldkeep.Reading
		for i := int64(0); i < 12*288; i++ { // twelve days, every five minutes
			at, c := base+i*300_000, coldkeep.Temperature(5000)
			switch hour := i / 12; {
			case 40 <= hour && hour < 45, 220 <= hour && hour < 224:
				c = 12_000
			case 200 <= hour && hour < 203:
				continue // silence
			}
			all = append(all, u.reading(i+1, at, c))
		}
		b.clock = fixedClock(base + 12*day)
		j := b.judge(b.store, u)
		b.bring(t, nil, all)
		if _, err := b.led.Enter(t.Context(), b.clock.Now(), &ledger.Take{Unjudged: map[coldkeep.Series]int64{u.series: base}}); err != nil {
			t.Fatal(err)
		}
		work(j)
		before := b.standing(t, u)
		if len(before) != 3 {
			t.Fatalf("%d findings stand: %+v", len(before), before)
		}
		b.log(t, j)
		lines := b.lines(t)
		if len(lines) < 12*96-20 {
			t.Fatalf("%d lines are told", len(lines))
		}

		cut := base + 5*day
		e, err := readings.Expire(time.UnixMilli(base).AddDate(9, 0, 0), time.UnixMilli(cut), 3)
		if err != nil {
			t.Fatal(err)
		}
		g := ledger.LetGo{Device: ledger.Device{Site: u.series.Site, Agent: u.series.Agent}, Before: cut, NotedAt: b.clock.Now(), Epochs: map[string]int64{u.epoch: 5 * 288}}
		if err := b.led.NoteLetGo(t.Context(), g, []ledger.Line{{Series: u.series, Appliance: u.mirror.Appliances[0].ID}}); err != nil {
			t.Fatal(err)
		}
		if n, err := b.store.(readings.Pruner).Prune(t.Context(), u.series, e); err != nil || n != 5*288 {
			t.Fatal(n, err)
		}
		// Somebody corrects since when the probe has stood there: no checkpoint fits any more.
		u.mirror.Assignments[0].From = time.UnixMilli(base - day).UTC()
		j = b.judge(b.store, u)
		work(j)
		b.log(t, j)
		if after := b.standing(t, u); !reflect.DeepEqual(after, before) {
			t.Errorf("stands  %+v\nstood   %+v", after, before)
		}
		for at, line := range b.lines(t) {
			if was, ok := lines[at]; ok && was != line {
				t.Errorf("line of %v is told as %s and was %s", time.UnixMilli(at).UTC(), line, was)
			}
		}
		if horizon, err := b.led.Horizon(t.Context(), []coldkeep.Series{u.series}); err != nil || horizon != cut {
			t.Errorf("horizon %d, %v", horizon, err)
		}
		if _, err := j.Verdicts(t.Context(), before[0].ID); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			t.Errorf("a verdict on readings that were let go: %v", err)
		}
	})
}

// lines gives the latest telling of each line of the log, by its start in ms.
func (b *bench) lines(t *testing.T) map[int64]string {
	t.Helper()
	changes, err := b.led.Changes(t.Context(), 0, math.MaxInt32)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int64]string{}
	for _, c := range changes {
		if c.Interval != nil {
			c.Interval.Revision = 0
			body, _ := json.Marshal(c.Interval) // it came from JSON
			out[c.Interval.From.UnixMilli()] = string(body)
		}
	}
	return out
}

// log has a judge tell all lines that there are; it reads a thousand at a time.
func (b *bench) log(t *testing.T, j *Judge) {
	t.Helper()
	for range 3 {
		if err := j.logIntervals(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
