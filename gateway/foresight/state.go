package foresight

import (
	"math"
	"slices"

	"github.com/coldkeep/coldkeep"
)

// The sizes of what is remembered.
const (
	ringLen   = 32 // points of the running trace, a minute or more apart
	hoursLen  = 72 // hours whose extremes give the usual band
	blocksLen = 28 // blocks of six hours for the trend: a week
)

// hoursNeeded is for learning only: most of what a day does.
const hoursNeeded = 20

// State is all that is remembered of an appliance's trace. The zero State knows
// nothing yet. It is a plain value: a copy shares nothing.
type State struct {
	at   int64 // latest sample
	good int64 // latest reading believed

	door, power int64 // open, lost since; 0 not

	// The minute in progress, when readings come faster than one in half a minute.
	bin, binSum int64
	binN        int32

	// The running trace.
	ringHead, ringN uint8
	ringAt          [ringLen]uint32 // seconds since 1970
	ringV           [ringLen]float32
	grain           float32 // the least step between points

	// The hour in progress, the hours of the last days in hundredths of °C, and the
	// band in which they usually go.
	hour                      uint32 // since 1970
	hourN                     uint16 // points
	hourOdd                   bool   // something unusual went on: not learned
	oddHours                  uint8  // left out in a row
	hoursHead, hoursN         uint8
	hourMax, hourMin, hourSum float32
	tops, bottoms             [hoursLen]int16
	high, low                 float32

	// The block of six hours in progress and those of the last week, latest last.
	block              uint32
	blockHours         uint8
	blockSum, blockTop float32
	blockMeans         [blocksLen]int16 // hundredths of °C; noCenti: not known
	blockTops          [blocksLen]int16

	// The compressor's cycle.
	dir           int8  // +1 warming, -1 cooling, 0 not known
	phases        uint8 // ended since the trace began
	wild          uint8 // in a row much steeper than usual
	extAt, turnAt uint32
	ext, turnV    float32    // furthest of the phase; where it began
	steep         float32    // steepest of the phase, °C/h
	fastest       [2]float32 // usual steepest of warming, of cooling
	fastestN      [2]uint8
	swing         float32 // usual °C of a phase

	peaks                 peaks
	episode               episode
	calmUntil, movedUntil uint32
	drift                 drift
}

const noCenti = math.MinInt16

func centi(c float32) int16 {
	return int16(max(-30_000, min(30_000, math.Round(float64(c)*100))))
}

// Readings outside this are no temperature of an appliance, whoever let them pass.
const (
	coldest = coldkeep.Temperature(-120_000)
	warmest = coldkeep.Temperature(80_000)
)

// maxAt is where seconds in 32 bits end, in 2106.
const maxAt = int64(math.MaxUint32) * 1000

// Step takes the next sample and returns a warning when there is a new one. A
// sample before the latest one changes nothing and gives none: who gets late data
// folds anew from a state before it. Of samples of one moment all are heard.
func (s *State) Step(c *Config, in Sample) (Warning, bool) {
	if in.At < s.at || in.At <= 0 || in.At >= maxAt {
		return Warning{}, false
	}
	s.at = in.At
	if in.Event != "" {
		s.hear(in)
	}
	if !in.Celsius.Known() || in.Celsius < coldest || in.Celsius > warmest {
		return Warning{}, false // a sensor fault is not a temperature
	}
	gap := c.MaxGap.Milliseconds()
	if gap <= 0 {
		gap = 30 * 60_000
	}
	since := in.At - s.good
	if s.good == 0 || since > gap {
		s.breakOff()
		since = math.MaxInt64
	}
	s.good = in.At
	minute := in.At / 60_000
	if s.binN > 0 && minute == s.bin {
		s.binSum += int64(in.Celsius)
		s.binN++
		return Warning{}, false
	}
	var w Warning
	var ok bool
	if s.binN > 0 {
		v := float32(float64(s.binSum) / float64(s.binN) / 1000)
		s.binN, s.binSum = 0, 0
		w, ok = s.point(c, uint32(s.bin*60+59), v)
	}
	if since < 30_000 {
		s.bin, s.binSum, s.binN = minute, int64(in.Celsius), 1
		return w, ok
	}
	// As slow as this, each is a point of its own, with no minute to wait for.
	if w2, ok2 := s.point(c, uint32(in.At/1000), float32(in.Celsius)/1000); ok2 {
		return w2, true
	}
	return w, ok
}

