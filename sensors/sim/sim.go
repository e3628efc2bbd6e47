// Package sim is a source of samples from a thermal model: vaccine refrigerators,
// freezers and ultra-cold freezers with their compressor cycles, doors and
// faults. It needs no hardware and stands behind `coldkeep up --demo` and
// `coldkeep-agent --driver sim`.
//
// An appliance is two thermal masses, air and contents; a thermostat with
// hysteresis on the air switches the compressor; the probe stands in the contents,
// buffered as CDC asks. Figures are in model.go.
package sim

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

// FaultKind is something that goes wrong.
type FaultKind string

// The faults that an appliance may have. Defrost is none, but it is told like one.
const (
	CompressorFailure FaultKind = "compressor-failure" // no cooling
	DoorOpen          FaultKind = "door-open"          // wide open: room air comes in
	ProbeFault        FaultKind = "probe-fault"        // the probe does not answer
	DoorAjar          FaultKind = "door-ajar"          // a gap of the size Part
	PowerLost         FaultKind = "power-lost"         // no cooling either; the device tells of it by an event
	Defrost           FaultKind = "defrost"            // the heater of the evaporator, instead of the compressor
	ThermostatDrift   FaultKind = "thermostat-drift"   // it switches PerDay warmer every day, until To
	ProbeInAir        FaultKind = "probe-in-air"       // the probe lies beside its buffer
)

// Fault goes on from From until To; the zero To is for good.
type Fault struct {
	Kind     FaultKind
	From, To time.Time
	Part     float64 // door ajar: the gap as a part of the open door, above 0, at most 1; 0 is 0.05
	PerDay   float64 // thermostat drift: °C a day, negative is colder
}

func (f *Fault) covers(at time.Time) bool {
	return !at.Before(f.From) && (f.To.IsZero() || at.Before(f.To))
}

// Breakdown is the demo's accident: from a time on the compressor is dead and the
// door ajar, for good. A compressor that fails behind a closed door takes an hour
// and more to bring a refrigerator's contents from 5 °C to 8 °C; with the door
// ajar they pass 8 °C within 9 minutes of any moment of the cycle, 5 to 7 minutes
// from its warm end, and do not come back.
func Breakdown(from time.Time) []Fault {
	return []Fault{{Kind: CompressorFailure, From: from}, {Kind: DoorOpen, From: from}}
}

// Appliance is one simulated unit with one probe in its contents.
type Appliance struct {
	Probe  coldkeep.ProbeID
	Unit   coldkeep.Unit
	Seed   uint64 // the same seed gives the same cycle, noise and door openings
	Faults []Fault
	// Spread, 0 to 0.6, is how far the seed makes this unit differ from others of its
	// type, in wall, cooling, contents and thermostat; 0 is not at all.
	Spread float64
}

// Config says what to simulate.
type Config struct {
	// Clock is the model's time; nil is the machine's.
	Clock coldkeep.Clock
	// Interval is the time between samples, which lie on its whole multiples since
	// 1970; at least a second, 0 is a minute.
	Interval time.Duration
	// History is how far into the past the first samples reach. They are emitted at
	// once, with their past times.
	History time.Duration
	// Resume holds the time of the latest recorded sample of each probe. No sample
	// is emitted at or before it; a hole behind it is filled as far as History
	// reaches.
	Resume     map[coldkeep.ProbeID]time.Time
	Appliances []Appliance
}

// Source yields the samples of its appliances. It is a sensors.Source.
type Source struct {
	cfg   Config
	grid  *sensors.Grid
	units []*unit
}

// unit is an appliance on its way through time.
type unit struct {
	Appliance
	model *model
	last  time.Time // latest grid point emitted
}

var _ sensors.Source = (*Source)(nil)

// New makes a source. An interval below a second, a negative history, an unknown
// unit or fault, and a missing or doubled probe are EINVALID.
func New(cfg Config) (*Source, error) {
	if cfg.Clock == nil {
		cfg.Clock = coldkeep.RealClock{}
	}
	if cfg.Interval == 0 {
		cfg.Interval = time.Minute
	}
	if cfg.History < 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "simulation: history %v is negative", cfg.History)
	}
	grid, err := sensors.NewGrid(cfg.Clock, cfg.Interval)
	if err != nil {
		return nil, err
	}
	if len(cfg.Appliances) == 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "simulation: no appliances")
	}
	s := &Source{cfg: cfg, grid: grid}
	seen := make(map[coldkeep.ProbeID]bool)
	for _, a := range cfg.Appliances {
		if a.Probe == "" || seen[a.Probe] {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "simulation: probe %q is missing or there twice", a.Probe)
		}
		seen[a.Probe] = true
		if err := a.check(); err != nil {
			return nil, err
		}
		s.units = append(s.units, &unit{Appliance: a})
	}
	return s, nil
}

