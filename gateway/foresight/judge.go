package foresight

import (
	"math"

	"github.com/coldkeep/coldkeep"
)

// The figures by which a trace is judged. They were set on the first halves of the
// recordings and on simulated units of other seeds than those that measure
// (docs/foresight.md).
const (
	holdLeast = 6 * 60    // s that a condition must hold
	holdMost  = 20 * 60   // s after which it has held long enough
	holdPart  = 0.35      // of the time that is left: a far edge leaves time to be sure
	movedFor  = 24 * 3600 // s in which a moved probe is told once
	calmFor   = 2 * 3600  // s of calm after a warning for nothing
	quietFor  = 15 * 60   // s without it until an episode is over
	wildRatio = 2.5       // times the usual steepest: a phase that is not of this cycle
	wildMin   = 6         // such phases in a row: the probe has moved
	wildMax   = 60        // and after this many it is how the unit is now
	fastRatio = 2.5       // times the usual steepest warming, inside the usual band
	eventDoor = 3 * 60    // s that a door may stand open
	eventLost = 5 * 60    // s that the mains may be away
)

// episode is the time in which a trace leaves what is usual.
type episode struct {
	since, quiet uint32 // condition holds, does not hold, since; 0 not
	n            uint8  // points at which it held
	side         uint8  // 0 warm, 1 cold
	cause        uint8  // 1 + place in Causes; 0 not open yet
	told         uint8  // the cause that was told, likewise
	device       bool   // the device itself says so
	crossed      bool   // the edge has been met: no longer foresight
	reaches      uint32
	toldAt       int64
	slope        float32 // °C/h, latest
	steepest     float32
}

// sign is +1 on the warm side and -1 on the cold side.
func sign(side uint8) float64 { return 1 - 2*float64(side) }

func (c *Config) edge(side uint8) float64 {
	if side == 0 {
		return c.High.Celsius()
	}
	return c.Low.Celsius()
}

// margin is what a trace may go beyond its usual band without being looked at.
func (s *State) margin() float64 {
	return float64(max(0.15, 0.1*(s.high-s.low), 0.6*s.grain))
}

// band returns how far the usual band goes on a side.
func (s *State) band(side uint8) float64 {
	if side == 0 {
		return float64(s.high)
	}
	return float64(s.low)
}

// fastestOf is the usual steepest slope towards a side, °C/h: learned, or until
// then that of units of the type with a buffered probe in the simulation.
func (s *State) fastestOf(c *Config, side uint8) float64 {
	typical := 2.5
	switch c.Unit {
	case coldkeep.Freezer:
		typical = 4
	case coldkeep.UltraCold:
		typical = 6
	}
	if s.fastestN[side] >= 4 {
		return max(0.4*typical, float64(s.fastest[side]))
	}
	return typical
}

// foresee judges a point and reports whether there is something new to tell.
func (s *State) foresee(c *Config, at uint32, v float32, slope float64) bool {
	e := &s.episode
	if e.cause != 0 || e.n > 0 {
		return s.foreseeSide(c, e.side, at, v, slope)
	}
	for side := range uint8(2) {
		if s.foreseeSide(c, side, at, v, slope) {
			return true
		}
		if e.n > 0 {
			return false
		}
	}
	return false
}

