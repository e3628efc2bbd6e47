package ingest

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/internal/tracing"
)

// enter commits the take. Its readings are in the store.
func (w *worker) enter(ctx context.Context) error {
	done := func(bool) {}
	switch {
	case len(w.doubt) > 0:
		w.book.Unjudged, done = w.judge.Expect(slices.Concat(w.rs, w.doubt))
	case len(w.rs) > 0:
		w.book.Unjudged, done = w.judge.Expect(w.rs)
	}
	skipped := w.markQuarters(w.clock.Now().UnixMilli())
	for _, d := range w.agents {
		if e := d.latest; e != nil && e.entry > 0 && (w.now.Sub(d.rowAt) >= heardEvery || w.now.Before(d.rowAt) || d.rowEpoch != e.Epoch.Epoch) {
			w.book.Entries[e.entry-1].Unseen = false
		}
	}
	for _, d := range w.refusals {
		w.book.Refused = d.refused.kept(w.now, w.book.Refused)
	}
	var after []ledger.Progress
	var err error
	if len(w.book.Entries)+len(w.book.Refused)+len(w.book.Statuses)+len(w.book.Unjudged)+len(w.book.Unlogged) > 0 {
		committed, end := tracing.Span(ctx, "ingest.commit", tracing.Count{Name: "batches", N: len(w.book.Entries)})
		after, err = w.ledger.Enter(committed, w.now, &w.book, w.fence())
		end(err)
	}
	done(err == nil)
	if err != nil {
		return err
	}
	for _, e := range w.open {
		e.known = after[e.entry-1]
		e.have = e.known.Ranges.Without(e.known.Lost)
	}
	if skipped != 0 && w.clock.Now().UnixMilli() >= skipped+coldkeep.IntervalLength.Milliseconds() {
		// The commit took so long that a quarter hour has ended which was not marked again,
		// and its line of the log may be told soon without these readings.
		for err = w.markAll(ctx); err != nil; err = w.markAll(ctx) {
			if err := (coldkeep.RealClock{}).Sleep(ctx, w.retry); err != nil {
				return err
			}
		}
	}
	return nil
}

// fence binds the fence to the sites of this take.
func (w *worker) fence() ledger.Fence {
	if w.Fence == nil {
		return nil
	}
	var sites []coldkeep.SiteID
	add := func(s coldkeep.SiteID) {
		if !slices.Contains(sites, s) {
			sites = append(sites, s)
		}
	}
	for i := range w.book.Entries {
		add(w.book.Entries[i].Site)
	}
	for i := range w.book.Statuses {
		add(w.book.Statuses[i].Site)
	}
	for i := range w.book.Refused {
		add(w.book.Refused[i].Site)
	}
	return func(ctx context.Context, tx *sql.Tx) error { return w.Fence(ctx, tx, w.round, sites) }
}

// finish tells everyone of a take that is durable.
func (w *worker) finish(ctx context.Context, messages int) {
	for _, e := range w.open {
		w.acks.stored(e.Epoch, e.known.Ranges)
	}
	for _, e := range w.again {
		if e.entry == 0 {
			w.acks.stored(e.Epoch, e.known.Ranges)
		}
	}
	var bad int64
	for i := range w.book.Entries {
		e := &w.book.Entries[i]
		bad += int64(len(e.Bad))
		w.sealed(ctx, e)
		if w.Note != nil && len(e.Events) > 0 {
			w.Note(e.Site, e.Agent, e.Events)
		}
		if !e.Unseen {
			d := w.devices[ledger.Device{Site: e.Site, Agent: e.Agent}]
			d.rowAt, d.rowEpoch = w.now, e.Epoch.Epoch
		}
	}
	for _, t := range w.told {
		w.judge.SetOnline(t.Site, t.Agent, t.status.Online)
		if w.Devices != nil {
			w.Devices.SetStatus(t.Site, t.Agent, w.now, &t.status, t.retained)
		}
	}
	if w.Devices != nil {
		for _, d := range w.agents {
			if d.clock != "" {
				w.Devices.Heard(d.Site, d.Agent, w.now, d.newest, d.clock)
			}
		}
	}
	for _, d := range w.refusals {
		n := d.refused.done()
		w.Counts.Refused.Add(n)
		if d.refused.tellable(w.now) {
			w.log.Warn("payloads refused and quarantined", "site", d.Site, "agent", d.Agent, "payloads", d.refused.untold, "reason", d.refused.reason)
			d.refused.untold = 0
		}
	}
	if w.Age != nil {
		now := w.clock.Now().UnixMilli()
		for _, at := range w.newest {
			if at > 0 {
				w.Age(time.Duration(now-at) * time.Millisecond)
			}
		}
	}
	w.heardMu.Lock()
	for _, d := range w.agents {
		w.heard[d.Device] = w.now
	}
	w.heardMu.Unlock()
	w.Counts.Takes.Add(1)
	w.Counts.Messages.Add(int64(messages))
	w.Counts.Batches.Add(w.batches)
	w.Counts.Stored.Add(int64(len(w.rs)))
	w.Counts.Repeated.Add(w.repeated)
	w.Counts.Quarantined.Add(bad)
}
