package devices

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

const evidencePlace = "evidence"

// place returns how far Evidence was read; what was raised before the first start is
// not told of any more.
func (d *Devices) place(ctx context.Context) (time.Time, error) {
	now := database.Millis(d.cfg.Clock.Now())
	var at int64
	err := d.db.QueryRowContext(ctx, `INSERT INTO devices_place (name, at) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET at = devices_place.at RETURNING at`, evidencePlace, now).Scan(&at)
	return database.Time(at), coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.Open", "place in the ledger's faults")
}

// known reads of which devices anything is known.
func (d *Devices) known(ctx context.Context) error {
	err := d.each(ctx, `SELECT site, agent FROM devices_config UNION SELECT site, agent FROM devices_seen UNION SELECT site, agent FROM devices_fault WHERE is_open = $1`, 1, func(rows *sql.Rows) error {
		var n name
		if err := rows.Scan(&n.site, &n.agent); err != nil {
			return err
		}
		d.of(n)
		return nil
	})
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.Open", "the known devices cannot be read")
}

// written reads how the devices of a site stood when that was last written down.
func (d *Devices) written(ctx context.Context, site coldkeep.SiteID) (map[name]*device, error) {
	fresh := map[name]*device{}
	of := func(s, a string) *device {
		n := name{coldkeep.SiteID(s), coldkeep.AgentID(a)}
		if fresh[n] == nil {
			fresh[n] = &device{name: n, faults: map[string]*fault{}}
		}
		return fresh[n]
	}
	err := d.each(ctx, `SELECT site, agent, revision, body FROM devices_config WHERE site = $1`, site, func(rows *sql.Rows) error {
		var s, a, body string
		var revision int64
		if err := rows.Scan(&s, &a, &revision, &body); err != nil {
			return err
		}
		v := of(s, a)
		v.revision, v.body, v.owed = revision, body, true
		return nil
	})
	if err == nil {
		err = d.each(ctx, `SELECT site, agent, heard_at, body FROM devices_seen WHERE site = $1`, site, func(rows *sql.Rows) error {
			var s, a, body string
			var heard int64
			if err := rows.Scan(&s, &a, &heard, &body); err != nil {
				return err
			}
			v := of(s, a)
			if heard > 0 {
				v.heard = database.Time(heard)
			}
			if err := json.Unmarshal([]byte(body), &v.seen); err != nil {
				return err
			}
			v.clock.stamp, v.clock.skew = v.Stamp, time.Duration(v.SkewMS)*time.Millisecond
			return nil
		})
	}
	if err == nil {
		err = d.each(ctx, `SELECT site, agent, kind, last_at, body FROM devices_fault WHERE is_open = 1 AND site = $1`, site, func(rows *sql.Rows) error {
			var s, a, body string
			var last int64
			var f fault
			if err := rows.Scan(&s, &a, &f.kind, &last, &body); err != nil {
				return err
			}
			f.last = database.Time(last)
			if err := json.Unmarshal([]byte(body), &f.Excursion); err != nil {
				return err
			}
			of(s, a).faults[f.kind] = &f
			return nil
		})
	}
	return fresh, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.load", "what is known of the devices of %s cannot be read", site)
}

// load takes up how the devices of a site stood when that was last written down.
func (d *Devices) load(ctx context.Context, site coldkeep.SiteID) error {
	fresh, err := d.written(ctx, site)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for n, v := range d.devices {
		if n.site == site && fresh[n] == nil {
			clear(v.faults) // another collector has closed them
		}
	}
	for n, v := range fresh {
		// What came meanwhile is newer than what another collector wrote down.
		if old := d.devices[n]; old != nil && old.heard.After(v.heard) {
			v.seen, v.heard, v.gone, v.clock, v.dirty = old.seen, old.heard, old.gone, old.clock, true
		}
		d.devices[n] = v
	}
	return nil
}

