package foresight

import (
	"fmt"
	"math"

	"github.com/coldkeep/coldkeep"
)

func kindOf(side uint8) coldkeep.Kind {
	if side == 0 {
		return coldkeep.TooWarm
	}
	return coldkeep.TooCold
}

// warning tells of the episode.
func (s *State) warning(c *Config) Warning {
	e := &s.episode
	w := Warning{Cause: Causes()[e.told-1], At: e.toldAt, Side: kindOf(e.side), Slope: float64(e.slope), Device: e.device}
	if e.reaches != 0 {
		w.Reaches = int64(e.reaches) * 1000
	}
	w.Confidence, w.CauseRight = shares(c.Unit, w.Cause, w.Device)
	w.Words = s.words(c, &w, e.side)
	return w
}

func (s *State) driftWarning(c *Config) Warning {
	d := &s.drift
	side := uint8(0)
	if d.perDay < 0 {
		side = 1
	}
	w := Warning{Cause: ThermostatDrift, At: d.at, Side: kindOf(side), Slope: float64(d.perDay) / 24, Reaches: d.reaches}
	w.Confidence, w.CauseRight = shares(c.Unit, w.Cause, w.Device)
	w.Words = fmt.Sprintf("The mean has moved by %+.1f °C a day for three days: the thermostat may drift. At this rate %s is met in %s.",
		d.perDay, edgeWords(c, side), about(w.Reaches-s.at))
	return w
}

func (s *State) words(c *Config, w *Warning, side uint8) string {
	way, end := "Warming", "top"
	if side == 1 {
		way, end = "Cooling", "bottom"
	}
	trace := fmt.Sprintf("%s by %.1f °C an hour, beyond its usual %s of %.1f °C", way, math.Abs(w.Slope), end, s.band(side))
	if last := float64(s.ringV[(s.ringHead+ringLen-1)%ringLen]); sign(side)*last <= sign(side)*s.band(side) {
		trace = fmt.Sprintf("%s by %.1f °C an hour", way, math.Abs(w.Slope))
	}
	var why string
	switch w.Cause {
	case DoorAjar:
		why = fmt.Sprintf("faster than it ever does by itself (%.1f): a door may be ajar", s.fastestOf(c, 0))
		if w.Device {
			why = "and the door stands open"
		}
	case CompressorStopped:
		why = "as when the cooling stands still: the compressor, its mains, or a door not quite shut"
	case PowerLost:
		why = "and the mains is away"
	case Defrost:
		why = "as in the defrosts before"
	case ThermostatDrift:
		why = "though it still switches: the thermostat"
		if side == 1 {
			why = "and the cooling does not switch off: the thermostat"
		}
	case ProbeMoved:
		return fmt.Sprintf("Warms and cools more than %.1f times as fast as it used to, both ways: the probe may lie beside its buffer. What it shows is not the vaccine.", wildRatio)
	}
	if w.Reaches == 0 {
		return fmt.Sprintf("%s, %s.", trace, why)
	}
	return fmt.Sprintf("%s, %s. %s is met in %s if it goes on so.", trace, why, edgeWords(c, side), about(w.Reaches-s.at))
}

func edgeWords(c *Config, side uint8) string {
	if side == 0 {
		return c.High.String() + " °C"
	}
	return c.Low.String() + " °C"
}

// about gives a duration, in ms, in words that promise no more than is known.
func about(ms int64) string {
	switch m := float64(ms) / 60_000; {
	case m < 2:
		return "a minute or two"
	case m < 50:
		return fmt.Sprintf("about %.0f minutes", math.Max(5, math.Round(m/5)*5))
	case m < 90:
		return "about an hour"
	case m < 36*60:
		return fmt.Sprintf("about %.0f hours", math.Round(m/60))
	default:
		return fmt.Sprintf("about %.0f days", math.Round(m/60/24))
	}
}
