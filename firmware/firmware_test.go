package firmware

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/collectortest"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors"
)

const secret = "correct horse battery staple"

// tap is a source that a test feeds.
type tap struct {
	samples  chan []sensors.Sample // closed: the source's end
	interval chan time.Duration
	now      chan struct{}
	done     chan struct{} // hears of each emit that is over, as far as it has room
	err      error         // of Run at its end
}

func newTap() *tap {
	return &tap{samples: make(chan []sensors.Sample), interval: make(chan time.Duration, 10), now: make(chan struct{}, 10), done: make(chan struct{}, 1)}
}

func (s *tap) SetInterval(d time.Duration) { s.interval <- d }
func (s *tap) SampleNow()                  { s.now <- struct{}{} }
func (s *tap) Probes() []sensors.Info      { return []sensors.Info{{Probe: "a", Kind: "tap", Bus: "test"}} }

func (s *tap) Run(ctx context.Context, emit sensors.Emit) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, more := <-s.samples:
			if !more {
				return s.err
			}
			if err := emit(ctx, b); err != nil {
				return err
			}
			select {
			case s.done <- struct{}{}:
			default: // nobody waits
			}
		}
	}
}

func at(second int) time.Time { return time.Date(2026, 3, 1, 0, 0, second, 0, time.UTC) }

func sample(p string, second int, raw coldkeep.Temperature) sensors.Sample {
	return sensors.Sample{Probe: coldkeep.ProbeID(p), At: at(second), Raw: raw}
}

// agent runs a device until the test's end.
type agent struct {
	*tap
	started Start
	result  chan error
	cancel  context.CancelFunc
}

func run(t *testing.T, c *collectortest.Collector, data string, change func(*Config)) *agent {
	t.Helper()
	a := &agent{tap: newTap(), result: make(chan error, 1)}
	ready := make(chan struct{})
	cfg := Config{Site: "clinic", Agent: "pi", Broker: c.URL(), Password: secret, Data: data, TimeTrust: wire.ClockNTP, Version: "1.2.3",
		Source: func(s Start) (sensors.Source, error) {
			a.started = s
			close(ready)
			return a.tap, nil
		}}
	if change != nil {
		change(&cfg)
	}
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(context.Background())
	go func() { a.result <- Run(ctx, cfg) }()
	t.Cleanup(a.cancel)
	<-ready
	return a
}

