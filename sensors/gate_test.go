package sensors_test

import (
	"math"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"pgregory.net/rapid"
)

const none = coldkeep.NoTemperature

func TestGate(t *testing.T) {
	type in struct {
		minute int
		raw    coldkeep.Temperature
		q      coldkeep.Quality
	}
	type out struct {
		value coldkeep.Temperature
		q     coldkeep.Quality
	}
	for name, c := range map[string]struct {
		in   []in
		want []out
	}{
		"believed": {[]in{{0, 4312, ""}, {1, -80000, ""}}, []out{{4312, ""}, {-80000, ""}}},
		// Known fault values of drivers and loggers, see gate.go.
		"beyond the world": {[]in{{0, -273150, ""}, {1, -273200, ""}, {2, -127000, ""}, {3, 127938, ""}, {4, 327670, ""}, {5, 882600, ""}},
			[]out{{none, "range"}, {none, "range"}, {none, "range"}, {none, "range"}, {none, "range"}, {none, "range"}}},
		"the limits themselves":           {[]in{{0, -100000, ""}, {1, 100000, ""}, {2, -100001, ""}, {3, 100001, ""}}, []out{{-100000, ""}, {100000, ""}, {none, "range"}, {none, "range"}}},
		"no value":                        {[]in{{0, none, ""}, {1, none, "crc"}, {2, none, "clock"}}, []out{{none, "missing"}, {none, "crc"}, {none, "missing"}}},
		"a value that its driver doubts":  {[]in{{0, 4000, "zeros"}, {1, 4000, "clock"}}, []out{{none, "zeros"}, {4000, "clock"}}},
		"a word not in the contract":      {[]in{{0, 4000, "fine"}}, []out{{none, "error"}}},
		"85 first":                        {[]in{{0, 85000, ""}, {1, 4000, ""}}, []out{{none, "reset85"}, {4000, ""}}},
		"85 out of the blue":              {[]in{{0, 4000, ""}, {1, 85000, ""}, {2, 85000, ""}}, []out{{4000, ""}, {none, "reset85"}, {none, "reset85"}}},
		"85 on the way up":                {[]in{{0, 75000, ""}, {1, 85000, ""}, {2, 95000, ""}}, []out{{75000, ""}, {85000, ""}, {95000, ""}}},
		"85 just too far":                 {[]in{{0, 74999, ""}, {1, 85000, ""}}, []out{{74999, ""}, {none, "reset85"}}},
		"85 after a fault keeps the last": {[]in{{0, 80000, ""}, {1, none, "crc"}, {2, 85000, ""}}, []out{{80000, ""}, {none, "crc"}, {85000, ""}}},
		"not exactly 85":                  {[]in{{0, 4000, ""}, {1, 84999, ""}}, []out{{4000, ""}, {84999, ""}}},
		"a late sample has no reading before it, and does not become one": {
			[]in{{5, 80000, ""}, {1, 85000, ""}, {2, 4000, ""}, {6, 85000, ""}},
			[]out{{80000, ""}, {none, "reset85"}, {4000, ""}, {85000, ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			var g sensors.Gate
			for i, s := range c.in {
				got := g.Judge(sensors.Sample{Probe: "p", At: time.Unix(int64(s.minute)*60, 0), Raw: s.raw, Quality: s.q})
				if (out{got.Raw, got.Quality}) != c.want[i] {
					t.Errorf("sample %d, %v %q: got %v %q, want %v %q", i, s.raw, s.q, got.Raw, got.Quality, c.want[i].value, c.want[i].q)
				}
			}
		})
	}
}

func TestGateProbesAreApart(t *testing.T) {
	var g sensors.Gate
	g.Judge(sensors.Sample{Probe: "warm", At: time.Unix(0, 0), Raw: 80000})
	if got := g.Judge(sensors.Sample{Probe: "cold", At: time.Unix(1, 0), Raw: 85000}); got.Quality != coldkeep.QualityReset85 {
		t.Errorf("85.000 of one probe was believed beside another's 80: %+v", got)
	}
}

// series judges a value a minute of a probe with traits, and gives the qualities.
func series(traits sensors.Traits, n int, value func(minute int) coldkeep.Temperature) (out []coldkeep.Quality) {
	var g sensors.Gate
	for i := range n {
		s := g.Judge(sensors.Sample{Probe: "p", At: time.Unix(int64(i)*60, 0), Raw: value(i), Traits: traits})
		out = append(out, s.Quality)
	}
	return out
}

// A value may stand as long as its probe and the appliance can keep it there.
func TestGateStuck(t *testing.T) {
	frozen := func(int) coldkeep.Temperature { return 4000 }
	for name, c := range map[string]struct {
		traits sensors.Traits
		value  func(int) coldkeep.Temperature
		first  int // minute of the first "stuck"; 0 is never
	}{
		"nothing is known":          {sensors.Traits{}, frozen, 0},
		"buffered, step not known":  {sensors.Traits{Buffered: true}, frozen, 0},
		"fine":                      {sensors.Traits{Step: 8}, frozen, 120},
		"fine, in a buffer":         {sensors.Traits{Step: 8, Buffered: true}, frozen, 120},
		"coarse":                    {sensors.Traits{Step: 63}, frozen, 12 * 60},
		"coarse, in a buffer":       {sensors.Traits{Step: 63, Buffered: true}, frozen, 24 * 60},
		"coarser than noise":        {sensors.Traits{Step: 100}, frozen, 0},
		"a step now and then":       {sensors.Traits{Step: 63}, func(i int) coldkeep.Temperature { return coldkeep.Temperature(4000 + 62*(i/700%2)) }, 0},
		"faults in between, frozen": {sensors.Traits{Step: 8}, func(i int) coldkeep.Temperature { return []coldkeep.Temperature{4000, none}[i%2] }, 120},
	} {
		got := series(c.traits, 36*60, c.value)
		first := 0
		for i, q := range got {
			if q == coldkeep.QualityStuck {
				first = i
				break
			}
		}
		if first != c.first {
			t.Errorf("%s: stuck from minute %d on, want %d", name, first, c.first)
		}
	}
	got := series(sensors.Traits{Step: 8}, 200, func(i int) coldkeep.Temperature { return coldkeep.Temperature(4000 + i/150) })
	if got[149] != "stuck" || got[150] != "" {
		t.Errorf("before the change %q, after it %q", got[149], got[150])
	}
}

// A gap or a step of the clock is no evidence of a frozen probe, and neither are two
// readings an hour apart.
func TestGateStuckNeedsReadings(t *testing.T) {
	var g sensors.Gate
	at := time.Unix(0, 0)
	for i := range 59 {
		at = at.Add(24 * time.Hour)
		if s := g.Judge(sensors.Sample{Probe: "p", At: at, Raw: 4000, Traits: sensors.Traits{Step: 8}}); s.Quality != "" {
			t.Fatalf("after %d readings: %q", i, s.Quality)
		}
	}
	g = sensors.Gate{}
	at = time.Unix(0, 0)
	for range 70 {
		at = at.Add(time.Second)
		g.Judge(sensors.Sample{Probe: "p", At: at, Raw: 4000, Traits: sensors.Traits{Step: 8}})
	}
	if s := g.Judge(sensors.Sample{Probe: "p", At: at.Add(24 * time.Hour), Raw: 4000, Traits: sensors.Traits{Step: 8}}); s.Quality != "" {
		t.Errorf("after the clock was set: %q", s.Quality)
	}
}

// A probe in its buffer does not leap; where it stays it is believed in the end.
func TestGateRate(t *testing.T) {
	buffered := sensors.Traits{Buffered: true}
	leap := func(i int) coldkeep.Temperature {
		if i == 5 {
			return 30000
		}
		return 4000
	}
	if got := series(buffered, 8, leap); got[4] != "" || got[5] != "rate" || got[6] != "" {
		t.Errorf("one wild reading: %q", got)
	}
	if got := series(sensors.Traits{}, 8, leap); got[5] != "" || got[6] != "" {
		t.Errorf("in air: %q", got)
	}
	moved := func(i int) coldkeep.Temperature {
		if i < 5 {
			return -70000
		}
		return 20000
	}
	got := series(buffered, 12, moved) // 90 °C: believed when 1 + 20 a minute reach it
	for i, want := range []coldkeep.Quality{"", "", "", "", "", "rate", "rate", "rate", "rate", "", "", ""} {
		if got[i] != want {
			t.Errorf("moved, minute %d: %q, want %q", i, got[i], want)
		}
	}
	// The fastest that heat does to a bottle: five minutes' time constant, 105 °C.
	warming := func(i int) coldkeep.Temperature {
		return coldkeep.FromCelsius(25 - 105*math.Exp(-float64(i)/5.25))
	}
	for i, q := range series(buffered, 60, warming) {
		if q != "" {
			t.Errorf("warming, minute %d: %q", i, q)
		}
	}
}

// Whatever comes in, what comes out satisfies the contract: a value and no reason
// against it, or no value and a reason.
func TestGateKeepsTheContract(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g sensors.Gate
		for range rapid.IntRange(1, 20).Draw(t, "n") {
			s := g.Judge(sensors.Sample{
				Probe:   coldkeep.ProbeID(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "probe")),
				At:      time.Unix(rapid.Int64Range(0, 100).Draw(t, "at"), 0),
				Raw:     coldkeep.Temperature(rapid.Int32().Draw(t, "raw")),
				Quality: rapid.SampledFrom([]coldkeep.Quality{"", "crc", "missing", "clock", "uncalibrated", "nonsense"}).Draw(t, "q"),
				Traits:  sensors.Traits{Step: coldkeep.Temperature(rapid.Int32Range(-1, 200).Draw(t, "step")), Buffered: rapid.Bool().Draw(t, "buffered")},
			})
			if !s.Quality.Valid() || s.Raw.Known() == s.Quality.NoValue() {
				t.Fatalf("%v beside %q", s.Raw, s.Quality)
			}
			if s.Raw.Known() && (s.Raw < -100_000 || s.Raw > 100_000) {
				t.Fatalf("%v was believed", s.Raw)
			}
		}
	})
}
