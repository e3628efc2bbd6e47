package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// Unjudged says that readings of a series from a time on were stored and not yet
// judged.
type Unjudged struct {
	coldkeep.Series
	From int64 // ms
	Gen  int64
}

// Unjudged returns the series that wait for the judge.
func (l *Ledger) Unjudged(ctx context.Context) ([]Unjudged, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT site, agent, probe, from_at, gen FROM unjudged`)
	return scanRows(rows, err, "ledger.Unjudged", func(u *Unjudged) []any { return []any{&u.Site, &u.Agent, &u.Probe, &u.From, &u.Gen} })
}

// UnjudgedOf returns what waits of one series; ok is false when nothing does.
func (l *Ledger) UnjudgedOf(ctx context.Context, s coldkeep.Series) (u Unjudged, ok bool, err error) {
	u.Series = s
	err = l.db.QueryRowContext(ctx, `SELECT from_at, gen FROM unjudged WHERE site = $1 AND agent = $2 AND probe = $3`,
		s.Site, s.Agent, s.Probe).Scan(&u.From, &u.Gen)
	if errors.Is(err, sql.ErrNoRows) {
		return u, false, nil
	}
	return u, err == nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.UnjudgedOf", "series %s", s)
}

// Track is one probe's stay in one appliance, judged by one set of rules.
type Track struct {
	coldkeep.Series
	Appliance coldkeep.ApplianceID
	Rules     string // profile reference and unit
}

// Checkpoint is an engine state after all samples up to At.
type Checkpoint struct {
	At    int64
	State []byte
}

// Checkpoint returns the latest checkpoint of a track with At below before (ms),
// nil when there is none.
func (l *Ledger) Checkpoint(ctx context.Context, t Track, before int64) (*Checkpoint, error) {
	c := new(Checkpoint)
	err := l.db.QueryRowContext(ctx, `SELECT at, state FROM checkpoint
		WHERE site = $1 AND agent = $2 AND probe = $3 AND appliance = $4 AND rules = $5 AND at < $6 ORDER BY at DESC LIMIT 1`,
		t.Site, t.Agent, t.Probe, t.Appliance, t.Rules, before).Scan(&c.At, &c.State)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Checkpoint", "series %s", t.Series)
	}
	return c, nil
}

// Judged is an excursion as the book has it, with the event time at which its
// latest revision was made.
type Judged struct {
	coldkeep.Excursion
	JudgedAt int64 // ms
}

// Excursions returns the excursions of a track that are not withdrawn and are open
// or ended after a time (ms), by start.
func (l *Ledger) Excursions(ctx context.Context, t Track, endAfter int64) ([]Judged, error) {
	return l.excursions(ctx, `probe = $1 AND appliance = $2 AND state <> 'withdrawn' AND (end_at IS NULL OR end_at > $3) ORDER BY start_at, id`,
		t.String(), t.Appliance, endAfter)
}

// Excursion returns the latest revision of an excursion; ok is false when there
// is none.
func (l *Ledger) Excursion(ctx context.Context, id string) (j Judged, ok bool, err error) {
	js, err := l.excursions(ctx, `id = $1`, id)
	if err != nil || len(js) == 0 {
		return j, false, err
	}
	return js[0], true, nil
}

// ExcursionsOf returns all excursions of an appliance, withdrawn ones too, whose
// start is in [from, to), latest first.
func (l *Ledger) ExcursionsOf(ctx context.Context, a coldkeep.ApplianceID, from, to time.Time) ([]coldkeep.Excursion, error) {
	js, err := l.excursions(ctx, `appliance = $1 AND start_at >= $2 AND start_at < $3 ORDER BY start_at DESC, id`,
		a, database.Millis(from), database.Millis(to))
	out := make([]coldkeep.Excursion, len(js))
	for i := range js {
		out[i] = js[i].Excursion
	}
	return out, err
}

func (l *Ledger) excursions(ctx context.Context, where string, args ...any) ([]Judged, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT judged_at, body FROM excursion WHERE `+where, args...)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Excursions", "excursions")
	}
	defer rows.Close()
	var out []Judged
	for rows.Next() {
		var j Judged
		var body string
		if err := rows.Scan(&j.JudgedAt, &body); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Excursions", "excursions")
		}
		if err := json.Unmarshal([]byte(body), &j.Excursion); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "ledger.Excursions", "excursions")
		}
		out = append(out, j)
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "ledger.Excursions", "excursions")
}

// Judgement is what judging one track gave.
type Judgement struct {
	Track
	Rewound     int64        // checkpoints at or after this time (ms) are void; math.MaxInt64 for none
	Checkpoints []Checkpoint // new ones
	Revised     []Judged     // new revisions of excursions, complete
	Quarters    []int64      // quarter hours (ms) whose log has changed beside those of new readings
}

