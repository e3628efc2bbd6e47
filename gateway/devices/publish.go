package devices

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
)

// change is a decision on a device's configuration that is not in the book yet.
type change struct {
	name
	body     string
	above    int64 // the revision has to be higher
	revision int64 // as the book has it then
}

// decide compares the plan with what each device was last told, and enters what is
// new. Until there is a plan nothing is taken from anybody.
func (d *Devices) decide(ctx context.Context) error {
	changes := d.undecided()
	if len(changes) == 0 {
		return nil
	}
	at := database.Millis(d.cfg.Clock.Now())
	err := d.db.Tx(ctx, func(tx *sql.Tx) error {
		for i := range changes {
			c := &changes[i]
			if err := tx.QueryRowContext(ctx, `INSERT INTO devices_config (site, agent, revision, body, changed_at) VALUES ($1, $2, CAST($3 AS BIGINT) + 1, $4, $5)
				ON CONFLICT (site, agent) DO UPDATE SET
					revision = CASE WHEN devices_config.revision > CAST($3 AS BIGINT) AND devices_config.body = excluded.body THEN devices_config.revision
						WHEN devices_config.revision > CAST($3 AS BIGINT) THEN devices_config.revision + 1
						ELSE CAST($3 AS BIGINT) + 1 END,
					changed_at = CASE WHEN devices_config.body = excluded.body THEN devices_config.changed_at ELSE excluded.changed_at END,
					body = excluded.body
				RETURNING revision`, c.site, c.agent, c.above, c.body, at).Scan(&c.revision); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "devices.decide", "%d configurations cannot be entered", len(changes))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range changes {
		v := d.of(c.name)
		v.revision, v.body, v.owed, v.wait = c.revision, c.body, true, 0
		d.cfg.Log.Info("device's configuration has changed", "site", c.site, "agent", c.agent, "cfg", c.revision, "taken_back", c.body == "")
	}
	return nil
}

// replan brings the plan up to date.
func (d *Devices) replan() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Clock.Now()
	if d.mirror == nil || d.mirror.Revision == 0 || d.derived && (d.plan.until.IsZero() || now.Before(d.plan.until)) {
		return
	}
	before := d.plan.wrong
	d.plan, d.derived = derive(d.mirror, now, d.cfg.Interval), true
	d.plan.bodies = make(map[name]string, len(d.plan.configs))
	for n, c := range d.plan.configs {
		body, _ := json.Marshal(c) // numbers and strings always marshal
		d.plan.bodies[n] = string(body)
	}
	for n, wrong := range d.plan.wrong {
		if slices.Equal(wrong, before[n]) {
			continue // told already
		}
		d.cfg.Log.Error("part of what the registry says cannot be told to a device", "site", n.site, "agent", n.agent, "what", wrong)
	}
}

// undecided returns where the plan differs from the book.
func (d *Devices) undecided() []change {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.derived {
		return nil
	}
	var out []change
	for n, body := range d.plan.bodies {
		if !d.cfg.Holds(n.site) {
			continue
		}
		v := d.of(n)
		todo := change{name: n, body: body}
		// A device that is ahead of the book has had another book's configurations, and
		// refuses what is older than its own.
		if v.Online && v.Birth && v.Said > v.revision && v.Said < maxRevision {
			todo.above = v.Said
		}
		if todo.body != v.body || todo.above > 0 {
			out = append(out, todo)
		}
	}
	for n, v := range d.devices {
		// One of which this book never knew may have a configuration of another book's.
		if _, ours := d.plan.configs[n]; !ours && (v.body != "" || v.revision == 0) && d.cfg.Holds(n.site) {
			out = append(out, change{name: n})
		}
	}
	slices.SortFunc(out, func(a, b change) int { return compareNames(a.name, b.name) })
	return out
}

// publish sends the configurations that are owed, and, now and then, those of
// devices that say another revision. What cannot be sent stays owed.
func (d *Devices) publish(ctx context.Context) {
	type parcel struct {
		v        *device
		revision int64
		payload  []byte
	}
	var parcels []parcel
	now := d.machine()
	d.mu.Lock()
	for _, v := range d.devices {
		stale := v.body != "" && v.Online && v.Birth && v.Said != v.revision && now.Sub(v.sent) >= max(v.wait, answerFirst)
		if v.revision == 0 || !v.owed && !stale || !d.cfg.Holds(v.site) {
			continue
		}
		p := parcel{v: v, revision: v.revision, payload: []byte{}} // empty: what was retained goes
		if v.body != "" {
			var c wire.Config
			if err := json.Unmarshal([]byte(v.body), &c); err != nil {
				d.cfg.Log.Error("kept configuration is not readable", "site", v.site, "agent", v.agent, "error", err)
				v.body, v.owed = "", false // it will differ from the plan
				continue
			}
			c.Revision = v.revision
			p.payload, _ = json.Marshal(c) // it came from JSON
		}
		v.owed = false
		v.sent, v.wait = now, min(max(2*v.wait, answerFirst), answerMost)
		parcels = append(parcels, p)
	}
	d.mu.Unlock()
	slices.SortFunc(parcels, func(a, b parcel) int { return compareNames(a.v.name, b.v.name) })
	for i, p := range parcels {
		if err := d.cfg.Publisher.Publish(ctx, wire.Topic(p.v.site, p.v.agent, wire.LeafConfig), true, p.payload); err == nil {
			continue
		}
		d.mu.Lock() // the broker is away, which others tell of
		for _, p := range parcels[i:] {
			p.v.owed = true
		}
		d.mu.Unlock()
		return
	}
}
