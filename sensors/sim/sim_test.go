package sim

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/sensorstest"
)

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func appliances() []Appliance {
	return []Appliance{
		{Probe: "fridge", Unit: coldkeep.Refrigerator, Seed: 1},
		{Probe: "freezer", Unit: coldkeep.Freezer, Seed: 2},
	}
}

func source(t *testing.T, cfg Config) *Source {
	t.Helper()
	if cfg.Appliances == nil {
		cfg.Appliances = appliances()
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSource(t *testing.T) {
	sensorstest.RunSource(t, func(t *testing.T) sensors.Source { return source(t, Config{}) })
	sensorstest.RunSource(t, func(t *testing.T) sensors.Source { return source(t, Config{History: 24 * time.Hour}) })
}

func TestHistoryThenGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var all []sensors.Sample
		batches := sensorstest.Collect(t, source(t, Config{History: 24 * time.Hour, Interval: 5 * time.Minute}), 3)
		for _, b := range batches {
			all = append(all, b...)
		}
		// The bubble begins at midnight, on the grid: 24 h of 12 points an hour, now,
		// and two steps on.
		if want := 2 * (24*12 + 1 + 2); len(all) != want || len(batches) != 3 {
			t.Errorf("%d samples in %d batches, want %d in 3: history in one, then one a step", len(all), len(batches), want)
		}
		for i, s := range all {
			if want := began.Add(-24 * time.Hour).Add(time.Duration(i/2) * 5 * time.Minute); !s.At.Equal(want) {
				t.Fatalf("sample %d is of %v, want %v", i, s.At, want)
			}
		}
		if took := time.Since(began); took != 10*time.Minute {
			t.Errorf("took %v, want two steps of 5m", took)
		}
	})
}

// A restart goes on behind what is recorded: no point twice, none left out, and
// each probe for itself.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		src := source(t, Config{History: time.Hour, Resume: map[coldkeep.ProbeID]time.Time{
			"fridge": now.Add(-10 * time.Minute), "freezer": now}})
		var fridge, freezer int
		for _, s := range sensorstest.Collect(t, src, 1)[0] {
			switch {
			case s.Probe == "freezer":
				freezer++
			case !s.At.Equal(now.Add(time.Duration(fridge-9) * time.Minute)):
				t.Errorf("fridge at %v", s.At)
				fallthrough
			default:
				fridge++
			}
		}
		if fridge != 10 || freezer != 0 {
			t.Errorf("fridge %d, freezer %d samples, want the 10 and 0 that are not recorded", fridge, freezer)
		}
	})
}

func TestSameSeedSameReadings(t *testing.T) {
	a, b := newModel(&appliances()[0], midnight), newModel(&appliances()[0], midnight)
	at := midnight
	for range 1000 {
		at = at.Add(time.Minute)
		a.advance(at)
		b.advance(at)
		if a.reading(at) != b.reading(at) {
			t.Fatalf("two models of a seed differ at %v", at)
		}
	}
}

// Sound appliances stay well inside CDC's ranges, whatever the seed, for a month.
func TestSoundAppliancesStayInRange(t *testing.T) {
	for _, c := range []struct {
		unit   coldkeep.Unit
		lo, hi coldkeep.Temperature
	}{
		{coldkeep.Refrigerator, 3_000, 7_000}, // 2 to 8 °C
		{coldkeep.Freezer, -23_000, -17_500},  // -50 to -15 °C
		{coldkeep.UltraCold, -78_000, -72_000},
	} {
		for seed := range uint64(5) {
			m := newModel(&Appliance{Unit: c.unit, Seed: seed}, midnight)
			m.advance(midnight.Add(24 * time.Hour))
			for at := m.at; at.Before(midnight.Add(31 * 24 * time.Hour)); at = at.Add(time.Minute) {
				m.advance(at)
				if r := m.reading(at); r < c.lo || r > c.hi {
					t.Fatalf("%s, seed %d: %v °C at %v", c.unit, seed, r, at)
				}
			}
		}
	}
}

