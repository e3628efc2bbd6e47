package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
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

// UnjudgedOf returns what waits of some series.
func (l *Ledger) UnjudgedOf(ctx context.Context, series []coldkeep.Series) ([]Unjudged, error) {
	var out []Unjudged
	for _, s := range series {
		u := Unjudged{Series: s}
		err := l.db.QueryRowContext(ctx, `SELECT from_at, gen FROM unjudged WHERE site = $1 AND agent = $2 AND probe = $3`,
			s.Site, s.Agent, s.Probe).Scan(&u.From, &u.Gen)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.UnjudgedOf", "series %s", s)
		}
		out = append(out, u)
	}
	return out, nil
}

// Track is an appliance, judged by one set of rules.
type Track struct {
	Appliance coldkeep.ApplianceID
	Rules     string
}

// Checkpoint is a judge's state after all samples up to At.
type Checkpoint struct {
	At      int64  // ms
	History string // fingerprint of what was known of the appliance's past up to At
	State   []byte
}

// Checkpoint returns the latest checkpoint of a track with At below before (ms) and a
// history that fits, nil when there is none.
func (l *Ledger) Checkpoint(ctx context.Context, t Track, before int64, fits func(at int64, history string) bool) (*Checkpoint, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT at, history FROM appliance_checkpoint WHERE appliance = $1 AND rules = $2 AND at < $3 ORDER BY at DESC`,
		t.Appliance, t.Rules, before)
	list, err := scanRows(rows, err, "ledger.Checkpoint", func(c *Checkpoint) []any { return []any{&c.At, &c.History} })
	if err != nil {
		return nil, err
	}
	for i := range list {
		c := &list[i]
		if !fits(c.At, c.History) {
			continue
		}
		err := l.db.QueryRowContext(ctx, `SELECT state FROM appliance_checkpoint WHERE appliance = $1 AND rules = $2 AND at = $3`,
			t.Appliance, t.Rules, c.At).Scan(&c.State)
		return c, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Checkpoint", "appliance %s", t.Appliance)
	}
	return nil, nil
}

// Judged is an excursion as the book has it, with the event time at which its
// latest revision was made.
type Judged struct {
	coldkeep.Excursion
	JudgedAt int64 // ms
}

// Excursions returns the excursions of an appliance that are not withdrawn and are
// open or ended after a time (ms), by start.
func (l *Ledger) Excursions(ctx context.Context, a coldkeep.ApplianceID, endAfter int64) ([]Judged, error) {
	return l.excursions(ctx, `appliance = $1 AND state <> 'withdrawn' AND (end_at IS NULL OR end_at > $2) ORDER BY start_at, id`, a, endAfter)
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

// Quarter is a quarter hour of a series' log.
type Quarter struct {
	coldkeep.Series
	From int64 // ms
}

// Judgement is what judging one appliance gave.
type Judgement struct {
	Track
	Site        coldkeep.SiteID
	Generation  int64        // of the site's lease under which it was made, 0 without leases
	Rewound     int64        // checkpoints at or after this time (ms) are void; math.MaxInt64 for none
	Checkpoints []Checkpoint // new ones
	Revised     []Judged     // new revisions of excursions, complete
	Quarters    []Quarter    // those whose log has changed beside those of new readings
}

// SaveJudgements enters judgements, feeds the revisions to those who wait for them,
// and takes what they have dealt with off the unjudged unless more came meanwhile.
func (l *Ledger) SaveJudgements(ctx context.Context, now time.Time, us []Unjudged, js []Judgement) error {
	fed := false
	err := l.db.Tx(ctx, func(tx *sql.Tx) error {
		sites := map[coldkeep.SiteID]int64{}
		for i := range js {
			sites[js[i].Site] = js[i].Generation
		}
		for i := range us {
			if _, ok := sites[us[i].Site]; !ok {
				sites[us[i].Site] = 0
			}
		}
		if err := l.guard(ctx, tx, sites); err != nil {
			return err
		}
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
		for _, u := range us {
			if _, err := tx.ExecContext(ctx, `DELETE FROM unjudged WHERE site = $1 AND agent = $2 AND probe = $3 AND gen = $4`, u.Site, u.Agent, u.Probe, u.Gen); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.SaveJudgements", "%d judgements", len(js))
	}
	if fed {
		l.wake()
	}
	return nil
}

// Guard has every later transaction of the judge ask f first whether the sites it
// writes about are still held, under the generation of the lease that is given where
// it is not 0; an error leaves everything as it was. Call it before the ledger is in
// use.
func (l *Ledger) Guard(f func(ctx context.Context, tx *sql.Tx, sites map[coldkeep.SiteID]int64) error) {
	l.fence = f
}

func (l *Ledger) guard(ctx context.Context, tx *sql.Tx, sites map[coldkeep.SiteID]int64) error {
	if l.fence == nil || len(sites) == 0 {
		return nil
	}
	return l.fence(ctx, tx, sites)
}

// Tell feeds findings about devices, which belong to no appliance, to those who wait
// for them.
func (l *Ledger) Tell(ctx context.Context, now time.Time, xs []coldkeep.Excursion) error {
	err := l.db.Tx(ctx, func(tx *sql.Tx) error {
		changes := make([]coldkeep.Change, len(xs))
		for i := range xs {
			changes[i].Excursion = &xs[i]
		}
		return appendFeed(ctx, tx, now, changes)
	})
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Tell", "%d findings", len(xs))
	}
	l.wake()
	return nil
}

// EventsBetween returns a device's events in [from, to), by time.
func (l *Ledger) EventsBetween(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID, from, to time.Time) ([]Event, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT seq, at, probe, event, detail FROM event
		WHERE site = $1 AND agent = $2 AND at >= $3 AND at < $4 ORDER BY at, seq`, site, agent, database.Millis(from), database.Millis(to))
	return scanRows(rows, err, "ledger.EventsBetween", func(e *Event) []any {
		return []any{&e.Seq, &e.Record.At, &e.Record.Probe, &e.Record.Event, &e.Record.Detail}
	})
}

