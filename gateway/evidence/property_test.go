package evidence_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings/sqlite"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
)

// However the records were batched, in whatever order and how often they came, and
// wherever device and collector died in between: the chain is the same and the log
// is whole. Then any one record is altered or deleted, and that is found and
// pointed at.
func TestAnyWayItCame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "evidence")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		d := newDevice(t, dir)
		defer func() { _ = d.box.Close() }()
		c := propertyCentre(t, dir)
		defer func() { _, _ = c.db.Close(), c.store.Close() }()
		if rapid.Bool().Draw(t, "key known from the start") {
			c.noteKey(d)
		}
		n := drawRecords(t, d, dir)

		// Batches of any cut, each at least once, in any order.
		var bs []*wire.Batch
		for range rapid.IntRange(1, 2).Draw(t, "times") {
			for from := int64(1); from <= n; {
				b := d.batch(from, rapid.IntRange(1, 60).Draw(t, "limit"))
				bs = append(bs, b)
				from += int64(len(b.Records))
			}
		}
		if rapid.Bool().Draw(t, "out of order") {
			bs = rapid.Permutation(bs).Draw(t, "order")
		}
		crash := rapid.IntRange(0, len(bs)).Draw(t, "collector dies after")
		for i, b := range bs {
			if i == crash {
				c.seals = evidence.NewArrivals(c.led)
			}
			if e := c.take(d, b); slices.ContainsFunc(e.Seals, func(s ledger.Seal) bool { return s.Refused != "" || s.Chain == ledger.ChainBroken }) {
				t.Fatalf("seal of batch %d: %+v", b.Seq, e.Seals)
			}
		}
		c.noteKey(d)
		checker := evidence.Checker{Ledger: c.led, Readings: c.store, Clock: coldkeep.RealClock{}}
		if _, err := checker.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if open, err := c.led.OpenSeals(t.Context(), ledger.OpenSeal{}, 100); err != nil || len(open) != 0 {
			t.Fatalf("%d seals are still open, %v: %+v", len(open), err, open)
		}
		if sum := c.mustBeWhole(d); sum.Proven+sum.Unsealed != n {
			t.Fatalf("%d of %d records are accounted for", sum.Proven+sum.Unsealed, n)
		}
		tamperAny(t, c, d, n)
	})
}

// propertyCentre is a centre without a testing.T.
func propertyCentre(t *rapid.T, dir string) *centre {
	t.Helper()
	path := filepath.Join(dir, "readings.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := database.Open(t.Context(), filepath.Join(dir, "collector.db"))
	if err != nil {
		t.Fatal(err)
	}
	led, err := ledger.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return &centre{t: t, db: db, led: led, store: s, path: path, seals: evidence.NewArrivals(led), now: timeOf(late)}
}

// drawRecords records through the outbox, which dies now and then, and whose clock
// steps; it returns how many there are.
func drawRecords(t *rapid.T, d *device, dir string) int64 {
	t.Helper()
	at := base
	for range rapid.IntRange(1, 12).Draw(t, "appends") {
		at += rapid.SampledFrom([]int64{1, 60_000, 60_000, 60_000, 5 * 60_000, 20 * 60_000, -3_600_000, 86_400_000}).Draw(t, "step")
		at = max(at, base)
		var rs []outboxRecord
		for i := range rapid.IntRange(1, 40).Draw(t, "records") {
			r := sample([]string{"a", "b", "c"}[i%3], at+int64(i/3)*rapid.SampledFrom([]int64{0, 1, 60_000}).Draw(t, "spread"), coldkeep.Temperature(rapid.Int32Range(-90_000, 30_000).Draw(t, "c")))
			switch rapid.IntRange(0, 20).Draw(t, "what") {
			case 0:
				r = event(wire.EventDoorOpen, at)
			case 1:
				r.Celsius, r.Raw, r.Hi, r.Quality = none, none, none, coldkeep.QualityCRC
			case 2:
				r.At = late + 5
			case 3:
				r.Clock = wire.ClockUnsynced
			case 4:
				r.Config = 9
			}
			rs = append(rs, r)
		}
		d.append(rs...)
		if rapid.IntRange(0, 8).Draw(t, "device dies") == 0 {
			_ = d.box.Close()
			d.open(dir)
		}
	}
	return d.box.State().Last
}

// tamperAny touches one reading at random.
func tamperAny(t *rapid.T, c *centre, d *device, n int64) {
	t.Helper()
	var all []coldkeep.Reading
	for _, p := range []string{"a", "b", "c"} {
		if err := c.store.Scan(t.Context(), d.series(p), 0, 1<<60, func(r *coldkeep.Reading) error { all = append(all, *r); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) == 0 {
		return
	}
	r := rapid.SampledFrom(all).Draw(t, "victim")
	kind := evidence.KindAltered
	where := ` WHERE at = ? AND seq = ?`
	switch rapid.SampledFrom([]string{"value", "time", "delete", "insert", "probe"}).Draw(t, "tamper") {
	case "value":
		c.readingsExec(`UPDATE reading SET celsius = COALESCE(celsius, 0) + 1`+where, r.At, r.Seq)
	case "time":
		c.readingsExec(`UPDATE reading SET at = at + ?`+where, rapid.SampledFrom([]int64{-86_400_000, -1, 1, 60_000}).Draw(t, "by"), r.At, r.Seq)
	case "delete":
		c.readingsExec(`DELETE FROM reading`+where, r.At, r.Seq)
		kind = evidence.KindMissing
	case "insert":
		r.At++
		if err := c.store.Append(t.Context(), []coldkeep.Reading{r}); err != nil {
			t.Fatal(err)
		}
		kind = evidence.KindInserted
	case "probe":
		c.readingsExec(`UPDATE reading SET series = (SELECT MAX(id) FROM series WHERE id <> reading.series)`+where+` AND (SELECT COUNT(*) FROM series) > 1`, r.At, r.Seq)
		if s, err := c.store.Series(t.Context(), "", ""); err != nil || len(s) < 2 {
			return
		}
	}
	found, sum := c.verify(evidence.Scope{})
	sealed := int64(0)
	if s, err := c.led.SealsBefore(t.Context(), ledger.Epoch{Site: d.site, Agent: d.agent, Epoch: d.epoch}, n+1, 1); err != nil || len(s) == 0 {
		t.Fatal(err, "no seal at all")
	} else {
		sealed = s[0].Seq
	}
	if r.Seq > sealed && kind == evidence.KindAltered {
		return // the device has not sealed it yet: a quarter of an hour at most
	}
	if sum.Whole || !slices.ContainsFunc(found, func(f evidence.Finding) bool { return f.Kind == kind && f.FromSeq <= r.Seq && r.Seq <= f.ToSeq }) {
		t.Fatalf("%s of record %d is not told:\n%s", kind, r.Seq, show(found))
	}
}