func (s *State) foreseeSide(c *Config, side uint8, at uint32, v float32, slope float64) bool {
	e, up := &s.episode, sign(side)
	edge := c.edge(side)
	slope *= up
	left := up * (edge - float64(v)) // °C inside the edge
	if left < 0 {
		if e.cause != 0 {
			e.crossed, e.quiet = true, 0
			s.hourOdd = true
		}
		e.n = 0
		return false
	}
	held, reach := s.unusual(c, side, at, v, slope, left)
	if held && e.cause == 0 && at < s.calmUntil && s.door == 0 && s.power == 0 {
		held = false
	}
	moved := s.wild >= wildMin && s.wild <= wildMax
	if moved && !held {
		// Not on its way to an edge: the nearer one is named.
		if left > up*(float64(v)-c.edge(1-side)) {
			return false
		}
		held, reach = true, 0
	}
	if !held {
		if e.cause == 0 {
			*e = episode{}
			return false
		}
		if e.quiet == 0 {
			e.quiet = at
		}
		e.n = 0
		if at-e.quiet >= quietFor {
			if e.told != 0 && !e.crossed {
				s.calmUntil = at + calmFor
			}
			*e = episode{}
		}
		return false
	}
	if e.n == 0 {
		e.since = at
	}
	e.side, e.quiet = side, 0
	e.n = min(e.n+1, 250)
	e.slope = float32(up * slope)
	e.steepest = max(e.steepest, float32(slope))
	e.reaches = 0
	if reach > 0 {
		e.reaches = at + uint32(reach*3600)
	}
	cause, device := s.causeOf(c, side, at, v, slope, moved)
	hold := max(holdLeast, min(holdMost, holdPart*reach*3600))
	switch {
	case device && cause == PowerLost:
		hold = 60 // it has been saying so for minutes, and nothing cools
	case device:
		hold /= 2 // a compressor may yet make up for a door
	}
	if e.cause == 0 && (e.n < 2 || e.n < 3 && !device || float64(at-e.since) < hold) {
		return false
	}
	e.cause, e.device = place(cause), device
	if cause != Defrost {
		s.hourOdd = true
	}
	if e.told == e.cause || e.crossed || !c.tells(cause, device) || e.told != 0 && !settles(cause, e.told) {
		return false
	}
	if cause == ProbeMoved {
		if at < s.movedUntil {
			return false
		}
		s.movedUntil = at + movedFor
	}
	e.told, e.toldAt = e.cause, s.at
	return true
}

// settles reports whether a cause is worth a second word after an earlier one.
func settles(cause Cause, told uint8) bool {
	switch cause {
	case DoorAjar:
		return told != place(PowerLost)
	case PowerLost:
		return true
	case CompressorStopped:
		return told == place(Defrost)
	}
	return false
}

// unusual reports whether a trace is on its way to an edge as it usually is not,
// and in how many hours it gets there.
func (s *State) unusual(c *Config, side uint8, at uint32, v float32, slope, left float64) (bool, float64) {
	up, m := sign(side), s.margin()
	usual := up * s.band(side)
	if usual+m >= up*c.edge(side) {
		return false, 0 // its usual cycle gets there: nothing to foresee
	}
	fastest := s.fastestOf(c, side)
	prev := s.ringV[(s.ringHead+ringLen-2)%ringLen]
	level := min(up*float64(v), up*float64(prev))
	// A unit that switches has come from its last turn no further than it ever does.
	begun := up*float64(s.turnV) + 1.3*float64(s.swing)
	rising := slope
	held := false
	switch {
	case side == 0 && s.said(s.power, eventLost):
		// It has not to be warm yet: it will be.
		held, rising = true, max(slope, 0.7*fastest)
	case slope < 0.3:
	case side == 0 && s.said(s.door, eventDoor):
		held = true
	case level > max(usual, begun)+m && slope >= 0.25*fastest:
		held = true
	case slope >= fastRatio*fastest && level > up*float64(s.high+s.low)/2 && slope*slopeWindow/3600 >= float64(max(0.4, 3*s.grain)):
		held = true
	}
	if !held {
		return false, 0
	}
	if rising == slope {
		// What comes in by a door that has been closed again is on its way out.
		recent := up * s.recent(at, v)
		if recent < 0.5*slope {
			return false, 0
		}
		rising = min(slope, recent)
	}
	reach := s.reach(at, rising, left, up)
	return reach <= Horizon.Hours(), max(reach, 1.0/3600)
}

// recent is the slope over the last five minutes or two points, °C an hour.
func (s *State) recent(at uint32, v float32) float64 {
	i := s.ringHead
	for k := range s.ringN {
		i = (i + ringLen - 1) % ringLen
		if age := at - s.ringAt[i]; age >= 290 || k == s.ringN-1 && age > 0 {
			return float64(v-s.ringV[i]) / float64(age) * 3600
		}
	}
	return 0
}

