package watch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

const none = coldkeep.NoTemperature

type clock struct{ now time.Time }

func (c *clock) Now() time.Time                                   { return c.now }
func (c *clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func minute(n int) time.Time { return begin.Add(time.Duration(n) * time.Minute) }

// fridge is a configuration with limits of 2 to 8 °C for a quarter of an hour.
var fridge = wire.Config{V: 1, Revision: 3, Probes: []wire.ProbeConfig{{Probe: "a", Appliance: "fridge", Unit: coldkeep.Refrigerator,
	Local: &wire.LocalAlarm{Low: 2000, High: 8000, After: 900}}}}

func TestAlarm(t *testing.T) {
	const up = "begins: 9 °C, above 8 °C since 2026-03-01T00:0"
	for name, c := range map[string]struct {
		values []coldkeep.Temperature // a minute apart
		want   string                 // minute:detail
	}{
		"in range":                         {repeat(4000, 60), ""},
		"on the limits":                    {append(repeat(8000, 30), repeat(2000, 30)...), ""},
		"too short":                        {append(append(repeat(4000, 1), repeat(9000, 15)...), 4000), ""},
		"too warm":                         {append(append(repeat(4000, 1), repeat(9000, 20)...), repeat(7999, 3)...), "16 " + up + "1:00Z;21 ends: 7.999 °C;"},
		"from the first":                   {repeat(9000, 16), "15 " + up + "0:00Z;"},
		"too cold":                         {repeat(1999, 16), "15 begins: 1.999 °C, below 2 °C since 2026-03-01T00:00:00Z;"},
		"one value within begins it anew":  {append(append(repeat(9000, 14), 8000), repeat(9000, 15)...), ""},
		"from cold to warm begins it anew": {append(repeat(0, 10), repeat(9000, 15)...), ""},
		"a fault ends nothing":             {append(append(repeat(9000, 5), repeat(none, 20)...), 4000), "15 " + up + "0:00Z;25 ends: 4 °C;"},
		"a fault begins nothing":           {repeat(none, 60), ""},
	} {
		w := New(&clock{begin})
		w.Configure(fridge)
		var got strings.Builder
		for i, v := range c.values {
			if d := w.Look("a", minute(i), v, ""); d != "" {
				fmt.Fprintf(&got, "%d %s;", i, d)
			}
		}
		if got.String() != c.want {
			t.Errorf("%s: %q, want %q", name, got.String(), c.want)
		}
	}
}

func repeat(v coldkeep.Temperature, n int) []coldkeep.Temperature {
	out := make([]coldkeep.Temperature, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// Whatever comes, begin and end alternate, a value within range leaves no alarm, and
// an alarm is on only when all values since long enough were out of range on one side.
func TestAlarmPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &wire.LocalAlarm{Low: 2000, High: 8000, After: rapid.IntRange(0, 600).Draw(t, "after")}
		var a alarm
		at, on := begin, false
		var out time.Time // since when, by a second reckoning
		side := 0
		for range rapid.IntRange(1, 50).Draw(t, "samples") {
			at = at.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "gap")) * time.Second)
			v := rapid.SampledFrom([]coldkeep.Temperature{none, 1000, 1999, 2000, 5000, 8000, 8001, 30000}).Draw(t, "value")
			now := side
			switch {
			case !v.Known():
			case v < 2000:
				now = -1
			case v > 8000:
				now = 1
			default:
				now = 0
			}
			if now != side {
				out, side = at, now
			}
			detail := a.look(l, at, v)
			want := on
			switch {
			case side == 0:
				want = false
			case at.Sub(out) >= time.Duration(l.After)*time.Second:
				want = true
			}
			if a.on != want || (detail != "") != (want != on) || detail != "" && strings.HasPrefix(detail, alarmBegins) != want {
				t.Fatalf("%v at %v: on %v (%q), want %v after %v", v, at, a.on, detail, want, on)
			}
			on = want
		}
	})
}

func TestHush(t *testing.T) {
	c := &clock{begin}
	w := New(c)
	cfg := fridge
	cfg.Probes = append(cfg.Probes, wire.ProbeConfig{Probe: "b", Local: &wire.LocalAlarm{Low: 0, High: 1000}})
	w.Configure(cfg)
	is := func(when string, on, aloud bool) {
		t.Helper()
		if o, a := w.Alarming(); o != on || a != aloud {
			t.Errorf("%s: on %v, aloud %v; want %v, %v", when, o, a, on, aloud)
		}
	}
	w.Look("a", begin, 9000, "")
	is("too short", false, false)
	w.Look("a", minute(15), 9000, "")
	is("alarm", true, true)
	w.Hush()
	is("hushed", true, false)
	w.Look("b", minute(16), 2000, "")
	is("another alarm", true, true)
	w.Hush()
	c.now = c.now.Add(HushFor)
	is("it has gone on", true, true)
	w.Look("a", minute(20), 4000, "")
	w.Configure(fridge) // b has no limits any more
	if d := w.Look("b", minute(20), 2000, ""); !strings.HasPrefix(d, alarmEnds) {
		t.Errorf("limits taken away: %q", d)
	}
	is("over", false, false)
}

