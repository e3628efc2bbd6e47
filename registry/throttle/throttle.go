// Package throttle keeps callers from asking too often: each key, such as an address or
// an account, has a bucket of its own.
package throttle

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys bounds what is remembered. When there are more, those that have not been used
// up are let go of, and if none are, all: who is forgotten begins anew.
const maxKeys = 20_000

// Limiter allows each key burst calls at once and then one every so often.
type Limiter struct {
	every time.Duration
	burst int

	mu   sync.Mutex
	keys map[string]*rate.Limiter
}

// New returns a limiter.
func New(every time.Duration, burst int) *Limiter {
	return &Limiter{every: every, burst: burst, keys: map[string]*rate.Limiter{}}
}

// Take takes one call of a key and says how long to wait when it may not: 0 is that it
// may.
func (l *Limiter) Take(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.keys[key]
	if b == nil {
		if len(l.keys) >= maxKeys {
			l.forget(now)
		}
		b = rate.NewLimiter(rate.Every(l.every), l.burst)
		l.keys[key] = b
	}
	r := b.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (l *Limiter) forget(now time.Time) {
	for k, b := range l.keys {
		if b.TokensAt(now) >= float64(l.burst) {
			delete(l.keys, k)
		}
	}
	if len(l.keys) >= maxKeys {
		clear(l.keys)
	}
}

// Searches bounds how often people may be searched for, by who asks and from where.
type Searches struct{ who, address *Limiter }

// NewSearches returns the limits of searches. A front desk finds a patient every few
// seconds at most; who tries names does so faster. A practice's people share an address.
func NewSearches() *Searches {
	return &Searches{who: New(2*time.Second, 30), address: New(time.Second/2, 120)}
}

// Take takes one search and says how long to wait when it may not be: 0 is that it may.
func (s *Searches) Take(who, address string, now time.Time) time.Duration {
	if wait := s.who.Take(who, now); wait > 0 {
		return wait
	}
	return s.address.Take(Source(address), now)
}