func (a *Appliance) check() error {
	if _, err := coldkeep.ParseUnit(string(a.Unit)); err != nil {
		return coldkeep.Errorf(coldkeep.EINVALID, "simulation, probe %s: %s", a.Probe, coldkeep.ErrorMessage(err))
	}
	if !(a.Spread >= 0 && a.Spread <= maxSpread) {
		return coldkeep.Errorf(coldkeep.EINVALID, "simulation, probe %s: spread %v: want 0 to %v", a.Probe, a.Spread, maxSpread)
	}
	for _, f := range a.Faults {
		switch {
		case f.Kind.bit() == 0:
			return coldkeep.Errorf(coldkeep.EINVALID, "simulation, probe %s: fault %q: want one of %v", a.Probe, f.Kind, kinds)
		case !(f.Part >= 0 && f.Part <= 1):
			return coldkeep.Errorf(coldkeep.EINVALID, "simulation, probe %s: %s: a part of %v: want 0 to 1", a.Probe, f.Kind, f.Part)
		case !(f.PerDay >= -maxPerDay && f.PerDay <= maxPerDay):
			return coldkeep.Errorf(coldkeep.EINVALID, "simulation, probe %s: %s: %v °C a day: want at most %v", a.Probe, f.Kind, f.PerDay, maxPerDay)
		}
	}
	return nil
}

// Play hands the samples of one appliance from from on and before until to emit,
// every so often, as fast as it can be computed. The unit is in its stride at the
// first. An interval below a second and what New refuses are EINVALID.
func Play(a Appliance, from, until time.Time, every time.Duration, emit func(sensors.Sample)) error {
	if every < time.Second {
		return coldkeep.Errorf(coldkeep.EINVALID, "simulation: an interval of %v: want a second or more", every)
	}
	if err := a.check(); err != nil {
		return err
	}
	u := unit{Appliance: a, model: newModel(&a, from.Truncate(24*time.Hour).Add(-24*time.Hour))}
	for at := from; at.Before(until); at = at.Add(every) {
		emit(u.at(at))
	}
	return nil
}

// Probes describes the simulated probes.
func (s *Source) Probes() []sensors.Info {
	out := make([]sensors.Info, len(s.units))
	for i, u := range s.units {
		out[i] = sensors.Info{Probe: u.Probe, Kind: "sim-" + string(u.Unit), Bus: "sim"}
	}
	return out
}

// SetInterval changes the grid from the next sample on. Less than a second is
// ignored.
func (s *Source) SetInterval(d time.Duration) { s.grid.SetInterval(d) }

// maxBatch bounds the samples of one emit, as the wire bounds those of a batch.
const maxBatch = 1000

// Run emits the history and then a sample of every appliance at each point of the
// grid, until ctx ends. When the clock has run past several points, as a fast one
// does, all of them are emitted.
func (s *Source) Run(ctx context.Context, emit sensors.Emit) error {
	s.start(s.cfg.Clock.Now())
	for {
		woken := s.grid.Woken()
		now := s.cfg.Clock.Now()
		next := s.next()
		if next.After(now) {
			if err := s.grid.Wait(ctx, next, woken); err != nil {
				return err
			}
			continue
		}
		var batch []sensors.Sample
		for !next.After(now) && len(batch)+len(s.units) <= max(maxBatch, len(s.units)) {
			batch = s.sample(next, batch)
			next = s.next()
		}
		if err := emit(ctx, batch); err != nil {
			return err
		}
	}
}

// start places each unit behind its first grid point, and sets its model going
// early enough to be in its stride there and to have met its faults.
func (s *Source) start(now time.Time) {
	for _, u := range s.units {
		u.last = now.Add(-s.cfg.History - time.Nanosecond)
		if r := s.cfg.Resume[u.Probe]; r.After(u.last) {
			u.last = r
		}
		from := u.last
		for _, f := range u.Faults {
			if f.From.Before(from) {
				from = f.From
			}
		}
		// A day settles the contents, whose time constant is half an hour; from
		// midnight on, restarts of one day give one and the same cycle. A fault older
		// than a month has long done what it does.
		from = latest(from, u.last.Add(-30*24*time.Hour))
		u.model = newModel(&u.Appliance, from.Truncate(24*time.Hour).Add(-24*time.Hour))
	}
}

// next is the earliest grid point that some unit has not emitted.
func (s *Source) next() time.Time {
	var first time.Time
	for i, u := range s.units {
		if n := s.grid.After(u.last); i == 0 || n.Before(first) {
			first = n
		}
	}
	return first
}

func (s *Source) sample(at time.Time, batch []sensors.Sample) []sensors.Sample {
	for _, u := range s.units {
		if !at.After(u.last) {
			continue // recorded before the restart
		}
		u.last = at
		batch = append(batch, u.at(at))
	}
	return batch
}

func (u *unit) at(at time.Time) sensors.Sample {
	u.model.advance(at)
	sample := sensors.Failed(u.Probe, coldkeep.QualityMissing)
	if !u.model.has(ProbeFault) {
		sample = sensors.Sample{Probe: u.Probe, Raw: u.model.reading(at)}
	}
	sample.At = at
	return sample
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
