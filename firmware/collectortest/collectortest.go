// Package collectortest is a collector in miniature for tests of what runs on the
// device: a real MQTT broker on a TCP port, that takes readings by the wire
// contract, remembers them in memory, and acknowledges. It can be stopped,
// restarted, and told to misbehave. The agent does not link it.
package collectortest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// Collector is a broker with a collector behind it, for one agent.
type Collector struct {
	t        testing.TB
	site     coldkeep.SiteID
	agent    coldkeep.AgentID
	user     string
	password string
	secret   string // SHA-256 of another password that is let in, hex; "" for none
	addr     string
	server   *mqtt.Server

	mu       sync.Mutex
	changed  chan struct{} // closed at each change of view
	view     View
	withhold bool
	refuse   bool
}

// View is what a collector has seen. It outlives the broker, as a database would.
type View struct {
	Records   map[string]map[int64]wire.Record // by epoch and seq
	Came      map[string]map[int64]int         // how often each came
	Batches   []*wire.Batch
	Status    *wire.Status // the latest birth or will
	Offline   int          // how often the status was a will or good-bye
	Refused   int          // connections with wrong credentials
	Connected int          // connections so far
	Bad       []wire.BadRecord
}

// Epochs counts the epochs seen.
func (v *View) Epochs() int { return len(v.Records) }

// Durable is the highest seq up to which the epoch is without a gap.
func (v *View) Durable(epoch string) int64 {
	n := int64(0)
	for _, ok := v.Records[epoch][n+1]; ok; _, ok = v.Records[epoch][n+1] {
		n++
	}
	return n
}

// Start starts a collector for an agent whose user is "site/agent".
func Start(t testing.TB, site coldkeep.SiteID, agent coldkeep.AgentID, password string) *Collector {
	t.Helper()
	c := &Collector{t: t, site: site, agent: agent, user: string(site) + "/" + string(agent), password: password,
		addr: "127.0.0.1:0", changed: make(chan struct{}),
		view: View{Records: make(map[string]map[int64]wire.Record), Came: make(map[string]map[int64]int)}}
	c.Restart()
	t.Cleanup(c.Stop)
	return c
}

// URL is the broker's address; it stays the same over restarts.
func (c *Collector) URL() string { return "tcp://" + c.addr }

// Restart starts the broker, with no memory of sessions and retained messages.
func (c *Collector) Restart() {
	c.t.Helper()
	server := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := server.AddHook(&hook{c: c}, nil); err != nil {
		c.t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: c.addr})
	if err := server.AddListener(l); err != nil {
		c.t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		c.t.Fatal(err)
	}
	c.addr, c.server = l.Address(), server
}

// Stop stops the broker and cuts its connections.
func (c *Collector) Stop() {
	if c.server != nil {
		_ = c.server.Close() // twice is no harm
		c.server = nil
	}
}

// Cut cuts the agent's connection, as a network does; the broker goes on.
func (c *Collector) Cut() {
	for _, cl := range c.server.Clients.GetAll() {
		if !cl.Net.Inline {
			cl.Stop(net.ErrClosed)
		}
	}
}

// Withhold has the collector store and not acknowledge.
func (c *Collector) Withhold(on bool) { c.locked(func() { c.withhold = on }) }

// Refuse has the broker take readings without a PUBACK and without storing them.
func (c *Collector) Refuse(on bool) { c.locked(func() { c.refuse = on }) }

// LetIn lets in a password by its SHA-256 in hex too, as the registry knows it.
func (c *Collector) LetIn(secretSHA256 string) { c.locked(func() { c.secret = secretSHA256 }) }

func (c *Collector) locked(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Ack publishes an acknowledgement.
func (c *Collector) Ack(epoch string, seq int64) {
	c.Send(wire.LeafAck, true, wire.Ack{V: wire.Version, Epoch: epoch, Seq: seq})
}

// Send publishes a payload as JSON to the agent.
func (c *Collector) Send(leaf string, retained bool, payload any) {
	c.t.Helper()
	b, err := json.Marshal(payload)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.server.Publish(wire.Topic(c.site, c.agent, leaf), b, retained, 1); err != nil {
		c.t.Error(err)
	}
}

// Await waits until what has been seen satisfies a condition, and fails the test
// when it does not within 20 seconds. The view is the condition's while it runs.
func (c *Collector) Await(what string, ok func(*View) bool) {
	c.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		c.mu.Lock()
		changed, good := c.changed, ok(&c.view)
		c.mu.Unlock()
		if good {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			c.t.Fatalf("waited %v in vain for: %s", patience, what)
		}
	}
}

