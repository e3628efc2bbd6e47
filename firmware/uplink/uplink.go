// Package uplink carries the outbox to the collector over MQTT 3.1.1, by the wire
// contract.
//
// Delivery is the collector's own acknowledgement and nothing else. Paho
// completes publish tokens without error for messages that no broker has taken
// (paho.mqtt.golang #563), and a broker's PUBACK says nothing about the collector's
// disk; so tokens serve to notice a dead connection only, and the outbox keeps
// every record until the ack. Paho runs with AutoReconnect off, a clean session and
// its memory store: one client a connection, thrown away with it.
//
// All of this runs on the machine's clock: a network does not run faster because a
// demo does.
package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// The defaults of Config.
const (
	// ResendAfter is from the wire contract.
	ResendAfter = 30 * time.Second
	// Window is how many full batches may wait for their ack, or four times as many
	// short ones. The collector acks at most once a second, so that it bounds the rate
	// at 16,000 records a second.
	Window = 16
	// Newest is how many records are delivered first after an outage, the latest of all:
	// an hour of eight probes a minute apart. The collector alarms by what is now.
	Newest = 500
	// Backfill bounds the rate, in records a second, at which what is older follows, the
	// oldest first: three days of eight probes take 17 seconds, and a region's devices
	// that come back together leave room for what is new.
	Backfill   = 2000
	MinBackoff = 500 * time.Millisecond
	MaxBackoff = 30 * time.Second
)

const (
	connectTimeout = 15 * time.Second
	writeTimeout   = 10 * time.Second
	keepAlive      = 30 * time.Second
)

// Config says where the collector's broker is and what to do with its word.
type Config struct {
	Broker   string // such as "tcp://127.0.0.1:1883" or "ssl://host:8883"
	Username string
	Password string
	TLS      *tls.Config // for ssl, tls, mqtts and wss; nil is the system's roots
	Site     coldkeep.SiteID
	Agent    coldkeep.AgentID
	Outbox   *outbox.Box
	Log      *slog.Logger

	// Status gives what the birth message says; V, Online and Epoch are filled in.
	Status func() wire.Status
	// OnConfig and OnCommand are called from the uplink's goroutine and must not
	// block. Resend commands are the uplink's own and do not reach OnCommand.
	OnConfig  func(wire.Config)
	OnCommand func(wire.Command)

	ResendAfter time.Duration // 0 is ResendAfter, 30 s
	Window      int           // 0 is Window, 16
	Newest      int           // 0 is Newest, 500
	Backfill    int           // 0 is Backfill, 2000
	MinBackoff  time.Duration // 0 is MinBackoff, 500 ms
	MaxBackoff  time.Duration // 0 is MaxBackoff, 30 s
}

// Uplink delivers an outbox.
type Uplink struct {
	cfg      Config
	broker   string // without secrets, for logs
	announce chan struct{}
}

// schemes are those of paho that a field device has a use for.
var schemes = map[string]bool{"tcp": true, "mqtt": true, "ssl": true, "tls": true, "mqtts": true, "ws": true, "wss": true}

// ParseBroker checks a broker's address. One that is not scheme://host:port is
// EINVALID; credentials in it are refused, because addresses end up in logs.
func ParseBroker(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "the broker's address is not a URL; want one such as tcp://127.0.0.1:1883")
	case u.User != nil:
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "broker %s: credentials do not belong into the address; use username and password file", u.Redacted())
	case !schemes[u.Scheme] || u.Hostname() == "":
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "broker %q: want scheme://host:port with tcp, mqtt, ssl, tls, mqtts, ws or wss", s)
	case u.Port() == "" && !strings.HasPrefix(u.Scheme, "ws"):
		port := "1883"
		if u.Scheme != "tcp" && u.Scheme != "mqtt" {
			port = "8883"
		}
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}

