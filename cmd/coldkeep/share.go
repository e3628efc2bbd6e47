package main

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/lease"
)

// share takes part in sharing the work among several collectors.
func (c *collector) share(ctx context.Context, name string) (err error) {
	if name == "" {
		return nil
	}
	sites := func() []coldkeep.SiteID {
		var out []coldkeep.SiteID
		for _, s := range c.client.Mirror().Sites {
			out = append(out, s.ID)
		}
		return out
	}
	if c.leases, err = lease.Open(ctx, c.db, lease.Config{Holder: name, Sites: sites, Log: c.log}); err != nil {
		return err
	}
	var mu sync.Mutex
	var round int64 // grows when what is held changes
	var held map[coldkeep.SiteID]lease.Generation
	c.ledger.Guard(func(ctx context.Context, tx *sql.Tx, sites map[coldkeep.SiteID]int64) error {
		var now, then []coldkeep.SiteID // under no certain generation, and under one
		as := map[coldkeep.SiteID]lease.Generation{}
		for s, g := range sites {
			if g == 0 {
				now = append(now, s)
				continue
			}
			then, as[s] = append(then, s), lease.Generation(g)
		}
		if len(now) > 0 {
			if err := c.leases.Fence(ctx, tx, now...); err != nil {
				return err
			}
		}
		if len(then) > 0 {
			return c.leases.FenceAs(ctx, tx, as, then...)
		}
		return nil
	})
	c.ingest.Mine = c.leases.Holds
	c.ingest.Round = func() int64 {
		mu.Lock()
		defer mu.Unlock()
		return round
	}
	c.ingest.Fence = func(ctx context.Context, tx *sql.Tx, at int64, sites []coldkeep.SiteID) error {
		mu.Lock()
		now, as := round, held
		mu.Unlock()
		if at != now {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "the sites of this collector have changed")
		}
		return c.leases.FenceAs(ctx, tx, as, sites...)
	}
	c.judge.SetSites(nil)
	c.leases.OnChange(func(now map[coldkeep.SiteID]lease.Generation) {
		generations := make(map[coldkeep.SiteID]int64, len(now))
		list := []coldkeep.SiteID{}
		for s, g := range now {
			generations[s] = int64(g)
			list = append(list, s)
		}
		c.judge.SetSites(generations)
		mu.Lock() // after the judge: what is entered under the new round it must know of
		round++
		held = now
		mu.Unlock()
		if _, rest := now[lease.Rest]; rest {
			list = nil
		}
		c.source.SetSites(list)
		c.log.Info("sites of this collector", "sites", len(now))
	})
	return nil
}

// The tasks that only one of several collectors does.
const (
	taskAlerts    = "coldkeep:alerts"
	taskEvidence  = "coldkeep:evidence"
	taskRegistry  = "coldkeep:registry"
	taskRetention = "coldkeep:retention"
)

// fence says in a transaction whether a task is still this collector's; nil when it
// shares with no other.
func (c *collector) fence(shared, task string) func(context.Context, *sql.Tx) error {
	if shared == "" {
		return nil
	}
	return func(ctx context.Context, tx *sql.Tx) error { return c.leases.FenceTask(ctx, tx, task) }
}

// leading runs a task that only one of several collectors may do.
func (c *collector) leading(ctx context.Context, task string, run func(context.Context) error) error {
	if c.leases == nil {
		return run(ctx)
	}
	return c.leases.Leader(ctx, task, run)
}

// othersEvery is how often screens look again at other collectors' sites.
const othersEvery = 10 * time.Second

// others has screens at this collector look again at what other collectors do: at once
// for what they find, and now and then for the rest.
func (c *collector) others(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() {
		for (coldkeep.RealClock{}).Sleep(ctx, othersEvery) == nil {
			for _, s := range c.client.Mirror().Sites {
				if !c.leases.Holds(s.ID) {
					c.hub.Publish(coldkeep.LiveEvent{Type: "status", Site: s.ID})
				}
			}
		}
	})
	for ctx.Err() == nil {
		place, err := c.ledger.End(ctx)
		if err == nil {
			err = c.othersFindings(ctx, place)
		}
		c.log.Debug("what other collectors find is not live at present", "error", err)
		_ = coldkeep.RealClock{}.Sleep(ctx, othersEvery) // the loop's condition sees an ended ctx
	}
	wg.Wait()
	return nil
}

// othersFindings tells what others have found after a place in the feed, which all
// share, until an error.
func (c *collector) othersFindings(ctx context.Context, place int64) error {
	const page = 500
	for {
		if err := c.ledger.Wait(ctx, place); err != nil {
			return err
		}
		changes, err := c.ledger.Changes(ctx, place, page)
		if err != nil {
			return err
		}
		for i := range changes {
			place = changes[i].N
			if x := changes[i].Excursion; x != nil && !c.leases.Holds(x.Site) {
				c.hub.Publish(coldkeep.LiveEvent{Type: "excursion", Site: x.Site, Appliance: x.Appliance})
				c.hub.Publish(coldkeep.LiveEvent{Type: "alert", Site: x.Site, Appliance: x.Appliance})
			}
		}
	}
}
