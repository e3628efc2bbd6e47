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

// Gate separates sensor faults from temperatures. It judges each probe on its
// own, by these rules in turn:
//
//   - no value: the quality that came with it, or "missing" when none did;
//   - a value beside a quality that means none: the value goes;
//   - below -100 °C or above +100 °C: "range";
//   - exactly 85.000 °C, and the latest believed reading of the probe is more than
//     10 °C away or there is none: "reset85".
//
// All but the last need nothing but the sample. The last needs the believed
// reading before it in time, so each probe's samples are to be given in the order
// of their times; given a sample older than the latest believed one, the gate
// judges it against no earlier reading, because it cannot know which that was.
//
// The zero Gate is ready for use. It is not safe for concurrent use.
type Gate struct {
	good map[coldkeep.ProbeID]good
}

type good struct {
	at    time.Time
	value coldkeep.Temperature
}

// Judge returns the sample with the value that may be believed, or without one
// and with the quality that says why. What it returns satisfies the contract: a
// value with quality "", "uncalibrated" or "clock", or no value with a reason.
func (g *Gate) Judge(s Sample) Sample {
	s.Raw, s.Quality = g.judge(s.Probe, s.At, s.Raw, s.Quality)
	return s
}

func (g *Gate) judge(p coldkeep.ProbeID, at time.Time, raw coldkeep.Temperature, q coldkeep.Quality) (coldkeep.Temperature, coldkeep.Quality) {
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
	if !older {
		if g.good == nil {
			g.good = make(map[coldkeep.ProbeID]good)
		}
		g.good[p] = good{at: at, value: raw}
	}
	return raw, q
}