// The accident of the demo: above 8 °C within 9 minutes of any moment, within 7
// of the warm end, and for good.
func TestBreakdown(t *testing.T) {
	for seed := range uint64(5) {
		sound := newModel(&Appliance{Unit: coldkeep.Refrigerator, Seed: seed}, midnight)
		sound.advance(midnight.Add(48 * time.Hour))
		for range 45 { // minutes: a whole cycle
			was := sound.running
			at := sound.at.Add(time.Minute)
			sound.advance(at)
			broken := *sound
			broken.setFaults(Breakdown(at))
			minutes := 0
			for ; broken.contents <= 8.05; minutes++ {
				broken.advance(broken.at.Add(time.Minute))
			}
			limit := 9
			if sound.running && !was { // the compressor has just come on
				limit = 7
			}
			if minutes > limit || minutes < 3 {
				t.Errorf("seed %d, from %.2f °C: above 8 °C after %d minutes, want at most %d", seed, sound.contents, minutes, limit)
			}
			for range 24 * 60 {
				broken.advance(broken.at.Add(time.Minute))
				if broken.contents <= 8 {
					t.Fatalf("seed %d: back at %.2f °C", seed, broken.contents)
				}
			}
		}
	}
}

func TestProbeFaultGivesNoNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := appliances()[:1]
		a[0].Faults = []Fault{{Kind: ProbeFault, From: time.Now().Add(time.Minute), To: time.Now().Add(2 * time.Minute)}}
		got := sensorstest.Collect(t, source(t, Config{Appliances: a}), 3)
		for i, want := range []bool{true, false, true} {
			s := got[i][0]
			if s.Raw.Known() != want || want == (s.Quality == coldkeep.QualityMissing) {
				t.Errorf("sample %d: %v %q", i, s.Raw, s.Quality)
			}
		}
	})
}

func TestSetInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := source(t, Config{Interval: time.Hour})
		began := time.Now()
		time.AfterFunc(10*time.Minute, func() { src.SetInterval(time.Minute) })
		got := sensorstest.Collect(t, src, 2)
		if at := got[1][0].At; at.Sub(began) != time.Minute && at.Sub(began) != 11*time.Minute {
			t.Errorf("second sample %v after the first", at.Sub(began))
		}
		if took := time.Since(began); took > 11*time.Minute {
			t.Errorf("the new interval was heeded after %v", took)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no appliances":    {},
		"short interval":   {Interval: time.Millisecond, Appliances: appliances()},
		"negative history": {History: -1, Appliances: appliances()},
		"unknown unit":     {Appliances: []Appliance{{Probe: "p", Unit: "oven"}}},
		"unknown fault":    {Appliances: []Appliance{{Probe: "p", Unit: coldkeep.Freezer, Faults: []Fault{{Kind: "fire"}}}}},
		"probe twice":      {Appliances: append(appliances(), appliances()...)},
	} {
		if _, err := New(cfg); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %v, want EINVALID", name, err)
		}
	}
}

func BenchmarkDay(b *testing.B) {
	m := newModel(&appliances()[0], midnight)
	for b.Loop() {
		m.advance(m.at.Add(24 * time.Hour))
	}
}

