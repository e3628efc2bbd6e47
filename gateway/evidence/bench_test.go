package evidence_test

import (
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// BenchmarkVerify verifies a device's readings, eight probes a minute, from the
// stores to the summary.
func BenchmarkVerify(b *testing.B) {
	for name, open := range map[string]func(testing.TB) (store, string){
		"sqlite": sqliteStore,
		"influx": func(t testing.TB) (store, string) { return influxStore(t), "" },
	} {
		b.Run(name, func(b *testing.B) {
			s, path := open(b)
			c := newCentre(b, databasetest.SQLite(b), s, path)
			d := newDevice(b, b.TempDir())
			defer d.box.Close()
			c.noteKey(d)
			const n = 200_000
			for done := 0; done < n; {
				var rs []outboxRecord
				for range 5000 {
					rs = append(rs, sample(string("abcdefgh"[done%8]), base+int64(done/8)*60_000, coldkeep.Temperature(4000+done%100)))
					done++
				}
				d.append(rs...)
			}
			for _, x := range d.batches(1, 1000) {
				c.take(d, x)
			}
			v := evidence.Verifier{Ledger: c.led, Readings: c.store}
			var readings, seals int64
			for b.Loop() {
				sum, err := v.Verify(b.Context(), evidence.Scope{Agent: d.agent}, func(f evidence.Finding) error { b.Errorf("%+v", f); return nil })
				if err != nil || !sum.Whole {
					b.Fatal(sum, err)
				}
				readings, seals = readings+sum.Readings, seals+sum.Seals
			}
			b.ReportMetric(float64(readings)/b.Elapsed().Seconds(), "readings/s")
			b.ReportMetric(float64(seals)/b.Elapsed().Seconds(), "seals/s")
		})
	}
}

// BenchmarkArrivals is what seals cost the intake: batches of 60, a seal every
// 1,020 records, and the same without seals.
func BenchmarkArrivals(b *testing.B) {
	for _, sealed := range []bool{false, true} {
		name := "without seals"
		if sealed {
			name = "a seal every 1,020"
		}
		b.Run(name, func(b *testing.B) {
			d := device{site: "clinic", agent: "pi"}
			s, path := sqliteStore(b)
			c := newCentre(b, databasetest.SQLite(b), s, path)
			d.key = wireKey()
			c.noteKey(&d)
			const epoch = "01jd3k8w2m5n6p7q8r9s0t1v2w"
			h := wire.FirstHash(d.site, d.agent, epoch)
			var bs []*wire.Batch
			for seq := int64(1); seq <= 60*17*20; seq += 60 {
				x := &wire.Batch{Epoch: epoch, Seq: seq, Oldest: 1, Clock: "ntp", Config: 3}
				for i := range int64(60) {
					r := sample("28-000005e2fdc3", base+(seq+i)*1000, 4000).Record
					h = h.Next(wire.AppendCanonical(nil, seq+i, &r, "ntp", 3))
					x.Records = append(x.Records, r)
				}
				if sealed && (seq+59)%1020 == 0 {
					x.Seal = wire.NewSeal(d.key, d.site, d.agent, epoch, seq+59, 1, h)
				}
				bs = append(bs, x)
			}
			e := ledger.Epoch{Site: d.site, Agent: d.agent, Epoch: epoch}
			n := 0
			for b.Loop() {
				a := evidence.NewArrivals(c.led)
				for _, x := range bs {
					entry := ledger.Entry{Epoch: e}
					if err := a.Take(b.Context(), time.Unix(0, 0), &entry, x, nil); err != nil || len(entry.Seals) > 0 && entry.Seals[0].Chain != ledger.ChainWhole {
						b.Fatal(entry, err)
					}
					n += 60
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
		})
	}
}
