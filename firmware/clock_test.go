package firmware

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/collectortest"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors"
)

// machine is a computer whose clocks a test sets: the wall clock, and the time
// since the boot, which nobody can set.
type machine struct {
	mu    sync.Mutex
	wall  time.Time
	since time.Duration
	id    string
	state string
}

func (m *machine) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wall
}

func (m *machine) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func (m *machine) trust() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

func (m *machine) boot() (string, time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.id, m.since, true
}

func (m *machine) pass(d time.Duration) {
	m.mu.Lock()
	m.wall, m.since = m.wall.Add(d), m.since+d
	m.mu.Unlock()
}

// set sets the wall clock, and what the kernel says of it.
func (m *machine) set(wall time.Time, state string) {
	m.mu.Lock()
	m.wall, m.state = wall, state
	m.mu.Unlock()
}

// A Pi without a clock of its own starts at the time of its last shutdown. What it
// records until the network tells it the time is marked and corrected by an event.
func TestRecordsBeforeTheFirstSync(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	data := t.TempDir()
	m := &machine{wall: at(0), since: 20 * time.Second, id: "boot-1", state: wire.ClockUnsynced}
	start := func() *agent {
		return run(t, c, data, func(cfg *Config) { cfg.Clock, cfg.keeper, cfg.TimeTrust = m, m, "" })
	}
	emit := func(a *agent, p string) {
		// The clocks stand still while anything is recorded, the boot too.
		a.samples <- nil
		<-a.done
		m.pass(time.Minute)
		a.samples <- []sensors.Sample{{Probe: coldkeep.ProbeID(p), Raw: 4000}}
		<-a.done
	}
	a := start()
	emit(a, "a")
	emit(a, "a")
	want := []string{"boot 1.2.3", "a probe-added", "a 4clock", "a 4clock"}
	expect(t, c, want...)
	a.end(t)
	// The process dies; the boot is the same, and what it knew is in the book.
	a = start()
	emit(a, "a")
	want = append(want, "boot 1.2.3", "a 4clock")
	expect(t, c, want...)
	// Somebody sets the clock by hand; then the network does.
	m.set(m.Now().Add(time.Hour), wire.ClockUnsynced)
	emit(a, "a")
	m.set(m.Now().Add(-time.Second/2), wire.ClockNTP)
	emit(a, "a")
	// Records 1 to 6 are an hour less half a second late, the seventh half a second early.
	want = append(want, "a 4clock", "clock-corrected records 1 to 6: +3599.500 s", "clock-corrected records 7 to 7: -0.500 s", "a 4")
	expect(t, c, want...)
	// The network goes, the time stays good, also over a restart of the process.
	m.set(m.Now(), wire.ClockUnsynced)
	a.end(t)
	a = start()
	emit(a, "a")
	want = append(want, "boot 1.2.3", "a 4")
	expect(t, c, want...)
	a.end(t)
	// A new boot with a real-time clock: nothing is doubted, and NTP tells how good
	// it was. The boot before left nothing to correct.
	m.mu.Lock()
	m.id, m.since, m.state = "boot-2", 10*time.Second, wire.ClockRTC
	m.mu.Unlock()
	a = start()
	emit(a, "a")
	m.set(m.Now().Add(3*time.Second), wire.ClockNTP)
	emit(a, "a")
	want = append(want, "boot 1.2.3", "a 4", "clock-corrected records 13 to 14: +3.000 s", "a 4")
	expect(t, c, want...)
	a.end(t)
	// A boot in which the clock is set before we start says nothing about it.
	m.mu.Lock()
	m.id, m.since = "boot-3", 10*time.Second
	m.mu.Unlock()
	a = start()
	emit(a, "a")
	emit(a, "a")
	want = append(want, "boot 1.2.3", "a 4", "a 4")
	expect(t, c, want...)
	a.end(t)
	// What an earlier boot left cannot be corrected, and is not.
	m.mu.Lock()
	m.id, m.since, m.state = "boot-4", 10*time.Second, wire.ClockUnsynced
	m.mu.Unlock()
	a = start()
	emit(a, "a")
	want = append(want, "boot 1.2.3", "a 4clock")
	expect(t, c, want...)
	a.end(t)
	m.mu.Lock()
	m.id, m.since, m.state = "boot-5", 10*time.Second, wire.ClockNTP
	m.mu.Unlock()
	a = start()
	emit(a, "a")
	want = append(want, "boot 1.2.3", "a 4")
	expect(t, c, want...)
	a.end(t)
	c.View(func(v *collectortest.View) {
		for _, b := range v.Batches {
			for i := range b.Records {
				seq := b.Seq + int64(i)
				wantClock := wire.ClockNTP
				switch {
				case seq <= 7 || seq == 11 || seq == 12 || seq == 20 || seq == 21:
					wantClock = wire.ClockUnsynced
				case seq == 13 || seq == 14:
					wantClock = wire.ClockRTC
				}
				if b.Clock != wantClock {
					t.Errorf("record %d came under clock %q, want %q", seq, b.Clock, wantClock)
				}
			}
		}
	})
}

