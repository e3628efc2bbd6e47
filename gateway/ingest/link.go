package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// LinkConfig says which broker the collector reads from.
type LinkConfig struct {
	Broker   string // tcp://, ssl:// or ws:// URL
	ClientID string // stable and unique on the broker
	Username string
	Password string
	TLS      *tls.Config
	Log      *slog.Logger
}

// Link is the collector's connection to the broker. It connects anew whenever it
// is cut; what was under way is sent again by the agents, which trust only acks.
type Link struct {
	cfg LinkConfig

	mu        sync.Mutex
	client    mqtt.Client // nil while away
	connected []func()
	sites     []coldkeep.SiteID // nil: all
	changed   chan struct{}     // holds a token when sites have changed
}

// NewLink makes a link; Run connects it. A broker URL of another kind than tcp,
// mqtt, ssl, tls, mqtts, ws or wss is EINVALID.
func NewLink(cfg LinkConfig) (*Link, error) {
	u, err := url.Parse(cfg.Broker)
	if err != nil || u.Host == "" || !slices.Contains([]string{"tcp", "mqtt", "ssl", "tls", "mqtts", "ws", "wss"}, u.Scheme) {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "MQTT broker %q: want a URL such as tcp://host:1883 or ssl://host:8883", cfg.Broker)
	}
	return &Link{cfg: cfg, changed: make(chan struct{}, 1)}, nil
}

// OnConnect has f called after every connection. Call it before Run.
func (l *Link) OnConnect(f func()) { l.connected = append(l.connected, f) }

// SetSites narrows what comes to some sites; nil is all.
func (l *Link) SetSites(sites []coldkeep.SiteID) {
	l.mu.Lock()
	l.sites = slices.Clone(sites)
	if sites != nil && l.sites == nil {
		l.sites = []coldkeep.SiteID{}
	}
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default: // it will be looked at anyway
	}
}

// filters are what the collector subscribes to.
func (l *Link) filters() map[string]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]byte{}
	add := func(site string) {
		out[wire.Prefix+site+"/+/"+wire.LeafStatus] = 1
		out[wire.Prefix+site+"/+/"+wire.LeafReadings] = 1
	}
	if l.sites == nil {
		add("+")
	}
	for _, s := range l.sites {
		add(string(s))
	}
	return out
}

// subscribe makes the subscriptions those that are wanted now, and returns them.
func (l *Link) subscribe(ctx context.Context, client mqtt.Client, have map[string]byte) (map[string]byte, error) {
	want := l.filters()
	fresh := map[string]byte{}
	var gone []string
	for f, qos := range want {
		// The births that a broker retains are wanted again with every change: some are of
		// devices that were another's before.
		if _, ok := have[f]; !ok || strings.HasSuffix(f, "/"+wire.LeafStatus) {
			fresh[f] = qos
		}
	}
	for f := range have {
		if _, ok := want[f]; !ok {
			gone = append(gone, f)
		}
	}
	if len(fresh) > 0 {
		if err := wait(ctx, client.SubscribeMultiple(fresh, nil), connectTimeout); err != nil {
			return nil, err
		}
	}
	if len(gone) > 0 {
		if err := wait(ctx, client.Unsubscribe(gone...), connectTimeout); err != nil {
			return nil, err
		}
	}
	return want, nil
}

// Connected reports whether the broker is there.
func (l *Link) Connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.client != nil && l.client.IsConnectionOpen()
}

const (
	connectTimeout = 10 * time.Second
	// pingTimeout is long, because while the stores are slow nothing is read, the answer
	// to a ping neither. A peer that is gone is found by TCP's own keep-alive.
	pingTimeout  = 2 * time.Minute
	backoffFirst = 200 * time.Millisecond
	backoffMost  = 15 * time.Second
)

// Run keeps the link up until ctx ends and hands every message to handle, one at
// a time; while handle waits, the connection is not read from.
func (l *Link) Run(ctx context.Context, handle func(context.Context, Message) error) error {
	wait := backoffFirst
	for ctx.Err() == nil {
		started := time.Now()
		err := l.session(ctx, handle)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(started) > backoffMost {
			wait = backoffFirst
		}
		msg := "broker is away; connecting again"
		if errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) || errors.Is(err, packets.ErrorRefusedNotAuthorised) {
			msg = "broker refuses this user or its password; trying again"
		}
		l.cfg.Log.Warn(msg, "broker", l.cfg.Broker, "user", l.cfg.Username, "error", err)
		// Jitter keeps many collectors from coming back in one moment.
		if err := (coldkeep.RealClock{}).Sleep(ctx, wait/2+rand.N(wait/2+1)); err != nil {
			return nil
		}
		wait = min(wait*2, backoffMost)
	}
	return nil
}

// session is one connection, from connecting to its loss.
func (l *Link) session(ctx context.Context, handle func(context.Context, Message) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lost := make(chan error, 1)
	opts := mqtt.NewClientOptions().AddBroker(l.cfg.Broker).SetClientID(l.cfg.ClientID).
		SetUsername(l.cfg.Username).SetPassword(l.cfg.Password).SetTLSConfig(l.cfg.TLS).
		// Own reconnecting: with paho's a token may finish without an error for a message
		// that was never delivered.
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).
		SetConnectTimeout(connectTimeout).SetWriteTimeout(connectTimeout).SetKeepAlive(30 * time.Second).SetPingTimeout(pingTimeout).SetOrderMatters(true).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }).
		// Over websockets paho reads by itself.
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			_ = handle(ctx, Message{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained()}) // ctx ended, and the session with it
		})
	if !strings.HasPrefix(l.cfg.Broker, "ws") {
		opts.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
			return dial(ctx, u, l.cfg.TLS, func(topic string, payload []byte, size int, retained bool) error {
				return handle(ctx, Message{Topic: topic, Payload: payload, Size: size, Retained: retained})
			})
		})
	}
	client := mqtt.NewClient(opts)
	if err := wait(ctx, client.Connect(), connectTimeout); err != nil {
		client.Disconnect(0)
		return err
	}
	defer client.Disconnect(100)
	have, err := l.subscribe(ctx, client, nil)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.client = client
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.client = nil
		l.mu.Unlock()
	}()
	l.cfg.Log.Info("connected to the broker", "broker", l.cfg.Broker)
	for _, f := range l.connected {
		f()
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return err
		case <-l.changed:
			if have, err = l.subscribe(ctx, client, have); err != nil {
				return err
			}
		}
	}
}

// wait waits for a token. An unfinished token has no error, so the time-out must
// be told apart.
func wait(ctx context.Context, t mqtt.Token, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-timer.C:
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "broker did not answer within %v", limit)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Publish sends a message with QoS 1 and does not wait for the broker's PUBACK,
// which proves nothing. EUNAVAILABLE when the broker is away.
func (l *Link) Publish(_ context.Context, topic string, retained bool, payload []byte) error {
	l.mu.Lock()
	client := l.client
	l.mu.Unlock()
	if client == nil || !client.IsConnectionOpen() {
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "broker %s is away", l.cfg.Broker)
	}
	client.Publish(topic, 1, retained, payload)
	return nil
}
