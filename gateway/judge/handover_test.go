package judge

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// Two collectors hand a site over and back, in any order with commits, news of them and work.
func TestTwoCollectors(t *testing.T) {
	b := newBench(t, databasetest.SQLite(t))
	var gen atomic.Int64
	b.led.Guard(func(_ context.Context, _ *sql.Tx, sites map[coldkeep.SiteID]int64) error {
		for _, g := range sites {
			if g != 0 && g != gen.Load() {
				return coldkeep.Errorf(coldkeep.ECONFLICT, "not held")
			}
		}
		return nil
	})
	rapid.Check(t, func(t *rapid.T) {
		u := drawUnit(t)
		var all []coldkeep.Reading
		at := base
		for i := range rapid.IntRange(1, 80).Draw(t, "n") {
			at += rapid.SampledFrom([]int64{0, 1000, minute, 5 * minute, 12 * minute, 31 * minute, 7 * 60 * minute}).Draw(t, fmt.Sprint("dt", i))
			r := u.reading(int64(i+1), at, rapid.SampledFrom([]coldkeep.Temperature{5000, 5000, 8001, 9000, 1999, 0, none}).Draw(t, fmt.Sprint("c", i)))
			r.Series = rapid.SampledFrom(u.mirror.Assignments).Draw(t, fmt.Sprint("probe", i)).Series
			all = append(all, r)
		}
		js := []*Judge{b.judge(b.store, u), b.judge(b.store, u)}
		who := 0
		hold := func() {
			g := gen.Add(1)
			js[1-who].SetSites(nil)
			js[who].SetSites(map[coldkeep.SiteID]int64{"site": g})
		}
		js[0].SetSites(nil)
		js[1].SetSites(nil)
		hold()
		given := all
		if rapid.Bool().Draw(t, "unordered") {
			given = rapid.Permutation(all).Draw(t, "order")
		}
		var flying []func(bool)
		for len(given) > 0 {
			n := rapid.IntRange(1, min(12, len(given))).Draw(t, "chunk")
			flying = append(flying, b.enter(t, js[who], given[:n]))
			given = given[n:]
			for range rapid.IntRange(0, 3).Draw(t, "steps") {
				switch rapid.IntRange(0, 6).Draw(t, "then") {
				case 0:
					who = 1 - who
					hold()
				case 1: // lost and had again
					hold()
				case 2:
					work(js[who])
				case 3:
					work(js[1-who])
				case 4:
					ok := rapid.IntRange(0, 3).Draw(t, "answer") > 0
					for _, done := range flying {
						done(ok)
					}
					flying = nil
				case 5: // the one dies, with what it has not heard
					flying = nil
					js[who] = b.judge(b.store, u)
					js[who].SetSites(nil)
					hold()
				case 6:
					js[who].lookForSilence()
				}
			}
		}
		for _, done := range flying {
			done(true)
		}
		work(js[1-who])
		work(js[who])
		b.compare(t, u, all)
	})
}
