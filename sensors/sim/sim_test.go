package sim

import (
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