// staleAfter, in ms, is when a door that was never told closed is not believed.
const staleAfter = 24 * 3600 * 1000

// reach is in how many hours a trace that rises by slope meets what is left to the
// edge. By Newton's law a slope decays towards the temperature outside at a rate
// that the slope of a window before shows; when that temperature lies before the
// edge, it never does.
func (s *State) reach(at uint32, slope, left, up float64) float64 {
	if slope <= 0 {
		return math.Inf(1)
	}
	before, n := s.slope(at, 1)
	before *= up
	if n >= 4 && before > slope*1.05 {
		k := math.Log(before/slope) / (slopeWindow / 3600.0) // 1/h
		if x := left * k / slope; x < 1 {
			return -math.Log(1-x) / k
		}
		return math.Inf(1)
	}
	return left / slope
}

func (s *State) causeOf(c *Config, side uint8, at uint32, v float32, slope float64, moved bool) (cause Cause, device bool) {
	switch {
	case side == 0 && s.said(s.power, eventLost):
		return PowerLost, true
	case side == 0 && s.said(s.door, eventDoor):
		return DoorAjar, true
	case moved:
		return ProbeMoved, false
	case side == 1:
		return ThermostatDrift, false
	case s.peaks.fits(s, at, v, slope):
		return Defrost, false
	case float64(s.episode.steepest) >= doorRatio(c.Unit)*s.fastestOf(c, 0):
		return DoorAjar, false
	}
	return CompressorStopped, false
}

// doorRatio is how much steeper than ever the warming by an open door is. The
// colder a unit, the less its own warming phases show of what it does without
// cooling, since they are short.
func doorRatio(u coldkeep.Unit) float64 {
	switch u {
	case coldkeep.Freezer:
		return 2.8
	case coldkeep.UltraCold:
		return 4
	}
	return 2.2
}

// said reports whether a device has been saying something for at least some
// seconds, and not for so long that its end must have been lost.
func (s *State) said(since int64, least int64) bool {
	return since != 0 && s.at-since >= least*1000 && s.at-since < staleAfter
}

// peaks is what is known of peaks that came and went by themselves, as those of a
// defrost do.
type peaks struct {
	n               uint8 // alike
	out             bool
	startAt, topAt  uint32
	last            uint32  // start of the latest
	top             float32 // of the one that goes on
	height, highest float32 // °C above the usual band: usual, most
	rise, longest   float32 // minutes from start to top: usual, most
	gap             float32 // least hours between two
	steep, steepest float32 // °C/h: of the one that goes on, most
}

// follow learns a peak that goes out of the usual band by as much as it is wide.
func (p *peaks) follow(s *State, at uint32, v float32, slope float64) {
	over := v - s.high
	big := max(s.high-s.low, 1, 2*s.grain)
	switch {
	case !p.out && over > big:
		p.out, p.startAt, p.topAt, p.top, p.steep = true, s.turnAt, at, v, 0
	case !p.out:
		return
	case over < big/2:
		p.out = false
		p.learn(p.top-s.high, float32(p.topAt-p.startAt)/60, float32(at-p.startAt)/3600)
		return
	case v > p.top:
		p.top, p.topAt = v, at
	}
	p.steep = max(p.steep, float32(slope))
	s.hourOdd = true
}

func (p *peaks) learn(height, rise, hours float32) {
	if rise < 4 || rise > 150 || hours > 8 {
		return // no defrost takes as long
	}
	alike := p.n > 0 && height > 0.5*p.height && height < 2*p.height && rise > 0.4*p.rise && rise < 2.5*p.rise
	if !alike {
		if p.n > 1 {
			p.n--
			return
		}
		*p = peaks{n: 1, last: p.startAt, height: height, highest: height, rise: rise, longest: rise, steepest: p.steep}
		return
	}
	gap := float32(p.startAt-p.last) / 3600
	if p.gap == 0 || gap < p.gap {
		p.gap = gap
	}
	p.n, p.last = min(p.n+1, 20), p.startAt
	p.height += (height - p.height) / float32(min(p.n, 8))
	p.rise += (rise - p.rise) / float32(min(p.n, 8))
	p.highest, p.longest = max(p.highest, height), max(p.longest, rise)
	p.steepest = max(p.steepest, p.steep)
}