func TestProbesOfOneApplianceAreCompared(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	a := run(t, c, t.TempDir(), nil)
	c.Send(wire.LeafConfig, true, wire.Config{V: 1, Revision: 1, Interval: 600, Probes: []wire.ProbeConfig{
		{Probe: "a", Appliance: "fridge"}, {Probe: "b", Appliance: "fridge", Offset: -6000}, {Probe: "c", Appliance: "freezer"}}})
	<-a.interval
	for i := range 7 {
		b := coldkeep.Temperature(4000) // calibrated, six degrees below the other
		if i > 4 {
			b = 10_000
		}
		a.samples <- []sensors.Sample{sample("a", i*600, 4000), sample("b", i*600, b), sample("c", i*600, -20_000)}
		if i == 2 { // the same again does not make them forget
			c.Send(wire.LeafConfig, true, wire.Config{V: 1, Revision: 2, Interval: 300, Probes: []wire.ProbeConfig{
				{Probe: "a", Appliance: "fridge"}, {Probe: "b", Appliance: "fridge", Offset: -6000}, {Probe: "c", Appliance: "freezer"}}})
			<-a.interval
		}
	}
	var events []string
	c.Await("all records", func(v *collectortest.View) bool {
		events = nil
		text := book(v)
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "probes-") {
				events = append(events, strings.TrimSpace(line))
			}
		}
		return strings.Count(text, "c -20") == 7
	})
	if want := []string{"probes-apart a and b are 6 °C apart", "probes-agree a and b agree again"}; !slices.Equal(events, want) {
		t.Errorf("%q, want %q", events, want)
	}
}

// A configuration that is wrong is refused, the status says why, and the one before
// stays in force; so does one that is older.
func TestRefusedConfiguration(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	a := run(t, c, t.TempDir(), nil)
	good := wire.Config{V: 1, Revision: 7, Interval: 30, Probes: []wire.ProbeConfig{{Probe: "a", Offset: -120, Local: &wire.LocalAlarm{Low: 2000, High: 8000, After: 900}}}}
	c.Send(wire.LeafConfig, true, good)
	<-a.interval
	for what, bad := range map[string]wire.Config{
		"local_mc":   {V: 1, Revision: 8, Probes: []wire.ProbeConfig{{Probe: "a", Local: &wire.LocalAlarm{Low: 8000, High: 2000}}}},
		"offset_mc":  {V: 1, Revision: 8, Probes: []wire.ProbeConfig{{Probe: "a", Offset: 99_000}}},
		"interval_s": {V: 1, Revision: 8, Interval: 7200},
		"revision":   {V: 1, Revision: 1 << 60, Interval: 60},
	} {
		c.Send(wire.LeafConfig, false, good)
		c.Await("a status without a refusal", func(v *collectortest.View) bool {
			return v.Status.Config == 7 && v.Status.Health["cfg_refused"] == nil
		})
		c.Send(wire.LeafConfig, false, bad)
		c.Await("a status with the refusal of "+what, func(v *collectortest.View) bool {
			why, _ := v.Status.Health["cfg_refused"].(string)
			return v.Status.Config == 7 && strings.HasPrefix(why, fmt.Sprintf("cfg %d: ", bad.Revision))
		})
	}
	c.Send(wire.LeafConfig, false, good)
	c.Send(wire.LeafConfig, false, wire.Config{V: 1, Revision: 6, Interval: 10}) // a broker's old copy
	c.Send(wire.LeafConfig, false, wire.Config{V: 1, Revision: 9, Interval: 40})
	if d := <-a.interval; d != 40*time.Second {
		t.Errorf("interval %v, want that of the newer configuration", d)
	}
	a.end(t)
}
