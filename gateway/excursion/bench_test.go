package excursion

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/coldkeep/coldkeep"
)

// year makes a year of readings, one a minute, with an excursion of an hour and a
// half each week.
func year(probes int) []Sample {
	out := make([]Sample, 525_600)
	for i := range out {
		c := coldkeep.Temperature(4000 + (i*37)%3000)
		if i%10_000 < 90 {
			c = 9000
		}
		out[i] = Sample{At: base + int64(i)*minute, Seq: int64(i), Probe: i % probes, Celsius: c}
	}
	return out
}

func benchmarkStep(b *testing.B, h *History, samples []Sample) {
	r := mustCompile(b, "cdc", coldkeep.Refrigerator)
	b.ReportAllocs()
	for b.Loop() {
		var s State
		n := 0
		closed := func(Finding) { n++ }
		for _, in := range samples {
			s.Step(r, h, in, closed)
		}
	}
	b.ReportMetric(float64(len(samples))*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
}

// BenchmarkStep is the engine on one core over a year of one, and of three, probes.
// The goal is 5 million readings a second.
func BenchmarkStep(b *testing.B) {
	b.Run("one-probe", func(b *testing.B) { benchmarkStep(b, Alone(), year(1)) })
	b.Run("three-probes", func(b *testing.B) { benchmarkStep(b, several(vac, vac, air), year(3)) })
}

// BenchmarkStepRecording is the engine on one core over a real freezer's record of
// nineteen days, most of it out of range by the rules of CDC.
func BenchmarkStepRecording(b *testing.B) {
	benchmarkStep(b, Alone(), recording(b, "home_fridge_freezer_5probe_60s.csv", "T0"))
}

// BenchmarkLive is the memory of 10,000 appliances that are watched, with two probes
// each; every tenth has an open excursion after a day of short ones, every twentieth
// a fault. The goal is 100 MB. Rules are shared by appliances of one profile.
func BenchmarkLive(b *testing.B) {
	const appliances = 10_000
	r := mustCompile(b, "cdc", coldkeep.Refrigerator)
	drop := func(Finding) {}
	for b.Loop() {
		b.StopTimer()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		states := make([]*State, appliances)
		histories := make([]*History, appliances)
		b.StartTimer()
		for n := range states {
			s, h := &State{}, several(vac, vac)
			for i := range int64(1440) {
				c := coldkeep.Temperature(5000)
				if n%10 == 0 && (i%60 < 3 || i > 1420) {
					c = 9000
				}
				if n%20 == 0 && i > 1400 && i%2 == 1 {
					c = coldkeep.NoTemperature
				}
				s.Step(r, h, Sample{At: m(i), Seq: i, Probe: int(i % 2), Celsius: c}, drop)
			}
			states[n], histories[n] = s, h
		}
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		perAppliance := float64(after.HeapAlloc-before.HeapAlloc) / appliances
		b.ReportMetric(perAppliance, "B/appliance")
		b.ReportMetric(perAppliance*appliances/1e6, "MB")
		var kept int
		for _, s := range states {
			kept += len(s.Marshal())
		}
		b.ReportMetric(float64(kept)/appliances, "B/checkpoint")
		if open := len(states[0].Open(r, histories[0], states[0].At)); open != 2 {
			b.Fatal(fmt.Sprint(open, " findings are open"))
		}
		runtime.KeepAlive(histories)
		b.StartTimer()
	}
}
