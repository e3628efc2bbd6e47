package ingest

import (
	"context"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// quarter is a quarter hour of a probe's log.
type quarter struct {
	*device
	probe coldkeep.ProbeID
	from  int64 // ms
}

func (q *quarter) entry() ledger.Quarter {
	return ledger.Quarter{Series: coldkeep.Series{Site: q.Site, Agent: q.Agent, Probe: q.probe}, From: q.from}
}

// touch notes that a take has a reading of a quarter hour. Devices send in the order of
// time, so it mostly is the one of the reading before.
func (w *worker) touch(d *device, r *wire.Record) {
	q := quarter{d, r.Probe, coldkeep.IntervalStart(r.At)}
	if d.touched != q {
		d.touched = q
		w.quarters = append(w.quarters, q)
	}
}

// markQuarters notes the quarter hours of the take's readings as not told yet. One
// that is still going on by the clock is noted once: until it has ended, and two
// minutes more, nobody tells it and takes the note away. It returns the earliest that
// was left out for that, ms, 0 for none.
func (w *worker) markQuarters(now int64) (skipped int64) {
	for _, q := range w.quarters {
		d := q.device
		if now < q.from+coldkeep.IntervalLength.Milliseconds() {
			if was, ok := d.marked[q.probe]; ok && was == q.from {
				if skipped == 0 || q.from < skipped {
					skipped = q.from
				}
				continue
			}
			if d.marked == nil || len(d.marked) >= probesKept {
				d.marked = map[coldkeep.ProbeID]int64{}
			}
			d.marked[q.probe] = q.from
		}
		w.book.Unlogged = append(w.book.Unlogged, q.entry())
	}
	return skipped
}

// markAll notes every quarter hour of the take's readings, again.
func (w *worker) markAll(ctx context.Context) error {
	var all ledger.Take
	for _, q := range w.quarters {
		all.Unlogged = append(all.Unlogged, q.entry())
	}
	_, err := w.ledger.Enter(ctx, w.now, &all, w.fence())
	return err
}
