// Package broker is the embedded MQTT broker of a small installation. Nothing
// trusts it with the only copy of anything: agents keep what the collector has not
// acknowledged, and acks and states are retained only to be found again quickly.
package broker

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
	// Addr is host:port for plain TCP; port 0 picks a free one. "" is none.
	Addr string
	// TLSAddr is host:port for TLS as TLS has it; "" is none.
	TLSAddr string
	// WSAddr is host:port for MQTT over WebSocket, at the paths / and /mqtt: with TLS when
	// TLS is set, without for a proxy that has it; "" is none.
	WSAddr string
	TLS    *tls.Config

	CollectorPassword string
	Devices           Devices
	// Certified tells which agent it is whose client certificate, which TLS has verified,
	// has a common name, and that it may still come: it then needs no password. nil:
	// certificates say nothing.
	Certified func(commonName string) (site coldkeep.SiteID, agent coldkeep.AgentID, ok bool)

	// Take, when it is set, is handed every message on the topics of readings and status
	// in this process, with the payload good until it returns. While it waits, only that
	// device's connection is not read from. An error says that it was not taken: the
	// device gets no PUBACK and sends it again.
	//
	// A subscriber over TCP would lose some: what does not fit into its queue is dropped
	// and nobody is told.
	Take func(ctx context.Context, topic string, payload []byte, retained bool) error

	Log *slog.Logger
}

// Broker is a running broker.
type Broker struct {
	server   *mqtt.Server
	addr     string
	tls      string
	ws       string
	shutdown context.CancelFunc
}

const (
	// writesPending is how many messages wait for one client: acks, configuration and
	// commands, each of which is said again.
	writesPending = 256
	// writesPendingTCP leaves room for a collector that subscribes over TCP.
	writesPendingTCP = 8192
	// willTimeout bounds how long a will waits for the intake; the broker's own clean-up
	// waits with it.
	willTimeout = 5 * time.Second
)

// Start listens and serves until Close. An address that cannot be had is
// EUNAVAILABLE, none at all EINVALID.
func Start(cfg Config) (*Broker, error) {
	if cfg.Addr == "" && cfg.TLSAddr == "" && cfg.WSAddr == "" || cfg.TLSAddr != "" && cfg.TLS == nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "the broker has no address to listen on, or one for TLS and no certificate")
	}
	caps := mqtt.NewDefaultServerCapabilities()
	// A client that went away keeps nothing here: its own outbox does.
	caps.MaximumSessionExpiryInterval = 0
	caps.MaximumPacketSize = wire.MaxPayload + 4096 // topic and header
	caps.MaximumClients = 10_000
	caps.MaximumClientWritesPending = writesPendingTCP
	if cfg.Take != nil {
		caps.MaximumClientWritesPending = writesPending
	}
	s := mqtt.New(&mqtt.Options{Capabilities: caps, Logger: slog.New(slog.DiscardHandler), InlineClient: true})
	ctx, shutdown := context.WithCancel(context.Background())
	b := &Broker{server: s, shutdown: shutdown}
	if err := s.AddHook(&gate{cfg: cfg, server: s, ctx: ctx}, nil); err != nil {
		return nil, errors.Join(coldkeep.Wrap(err, coldkeep.EINTERNAL, "broker.Start", "hook"), b.Close())
	}
	var err error
	if b.addr, err = b.listen("tcp", cfg.Addr, nil); err == nil {
		b.tls, err = b.listen("tls", cfg.TLSAddr, cfg.TLS)
	}
	if err == nil {
		b.ws, err = b.listen("ws", cfg.WSAddr, cfg.TLS)
	}
	if err == nil {
		err = coldkeep.Wrap(s.Serve(), coldkeep.EUNAVAILABLE, "broker.Start", "MQTT broker")
	}
	if err != nil {
		_ = b.Close() // nothing was served
		return nil, err
	}
	return b, nil
}

// listen opens a listener, or none without an address.
func (b *Broker) listen(id, addr string, config *tls.Config) (string, error) {
	if addr == "" {
		return "", nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "broker.Start", "MQTT address %s cannot be listened on", addr)
	}
	at := ln.Addr().String()
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	var l listeners.Listener = listeners.NewNet(id, ln)
	if id == "ws" {
		scheme := "ws"
		if config != nil {
			scheme = "wss"
		}
		l = newWebSocket(id, ln, scheme)
	}
	if err := b.server.AddListener(l); err != nil {
		return "", errors.Join(coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "broker.Start", "MQTT address %s", addr), ln.Close())
	}
	return at, nil
}

