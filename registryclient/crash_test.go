package registryclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/feedtest"
	"github.com/coldkeep/coldkeep/internal/httpfake"
	"github.com/coldkeep/coldkeep/internal/registryfake"
	"github.com/coldkeep/coldkeep/registryclient"
)

// However often the process dies, and wherever, and whatever the registry and the
// network do: every change takes effect at the registry once and in order, but for
// what it refuses, and that is parked.
func TestCrashes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		t.Parallel() // it waits for disks and connections most of the time
		admin := databasetest.Open(t, where)
		if _, err := registryclient.Open(t.Context(), admin, config(feedtest.New(), "http://127.0.0.1:1")); err != nil {
			t.Fatal(err)
		}
		checks := 0
		rapid.Check(t, func(r *rapid.T) {
			if checks++; checks > 25 && admin.Postgres() {
				return // every life costs it new connections; the order of steps is the same
			}
			for _, q := range []string{"DELETE FROM registry_outbox", "DELETE FROM registry_hold", "UPDATE registry_cursor SET n = 0, parcel = 0"} {
				if _, err := admin.Exec(q); err != nil {
					r.Fatal(err)
				}
			}
			registry, err := registryfake.New("", token)
			if err != nil {
				r.Fatal(err)
			}
			defer registry.Close()
			const bad = "interval 7" // the registry refuses it wherever it comes
			registry.Refuse(func(path string, body []byte) string {
				var list []json.RawMessage
				if strings.HasSuffix(path, "/intervals") && json.Unmarshal(body, &list) == nil {
					for _, one := range list {
						if brief(path, one) == bad {
							return "it is wrong"
						}
					}
				}
				return ""
			})
			registry.Choose(chance(rapid.Uint64().Draw(r, "luck")))
			feed := feedtest.New()
			changes, want := history(r)
			for todo := changes; len(todo) > 0; {
				n := rapid.IntRange(0, len(todo)).Draw(r, "more")
				feed.Append(todo[:n]...)
				todo = todo[n:]
				crash(r, where, feed, registry.URL(), rapid.Int64Range(1, 200).Draw(r, "steps"))
			}
			crash(r, where, feed, registry.URL(), 1<<60) // this time it lives until all is done
			refused := 0
			want = slices.DeleteFunc(want, func(s string) bool {
				if s == bad {
					refused++
				}
				return s == bad
			})
			if got := got(registry); !slices.Equal(got, want) {
				r.Fatalf("got  %q\nwant %q", got, want)
			}
			var parked int
			if err := admin.QueryRow("SELECT COUNT(*) FROM registry_outbox").Scan(&parked); err != nil || parked != refused {
				r.Fatalf("%d parked, want %d; %v", parked, refused, err)
			}
		})
	})
}

// chance treats one request in two by a fault.
func chance(seed uint64) func(*http.Request) httpfake.Fault {
	faults := []httpfake.Fault{
		httpfake.Status(500), httpfake.Status(429), httpfake.Status(404), httpfake.Status(401), httpfake.CutBefore,
		httpfake.CutAfter, httpfake.CutAfter, httpfake.LoseAnswer, httpfake.LoseAnswer, httpfake.SignInPage, httpfake.Hang,
	}
	luck := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	return func(*http.Request) httpfake.Fault {
		mu.Lock()
		defer mu.Unlock()
		if luck.IntN(2) == 0 {
			return nil
		}
		return faults[luck.IntN(len(faults))]
	}
}

// crash runs a Client on a database of its own until it has looked at its context
// that many times, and then takes both away; or until all is done.
func crash(r *rapid.T, where string, feed *feedtest.Feed, url string, steps int64) {
	db, err := database.Open(context.Background(), where)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it may have crashed
	cfg := config(feed, url)
	cfg.Source, cfg.Timeout = still{}, 20*time.Millisecond
	cfg.Log = slog.New(slog.DiscardHandler)
	cfg.Retry = registryclient.Retry{Min: 10 * time.Microsecond, Max: 100 * time.Microsecond}
	c, err := registryclient.Open(context.Background(), db, cfg)
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := feedtest.CrashAfter(context.Background(), steps, func() { go func() { _ = db.Close() }() })
	defer cancel()
	over := make(chan struct{})
	go func() { defer close(over); _ = c.Run(ctx) }()
	tick, limit := time.NewTicker(time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-limit:
			r.Fatal("it does not get done")
		case <-tick.C:
			if done(db, feed.Len()) {
				cancel()
				<-over
				return
			}
		}
	}
}

// history is what happens, and what the registry is to hear of it.
func history(r *rapid.T) (changes []coldkeep.Change, want []string) {
	type life struct {
		revision       int
		since          time.Time
		held, released bool
	}
	lives := map[string]*life{}
	for i := range rapid.IntRange(1, 15).Draw(r, "changes") {
		if rapid.Bool().Draw(r, "interval") {
			changes = append(changes, interval(i))
			want = append(want, fmt.Sprintf("interval %d", i))
			continue
		}
		id := fmt.Sprintf("x%d", rapid.IntRange(1, 2).Draw(r, "excursion"))
		l := lives[id]
		if l == nil {
			l = &life{}
			lives[id] = l
		}
		l.revision++
		begin := start.Add(time.Duration(rapid.IntRange(-3, 3).Draw(r, "hour")) * time.Hour)
		state := rapid.SampledFrom([]coldkeep.ExcursionState{open, closed, withdrawn}).Draw(r, "state")
		action := rapid.SampledFrom([]coldkeep.Action{logOnly, hold, hold}).Draw(r, "action")
		changes = append(changes, excursion(id, l.revision, begin, state, action))
		want = append(want, fmt.Sprintf("%s revision %d", id, l.revision))
		wanted := action == hold && state != withdrawn
		if wanted && (!l.held || begin.Before(l.since)) {
			l.since = begin
			want = append(want, "hold-"+id+begin.Format(" 15:04"))
		}
		switch {
		case wanted && l.released:
			l.released = false
			want = append(want, "extend hold-"+id+l.since.Format(" 15:04"))
		case !wanted && l.held && !l.released:
			l.released = true
			want = append(want, "release hold-"+id)
		}
		l.held = l.held || wanted
	}
	return changes, want
}
