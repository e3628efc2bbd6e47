// Package sampler reads real probes on a steady grid: one goroutine a bus, a
// deadline a sample, and never a number for a probe that did not answer.
package sampler

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

// Scanner finds the probes that are there now. The kernel's 1-Wire bus is one.
type Scanner interface {
	Scan(ctx context.Context) ([]sensors.Probe, error)
}

// DefaultDeadline bounds one sample. A DS18B20 converts for 750 ms at 12 bits
// (data sheet, table 2), and w1_therm tries up to five times.
const DefaultDeadline = 5 * time.Second

// Config says what is sampled, and when.
type Config struct {
	Clock    coldkeep.Clock // nil is the machine's
	Interval time.Duration  // at least a second; 0 is a minute
	// Every is how often a probe is read, when that is more often than Interval; its
	// samples are Thin then. 0 is Interval.
	Every    time.Duration
	Deadline time.Duration // of one sample, on the machine's clock; 0 is DefaultDeadline
	Scanner  Scanner
	// Buffered tells of each probe whether it stands in a thermal buffer; nil is no.
	// It goes into the Traits of the probe and its samples.
	Buffered func(coldkeep.ProbeID) bool
	Log      *slog.Logger
}

// Join makes one Scanner of several. It gives what any of them found, together
// with the errors of the others.
func Join(scanners ...Scanner) Scanner { return joined(scanners) }

type joined []Scanner

// Scan asks each scanner.
func (j joined) Scan(ctx context.Context) ([]sensors.Probe, error) {
	var all []sensors.Probe
	var errs []error
	for _, s := range j {
		found, err := s.Scan(ctx)
		all, errs = append(all, found...), append(errs, err)
	}
	return all, errors.Join(errs...)
}

// Sampler samples every probe at every point of the grid. The scanner is asked
// before each round, so that a probe plugged in is read from the next round on. A
// probe once seen stays in the book: gone, it is recorded as missing. A round that
// a bus cannot finish before the next begins costs that bus the next, not the
// others. It is a sensors.Source.
type Sampler struct {
	cfg   Config
	grid  *sensors.Grid
	asked atomic.Bool // a round beside the grid

	mu    sync.Mutex // guards what follows
	buses map[string]*bus
	infos []sensors.Info
	late  time.Duration // see Late
	known map[coldkeep.ProbeID]sensors.Traits

	emitting sync.Mutex // one emit at a time

	made time.Time    // on the machine's clock, with its monotonic part
	beat atomic.Int64 // nanoseconds after made at which sampling was last seen to go on
}

// bus is a set of wires; its probes are read one after the other.
type bus struct {
	name   string
	probes []sensors.Probe
	round  chan round    // asks for a round; full while one is under way
	stuck  chan struct{} // closed when the read that overran its deadline is back
}

// round is one look at all probes.
type round struct {
	planned time.Time // the point of the grid; zero for a round beside it
}

var _ sensors.Source = (*Sampler)(nil)

// New makes a sampler. An interval below a second is EINVALID.
func New(cfg Config) (*Sampler, error) {
	if cfg.Clock == nil {
		cfg.Clock = coldkeep.RealClock{}
	}
	if cfg.Interval == 0 {
		cfg.Interval = time.Minute
	}
	if cfg.Deadline == 0 {
		cfg.Deadline = DefaultDeadline
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Every != 0 && cfg.Every < time.Second {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "sampling every %v: want at least 1s", cfg.Every)
	}
	grid, err := sensors.NewGrid(cfg.Clock, cfg.step(cfg.Interval))
	if err != nil {
		return nil, err
	}
	return &Sampler{cfg: cfg, grid: grid, made: time.Now(), buses: make(map[string]*bus), known: make(map[coldkeep.ProbeID]sensors.Traits)}, nil
}

// step is how often is sampled when every interval is recorded.
func (cfg *Config) step(interval time.Duration) time.Duration {
	if cfg.Every > 0 {
		return min(cfg.Every, interval)
	}
	return interval
}

// SetInterval changes the grid from the next sample on. Less than a second is
// ignored.
func (s *Sampler) SetInterval(d time.Duration) { s.grid.SetInterval(s.cfg.step(d)) }

// SampleNow takes a round of samples now, beside the grid.
func (s *Sampler) SampleNow() {
	s.asked.Store(true)
	s.grid.Wake()
}

// Late is by how much, at the most, a round has begun after its point of the grid. The
// probes of a bus are read one after the other, each within Deadline, and every sample
// carries the time at which it was really taken.
func (s *Sampler) Late() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.late
}

// clockSet is from which lateness on it was the clock that moved, not the round.
const clockSet = 10 * time.Minute

// Alive reports whether sampling goes on: not two intervals and two minutes ago a round
// of samples was recorded, or, while there is no probe, looked for in vain. It goes by
// the monotonic clock, so that a leap of the wall clock is no standstill.
func (s *Sampler) Alive() bool {
	return time.Since(s.made)-time.Duration(s.beat.Load()) <= 2*s.grid.Interval()+2*time.Minute
}

func (s *Sampler) goesOn() { s.beat.Store(int64(time.Since(s.made))) }

// Probes describes the probes seen so far.
func (s *Sampler) Probes() []sensors.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sensors.Info(nil), s.infos...)
}

