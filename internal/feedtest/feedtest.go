// Package feedtest has what tests of the feed's consumers share: a feed in memory,
// a context that ends at a chosen step, and a wait with a deadline.
package feedtest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Feed is a feed in memory. Like the collector's, it outlives its consumers.
type Feed struct {
	mu   sync.Mutex
	all  []coldkeep.Change
	grew chan struct{}
	fail error
}

// New returns an empty feed.
func New() *Feed { return &Feed{grew: make(chan struct{})} }

// Append adds changes and numbers them from 1.
func (f *Feed) Append(changes ...coldkeep.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range changes {
		c.N = int64(len(f.all)) + 1
		f.all = append(f.all, c)
	}
	close(f.grew)
	f.grew = make(chan struct{})
}

// Fail makes the feed fail with err, until it is nil.
func (f *Feed) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

// Len is how many entries there are.
func (f *Feed) Len() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(len(f.all))
}

// Changes returns up to limit entries after a number.
func (f *Feed) Changes(ctx context.Context, after int64, limit int) ([]coldkeep.Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	end := min(int64(len(f.all)), after+int64(limit))
	if after >= end {
		return nil, nil
	}
	return append([]coldkeep.Change(nil), f.all[after:end]...), nil
}

// Wait returns when there is an entry after a number, or with ctx's error.
func (f *Feed) Wait(ctx context.Context, after int64) error {
	for {
		f.mu.Lock()
		grew, n := f.grew, int64(len(f.all))
		f.mu.Unlock()
		if n > after {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grew:
		}
	}
}

// CrashAfter returns a context that ends when it has been looked at steps times, and
// calls crash at that moment. Database and network look at it before and during
// every call, so each count of steps stops its user at another place.
func CrashAfter(parent context.Context, steps int64, crash func()) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	c := &crashing{Context: ctx, crash: func() { crash(); cancel() }}
	c.left.Store(steps)
	return c, cancel
}

type crashing struct {
	context.Context
	crash func()
	left  atomic.Int64
}

func (c *crashing) step() {
	if c.left.Add(-1) == 0 {
		c.crash()
	}
}

// Done counts a look.
func (c *crashing) Done() <-chan struct{} { c.step(); return c.Context.Done() }

// Err counts a look.
func (c *crashing) Err() error { c.step(); return c.Context.Err() }

// patience is how long Until waits for what must come.
const patience = 10 * time.Second

// Until waits until ok, and fails the test when that does not come to be.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v in vain until %s", patience, what)
		case <-tick.C:
		}
	}
}
