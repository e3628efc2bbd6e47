package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// group is the devices of one connection.
type group struct {
	f       *Fleet
	devices []*device
	wake    chan struct{}

	mu   sync.Mutex
	byID map[coldkeep.AgentID]*device
}

var errMute = errors.New("the broker does not answer")

// nudge wakes run.
func (g *group) nudge() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// The waits between two tries to connect, as a device has them but shorter: a test
// has less patience than a fridge.
const (
	firstWait = 100 * time.Millisecond
	mostWait  = 2 * time.Second
)

func (g *group) run(ctx context.Context) {
	g.byID = map[coldkeep.AgentID]*device{}
	for _, d := range g.devices {
		g.byID[d.name] = d
	}
	wait := firstWait
	for ctx.Err() == nil {
		began := time.Now()
		err := g.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			g.f.lost.Add(1)
		}
		if time.Since(began) > mostWait {
			wait = firstWait
		}
		_ = coldkeep.RealClock{}.Sleep(ctx, wait) // the loop sees an end
		wait = min(wait*2, mostWait)
	}
	g.mu.Lock()
	for _, d := range g.devices {
		d.forgetFlights()
	}
	g.mu.Unlock()
}

// session is one connection, from connecting to its loss.
func (g *group) session(ctx context.Context) error {
	cfg := &g.f.cfg
	first := g.devices[0]
	user, password := "", ""
	if cfg.Account != nil {
		user, password = cfg.Account(first.number)
	}
	var will *packetWill
	if len(g.devices) == 1 {
		will = &packetWill{wire.Topic(cfg.Site, first.name, wire.LeafStatus), []byte(`{"v":1,"online":false}`)}
	}
	c, err := dial(ctx, cfg.Broker, fmt.Sprintf("fleet-%s-%s", cfg.Site, first.name), user, password, will)
	if err != nil {
		return err
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	c.onPublish = g.heard
	g.mu.Lock()
	for _, d := range g.devices {
		d.forgetFlights()
	}
	g.mu.Unlock()
	if !cfg.Forget {
		var topics []string
		for _, d := range g.devices {
			topics = append(topics, wire.Topic(cfg.Site, d.name, wire.LeafAck), wire.Topic(cfg.Site, d.name, wire.LeafCommand))
		}
		if err := c.subscribe(topics); err != nil {
			return err
		}
	}
	go c.read()
	if err := g.births(c); err != nil {
		return err
	}
	return g.pump(ctx, c)
}

// births publishes the devices' status, retained.
func (g *group) births(c *client) error {
	for _, d := range g.devices {
		st := wire.Status{V: wire.Version, Online: true, Epoch: d.epoch, Version: "fleet", Config: 1, Key: d.keyID, Pub: d.pub, Probes: []wire.ProbeInfo{{Probe: Probe, Kind: "ds18b20"}}}
		payload, err := json.Marshal(st)
		if err != nil {
			return err
		}
		if err := c.publish(wire.Topic(g.f.cfg.Site, d.name, wire.LeafStatus), payload, true); err != nil {
			return err
		}
	}
	return c.flush()
}

// pump sends what the devices have until the connection ends.
func (g *group) pump(ctx context.Context, c *client) error {
	cfg := &g.f.cfg
	var buf []byte
	keepAlive := time.NewTicker(pingEvery)
	defer keepAlive.Stop()
	for {
		var wake time.Time
		busy := false
		for _, d := range g.devices {
			now := time.Now()
			if cfg.Forget && g.f.acked.Load() >= g.f.allowed.Load() {
				continue
			}
			g.mu.Lock()
			if g.f.endless.Load() && d.next > d.produced && len(d.flying) < d.window {
				d.produce(cfg.Batch)
			}
			m, ok, at := d.take(now, buf)
			g.mu.Unlock()
			if !ok {
				if !at.IsZero() && (wake.IsZero() || at.Before(wake)) {
					wake = at
				}
				continue
			}
			busy, buf = true, m.payload
			g.f.sent.Add(1)
			if !m.fresh {
				g.f.resent.Add(1)
			} else if g.f.OnSend != nil {
				g.f.OnSend(d.number, m.from, m.to, now)
			}
			if err := c.publish(d.topic, m.payload, false); err != nil {
				return err
			}
			if cfg.Forget && m.fresh {
				g.f.acked.Add(m.to - m.from + 1)
			}
		}
		if busy {
			select {
			case <-keepAlive.C:
				if err := c.ping(); err != nil {
					return err
				}
			default:
			}
			continue
		}
		if err := c.flush(); err != nil {
			return err
		}
		if c.mute(cfg.ResendAfter) {
			return errMute
		}
		wait := time.Hour
		if !wake.IsZero() {
			wait = max(time.Until(wake), time.Millisecond)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-g.wake:
		case <-timer.C:
		case <-keepAlive.C:
			if err := c.ping(); err != nil {
				timer.Stop()
				return err
			}
		case <-c.done:
		}
		timer.Stop()
		select {
		case <-c.done:
			return c.err()
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
	}
}

// heard deals with what the collector says.
func (g *group) heard(topic string, payload []byte) {
	_, name, leaf, err := wire.ParseTopic(topic)
	if err != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.byID[name]
	if d == nil {
		return
	}
	switch leaf {
	case wire.LeafAck:
		var a wire.Ack
		if wire.Decode(payload, &a) != nil || a.Epoch != d.epoch {
			return // a damaged message is no word of the collector's
		}
		if a.Seq > d.produced {
			g.f.note("%s: ack of %d, and there are %d records", name, a.Seq, d.produced)
			return
		}
		if moved := d.ack(a.Seq, time.Now(), g.f.OnAck); moved > 0 {
			g.f.acked.Add(moved)
			g.nudge()
		}
	case wire.LeafCommand:
		var c wire.Command
		if wire.Decode(payload, &c) != nil || c.Cmd != wire.CommandResend || c.Epoch != d.epoch {
			return
		}
		if s := (span{max(c.From, 1), min(c.To, d.produced)}); s.from <= s.to && len(d.again) < 16 {
			d.again = append(d.again, s)
			g.nudge()
		}
	}
}
