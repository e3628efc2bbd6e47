package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/bench/collector/fleet"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
)

// furnish makes a registry's database with the devices and their units in it, as a
// technician would have by the screens.
func furnish(ctx context.Context, data string, agents int) (err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	db, err := database.Open(ctx, filepath.Join(data, "registry.db"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // everything was committed
	st, err := store.Open(ctx, db)
	if err != nil {
		return err
	}
	accounts, err := auth.New(st.Auth(), coldkeep.RealClock{})
	if err != nil {
		return err
	}
	units := templog.New(st.Templog(), coldkeep.RealClock{})
	by := auth.System("Benchmark")
	if err := units.AddSite(ctx, by, coldkeep.Site{ID: site, Name: "Bench", TimeZone: "UTC"}); err != nil {
		return err
	}
	for i := range agents {
		agent := agentName(i)
		if err := accounts.EnsureDevice(ctx, by, site, agent, password); err != nil {
			return err
		}
		if err := units.AddAppliance(ctx, by, coldkeep.Appliance{ID: appliance(agent), Site: site, Name: "Unit of " + string(agent), Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}); err != nil {
			return err
		}
		if err := units.Assign(ctx, by, coldkeep.Assignment{Series: coldkeep.Series{Site: site, Agent: agent, Probe: fleet.Probe}, Appliance: appliance(agent), From: assigned}); err != nil {
			return err
		}
	}
	return nil
}
