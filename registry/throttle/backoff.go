package throttle

import (
	"sync"
	"time"
)

// Backoff keeps who fails to sign in waiting: after a few failures each further one makes
// the wait twice as long. A success, or a day without a failure, forgets them.
type Backoff struct {
	free    int           // failures that cost nothing
	first   time.Duration // the wait after the next
	longest time.Duration

	mu   sync.Mutex
	keys map[string]*failures
}

type failures struct {
	n      int
	last   time.Time
	closed time.Time // until when nothing is looked at
}

// NewBackoff returns one that lets free failures pass and then waits from first up to
// longest.
func NewBackoff(free int, first, longest time.Duration) *Backoff {
	return &Backoff{free: free, first: first, longest: longest, keys: map[string]*failures{}}
}

// forgetAfter is after how long without a failure those of a key are forgotten.
const forgetAfter = 24 * time.Hour

// Wait says how long a key has to wait before it may try: 0 is that it may.
func (b *Backoff) Wait(key string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.keys[key]; f != nil {
		return max(0, f.closed.Sub(now))
	}
	return 0
}

// Failed counts a failure and says how long the key has to wait now.
func (b *Backoff) Failed(key string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.keys[key]
	if f == nil || now.Sub(f.last) >= forgetAfter {
		if f == nil && len(b.keys) >= maxKeys {
			b.forget(now)
		}
		f = &failures{}
		b.keys[key] = f
	}
	f.n++
	f.last = now
	if f.n <= b.free {
		return 0
	}
	wait := b.first
	for range f.n - b.free - 1 {
		if wait *= 2; wait >= b.longest {
			break
		}
	}
	wait = min(wait, b.longest)
	f.closed = now.Add(wait)
	return wait
}

// Succeeded forgets a key's failures.
func (b *Backoff) Succeeded(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.keys, key)
}

func (b *Backoff) forget(now time.Time) {
	for k, f := range b.keys {
		if now.After(f.closed) {
			delete(b.keys, k)
		}
	}
	if len(b.keys) >= maxKeys {
		clear(b.keys)
	}
}
