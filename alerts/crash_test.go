package alerts_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/feedtest"
)

// However often the process dies, and wherever: every excursion that called for a
// person has one alert, which shows its latest revision; it was decided once that
// it be told; what was decided has arrived.
func TestCrashes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		t.Parallel() // it waits for disks and connections most of the time
		admin := databasetest.Open(t, where)
		if _, err := alerts.Open(t.Context(), admin, config(feedtest.New(), &channel{name: alerts.ChannelWebhook})); err != nil {
			t.Fatal(err)
		}
		checks := 0
		rapid.Check(t, func(r *rapid.T) {
			if checks++; checks > 25 && admin.Postgres() {
				return // every life costs it new connections; the order of steps is the same
			}
			for _, q := range []string{"DELETE FROM alert_attempt", "DELETE FROM alert_delivery", "DELETE FROM alert_decision",
				"DELETE FROM alert", "UPDATE alert_cursor SET n = 0"} {
				if _, err := admin.Exec(q); err != nil {
					r.Fatal(err)
				}
			}
			feed, hook := feedtest.New(), &channel{name: alerts.ChannelWebhook}
			luck := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "luck"), 0))
			hook.failing(func(alerts.Message) (bool, error) { // called one at a time
				if luck.IntN(3) == 0 {
					return true, errors.New("away")
				}
				return false, nil
			})
			want := history(r)
			todo := want.changes
			for len(todo) > 0 {
				n := rapid.IntRange(0, len(todo)).Draw(r, "more")
				feed.Append(todo[:n]...)
				todo = todo[n:]
				crash(r, where, feed, hook, rapid.Int64Range(1, 150).Draw(r, "steps"))
			}
			crash(r, where, feed, hook, 1<<60) // this time it lives until all is done
			want.check(r, admin, hook)
		})
	})
}

func config(feed alerts.Feed, hook alerts.Channel) alerts.Config {
	return alerts.Config{
		Clock: feedtest.NewClock(start), Log: slog.New(slog.DiscardHandler), Feed: feed, Channels: []alerts.Channel{hook},
		OnCall: func(coldkeep.SiteID) coldkeep.OnCall { return coldkeep.OnCall{Webhooks: []string{"hook"}} },
		Retry:  alerts.Retry{Min: time.Microsecond, Max: time.Millisecond},
	}
}

// crash runs a Service on a database of its own until it has looked at its context
// that many times, and then takes both away; or until all is done.
func crash(r *rapid.T, where string, feed *feedtest.Feed, hook alerts.Channel, steps int64) {
	db, err := database.Open(context.Background(), where)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it may have crashed
	s, err := alerts.Open(context.Background(), db, config(feed, hook))
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := feedtest.CrashAfter(context.Background(), steps, func() { go func() { _ = db.Close() }() })
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	tick, limit := time.NewTicker(time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-limit:
			r.Fatal("it does not get done")
		case <-tick.C:
			var n, pending int64
			err := db.QueryRow("SELECT n, (SELECT COUNT(*) FROM alert_delivery WHERE state = 'pending') FROM alert_cursor").Scan(&n, &pending)
			if err == nil && n == feed.Len() && pending == 0 {
				cancel()
				<-done
				return
			}
		}
	}
}

// story is what happens to some excursions, and what is to come of it.
type story struct {
	changes []coldkeep.Change
	latest  map[string]int                     // excursion → revision, of those that called for a person
	told    map[string]int                     // excursion → how often people are to hear
	state   map[string]coldkeep.ExcursionState // as last told
}

func history(r *rapid.T) story {
	st := story{latest: map[string]int{}, told: map[string]int{}, state: map[string]coldkeep.ExcursionState{}}
	revisions := map[string]int{}
	for range rapid.IntRange(1, 12).Draw(r, "changes") {
		if rapid.IntRange(0, 3).Draw(r, "interval") == 0 {
			st.changes = append(st.changes, coldkeep.Change{At: start, Interval: &coldkeep.Interval{Appliance: "fridge-1"}})
			continue
		}
		id := fmt.Sprintf("x%d", rapid.IntRange(1, 3).Draw(r, "excursion"))
		revisions[id]++
		state := rapid.SampledFrom([]coldkeep.ExcursionState{open, open, closed, withdrawn}).Draw(r, "state")
		actions := rapid.SampledFrom([][]coldkeep.Action{{logOnly}, {logOnly, alertToo}}).Draw(r, "actions")
		st.changes = append(st.changes, excursion(id, revisions[id], state, actions...))
		_, known := st.latest[id]
		if !known && (state == withdrawn || len(actions) == 1) {
			continue
		}
		st.latest[id] = revisions[id]
		if st.state[id] != state {
			st.told[id]++
			st.state[id] = state
		}
	}
	return st
}

func (st *story) check(r *rapid.T, db *database.DB, hook *channel) {
	s, err := alerts.Open(context.Background(), db, config(feedtest.New(), hook))
	if err != nil {
		r.Fatal(err)
	}
	list, err := s.Alerts(context.Background(), "", false)
	if err != nil {
		r.Fatal(err)
	}
	if len(list) != len(st.latest) {
		r.Fatalf("%d alerts, want %d", len(list), len(st.latest))
	}
	arrived := map[string]bool{}
	for _, m := range hook.messages() {
		arrived[m.ID] = true
	}
	for _, a := range list {
		x := a.Excursion.ID
		if a.Excursion.Revision != st.latest[x] {
			r.Fatalf("%s shows revision %d, want %d", x, a.Excursion.Revision, st.latest[x])
		}
		deliveries, err := s.Deliveries(context.Background(), a.ID)
		if err != nil {
			r.Fatal(err)
		}
		if len(deliveries) != st.told[x] {
			r.Fatalf("%s was to be told %d times, want %d", x, len(deliveries), st.told[x])
		}
		for i, d := range deliveries {
			last := i == len(deliveries)-1
			if (d.Event == alerts.EventRaised) != (i == 0) || d.Telling != i+1 || last && d.State != "delivered" {
				r.Fatalf("%s: delivery %d is %+v", x, i, d)
			}
			if d.State == "delivered" && !arrived[d.ID] {
				r.Fatalf("%s: delivery %d has not arrived", x, i)
			}
		}
	}
}