func saveJudgement(ctx context.Context, tx *sql.Tx, j *Judgement) error {
	if j.Rewound != math.MaxInt64 {
		// Of any rules: an old one would be resumed if its rules came back.
		if _, err := tx.ExecContext(ctx, `DELETE FROM appliance_checkpoint WHERE appliance = $1 AND at >= $2`, j.Appliance, j.Rewound); err != nil {
			return err
		}
	}
	for _, c := range j.Checkpoints {
		if _, err := tx.ExecContext(ctx, `INSERT INTO appliance_checkpoint (appliance, rules, at, history, state) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (appliance, rules, at) DO UPDATE SET history = excluded.history, state = excluded.state`,
			j.Appliance, j.Rules, c.At, c.History, string(c.State)); err != nil {
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
		if err := markUnlogged(ctx, tx, q.Series, q.From); err != nil {
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

// Unlogged returns up to limit quarter hours that began before a time (ms), of some
// sites or, with nil, of all, by series and time.
func (l *Ledger) Unlogged(ctx context.Context, before int64, sites []coldkeep.SiteID, limit int) ([]Unlogged, error) {
	args, where := []any{before, limit}, ""
	if sites != nil {
		marks := make([]string, len(sites))
		for i, site := range sites {
			args = append(args, site)
			marks[i] = "$" + strconv.Itoa(len(args))
		}
		where = " AND site IN (" + strings.Join(marks, ", ") + ")"
	}
	rows, err := l.db.QueryContext(ctx, `SELECT site, agent, probe, from_at, gen FROM unlogged WHERE from_at < $1`+where+`
		ORDER BY site, agent, probe, from_at LIMIT $2`, args...)
	return scanRows(rows, err, "ledger.Unlogged", func(u *Unlogged) []any { return []any{&u.Site, &u.Agent, &u.Probe, &u.From, &u.Gen} })
}

// SaveIntervals gives every interval that differs from what was told before its
// next revision and feeds it, and takes the quarter hours off the unlogged unless
// they changed again meanwhile.
func (l *Ledger) SaveIntervals(ctx context.Context, now time.Time, done []Unlogged, intervals []coldkeep.Interval) error {
	fed := false
	err := l.db.Tx(ctx, func(tx *sql.Tx) error {
		sites := map[coldkeep.SiteID]int64{}
		for i := range done {
			sites[done[i].Site] = 0
		}
		if err := l.guard(ctx, tx, sites); err != nil {
			return err
		}
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