// View calls look with what has been seen.
func (c *Collector) View(look func(*View)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	look(&c.view)
}

// hook is the broker's side of the collector.
type hook struct {
	mqtt.HookBase
	c *Collector
}

// ID names the hook.
func (h *hook) ID() string { return "collectortest" }

// Provides lists the events that the hook takes.
func (h *hook) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck || b == mqtt.OnPublish || b == mqtt.OnWillSent
}

// OnConnectAuthenticate checks user and password.
func (h *hook) OnConnectAuthenticate(_ *mqtt.Client, pk packets.Packet) (ok bool) {
	h.c.locked(func() {
		sum := sha256.Sum256(pk.Connect.Password)
		ok = string(pk.Connect.Username) == h.c.user && (string(pk.Connect.Password) == h.c.password || hex.EncodeToString(sum[:]) == h.c.secret)
		if ok {
			h.c.view.Connected++
		} else {
			h.c.view.Refused++
		}
	})
	return ok
}

// OnACLCheck ties the agent to its own topics: it writes readings and status, and
// reads the others.
func (h *hook) OnACLCheck(_ *mqtt.Client, topic string, write bool) bool {
	site, agent, leaf, err := wire.ParseTopic(topic)
	if err != nil || site != h.c.site || agent != h.c.agent {
		return false
	}
	return write == (leaf == wire.LeafReadings || leaf == wire.LeafStatus)
}

// OnPublish takes readings and status.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	_, _, leaf, err := wire.ParseTopic(pk.TopicName)
	if err != nil {
		return pk, packets.ErrRejectPacket
	}
	switch leaf {
	case wire.LeafStatus:
		h.c.status(pk.Payload)
	case wire.LeafReadings:
		if pk.FixedHeader.Retain {
			h.c.t.Error("readings were published retained")
		}
		if !h.c.readings(pk.Payload) {
			return pk, packets.ErrRejectPacket
		}
	}
	return pk, nil
}

// OnWillSent sees the will.
func (h *hook) OnWillSent(_ *mqtt.Client, pk packets.Packet) { h.c.status(pk.Payload) }

func (c *Collector) status(payload []byte) {
	var st wire.Status
	if err := wire.Decode(payload, &st); err != nil {
		c.t.Errorf("status: %v", err)
		return
	}
	c.locked(func() {
		c.view.Status = &st
		if !st.Online {
			c.view.Offline++
		}
	})
}

// readings stores a batch and acknowledges; false is a batch not taken.
func (c *Collector) readings(payload []byte) bool {
	batch, bad, err := wire.DecodeBatch(payload, math.MaxInt64)
	if err != nil {
		c.t.Errorf("readings: %v", err)
		return false
	}
	taken, silent, durable := true, false, int64(0)
	c.locked(func() {
		if taken, silent = !c.refuse, c.withhold; !taken {
			return
		}
		v := &c.view
		v.Batches = append(v.Batches, batch)
		v.Bad = append(v.Bad, bad...)
		if v.Records[batch.Epoch] == nil {
			v.Records[batch.Epoch], v.Came[batch.Epoch] = make(map[int64]wire.Record), make(map[int64]int)
		}
		for i, r := range batch.Records {
			seq := batch.Seq + int64(i)
			v.Came[batch.Epoch][seq]++
			if old, had := v.Records[batch.Epoch][seq]; had && old != r {
				c.t.Errorf("record %d of %s came as %+v and as %+v", seq, batch.Epoch, old, r)
			}
			v.Records[batch.Epoch][seq] = r
		}
		durable = v.Durable(batch.Epoch)
	})
	if taken && !silent {
		c.Ack(batch.Epoch, durable)
	}
	return taken
}
