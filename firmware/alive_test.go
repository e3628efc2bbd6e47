package firmware

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/firmware/collectortest"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors"
)

// stalling is a source that says of itself whether it goes on.
type stalling struct {
	*tap
	well atomic.Bool
}

func (s *stalling) Alive() bool { return s.well.Load() }

// A device is healthy once a reading of this run is acknowledged: neither its events
// nor the readings of before count.
func TestHealthyByAnAcknowledgedReading(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	data := t.TempDir()
	before := run(t, c, data, nil)
	before.samples <- []sensors.Sample{sample("a", 1, 4000)}
	c.Await("a reading", func(v *collectortest.View) bool { return v.Status != nil && v.Durable(v.Status.Epoch) >= 3 })
	c.Withhold(true)
	before.samples <- []sensors.Sample{sample("a", 2, 4000)}
	c.Await("one without an ack", func(v *collectortest.View) bool { return v.Durable(v.Status.Epoch) >= 4 })
	before.end(t)
	healthy, updates := make(chan struct{}, 10), make(chan struct{}, 10)
	a := run(t, c, data, func(cfg *Config) {
		cfg.Healthy = func() { healthy <- struct{}{} }
		cfg.Update = func() { updates <- struct{}{} }
		cfg.ResendAfter = 50 * time.Millisecond
	})
	c.Await("the boot", func(v *collectortest.View) bool { return v.Status.Online && v.Durable(v.Status.Epoch) >= 5 })
	c.Withhold(false)
	c.View(func(v *collectortest.View) { go c.Ack(v.Status.Epoch, 5) })
	c.Send(wire.LeafCommand, false, wire.Command{V: 1, Cmd: wire.CommandUpdate})
	<-updates // by now the ack of the boot has come too
	select {
	case <-healthy:
		t.Error("healthy without a reading")
	default:
	}
	a.samples <- []sensors.Sample{sample("a", 3, 4000)}
	<-healthy
	a.samples <- []sensors.Sample{sample("a", 4, 4000)}
	c.Await("another", func(v *collectortest.View) bool { return v.Durable(v.Status.Epoch) >= 7 })
	a.end(t)
	if len(healthy) != 0 {
		t.Error("healthy twice")
	}
}

// The service manager hears of the device while its source goes on, and not while it
// stands still.
func TestAliveWhileTheSourceGoesOn(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	src := &stalling{tap: newTap()}
	src.well.Store(true)
	alive := make(chan struct{})
	a := run(t, c, t.TempDir(), func(cfg *Config) {
		inner := cfg.Source
		cfg.Source = func(s Start) (sensors.Source, error) { _, err := inner(s); return src, err }
		cfg.Alive = func() { alive <- struct{}{} }
		cfg.AliveEvery = time.Millisecond
	})
	<-alive
	<-alive
	src.well.Store(false)
	select { // one may be on its way
	case <-alive:
	case <-time.After(20 * time.Millisecond):
	}
	select {
	case <-alive:
		t.Error("alive, and the source stands still")
	case <-time.After(50 * time.Millisecond): // a hundred chances passed
	}
	src.well.Store(true)
	<-alive
	go func() {
		for range alive { // whatever is still told
		}
	}()
	a.end(t)
	close(alive)
}
