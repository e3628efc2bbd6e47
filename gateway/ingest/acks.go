package ingest

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// acks coalesces acknowledgements to at most one a second an agent, and asks for
// what is missing at most every resendEvery.
type acks struct {
	pub  Publisher
	mu   sync.Mutex
	due  map[ledger.Epoch]standing
	last map[ledger.Epoch]sent
}

// standing is how far an epoch is stored, and its first gap.
type standing struct {
	seq      int64
	from, to int64
	gap      bool
}

type sent struct {
	ack, resend time.Time
	seq, gap    int64 // of the latest ack, and where its gap began
}

const (
	ackEvery    = time.Second
	resendEvery = 10 * time.Second
	epochsAcked = 50_000 // beyond these, what is old is forgotten
)

func (a *acks) init(pub Publisher) {
	a.pub, a.due, a.last = pub, map[ledger.Epoch]standing{}, map[ledger.Epoch]sent{}
}

func (a *acks) stored(e ledger.Epoch, r ledger.Ranges) {
	s := standing{seq: r.Contiguous()}
	s.from, s.to, s.gap = r.FirstGap()
	a.mu.Lock()
	a.due[e] = s
	a.mu.Unlock()
}

func (a *acks) run(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			a.flush(ctx, now)
		}
	}
}

func (a *acks) flush(ctx context.Context, now time.Time) {
	a.mu.Lock()
	if len(a.last) > epochsAcked {
		for k, s := range a.last {
			if now.Sub(s.ack) > resendEvery && now.Sub(s.resend) > resendEvery {
				delete(a.last, k) // it says no more than none
			}
		}
	}
	todo := map[ledger.Epoch]standing{}
	for k, r := range a.due {
		if now.Sub(a.last[k].ack) >= ackEvery {
			todo[k] = r
			delete(a.due, k)
		}
	}
	a.mu.Unlock()
	for k, r := range todo {
		a.send(ctx, now, k, r)
	}
}

// send publishes one ack, and a resend for the first gap. Neither is retried: the
// agent sends again what it has no ack for, and that is acknowledged again.
func (a *acks) send(ctx context.Context, now time.Time, k ledger.Epoch, r standing) {
	ack, _ := json.Marshal(wire.Ack{V: wire.Version, Epoch: k.Epoch, Seq: r.seq}) // always marshals
	if err := a.pub.Publish(ctx, wire.Topic(k.Site, k.Agent, wire.LeafAck), true, ack); err != nil {
		return
	}
	a.mu.Lock()
	s := a.last[k]
	s.ack = now
	// A gap whose beginning moves up is being filled: a device that was away sends the
	// newest first and then the rest.
	filling := s.gap > 0 && r.gap && r.seq > s.seq
	ask := r.gap && !filling && now.Sub(s.resend) >= resendEvery
	s.seq, s.gap = r.seq, 0
	if r.gap {
		s.gap = r.from
	}
	if ask {
		s.resend = now
	}
	a.last[k] = s
	a.mu.Unlock()
	if !ask {
		return
	}
	cmd, _ := json.Marshal(wire.Command{V: wire.Version, Cmd: wire.CommandResend, Epoch: k.Epoch, From: r.from, To: r.to}) // always marshals
	_ = a.pub.Publish(ctx, wire.Topic(k.Site, k.Agent, wire.LeafCommand), false, cmd)                                      // see above
}
