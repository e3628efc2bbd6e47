package devices

import (
	"time"

	"github.com/coldkeep/coldkeep/gateway/wire"
)

// How steady a difference must be to be a clock's and not the way's. Batches sent
// late have old records too, but a backlog drains faster than it grows: within
// three minutes their age falls by more than one. A device that is a minute off
// its clock's pace for that long is not known.
const (
	skewBatches = 5
	skewSpan    = 3 * time.Minute
	skewSteady  = time.Minute
	fineBatches = 3 // within the limit, for a clock to be right again
)

// clockWatch tells from the times of what arrives how a device's clock stands. Its
// times are on the collector's clock.
type clockWatch struct {
	skew time.Duration // by how much it is ahead; 0 when that is within the limit

	n      int // batches in a row that are off by about the same
	since  time.Time
	lo, hi time.Duration
	fine   int // batches in a row within the limit

	stamp    string    // wire.ClockNTP …, of the latest batch; "" before
	unsynced time.Time // since when every batch says wire.ClockUnsynced; zero when the latest does not
}

// batch notes a batch that came at a time, with its newest record's.
func (w *clockWatch) batch(at time.Time, newest int64, stamp string, limit, slack time.Duration) {
	switch {
	case stamp == "":
	case stamp != wire.ClockUnsynced:
		w.unsynced = time.Time{}
	case w.stamp != wire.ClockUnsynced || w.unsynced.IsZero():
		w.unsynced = at
	}
	if stamp != "" {
		w.stamp = stamp
	}
	if newest == 0 {
		return // nothing new in it
	}
	ahead := time.Duration(newest-at.UnixMilli()) * time.Millisecond
	if ahead <= limit && ahead >= -limit {
		w.n = 0
		if w.fine++; w.fine >= fineBatches {
			w.skew = 0
		}
		return
	}
	w.fine = 0
	lo, hi := min(w.lo, ahead), max(w.hi, ahead)
	if w.n == 0 || hi-lo > max(skewSteady, slack) || at.Before(w.since) {
		w.n, w.since, w.lo, w.hi = 1, at, ahead, ahead
		return
	}
	w.n++
	w.lo, w.hi = lo, hi
	if w.n >= skewBatches && at.Sub(w.since) >= skewSpan {
		w.skew = ahead
	}
}

// forget drops what was seen of a run that the collector itself has interrupted.
func (w *clockWatch) forget() { w.n, w.fine, w.unsynced = 0, 0, time.Time{} }