// fits reports whether what goes on may be one more of the peaks that are known.
func (p *peaks) fits(s *State, at uint32, v float32, slope float64) bool {
	return p.n >= 2 &&
		v-s.high <= 1.2*p.highest &&
		float32(at-s.turnAt)/60 <= 1.3*p.longest+5 &&
		float32(slope) <= 1.6*p.steepest &&
		float32(s.turnAt-p.last)/3600 >= 0.6*p.gap
}

// drift is the trend of the mean that has been told.
type drift struct {
	at      int64
	reaches int64
	perDay  float32
}

// trend looks at the week, whenever a block of six hours has ended, and reports
// whether there is a new drift to tell.
func (s *State) trend(c *Config) bool {
	var days [blocksLen / 4]float64
	n := 0
	for ; n < len(days); n++ {
		sum, k := 0.0, 0
		for i := range 4 {
			if m := s.blockMeans[blocksLen-1-4*n-i]; m != noCenti {
				sum += float64(m) / 100
				k++
			}
		}
		if k < 3 {
			break
		}
		days[n] = sum / float64(k)
	}
	if n < 3 {
		return false
	}
	perDay := (days[0] - days[2]) / 2
	side := uint8(0)
	if perDay < 0 {
		side = 1
	}
	up := sign(side)
	steady := up*(days[0]-days[1]) >= 0.4*up*perDay && up*(days[1]-days[2]) >= 0.4*up*perDay
	total := up * (days[0] - days[2])
	if n > 3 {
		steady = steady && up*(days[2]-days[3]) >= 0
		total = up * (days[0] - days[3])
	}
	width := float64(s.high - s.low)
	if !steady || up*perDay < 0.15 || total < max(0.5, 0.25*width) {
		if s.drift.perDay != 0 && (up*perDay < 0.05 || float64(s.drift.perDay)*perDay < 0) {
			s.drift = drift{}
		}
		return false
	}
	top, k := 0.0, 0
	for _, t := range s.blockTops[blocksLen-4:] {
		if t != noCenti {
			top += float64(t) / 100
			k++
		}
	}
	top /= float64(k)
	furthest := top
	if side == 1 {
		furthest = 2*days[0] - top // as far below the mean as the tops are above
	}
	left := up * (c.edge(side) - furthest)
	if left <= 0 || left/(up*perDay)*24 > DriftHorizon.Hours() {
		return false
	}
	fresh := s.drift.perDay == 0
	if fresh {
		s.drift.at = s.at
	}
	s.drift.perDay = float32(perDay)
	s.drift.reaches = s.at + int64(left/(up*perDay)*24*3600_000)
	return fresh && c.tells(ThermostatDrift, false)
}

// place is 1 + the place of a cause in Causes, 0 of none.
func place(c Cause) uint8 {
	for i, known := range Causes() {
		if c == known {
			return uint8(i + 1)
		}
	}
	return 0
}

func (c *Config) tells(cause Cause, device bool) bool {
	if c.Tell != nil {
		return c.Tell.Has(cause)
	}
	return byDefault(c.Unit, cause, device)
}

// Current returns the warning that stands at the latest sample: one that has been
// told, whose edge has not been met and whose condition goes on.
func (s *State) Current(c *Config) (Warning, bool) {
	switch e := &s.episode; {
	case e.told != 0 && !e.crossed && c.tells(Causes()[e.told-1], e.device):
		return s.warning(c), true
	case s.drift.perDay != 0 && c.tells(ThermostatDrift, false):
		return s.driftWarning(c), true
	}
	return Warning{}, false
}
