package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// This file keeps the book of what may go, and takes out of the book itself what
// nobody needs any more; gateway/retention decides.

// NoteArrived notes how far each epoch has come whose last mark is at least every old
// and which has grown since.
func (l *Ledger) NoteArrived(ctx context.Context, now time.Time, every time.Duration) error {
	_, err := l.db.ExecContext(ctx, `INSERT INTO arrived (site, agent, epoch, at, seq)
		SELECT r.site, r.agent, r.epoch, CAST($1 AS BIGINT), r.to_seq FROM seq_range r WHERE r.from_seq = 1
			AND r.to_seq > COALESCE((SELECT MAX(a.seq) FROM arrived a WHERE a.site = r.site AND a.agent = r.agent AND a.epoch = r.epoch), 0)
			AND NOT EXISTS (SELECT 1 FROM arrived a WHERE a.site = r.site AND a.agent = r.agent AND a.epoch = r.epoch AND a.at > $2)`,
		database.Millis(now), database.Millis(now.Add(-every)))
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.NoteArrived", "what has come cannot be noted")
}

// Arrived returns the highest seq of which a mark made before a time says that it and
// all below it had come, 0 for none.
func (l *Ledger) Arrived(ctx context.Context, e Epoch, before time.Time) (seq int64, err error) {
	err = l.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq), 0) FROM arrived WHERE site = $1 AND agent = $2 AND epoch = $3 AND at < $4`,
		e.Site, e.Agent, e.Epoch, database.Millis(before)).Scan(&seq)
	return seq, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Arrived", "what had come of %s/%s", e.Site, e.Agent)
}

// LetGo is what of a device goes: its readings before a time, all of which are among
// the records up to a seq of each epoch.
type LetGo struct {
	Device
	Before  int64            // ms since 1970-01-01 UTC
	Epochs  map[string]int64 // highest seq that goes
	NotedAt time.Time
}

// NoteLetGo enters that readings go, and takes their events, quarantined records,
// seals but the last, stamps, and the lines of the log of appliances out of the book.
// From now on proofs begin after them, and the judge looks at nothing before them.
func (l *Ledger) NoteLetGo(ctx context.Context, g LetGo, lines []Line, fences ...Fence) error {
	err := l.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, may := range fences {
			if may == nil {
				continue
			}
			if err := may(ctx, tx); err != nil {
				return err
			}
		}
		exec := func(err error, query string, args ...any) error {
			if err == nil {
				_, err = tx.ExecContext(ctx, query, args...)
			}
			return err
		}
		err := exec(nil, `INSERT INTO let_go (site, agent, before, noted_at, gone) VALUES ($1, $2, $3, $4, 0)
			ON CONFLICT (site, agent) DO UPDATE SET before = excluded.before, noted_at = excluded.noted_at, gone = 0`, g.Site, g.Agent, g.Before, database.Millis(g.NotedAt))
		for epoch, seq := range g.Epochs {
			err = exec(err, `INSERT INTO let_go_epoch (site, agent, epoch, seq) VALUES ($1, $2, $3, $4)
				ON CONFLICT (site, agent, epoch) DO UPDATE SET seq = excluded.seq`, g.Site, g.Agent, epoch, seq)
			err = exec(err, `DELETE FROM event WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq <= $4 AND at < $5`, g.Site, g.Agent, epoch, seq, g.Before)
			err = exec(err, `DELETE FROM quarantine WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq <= $4`, g.Site, g.Agent, epoch, seq)
			// The seal of the last record that goes is where the next proof begins.
			err = exec(err, `DELETE FROM seal WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq < $4`, g.Site, g.Agent, epoch, seq)
			err = exec(err, `DELETE FROM stamp WHERE site = $1 AND agent = $2 AND epoch = $3 AND to_seq < $4`, g.Site, g.Agent, epoch, seq)
			err = exec(err, `DELETE FROM arrived WHERE site = $1 AND agent = $2 AND epoch = $3 AND seq < $4`, g.Site, g.Agent, epoch, seq)
		}
		for _, x := range lines {
			err = exec(err, `DELETE FROM logged WHERE appliance = $1 AND probe = $2 AND from_at < $3`, x.Appliance, x.Series.String(), g.Before)
			err = exec(err, `DELETE FROM appliance_checkpoint WHERE appliance = $1 AND at < $2`, x.Appliance, g.Before)
		}
		return err
	})
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.NoteLetGo", "what goes of %s/%s cannot be noted", g.Site, g.Agent)
}

// Line names the log of a series in an appliance.
type Line struct {
	coldkeep.Series
	Appliance coldkeep.ApplianceID
}

// LetGo returns what was let go of a device; a Before of 0 is nothing.
func (l *Ledger) LetGo(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) (LetGo, error) {
	g := LetGo{Device: Device{site, agent}, Epochs: map[string]int64{}}
	var at int64
	err := l.db.QueryRowContext(ctx, `SELECT before, noted_at FROM let_go WHERE site = $1 AND agent = $2`, site, agent).Scan(&g.Before, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return g, nil
	}
	if err != nil {
		return g, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.LetGo", "what was let go of %s/%s", site, agent)
	}
	g.NotedAt = database.Time(at)
	type row struct {
		epoch string
		seq   int64
	}
	rows, err := l.db.QueryContext(ctx, `SELECT epoch, seq FROM let_go_epoch WHERE site = $1 AND agent = $2`, site, agent)
	epochs, err := scanRows(rows, err, "ledger.LetGo", func(r *row) []any { return []any{&r.epoch, &r.seq} })
	for _, r := range epochs {
		g.Epochs[r.epoch] = r.seq
	}
	return g, err
}

// Going lists the devices of which something was let go before a time that is not
// removed yet.
func (l *Ledger) Going(ctx context.Context, notedBefore time.Time) ([]Device, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT site, agent FROM let_go WHERE gone = 0 AND noted_at < $1 ORDER BY site, agent`, database.Millis(notedBefore))
	return scanRows(rows, err, "ledger.Going", func(d *Device) []any { return []any{&d.Site, &d.Agent} })
}

