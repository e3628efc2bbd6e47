package ingest

import (
	"time"

	"github.com/coldkeep/coldkeep/gateway/ledger"
)

// What is kept of the payloads of one device that cannot be read: as many at once as
// the book holds of it, then a few a second. A flood is counted, and costs the others
// little.
const (
	refusedAtOnce = 100
	refusedEvery  = 100 * time.Millisecond
	refusedBytes  = 1 << 20 // in one commit
	refusedTold   = 10 * time.Second
)

// refusals are a device's payloads that could not be read.
type refusals struct {
	latest []ledger.Refused // of this take, at most refusedAtOnce
	next   int              // where the next goes when they are that many
	count  int64            // of this take
	total  int64            // refused since the last one that was kept, without this take's

	tokens float64 // how many may be kept now
	at     time.Time
	spent  int // of this take
	rest   int64

	toldAt time.Time
	untold int64
	reason string
}

func (r *refusals) begin() { r.latest, r.next, r.count, r.spent, r.rest = r.latest[:0], 0, 0, 0, 0 }

func (r *refusals) busy() bool { return r.count > 0 }

func (r *refusals) add(x ledger.Refused) {
	r.count++
	r.reason = x.Reason
	if len(r.latest) < refusedAtOnce {
		r.latest = append(r.latest, x)
		return
	}
	r.latest[r.next] = x
	r.next = (r.next + 1) % refusedAtOnce
}

// kept appends those of this take that are kept, the newest, in order.
func (r *refusals) kept(now time.Time, out []ledger.Refused) []ledger.Refused {
	if r.at.IsZero() || now.Before(r.at) {
		r.tokens = refusedAtOnce
	} else {
		r.tokens = min(refusedAtOnce, r.tokens+float64(now.Sub(r.at))/float64(refusedEvery))
	}
	r.at = now
	n, bytes := 0, 0
	for n < len(r.latest) && n < int(r.tokens) {
		if bytes += len(r.nth(n).Body); bytes > refusedBytes && n > 0 {
			break
		}
		n++
	}
	r.spent, r.rest = n, r.total+r.count
	if n == 0 {
		return out
	}
	skipped := r.total + r.count - int64(n)
	r.rest = 0
	for i := n - 1; i >= 0; i-- {
		x := *r.nth(i)
		x.Skipped, skipped = skipped, 0
		out = append(out, x)
	}
	return out
}

// nth is the nth newest of this take, from 0.
func (r *refusals) nth(n int) *ledger.Refused {
	return &r.latest[(r.next+2*len(r.latest)-1-n)%len(r.latest)]
}

// done notes that the take is durable and returns how many it refused.
func (r *refusals) done() int64 {
	r.tokens -= float64(r.spent)
	r.total = r.rest
	r.untold += r.count
	n := r.count
	clear(r.latest) // they hold payloads
	return n
}

// tellable reports whether it is time to tell of them again.
func (r *refusals) tellable(now time.Time) bool {
	if r.untold == 0 || !r.toldAt.IsZero() && now.Sub(r.toldAt) < refusedTold && !now.Before(r.toldAt) {
		return false
	}
	r.toldAt = now
	return true
}