// Addr is the host:port it listens on without TLS, "" for none.
func (b *Broker) Addr() string { return b.addr }

// TLSAddr is the host:port it listens on with TLS, "" for none.
func (b *Broker) TLSAddr() string { return b.tls }

// WSAddr is the host:port it listens on for WebSocket, "" for none.
func (b *Broker) WSAddr() string { return b.ws }

// Publish sends a message from this process to those who have subscribed to its
// topic, with QoS 1.
func (b *Broker) Publish(_ context.Context, topic string, retained bool, payload []byte) error {
	return coldkeep.Wrap(b.server.Publish(topic, payload, retained, 1), coldkeep.EUNAVAILABLE, "broker.Publish", "topic %s", topic)
}

// Close stops the broker.
func (b *Broker) Close() error {
	b.shutdown()
	return b.server.Close()
}

type identity struct {
	site  coldkeep.SiteID
	agent coldkeep.AgentID
}

// gate lets clients in and keeps each to its own topics.
type gate struct {
	mqtt.HookBase
	cfg    Config
	server *mqtt.Server
	ctx    context.Context // ends with the broker

	clients    sync.Map     // *mqtt.Client → identity; the collector's is empty
	collectors atomic.Int64 // connections of the collector's account
}

// ID names the hook.
func (g *gate) ID() string { return "gate" }

// Provides lists what the hook answers for.
func (g *gate) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck || b == mqtt.OnPublish || b == mqtt.OnWillSent || b == mqtt.OnDisconnect
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
		site, agent, ok, why := g.device(cl, user, password)
		if !ok {
			return g.refused(cl, user, why)
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
	if id == (identity{}) {
		g.collectors.Add(1)
	}
	return true
}

// device tells which device a client is, by its certificate or its password.
func (g *gate) device(cl *mqtt.Client, user, password string) (site coldkeep.SiteID, agent coldkeep.AgentID, ok bool, why string) {
	if name := commonName(cl); name != "" && g.cfg.Certified != nil {
		if user != "" && user != name {
			return "", "", false, "its certificate is " + strconv.Quote(name) + "'s"
		}
		site, agent, ok = g.cfg.Certified(name)
		return site, agent, ok, "its certificate names no device that may come"
	}
	site, agent, ok = g.cfg.Devices.CheckDevice(user, password)
	return site, agent, ok, "unknown user or wrong password"
}

// commonName is that of a client's certificate, "" without one that was verified.
func commonName(cl *mqtt.Client) string {
	c, ok := cl.Net.Conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return ""
	}
	state := c.ConnectionState()
	if len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return ""
	}
	return state.PeerCertificates[0].Subject.CommonName
}

func (g *gate) refused(cl *mqtt.Client, user, why string) bool {
	g.cfg.Log.Warn("MQTT client refused", "user", user, "from", cl.Net.Remote, "reason", why)
	return false
}

// OnPublish keeps readings from being retained: they would come again at every
// subscription of a collector. It hands devices' messages to the intake, if that is
// in this process, before the device hears that they have come.
func (g *gate) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	reading := strings.HasSuffix(pk.TopicName, "/"+wire.LeafReadings)
	if reading {
		pk.FixedHeader.Retain = false
	}
	if g.cfg.Take == nil || !reading && !strings.HasSuffix(pk.TopicName, "/"+wire.LeafStatus) {
		return pk, nil
	}
	if err := g.cfg.Take(g.ctx, pk.TopicName, pk.Payload, false); err != nil {
		return pk, packets.ErrRejectPacket // any other error would be acknowledged
	}
	// Nobody but the collector's account may read readings.
	pk.Ignore = reading && g.collectors.Load() == 0
	return pk, nil
}

// OnWillSent hands the intake a will, which does not pass OnPublish.
func (g *gate) OnWillSent(_ *mqtt.Client, pk packets.Packet) {
	if g.cfg.Take == nil || g.ctx.Err() != nil { // a broker that stops says nothing of its devices
		return
	}
	ctx, cancel := context.WithTimeout(g.ctx, willTimeout)
	defer cancel()
	if err := g.cfg.Take(ctx, pk.TopicName, pk.Payload, false); err != nil && g.ctx.Err() == nil {
		g.cfg.Log.Warn("a device's will could not be taken in; that it is silent will tell", "topic", pk.TopicName, "error", err)
	}
}

// OnDisconnect forgets a client.
func (g *gate) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	if id, ok := g.clients.LoadAndDelete(cl); ok && id == (identity{}) {
		g.collectors.Add(-1)
	}
}

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
