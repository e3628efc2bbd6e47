package readingstest

import (
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

// Bench measures reading: a month of one probe at a reading a minute, 43,200 rows,
// as a whole and in the 300 buckets of a chart, in the engine and folded here; and
// three years at a reading a quarter of an hour.
func Bench(b *testing.B, s readings.Store) {
	fill := func(n int, step int64) (coldkeep.Series, int64) {
		k := series()
		var rs []coldkeep.Reading
		for i := range int64(n) {
			r := good(k, i+1, base+i*step, coldkeep.Temperature(4000+i%1000))
			r.Raw, r.Lo, r.Hi = r.Celsius+100, r.Celsius-10, r.Celsius+10
			rs = append(rs, r)
		}
		if err := s.Append(b.Context(), rs); err != nil {
			b.Fatal(err)
		}
		return k, base + int64(n)*step
	}
	for _, set := range []struct {
		name string
		n    int
		step int64
	}{{"Month", 43_200, 60_000}, {"ThreeYears", 3 * 365 * 96, 900_000}} {
		k, until := fill(set.n, set.step)
		b.Run(set.name+"/Range", func(b *testing.B) {
			for b.Loop() {
				n := 0
				if err := s.Range(b.Context(), k, base, until, func(*coldkeep.Reading) error { n++; return nil }); err != nil || n != set.n {
					b.Fatal(n, err)
				}
			}
		})
		w := readings.Window{From: base, To: until, Width: (until - base) / 300, Since: base, Until: until}
		b.Run(set.name+"/FoldHere", func(b *testing.B) {
			for b.Loop() {
				if _, err := readings.Fold(b.Context(), s, k, w, 30*time.Minute); err != nil {
					b.Fatal(err)
				}
			}
		})
		if f, ok := s.(readings.Folder); ok {
			b.Run(set.name+"/FoldInEngine", func(b *testing.B) {
				for b.Loop() {
					if _, err := f.Fold(b.Context(), k, w, 30*time.Minute); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
