package firmware

import (
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/outbox"
)

// defaultReport is how often a Thin sample is recorded unless it is configured.
const defaultReport = time.Minute

// thinned is what is kept of the samples of one probe that are not recorded.
type thinned struct {
	slot   int64                // of the reporting grid that has its record
	lo, hi coldkeep.Temperature // since that record
	many   bool                 // more than one
	failed *outbox.Record       // a fault that is recorded unless a value comes in its slot
	at     int64                // slot of failed
}

// thin takes the record of a Thin sample and returns what is to be recorded: in each
// slot of the grid the first value with the extremes since the record before, or the
// first fault when there was no value.
func (r *recorder) thin(rec outbox.Record) (out []outbox.Record) {
	const none = coldkeep.NoTemperature
	t, ok := r.thins[rec.Probe]
	if !ok {
		t = &thinned{lo: none, hi: none, slot: -1}
		r.thins[rec.Probe] = t
	}
	slot := rec.At / r.report().Milliseconds()
	if t.failed != nil && slot != t.at {
		out = append(out, *t.failed)
		t.slot, t.failed = t.at, nil
	}
	if c := rec.Celsius; c.Known() {
		t.many = t.lo.Known()
		if t.lo = min(t.lo, c); !t.many {
			t.lo = c
		}
		t.hi = max(t.hi, c)
	}
	switch {
	case slot == t.slot:
		return out
	case !rec.Celsius.Known():
		if t.failed == nil {
			t.failed, t.at = &rec, slot
		}
		return out
	}
	if t.many {
		rec.Lo, rec.Hi = t.lo, t.hi
	}
	t.slot, t.lo, t.hi, t.many, t.failed = slot, none, none, false, nil
	return append(out, rec)
}

// report is the reporting grid; r.mu is held.
func (r *recorder) report() time.Duration {
	switch {
	case r.conf.Interval > 0:
		return time.Duration(r.conf.Interval) * time.Second
	case r.cfg.Report > 0:
		return r.cfg.Report
	}
	return defaultReport
}
