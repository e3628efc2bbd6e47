package excursion

import (
	"cmp"
	"math"

	"github.com/coldkeep/coldkeep"
)

// Sample is what the engine sees of a reading. Celsius is NoTemperature when the
// probe gave nothing to be believed; Quality then says why.
type Sample struct {
	At      int64 // ms since 1970-01-01 UTC, not 0
	Seq     int64 // orders samples of one probe and one time
	Probe   int   // index of the probe, as in History
	Celsius coldkeep.Temperature
	Quality coldkeep.Quality
}

// Compare orders samples by event time, probe and seq, then by what they say, so
// that the same samples are judged in one order wherever they came from.
func Compare(a, b Sample) int {
	switch {
	case a.At != b.At:
		return cmp.Compare(a.At, b.At)
	case a.Probe != b.Probe:
		return cmp.Compare(a.Probe, b.Probe)
	case a.Seq != b.Seq:
		return cmp.Compare(a.Seq, b.Seq)
	case a.Celsius != b.Celsius:
		return cmp.Compare(a.Celsius, b.Celsius)
	}
	return cmp.Compare(a.Quality, b.Quality)
}

// Stay is a time [From, To) in which a probe stood in the appliance, in ms since
// 1970-01-01 UTC. An open end is math.MaxInt64; a beginning that nobody knows is
// math.MinInt64, and silence before the first record is then no gap.
type Stay struct {
	Probe    int
	Role     coldkeep.Role // "" is RoleVaccine
	From, To int64
}

// History is what the registry knows of an appliance: which probe stood in it when,
// and when it was out of service, with no vaccine in it. Stays of one probe and role
// that touch or overlap are one. A History is not changed once it is in use: an
// addition to the future makes another one; a change of the past makes the record
// one to be judged anew from a state before it.
type History struct {
	Stays        []Stay
	OutOfService [][2]int64 // [from, to)
}

const (
	always = int64(math.MinInt64) // the beginning of time
	never  = int64(math.MaxInt64)
)

// Alone is the history of an appliance with one vaccine probe, 0, for ever.
func Alone() *History { return &History{Stays: []Stay{{From: always, To: never}}} }

// inService reports whether the appliance is in service at a time.
func (h *History) inService(at int64) bool {
	for _, o := range h.OutOfService {
		if o[0] <= at && at < o[1] {
			return false
		}
	}
	return true
}

// standing appends to buf the probes that are listened to at a time, with their
// roles, in no order: none while out of service.
func (h *History) standing(buf []probe, at int64) []probe {
	if !h.inService(at) {
		return buf
	}
	for _, st := range h.Stays {
		if at < st.From || st.To <= at {
			continue
		}
		known := false
		for i := range buf {
			if buf[i].Probe == st.Probe {
				known = true
				buf[i].Air = buf[i].Air && st.Role == coldkeep.RoleAir // of two stays at once, the one that matters more
			}
		}
		if !known {
			buf = append(buf, probe{Probe: st.Probe, Air: st.Role == coldkeep.RoleAir})
		}
	}
	return buf
}

// after returns the first time after at at which something changes, never if
// nothing does.
func (h *History) after(at int64) int64 {
	next := never
	look := func(t int64) {
		if t > at && t < next {
			next = t
		}
	}
	for _, st := range h.Stays {
		look(st.From)
		look(st.To)
	}
	for _, o := range h.OutOfService {
		look(o[0])
		look(o[1])
	}
	return next
}
