package outbox

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

func event(probe, name, detail string, at int64) Record {
	return Record{Record: wire.Record{Probe: coldkeep.ProbeID(probe), At: at, Celsius: none, Raw: none, Lo: none, Hi: none, Event: name, Detail: detail}, Clock: wire.ClockNTP}
}

// The extremes are those of the records since the last reset, however the records were
// batched, and a restart and the end of the records change nothing.
func TestExtremes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := Config{Path: t.TempDir() + fmt.Sprint("/", rapid.Uint64().Draw(rt, "file")), Site: "clinic", Agent: "pi"}
		b, err := Open(context.Background(), cfg)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = b.Close() }()
		want := make(map[coldkeep.ProbeID]Extreme)
		var batch []Record
		for i := range rapid.IntRange(1, 60).Draw(rt, "records") {
			p := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "probe")
			var r Record
			switch rapid.IntRange(0, 12).Draw(rt, "kind") {
			case 0:
				r = event(p, wire.EventMinMaxReset, "", int64(i))
				delete(want, r.Probe)
			case 1:
				r = event("", wire.EventMinMaxReset, "", int64(i))
				clear(want)
			case 2:
				r = reading(p, int64(i), none)
			default:
				r = reading(p, int64(i), coldkeep.Temperature(rapid.IntRange(-5, 5).Draw(rt, "value")))
				if rapid.Bool().Draw(rt, "between") {
					r.Lo, r.Hi = r.Celsius-1, r.Celsius+2
				}
				e, ok := want[r.Probe]
				if !ok {
					e = Extreme{Lo: none, Hi: none, Since: r.At}
				}
				for _, c := range []coldkeep.Temperature{r.Celsius, r.Lo, r.Hi} {
					if c.Known() && (!e.Lo.Known() || c < e.Lo) {
						e.Lo, e.LoAt = c, r.At
					}
					if c.Known() && (!e.Hi.Known() || c > e.Hi) {
						e.Hi, e.HiAt = c, r.At
					}
				}
				want[r.Probe] = e
			}
			if batch = append(batch, r); rapid.Bool().Draw(rt, "append") {
				if err := b.Append(context.Background(), batch); err != nil {
					rt.Fatal(err)
				}
				batch = nil
			}
		}
		if err := b.Append(context.Background(), batch); err != nil {
			rt.Fatal(err)
		}
		if err := b.Close(); err != nil {
			rt.Fatal(err)
		}
		if b, err = Open(context.Background(), cfg); err != nil {
			rt.Fatal(err)
		}
		got, err := b.Extremes(context.Background())
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Errorf("%v, %v; want %v", got, err, want)
		}
	})
}

func TestLatestEvents(t *testing.T) {
	b := mustOpen(t, testConfig(t))
	mustAppend(t, b, event("", wire.EventPowerLost, "ups 80 %", 1), event("a", wire.EventDoorOpen, "", 2), event("", wire.EventPowerLost, "ups 70 %", 3), event("b", wire.EventDoorOpen, "", 4))
	got, err := b.LatestEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var text string
	for _, r := range got {
		text += fmt.Sprintf("%d %s%s %s;", r.Seq, r.Event, r.Probe, r.Detail)
	}
	if want := "2 door-opena ;3 power-lost ups 70 %;4 door-openb ;"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
}

func TestSince(t *testing.T) {
	cfg := testConfig(t)
	c := cfg.Clock.(*clock)
	b := mustOpen(t, cfg)
	begin := c.now
	for i := range 1200 {
		c.now = begin.Add(time.Duration(i) * time.Minute)
		mustAppend(t, b, reading("a", c.now.UnixMilli(), 4000))
	}
	for _, want := range []struct {
		at          time.Time
		most        int64
		first, many int64
	}{
		{begin.Add(-time.Hour), 5000, 1, 1200},
		{begin.Add(time.Hour), 5000, 61, 1140},
		{begin.Add(time.Hour + 1), 5000, 61, 1140}, // records are written by the millisecond
		{begin, 10, 1191, 10},
		{begin.Add(1199 * time.Minute), 5000, 1200, 1},
		{begin.Add(1200 * time.Minute), 5000, 0, 0},
	} {
		var first, n int64
		err := b.Since(t.Context(), want.at, want.most, func(r *Record) error {
			if n++; n == 1 {
				first = r.Seq
			}
			return nil
		})
		if err != nil || first != want.first || n != want.many {
			t.Errorf("since %v: %d from %d, %v; want %+v", want.at, n, first, err, want)
		}
	}
}
