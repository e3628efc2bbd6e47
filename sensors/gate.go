package sensors

import (
	"time"

	"github.com/coldkeep/coldkeep"
)

// The limits of the gate. Nothing that keeps vaccine is colder than -100 °C or
// warmer than +100 °C, and every known fault value lies beyond: -273.15 (a driver
// that forgot its zero point, or a PT100 on a shorted line), -127 (DallasTemperature
// "disconnected"), 127.94 (DS18B20 raw 07FF, a conversion that failed), 327.67 and
// 882.6 (error codes of commercial loggers).
const (
	lowest  coldkeep.Temperature = -100_000
	highest coldkeep.Temperature = +100_000
)

// A DS18B20 that lost power between conversion and reading gives its power-on
// value, +85 °C (DS18B20 data sheet, table 1, note). A probe in a cabinet that
// really burns passes through the degrees before it, so 85.000 is believed only
// beside a reading at most this far away.
const (
	powerOn     coldkeep.Temperature = 85_000
	powerOnNear coldkeep.Temperature = 10_000
)

// A probe in its buffer follows the air with a time constant of five minutes at
// the very least (60 ml of glycol take about ten). Carried through 100 °C, from an
// ultra-cold freezer into the room, it changes by 20 °C in its first minute and
// slower after. What leaps further is not heat. A degree is left for noise between
// readings close together.
const (
	bufferedPerMinute coldkeep.Temperature = 20_000
	bufferedNoise     coldkeep.Temperature = 1_000
)

// How long an output may stay on one and the same step, and how many readings that
// must be. The noise of a probe with a step of 0.016 °C or less is at least a
// step: two hours on one are not possible. A step of 0.0625 °C hides the noise, and
// it is the appliance that moves the value: within half a day it does, in a
// thermal buffer within a day. A coarser step says nothing: a log with 0.1 °C a
// step, in a refrigerator, has 136 readings in a row of exactly 4.0 °C.
const (
	fineStep          coldkeep.Temperature = 16
	coarseStep        coldkeep.Temperature = 63
	frozenFine                             = 2 * time.Hour
	frozenCoarse                           = 12 * time.Hour
	frozenCoarseInBuf                      = 24 * time.Hour
	frozenReadings                         = 60
	frozenGap                              = 15 * time.Minute // a longer one between readings, or a step of the clock, counts as this
)

// Gate separates sensor faults from temperatures. It judges each probe on its
// own, by these rules in turn:
//
//   - no value: the quality that came with it, or "missing" when none did;
//   - a value beside a quality that means none: the value goes;
//   - below -100 °C or above +100 °C: "range";
//   - exactly 85.000 °C, and the latest believed reading of the probe is more than
//     10 °C away or there is none: "reset85";
//   - of a probe whose Traits say that it is buffered: further from the latest
//     believed reading than 1 °C and 20 °C for each minute since: "rate". The limit
//     grows with time, so a probe that really was moved is believed minutes later;
//   - of a probe whose Traits give its step: the very same value for longer than
//     noise and appliance can keep it there: "stuck", until it changes. Faults in
//     between count neither way.
//
// The last two are off for a sample without Traits, such as a row of a recorded
// log. All but the first three rules need the readings before, so each probe's
// samples are to be given in the order of their times; given a sample older than
// the latest believed one, the gate judges it against no earlier reading, because
// it cannot know which that was.
//
// The zero Gate is ready for use. It is not safe for concurrent use.
type Gate struct {
	good   map[coldkeep.ProbeID]good
	frozen map[coldkeep.ProbeID]still
}

type good struct {
	at    time.Time
	value coldkeep.Temperature
}

// still is a value that has not changed for a time and so many readings.
type still struct {
	last     time.Time
	stood    time.Duration
	value    coldkeep.Temperature
	readings int
}

// Judge returns the sample with the value that may be believed, or without one
// and with the quality that says why. What it returns satisfies the contract: a
// value with quality "", "uncalibrated" or "clock", or no value with a reason.
func (g *Gate) Judge(s Sample) Sample {
	s.Raw, s.Quality = g.judge(s.Probe, s.At, s.Raw, s.Quality, s.Traits)
	return s
}

func (g *Gate) judge(p coldkeep.ProbeID, at time.Time, raw coldkeep.Temperature, q coldkeep.Quality, traits Traits) (coldkeep.Temperature, coldkeep.Quality) {
	const none = coldkeep.NoTemperature
	switch {
	case q.NoValue():
		return none, q
	case !q.Valid():
		return none, coldkeep.QualityError // a word that the contract does not know
	case !raw.Known():
		return none, coldkeep.QualityMissing
	case raw < lowest || raw > highest:
		return none, coldkeep.QualityRange
	}
	last, ok := g.good[p]
	older := ok && at.Before(last.at)
	if raw == powerOn && (!ok || older || max(raw-last.value, last.value-raw) > powerOnNear) {
		return none, coldkeep.QualityReset85
	}
	if !older && g.stands(p, at, raw, traits) {
		return none, coldkeep.QualityStuck
	}
	if ok && !older && traits.Buffered && leaps(raw-last.value, at.Sub(last.at)) {
		return none, coldkeep.QualityRate
	}
	if !older {
		if g.good == nil {
			g.good = make(map[coldkeep.ProbeID]good)
		}
		g.good[p] = good{at: at, value: raw}
	}
	return raw, q
}

// leaps reports whether a buffered probe cannot have changed so much in a time.
func leaps(by coldkeep.Temperature, in time.Duration) bool {
	limit := float64(bufferedNoise) + float64(bufferedPerMinute)*in.Minutes()
	return float64(max(by, -by)) > limit
}

// stands notes a value and reports whether it has stood still for too long.
func (g *Gate) stands(p coldkeep.ProbeID, at time.Time, raw coldkeep.Temperature, traits Traits) bool {
	limit := traits.frozenAfter()
	if limit == 0 {
		delete(g.frozen, p)
		return false
	}
	if g.frozen == nil {
		g.frozen = make(map[coldkeep.ProbeID]still)
	}
	s, ok := g.frozen[p]
	switch {
	case !ok || s.value != raw:
		s = still{last: at, value: raw, readings: 1}
	case at.After(s.last):
		s.stood += min(at.Sub(s.last), frozenGap)
		s.last = at
		s.readings++
	}
	g.frozen[p] = s
	return s.readings >= frozenReadings && s.stood >= limit
}

// frozenAfter is how long one value may stand; 0 is for ever.
func (t Traits) frozenAfter() time.Duration {
	switch {
	case t.Step <= 0 || t.Step > coarseStep:
		return 0
	case t.Step <= fineStep:
		return frozenFine
	case t.Buffered:
		return frozenCoarseInBuf
	}
	return frozenCoarse
}
