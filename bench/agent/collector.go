package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/coldkeep/coldkeep/gateway/wire"
)

// collector acknowledges each batch at once, and keeps nothing but the count.
type collector struct {
	mqtt.HookBase
	server *mqtt.Server
	addr   string

	mu         sync.Mutex
	changed    chan struct{}
	epoch      string
	acked      int64
	batches    int
	firstBatch time.Time
	lastAck    time.Time
}

func newCollector(addr string) (*collector, error) {
	c := &collector{changed: make(chan struct{}, 1)}
	c.server = mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := c.server.AddHook(c, nil); err != nil {
		return nil, err
	}
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: addr})
	if err := c.server.AddListener(l); err != nil {
		return nil, err
	}
	c.addr = l.Address()
	return c, c.server.Serve()
}

func (c *collector) stop() { _ = c.server.Close() } // its end is the program's

// ID names the hook.
func (c *collector) ID() string { return "bench" }

// Provides lists the events that the hook takes.
func (c *collector) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck || b == mqtt.OnPublish
}

// OnConnectAuthenticate lets everybody in who knows the password.
func (c *collector) OnConnectAuthenticate(_ *mqtt.Client, pk packets.Packet) bool {
	return string(pk.Connect.Password) == password
}

// OnACLCheck allows everything.
func (c *collector) OnACLCheck(*mqtt.Client, string, bool) bool { return true }

// OnPublish takes a batch and acknowledges it.
func (c *collector) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	site, agent, leaf, err := wire.ParseTopic(pk.TopicName)
	if err != nil || leaf != wire.LeafReadings {
		return pk, err
	}
	b, _, err := wire.DecodeBatch(pk.Payload, time.Now().UnixMilli()+1000)
	if err != nil {
		return pk, err
	}
	c.mu.Lock()
	if c.batches++; c.batches == 1 {
		c.firstBatch = time.Now()
	}
	if c.epoch == "" {
		c.epoch = b.Epoch
	}
	if b.Seq <= c.acked+1 {
		c.acked = max(c.acked, b.Seq+int64(len(b.Records))-1)
	}
	c.lastAck = time.Now()
	ack, err := json.Marshal(wire.Ack{V: wire.Version, Epoch: b.Epoch, Seq: c.acked})
	c.mu.Unlock()
	if err != nil {
		return pk, err
	}
	select {
	case c.changed <- struct{}{}:
	default: // awake already
	}
	return pk, c.server.Publish(wire.Topic(site, agent, wire.LeafAck), ack, true, 1)
}

func (c *collector) durable() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acked
}

// until waits until ok, which may look at the counts.
func (c *collector) until(ctx context.Context, limit time.Duration, ok func() bool) error {
	over := time.NewTimer(limit)
	defer over.Stop()
	for {
		c.mu.Lock()
		good := ok()
		c.mu.Unlock()
		if good {
			return nil
		}
		select {
		case <-c.changed:
		case <-over.C:
			return fmt.Errorf("not within %v", limit)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