// end stops the agent as SIGTERM does.
func (a *agent) end(t *testing.T) {
	t.Helper()
	a.cancel()
	if err := <-a.result; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// book is what the collector has of the one epoch, as text.
func book(v *collectortest.View) string {
	var out []string
	for _, records := range v.Records {
		for seq := range int64(len(records)) {
			r := records[seq+1]
			line := fmt.Sprintf("%s %s%s", r.Probe, r.Celsius, r.Quality)
			if r.IsEvent() {
				line = strings.TrimSpace(string(r.Probe) + " " + r.Event + " " + r.Detail)
			} else if r.Raw.Known() {
				line += " raw " + r.Raw.String()
			}
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

func expect(t *testing.T, c *collectortest.Collector, want ...string) {
	t.Helper()
	text := strings.Join(want, "\n")
	got := ""
	defer func() {
		if got != text {
			t.Errorf("collector has\n%s\nwant\n%s", got, text)
		}
	}()
	c.Await("the records", func(v *collectortest.View) bool { got = book(v); return got == text })
}

func TestFromProbeToCollector(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	data := filepath.Join(t.TempDir(), "made", "by", "the", "agent")
	a := run(t, c, data, nil)
	if a.started.Interval != 0 || len(a.started.Last) != 0 {
		t.Errorf("a new agent starts with %+v", a.started)
	}
	a.samples <- []sensors.Sample{sample("a", 0, 4312), sample("b", 0, 85000)}
	a.samples <- []sensors.Sample{sample("a", 60, -273150), {Probe: "b", At: at(60), Raw: coldkeep.NoTemperature, Quality: coldkeep.QualityZeros}}
	a.samples <- []sensors.Sample{sample("a name for people", 60, 4000), sample("a", 120, 4100)}
	want := []string{"boot 1.2.3", "a probe-added", "a 4.312", "b probe-added", "b reset85", "a range", "b zeros",
		`probe-refused name "a name for people" is not [A-Za-z0-9._:-]{1,64}`, "a 4.1"}
	expect(t, c, want...)
	c.Await("birth", func(v *collectortest.View) bool {
		return v.Status.Online && v.Status.Version == "1.2.3" && len(v.Status.Probes) == 1 && v.Status.Probes[0] == wire.ProbeInfo{Probe: "a", Kind: "tap", Bus: "test"}
	})
	a.end(t)

	// A restart goes on in the same epoch, knows how far each probe came, and does
	// not add probes again.
	a = run(t, c, data, nil)
	if last := a.started.Last; !last["a"].Equal(at(120)) || !last["b"].Equal(at(60)) {
		t.Errorf("last recorded %v", last)
	}
	a.samples <- []sensors.Sample{sample("a", 180, 4200)}
	expect(t, c, append(want, "boot 1.2.3", "a 4.2")...)
	a.end(t)
	if last, err := LastRecorded(t.Context(), data); err != nil || !last.Equal(at(180)) {
		t.Errorf("LastRecorded: %v, %v", last, err)
	}
}

func TestConfiguration(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	data := t.TempDir()
	a := run(t, c, data, nil)
	a.samples <- []sensors.Sample{sample("a", 0, 4000)}
	expect(t, c, "boot 1.2.3", "a probe-added", "a 4")
	good := wire.Config{V: 1, Revision: 7, Interval: 30, Probes: []wire.ProbeConfig{
		{Probe: "a", Offset: -120},
		{Probe: "b", Table: [][2]int32{{0, -100}, {10_000, 100}}, Expires: "2026-02-28"},
	}}
	c.Send(wire.LeafConfig, true, good)
	if d := <-a.interval; d != 30*time.Second {
		t.Errorf("interval %v", d)
	}
	c.Send(wire.LeafConfig, false, wire.Config{V: 1, Revision: 8, Probes: []wire.ProbeConfig{{Probe: "a", Offset: 99_000}}}) // refused
	c.Send(wire.LeafCommand, false, wire.Command{V: 1, Cmd: wire.CommandSampleNow})
	<-a.now // what was sent before has been dealt with
	a.samples <- []sensors.Sample{sample("a", 60, 4000), sample("b", 60, 2500), sample("b", 61, -5000), sample("b", 62, 20000)}
	want := []string{"boot 1.2.3", "a probe-added", "a 4", "a 3.88 raw 4", "b probe-added",
		"b 2.45uncalibrated raw 2.5", "b -5.1uncalibrated raw -5", "b 20.1uncalibrated raw 20"}
	expect(t, c, want...)
	c.Await("a birth with the revision", func(v *collectortest.View) bool { return v.Status.Config == 7 })
	c.View(func(v *collectortest.View) {
		for _, b := range v.Batches {
			if before := b.Seq+int64(len(b.Records)) <= 4; before != (b.Config == 0) || !before && b.Config != 7 {
				t.Errorf("batch of %d at %d says cfg %d", len(b.Records), b.Seq, b.Config)
			}
		}
	})
	a.end(t)

	// It is in force after a restart without the collector.
	c.Stop()
	a = run(t, c, data, nil)
	if a.started.Interval != 30*time.Second {
		t.Errorf("interval %v after a restart", a.started.Interval)
	}
	a.samples <- []sensors.Sample{sample("a", 120, 4000)}
	c.Restart()
	expect(t, c, append(want, "boot 1.2.3", "a 3.88 raw 4")...)
	a.end(t)
}

// A probe that stands in no appliance and stops to answer was taken away; one that stands in
// an appliance is missing for as long as it stands there.
func TestProbeTakenAway(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	a := run(t, c, t.TempDir(), nil)
	second := 0
	lost := func(p coldkeep.ProbeID) sensors.Sample {
		s := sensors.Failed(p, coldkeep.QualityMissing)
		s.At = at(second)
		return s
	}
	missing := func(n int) {
		for range n {
			second++
			a.samples <- []sensors.Sample{lost("a"), lost("b")}
		}
	}
	a.samples <- []sensors.Sample{sample("a", 0, 4000), sample("b", 0, 4000)}
	missing(1) // before there is a configuration nobody knows where a probe stands
	want := []string{"boot 1.2.3", "a probe-added", "a 4", "b probe-added", "b 4", "a missing", "b missing"}
	expect(t, c, want...)
	c.Send(wire.LeafConfig, true, wire.Config{V: 1, Revision: 7, Interval: 30, Probes: []wire.ProbeConfig{{Probe: "a", Appliance: "fridge"}, {Probe: "b"}}})
	<-a.interval
	missing(removedAfter + 2)
	for range removedAfter - 1 {
		want = append(want, "a missing", "b missing")
	}
	want = append(want, "a missing", "b probe-removed", "a missing", "a missing")
	expect(t, c, want...)
	a.samples <- []sensors.Sample{sample("b", 1000, 5000)}
	want = append(want, "b probe-added", "b 5 raw 5") // a configured probe is calibrated, here by nothing
	expect(t, c, want...)
	a.end(t)
}

func TestExitWhenDone(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	c.Withhold(true)
	a := run(t, c, t.TempDir(), func(cfg *Config) { cfg.ExitWhenDone, cfg.ResendAfter = true, 50*time.Millisecond })
	a.samples <- []sensors.Sample{sample("a", 0, 4000)}
	close(a.samples)
	c.Await("the records", func(v *collectortest.View) bool { return strings.HasSuffix(book(v), "a 4") })
	select {
	case err := <-a.result:
		t.Fatalf("Run ended before the ack: %v", err)
	default:
	}
	c.Withhold(false)
	if err := <-a.result; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// Without it the agent goes on to deliver after the source's end.
func TestSourceEnds(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	c.Stop()
	a := run(t, c, t.TempDir(), nil)
	a.samples <- []sensors.Sample{sample("a", 0, 4000)}
	close(a.samples)
	c.Restart()
	expect(t, c, "boot 1.2.3", "a probe-added", "a 4")
	a.end(t)
}

func TestSourceFails(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	a := run(t, c, t.TempDir(), nil)
	a.err = errors.New("the bus burned")
	close(a.samples)
	if err := <-a.result; !errors.Is(err, a.err) {
		t.Errorf("Run: %v, want %v", err, a.err)
	}
}

func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := Config{Site: "clinic", Agent: "pi", Broker: "tcp://127.0.0.1:1", Data: dir,
		Source: func(Start) (sensors.Source, error) { return newTap(), nil }}
	for name, c := range map[string]struct {
		change func(*Config)
		code   string
	}{
		"site":           {func(c *Config) { c.Site = "Clinic 1" }, coldkeep.EINVALID},
		"agent":          {func(c *Config) { c.Agent = "" }, coldkeep.EINVALID},
		"broker":         {func(c *Config) { c.Broker = "localhost" }, coldkeep.EINVALID},
		"data":           {func(c *Config) { c.Data = "" }, coldkeep.EINVALID},
		"data in a file": {func(c *Config) { c.Data = filepath.Join(file, "x") }, coldkeep.EUNAVAILABLE},
		"time trust":     {func(c *Config) { c.TimeTrust = "gps" }, coldkeep.EINVALID},
		"source":         {func(c *Config) { c.Source = nil }, coldkeep.EINVALID},
		"source's own": {func(c *Config) {
			c.Source = func(Start) (sensors.Source, error) { return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "no") }
		}, coldkeep.ENOTFOUND},
	} {
		cfg := good
		c.change(&cfg)
		if err := Run(t.Context(), cfg); coldkeep.ErrorCode(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

func TestCalibrationRefuses(t *testing.T) {
	for name, probes := range map[string][]wire.ProbeConfig{
		"twice":        {{Probe: "a"}, {Probe: "a"}},
		"offset":       {{Probe: "a", Offset: -1 << 31}},
		"table offset": {{Probe: "a", Table: [][2]int32{{0, 10_001}}}},
		"table order":  {{Probe: "a", Table: [][2]int32{{0, 1}, {0, 2}}}},
		"date":         {{Probe: "a", Expires: "next year"}},
	} {
		if _, err := newCalibration(probes); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %v, want EINVALID", name, err)
		}
	}
}

func TestCertificateRunsOutAfterItsLastDay(t *testing.T) {
	cal, err := newCalibration([]wire.ProbeConfig{{Probe: "a", Expires: "2026-02-28"}})
	if err != nil {
		t.Fatal(err)
	}
	c := cal["a"]
	if c.expired(at(0).Add(-time.Millisecond)) || !c.expired(at(0)) {
		t.Error("a certificate that expires on 28 February holds through that day")
	}
}

func TestClockStep(t *testing.T) {
	var w stepWatch
	now := time.Now()
	if d, stepped := w.look(now); stepped {
		t.Errorf("first look: %v", d)
	}
	if d, stepped := w.look(now.Add(time.Hour)); stepped {
		t.Errorf("an hour passed: %v", d)
	}
	for _, c := range []struct {
		wall, monotonic, step time.Duration
		stepped               bool
	}{
		{time.Minute, time.Minute, 0, false},
		{61900 * time.Millisecond, time.Minute, 1900 * time.Millisecond, false}, // slewed
		{time.Hour, time.Minute, 59 * time.Minute, true},                        // NTP found the time
		{-time.Hour, time.Minute, -61 * time.Minute, true},                      // set back
	} {
		if d, stepped := step(c.wall, c.monotonic); d != c.step || stepped != c.stepped {
			t.Errorf("wall %v, monotonic %v: %v %v", c.wall, c.monotonic, d, stepped)
		}
	}
}
