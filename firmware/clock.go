package firmware

import "time"

// stepLeast is the smallest jump of the wall clock that is an event. NTP slews
// away what is below 128 ms, and a scheduler may delay us by more than that.
const stepLeast = 2 * time.Second

// stepWatch notices that the wall clock was set, by comparing it with the
// monotonic one. (A suspended machine's monotonic clock stands still, which looks
// the same, and is as worth knowing.)
type stepWatch struct {
	before time.Time
}

// look compares with the look before, and returns by how much the wall clock has
// jumped.
func (w *stepWatch) look(now time.Time) (time.Duration, bool) {
	before := w.before
	w.before = now
	if before.IsZero() {
		return 0, false
	}
	return step(now.Round(0).Sub(before.Round(0)), now.Sub(before))
}

// step is by how much more than the monotonic clock the wall clock has moved.
func step(wall, monotonic time.Duration) (time.Duration, bool) {
	d := wall - monotonic
	return d, d >= stepLeast || d <= -stepLeast
}
