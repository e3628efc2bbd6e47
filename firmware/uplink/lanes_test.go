package uplink

import (
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/firmware/collectortest"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// After an outage the newest records come first, then the rest from the oldest on; what
// is recorded meanwhile does not wait for it, and a resend of what is on its way is not
// met twice.
func TestNewestFirst(t *testing.T) {
	r := start(t, func(c *Config) { c.Newest, c.Backfill = 100, 1000 })
	r.Stop()
	r.add(6000)
	epoch := r.box.State().Epoch
	r.Restart()
	r.Await("the newest", func(v *collectortest.View) bool { return len(v.Records[epoch]) > 0 })
	r.View(func(v *collectortest.View) {
		if b := v.Batches[0]; b.Seq != 5901 || len(b.Records) != 100 {
			t.Errorf("first came %d records from %d", len(b.Records), b.Seq)
		}
	})
	r.Await("the oldest", func(v *collectortest.View) bool { return len(v.Records[epoch]) > 100 })
	r.Send(wire.LeafCommand, false, wire.Command{V: 1, Cmd: wire.CommandResend, Epoch: epoch, From: 1001, To: 5900})
	r.add(1) // now: long before the back-fill is through
	r.Await("what is new", func(v *collectortest.View) bool { _, ok := v.Records[epoch][6001]; return ok })
	r.View(func(v *collectortest.View) {
		if n := v.Durable(epoch); n == 0 || n > 5900 {
			t.Errorf("the back-fill stood at %d when the new one came", n)
		}
	})
	r.delivered()
	r.View(func(v *collectortest.View) {
		last := int64(0)
		for _, b := range v.Batches {
			if b.Seq < 5901 && b.Seq < last {
				t.Errorf("back-fill from %d after %d", b.Seq, last)
			} else if b.Seq < 5901 {
				last = b.Seq
			}
		}
		for seq, n := range v.Came[epoch] {
			if n != 1 {
				t.Errorf("record %d came %d times", seq, n)
			}
		}
	})
	r.add(3)
	r.delivered()
}

// A record of the newest that the broker lost is sent again when the back-fill has
// shown the gap.
func TestNewestIsSentAgain(t *testing.T) {
	r := start(t, func(c *Config) { c.Newest, c.Backfill, c.ResendAfter = 100, 1_000_000, 200*time.Millisecond })
	for range 3 {
		r.Stop()
		r.add(2000)
		r.Restart()
		r.Withhold(true)
		n := r.box.State().Last
		epoch := r.box.State().Epoch
		r.Await("all of it", func(v *collectortest.View) bool { return v.Durable(epoch) == n })
		r.Withhold(false)
		r.delivered()
	}
}

func TestBackfillRate(t *testing.T) {
	l := lanes{fresh: 1}
	now := time.Now()
	sent := int64(0)
	for end := now.Add(10 * time.Second); now.Before(end); {
		if wait := l.rest(now, 500); wait > 0 {
			now = now.Add(wait)
			continue
		}
		l.spend(900)
		sent += 900
	}
	if sent < 5000 || sent > 6500 {
		t.Errorf("%d records in ten seconds at 500 a second", sent)
	}
	if (&lanes{}).rest(now, 1) != 0 {
		t.Error("one lane waits")
	}
}