// SaveJudgements enters the judgements of one series' tracks, feeds the revisions
// to those who wait for them, and takes the series off the unjudged unless more
// came meanwhile: then more is true.
func (l *Ledger) SaveJudgements(ctx context.Context, now time.Time, u Unjudged, js []Judgement) (more bool, err error) {
	fed := false
	err = l.db.Tx(ctx, func(tx *sql.Tx) error {
		var changes []coldkeep.Change
		for i := range js {
			if err := saveJudgement(ctx, tx, &js[i]); err != nil {
				return err
			}
			for k := range js[i].Revised {
				x := js[i].Revised[k].Excursion
				changes = append(changes, coldkeep.Change{Excursion: &x})
			}
		}
		if err := appendFeed(ctx, tx, now, changes); err != nil {
			return err
		}
		fed = len(changes) > 0
		if u.Gen == 0 {
			return nil
		}
		res, err := tx.ExecContext(ctx, `DELETE FROM unjudged WHERE site = $1 AND agent = $2 AND probe = $3 AND gen = $4`, u.Site, u.Agent, u.Probe, u.Gen)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		more = n == 0
		return err
	})
	if err != nil {
		return false, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.SaveJudgements", "series %s", u.Series)
	}
	if fed {
		l.wake()
	}
	return more, nil
}

func saveJudgement(ctx context.Context, tx *sql.Tx, j *Judgement) error {
	if j.Rewound != math.MaxInt64 {
		if _, err := tx.ExecContext(ctx, `DELETE FROM checkpoint
			WHERE site = $1 AND agent = $2 AND probe = $3 AND appliance = $4 AND rules = $5 AND at >= $6`,
			j.Site, j.Agent, j.Probe, j.Appliance, j.Rules, j.Rewound); err != nil {
			return err
		}
	}
	for _, c := range j.Checkpoints {
		if _, err := tx.ExecContext(ctx, `INSERT INTO checkpoint (site, agent, probe, appliance, rules, at, state)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (site, agent, probe, appliance, rules, at) DO UPDATE SET state = excluded.state`,
			j.Site, j.Agent, j.Probe, j.Appliance, j.Rules, c.At, string(c.State)); err != nil {
			return err
		}
	}
	for i := range j.Revised {
		x := &j.Revised[i]
		body, err := json.Marshal(x.Excursion)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO excursion (id, revision, probe, appliance, start_at, end_at, state, judged_at, body)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, start_at = excluded.start_at, end_at = excluded.end_at,
				state = excluded.state, judged_at = excluded.judged_at, body = excluded.body`,
			x.ID, x.Revision, x.Probe, x.Appliance, database.Millis(x.Start), database.NullMillis(x.End), x.State, x.JudgedAt, string(body)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO excursion_revision (id, revision, body) VALUES ($1, $2, $3)`, x.ID, x.Revision, string(body)); err != nil {
			return err
		}
	}
	for _, q := range j.Quarters {
		if err := markUnlogged(ctx, tx, j.Series, q); err != nil {
			return err
		}
	}
	return nil
}

// Unlogged is a quarter hour of a series whose log has changed.
type Unlogged struct {
	coldkeep.Series
	From int64 // ms
	Gen  int64
}

// Unlogged returns up to limit quarter hours that began before a time (ms), by
// series and time.
func (l *Ledger) Unlogged(ctx context.Context, before int64, limit int) ([]Unlogged, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT site, agent, probe, from_at, gen FROM unlogged WHERE from_at < $1
		ORDER BY site, agent, probe, from_at LIMIT $2`, before, limit)
	return scanRows(rows, err, "ledger.Unlogged", func(u *Unlogged) []any { return []any{&u.Site, &u.Agent, &u.Probe, &u.From, &u.Gen} })
}

// SaveIntervals gives every interval that differs from what was told before its
// next revision and feeds it, and takes the quarter hours off the unlogged unless
// they changed again meanwhile.
func (l *Ledger) SaveIntervals(ctx context.Context, now time.Time, done []Unlogged, intervals []coldkeep.Interval) error {
	fed := false
	err := l.db.Tx(ctx, func(tx *sql.Tx) error {
		var changes []coldkeep.Change
		for i := range intervals {
			in := intervals[i]
			body, err := json.Marshal(in) // with Revision 0: what is compared
			if err != nil {
				return err
			}
			var revision int
			var before string
			err = tx.QueryRowContext(ctx, `SELECT revision, body FROM logged WHERE appliance = $1 AND probe = $2 AND from_at = $3`,
				in.Appliance, in.Probe, database.Millis(in.From)).Scan(&revision, &before)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			if before == string(body) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO logged (appliance, probe, from_at, revision, body) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (appliance, probe, from_at) DO UPDATE SET revision = excluded.revision, body = excluded.body`,
				in.Appliance, in.Probe, database.Millis(in.From), revision+1, string(body)); err != nil {
				return err
			}
			in.Revision = revision + 1
			changes = append(changes, coldkeep.Change{Interval: &in})
		}
		for _, u := range done {
			if _, err := tx.ExecContext(ctx, `DELETE FROM unlogged WHERE site = $1 AND agent = $2 AND probe = $3 AND from_at = $4 AND gen = $5`,
				u.Site, u.Agent, u.Probe, u.From, u.Gen); err != nil {
				return err
			}
		}
		fed = len(changes) > 0
		return appendFeed(ctx, tx, now, changes)
	})
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.SaveIntervals", "%d intervals", len(intervals))
	}
	if fed {
		l.wake()
	}
	return nil
}