// each calls scan for each row of a query with one argument.
func (d *Devices) each(ctx context.Context, query string, arg any, scan func(*sql.Rows) error) error {
	rows, err := d.db.QueryContext(ctx, query, arg)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// save writes down what has been seen since the last time.
func (d *Devices) save(ctx context.Context) error {
	type line struct {
		name
		heard int64
		body  []byte
	}
	var lines []line
	d.mu.Lock()
	for n, v := range d.devices {
		if !v.dirty || !d.cfg.Holds(n.site) {
			continue
		}
		v.Stamp, v.SkewMS = v.clock.stamp, v.clock.skew.Milliseconds()
		l := line{name: n}
		if !v.heard.IsZero() {
			l.heard = database.Millis(v.heard)
		}
		l.body, _ = json.Marshal(v.seen) // words and numbers always marshal
		lines = append(lines, l)
		v.dirty = false
	}
	d.mu.Unlock()
	slices.SortFunc(lines, func(a, b line) int { return compareNames(a.name, b.name) }) // two collectors take locks in one order
	for page := range slices.Chunk(lines, savePage) {
		err := d.db.Tx(ctx, func(tx *sql.Tx) error {
			for _, l := range page {
				if _, err := tx.ExecContext(ctx, `INSERT INTO devices_seen (site, agent, heard_at, body) VALUES ($1, $2, $3, $4)
					ON CONFLICT (site, agent) DO UPDATE SET heard_at = excluded.heard_at, body = excluded.body`, l.site, l.agent, l.heard, string(l.body)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			d.mu.Lock()
			for _, l := range lines {
				d.of(l.name).dirty = true // some for nothing
			}
			d.mu.Unlock()
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.save", "what was heard of %d devices cannot be written down", len(lines))
		}
	}
	_, err := d.db.ExecContext(ctx, `UPDATE devices_place SET at = $2 WHERE name = $1 AND at < $2`, evidencePlace, database.Millis(d.read))
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.save", "place in the ledger's faults cannot be written down")
}

// savePage bounds a transaction, so that readings do not wait long for it.
const savePage = 100

// lastOf is when a fault of a kind was last seen of a device, open or not; the zero
// time is never.
func (d *Devices) lastOf(ctx context.Context, n name, kind string) (time.Time, error) {
	var last sql.NullInt64
	err := d.db.QueryRowContext(ctx, `SELECT MAX(last_at) FROM devices_fault WHERE site = $1 AND agent = $2 AND kind = $3`, n.site, n.agent, kind).Scan(&last)
	if err != nil || !last.Valid {
		return time.Time{}, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.found", "faults of %s cannot be read", n)
	}
	return database.Time(last.Int64), nil
}

// touch notes when an open fault was seen.
func (d *Devices) touch(ctx context.Context, id string, at time.Time) error {
	_, err := d.db.ExecContext(ctx, `UPDATE devices_fault SET last_at = $2 WHERE id = $1 AND last_at < $2`, id, database.Millis(at))
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.found", "fault %s cannot be entered", id)
}

// tellPage bounds what is told at once.
const tellPage = 200

// toTell returns what has not been told, in order.
func (d *Devices) toTell(ctx context.Context) ([]coldkeep.Excursion, error) {
	var out []coldkeep.Excursion
	err := d.each(ctx, `SELECT site, body FROM devices_tell WHERE revision >= $1 ORDER BY at, id, revision`, 0, func(rows *sql.Rows) error {
		var site coldkeep.SiteID
		var body string
		if err := rows.Scan(&site, &body); err != nil {
			return err
		}
		if !d.cfg.Holds(site) {
			return nil
		}
		var x coldkeep.Excursion
		if err := json.Unmarshal([]byte(body), &x); err != nil {
			return err
		}
		out = append(out, x)
		return nil
	})
	return out, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.tell", "what is to be told cannot be read")
}

// told takes off the list what was told.
func (d *Devices) told(ctx context.Context, list []coldkeep.Excursion) error {
	err := d.db.Tx(ctx, func(tx *sql.Tx) error {
		for i := range list {
			if _, err := tx.ExecContext(ctx, `DELETE FROM devices_tell WHERE id = $1 AND revision = $2`, list[i].ID, list[i].Revision); err != nil {
				return err
			}
		}
		return nil
	})
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.tell", "%d faults were told and cannot be taken off the list", len(list))
}
