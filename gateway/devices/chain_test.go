package devices_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware"
	"github.com/coldkeep/coldkeep/gateway/broker"
	"github.com/coldkeep/coldkeep/gateway/devices"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/sensors"
)

// account lets one device in.
type account struct{}

func (account) CheckDevice(user, password string) (coldkeep.SiteID, coldkeep.AgentID, bool) {
	return "lakeside", "pi-1", user == "lakeside/pi-1" && password == "secret"
}

// collector is the collector's connection to the broker as far as devices go.
type collector struct {
	client mqtt.Client
}

func (c *collector) Publish(_ context.Context, topic string, retained bool, payload []byte) error {
	if t := c.client.Publish(topic, 1, retained, payload); !t.WaitTimeout(10*time.Second) || t.Error() != nil {
		return fmt.Errorf("not published: %w", t.Error())
	}
	return nil
}

// connect connects to a broker, and tells d of what comes.
func connect(t *testing.T, addr string, of func() *devices.Devices) *collector {
	t.Helper()
	c := &collector{}
	c.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("collector").SetUsername(broker.CollectorUser).SetPassword("collector").
		SetAutoReconnect(false).SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		site, agent, leaf, err := wire.ParseTopic(m.Topic())
		var st wire.Status
		if d := of(); err == nil && d != nil && leaf == wire.LeafStatus && wire.Decode(m.Payload(), &st) == nil {
			d.SetStatus(site, agent, time.Now().UTC(), &st, m.Retained())
		}
		if b, _, err := wire.DecodeBatch(m.Payload(), time.Now().Add(time.Hour).UnixMilli()); of() != nil && leaf == wire.LeafReadings && err == nil {
			of().Heard(site, agent, time.Now().UTC(), b.Records[len(b.Records)-1].At, b.Clock)
		}
	}))
	done := func(tok mqtt.Token) {
		t.Helper()
		if !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
	}
	done(c.client.Connect())
	done(c.client.SubscribeMultiple(map[string]byte{"coldkeep/1/+/+/status": 1, "coldkeep/1/+/+/readings": 1}, nil))
	t.Cleanup(func() { c.client.Disconnect(0) })
	return c
}

// probe is a source of one probe that tells of the interval it is given.
type probe struct{ interval chan time.Duration }

func (p *probe) SetInterval(d time.Duration) { p.interval <- d }
func (p *probe) Probes() []sensors.Info      { return []sensors.Info{{Probe: "a"}, {Probe: "spare"}} }
func (p *probe) Run(ctx context.Context, emit sensors.Emit) error {
	if err := emit(ctx, []sensors.Sample{{Probe: "a", Raw: 4000}}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// From the registry's mirror to a running device over the embedded broker, which
// then dies with all that it retained.
func TestMirrorToDevice(t *testing.T) {
	start := func(addr string) *broker.Broker {
		t.Helper()
		b, err := broker.Start(broker.Config{Addr: addr, CollectorPassword: "collector", Devices: account{}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := start("127.0.0.1:0")
	addr := b.Addr()

	var mu sync.Mutex
	var d *devices.Devices
	of := func() *devices.Devices { mu.Lock(); defer mu.Unlock(); return d }
	link := connect(t, addr, of)
	pub := &relay{}
	pub.set(link)
	made, err := devices.Open(t.Context(), databasetest.Open(t, databasetest.SQLite(t)), devices.Config{Publisher: pub, Interval: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	d = made
	mu.Unlock()
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() {
		if err := made.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	source := &probe{interval: make(chan time.Duration, 10)}
	identified := make(chan struct{}, 10)
	work.Go(func() {
		if err := firmware.Run(ctx, firmware.Config{Site: "lakeside", Agent: "pi-1", Broker: "tcp://" + addr, Password: "secret", Data: t.TempDir(), TimeTrust: wire.ClockNTP, Version: "1.2.3",
			Identify: func() { identified <- struct{}{} },
			Source:   func(firmware.Start) (sensors.Source, error) { return source, nil }}); err != nil {
			t.Error(err)
		}
	})
	health := func(what string, ok func(coldkeep.DeviceHealth) bool) {
		t.Helper()
		var h []coldkeep.DeviceHealth
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if h = made.Health(); len(h) == 1 && ok(h[0]) {
				return
			}
		}
		t.Fatalf("waited in vain for %s: %+v", what, h)
	}
	m := coldkeep.Mirror{Revision: 1, Devices: []coldkeep.Device{{Site: "lakeside", Agent: "pi-1"}},
		Appliances: []coldkeep.Appliance{{ID: "fridge", Site: "lakeside", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}}}
	made.SetMirror(m)
	if got := <-source.interval; got != 30*time.Second {
		t.Errorf("interval %v", got)
	}
	health("an enrolled device with two spare probes", func(h coldkeep.DeviceHealth) bool {
		return h.Online && h.LastHeard != nil && h.Config == 1 && h.WantConfig == 1 && len(h.Unassigned) == 2 && h.Version == "1.2.3" && h.Clock == wire.ClockNTP
	})
	series := coldkeep.Series{Site: "lakeside", Agent: "pi-1", Probe: "a"}
	m.Revision, m.Assignments = 2, []coldkeep.Assignment{{Series: series, Appliance: "fridge", From: time.Now().Add(-time.Hour)}}
	// What a device would refuse is not sent: the rest of its configuration holds.
	m.Calibrations = []coldkeep.Calibration{{Series: series, Offset: 20_000}}
	made.SetMirror(m)
	health("a probe that stands in the fridge", func(h coldkeep.DeviceHealth) bool {
		return h.Config == 2 && len(h.Unassigned) == 1 && h.Unassigned[0] == "spare" && len(h.Faults) == 1
	})
	if err := made.Command(ctx, "lakeside", "pi-1", wire.CommandIdentify); err != nil {
		t.Error(err)
	}
	<-identified

	// The broker dies with all that it retained, while the registry changes its mind.
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	pub.set(nil)
	m.Revision, m.Calibrations = 3, []coldkeep.Calibration{{Series: series, Offset: -120, Certificate: "C-17", Expires: "2099-01-01"}}
	made.SetMirror(m)
	b = start(addr)
	defer func() { _ = b.Close() }()
	pub.set(connect(t, addr, of))
	made.Republish()
	health("the calibration", func(h coldkeep.DeviceHealth) bool {
		return h.Online && h.Config == 3 && h.WantConfig == 3 && len(h.Faults) == 0
	})
}

// relay is a publisher whose connection may be away.
type relay struct {
	mu sync.Mutex
	to *collector
}

func (r *relay) set(to *collector) {
	r.mu.Lock()
	r.to = to
	r.mu.Unlock()
}

func (r *relay) Publish(ctx context.Context, topic string, retained bool, payload []byte) error {
	r.mu.Lock()
	to := r.to
	r.mu.Unlock()
	if to == nil {
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "broker is away")
	}
	return to.Publish(ctx, topic, retained, payload)
}