// played gives the °C of a refrigerator, or of what else, a minute apart for some
// hours from its second day on.
func played(t *testing.T, a Appliance, hours int) []float64 {
	t.Helper()
	a.Probe = "p"
	var out []float64
	from := midnight.Add(24 * time.Hour)
	err := Play(a, from, from.Add(time.Duration(hours)*time.Hour), time.Minute, func(s sensors.Sample) {
		if want := from.Add(time.Duration(len(out)) * time.Minute); !s.At.Equal(want) {
			t.Fatalf("sample %d is of %v, want %v", len(out), s.At, want)
		}
		out = append(out, s.Raw.Celsius())
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func extremes(v []float64) (lo, hi float64) {
	return slices.Min(v), slices.Max(v)
}

// What each fault does to the trace, beside the sound unit of the same seed.
func TestFaults(t *testing.T) {
	from := midnight.Add(24 * time.Hour)
	at := from.Add(6 * time.Hour)
	const i = 6 * 60
	sound := played(t, Appliance{Unit: coldkeep.Refrigerator, Seed: 3}, 48)
	with := func(f Fault) []float64 {
		got := played(t, Appliance{Unit: coldkeep.Refrigerator, Seed: 3, Faults: []Fault{f}}, 48)
		if !slices.Equal(got[:i], sound[:i]) {
			t.Errorf("%s: the trace differs before the fault", f.Kind)
		}
		return got
	}
	lo, hi := extremes(sound)

	lost := with(Fault{Kind: PowerLost, From: at, To: at.Add(12 * time.Hour)})
	if stopped := with(Fault{Kind: CompressorFailure, From: at, To: at.Add(12 * time.Hour)}); !slices.Equal(lost, stopped) {
		t.Error("without mains it warms otherwise than without compressor")
	}
	if lost[i+12*60] < 15 || lost[len(lost)-1] > hi+0.1 {
		t.Errorf("without mains for 12 h at %.1f °C, a day later at %.1f", lost[i+12*60], lost[len(lost)-1])
	}
	if gap := with(Fault{Kind: DoorAjar, From: at, Part: 0.01})[i+60:]; slices.Max(gap) > 8 {
		t.Errorf("a gap of a hundredth is too much for it: %.1f °C", slices.Max(gap))
	}
	ajar := with(Fault{Kind: DoorAjar, From: at})
	if v := ajar[i+60]; v < 9 || v > 16 {
		t.Errorf("ajar for an hour: %.1f °C", v)
	}
	if open := with(Fault{Kind: DoorOpen, From: at}); open[i+60] < ajar[i+60]+2 {
		t.Errorf("wide open %.1f °C, ajar %.1f", open[i+60], ajar[i+60])
	}
	if v := slices.Max(with(Fault{Kind: Defrost, From: at, To: at.Add(20 * time.Minute)})[i : i+60]); v < hi+1 {
		t.Errorf("a defrost peaks at %.1f °C, the usual top is %.1f", v, hi)
	}
	for _, perDay := range []float64{1, -1} {
		end := with(Fault{Kind: ThermostatDrift, From: at, To: at.Add(24 * time.Hour), PerDay: perDay})[i+24*60:]
		low, high := extremes(end)
		if d := low - lo - perDay; d < -0.3 || d > 0.3 {
			t.Errorf("drifted by %v, the bottom is %.2f, was %.2f", perDay, low, lo)
		}
		if d := high - hi - perDay; d < -0.3 || d > 0.3 {
			t.Errorf("drifted by %v, the top is %.2f, was %.2f", perDay, high, hi)
		}
	}
	if low, high := extremes(with(Fault{Kind: ProbeInAir, From: at})[i:]); high-low < 2*(hi-lo) {
		t.Errorf("in the air it swings from %.1f to %.1f, in its buffer from %.1f to %.1f", low, high, lo, hi)
	}
}

// Units of a type differ as they are told to, and each of them is sound.
func TestSpread(t *testing.T) {
	tops := map[float64]bool{}
	for seed := range uint64(20) {
		for _, u := range []struct {
			unit   coldkeep.Unit
			lo, hi float64
		}{{coldkeep.Refrigerator, 2, 8}, {coldkeep.Freezer, -50, -15}, {coldkeep.UltraCold, -90, -60}} {
			lo, hi := extremes(played(t, Appliance{Unit: u.unit, Seed: seed, Spread: maxSpread}, 24))
			if lo < u.lo || hi > u.hi {
				t.Errorf("%s, seed %d: %.2f to %.2f °C", u.unit, seed, lo, hi)
			}
			tops[hi] = true
		}
	}
	if len(tops) < 30 {
		t.Errorf("60 units have %d tops", len(tops))
	}
}

func TestPlayRefuses(t *testing.T) {
	a := appliances()[0]
	for name, bad := range map[string]func(*Appliance){
		"unit":   func(a *Appliance) { a.Unit = "oven" },
		"spread": func(a *Appliance) { a.Spread = 0.7 },
		"fault":  func(a *Appliance) { a.Faults = []Fault{{Kind: "fire"}} },
		"part":   func(a *Appliance) { a.Faults = []Fault{{Kind: DoorAjar, Part: 1.1}} },
		"drift":  func(a *Appliance) { a.Faults = []Fault{{Kind: ThermostatDrift, PerDay: math.NaN()}} },
	} {
		b := a
		bad(&b)
		if err := Play(b, midnight, midnight.Add(time.Hour), time.Minute, func(sensors.Sample) {}); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %v, want EINVALID", name, err)
		}
	}
	if err := Play(a, midnight, midnight.Add(time.Hour), 0, func(sensors.Sample) {}); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("no interval: %v, want EINVALID", err)
	}
}
