package mqttsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

// local is a broker in the clinic.
type local struct {
	t      *testing.T
	addr   string
	server *mqtt.Server
}

func (b *local) start() {
	b.t.Helper()
	b.server = mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := b.server.AddHook(new(open), nil); err != nil {
		b.t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: b.addr})
	if err := b.server.AddListener(l); err != nil {
		b.t.Fatal(err)
	}
	if err := b.server.Serve(); err != nil {
		b.t.Fatal(err)
	}
	b.addr = l.Address()
}

func (b *local) say(topic, payload string, retained bool) {
	b.t.Helper()
	if err := b.server.Publish(topic, []byte(payload), retained, 1); err != nil {
		b.t.Error(err)
	}
}

// open lets everybody do everything, as brokers in clinics do.
type open struct{ mqtt.HookBase }

func (*open) ID() string                                              { return "open" }
func (*open) Provides(b byte) bool                                    { return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck }
func (*open) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (*open) OnACLCheck(*mqtt.Client, string, bool) bool              { return true }

// book takes what a source emits.
type book struct {
	mu      sync.Mutex
	lines   []string
	changed chan struct{}
}

func (b *book) emit(_ context.Context, samples []sensors.Sample) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range samples {
		b.lines = append(b.lines, fmt.Sprintf("%s %s%s", s.Probe, s.Raw, s.Quality))
	}
	select {
	case b.changed <- struct{}{}:
	default:
	}
	return nil
}

func (b *book) await(t *testing.T, last string) {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for {
		b.mu.Lock()
		text := strings.Join(b.lines, "; ")
		b.mu.Unlock()
		if strings.HasSuffix(text, last) {
			return
		}
		select {
		case <-b.changed:
		case <-limit.C:
			t.Fatalf("waited in vain for %q; there is %q", last, text)
		}
	}
}

// A real broker: what it had before is not taken without a time, what comes is; it
// dies and comes back; a device that says it is gone is missing at once.
func TestSource(t *testing.T) {
	broker := &local{t: t, addr: "127.0.0.1:0"}
	broker.start()
	defer func() { _ = broker.server.Close() }()
	broker.say("fridge/sensor/temp/state", "1.5", true) // stale
	broker.say("zigbee2mqtt/old", `{"temperature":2.5,"last_seen":"2026-10-01T00:00:00Z"}`, true)
	src, err := New(Config{Broker: "tcp://" + broker.addr, ClientID: "agent", Mappings: all(t),
		Known: map[coldkeep.ProbeID]time.Time{"z2m:old": time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)},
		Only:  func(p coldkeep.ProbeID) bool { return !strings.Contains(string(p), "living") }})
	if err != nil {
		t.Fatal(err)
	}
	got := &book{changed: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- src.Run(ctx, got.emit) }()
	subscribed := func() {
		t.Helper()
		// The retained messages prove that the subscription stands: a marker comes after them.
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			n := 0
			for _, c := range broker.server.Clients.GetAll() {
				if !c.Net.Inline {
					n += len(c.State.Subscriptions.GetAll())
				}
			}
			if n > 5 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("it does not subscribe")
			}
		}
	}
	subscribed()
	broker.say("zigbee2mqtt/living", `{"temperature":20}`, false)
	broker.say("tele/t1/SENSOR", `{"DS18B20":{"Id":"A","Temperature":4.1}}`, false)
	got.await(t, "tasmota:A 4.1")
	broker.say("fridge/sensor/temp/state", "4.2", true) // a new one, though it is kept for others
	got.await(t, "esphome:fridge:temp 4.2")
	broker.say("tele/t1/LWT", "Offline", true)
	got.await(t, "tasmota:A missing")
	_ = broker.server.Close()
	broker.start()
	subscribed()
	broker.say("tele/t1/SENSOR", `{"DS18B20":{"Id":"A","Temperature":4.3}}`, false)
	got.await(t, "tasmota:A 4.3")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	if text := strings.Join(got.lines, "; "); text != "tasmota:A 4.1; esphome:fridge:temp 4.2; tasmota:A missing; tasmota:A 4.3" {
		t.Errorf("recorded %q", text)
	}
	if infos := src.Probes(); len(infos) != 3 { // the old one has been heard of before
		t.Errorf("%+v", infos)
	}
}

