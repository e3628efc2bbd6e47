package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/api"
	"github.com/coldkeep/coldkeep/gateway/lease"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registryclient"
)

// What another collector finds is told to who watches at this one.
func TestOthersFindingsAreLiveHereToo(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		db := databasetest.Open(t, where)
		led, err := ledger.Open(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		c := &collector{db: db, ledger: led, hub: &api.Hub{}, clock: coldkeep.RealClock{}, log: slog.New(slog.DiscardHandler)}
		if c.client, err = registryclient.Open(t.Context(), db, registryclient.Config{BaseURL: "http://127.0.0.1:1", Token: "t", Feed: led, Log: c.log}); err != nil {
			t.Fatal(err)
		}
		// Its manager does not run, so it holds nothing, and all is another's.
		if c.leases, err = lease.Open(t.Context(), db, lease.Config{Holder: "one", Log: c.log}); err != nil {
			t.Fatal(err)
		}
		// What was there before is nothing new.
		if err := led.Tell(t.Context(), c.clock.Now(), []coldkeep.Excursion{{ID: "old", Revision: 1, Site: "north", Appliance: "fridge-0"}}); err != nil {
			t.Fatal(err)
		}
		place, err := led.End(t.Context())
		if err != nil || place != 1 {
			t.Fatal(place, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		events := c.hub.Subscribe(ctx)
		done := make(chan error, 1)
		go func() { done <- c.othersFindings(ctx, place) }()
		if err := led.Tell(t.Context(), c.clock.Now(), []coldkeep.Excursion{{ID: "x", Revision: 1, Site: "north", Appliance: "fridge-1"}}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"excursion", "alert"} {
			if ev := <-events; ev != (coldkeep.LiveEvent{Type: want, Site: "north", Appliance: "fridge-1"}) {
				t.Errorf("%+v, want %s", ev, want)
			}
		}
		cancel()
		if err := <-done; err == nil {
			t.Error("it ended without the context")
		}
	})
}