// Gone notes that the readings store has removed what was let go.
func (l *Ledger) Gone(ctx context.Context, g LetGo) error {
	_, err := l.db.ExecContext(ctx, `UPDATE let_go SET gone = 1 WHERE site = $1 AND agent = $2 AND before = $3`, g.Site, g.Agent, g.Before)
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Gone", "what is gone of %s/%s", g.Site, g.Agent)
}

// Horizon is the time (ms) before which readings of any of some series were let go, 0
// for none.
func (l *Ledger) Horizon(ctx context.Context, series []coldkeep.Series) (int64, error) {
	var horizon int64
	asked := map[Device]bool{}
	for _, s := range series {
		d := Device{s.Site, s.Agent}
		if asked[d] {
			continue
		}
		asked[d] = true
		var before int64
		err := l.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(before), 0) FROM let_go WHERE site = $1 AND agent = $2`, d.Site, d.Agent).Scan(&before)
		if err != nil {
			return 0, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Horizon", "what was let go of %s/%s", d.Site, d.Agent)
		}
		horizon = max(horizon, before)
	}
	return horizon, nil
}

// ThinCheckpoints takes away the judge's checkpoints before a time but the first of
// each stretch: going far back happens seldom, and then reads a little more.
func (l *Ledger) ThinCheckpoints(ctx context.Context, before time.Time, stretch time.Duration) error {
	_, err := l.db.ExecContext(ctx, `DELETE FROM appliance_checkpoint WHERE at < $1 AND EXISTS (
		SELECT 1 FROM appliance_checkpoint o WHERE o.appliance = appliance_checkpoint.appliance AND o.rules = appliance_checkpoint.rules
			AND o.at < appliance_checkpoint.at AND o.at / $2 = appliance_checkpoint.at / $2)`, database.Millis(before), stretch.Milliseconds())
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.ThinCheckpoints", "old checkpoints")
}

// TrimFeed takes away the entries of the feed up to a number that are older than a
// time. Everyone who reads it must have passed them.
func (l *Ledger) TrimFeed(ctx context.Context, upTo int64, before time.Time) error {
	_, err := l.db.ExecContext(ctx, `DELETE FROM feed WHERE n <= $1 AND at < $2`, upTo, database.Millis(before))
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.TrimFeed", "old entries of the feed")
}
