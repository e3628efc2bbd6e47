package main

import (
	"math/rand/v2"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/foresight"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/sim"
)

// kindOfUnit is a type of unit as the simulation has it.
type kindOfUnit struct {
	name      string
	unit      coldkeep.Unit
	low, high coldkeep.Temperature // CDC's range
	frostFree bool                 // defrosts by itself
}

var units = []kindOfUnit{
	{"refrigerator", coldkeep.Refrigerator, 2_000, 8_000, false},
	{"freezer", coldkeep.Freezer, -50_000, -15_000, false},
	{"freezer, frost-free", coldkeep.Freezer, -50_000, -15_000, true},
	{"ultra-cold", coldkeep.UltraCold, -90_000, -60_000, false},
}

// trouble is a fault that is measured.
type trouble struct {
	name    string
	cause   foresight.Cause // what ought to be said
	also    foresight.Cause // cannot be told from it
	events  bool            // the device tells
	applies func(kindOfUnit) bool
	fault   func(rng *rand.Rand, from time.Time) sim.Fault
	lasts   time.Duration
}

func every(kindOfUnit) bool { return true }

var troubles = []trouble{
	{"door ajar", foresight.DoorAjar, "", false, every, ajar, 12 * time.Hour},
	{"door ajar, device tells", foresight.DoorAjar, "", true, every, ajar, 12 * time.Hour},
	{"compressor stopped", foresight.CompressorStopped, "", false, every, func(rng *rand.Rand, from time.Time) sim.Fault {
		return sim.Fault{Kind: sim.CompressorFailure, From: from}
	}, 24 * time.Hour},
	{"power lost", foresight.PowerLost, foresight.CompressorStopped, false, every, lost, 24 * time.Hour},
	{"power lost, device tells", foresight.PowerLost, "", true, every, lost, 24 * time.Hour},
	{"defrost that does not end", foresight.Defrost, "", false, func(k kindOfUnit) bool { return k.frostFree }, func(rng *rand.Rand, from time.Time) sim.Fault {
		return sim.Fault{Kind: sim.Defrost, From: from, To: from.Add(2 * time.Hour)}
	}, 12 * time.Hour},
	{"thermostat drifts warm", foresight.ThermostatDrift, "", false, every, func(rng *rand.Rand, from time.Time) sim.Fault {
		return sim.Fault{Kind: sim.ThermostatDrift, From: from, PerDay: 0.3 + 1.2*rng.Float64()}
	}, 21 * 24 * time.Hour},
	{"thermostat drifts cold", foresight.ThermostatDrift, "", false, func(k kindOfUnit) bool { return k.unit != coldkeep.Freezer }, func(rng *rand.Rand, from time.Time) sim.Fault {
		return sim.Fault{Kind: sim.ThermostatDrift, From: from, PerDay: -0.3 - 1.2*rng.Float64()}
	}, 21 * 24 * time.Hour},
	{"probe in the air", foresight.ProbeMoved, "", false, every, func(rng *rand.Rand, from time.Time) sim.Fault {
		return sim.Fault{Kind: sim.ProbeInAir, From: from}
	}, 24 * time.Hour},
}

// ajar is a gap between a fiftieth and a fifth of the open door.
func ajar(rng *rand.Rand, from time.Time) sim.Fault {
	return sim.Fault{Kind: sim.DoorAjar, From: from, To: from.Add(10 * time.Hour), Part: 0.02 + 0.18*rng.Float64()}
}

func lost(rng *rand.Rand, from time.Time) sim.Fault {
	return sim.Fault{Kind: sim.PowerLost, From: from, To: from.Add(20 * time.Hour)}
}

var begin = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// usage is what a sound unit goes through: two to six openings a working day of 10
// to 90 s, on a weekday a restocking of 2 to 4 minutes, and in a frost-free unit a
// defrost of 10 to 20 minutes every 8 to 26 hours.
func usage(rng *rand.Rand, k kindOfUnit, days int) []sim.Fault {
	var out []sim.Fault
	open := func(at time.Time, d time.Duration, part float64) {
		out = append(out, sim.Fault{Kind: sim.DoorAjar, From: at, To: at.Add(d), Part: part})
	}
	restock := rng.IntN(5)
	for day := range days {
		if day%7 >= 5 {
			continue
		}
		morning := begin.AddDate(0, 0, day).Add(8 * time.Hour)
		for range 2 + rng.IntN(5) {
			open(morning.Add(time.Duration(rng.Int64N(int64(9*time.Hour)))), 10*time.Second+time.Duration(rng.Int64N(int64(80*time.Second))), 0.1+0.3*rng.Float64())
		}
		if day%7 == restock {
			open(morning.Add(time.Duration(rng.Int64N(int64(9*time.Hour)))), 2*time.Minute+time.Duration(rng.Int64N(int64(2*time.Minute))), 0.1+0.2*rng.Float64())
		}
	}
	if k.frostFree {
		gap := 8*time.Hour + time.Duration(rng.Int64N(int64(18*time.Hour)))
		long := 10*time.Minute + time.Duration(rng.Int64N(int64(10*time.Minute)))
		for at := begin.Add(gap / 3); at.Before(begin.AddDate(0, 0, days)); {
			out = append(out, sim.Fault{Kind: sim.Defrost, From: at, To: at.Add(long)})
			at = at.Add(gap + time.Duration((rng.Float64()-0.5)*0.3*float64(gap)))
		}
	}
	return out
}

