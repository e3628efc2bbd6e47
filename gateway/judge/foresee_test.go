package judge

import (
	"math"
	"testing"

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