// A device that restarts goes on with the alarm it had, or with the time that the
// probe has been out of range; what was recorded is not recorded again.
func TestRecall(t *testing.T) {
	reading := func(n int, c coldkeep.Temperature) wire.Record {
		return wire.Record{Probe: "a", At: minute(n).UnixMilli(), Celsius: c, Lo: none, Hi: none, Raw: none}
	}
	var records []wire.Record
	for i := range 10 {
		records = append(records, reading(i, 9000))
	}
	day := func(each func(wire.Record) error) error {
		for _, r := range records {
			if err := each(r); err != nil {
				return err
			}
		}
		return nil
	}
	start := func(latest ...wire.Record) *Watch {
		w := New(&clock{minute(30)})
		w.Configure(fridge)
		if err := w.Recall(latest, map[coldkeep.ProbeID]Extreme{"a": {Lo: 1000, Hi: 9500, LoAt: minute(-99), HiAt: minute(-98), Since: minute(-100)}}, day); err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := start(wire.Record{Event: wire.EventPowerLost}, wire.Record{Event: wire.EventDoorOpen, Probe: "a"})
	s := w.Snapshot()
	if p := s.Probes[0]; s.Mains != Lost || s.Doors["a"] != Open || p.Value != 9000 || p.Lo != 1000 || p.Hi != 9500 || p.Since != minute(-100) || p.Alarm || p.Out != begin {
		t.Errorf("%+v", s)
	}
	if d := w.Look("a", minute(30), 9000, ""); d != "begins: 9 °C, above 8 °C since 2026-03-01T00:00:00Z" {
		t.Errorf("the time before the restart does not count: %q", d)
	}
	begun := wire.Record{Event: wire.EventAlarmLocal, Probe: "a", Detail: alarmBegins + ": x"}
	w = start(begun)
	if on, aloud := w.Alarming(); !on || !aloud {
		t.Error("the alarm is not on after a restart")
	}
	if d := w.Look("a", minute(30), 9000, ""); d != "" {
		t.Errorf("begun again: %q", d)
	}
	if d := w.Look("a", minute(31), 4000, ""); d != "ends: 4 °C" {
		t.Errorf("not ended: %q", d)
	}
	// Recorded as begun and ended, and out of range for long: the end came last.
	records = append(records, reading(29, 9000))
	ended := begun
	ended.Detail = alarmEnds + ": 4 °C"
	w = start(ended)
	if d := w.Look("a", minute(30), 9000, ""); d == "" {
		t.Error("an alarm that was not recorded is not told")
	}
}

func TestHistory(t *testing.T) {
	c := &clock{begin}
	w := New(c)
	for i := range 2 * 24 * 60 { // two days
		w.Look("a", minute(i), coldkeep.Temperature(i), "")
	}
	w.Look("a", minute(2*24*60), none, coldkeep.QualityCRC)
	c.now = minute(2*24*60 - 1)
	p := w.Snapshot().Probes[0]
	if len(p.History) != Slots || p.History[0] != (Span{1440, 1444}) || p.History[Slots-1] != (Span{2875, 2879}) {
		t.Errorf("from %v to %v", p.History[0], p.History[Slots-1])
	}
	if p.Value.Known() || p.Quality != "crc" || p.Lo != 0 || p.Hi != 2879 || p.Since != begin {
		t.Errorf("%+v", p)
	}
	c.now = minute(4 * 24 * 60)
	for i, s := range w.Snapshot().Probes[0].History {
		if s.Lo.Known() {
			t.Errorf("slot %d of a day without samples: %v", i, s)
		}
	}
}

func TestReset(t *testing.T) {
	w := New(&clock{begin})
	if err := w.Reset(t.Context(), "", "button"); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Errorf("before there is a book: %v", err)
	}
	w.Connect(func(_ context.Context, p coldkeep.ProbeID, by string) error {
		w.Event(wire.Record{Event: wire.EventMinMaxReset, Probe: p, Detail: by})
		return nil
	}, nil)
	w.Look("a", begin, 4000, "")
	w.Look("b", begin, 5000, "")
	if err := w.Reset(t.Context(), "c", "page"); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		t.Errorf("another's probe: %v", err)
	}
	if err := w.Reset(t.Context(), "a", "page"); err != nil {
		t.Error(err)
	}
	w.Look("a", minute(1), 4500, "")
	w.Look("b", minute(1), 4500, "")
	s := w.Snapshot()
	if a, b := s.Probes[0], s.Probes[1]; a.Lo != 4500 || a.Since != minute(1) || b.Hi != 5000 || b.Since != begin {
		t.Errorf("%+v", s.Probes)
	}
}
