package mqttsource

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

// Config says where the messages are and what they mean.
type Config struct {
	Broker   string // such as tcp://127.0.0.1:1883
	Username string
	Password string // never logged
	TLS      *tls.Config
	ClientID string

	Mappings []*Mapping
	// Only reports whether a probe is to be taken; nil is all.
	Only func(coldkeep.ProbeID) bool
	// Known are probes from before, and when each was read last: what the broker tells
	// again is not taken again, and one that stays silent is missing.
	Known map[coldkeep.ProbeID]time.Time

	Clock coldkeep.Clock // nil is the machine's
	Log   *slog.Logger
}

// Source is the sensors of a broker. It is a sensors.Source; its samples are Thin.
type Source struct {
	cfg     Config
	inbox   chan Message
	dropped bool // of paho's goroutine

	mu    sync.Mutex
	infos []sensors.Info

	// Of Run's goroutine.
	probes map[coldkeep.ProbeID]*seen
	told   map[string]string // by topic, what was logged last
}

// seen is what is known of a probe.
type seen struct {
	mapping *Mapping
	device  string
	heard   time.Time // when, on the clock
	own     time.Time // the latest own time of a sample
	gone    bool      // its device said so
	told    time.Time // when it was last reported missing
}

// maxWaiting bounds the messages that wait while the disk is busy, and maxProbes what a
// broker can make us remember.
const (
	maxWaiting = 1000
	maxProbes  = 500
	maxTold    = 1000
)

// silenceLook is how often it is looked for probes that have gone silent, and
// silenceAgain how often one is said to be missing.
const (
	silenceLook  = 30 * time.Second
	silenceAgain = 5 * time.Minute
)

// New makes a Source. Without a mapping it is EINVALID.
func New(cfg Config) (*Source, error) {
	if len(cfg.Mappings) == 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "no mapping says what the broker's messages mean")
	}
	if cfg.Clock == nil {
		cfg.Clock = coldkeep.RealClock{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Only == nil {
		cfg.Only = func(coldkeep.ProbeID) bool { return true }
	}
	return &Source{cfg: cfg, inbox: make(chan Message, maxWaiting), probes: make(map[coldkeep.ProbeID]*seen), told: make(map[string]string)}, nil
}

// Probes describes the probes that have been heard of.
func (s *Source) Probes() []sensors.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.infos)
}

// Run takes readings until ctx ends or emit fails. A broker that is away is waited for.
func (s *Source) Run(ctx context.Context, emit sensors.Emit) error {
	s.remember()
	ctx, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop() // before Wait
	work.Go(func() { s.link(ctx) })
	look := time.NewTicker(silenceLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-s.inbox:
			if err := s.take(ctx, m, emit); err != nil {
				return err
			}
		case <-look.C:
			if err := s.silent(ctx, emit); err != nil {
				return err
			}
		}
	}
}

// remember begins to wait for the probes from before whose names are of a make.
func (s *Source) remember() {
	for id, at := range s.cfg.Known {
		for _, m := range s.cfg.Mappings {
			if _, ok := s.probes[id]; !ok && m.names(id) && s.cfg.Only(id) && len(s.probes) < maxProbes {
				s.probes[id] = &seen{mapping: m, own: at, heard: s.cfg.Clock.Now()}
				s.mu.Lock()
				s.infos = append(s.infos, sensors.Info{Probe: id, Kind: m.Make, Bus: "mqtt"})
				s.mu.Unlock()
			}
		}
	}
}

// How long is waited for the broker, and between two attempts.
const (
	patience   = 15 * time.Second
	retryFirst = time.Second
	retryMost  = time.Minute
)

