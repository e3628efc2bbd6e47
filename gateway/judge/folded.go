package judge

import (
	"math"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/ledger"
)

// folds are a probe's latest quarter hours, folded while its records were judged, so
// that their lines of the log cost no reading of the store.
type folds struct {
	quarters []fold
	stay     int // of the last record, as an index of past.stays
	last     coldkeep.Reading
}

type fold struct {
	stay    int
	builder intervalBuilder
}

// foldsKept is how many quarter hours of a probe are kept until they are told. The
// rest is read from the store.
const foldsKept = 4

// unfold forgets what was folded: the records from a time (ms) on will come anew.
func (t *track) unfold(from int64) {
	t.folds, t.foldedFrom = make([]folds, len(t.past.probes)), from
}

// fold adds the next record of a probe, in order of time.
func (t *track) fold(in *excursion.Sample) {
	f := &t.folds[in.Probe]
	stay := -1
	for i := range t.past.stays {
		if as := &t.past.stays[i]; as.Series == t.past.probes[in.Probe] && as.From.UnixMilli() <= in.At && in.At < openEnd(as.To) {
			stay = i
		}
	}
	if stay < 0 {
		return
	}
	r := coldkeep.Reading{At: in.At, Celsius: in.Celsius}
	known := false
	q := coldkeep.IntervalStart(in.At)
	for i := range f.quarters {
		if x := &f.quarters[i]; x.stay == stay {
			x.builder.add(&r)
			known = known || x.builder.from == q
		}
	}
	// A quarter hour is whole only with the records a gap's length before it.
	if maxGap := t.rules.MaxGap().Milliseconds(); !known && (t.foldedFrom == math.MinInt64 || q-maxGap >= t.foldedFrom) {
		b := newIntervalBuilder(&stint{t.past.stays[stay], t.rules}, q, maxGap)
		if f.stay == stay && f.last.At != 0 {
			b.add(&f.last)
		}
		b.add(&r)
		if len(f.quarters) == foldsKept {
			f.quarters = append(f.quarters[:0], f.quarters[1:]...)
		}
		f.quarters = append(f.quarters, fold{stay, b})
	}
	f.stay, f.last = stay, r
}

// folded gives the lines of a quarter hour from memory. ok is false when they must be
// made from the store: a record of that time may be on its way, or not all were seen.
// later says that more of the quarter hour is coming just now, in a backlog: it is told
// when that has passed it, or has stopped.
func (j *Judge) folded(u *ledger.Unlogged) (out []coldkeep.Interval, ok, later bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	to := u.From + quarter.Milliseconds()
	for _, seat := range j.seats[u.Series] {
		t := seat.track
		for i := range t.past.stays {
			as := &t.past.stays[i]
			if as.Series != u.Series || !as.Covers(utc(u.From)) && !as.Covers(utc(to-1)) {
				continue
			}
			if t.busy || t.reload || t.gone || t.state == nil || t.awaits(to) {
				return nil, false, time.Since(t.steppedAt) < j.stillComing && t.seenAt[seat.probe] >= u.From && t.seenAt[seat.probe] < to
			}
			found, open := false, false
			for k := range t.folds[seat.probe].quarters {
				x := &t.folds[seat.probe].quarters[k]
				if x.stay != i || x.builder.from != u.From {
					continue
				}
				if open = !x.builder.closed; !open {
					b := x.builder
					out, found = append(out, b.done(0)), true
				}
			}
			if !found {
				return nil, false, open && time.Since(t.steppedAt) < j.stillComing
			}
		}
	}
	return out, true, false
}

// awaits reports whether samples from before a time (ms) wait or are on their way.
// The caller holds Judge.mu.
func (t *track) awaits(before int64) bool {
	for i := range t.pending {
		if t.pending[i].At < before {
			return true
		}
	}
	for _, tk := range t.tickets {
		for i := range tk.parts {
			if tk.parts[i].track == t && tk.parts[i].earliest < before {
				return true
			}
		}
	}
	return false
}
