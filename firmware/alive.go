package firmware

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep/gateway/wire"
)

// answersWithin is how long the outbox may take to answer before it counts as hung;
// a card that erases blocks may take seconds.
const answersWithin = 10 * time.Second

// lookAfter tells Config.Alive while the device works, and Config.Healthy once it has
// shown that it does, until ctx ends; then it closes what it returns.
func (d *device) lookAfter(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	begin := d.box.State()
	go func() {
		defer close(done)
		every := d.cfg.AliveEvery
		if d.cfg.Alive == nil || every <= 0 {
			every = time.Hour // nobody listens
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		healthy := d.cfg.Healthy
		for {
			changed := d.box.Changed()
			if healthy != nil && d.delivers(ctx, &begin.Epoch, &begin.Last) {
				healthy()
				healthy = nil
			}
			if healthy == nil {
				changed = nil
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			case <-tick.C:
				if d.cfg.Alive != nil && d.works(ctx) {
					d.cfg.Alive()
				}
			}
		}
	}()
	return done
}

// works reports whether the source goes on and the outbox answers.
func (d *device) works(ctx context.Context) bool {
	if s, ok := d.src.(interface{ Alive() bool }); ok && !s.Alive() {
		d.cfg.Log.Error("sampling stands still")
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	if err := d.box.Ping(ctx); err != nil {
		d.cfg.Log.Error("outbox does not answer", "err", err)
		return false
	}
	return true
}

// delivers reports whether the collector has acknowledged a reading, not only events,
// after seq of an epoch; what it has looked at it does not look at again.
func (d *device) delivers(ctx context.Context, epoch *string, seq *int64) bool {
	st := d.box.State()
	if st.Epoch != *epoch { // renumbered from 1
		*epoch, *seq = st.Epoch, 0
	}
	for *seq < st.Acked {
		records, err := d.box.ReadFrom(ctx, *seq+1, wire.MaxRecords, wire.MaxPayload)
		if err != nil || len(records) == 0 {
			return false
		}
		for i := range records {
			if r := &records[i]; r.Seq > st.Acked {
				return false
			} else if *seq = r.Seq; !r.IsEvent() {
				return true
			}
		}
	}
	return false
}
