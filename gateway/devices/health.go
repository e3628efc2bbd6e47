package devices

import (
	"context"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// Health tells how the devices of this collector's sites stand, ordered by name.
func (d *Devices) Health() []coldkeep.DeviceHealth {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Clock.Now()
	out := make([]coldkeep.DeviceHealth, 0, len(d.devices))
	for n, v := range d.devices {
		if d.cfg.Holds(n.site) {
			out = append(out, d.health(n, v, d.online(v, now)))
		}
	}
	return sortHealth(out)
}

// Elsewhere tells how the devices of other collectors' sites stood when those last wrote
// it down, some seconds ago, ordered by name. EUNAVAILABLE when the database is away.
func (d *Devices) Elsewhere(ctx context.Context) ([]coldkeep.DeviceHealth, error) {
	sites := map[coldkeep.SiteID]bool{}
	d.mu.Lock()
	for n := range d.devices {
		sites[n.site] = true
	}
	if d.mirror != nil {
		for i := range d.mirror.Sites {
			sites[d.mirror.Sites[i].ID] = true
		}
	}
	d.mu.Unlock()
	var out []coldkeep.DeviceHealth
	for site := range sites {
		if d.cfg.Holds(site) {
			continue
		}
		written, err := d.written(ctx, site)
		if err != nil {
			return nil, err
		}
		since := d.cfg.Clock.Now().Add(-d.cfg.Silence - time.Duration(float64(saveEvery)*d.cfg.Speed))
		d.mu.Lock()
		for n, v := range written {
			out = append(out, d.health(n, v, v.Online && v.heard.After(since)))
		}
		d.mu.Unlock()
	}
	return sortHealth(out), nil
}

func sortHealth(list []coldkeep.DeviceHealth) []coldkeep.DeviceHealth {
	slices.SortFunc(list, func(a, b coldkeep.DeviceHealth) int {
		return compareNames(name{a.Site, a.Agent}, name{b.Site, b.Agent})
	})
	return list
}

// health tells how a device stands. The caller holds d.mu.
func (d *Devices) health(n name, v *device, online bool) coldkeep.DeviceHealth {
	c, ours := d.plan.configs[n]
	h := coldkeep.DeviceHealth{Site: n.site, Agent: n.agent, Online: online, ClockSkewMS: v.clock.skew.Milliseconds(), Clock: v.clock.stamp,
		Config: v.Said, Version: v.Version, Probes: append([]coldkeep.ProbeID{}, v.Probes...), Unassigned: []coldkeep.ProbeID{}, Faults: []string{}}
	if !v.heard.IsZero() {
		at := v.heard
		h.LastHeard = &at
	}
	if v.body != "" {
		h.WantConfig = v.revision
	}
	for _, p := range v.Probes {
		if !slices.ContainsFunc(c.Probes, func(pc wire.ProbeConfig) bool { return pc.Probe == p }) {
			h.Unassigned = append(h.Unassigned, p)
		}
	}
	for _, f := range v.faults {
		h.Faults = append(h.Faults, f.Reason)
	}
	slices.Sort(h.Faults)
	h.Faults = append(h.Faults, d.plan.wrong[n]...)
	if v.Refuses != "" {
		h.Faults = append(h.Faults, "the device refuses its configuration: "+v.Refuses)
	}
	if !ours && d.derived {
		h.Faults = append(h.Faults, "the registry does not have this device")
	}
	return h
}
