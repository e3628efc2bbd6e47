package lease

import (
	"context"
	"database/sql"
	"slices"

	"github.com/coldkeep/coldkeep"
)

// Fence is called first in a transaction that commits something for sites. It
// returns ECONFLICT when one of them is not held here any more, and the
// transaction must then be given up, with nothing acknowledged. While the
// transaction is open nobody else can take these sites; on PostgreSQL the server
// ends it when it is left idle for half a TTL, so that a process that froze in the
// middle does not keep the others out.
func (m *Manager) Fence(ctx context.Context, tx *sql.Tx, sites ...coldkeep.SiteID) error {
	return m.fence(ctx, tx, sites, nil)
}

// FenceAs is Fence for work that began under certain generations, as OnChange told
// them: a site that was lost and taken back since is ECONFLICT too.
func (m *Manager) FenceAs(ctx context.Context, tx *sql.Tx, held map[coldkeep.SiteID]Generation, sites ...coldkeep.SiteID) error {
	if held == nil {
		held = map[coldkeep.SiteID]Generation{}
	}
	return m.fence(ctx, tx, sites, held)
}

func (m *Manager) fence(ctx context.Context, tx *sql.Tx, sites []coldkeep.SiteID, held map[coldkeep.SiteID]Generation) error {
	if len(sites) == 0 {
		return nil
	}
	names := make([]string, len(sites))
	for i, s := range sites {
		if !siteSyntax.MatchString(string(s)) {
			return coldkeep.Errorf(coldkeep.EINVALID, "site %q: no lease can be had", s)
		}
		names[i] = string(s)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	rows, err := m.lock(ctx, tx, names)
	if err != nil {
		return err
	}
	var rest []string
	for _, name := range names {
		l, ok := rows[name]
		if !ok {
			rest = append(rest, name)
			continue
		}
		if err := m.mine(name, name, l, held); err != nil {
			return err
		}
	}
	if len(rest) == 0 {
		return nil
	}
	// A site without a lease of its own is Rest's, for as long as it has none: who adds
	// one locks Rest against us.
	all, err := m.lock(ctx, tx, []string{string(Rest)})
	if err != nil {
		return err
	}
	if err := m.mine(string(Rest), rest[0], all[string(Rest)], held); err != nil {
		return err
	}
	if rows, err = m.lock(ctx, tx, rest); err != nil {
		return err
	}
	for name := range rows {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "site %s has got a lease of its own", name)
	}
	return nil
}

// mine checks that the row of a lease says what we believe.
func (m *Manager) mine(name, site string, l lease, held map[coldkeep.SiteID]Generation) error {
	var g Generation
	var ok bool
	if held != nil {
		g, ok = held[coldkeep.SiteID(name)]
	} else {
		m.mu.Lock()
		g, ok = m.own[name]
		m.mu.Unlock()
	}
	if !ok || l.holder != m.cfg.Holder || l.generation != g {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "%s is not held here any more", site)
	}
	return nil
}

// FenceTask is Fence for a task that Leader runs.
func (m *Manager) FenceTask(ctx context.Context, tx *sql.Tx, task string) error {
	rows, err := m.lock(ctx, tx, []string{task})
	if err != nil {
		return err
	}
	return m.mine(task, task, rows[task], nil)
}
