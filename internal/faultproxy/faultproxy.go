// Package faultproxy is a TCP proxy for MQTT 3.1.1 that does to messages what bad
// networks, bad middle boxes and bad brokers do: it doubles, reorders, delays,
// shortens and damages them, confirms them and throws them away, cuts connections
// in the middle of a packet, and leaves them open without a word.
//
// It knows packets, so that a fault hits a message and not the framing: what comes
// out is MQTT, but for the cuts.
package faultproxy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Faults are the chances, from 0 to 1, of what happens to a message.
type Faults struct {
	Duplicate float64 // it comes twice
	Reorder   float64 // up to eight later ones overtake it
	Delay     float64 // it and all behind it wait, at most DelayMost
	Truncate  float64 // its payload ends early
	Corrupt   float64 // its payload is damaged, see Config.Damage
	Lose      float64 // it is confirmed to its sender and thrown away
	Cut       float64 // the connection ends in the middle of it

	DelayMost time.Duration // 0 is 500 ms
}

// Counts are how often each was done.
type Counts struct {
	Passed, Duplicated, Reordered, Delayed, Truncated, Corrupted, Lost, Cut int64
}

// Faulty is how many messages did not pass as they were.
func (c Counts) Faulty() int64 {
	return c.Duplicated + c.Reordered + c.Delayed + c.Truncated + c.Corrupted + c.Lost + c.Cut
}

// String names what was done.
func (c Counts) String() string {
	return fmt.Sprintf("%d passed, %d duplicated, %d reordered, %d delayed, %d truncated, %d corrupted, %d lost, %d cut",
		c.Passed, c.Duplicated, c.Reordered, c.Delayed, c.Truncated, c.Corrupted, c.Lost, c.Cut)
}

// Config says between whom the proxy stands.
type Config struct {
	Target string // host:port of the broker
	Seed   uint64 // the same faults for the same traffic
	// Match says which messages are touched; nil is all.
	Match func(topic string) bool
	// Damage changes a payload in place; nil overwrites one to four of its bytes with
	// others.
	Damage func(rng *rand.Rand, payload []byte)
}

// Proxy is a running proxy. It is faultless until SetFaults.
type Proxy struct {
	cfg Config
	ln  net.Listener

	mu       sync.Mutex
	up, down Faults // from clients to the broker, and back
	counts   Counts
	rng      *rand.Rand
	pairs    map[*pair]struct{}
	stalled  chan struct{} // not nil while nothing moves; closed when it does again
	closed   bool
	wg       sync.WaitGroup
}

// Start listens on a free local port.
func Start(cfg Config) (*Proxy, error) {
	if cfg.Match == nil {
		cfg.Match = func(string) bool { return true }
	}
	if cfg.Damage == nil {
		cfg.Damage = overwrite
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed by Close
	if err != nil {
		return nil, err
	}
	p := &Proxy{cfg: cfg, ln: ln, rng: rand.New(rand.NewPCG(cfg.Seed, 1)), pairs: map[*pair]struct{}{}}
	p.wg.Go(p.accept)
	return p, nil
}

// overwrite puts other bytes in place of some.
func overwrite(rng *rand.Rand, payload []byte) {
	for range 1 + rng.IntN(4) {
		payload[rng.IntN(len(payload))] ^= byte(1 + rng.IntN(255)) //nolint:gosec // below 256
	}
}

// Addr is the host:port that clients connect to.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// SetFaults sets what happens to messages from the clients to the broker and from
// the broker to the clients.
func (p *Proxy) SetFaults(up, down Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up, p.down = up, down
}

// Counts says what was done so far.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// Stall leaves every connection open and lets nothing through until Resume.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled == nil {
		p.stalled = make(chan struct{})
	}
}

// Resume ends a Stall.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled != nil {
		close(p.stalled)
		p.stalled = nil
	}
}

// CutAll ends every connection.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	pairs := make([]*pair, 0, len(p.pairs))
	for c := range p.pairs {
		pairs = append(pairs, c)
	}
	p.mu.Unlock()
	for _, c := range pairs {
		c.close()
	}
}

// Close ends the proxy.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.ln.Close() // it ends accept
	p.Resume()
	p.CutAll()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // too many open files pass
			continue
		}
		server, err := net.DialTimeout("tcp", p.cfg.Target, 5*time.Second)
		if err != nil {
			_ = client.Close() // the broker is away, and so are we
			continue
		}
		c := &pair{p: p, client: &end{conn: client}, server: &end{conn: server}}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			c.close()
			return
		}
		p.pairs[c] = struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() { c.carry(c.client, c.server, true) })
		p.wg.Go(func() { c.carry(c.server, c.client, false) })
	}
}

// chance draws the fault of one message, and counts it.
func (p *Proxy) chance(up bool, topic string) (do fault, delay time.Duration, hold int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.down
	if up {
		f = p.up
	}
	if f == (Faults{}) || !p.cfg.Match(topic) {
		p.counts.Passed++
		return pass, 0, 0
	}
	x := p.rng.Float64()
	for _, c := range [...]struct {
		chance float64
		do     fault
		count  *int64
	}{
		{f.Duplicate, duplicate, &p.counts.Duplicated}, {f.Reorder, reorder, &p.counts.Reordered}, {f.Delay, delayed, &p.counts.Delayed},
		{f.Truncate, truncate, &p.counts.Truncated}, {f.Corrupt, corrupt, &p.counts.Corrupted}, {f.Lose, lose, &p.counts.Lost}, {f.Cut, cut, &p.counts.Cut},
	} {
		if x -= c.chance; x >= 0 {
			continue
		}
		*c.count++
		most := f.DelayMost
		if most == 0 {
			most = 500 * time.Millisecond
		}
		return c.do, time.Duration(p.rng.Int64N(int64(most))), 1 + p.rng.IntN(8)
	}
	p.counts.Passed++
	return pass, 0, 0
}

// draw lets f use the proxy's chance.
func (p *Proxy) draw(f func(rng *rand.Rand)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.rng)
}

// wait returns when nothing is stalled.
func (p *Proxy) wait() {
	p.mu.Lock()
	stalled := p.stalled
	p.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
}
