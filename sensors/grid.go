package sensors

import (
	"context"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Grid is the steady grid on which samples are taken: the whole multiples of an
// interval since 1970, so that a restart does not shift it. It is safe for
// concurrent use.
type Grid struct {
	clock coldkeep.Clock

	mu       sync.Mutex
	interval time.Duration
	woken    chan struct{} // closed by wake
}

// NewGrid makes a grid on a clock. An interval below a second is EINVALID.
func NewGrid(clock coldkeep.Clock, interval time.Duration) (*Grid, error) {
	if interval < time.Second {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "sampling interval %v: want at least 1s", interval)
	}
	return &Grid{clock: clock, interval: interval, woken: make(chan struct{})}, nil
}

// SetInterval changes the grid and wakes who waits. Less than a second is ignored.
func (g *Grid) SetInterval(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d >= time.Second && d != g.interval {
		g.interval = d
		g.wake()
	}
}

// Interval returns the time between two points.
func (g *Grid) Interval() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.interval
}

// Wake ends all waiting early.
func (g *Grid) Wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wake()
}

func (g *Grid) wake() {
	close(g.woken)
	g.woken = make(chan struct{})
}

// Woken returns a channel that is closed at the next Wake or change of interval.
// Take it before looking at what they may have changed, and give it to Wait.
func (g *Grid) Woken() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.woken
}

// After returns the first point of the grid after t.
func (g *Grid) After(t time.Time) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	ms, step := t.UnixMilli(), g.interval.Milliseconds()
	return time.UnixMilli((ms/step + 1) * step).UTC()
}

// Wait waits until the clock shows t or woken is closed, and returns ctx.Err()
// when ctx ends first.
func (g *Grid) Wait(ctx context.Context, t time.Time, woken <-chan struct{}) error {
	wait, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop()
		select {
		case <-woken:
		case <-wait.Done():
		}
	}()
	err := g.clock.Sleep(wait, t.Sub(g.clock.Now()))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case wait.Err() != nil:
		return nil // woken
	}
	return err
}
