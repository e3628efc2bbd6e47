package coldkeep

import (
	"context"
	"time"
)

// Clock tells the time by which rules, sampling and escalations run. Sockets and
// retries over the network run on the machine's own clock, whatever the demo's
// speed.
type Clock interface {
	// Now returns the time, in UTC.
	Now() time.Time
	// Sleep waits for d of this clock's time and returns ctx.Err() if ctx ends first.
	Sleep(ctx context.Context, d time.Duration) error
}

// RealClock is the machine's clock.
type RealClock struct{}

// Now returns the machine's time in UTC.
func (RealClock) Now() time.Time { return time.Now().UTC() }

// Sleep waits for d.
func (RealClock) Sleep(ctx context.Context, d time.Duration) error { return sleep(ctx, d) }

// ScaledClock runs Speed times as fast as the machine's clock from a start of its
// own. The demo's agents, collector, alerts and registry share one.
type ScaledClock struct {
	origin time.Time // machine time at the start, with its monotonic part
	start  time.Time // this clock's time at the start
	speed  float64
}

// NewScaledClock returns a clock that shows start now and runs speed times as
// fast as the machine. A speed that is not positive is EINVALID.
func NewScaledClock(start time.Time, speed float64) (*ScaledClock, error) {
	if !(speed > 0 && speed <= 100_000) {
		return nil, Errorf(EINVALID, "speed %v: want a number above 0 and at most 100000", speed)
	}
	return &ScaledClock{origin: time.Now(), start: start.UTC(), speed: speed}, nil
}

// Now returns the scaled time in UTC.
func (c *ScaledClock) Now() time.Time {
	return c.start.Add(time.Duration(float64(time.Since(c.origin)) * c.speed))
}

// Sleep waits for d of scaled time.
func (c *ScaledClock) Sleep(ctx context.Context, d time.Duration) error {
	return sleep(ctx, time.Duration(float64(d)/c.speed))
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
