// Package fleet is a fleet of devices for benchmarks and fault tests. It speaks the
// wire contract with the manners of a real outbox: what is not acknowledged by the
// collector is kept and sent again, whatever a broker has confirmed. Its book is its
// own: every record follows from the device's number and the record's, so that what
// is stored can be compared with what was produced, to the last digit.
//
// It has an MQTT client of its own, small and quick, because a generator that takes
// more of the machine than what it measures measures itself.
package fleet

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// Config describes a fleet.
type Config struct {
	Broker string // host:port
	Site   coldkeep.SiteID
	// Name gives the agent of a device; nil is "a-0", "a-1", …
	Name func(device int) coldkeep.AgentID
	// Account gives what a device signs in with. With Shared it is asked for device 0
	// of each connection only.
	Account func(device int) (user, password string)
	Devices int
	// Shared is how many connections the devices share under one account, which must
	// see all of their topics; 0 is one connection a device, as in the field.
	Shared int
	// First is the number of the first device, so that two fleets do not meet.
	First int

	Batch int // most records of a message; 0 is 60
	// GzipFrom is the size in bytes from which messages are compressed, 1024 on a
	// device; 0 compresses none.
	GzipFrom int
	Seal     bool // chain and seal the records by the contract's rule
	// ResendAfter is how long an ack is waited for; 0 is the contract's 30 s.
	ResendAfter time.Duration
	Window      int // most messages of a device that wait for their ack; 0 is 64
	// Forget is for a consumer that gives no acks: a record counts as delivered once it
	// is sent.
	Forget bool

	Start   time.Time     // time of the first record; zero with Spacing 0
	Spacing time.Duration // between two records of a device; 0 stamps them as they are produced
	// Record makes a record whose place and time are given; nil is Plain. It must give
	// the same every time.
	Record func(device int, seq, at int64) wire.Record
}

// Probe is the one probe of every device.
const Probe = coldkeep.ProbeID("28-000005e2fdc3")

// Plain is a reading between 4 and 6 °C.
func Plain(device int, seq, at int64) wire.Record {
	t := coldkeep.Temperature(4000 + (int64(device)*7+seq)*37%2000)
	return wire.Record{Probe: Probe, At: at, Celsius: t, Raw: t + 125, Lo: coldkeep.NoTemperature, Hi: coldkeep.NoTemperature}
}

// Fleet is a fleet of devices.
type Fleet struct {
	cfg     Config
	devices []*device
	groups  []*group // devices that share a connection

	cancel context.CancelFunc // nil while the power is off
	wg     sync.WaitGroup

	endless atomic.Bool
	allowed atomic.Int64 // with Forget: how many records may be sent in all
	acked   atomic.Int64
	sent    atomic.Int64 // messages
	resent  atomic.Int64 // of them, those of records sent before
	lost    atomic.Int64 // connections
	oddMu   sync.Mutex   // guards odd
	odd     []string     // what a collector must never say

	// OnAck is called with the time between a message's first publication and the
	// ack that covers it. Set it before PowerOn.
	OnAck func(device int, waited time.Duration)
	// OnSend is called before a message is first sent. Set it before PowerOn.
	OnSend func(device int, from, to int64, at time.Time)
}

// New makes a fleet whose power is off.
func New(cfg Config) *Fleet {
	if cfg.Name == nil {
		cfg.Name = func(device int) coldkeep.AgentID { return coldkeep.AgentID(fmt.Sprintf("a-%d", device)) }
	}
	if cfg.Batch == 0 {
		cfg.Batch = 60
	}
	if cfg.ResendAfter == 0 {
		cfg.ResendAfter = 30 * time.Second
	}
	if cfg.Window == 0 {
		cfg.Window = 64
	}
	if cfg.Record == nil {
		cfg.Record = Plain
	}
	f := &Fleet{cfg: cfg}
	n := cfg.Shared
	if n == 0 || n > cfg.Devices {
		n = cfg.Devices
	}
	for range n {
		f.groups = append(f.groups, &group{f: f, wake: make(chan struct{}, 1)})
	}
	for i := range cfg.Devices {
		d := newDevice(&f.cfg, cfg.First+i)
		g := f.groups[i%n]
		g.devices = append(g.devices, d)
		f.devices = append(f.devices, d)
	}
	return f
}