// play gives the samples of a simulated unit, of every second seed a reading a
// minute, of the others one in five minutes.
func play(k kindOfUnit, seed uint64, faults []sim.Fault, until time.Time) []foresight.Sample {
	step := time.Minute
	if seed%2 == 1 {
		step = 5 * time.Minute
	}
	out := make([]foresight.Sample, 0, until.Sub(begin)/step)
	a := sim.Appliance{Probe: "p", Unit: k.unit, Seed: seed, Faults: faults, Spread: 0.5}
	err := sim.Play(a, begin, until, step, func(s sensors.Sample) {
		out = append(out, foresight.Sample{At: s.At.UnixMilli(), Celsius: s.Raw})
	})
	if err != nil {
		panic(err) // the scenarios above are wrong
	}
	return out
}

// result is what was measured of one trouble on one type of unit.
type result struct {
	runs, excursions int // an excursion came of it
	warned           int // before the excursion
	causeFirst       int // the first word was right
	causeLast        int // the last word before the excursion was
	leads            []float64
	right            tally     // warnings that came true
	named            tally     // and named the cause
	spare            tally     // warnings after which none came
	moved            int       // of a probe in the air: runs in which it was told
	movedAfter       []float64 // and after how many minutes
}

// word is what a warning says.
type word struct {
	cause  foresight.Cause
	device bool
}

type tally map[word]int

func wordOf(w *foresight.Warning) word { return word{w.Cause, w.Device} }

func measureTrouble(k kindOfUnit, t trouble, seeds []uint64) result {
	r := result{right: tally{}, named: tally{}, spare: tally{}}
	for _, seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, uint64(len(t.name))))
		at := begin.AddDate(0, 0, 4).Add(time.Duration(rng.Int64N(int64(24 * time.Hour)))).Truncate(time.Second)
		f := t.fault(rng, at)
		days := 6 + int(t.lasts.Hours()/24)
		samples := play(k, seed, append(usage(rng, k, days), f), at.Add(t.lasts))
		if t.events {
			samples = withEvents(samples, f)
		}
		r.runs++
		warnings := watch(k, samples)
		var xs []excursion
		for _, x := range excursionsOf(k.low, k.high, samples) {
			if x.start >= at.UnixMilli() {
				xs = append(xs, x)
			}
		}
		var first, last *foresight.Warning
		moved := false
		for i := range warnings {
			w := &warnings[i]
			if w.At < at.UnixMilli() {
				continue // healthy months count these
			}
			// Where the probe lies is a matter of its own, whatever the temperature does.
			if w.Cause == foresight.ProbeMoved && t.cause == foresight.ProbeMoved {
				r.right[wordOf(w)]++
				r.named[wordOf(w)]++
				if !moved {
					moved = true
					r.moved++
					r.movedAfter = append(r.movedAfter, float64(w.At-at.UnixMilli())/60_000)
				}
				continue
			}
			if len(xs) > 0 && w.At >= xs[0].start {
				continue
			}
			if !comesTrue(*w, xs) {
				r.spare[wordOf(w)]++
				continue
			}
			r.right[wordOf(w)]++
			if w.Cause == t.cause || w.Cause == t.also {
				r.named[wordOf(w)]++
			}
			if first == nil {
				first = w
			}
			last = w
		}
		if len(xs) == 0 {
			continue
		}
		r.excursions++
		if first == nil {
			continue
		}
		r.warned++
		r.leads = append(r.leads, float64(xs[0].start-first.At)/60_000)
		if first.Cause == t.cause || first.Cause == t.also {
			r.causeFirst++
		}
		if last.Cause == t.cause || last.Cause == t.also {
			r.causeLast++
		}
	}
	return r
}

// withEvents puts the device's word about a fault between the samples.
func withEvents(samples []foresight.Sample, f sim.Fault) []foresight.Sample {
	on, off := foresight.DoorOpened, foresight.DoorClosed
	if f.Kind == sim.PowerLost {
		on, off = foresight.PowerOut, foresight.PowerBack
	}
	out := make([]foresight.Sample, 0, len(samples)+2)
	for _, s := range samples {
		if on != "" && s.At >= f.From.UnixMilli() {
			out = append(out, foresight.Sample{At: f.From.UnixMilli(), Celsius: coldkeep.NoTemperature, Event: on})
			on = ""
		}
		if off != "" && s.At >= f.To.UnixMilli() {
			out = append(out, foresight.Sample{At: f.To.UnixMilli(), Celsius: coldkeep.NoTemperature, Event: off})
			off = ""
		}
		out = append(out, s)
	}
	return out
}

// healthy is what was measured of sound units.
type healthy struct {
	months     float64
	excursions int
	right      tally
	wrong      tally
}

func measureHealthy(k kindOfUnit, seeds []uint64) healthy {
	h := healthy{right: tally{}, wrong: tally{}}
	const days = 31 // the first is for learning
	for _, seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 99))
		samples := play(k, seed, usage(rng, k, days), begin.AddDate(0, 0, days))
		h.months++
		xs := excursionsOf(k.low, k.high, samples)
		h.excursions += len(xs)
		warnings := watch(k, samples)
		for i := range warnings {
			if w := &warnings[i]; comesTrue(*w, xs) {
				h.right[wordOf(w)]++
			} else {
				h.wrong[wordOf(w)]++
			}
		}
	}
	return h
}

// watch gives all warnings of a record, of whatever cause.
func watch(k kindOfUnit, samples []foresight.Sample) []foresight.Warning {
	all := foresight.SetOf(foresight.Causes()...)
	c := foresight.Config{Unit: k.unit, Low: k.low, High: k.high, MaxGap: 30 * time.Minute, Tell: &all}
	var s foresight.State
	var out []foresight.Warning
	for _, in := range samples {
		if w, ok := s.Step(&c, in); ok {
			out = append(out, w)
		}
	}
	return out
}
