package sampler

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/sensorstest"
)

// probe is a fake whose answer may take time, fail, or never come.
type probe struct {
	id, bus string
	takes   time.Duration
	err     error
	hang    chan struct{} // when set, an answer comes once it is closed
}

func (p *probe) String() string { return p.id }
func (p *probe) Halt() error    { return nil }
func (p *probe) Info() sensors.Info {
	return sensors.Info{Probe: coldkeep.ProbeID(p.id), Kind: "fake", Bus: p.bus}
}

func (p *probe) Sample(ctx context.Context) (sensors.Sample, error) {
	if p.hang != nil {
		<-p.hang // a driver that does not heed its context
	}
	if err := (coldkeep.RealClock{}).Sleep(ctx, p.takes); err != nil {
		return sensors.Sample{Raw: 4000}, err
	}
	return sensors.Sample{Probe: coldkeep.ProbeID(p.id), Raw: 4000}, p.err
}

// scanner is a bus that probes can be plugged into.
type scanner struct {
	mu     sync.Mutex
	probes []sensors.Probe
	err    error
}

func (s *scanner) Scan(context.Context) ([]sensors.Probe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sensors.Probe(nil), s.probes...), s.err
}

func (s *scanner) set(probes ...sensors.Probe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probes = probes
}

func sampler(t *testing.T, sc Scanner) *Sampler {
	t.Helper()
	s, err := New(Config{Scanner: sc})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSource(t *testing.T) {
	sensorstest.RunSource(t, func(t *testing.T) sensors.Source {
		return sampler(t, &scanner{probes: []sensors.Probe{&probe{id: "a", bus: "1"}, &probe{id: "b", bus: "1"}}})
	})
}

func TestProbe(t *testing.T) {
	sensorstest.RunProbe(t, &probe{id: "a", bus: "1"})
}

// run lets the sampler work for a time and gives what each probe said, in order.
func run(t *testing.T, s *Sampler, d time.Duration) map[coldkeep.ProbeID][]sensors.Sample {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	got := make(map[coldkeep.ProbeID][]sensors.Sample)
	err := s.Run(ctx, func(_ context.Context, batch []sensors.Sample) error {
		for _, x := range batch {
			got[x.Probe] = append(got[x.Probe], x)
		}
		return nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: %v", err)
	}
	return got
}

func TestGridStaysSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		<-time.After(17 * time.Second) // off the grid; bubble time
		began := time.Now()
		smp := sampler(t, &scanner{probes: []sensors.Probe{&probe{id: "a", bus: "1", takes: 750 * time.Millisecond}}})
		got := run(t, smp, 4*time.Minute)["a"]
		want := []time.Duration{0, 43 * time.Second, 103 * time.Second, 163 * time.Second, 223 * time.Second}
		if len(got) != len(want) {
			t.Fatalf("%d samples, want %d", len(got), len(want))
		}
		if late := smp.Late(); late != 0 {
			t.Errorf("late by %v", late)
		}
		for i, s := range got {
			if at := s.At.Sub(began); at != want[i] {
				t.Errorf("sample %d at %v, want %v: at once, then on whole minutes", i, at, want[i])
			}
		}
	})
}

// A probe that hangs costs its own bus its values, never another bus, and never a
// second goroutine; when it is back, values are back.
func TestHangingBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		stuck := &probe{id: "stuck", bus: "1", hang: hang}
		time.AfterFunc(150*time.Second, func() { close(hang) })
		got := run(t, sampler(t, &scanner{probes: []sensors.Probe{stuck, &probe{id: "behind", bus: "1"}, &probe{id: "other", bus: "2"}}}), 4*time.Minute-time.Second)
		for id, want := range map[coldkeep.ProbeID][]coldkeep.Quality{
			"stuck": {"timeout", "timeout", "timeout", ""}, "behind": {"timeout", "timeout", "timeout", ""}, "other": {"", "", "", ""},
		} {
			if len(got[id]) != len(want) {
				t.Errorf("%s: %d samples, want %d", id, len(got[id]), len(want))
				continue
			}
			for i, s := range got[id] {
				if s.Quality != want[i] || s.Raw.Known() != (want[i] == "") {
					t.Errorf("%s, round %d: %v %q, want %q", id, i, s.Raw, s.Quality, want[i])
				}
			}
		}
	})
}

// The value that comes with an error is never used (periph's drivers leave
// plausible ones behind).
func TestErrorsGiveNoNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := run(t, sampler(t, &scanner{probes: []sensors.Probe{
			&probe{id: "broken", bus: "1", err: errors.New("i2c: no ack")},
			&probe{id: "slow", bus: "1", takes: time.Minute},
		}}), 30*time.Second)
		for id, want := range map[coldkeep.ProbeID]coldkeep.Quality{"broken": "error", "slow": "timeout"} {
			if s := got[id]; len(s) != 1 || s[0].Raw.Known() || s[0].Quality != want {
				t.Errorf("%s: %+v, want quality %q", id, s, want)
			}
		}
	})
}

func TestPluggedInAndPulledOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc := &scanner{err: errors.New("not there yet")}
		s := sampler(t, sc)
		time.AfterFunc(90*time.Second, func() { sc.set(&probe{id: "a", bus: "1"}) })
		time.AfterFunc(200*time.Second, func() { sc.set() })
		// Rounds at 0, 60, 120, 180, 240: there from the third on, and asked on when
		// the scan has lost it.
		if got := run(t, s, 250*time.Second)["a"]; len(got) != 3 {
			t.Errorf("%d samples, want 3", len(got))
		}
		if infos := s.Probes(); len(infos) != 1 || infos[0].Bus != "1" {
			t.Errorf("probes %v", infos)
		}
	})
}

func TestSampleNowAndInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sampler(t, &scanner{probes: []sensors.Probe{&probe{id: "a", bus: "1"}}})
		began := time.Now()
		time.AfterFunc(10*time.Second, s.SampleNow)
		time.AfterFunc(70*time.Second, func() { s.SetInterval(20 * time.Second) })
		got := run(t, s, 121*time.Second)["a"]
		want := []time.Duration{0, 10, 60, 80, 100, 120}
		if len(got) != len(want) {
			t.Fatalf("%d samples, want %d", len(got), len(want))
		}
		for i, x := range got {
			if at := x.At.Sub(began); at != want[i]*time.Second {
				t.Errorf("sample %d at %v, want %ds", i, at, want[i])
			}
		}
	})
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{Interval: time.Millisecond}); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("%v, want EINVALID", err)
	}
}

// What is known of a probe travels with its samples to the gate.
func TestTraits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Scanner: &scanner{probes: []sensors.Probe{&probe{id: "a", bus: "1"}, &probe{id: "b", bus: "1"}}},
			Buffered: func(p coldkeep.ProbeID) bool { return p == "b" }})
		if err != nil {
			t.Fatal(err)
		}
		got := run(t, s, time.Second)
		if got["a"][0].Traits.Buffered || !got["b"][0].Traits.Buffered || !s.Probes()[1].Traits.Buffered {
			t.Errorf("%+v, %+v", got, s.Probes())
		}
	})
}

func TestJoin(t *testing.T) {
	broken := errors.New("no 1-Wire")
	found, err := Join(&scanner{err: broken}, &scanner{probes: []sensors.Probe{&probe{id: "a"}}}, &scanner{}).Scan(t.Context())
	if !errors.Is(err, broken) || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
}

// Sampling faster than is recorded: the grid is the finer one, also after the interval
// is configured, and its samples are thin.
func TestSamplesBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Scanner: &scanner{probes: []sensors.Probe{&probe{id: "a", bus: "1"}}}, Every: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var times []time.Duration
		var last time.Time
		_ = s.Run(ctx, func(_ context.Context, b []sensors.Sample) error {
			if !b[0].Thin && len(times) > 0 { // the first, and what somebody asks for, are recorded
				t.Error("a sample is not thin")
			}
			times = append(times, b[0].At.Sub(last))
			last = b[0].At
			switch len(times) {
			case 3:
				s.SetInterval(5 * time.Second)
			case 6:
				s.SetInterval(time.Minute)
			case 9:
				cancel()
			}
			return nil
		})
		for i, want := range map[int]time.Duration{2: 10 * time.Second, 5: 5 * time.Second, 8: 10 * time.Second} {
			if times[i] != want {
				t.Errorf("sample %d came after %v, want %v", i, times[i], want)
			}
		}
	})
	if _, err := New(Config{Scanner: &scanner{}, Every: time.Millisecond}); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("%v", err)
	}
}

// However long a scan or a bus takes, rounds begin by their own points of the grid; by
// how much late is known.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowScanner{scanner: scanner{probes: []sensors.Probe{&probe{id: "a", bus: "1"}}}}
		s := sampler(t, slow)
		got := run(t, s, 10*time.Minute)["a"]
		if s.Late() != 3*time.Second {
			t.Errorf("late by %v, want 3s", s.Late())
		}
		for _, x := range got[1:] {
			if off := time.Duration(x.At.UnixMilli()%60_000) * time.Millisecond; off != 3*time.Second {
				t.Errorf("a sample %v after its point", off)
			}
		}
	})
}

// slowScanner takes three seconds to look.
type slowScanner struct{ scanner }

func (s *slowScanner) Scan(ctx context.Context) ([]sensors.Probe, error) {
	if err := (coldkeep.RealClock{}).Sleep(ctx, 3*time.Second); err != nil {
		return nil, err
	}
	return s.scanner.Scan(ctx)
}

// It is alive while rounds are recorded, or looked for in vain; and not while the
// outbox takes nothing.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc := &scanner{}
		s := sampler(t, sc)
		full, room := false, make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- s.Run(ctx, func(context.Context, []sensors.Sample) error {
				if full {
					<-room
				}
				return nil
			})
		}()
		look := func(after time.Duration, want bool, what string) {
			t.Helper()
			<-time.After(after) // bubble time
			if got := s.Alive(); got != want {
				t.Errorf("%s: alive %v", what, got)
			}
		}
		look(30*time.Minute, true, "no probe")
		sc.set(&probe{id: "a", bus: "1"})
		look(30*time.Minute, true, "a probe")
		full = true
		look(2*time.Minute, true, "a write takes long")
		look(10*time.Minute, false, "a write hangs")
		full = false
		close(room)
		look(2*time.Minute, true, "it is back")
		stop()
		<-done
	})
}
