// Package foresight says from the running trace of an appliance that it will leave
// its range, about when, and what is likely the matter, before the excursion.
//
// It is a fold, as gateway/excursion is: state × sample → state, warning. It reads
// no clock, no file and no store, so that live and in replay the same samples give
// the same warnings (on one processor architecture: it computes in floating point).
// The state is below 1 KiB, a plain value, and has a versioned form.
//
// What it knows is learned from the appliance itself: over the last three days the
// usual top and bottom of an hour, the usual steepest warming and cooling of a
// compressor cycle, the length of a cycle, peaks that come and go by themselves (a
// defrost), and over a week the trend of the mean. A warning is a trace that leaves
// this and, by Newton's law of cooling, meets the edge of the range within Horizon.
//
// How often it is right was measured (bench/foresight, docs/foresight.md). What was
// poor is off unless a Config asks for it.
package foresight

import (
	"time"

	"github.com/coldkeep/coldkeep"
)

// Cause is what is likely the matter.
type Cause string

// The causes. Without a word from the device a lost mains and a dead compressor are
// one and the same trace, and the cause is CompressorStopped.
const (
	DoorAjar          Cause = "door-ajar"
	CompressorStopped Cause = "compressor-stopped"
	PowerLost         Cause = "power-lost"
	Defrost           Cause = "defrost"          // a peak such as the unit has shown before
	ThermostatDrift   Cause = "thermostat-drift" // it cools, but to another temperature
	ProbeMoved        Cause = "probe-moved"      // it lies beside its buffer
)

// Causes lists all causes.
func Causes() []Cause {
	return []Cause{DoorAjar, CompressorStopped, PowerLost, Defrost, ThermostatDrift, ProbeMoved}
}

func (c Cause) bit() CauseSet {
	for i, known := range Causes() {
		if c == known {
			return 1 << i
		}
	}
	return 0
}

// CauseSet is a set of causes.
type CauseSet uint8

// SetOf makes a set; what is no cause is left out.
func SetOf(causes ...Cause) CauseSet {
	var s CauseSet
	for _, c := range causes {
		s |= c.bit()
	}
	return s
}

// Has reports whether c is in the set.
func (s CauseSet) Has(c Cause) bool { return s&c.bit() != 0 }

// Event is what a device says beside a temperature.
type Event string

// The events. Any other word is no event.
const (
	DoorOpened Event = "door-open"
	DoorClosed Event = "door-closed"
	PowerOut   Event = "power-lost"
	PowerBack  Event = "power-back"
)

// Horizon is how far ahead an excursion is foretold from the slope of the trace. A
// drift of the thermostat is foretold DriftHorizon ahead.
const (
	Horizon      = 2 * time.Hour
	DriftHorizon = 3 * 24 * time.Hour
)

// Config says what is watched for. It is not part of the state: another range or
// another set may be asked of the same state.
type Config struct {
	Unit      coldkeep.Unit
	Low, High coldkeep.Temperature // the edges of the range; a temperature on one is in range
	MaxGap    time.Duration        // a longer silence breaks the trace; 0 is 30 minutes
	// Tell are the causes that are told. Nil are those whose measured precision is
	// good on this type of unit (Measured.On). The others are still told apart, so that
	// an unwanted one is not taken for another.
	Tell *CauseSet
}

// Sample is a reading, an event, or both.
type Sample struct {
	At      int64                // event time, ms since 1970-01-01 UTC
	Celsius coldkeep.Temperature // NoTemperature: a sensor fault, or an event alone
	Event   Event
}

// Warning says what is coming. Times are ms since 1970-01-01 UTC.
type Warning struct {
	Cause Cause
	At    int64         // the sample at which it was seen
	Side  coldkeep.Kind // TooWarm or TooCold: the edge that is near
	Slope float64       // °C an hour, now; for a drift, °C a day / 24
	// Reaches is when the edge is met, if it goes on so. 0 is not known.
	Reaches int64
	Device  bool // the device itself says that the door is open or the mains away
	// Confidence and CauseRight are the measured shares, from 0 to 1, of such warnings
	// that came true, and of those the ones that named the cause, on simulated units
	// of this type; 0 is not measured.
	Confidence, CauseRight float64
	Words                  string // for a person
}