// New makes an uplink. A wrong broker address, site or agent is EINVALID.
func New(cfg Config) (*Uplink, error) {
	u, err := ParseBroker(cfg.Broker)
	if err != nil {
		return nil, err
	}
	cfg.Broker = u.String()
	if !wire.ValidName(string(cfg.Site)) || !wire.ValidName(string(cfg.Agent)) {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "site %q, agent %q: want [a-z0-9-], 1 to 64 of them", cfg.Site, cfg.Agent)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Status == nil {
		cfg.Status = func() wire.Status { return wire.Status{} }
	}
	if cfg.OnConfig == nil {
		cfg.OnConfig = func(wire.Config) {}
	}
	if cfg.OnCommand == nil {
		cfg.OnCommand = func(wire.Command) {}
	}
	setDefault(&cfg.ResendAfter, ResendAfter)
	setDefault(&cfg.Window, Window)
	setDefault(&cfg.Newest, Newest)
	setDefault(&cfg.Backfill, Backfill)
	setDefault(&cfg.MinBackoff, MinBackoff)
	setDefault(&cfg.MaxBackoff, MaxBackoff)
	return &Uplink{cfg: cfg, broker: u.Redacted(), announce: make(chan struct{}, 1)}, nil
}

func setDefault[T time.Duration | int](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Announce publishes the status again, because what it says has changed.
func (u *Uplink) Announce() {
	select {
	case u.announce <- struct{}{}:
	default: // about to be published
	}
}

// Run connects, delivers, and connects again when the connection is lost, until
// ctx ends. It returns nil then: no state of the network is an error, the outbox
// holds the records.
func (u *Uplink) Run(ctx context.Context) error {
	var failed int // attempts in a row
	var told error
	var toldAt time.Time
	for ctx.Err() == nil {
		good, err := u.connection(ctx)
		if ctx.Err() != nil {
			break
		}
		if good {
			failed, told = 0, nil
		}
		// A broker that is away for days is told of when it goes, when the reason
		// changes, and every quarter of an hour.
		if told == nil || told.Error() != err.Error() || time.Since(toldAt) > 15*time.Minute {
			u.complain(err)
			told, toldAt = err, time.Now()
		}
		wait := u.cfg.MaxBackoff
		if failed < 16 {
			wait = min(u.cfg.MinBackoff<<failed, u.cfg.MaxBackoff)
		}
		failed++
		// Half of it at random: the agents of a region come back one by one.
		wait = wait/2 + rand.N(wait/2+1)
		_ = coldkeep.RealClock{}.Sleep(ctx, wait) // the loop looks at ctx
	}
	return nil
}

func (u *Uplink) complain(err error) {
	log := u.cfg.Log.With("broker", u.broker, "user", u.cfg.Username)
	if errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) || errors.Is(err, packets.ErrorRefusedNotAuthorised) {
		log.Error("broker refuses these credentials; check user and password file. Trying again", "err", err)
		return
	}
	log.Warn("no connection to the broker; readings are kept. Trying again", "err", err)
}

// errLost is a connection that ended without a reason from paho.
var errLost = errors.New("connection lost")

// connection runs one connection from CONNECT to its end, and reports whether it
// was good: it delivered something, or held for a while.
func (u *Uplink) connection(ctx context.Context) (good bool, err error) {
	s := &session{Uplink: u, box: u.cfg.Outbox, inbox: newInbox(), lost: make(chan struct{}), window: u.cfg.Window}
	o := mqtt.NewClientOptions().
		AddBroker(u.cfg.Broker).
		SetClientID("coldkeep_"+string(u.cfg.Site)+"_"+string(u.cfg.Agent)). // no name holds an underscore, so no two devices share one; NATS takes no dots
		SetUsername(u.cfg.Username).
		SetPassword(u.cfg.Password).
		SetProtocolVersion(4). // or paho tries 3.1 after a refusal
		SetCleanSession(true).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetKeepAlive(keepAlive).
		SetPingTimeout(keepAlive/3).
		SetConnectTimeout(connectTimeout).
		SetWriteTimeout(writeTimeout).
		SetDialer(&net.Dialer{Timeout: connectTimeout}).
		SetDefaultPublishHandler(s.inbox.receive).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) {
			s.lostErr = err
			close(s.lost)
		}).
		SetBinaryWill(u.topic(wire.LeafStatus), offline(), 1, true)
	if u.cfg.TLS != nil {
		o.SetTLSConfig(u.cfg.TLS)
	}
	s.client = mqtt.NewClient(o)
	defer s.client.Disconnect(0)
	if err := s.await(ctx, s.client.Connect(), connectTimeout+writeTimeout); err != nil {
		return false, err
	}
	began := time.Now()
	err = s.run(ctx)
	return s.delivered || time.Since(began) > u.cfg.MaxBackoff, err
}

func (u *Uplink) topic(leaf string) string { return wire.Topic(u.cfg.Site, u.cfg.Agent, leaf) }
