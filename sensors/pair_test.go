package sensors_test

import (
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

func TestPairs(t *testing.T) {
	var p sensors.Pairs
	sample := func(probe coldkeep.ProbeID, minute int, raw coldkeep.Temperature) []sensors.Disagreement {
		return p.Look(sensors.Sample{Probe: probe, At: time.Unix(int64(minute)*60, 0), Raw: raw})
	}
	if got := sample("a", 0, 4000); got != nil {
		t.Errorf("compared before any probe had an appliance: %v", got)
	}
	p.Assign(map[coldkeep.ProbeID]coldkeep.ApplianceID{"a": "fridge", "b": "fridge", "c": "freezer"})
	var told []string
	for minute := range 200 {
		b := coldkeep.Temperature(6000)
		switch {
		case minute == 20: // once, as a door does
			b = 12000
		case minute >= 50 && minute < 100:
			b = 11000
		case minute >= 100 && minute < 110:
			b = 8500 // neither
		}
		for probe, raw := range map[coldkeep.ProbeID]coldkeep.Temperature{"a": 4000, "b": b, "c": -20000, "room": 22000} {
			for _, d := range sample(probe, minute, raw) {
				if d.Appliance != "fridge" {
					t.Errorf("%+v", d)
				}
				told = append(told, time.Unix(0, 0).Add(time.Duration(d.At.Unix())*time.Second).UTC().Format("15:04 ")+d.String())
			}
		}
	}
	want := []string{"01:20 a and b are 7 °C apart", "01:50 a and b agree again"}
	if len(told) != 2 || told[0] != want[0] || told[1] != want[1] {
		t.Errorf("told %q, want %q", told, want)
	}
	// A probe that fell silent is not compared with.
	for minute := 300; minute < 400; minute++ {
		if got := sample("a", minute, -30000); got != nil {
			t.Errorf("compared with a sample of long ago: %v", got)
		}
		if got := sample("b", minute, coldkeep.NoTemperature); got != nil {
			t.Errorf("compared no value: %v", got)
		}
	}
}
