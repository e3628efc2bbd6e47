package inventory_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// span is where the model says that a lot stood.
type span struct {
	unit coldkeep.ApplianceID
	from int
	to   int // 0: it stands there
}

// TestHoldProperty plays lots that come and move, and a hold that is asked for
// again and again in any order, against a model: the hold has exactly the lots that
// stood in the unit since the earliest time it was asked for, and never loses one,
// not even when it is entered late that a lot had left before.
func TestHoldProperty(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		unit := func(i int) coldkeep.ApplianceID { return coldkeep.ApplianceID(fmt.Sprintf("u%d-%d", run, i)) }
		for i := range 3 {
			w.must(w.log.AddAppliance(w.ctx, system, coldkeep.Appliance{ID: unit(i), Site: "lakeside", Name: "u", Unit: coldkeep.Freezer, Profile: "cdc", InService: true}))
		}
		lots := map[string][]span{}
		ids := map[string]string{}
		earliest, held := 0, []string{}
		excursion := fmt.Sprint("x", run)
		for step := range rapid.IntRange(1, 14).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"receive", "move", "hold"}).Draw(t, "what") {
			case "receive":
				number, u, from := fmt.Sprintf("L%d-%d", run, step), rapid.IntRange(0, 2).Draw(t, "unit"), rapid.IntRange(1, 50).Draw(t, "from")
				l, err := w.Receive(w.ctx, nurse, lotOf(number), unit(u), hour(from))
				w.must(err)
				ids[number], lots[number] = l.ID, []span{{unit: unit(u), from: from}}
			case "move":
				if len(lots) == 0 {
					continue
				}
				names := make([]string, 0, len(lots))
				for n := range lots {
					names = append(names, n)
				}
				slices.Sort(names)
				number, u := rapid.SampledFrom(names).Draw(t, "lot"), unit(rapid.IntRange(0, 2).Draw(t, "to"))
				spans := lots[number]
				last := &spans[len(spans)-1]
				at := last.from + rapid.IntRange(1, 20).Draw(t, "after")
				err := w.Move(w.ctx, nurse, ids[number], u, hour(at))
				if u == last.unit {
					w.wants(err, coldkeep.ECONFLICT)
					continue
				}
				w.must(err)
				last.to = at
				lots[number] = append(spans, span{unit: u, from: at})
			case "hold":
				since := rapid.IntRange(1, 60).Draw(t, "since")
				if earliest == 0 || since < earliest {
					earliest = since
				}
				h, err := w.Hold(w.ctx, collector, coldkeep.HoldRequest{ID: fmt.Sprintf("h%d-%d", run, step%2), Excursion: excursion, Appliance: unit(0), Since: hour(since)})
				w.must(err)
				got := numbers(h)
				for _, n := range held {
					if !slices.Contains(got, n) {
						t.Fatalf("%s was held and is not any more", n)
					}
				}
			}
			if earliest == 0 {
				continue
			}
			want := slices.Clone(held)
			for n, spans := range lots {
				if !slices.Contains(held, n) && slices.ContainsFunc(spans, func(s span) bool { return s.unit == unit(0) && (s.to == 0 || s.to > earliest) }) {
					want = append(want, n)
				}
			}
			slices.Sort(want)
			kept, err := w.store.HoldByExcursion(w.ctx, excursion)
			w.must(err)
			if !kept.Since.Equal(hour(earliest)) {
				t.Fatalf("since %s, want %s", kept.Since.Format(time.RFC3339), hour(earliest).Format(time.RFC3339))
			}
			all, err := w.store.HoldLotsOf(w.ctx, kept.ID)
			w.must(err)
			got := []string{}
			for _, hl := range all {
				l, err := w.store.Lot(w.ctx, hl.Lot)
				w.must(err)
				got = append(got, l.Number)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("held %v, want %v", got, want)
			}
			held = got
		}
	})
}