func (s *State) hear(in Sample) {
	switch in.Event {
	case DoorOpened:
		if s.door == 0 {
			s.door = in.At
		}
	case DoorClosed:
		s.door = 0
	case PowerOut:
		if s.power == 0 {
			s.power = in.At
		}
	case PowerBack:
		s.power = 0
	}
}

// breakOff forgets the running trace, not what was learned from it.
func (s *State) breakOff() {
	s.binN, s.binSum = 0, 0
	s.ringN, s.ringHead = 0, 0
	s.dir, s.phases, s.wild, s.steep = 0, 0, 0, 0
	s.peaks.out = false
	s.episode = episode{}
}

// point takes one point of the thinned trace.
func (s *State) point(c *Config, at uint32, v float32) (Warning, bool) {
	if s.ringN > 0 {
		last := (s.ringHead + ringLen - 1) % ringLen
		if at <= s.ringAt[last] {
			return Warning{}, false // in the second that ended a minute
		}
		if d := abs(v - s.ringV[last]); d > 0.004 {
			// The least step leaks upwards, so that one odd pair does not stay for good.
			if s.grain == 0 || d < s.grain {
				s.grain = d
			} else {
				s.grain += 0.0005 * min(d-s.grain, s.grain)
			}
		}
	}
	s.ringAt[s.ringHead], s.ringV[s.ringHead] = at, v
	s.ringHead = (s.ringHead + 1) % ringLen
	s.ringN = min(s.ringN+1, ringLen)
	drifts := s.hours(c, at, v)
	slope, n := s.slope(at, 0)
	if n == 0 {
		return Warning{}, false
	}
	s.cycle(at, v, slope)
	if s.hoursN < hoursNeeded {
		return Warning{}, false
	}
	s.peaks.follow(s, at, v, slope)
	if s.foresee(c, at, v, slope) {
		return s.warning(c), true
	}
	if drifts {
		return s.driftWarning(c), true
	}
	return Warning{}, false
}

// slopeWindow, in s, is over how long a slope is taken: long enough for a probe in
// a buffer, whose noise is a step or two, and short against a cycle.
const slopeWindow = 12 * 60

// slope fits a line by least squares to the points of one window, the skip-th
// before the latest, of four points at least. It returns °C an hour and the number
// of points, 0 when there are too few.
func (s *State) slope(now, skip uint32) (perHour float64, n int) {
	end := now - skip*slopeWindow
	var sx, sy, sxx, sxy, y0 float64
	i := s.ringHead
	for range s.ringN {
		i = (i + ringLen - 1) % ringLen
		at := s.ringAt[i]
		if at > end {
			continue
		}
		age := end - at
		if age > slopeWindow && n >= 4 || age > 4*3600 {
			break
		}
		if n == 0 {
			y0 = float64(s.ringV[i])
		}
		x, y := -float64(age), float64(s.ringV[i])-y0
		sx += x
		sy += y
		sxx += x * x
		sxy += x * y
		n++
	}
	d := float64(n)*sxx - sx*sx
	if n < 3 || d <= 0 {
		return 0, 0
	}
	return (float64(n)*sxy - sx*sy) / d * 3600, n
}

// hours learns the band in which the hours go, and the trend of the mean. It
// reports whether there is a new warning of a drift.
func (s *State) hours(c *Config, at uint32, v float32) bool {
	drifts := false
	if hour := at / 3600; s.hourN == 0 || hour != s.hour {
		if s.hourN > 0 && s.keepHour() {
			drifts = s.trend(c)
		}
		s.hour, s.hourN, s.hourOdd = hour, 0, false
		s.hourMax, s.hourMin, s.hourSum = v, v, 0
	}
	s.hourMax, s.hourMin = max(s.hourMax, v), min(s.hourMin, v)
	s.hourSum += v
	s.hourN++
	return drifts
}

// keepHour puts the hour that has ended beside the others. It reports whether a
// block of six hours has ended before it.
func (s *State) keepHour() bool {
	ended := s.keepBlock()
	if s.hourOdd && s.hoursN >= hoursNeeded && s.oddHours < 12 {
		s.oddHours++
		return ended
	}
	if !s.hourOdd {
		s.oddHours = 0 // what has gone on for half a day is how the unit is now
	}
	s.tops[s.hoursHead], s.bottoms[s.hoursHead] = centi(s.hourMax), centi(s.hourMin)
	s.hoursHead = (s.hoursHead + 1) % hoursLen
	s.hoursN = min(s.hoursN+1, hoursLen)
	s.high, s.low = usual(s.tops, s.hoursN, true), usual(s.bottoms, s.hoursN, false)
	s.blockHours++
	s.blockSum += s.hourSum / float32(s.hourN)
	s.blockTop += s.hourMax
	return ended
}

