package evidence

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// keysFor is how long a device's keys are remembered: another process may trust
// one meanwhile.
const keysFor = time.Minute

// Keys is where Arrivals learns the keys of devices; the ledger is one.
type Keys interface {
	Keys(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) ([]ledger.DeviceKey, error)
}

// Arrivals checks seals as they come, and follows the chain of the records that
// come with them as far as they come in order. It belongs to one goroutine, and all
// batches of a device must pass through it.
type Arrivals struct {
	keys  Keys
	known map[ledger.Device]keyring
	heads map[ledger.Epoch]head
	buf   []byte
}

type keyring struct {
	at   time.Time
	keys map[string]ringKey
}

type ringKey struct {
	pub     ed25519.PublicKey
	trusted bool
}

// head is where the chain of an epoch has been followed to.
type head struct {
	seq    int64
	hash   wire.Hash
	sealed int64 // the latest seal, 0 when none has come
}

// unsealedFollowed is how far a chain is followed without a seal: a device that
// does not seal must not cost the hashing.
const unsealedFollowed = 2 * wire.SealRecords

// NewArrivals makes one that knows nothing yet.
func NewArrivals(keys Keys) *Arrivals {
	a := &Arrivals{keys: keys}
	a.Forget()
	return a
}

// Forget drops what was followed in memory. It is for when what was taken in could
// not be stored and comes again.
func (a *Arrivals) Forget() {
	a.known, a.heads = map[ledger.Device]keyring{}, map[ledger.Epoch]head{}
}

// ForgetKeys drops what is known of a device's keys, because it has shown one.
func (a *Arrivals) ForgetKeys(site coldkeep.SiteID, agent coldkeep.AgentID) {
	delete(a.known, ledger.Device{Site: site, Agent: agent})
}

// Take follows the chain over a batch and gives entry the seal that came with it,
// checked. A bad seal is no error: it is refused, and the records beside it are as
// good as without it. An error is the ledger's; then Forget, and take all again.
func (a *Arrivals) Take(ctx context.Context, now time.Time, entry *ledger.Entry, b *wire.Batch, bad []wire.BadRecord) error {
	last := b.Seq + int64(len(b.Records)) - 1
	if b.Seal == nil {
		a.follow(entry.Epoch, b, bad, last, nil)
		return nil
	}
	s := ledger.Seal{Seal: *b.Seal} // the batch's memory is used again
	if i := s.Seq - b.Seq; i >= 0 && i < int64(len(b.Records)) {
		s.At = b.Records[i].At
		for _, x := range bad {
			if x.Seq == s.Seq {
				s.At = wire.BadTime(x.Raw)
			}
		}
	}
	if s.Refused = s.Check(last); s.Refused == "" {
		if err := a.checkSignature(ctx, now, entry.Epoch, &s); err != nil {
			return err
		}
	}
	if s.Refused != "" {
		s.Seq = min(max(s.Seq, b.Seq), max(last, b.Seq)) // what it is counted under, wherever it claims to be
		a.follow(entry.Epoch, b, bad, last, nil)
	} else {
		a.follow(entry.Epoch, b, bad, last, &s)
	}
	entry.Seals = append(entry.Seals, s)
	return nil
}

func (a *Arrivals) checkSignature(ctx context.Context, now time.Time, e ledger.Epoch, s *ledger.Seal) error {
	d := ledger.Device{Site: e.Site, Agent: e.Agent}
	ring, ok := a.known[d]
	if _, has := ring.keys[s.Key]; !ok || now.Sub(ring.at) > keysFor || now.Before(ring.at) || !has && now.Sub(ring.at) > time.Second {
		keys, err := a.keys.Keys(ctx, e.Site, e.Agent)
		if err != nil {
			return err
		}
		ring = newKeyring(now, keys)
		a.known[d] = ring
	}
	s.Signed, s.Refused = ring.check(e, &s.Seal)
	return nil
}

func newKeyring(now time.Time, keys []ledger.DeviceKey) keyring {
	ring := keyring{now, make(map[string]ringKey, len(keys))}
	for _, k := range keys {
		// A key that is not what its id says was altered in the book: as good as none.
		if pub, err := wire.DecodeKey(k.Pub); err == nil && wire.KeyID(pub) == k.Key {
			ring.keys[k.Key] = ringKey{pub, k.Trusted}
		}
	}
	return ring
}

// check gives the state of a seal's signature, and why it is refused.
func (ring keyring) check(e ledger.Epoch, s *wire.Seal) (signed int64, refused string) {
	k, ok := ring.keys[s.Key]
	switch {
	case !ok:
		return ledger.KeyUnknown, ""
	case !s.Verify(k.pub, e.Site, e.Agent, e.Epoch):
		return ledger.KeyUnknown, "the signature is not by the key " + s.Key
	case !k.trusted:
		return ledger.KeyUntrusted, ""
	}
	return ledger.KeyTrusted, ""
}

// follow moves the head over the records of a batch that come next, compares it
// with a seal on its way, and goes on from the seal when that is ahead.
func (a *Arrivals) follow(e ledger.Epoch, b *wire.Batch, bad []wire.BadRecord, last int64, s *ledger.Seal) {
	h, ok := a.heads[e]
	if !ok && b.Seq == 1 {
		h, ok = head{hash: wire.FirstHash(e.Site, e.Agent, e.Epoch)}, true
	}
	sealed := func() {
		if s == nil || !ok || h.seq != s.Seq {
			return
		}
		if want, _ := s.Head(); want == h.hash {
			s.Chain = ledger.ChainWhole
		} else if s.Signed != ledger.KeyUnknown {
			s.Chain = ledger.ChainBroken
			h.hash = want // what follows is judged by itself
		}
	}
	sealed()
	if ok && b.Seq <= h.seq+1 {
		for seq := h.seq + 1; seq <= last && ok; seq++ {
			h, ok = a.next(h, b, bad, seq)
			sealed()
		}
	}
	if s != nil && s.Signed != ledger.KeyUnknown && (!ok || s.Seq > h.seq) {
		h.hash, _ = s.Head()
		h.seq, ok = s.Seq, true
	}
	if s != nil && s.Signed != ledger.KeyUnknown {
		h.sealed = max(h.sealed, s.Seq)
	}
	if !ok || h.seq-h.sealed > unsealedFollowed {
		delete(a.heads, e)
		return
	}
	a.heads[e] = h
}

// next moves the head over one record.
func (a *Arrivals) next(h head, b *wire.Batch, bad []wire.BadRecord, seq int64) (head, bool) {
	ok := true
	a.buf = wire.AppendCanonical(a.buf[:0], seq, &b.Records[seq-b.Seq], b.Clock, b.Config)
	for i := range bad {
		if bad[i].Seq == seq {
			a.buf, ok = wire.AppendBadCanonical(a.buf[:0], seq, bad[i].Raw, b.Clock, b.Config)
		}
	}
	h.seq, h.hash = seq, h.hash.Next(a.buf)
	return h, ok
}
