package uplink

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/collectortest"
	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

const (
	none   = coldkeep.NoTemperature
	secret = "correct horse battery staple"
)

// rig is an uplink at work between an outbox and a collector.
type rig struct {
	*collectortest.Collector
	t    *testing.T
	box  *outbox.Box
	link *Uplink
	log  *logBuffer
	stop func() // ends the uplink and waits for it
}

func start(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{Collector: collectortest.Start(t, "clinic", "pi", secret), t: t, log: &logBuffer{}}
	var err error
	r.box, err = outbox.Open(t.Context(), outbox.Config{Path: filepath.Join(t.TempDir(), "outbox.db"), Site: "clinic", Agent: "pi"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.box.Close() })
	cfg := Config{Broker: r.URL(), Username: "clinic/pi", Password: secret, Site: "clinic", Agent: "pi", Outbox: r.box,
		Log: slog.New(slog.NewTextHandler(r.log, nil)), MinBackoff: time.Millisecond, MaxBackoff: 50 * time.Millisecond, Backfill: 1_000_000}
	if change != nil {
		change(&cfg)
	}
	r.link, err = New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.link.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// add records n readings.
func (r *rig) add(n int) {
	r.t.Helper()
	records := make([]outbox.Record, n)
	for i := range records {
		records[i] = outbox.Record{Record: wire.Record{Probe: "28-000005e2fdc3", At: 1_770_000_000_000 + int64(i),
			Celsius: coldkeep.Temperature(4000 + i%500), Raw: none, Lo: none, Hi: none}, Clock: wire.ClockNTP}
	}
	if err := r.box.Append(r.t.Context(), records); err != nil {
		r.t.Fatal(err)
	}
}

// delivered waits until the outbox knows that all is delivered.
func (r *rig) delivered() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	if err := r.box.WaitDelivered(ctx); err != nil {
		r.t.Fatalf("%+v: %v\n%s", r.box.State(), err, r.log)
	}
	st := r.box.State()
	r.View(func(v *collectortest.View) {
		if got := v.Durable(st.Epoch); got != st.Last || len(v.Bad) != 0 || v.Epochs() > 1 {
			r.t.Errorf("collector has %d of %d records, %d bad, %d epochs", got, st.Last, len(v.Bad), v.Epochs())
		}
	})
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestDelivery(t *testing.T) {
	r := start(t, func(c *Config) {
		c.Status = func() wire.Status { return wire.Status{Version: "1.2.3", Probes: []wire.ProbeInfo{{Probe: "p"}}} }
	})
	r.add(1)
	r.delivered()
	r.add(5500)
	r.delivered()
	r.Await("birth", func(v *collectortest.View) bool {
		return v.Status != nil && v.Status.Online && v.Status.Version == "1.2.3" && v.Status.Epoch == r.box.State().Epoch && len(v.Status.Probes) == 1
	})
	r.View(func(v *collectortest.View) {
		for _, b := range v.Batches {
			if len(b.Records) > wire.MaxRecords || b.Oldest != 1 || b.Clock != wire.ClockNTP {
				t.Errorf("batch at %d: %d records, oldest %d, clock %q", b.Seq, len(b.Records), b.Oldest, b.Clock)
			}
		}
	})
	r.stop()
	r.Await("good-bye", func(v *collectortest.View) bool { return !v.Status.Online })
}

func TestWill(t *testing.T) {
	r := start(t, nil)
	r.Await("birth", func(v *collectortest.View) bool { return v.Status != nil && v.Status.Online })
	r.Cut()
	r.Await("will, and a new birth", func(v *collectortest.View) bool { return v.Connected == 2 && v.Offline == 1 && v.Status.Online })
}

// The broker is away, then back with no memory; what was recorded meanwhile comes.
func TestBrokerGoesAndComes(t *testing.T) {
	r := start(t, nil)
	for range 3 {
		r.add(10)
		r.delivered()
		r.Stop()
		for range 20 {
			r.add(1)
		}
		r.Restart()
		r.delivered()
	}
}

// A connection that is cut again and again in the midst of publishing loses
// nothing, and paho's tokens deliver nothing by themselves.
func TestConnectionIsCut(t *testing.T) {
	r := start(t, nil)
	for i := range 10 {
		r.add(2500)
		n := i + 1
		r.Await("a connection", func(v *collectortest.View) bool { return v.Connected >= n })
		r.Cut()
	}
	r.delivered()
}

func TestWithheldAckIsSentAgain(t *testing.T) {
	r := start(t, func(c *Config) { c.ResendAfter = 50 * time.Millisecond })
	epoch := r.box.State().Epoch
	r.Withhold(true)
	r.add(3)
	r.Await("the records three times", func(v *collectortest.View) bool { return v.Came[epoch][1] >= 3 && v.Came[epoch][3] >= 3 })
	if got := r.box.State().Acked; got != 0 {
		t.Errorf("delivered up to %d without an ack", got)
	}
	r.add(2)
	r.Withhold(false)
	r.delivered()
	r.View(func(v *collectortest.View) {
		if v.Connected != 1 {
			t.Errorf("%d connections; a silent collector is no reason to leave the broker", v.Connected)
		}
	})
}

func TestOddAcks(t *testing.T) {
	r := start(t, nil)
	r.Withhold(true)
	r.add(10)
	epoch := r.box.State().Epoch
	r.Await("the records", func(v *collectortest.View) bool { return v.Durable(epoch) == 10 })
	acked := func(seq int64) {
		t.Helper()
		changed := r.box.Changed()
		r.Ack(epoch, seq)
		<-changed
		if got := r.box.State().Acked; got != seq {
			t.Errorf("acked %d, want %d", got, seq)
		}
	}
	acked(4)
	r.Ack(epoch, 4)                             // again
	r.Ack(epoch, 2)                             // lower
	r.Ack("01JD3K8W2M5N6P7Q8R9S0T1V2W", 10)     // of another epoch
	r.Send(wire.LeafAck, false, "nonsense")     // not an ack
	r.Send(wire.LeafAck, false, wire.Ack{V: 9}) // of another version
	acked(7)
	acked(10)
}

// An ack of what the outbox does not hold: the card gave back an older state.
func TestOutboxBehindTheCollector(t *testing.T) {
	r := start(t, nil)
	r.Withhold(true)
	r.add(3)
	old := r.box.State().Epoch
	r.Await("the records", func(v *collectortest.View) bool { return v.Durable(old) == 3 })
	r.Withhold(false)
	r.Ack(old, 100)
	r.Await("a new epoch with the undelivered records", func(v *collectortest.View) bool {
		return v.Epochs() == 2 && v.Status != nil && v.Status.Epoch != old && v.Durable(v.Status.Epoch) == 3
	})
}

func TestResendCommand(t *testing.T) {
	commands := make(chan wire.Command, 10)
	r := start(t, func(c *Config) { c.OnCommand = func(c wire.Command) { commands <- c } })
	epoch := r.box.State().Epoch
	r.add(3000)
	r.delivered()
	r.Send(wire.LeafCommand, false, wire.Command{V: 1, Cmd: wire.CommandResend, Epoch: epoch, From: 500, To: 2200})
	r.Await("the range again", func(v *collectortest.View) bool { return v.Came[epoch][2200] >= 2 })
	r.View(func(v *collectortest.View) {
		for seq, want := range map[int64]int{499: 1, 500: 2, 1500: 2, 2200: 2, 2201: 1} {
			if got := v.Came[epoch][seq]; got != want {
				t.Errorf("record %d came %d times, want %d", seq, got, want)
			}
		}
	})
	for _, c := range []wire.Command{ // none of these can be met, none does harm
		{V: 1, Cmd: wire.CommandResend, Epoch: "01JD3K8W2M5N6P7Q8R9S0T1V2W", From: 1, To: 2},
		{V: 1, Cmd: wire.CommandResend, Epoch: epoch, From: 5000, To: 6000},
		{V: 1, Cmd: wire.CommandResend, Epoch: epoch, From: 9, To: 3},
		{V: 1, Cmd: wire.CommandResend, Epoch: epoch, From: -9, To: -3},
	} {
		r.Send(wire.LeafCommand, false, c)
	}
	r.Send(wire.LeafCommand, false, wire.Command{V: 1, Cmd: wire.CommandIdentify})
	if c := <-commands; c.Cmd != wire.CommandIdentify {
		t.Errorf("command %+v", c)
	}
	r.Send(wire.LeafCommand, false, wire.Command{V: 1, Cmd: wire.CommandResend, Epoch: epoch, From: -1, To: 1})
	r.Await("the first record again", func(v *collectortest.View) bool { return v.Came[epoch][1] == 2 })
}

// A broker that takes publishes and answers none is left: paho would keep them all
// in memory.
func TestBrokerWithoutPuback(t *testing.T) {
	r := start(t, func(c *Config) { c.ResendAfter = 50 * time.Millisecond })
	r.Refuse(true)
	r.add(1)
	r.Await("a second connection", func(v *collectortest.View) bool { return v.Connected >= 2 })
	r.Refuse(false)
	r.delivered()
}

func TestConfigComesRetained(t *testing.T) {
	configs := make(chan wire.Config, 10)
	r := start(t, func(c *Config) { c.OnConfig = func(c wire.Config) { configs <- c } })
	r.Await("birth", func(v *collectortest.View) bool { return v.Status != nil })
	r.Send(wire.LeafConfig, true, wire.Config{V: 1, Revision: 7, Interval: 30})
	if c := <-configs; c.Revision != 7 || c.Interval != 30 {
		t.Errorf("config %+v", c)
	}
	r.Cut()
	if c := <-configs; c.Revision != 7 {
		t.Errorf("config %+v after a new connection", c)
	}
}

func TestWrongPassword(t *testing.T) {
	r := start(t, func(c *Config) { c.Password = "wr0ng-pa55" })
	r.add(1)
	r.Await("three refusals", func(v *collectortest.View) bool { return v.Refused >= 3 })
	r.stop()
	log := r.log.String()
	for _, want := range []string{"level=ERROR", "refuses these credentials", r.URL(), "user=clinic/pi"} {
		if !strings.Contains(log, want) {
			t.Errorf("log does not say %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, "wr0ng-pa55") {
		t.Errorf("the password is in the log:\n%s", log)
	}
	if n := strings.Count(log, "\n"); n != 1 {
		t.Errorf("%d lines for one reason, want 1:\n%s", n, log)
	}
}

func TestParseBroker(t *testing.T) {
	for in, want := range map[string]string{
		"tcp://127.0.0.1:1883": "tcp://127.0.0.1:1883",
		"tcp://host":           "tcp://host:1883",
		"mqtts://host":         "mqtts://host:8883",
		"ssl://[::1]":          "ssl://[::1]:8883",
		"wss://host/mqtt":      "wss://host/mqtt",
	} {
		if u, err := ParseBroker(in); err != nil || u.String() != want {
			t.Errorf("%s: %v, %v, want %s", in, u, err, want)
		}
	}
	for _, in := range []string{"", "host:1883", "http://host", "tcp://", "tcp://user:hunter2@host:1883", "tcp://h:port", "unix:///run/x"} {
		_, err := ParseBroker(in)
		if coldkeep.ErrorCode(err) != coldkeep.EINVALID || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: %v, want EINVALID without secrets", in, err)
		}
	}
}