// usual is what all but one in twenty of the extremes stay within. It lies no
// further from their median than 2 °C or four times their quieter tenth does: the
// first days may hold a defrost.
func usual(list [hoursLen]int16, n uint8, top bool) float32 {
	l := list[:n]
	slices.Sort(l)
	sign := float32(1)
	if !top {
		slices.Reverse(l)
		sign = -1
	}
	k := len(l)
	outer, mid, inner := float32(l[(k-1)*19/20])/100, float32(l[k/2])/100, float32(l[k/10])/100
	return mid + sign*min(abs(outer-mid), max(2, 4*abs(mid-inner)))
}

// keepBlock ends the block of six hours when the hour that has ended is not of it,
// and reports whether it did.
func (s *State) keepBlock() bool {
	block := s.hour / 6
	if block == s.block {
		return false
	}
	ended := s.block != 0
	if !ended {
		for i := range s.blockMeans {
			s.blockMeans[i], s.blockTops[i] = noCenti, noCenti
		}
	}
	mean, top := int16(noCenti), int16(noCenti)
	if s.blockHours >= 3 {
		mean, top = centi(s.blockSum/float32(s.blockHours)), centi(s.blockTop/float32(s.blockHours))
	}
	for gone := min(block-s.block, blocksLen); ended && gone > 0; gone-- {
		copy(s.blockMeans[:], s.blockMeans[1:])
		copy(s.blockTops[:], s.blockTops[1:])
		s.blockMeans[blocksLen-1], s.blockTops[blocksLen-1] = mean, top
		mean, top = noCenti, noCenti // nothing is known of those in a silence
	}
	s.block, s.blockHours, s.blockSum, s.blockTop = block, 0, 0, 0
	return ended
}

// Usual returns the band in which the hours of the last days went; not ok while too
// little is learned, and before that nothing is foretold.
func (s *State) Usual() (low, high coldkeep.Temperature, ok bool) {
	if s.hoursN < hoursNeeded {
		return coldkeep.NoTemperature, coldkeep.NoTemperature, false
	}
	return coldkeep.FromCelsius(float64(s.low)), coldkeep.FromCelsius(float64(s.high)), true
}

// cycle follows the compressor: a phase ends when the trace has turned back by a
// part of the usual band.
func (s *State) cycle(at uint32, v float32, slope float64) {
	back := max(0.3*(s.high-s.low), 2.2*s.grain, 0.08)
	steep := float32(math.Abs(slope))
	switch {
	case s.dir == 0:
		s.ext, s.extAt, s.turnAt, s.turnV = v, at, at, v
		s.dir, s.steep, s.phases = 1, 0, 0
		if slope < 0 {
			s.dir = -1
		}
		return
	case (v-s.ext)*float32(s.dir) >= 0:
		s.ext, s.extAt = v, at
	case (s.ext-v)*float32(s.dir) >= back:
		s.turn()
		s.ext, s.extAt = v, at
		return
	}
	if float64(s.dir)*slope > 0 && steep > s.steep {
		s.steep = steep
	}
}

// turn ends a phase and learns from it.
func (s *State) turn() {
	k, swing := 0, abs(s.ext-s.turnV)
	if s.dir < 0 {
		k = 1
	}
	if s.phases > 0 { // its beginning was seen too
		usual, n := s.fastest[k], s.fastestN[k]
		if n >= 4 && s.steep > wildRatio*usual && swing > 2*s.swing && s.steep > 0.5 {
			s.wild = min(s.wild+1, 200)
		} else {
			s.wild = 0
		}
		if (s.wild == 0 || s.wild > wildMax) && !s.hourOdd {
			n = min(n+1, 40)
			x := s.steep
			if n > 6 {
				x = min(x, 3*usual)
			}
			s.fastestN[k] = n
			s.fastest[k] += (x - usual) / float32(n)
			s.swing += (min(swing, 3*max(s.swing, 0.1)) - s.swing) / float32(n)
		}
	}
	s.phases = min(s.phases+1, 200)
	s.turnAt, s.turnV = s.extAt, s.ext
	s.dir, s.steep = -s.dir, 0
}

func abs(x float32) float32 { return float32(math.Abs(float64(x))) }
