package firmware

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/firmware/watch"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// What of the outbox the Watch is filled from at the start: a day, and no more
// records than a Pi Zero reads in a few seconds.
const (
	recallTime    = watch.Slot * watch.Slots
	recallRecords = 50_000
)

// recall fills the Watch from the outbox.
func (r *recorder) recall(ctx context.Context) error {
	events, err := r.box.LatestEvents(ctx)
	if err != nil {
		return err
	}
	latest := make([]wire.Record, len(events))
	for i := range events {
		latest[i] = events[i].Record
	}
	known, err := r.box.Extremes(ctx)
	if err != nil {
		return err
	}
	extremes := make(map[coldkeep.ProbeID]watch.Extreme, len(known))
	for p, e := range known {
		extremes[p] = watch.Extreme{Lo: e.Lo, Hi: e.Hi, LoAt: time.UnixMilli(e.LoAt).UTC(), HiAt: time.UnixMilli(e.HiAt).UTC(), Since: time.UnixMilli(e.Since).UTC()}
	}
	return r.watch.Recall(latest, extremes, func(each func(wire.Record) error) error {
		return r.box.Since(ctx, r.cfg.Clock.Now().Add(-recallTime), recallRecords, func(rec *outbox.Record) error { return each(rec.Record) })
	})
}

// connect lets people at the device reset the extremes and read the records.
func (r *recorder) connect(ctx context.Context) {
	r.watch.Connect(func(_ context.Context, p coldkeep.ProbeID, by string) error {
		return r.event(ctx, p, wire.EventMinMaxReset, by) // the device's ctx: who asked may go away
	}, back{r.box})
}

// back is the outbox as a watch.Book.
type back struct{ box *outbox.Box }

// exportRecords bounds what is read back at once: a year of eight probes a minute
// apart is below it.
const exportRecords = 5_000_000

// Since calls each for the records from a time on.
func (b back) Since(ctx context.Context, at time.Time, each func(wire.Record) error) error {
	return b.box.Since(ctx, at, exportRecords, func(r *outbox.Record) error { return each(r.Record) })
}
