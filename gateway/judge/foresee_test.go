package judge

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/foresight"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// A refrigerator that has cycled for two days warms up after its power was lost: the
// status warns, with the cause that the device told, before the excursion begins;
// also when the judge was started anew in between. Once out of range it warns no more.
func TestForesight(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	lost := int64(2*1440 + 60)
	trace := func(m int64) coldkeep.Temperature {
		c := 5 + 0.6*math.Sin(2*math.Pi*float64(m)/45)
		if m > lost {
			c = 5 + 6*(1-math.Exp(-float64(m-lost)/90)) // towards the room
		}
		return coldkeep.FromCelsius(c)
	}
	out := lost
	for trace(out) <= 8000 || out < lost+10 {
		out++
	}
	b.clock = fixedClock(base + out*minute)
	j := b.judge(b.store, u)
	var rs []coldkeep.Reading
	for m := range lost + 1 {
		rs = append(rs, u.reading(m+1, base+m*minute, trace(m)))
	}
	b.round(t, j, rs)
	j = b.judge(b.store, u)
	work(j)
	j.Note("site", "agent", []ledger.Event{{Seq: 1, Record: wire.Record{Event: wire.EventPowerLost, At: base + lost*minute + 1}}})
	warned := int64(0)
	for m := lost + 1; m <= out; m++ {
		b.bring(t, j, []coldkeep.Reading{u.reading(m+1, base+m*minute, trace(m))})
		work(j)
		st, err := j.Status(t.Context())
		if err != nil || len(st) != 1 {
			t.Fatalf("%+v, %v", st, err)
		}
		switch f := st[0].Foresight; {
		case f == nil:
		case m == out:
			t.Fatalf("foreseen although it has begun: %+v", f)
		case warned == 0:
			warned = m
			if f.Kind != coldkeep.TooWarm || f.Cause != string(foresight.PowerLost) || f.Words == "" || f.Reaches == nil {
				t.Fatalf("got %+v", f)
			}
		}
	}
	if warned == 0 {
		t.Fatal("never warned")
	}
	t.Logf("warned %d minutes before", out-warned)
}

// Where the profile has rules for doors and power, a person is told when they are
// broken, once, and when it is over.
func TestDoorAndPower(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	u := newUnit()
	u.mirror.Appliances[0].Profile = "who-pqs"
	clock := &movingClock{at: base + 10*minute}
	b.clock = clock
	j := b.judge(b.store, u)
	b.round(t, j, u.minutes(0, 10, 5000))
	event := func(seq int64, name string, m int64) {
		take := &ledger.Take{Entries: []ledger.Entry{{Epoch: ledger.Epoch{Site: "site", Agent: "agent", Epoch: u.epoch}, From: seq, To: seq, Oldest: 1,
			Events: []ledger.Event{{Seq: seq, Record: wire.Record{Event: name, At: base + m*minute}}}}}}
		if _, err := b.led.Enter(t.Context(), b.clock.Now(), take); err != nil {
			t.Fatal(err)
		}
	}
	look := func(m int64) []coldkeep.Excursion {
		clock.at = base + m*minute
		b.round(t, j, u.minutes(m, m, 5000))
		return b.standing(t, u)
	}
	event(1000, wire.EventDoorOpen, 12)
	if xs := look(17); len(xs) != 0 {
		t.Fatalf("five minutes are let pass: %+v", xs)
	}
	xs := look(18)
	if len(xs) != 1 || xs[0].Kind != coldkeep.DoorOpen || xs[0].State != coldkeep.ExcursionOpen || !xs[0].Has(coldkeep.ActionWarn) || xs[0].Has(coldkeep.ActionAlert) {
		t.Fatalf("got %+v", xs)
	}
	event(1001, wire.EventDoorClosed, 19)
	xs = look(30)
	if len(xs) != 1 || xs[0].State != coldkeep.ExcursionClosed || xs[0].Revision != 2 || xs[0].Reason != "the door is shut" || xs[0].End.UnixMilli() != base+19*minute {
		t.Fatalf("got %+v", xs)
	}
	for m := int64(31); m < 60; m += 7 {
		if again := look(m); len(again) != 1 || again[0].Revision != 2 {
			t.Fatalf("told again: %+v", again)
		}
	}
}

type movingClock struct{ at int64 }

func (c *movingClock) Now() time.Time { return time.UnixMilli(c.at).UTC() }
func (c *movingClock) Sleep(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}