// Run samples until ctx ends or emit fails.
func (s *Sampler) Run(ctx context.Context, emit sensors.Emit) error {
	ctx, fail := context.WithCancelCause(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer fail(nil) // before Wait: ends the buses
	start := func(b *bus) {
		work.Go(func() {
			if err := s.serve(ctx, b, emit); err != nil {
				fail(err)
			}
		})
	}
	var next time.Time // the first round is at once: who plugs in a probe is waiting to see it
	for {
		woken := s.grid.Woken()
		now := s.cfg.Clock.Now()
		switch asked := s.asked.Swap(false); {
		case asked:
			s.round(ctx, round{}, start)
		case !now.Before(next):
			s.round(ctx, round{planned: next}, start)
		}
		next = s.grid.After(now)
		if err := s.grid.Wait(ctx, next, woken); err != nil {
			return context.Cause(ctx)
		}
	}
}

// round scans, and asks every bus for its samples.
func (s *Sampler) round(ctx context.Context, r round, start func(*bus)) {
	found, err := s.cfg.Scanner.Scan(ctx)
	if err != nil {
		// The probes known so far are still asked, and answer for themselves.
		s.cfg.Log.Warn("probes cannot be listed", "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range found {
		s.add(p, start)
	}
	if len(s.buses) == 0 {
		s.goesOn()
	}
	for _, b := range s.buses {
		select {
		case b.round <- r:
		default:
			s.cfg.Log.Warn("bus is still busy with the round before; this one is left out", "bus", b.name)
		}
	}
}

func (s *Sampler) add(p sensors.Probe, start func(*bus)) {
	if _, ok := s.known[coldkeep.ProbeID(p.String())]; ok {
		return
	}
	info := sensors.Describe(p)
	if s.cfg.Buffered != nil && s.cfg.Buffered(info.Probe) {
		info.Traits.Buffered = true
	}
	s.known[info.Probe] = info.Traits
	s.infos = append(s.infos, info)
	s.cfg.Log.Info("probe found", "probe", info.Probe, "kind", info.Kind, "bus", info.Bus, "buffered", info.Traits.Buffered)
	if info.Note != "" {
		s.cfg.Log.Warn("probe needs attention", "probe", info.Probe, "note", info.Note)
	}
	b, ok := s.buses[info.Bus]
	if !ok {
		b = &bus{name: info.Bus, round: make(chan round, 1)}
		s.buses[info.Bus] = b
		start(b)
	}
	b.probes = append(b.probes, p)
}

// serve reads one bus, round after round.
func (s *Sampler) serve(ctx context.Context, b *bus, emit sensors.Emit) error {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, p := range b.probes {
			_ = p.Halt() // nothing more is asked of it
		}
	}()
	for {
		var r round
		select {
		case <-ctx.Done():
			return nil
		case r = <-b.round:
		}
		s.mu.Lock()
		if late := s.cfg.Clock.Now().Sub(r.planned); !r.planned.IsZero() && late < clockSet {
			s.late = max(s.late, late)
		}
		probes := append([]sensors.Probe(nil), b.probes...)
		traits := make([]sensors.Traits, len(probes))
		for i, p := range probes {
			traits[i] = s.known[coldkeep.ProbeID(p.String())]
		}
		s.mu.Unlock()
		batch := make([]sensors.Sample, 0, len(probes))
		for i, p := range probes {
			at := s.cfg.Clock.Now()
			sample := s.sample(ctx, b, p)
			if ctx.Err() != nil {
				return nil // broken off: not the probe's fault
			}
			sample.At, sample.Traits, sample.Thin = at, traits[i], s.cfg.Every > 0 && !r.planned.IsZero()
			batch = append(batch, sample)
		}
		s.emitting.Lock()
		err := emit(ctx, batch)
		s.emitting.Unlock()
		if err != nil {
			return err
		}
		s.goesOn()
	}
}

// sample reads one probe within the deadline. A read that the kernel does not
// give back (the bus mutex may hang, raspberrypi/linux#3491) leaves one goroutine
// behind, and the bus reports timeouts until it is back.
func (s *Sampler) sample(ctx context.Context, b *bus, p sensors.Probe) sensors.Sample {
	id := coldkeep.ProbeID(p.String())
	if b.stuck != nil {
		select {
		case <-b.stuck:
			b.stuck = nil
		default:
			return sensors.Failed(id, coldkeep.QualityTimeout)
		}
	}
	type answer struct {
		sensors.Sample
		err error
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Deadline)
	defer cancel()
	got := make(chan answer, 1)
	back := make(chan struct{})
	go func() {
		defer close(back)
		sample, err := p.Sample(ctx)
		got <- answer{sample, err}
	}()
	var a answer
	select {
	case a = <-got:
	case <-ctx.Done():
		b.stuck = back
		s.cfg.Log.Warn("probe did not answer in time", "probe", id, "bus", b.name, "deadline", s.cfg.Deadline)
		return sensors.Failed(id, coldkeep.QualityTimeout)
	}
	switch {
	case errors.Is(a.err, context.DeadlineExceeded):
		return sensors.Failed(id, coldkeep.QualityTimeout)
	case a.err != nil:
		s.cfg.Log.Warn("probe failed", "probe", id, "bus", b.name, "err", a.err)
		return sensors.Failed(id, coldkeep.QualityError)
	}
	a.Probe = id
	return a.Sample
}
