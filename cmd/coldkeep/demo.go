package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts/channel/webhook"
	"github.com/coldkeep/coldkeep/firmware"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/webhookfake"
	"github.com/coldkeep/coldkeep/registry"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/sim"
)

// demoHistory is how far back the demo's charts reach from its first moment.
const demoHistory = 24 * time.Hour

// demoAgents are the demo's devices with what their probes stand in.
var demoAgents = []struct {
	site       coldkeep.SiteID
	agent      coldkeep.AgentID
	appliances []sim.Appliance
	broken     coldkeep.ProbeID // whose compressor dies
}{
	{"lakeside", "pi-1", []sim.Appliance{
		{Probe: "fridge-1", Unit: coldkeep.Refrigerator, Seed: 1},
		{Probe: "fridge-2", Unit: coldkeep.Refrigerator, Seed: 2},
		{Probe: "freezer-1", Unit: coldkeep.Freezer, Seed: 3},
		{Probe: "ultra-1", Unit: coldkeep.UltraCold, Seed: 4},
	}, "fridge-2"},
	{"northgate", "pi-1", []sim.Appliance{
		{Probe: "fridge-1", Unit: coldkeep.Refrigerator, Seed: 5},
		{Probe: "freezer-1", Unit: coldkeep.Freezer, Seed: 6},
	}, ""},
}

func (cmd *upCmd) speed() float64 {
	if cmd.Speed == 0 {
		return demoSpeed
	}
	return cmd.Speed
}

// clock is the one clock of the process. A demo that goes on in an old folder
// starts behind its last reading: its clock ran ahead of ours.
func (cmd *upCmd) clock(ctx context.Context, data string) (coldkeep.Clock, error) {
	if !cmd.Demo {
		return coldkeep.RealClock{}, nil
	}
	start := time.Now()
	for _, a := range demoAgents {
		last, err := firmware.LastRecorded(ctx, agentFolder(data, a.site, a.agent))
		if err != nil {
			return nil, err
		}
		if last.After(start) {
			start = last.Add(time.Second)
		}
	}
	return coldkeep.NewScaledClock(start, cmd.speed())
}

func agentFolder(data string, site coldkeep.SiteID, agent coldkeep.AgentID) string {
	return filepath.Join(data, "agents", string(site)+"_"+string(agent))
}

// startDemo furnishes the registry and starts the agents: the real firmware over
// simulated probes, speaking MQTT over TCP.
func (cmd *upCmd) startDemo(ctx context.Context, g *errgroup.Group, reg *registry.Registry, data, broker string, clock coldkeep.Clock, stderr io.Writer, log *slog.Logger) ([]registry.DemoPerson, error) {
	secrets, err := deviceSecrets(filepath.Join(data, "devices"))
	if err != nil {
		return nil, err
	}
	phone, err := startPhone(stderr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, phone.Close)
	people, err := reg.FurnishDemo(ctx, secrets, phone.URL()+registry.DemoPhonePath)
	if err != nil {
		return nil, err
	}
	broken, err := keptTime(filepath.Join(data, "demo-breakdown"), clock.Now())
	if err != nil {
		return nil, err
	}
	for _, a := range demoAgents {
		appliances := append([]sim.Appliance(nil), a.appliances...)
		for i := range appliances {
			if appliances[i].Probe == a.broken {
				appliances[i].Faults = sim.Breakdown(broken)
			}
		}
		name := string(a.site) + "/" + string(a.agent)
		cfg := firmware.Config{Site: a.site, Agent: a.agent, Broker: broker, Password: secrets[name], Data: agentFolder(data, a.site, a.agent),
			Clock: clock, Log: log.With("device", name), Version: version, TimeTrust: wire.ClockNTP,
			Source: func(s firmware.Start) (sensors.Source, error) {
				return sim.New(sim.Config{Clock: clock, Interval: s.Interval, History: demoHistory, Resume: s.Last, Appliances: appliances})
			}}
		g.Go(func() error { return firmware.Run(ctx, cfg) })
	}
	return people, nil
}