// clock is set by hand.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time                                   { return c.now }
func (c *clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// What the broker says again is not recorded again, what has not spoken for too long is
// missing, and again every five minutes.
func TestTwiceAndNever(t *testing.T) {
	c := &clock{now}
	src, err := New(Config{Mappings: all(t), Clock: c, Known: map[coldkeep.ProbeID]time.Time{"lora:A1": now.Add(-time.Hour), "28-0001": now}})
	if err != nil {
		t.Fatal(err)
	}
	src.remember()
	got := &book{changed: make(chan struct{}, 1)}
	is := func(when, want string) {
		t.Helper()
		if text := strings.Join(got.lines, "; "); text != want {
			t.Errorf("%s: %q, want %q", when, text, want)
		}
		got.lines = nil
	}
	say := func(received time.Time, value string) {
		t.Helper()
		if err := src.take(t.Context(), Message{Topic: "v3/a@ttn/devices/b/up", At: c.now, Payload: []byte(`{"end_device_ids":{"dev_eui":"A1"},"received_at":"` +
			received.Format(time.RFC3339Nano) + `","uplink_message":{"decoded_payload":{"sensorTemperature":` + value + `}}}`)}, got.emit); err != nil {
			t.Fatal(err)
		}
	}
	say(now.Add(-time.Hour), "4.0")
	is("what was recorded before the restart", "")
	say(now, "4.1")
	say(now, "4.1")
	say(now.Add(-time.Minute), "4.0")
	is("once", "lora:A1 4.1")
	step := func(d time.Duration) {
		t.Helper()
		c.now = c.now.Add(d)
		if err := src.silent(t.Context(), got.emit); err != nil {
			t.Fatal(err)
		}
	}
	step(74 * time.Minute)
	is("not yet", "")
	step(time.Minute)
	is("silent", "lora:A1 missing")
	step(4 * time.Minute)
	is("still", "")
	step(time.Minute)
	is("and again", "lora:A1 missing")
	say(c.now, "4.2")
	step(time.Minute)
	is("back", "lora:A1 4.2")
}

func TestLoadRefuses(t *testing.T) {
	if _, err := Load("acme"); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND || !strings.Contains(err.Error(), "tasmota") {
		t.Errorf("%v", err)
	}
	if _, err := Load("./acme.json"); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		t.Errorf("%v", err)
	}
	good := `{"make":"acme","silence_s":900,"rules":[{"topic":"acme/+","values":[{"at":"t","probe":[{"name":"acme:{topic.1}"}]}]}]}`
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{`"make":"acme",`, ``}, {`900`, `1`}, {`"topic":"acme/+"`, `"topic":"acme/#/x"`}, {`"topic":"acme/+"`, `"topic":"acme/a+"`}, {`"topic":"acme/+"`, `"topic":""`},
		{`"at":"t",`, ``}, {`"at":"t"`, `"att":"t"`}, {`"at":"t"`, `"at":"t","unit":"K"`}, {`[{"name":"acme:{topic.1}"}]`, `[]`},
		{`"at":"t"`, `"at":"t","absent":{"x":"missing"}`}, {`"at":"t"`, `"at":"t","absent":{"0":"clock"}`}, {`"at":"t"`, `"at":"t","faults":[{"at":"e","quality":"good"}]`},
		{`"at":"t"`, `"binary":{"at":"d","encoding":"hex","offset":0}`}, {`"at":"t"`, `"at":"t","binary":{"at":"d","encoding":"hex","absent":["xx"]}`},
		{`"values"`, `"time":{"at":"x","form":"local"},"values"`}, {`"values"`, `"payload":"xml","values"`}, {`"values"`, `"offline":["x"],"values"`},
	} {
		bad := strings.Replace(good, c[0], c[1], 1)
		if _, err := Parse([]byte(bad)); coldkeep.ErrorCode(err) != coldkeep.EINVALID || bad == good {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
