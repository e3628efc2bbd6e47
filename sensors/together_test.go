package sensors_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/sensorstest"
	"github.com/coldkeep/coldkeep/sensors/sim"
)

func simulated(t *testing.T, probe string, seed uint64) sensors.Source {
	t.Helper()
	s, err := sim.New(sim.Config{Interval: time.Minute, Appliances: []sim.Appliance{{Probe: coldkeep.ProbeID(probe), Unit: coldkeep.Refrigerator, Seed: seed}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTogether(t *testing.T) {
	sensorstest.RunSource(t, func(t *testing.T) sensors.Source {
		return sensors.Together(simulated(t, "a", 1), simulated(t, "b", 2))
	})
}

// ends is a source that ends by itself.
type ends struct{ err error }

func (e ends) Run(context.Context, sensors.Emit) error { return e.err }

func TestTogetherEnds(t *testing.T) {
	broken := errors.New("the bus burned")
	none := func(context.Context, []sensors.Sample) error { return nil }
	if err := sensors.Together(ends{}, ends{}).Run(t.Context(), none); err != nil {
		t.Errorf("both at their end: %v", err)
	}
	if err := sensors.Together(ends{}, simulated(t, "a", 1), ends{broken}).Run(t.Context(), none); !errors.Is(err, broken) {
		t.Errorf("one broken: %v", err)
	}
}