// Epoch is the epoch of a device's outbox: a ULID whose bits are the device's.
func Epoch(device int) string {
	const crockford = "0123456789abcdefghjkmnpqrstvwxyz"
	var in [8]byte
	binary.BigEndian.PutUint64(in[:], uint64(device)) //nolint:gosec // a small number
	sum := sha256.Sum256(append([]byte("fleet"), in[:]...))
	out := []byte("01jd3k8w2m")
	for _, b := range sum[:16] {
		out = append(out, crockford[b&31])
	}
	return string(out)
}

// key is a device's own key.
func key(device int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "key of device %d", device))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Name is a device's agent.
func (f *Fleet) Name(i int) coldkeep.AgentID { return f.devices[i].name }

// Produce adds n records to each device's outbox.
func (f *Fleet) Produce(n int) {
	for i := range f.devices {
		f.ProduceAt(i, n)
	}
}

// ProduceAt adds n records to one device's outbox.
func (f *Fleet) ProduceAt(i, n int) {
	g := f.groups[i%len(f.groups)]
	g.mu.Lock()
	f.devices[i].produce(n)
	g.mu.Unlock()
	g.nudge()
}

// Endless lets the devices make records as fast as they can send them, until it is
// called with false.
func (f *Fleet) Endless(on bool) {
	f.endless.Store(on)
	for _, g := range f.groups {
		g.nudge()
	}
}

// Allow lets a fleet that forgets send so many records in all, and no more: it has no
// acks to go by.
func (f *Fleet) Allow(records int64) {
	f.allowed.Store(records)
	for _, g := range f.groups {
		g.nudge()
	}
}

// Produced is how many records there are of all devices.
func (f *Fleet) Produced() (n int64) {
	for i, d := range f.devices {
		g := f.groups[i%len(f.groups)]
		g.mu.Lock()
		n += d.produced
		g.mu.Unlock()
	}
	return n
}

// Acked is how many of them are acknowledged; with Forget, sent.
func (f *Fleet) Acked() int64 { return f.acked.Load() }

// Sent is how many messages went out, and how many of them had gone before.
func (f *Fleet) Sent() (all, again int64) { return f.sent.Load(), f.resent.Load() }

// Odd lists what a collector must never say, such as an ack of records that there
// are not.
func (f *Fleet) Odd() []string {
	f.oddMu.Lock()
	defer f.oddMu.Unlock()
	return slices.Clone(f.odd)
}

func (f *Fleet) note(format string, args ...any) {
	f.oddMu.Lock()
	defer f.oddMu.Unlock()
	if len(f.odd) < 20 {
		f.odd = append(f.odd, fmt.Sprintf(format, args...))
	}
}

// Records calls each with every record of a device, in order: the book that what is
// stored is held against.
func (f *Fleet) Records(i int, each func(seq int64, r *wire.Record)) {
	d, g := f.devices[i], f.groups[i%len(f.groups)]
	g.mu.Lock()
	n := d.produced
	g.mu.Unlock()
	for seq := int64(1); seq <= n; seq++ {
		g.mu.Lock()
		r := d.record(seq)
		g.mu.Unlock()
		each(seq, &r)
	}
}

// PowerOn connects the devices and begins to send.
func (f *Fleet) PowerOn() {
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	for _, g := range f.groups {
		f.wg.Go(func() { g.run(ctx) })
	}
}

// PowerOff cuts everything in the middle of what it does. The outboxes stay.
func (f *Fleet) PowerOff() {
	if f.cancel == nil {
		return
	}
	f.cancel()
	f.wg.Wait()
	f.cancel = nil
}

// Drained waits until every record is acknowledged.
func (f *Fleet) Drained(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		all := f.Produced()
		if f.acked.Load() >= all {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%d of %d records are acknowledged", f.acked.Load(), all), ctx.Err())
		case <-tick.C:
		}
	}
}
