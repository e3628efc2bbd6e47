// Package broker is the embedded MQTT broker of a small installation. Nothing
// trusts it with the only copy of anything: agents keep what the collector has not
// acknowledged, and acks and states are retained only to be found again quickly.
package broker

import (
	"crypto/subtle"
	"log/slog"
	"net"
	"strings"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// CollectorUser is the account that may read and write all of the contract's
// topics.
const CollectorUser = "collector"

// Devices tells whether a device's user name and password are right, and which
// agent it is.
type Devices interface {
	CheckDevice(username, password string) (site coldkeep.SiteID, agent coldkeep.AgentID, ok bool)
}

// Config says where the broker listens and whom it lets in.
type Config struct {
	Addr              string // host:port; port 0 picks a free one
	CollectorPassword string
	Devices           Devices
	Log               *slog.Logger
}

// Broker is a running broker.
type Broker struct {
	server *mqtt.Server
	addr   string
}

// Start listens and serves until Close. An address that cannot be had is
// EUNAVAILABLE.
func Start(cfg Config) (*Broker, error) {
	caps := mqtt.NewDefaultServerCapabilities()
	// A client that went away keeps nothing here: its own outbox does.
	caps.MaximumSessionExpiryInterval = 0
	caps.MaximumPacketSize = wire.MaxPayload + 4096 // topic and header
	caps.MaximumClients = 10_000
	s := mqtt.New(&mqtt.Options{Capabilities: caps, Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(&gate{cfg: cfg, server: s}, nil); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "broker.Start", "hook")
	}
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "broker.Start", "MQTT address %s cannot be listened on", cfg.Addr)
	}
	if err := s.AddListener(listeners.NewNet("tcp", ln)); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "broker.Start", "MQTT address %s", cfg.Addr)
	}
	if err := s.Serve(); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "broker.Start", "MQTT broker")
	}
	return &Broker{server: s, addr: ln.Addr().String()}, nil
}

// Addr is the host:port it listens on.
func (b *Broker) Addr() string { return b.addr }

// Close stops the broker.
func (b *Broker) Close() error { return b.server.Close() }

type identity struct {
	site  coldkeep.SiteID
	agent coldkeep.AgentID
}

// gate lets clients in and keeps each to its own topics.
type gate struct {
	mqtt.HookBase
	cfg    Config
	server *mqtt.Server

	clients sync.Map // *mqtt.Client → identity; the collector's is empty
}

// ID names the hook.
func (g *gate) ID() string { return "gate" }

// Provides lists what the hook answers for.
func (g *gate) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck || b == mqtt.OnPublish || b == mqtt.OnDisconnect
}

// OnConnectAuthenticate checks a client's account, and what the access list does
// not see: its will, and whose client id it takes.
func (g *gate) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	user, password := string(pk.Connect.Username), string(pk.Connect.Password)
	var id identity
	if user == CollectorUser {
		if g.cfg.CollectorPassword == "" || subtle.ConstantTimeCompare([]byte(password), []byte(g.cfg.CollectorPassword)) != 1 {
			return g.refused(cl, user, "wrong password")
		}
	} else {
		site, agent, ok := g.cfg.Devices.CheckDevice(user, password)
		if !ok {
			return g.refused(cl, user, "unknown user or wrong password")
		}
		id = identity{site, agent}
		// The broker sends a will past the access list.
		if pk.Connect.WillFlag && pk.Connect.WillTopic != wire.Topic(site, agent, wire.LeafStatus) {
			return g.refused(cl, user, "its will is for another topic than its own status")
		}
	}
	// A second client of one id throws the first one out; only its own account may.
	if there, ok := g.server.Clients.Get(pk.Connect.ClientIdentifier); ok && !there.Closed() && string(there.Properties.Username) != user {
		return g.refused(cl, user, "its client id is another's")
	}
	g.clients.Store(cl, id)
	return true
}

func (g *gate) refused(cl *mqtt.Client, user, why string) bool {
	g.cfg.Log.Warn("MQTT client refused", "user", user, "from", cl.Net.Remote, "reason", why)
	return false
}

// OnPublish keeps readings from being retained: they would come again at every
// subscription of a collector.
func (g *gate) OnPublish(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Retain && strings.HasSuffix(pk.TopicName, "/"+wire.LeafReadings) {
		pk.FixedHeader.Retain = false
	}
	return pk, nil
}

// OnDisconnect forgets a client.
func (g *gate) OnDisconnect(cl *mqtt.Client, _ error, _ bool) { g.clients.Delete(cl) }

// OnACLCheck lets a device write its readings and status, and read its acks,
// configuration and commands; nothing else, and nothing of another device.
func (g *gate) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	v, ok := g.clients.Load(cl)
	if !ok {
		return false
	}
	id := v.(identity)
	if id == (identity{}) {
		return strings.HasPrefix(topic, wire.Prefix)
	}
	site, agent, leaf, err := wire.ParseTopic(topic)
	if err != nil || site != id.site || agent != id.agent {
		return false
	}
	switch leaf {
	case wire.LeafReadings, wire.LeafStatus:
		return write
	case wire.LeafAck, wire.LeafConfig, wire.LeafCommand:
		return !write
	}
	return false
}