// startPhone starts the demo's telephone: a receiver of webhooks that prints what
// the clinic manager would be told.
func startPhone(stderr io.Writer) (*webhookfake.Receiver, error) {
	phone, err := webhookfake.New("")
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "startPhone", "the demo's telephone cannot be reached")
	}
	phone.OnRequest(func(r webhookfake.Request) {
		var told webhook.Body
		if json.Unmarshal(r.Body, &told) == nil {
			fmt.Fprintf(stderr, "\n☎  The manager's telephone: %s\n   Answer it on %s\n\n", told.Title, told.Link)
		}
	})
	return phone, nil
}

// keptTime reads a time from a file, or keeps t there: the refrigerator that broke
// down in a demo is still broken when the demo goes on.
func keptTime(path string, t time.Time) (time.Time, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		err = os.WriteFile(path, []byte(t.UTC().Format(time.RFC3339)), 0o600)
		return t, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "keptTime", "%s cannot be written", path)
	}
	if err != nil {
		return t, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "keptTime", "%s cannot be read", path)
	}
	kept, err := time.Parse(time.RFC3339, string(b))
	return kept, coldkeep.Wrap(err, coldkeep.EINVALID, "keptTime", "%s holds no time", path)
}

// lateCollector is what the screens ask of the collector, which is made after the
// registry.
type lateCollector struct{ c atomic.Pointer[collector] }

func (l *lateCollector) set(c *collector) { l.c.Store(c) }

func (l *lateCollector) get() (*collector, error) {
	if c := l.c.Load(); c != nil {
		return c, nil
	}
	return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the collector is starting")
}

// Buckets implements the screens' Readings.
func (l *lateCollector) Buckets(ctx context.Context, a coldkeep.ApplianceID, from, to time.Time, n int) ([]coldkeep.Bucket, error) {
	c, err := l.get()
	if err != nil {
		return nil, err
	}
	return c.reader.Buckets(ctx, a, from, to, n)
}

// Alerts implements the screens' Inbox.
func (l *lateCollector) Alerts(ctx context.Context, site coldkeep.SiteID, onlyOpen bool) ([]coldkeep.Alert, error) {
	c, err := l.get()
	if err != nil {
		return nil, err
	}
	return c.alerts.Alerts(ctx, site, onlyOpen)
}

// Acknowledge implements the screens' Inbox.
func (l *lateCollector) Acknowledge(ctx context.Context, id, person, note string) error {
	c, err := l.get()
	if err != nil {
		return err
	}
	return c.alerts.Acknowledge(ctx, id, person, note)
}

// Subscribe implements the screens' Live.
func (l *lateCollector) Subscribe(ctx context.Context) <-chan coldkeep.LiveEvent {
	c, err := l.get()
	if err != nil {
		closed := make(chan coldkeep.LiveEvent)
		close(closed)
		return closed
	}
	return c.hub.Subscribe(ctx)
}

// Devices implements the screens' Devices.
func (l *lateCollector) Devices(ctx context.Context, site coldkeep.SiteID) ([]coldkeep.DeviceHealth, error) {
	c, err := l.get()
	if err != nil {
		return nil, err
	}
	return c.deviceHealth(ctx, site)
}

// Latest implements the screens' Latest.
func (l *lateCollector) Latest(ctx context.Context, s coldkeep.Series) (coldkeep.Reading, error) {
	c, err := l.get()
	if err != nil {
		return coldkeep.Reading{}, err
	}
	return c.store.Latest(ctx, s)
}

// Verdicts implements the screens' Verdicts.
func (l *lateCollector) Verdicts(ctx context.Context, excursion string) ([]coldkeep.Verdict, error) {
	c, err := l.get()
	if err != nil {
		return nil, err
	}
	return c.judge.Verdicts(ctx, excursion)
}

// Channels implements the screens' Channels.
func (l *lateCollector) Channels(ctx context.Context) ([]string, error) {
	c, err := l.get()
	if err != nil {
		return nil, err
	}
	return c.alerts.Channels(ctx)
}
