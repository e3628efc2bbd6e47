package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

var now = time.UnixMilli(1_767_225_600_000)

func open(t *testing.T, where string) *ledger.Ledger {
	t.Helper()
	led, err := ledger.Open(t.Context(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	return led
}

func agentID(i int) coldkeep.AgentID { return coldkeep.AgentID(fmt.Sprint("a-", i)) }

// A caller who remembers what the book has, and commits many entries at once, leaves
// the same book as one who lets it look, entry by entry.
func TestKnownIsAsGoodAsLooking(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		led := open(t, where)
		run := 0
		rapid.Check(t, func(t *rapid.T) {
			run++
			ctx := context.Background()
			slow := ledger.Epoch{Site: "slow", Agent: "a", Epoch: fmt.Sprint(run)}
			fast := ledger.Epoch{Site: "fast", Agent: "a", Epoch: fmt.Sprint(run)}
			known, err := led.Progress(ctx, fast)
			if err != nil {
				t.Fatal(err)
			}
			for take := range rapid.IntRange(1, 4).Draw(t, "takes") {
				var entries []ledger.Entry
				for i := range rapid.IntRange(1, 5).Draw(t, "entries") {
					label := fmt.Sprint(take, ".", i)
					from := rapid.Int64Range(1, 40).Draw(t, "from"+label)
					e := ledger.Entry{From: from, To: from + rapid.Int64Range(-1, 6).Draw(t, "len"+label), Clock: rapid.SampledFrom([]string{"ntp", "rtc"}).Draw(t, "clock"+label)}
					e.Oldest = rapid.Int64Range(1, from).Draw(t, "oldest"+label)
					e.Epoch = slow
					if _, err := led.Commit(ctx, now, []ledger.Entry{e}); err != nil {
						t.Fatal(err)
					}
					e.Epoch, e.Known = fast, &known
					entries = append(entries, e)
				}
				after, err := led.Commit(ctx, now, entries)
				if err != nil {
					t.Fatal(err)
				}
				known = after[len(after)-1]
				for _, p := range after {
					if fmt.Sprint(p) != fmt.Sprint(known) {
						t.Fatalf("entries of one epoch are answered %+v", after)
					}
				}
			}
			a, err := led.Progress(ctx, slow)
			if err != nil {
				t.Fatal(err)
			}
			b, err := led.Progress(ctx, fast)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(a) != fmt.Sprint(b) || fmt.Sprint(b.Ranges, b.Lost) != fmt.Sprint(known.Ranges, known.Lost) {
				t.Fatalf("looking gives %+v\nknowing   %+v\nanswered  %+v", a, b, known)
			}
			s1, err1 := led.Stamps(ctx, slow)
			s2, err2 := led.Stamps(ctx, fast)
			if err := errors.Join(err1, err2); err != nil || fmt.Sprint(s1) != fmt.Sprint(s2) {
				t.Fatalf("stamps %v and %v, %v", s1, s2, err)
			}
			if over := len(b.Lost.Without(b.Ranges)); over > 0 {
				t.Fatalf("%v is lost and not dealt with", b.Lost.Without(b.Ranges))
			}
		})
	})
}

// A fence that says no leaves the book as it was.
func TestFence(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		led := open(t, where)
		e := ledger.Epoch{Site: "s", Agent: "a", Epoch: "e"}
		no := errors.New("another collector has the site")
		take := &ledger.Take{Entries: []ledger.Entry{{Epoch: e, From: 1, To: 5, Oldest: 1}}, Refused: []ledger.Refused{{Device: ledger.Device{Site: "s", Agent: "a"}}}}
		_, err := led.Enter(t.Context(), now, take, nil, func(ctx context.Context, tx *sql.Tx) error {
			var n int
			return errors.Join(tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM agent`).Scan(&n), no)
		})
		if !errors.Is(err, no) {
			t.Fatal(err)
		}
		if p, err := led.Progress(t.Context(), e); err != nil || p.Ranges != nil {
			t.Fatalf("%+v, %v", p, err)
		}
		if n, err := led.RefusedTotal(t.Context(), "s", "a"); err != nil || n != 0 {
			t.Fatal(n, err)
		}
	})
}

// Of what cannot be read the newest hundred are kept, the rest is counted, and it is
// raised once a day.
func TestRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		led := open(t, where)
		d := ledger.Device{Site: "s", Agent: "a"}
		for day := range 2 {
			for i := range 3 {
				var take ledger.Take
				for k := range 50 {
					r := ledger.Refused{Device: d, Topic: "t", Reason: fmt.Sprint(day, i, k), Body: []byte{0, 0xff}}
					if k == 0 {
						r.Skipped = 1000
					}
					take.Refused = append(take.Refused, r)
				}
				if _, err := led.Enter(t.Context(), now.AddDate(0, 0, day), &take); err != nil {
					t.Fatal(err)
				}
			}
		}
		kept, err := led.Refused(t.Context(), "s", "a")
		if err != nil || len(kept) != 100 || kept[0].Reason != "1 1 0" || kept[99].Reason != "1 2 49" {
			t.Fatalf("%d kept, %v", len(kept), err)
		}
		if n, err := led.RefusedTotal(t.Context(), "s", "a"); err != nil || n != 2*3*1050 {
			t.Fatal(n, err)
		}
		faults, err := led.EvidenceFaults(t.Context(), "s", "a")
		if err != nil || len(faults) != 2 || faults[0].Kind != ledger.FaultPayload || !strings.HasPrefix(faults[0].Subject, "2026-01-01") {
			t.Fatalf("%+v, %v", faults, err)
		}
	})
}

// A take with more rows than a statement carries, in which devices and quarter hours
// come more than once.
func TestLargeTake(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		led := open(t, where)
		const agents = 333
		var take ledger.Take
		for range 2 {
			for i := range agents {
				d := ledger.Device{Site: "s", Agent: agentID(i)}
				take.Entries = append(take.Entries, ledger.Entry{Epoch: ledger.Epoch{Site: d.Site, Agent: d.Agent, Epoch: "e"}, From: 1, To: 3, Oldest: 1})
				take.Statuses = append(take.Statuses, ledger.StatusOf{Device: d})
				take.Unlogged = append(take.Unlogged, ledger.Quarter{From: int64(i)})
			}
		}
		if _, err := led.Enter(t.Context(), now, &take); err != nil {
			t.Fatal(err)
		}
		as, err := led.Agents(t.Context())
		if err != nil || len(as) != agents {
			t.Fatalf("%d devices, %v", len(as), err)
		}
		if n, err := led.Records(t.Context(), "", ""); err != nil || n != 3*agents {
			t.Fatal(n, err)
		}
		if us, err := led.Unlogged(t.Context(), 1<<60, nil, 1000); err != nil || len(us) != agents {
			t.Fatal(len(us), err)
		}
	})
}
