package firmware

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/collectortest"
	"github.com/coldkeep/coldkeep/firmware/watch"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors"
)

// Limits that the collector once sent are kept: after a restart, with the network
// away, the alarm sounds by them, goes on over another restart, and ends; all of it is
// told when the network is back.
func TestLocalAlarmNeedsNoNetwork(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	data := t.TempDir()
	m := &machine{wall: at(0), since: time.Hour, id: "boot-1", state: wire.ClockNTP}
	var w *watch.Watch
	var tell Tell
	told := make(chan struct{}, 10)
	life := func() *agent {
		w = watch.New(m)
		return run(t, c, data, func(cfg *Config) {
			cfg.Clock, cfg.Watch = m, w
			cfg.Inputs = []Input{func(ctx context.Context, t Tell) {
				tell = t
				told <- struct{}{}
				<-ctx.Done()
			}}
		})
	}
	emit := func(a *agent, minute int, v coldkeep.Temperature) {
		t.Helper()
		m.set(at(60*minute), wire.ClockNTP)
		a.samples <- []sensors.Sample{sample("a", 60*minute, v)}
		<-a.done
	}
	alarm := func(want bool) {
		t.Helper()
		if on, _ := w.Alarming(); on != want {
			t.Errorf("alarm is on: %v, want %v", on, want)
		}
	}
	a := life()
	<-told
	c.Await("a birth", func(v *collectortest.View) bool { return v.Status != nil && v.Status.Online })
	c.Send(wire.LeafConfig, true, wire.Config{V: 1, Revision: 4, Probes: []wire.ProbeConfig{{Probe: "a", Appliance: "fridge", Local: &wire.LocalAlarm{Low: 2000, High: 8000, After: 600}}},
		Holds: []wire.Hold{{Appliance: "fridge", Lot: "A1"}}})
	c.Await("the revision", func(v *collectortest.View) bool { return v.Status.Config == 4 })
	emit(a, 0, 4000)
	a.end(t)
	c.Stop()

	a = life()
	<-told
	if s := w.Snapshot(); len(s.Holds) != 1 || s.Holds[0].Lot != "A1" || s.Probes[0].Value != 4000 || s.Probes[0].Limits == nil {
		t.Errorf("after a restart it shows %+v", s)
	}
	emit(a, 1, 9000)
	emit(a, 6, 9000)
	alarm(false)
	a.end(t)
	a = life() // and again: the time goes on
	<-told
	emit(a, 11, 9500)
	alarm(true)
	if err := tell(t.Context(), "a", wire.EventDoorOpen, ""); err != nil {
		t.Error(err)
	}
	a.end(t)
	a = life()
	<-told
	alarm(true)
	if s := w.Snapshot(); s.Doors["a"] != watch.Open || s.Probes[0].Hi != 9500 || s.Probes[0].Lo != 4000 {
		t.Errorf("%+v", s)
	}
	if err := w.Reset(t.Context(), "", "button"); err != nil {
		t.Error(err)
	}
	emit(a, 12, 7000)
	alarm(false)
	if p := w.Snapshot().Probes[0]; p.Lo != 7000 || p.Hi != 7000 {
		t.Errorf("%+v", p)
	}
	c.Restart()
	expect(t, c, "boot 1.2.3", "a probe-added", "a 4 raw 4", "boot 1.2.3", "a 9 raw 9", "a 9 raw 9", "boot 1.2.3", "a 9.5 raw 9.5",
		"a alarm-local begins: 9.5 °C, above 8 °C since 2026-03-01T00:01:00Z", "a door-open", "boot 1.2.3", "minmax-reset button", "a 7 raw 7",
		"a alarm-local ends: 7 °C")
	var text strings.Builder
	if err := w.Since(t.Context(), at(0), func(r wire.Record) error { text.WriteString(r.Celsius.String()); return nil }); err != nil || text.String() != "4999.57" {
		t.Errorf("read back %q, %v", text.String(), err)
	}
	a.end(t)
}

// The command identify reaches what shows the device.
func TestIdentify(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	w := watch.New(nil)
	a := run(t, c, t.TempDir(), func(cfg *Config) { cfg.Watch, cfg.Identify = w, w.Identify })
	c.Await("a birth", func(v *collectortest.View) bool { return v.Status != nil && v.Status.Online })
	changed := w.Changed()
	c.Send(wire.LeafCommand, false, wire.Command{V: 1, Cmd: wire.CommandIdentify})
	<-changed
	if !w.Identifying() || !w.Snapshot().Named {
		t.Error("it does not show which it is")
	}
	a.end(t)
}
