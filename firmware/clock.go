package firmware

import (
	"context"
	"fmt"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

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

// timekeeper is what the operating system knows of its clocks.
type timekeeper interface {
	// trust is the "clock" of records made now.
	trust() string
	// boot names the present boot and tells how long ago it began, by a clock that
	// nobody sets; ok is false where that is not known.
	boot() (id string, ago time.Duration, ok bool)
}

// timing is what is known of the clock when records are made.
type timing struct {
	trust string
	boot  string // "" once the clock was set in it, and where it is not known
	base  int64  // the wall clock's time when the boot began, ms
}

// timing asks what is known of the clock; r.mu is held. Until a time service has
// set the clock in this boot, records carry where the boot began by the clock they
// were made with. That tells later how wrong their times are.
func (r *recorder) timing() timing {
	if r.cfg.TimeTrust != "" {
		return timing{trust: r.cfg.TimeTrust}
	}
	t := timing{trust: r.keeper.trust()}
	if r.synced != "" {
		return t
	}
	// The two clocks are read one after the other, and the process may be held up in
	// between, so the boot's is read on both sides of the wall clock.
	for range 3 {
		_, before, _ := r.keeper.boot()
		now := r.cfg.Clock.Now()
		id, after, ok := r.keeper.boot()
		if !ok {
			return t
		}
		t.boot, t.base = id, now.Add(-(before+after)/2).UnixMilli()
		if after-before < readApart {
			break
		}
	}
	return t
}

// readApart is how far apart the two readings of the boot's clock may be: /proc/uptime
// has hundredths of a second.
const readApart = 100 * time.Millisecond

// since reads in which boot the clock was set last, "" when that was not this one.
func (r *recorder) since(ctx context.Context) (string, error) {
	set, err := r.box.Synced(ctx)
	if id, _, ok := r.keeper.boot(); !ok || id != set {
		return "", err
	}
	return set, err
}

// adrift reports whether nothing has set the clock in this boot.
func (t *timing) adrift() bool { return t.trust == wire.ClockUnsynced && t.boot != "" }

// corrections are the events that say by how much the times of records of this
// boot were wrong, now that the clock is set. What an earlier boot recorded without
// a set clock stays so: nobody knows how long the device was without power.
func (r *recorder) corrections(now time.Time, t timing, ranges []outbox.Adrift) []outbox.Record {
	var out []outbox.Record
	for _, a := range ranges {
		if a.Boot != t.boot {
			continue
		}
		by := time.Duration(t.base-a.Base) * time.Millisecond
		r.cfg.Log.Info("clock is set; times recorded before are corrected by an event", "from", a.From, "to", a.To, "by", by)
		out = append(out, r.eventRecord(now, "", wire.EventClockCorrected, correctionDetail(a, by)))
	}
	return out
}

// correctionDetail says by how much the t of which records is to be moved.
func correctionDetail(a outbox.Adrift, by time.Duration) string {
	return fmt.Sprintf("records %d to %d: %+.3f s", a.From, a.To, by.Seconds())
}

// doubt marks a value whose time is not to be trusted.
func (t *timing) doubt(rec *outbox.Record) {
	if t.adrift() && rec.Celsius.Known() && rec.Quality == coldkeep.QualityGood {
		rec.Quality = coldkeep.QualityClock
	}
}
