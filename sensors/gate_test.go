package sensors_test

import (
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