// link connects, and connects again when the connection is lost, until ctx ends. Each
// connection is a client of its own, with nothing kept for it at the broker: a reading
// without a time is of no use later.
func (s *Source) link(ctx context.Context) {
	wait, told := retryFirst, ""
	for ctx.Err() == nil {
		began := time.Now()
		err := s.connection(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > retryMost {
			wait, told = retryFirst, ""
		}
		if told != err.Error() {
			told = err.Error()
			s.cfg.Log.Warn("no connection to the sensors' broker; trying again", "broker", s.cfg.Broker, "err", err)
		}
		_ = coldkeep.RealClock{}.Sleep(ctx, wait/2+rand.N(wait/2)) // the loop looks at ctx
		wait = min(2*wait, retryMost)
	}
}

// connection runs one connection to its end.
func (s *Source) connection(ctx context.Context) error {
	topics := make(map[string]byte)
	for _, m := range s.cfg.Mappings {
		for _, t := range m.Topics() {
			topics[t] = 1
		}
	}
	lost := make(chan error, 1)
	o := mqtt.NewClientOptions().AddBroker(s.cfg.Broker).SetClientID(s.cfg.ClientID).SetUsername(s.cfg.Username).SetPassword(s.cfg.Password).
		SetProtocolVersion(4).SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).
		SetConnectTimeout(patience).SetWriteTimeout(patience).SetKeepAlive(30 * time.Second).SetPingTimeout(10 * time.Second).
		SetDefaultPublishHandler(s.receive).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	if s.cfg.TLS != nil {
		o.SetTLSConfig(s.cfg.TLS)
	}
	client := mqtt.NewClient(o)
	defer client.Disconnect(100)
	for _, do := range []func() mqtt.Token{client.Connect, func() mqtt.Token { return client.SubscribeMultiple(topics, nil) }} {
		t := do()
		limit := time.NewTimer(patience)
		select {
		case <-t.Done():
			if t.Error() != nil {
				return t.Error()
			}
		case err := <-lost:
			return err
		case <-limit.C:
			return errors.New("the broker does not answer")
		case <-ctx.Done():
			return ctx.Err()
		}
		limit.Stop()
	}
	s.cfg.Log.Info("connected to the sensors' broker", "broker", s.cfg.Broker)
	select {
	case err := <-lost:
		if err == nil {
			err = errors.New("connection lost")
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// receive takes a message from paho, which must not wait.
func (s *Source) receive(_ mqtt.Client, m mqtt.Message) {
	select {
	case s.inbox <- Message{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained(), At: s.cfg.Clock.Now()}:
		s.dropped = false
	default:
		if !s.dropped {
			s.cfg.Log.Error("more messages of sensors than can be recorded; some are left out")
			s.dropped = true
		}
	}
}

// take records what a message says.
func (s *Source) take(ctx context.Context, msg Message, emit sensors.Emit) error {
	var batch []sensors.Sample
	for _, m := range s.cfg.Mappings {
		out := m.Read(msg)
		if out.Why != "" {
			s.tell(msg.Topic, out.Why)
		}
		if out.Offline {
			batch = append(batch, s.offline(m, out.Device, msg.At)...)
		}
		for i := range out.Samples {
			if smp, ok := s.accept(m, &out.Samples[i], msg); ok {
				batch = append(batch, smp)
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return emit(ctx, batch)
}

// accept notes a sample of a message, and reports whether it is new.
func (s *Source) accept(m *Mapping, in *Sample, msg Message) (sensors.Sample, bool) {
	if !s.cfg.Only(in.Probe) {
		return in.Sample, false
	}
	p, ok := s.probes[in.Probe]
	if !ok {
		if len(s.probes) >= maxProbes {
			s.tell("", "more probes than can be remembered; new ones are left out")
			return in.Sample, false
		}
		p = &seen{mapping: m, own: s.cfg.Known[in.Probe]}
		s.probes[in.Probe] = p
		s.mu.Lock()
		s.infos = append(s.infos, sensors.Info{Probe: in.Probe, Kind: m.Make, Bus: "mqtt"})
		s.mu.Unlock()
		s.cfg.Log.Info("probe found", "probe", in.Probe, "kind", m.Make, "topic", msg.Topic)
	}
	// What is told again, after a reconnect or by two gateways, has been recorded.
	if in.Own && !in.History && !in.At.After(p.own) {
		s.tell(msg.Topic, "its time is not later than that of the message before")
		return in.Sample, false
	}
	p.device = in.Device
	if !msg.Retained && !in.History {
		p.heard, p.gone, p.told = msg.At, false, time.Time{}
	}
	if in.Own && !in.History {
		p.own = in.At
	}
	out := in.Sample
	out.Thin = !in.History
	return out, true
}

// offline marks the probes of a device that is gone, or of a whole make.
func (s *Source) offline(m *Mapping, device string, at time.Time) (out []sensors.Sample) {
	for id, p := range s.probes {
		if p.mapping == m && (device == "" || p.device == device) && !p.gone {
			p.gone, p.told = true, at
			out = append(out, missing(id, at))
		}
	}
	return out
}

// silent records the probes as missing that have said nothing for too long, again and
// again.
func (s *Source) silent(ctx context.Context, emit sensors.Emit) error {
	now := s.cfg.Clock.Now()
	var out []sensors.Sample
	for id, p := range s.probes {
		if p.heard.IsZero() {
			p.heard = now // known by an old message alone
		}
		limit := time.Duration(p.mapping.SilenceS) * time.Second
		if (p.gone || now.Sub(p.heard) >= limit) && (p.told.IsZero() || now.Sub(p.told) >= silenceAgain) {
			p.told = now
			out = append(out, missing(id, now))
		}
	}
	if len(out) == 0 {
		return nil
	}
	return emit(ctx, out)
}

func missing(id coldkeep.ProbeID, at time.Time) sensors.Sample {
	out := sensors.Failed(id, coldkeep.QualityMissing)
	out.At, out.Thin = at, true
	return out
}

// tell logs why a message gives nothing, once a topic until it changes.
func (s *Source) tell(topic, why string) {
	if s.told[topic] == why {
		return
	}
	if len(s.told) >= maxTold {
		clear(s.told)
	}
	s.told[topic] = why
	s.cfg.Log.Info("message gives no reading", "topic", topic, "why", why)
}
