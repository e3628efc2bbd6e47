// Package ledger is the collector's book in SQL, SQLite or PostgreSQL: which
// records of which device are stored, what is quarantined or lost for ever, what
// has yet to be judged, the excursions with all their revisions, and the feed from
// which alerts and the registry client take what they must hear.
package ledger

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"io/fs"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Ledger is the book. Its methods may be called from several goroutines.
type Ledger struct {
	db *database.DB

	mu      sync.Mutex
	changed chan struct{} // closed when the feed grows, then replaced
}

// Open brings the tables up to date in db, which the caller closes.
func Open(ctx context.Context, db *database.DB) (*Ledger, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "ledger", files); err != nil {
		return nil, err
	}
	return &Ledger{db: db, changed: make(chan struct{})}, nil
}

// Ping reports whether the database answers.
func (l *Ledger) Ping(ctx context.Context) error {
	return coldkeep.Wrap(l.db.PingContext(ctx), coldkeep.EUNAVAILABLE, "ledger.Ping", "the collector's database does not answer")
}

// Epoch names one run of numbers of one device.
type Epoch struct {
	Site  coldkeep.SiteID
	Agent coldkeep.AgentID
	Epoch string
}

// Entry is what one batch adds to the book. Its readings are in the readings
// store already.
type Entry struct {
	Epoch
	From, To int64 // seqs dealt with, both included
	Oldest   int64 // lowest seq the device still holds
	Clock    string
	Config   int64
	Events   []Event
	Bad      []wire.BadRecord
	Seals    []Seal
	// Found says that records among From to To had been given up as lost.
	Found bool
	// Touched gives, for each probe with new readings, the time of the earliest, ms.
	Touched map[coldkeep.ProbeID]int64
	// Quarters are the starts of the quarter hours, ms, with new readings by probe.
	Quarters map[coldkeep.ProbeID]map[int64]struct{}
}

// Event is a record that is not a reading.
type Event struct {
	Seq    int64
	Record wire.Record
}

// Ranges returns which seqs of an epoch are dealt with.
func (l *Ledger) Ranges(ctx context.Context, e Epoch) (Ranges, error) {
	return ranges(ctx, l.db.DB, e)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func ranges(ctx context.Context, q querier, e Epoch) (Ranges, error) {
	rows, err := q.QueryContext(ctx, `SELECT from_seq, to_seq FROM seq_range
		WHERE site = $1 AND agent = $2 AND epoch = $3 ORDER BY from_seq`, e.Site, e.Agent, e.Epoch)
	return scanRows(rows, err, "ledger.Ranges", func(r *[2]int64) []any { return []any{&r[0], &r[1]} })
}

// Commit enters batches in one transaction and returns the ranges of each entry's
// epoch after it. A nil error means that they may be acknowledged.
func (l *Ledger) Commit(ctx context.Context, now time.Time, entries []Entry) ([]Ranges, error) {
	out := make([]Ranges, len(entries))
	err := l.db.Tx(ctx, func(tx *sql.Tx) error {
		for i := range entries {
			var err error
			if out[i], err = commit(ctx, tx, now, &entries[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Commit", "%d batches could not be entered", len(entries))
}

func commit(ctx context.Context, tx *sql.Tx, now time.Time, e *Entry) (Ranges, error) {
	at := database.Millis(now)
	old, err := ranges(ctx, tx, e.Epoch)
	if err != nil {
		return nil, err
	}
	set := old.Add(e.From, e.To)
	if e.Found {
		if err := found(ctx, tx, e, at); err != nil {
			return nil, err
		}
	}
	// Below oldest nothing can come any more. What is not there is lost, said so,
	// and the watermark moves on.
	for _, gap := range set.Missing(1, e.Oldest-1) {
		if _, err := tx.ExecContext(ctx, `INSERT INTO lost (site, agent, epoch, from_seq, to_seq, received_at)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`, e.Site, e.Agent, e.Epoch.Epoch, gap[0], gap[1], at); err != nil {
			return nil, err
		}
		set = set.Add(gap[0], gap[1])
	}
	if err := saveRanges(ctx, tx, e.Epoch, old, set); err != nil {
		return nil, err
	}
	if err := saveStamp(ctx, tx, e); err != nil {
		return nil, err
	}
	if err := saveSeals(ctx, tx, now, e); err != nil {
		return nil, err
	}
	for _, ev := range e.Events {
		r := &ev.Record
		if _, err := tx.ExecContext(ctx, `INSERT INTO event (site, agent, epoch, seq, at, probe, event, detail, received_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
			e.Site, e.Agent, e.Epoch.Epoch, ev.Seq, r.At, r.Probe, r.Event, r.Detail, at); err != nil {
			return nil, err
		}
	}
	for _, b := range e.Bad {
		if _, err := tx.ExecContext(ctx, `INSERT INTO quarantine (site, agent, epoch, seq, reason, body, received_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
			e.Site, e.Agent, e.Epoch.Epoch, b.Seq, b.Reason, b.Raw, at); err != nil {
			return nil, err
		}
	}
	for probe, from := range e.Touched {
		if _, err := tx.ExecContext(ctx, `INSERT INTO unjudged (site, agent, probe, from_at, gen) VALUES ($1, $2, $3, $4, 1)
			ON CONFLICT (site, agent, probe) DO UPDATE SET gen = unjudged.gen + 1,
				from_at = CASE WHEN excluded.from_at < unjudged.from_at THEN excluded.from_at ELSE unjudged.from_at END`,
			e.Site, e.Agent, probe, from); err != nil {
			return nil, err
		}
	}
	for probe, quarters := range e.Quarters {
		for from := range quarters {
			if err := markUnlogged(ctx, tx, coldkeep.Series{Site: e.Site, Agent: e.Agent, Probe: probe}, from); err != nil {
				return nil, err
			}
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO agent (site, agent, epoch, online, received_at, status) VALUES ($1, $2, $3, 1, $4, '')
		ON CONFLICT (site, agent) DO UPDATE SET epoch = excluded.epoch, received_at = excluded.received_at`,
		e.Site, e.Agent, e.Epoch.Epoch, at)
	return set, err
}

// found takes the records of an entry off what was given up as lost.
func found(ctx context.Context, tx *sql.Tx, e *Entry, at int64) error {
	was, err := lost(ctx, tx, e.Epoch)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM lost WHERE site = $1 AND agent = $2 AND epoch = $3`, e.Site, e.Agent, e.Epoch.Epoch); err != nil {
		return err
	}
	for _, still := range was.Without(Ranges{{e.From, e.To}}) {
		if _, err := tx.ExecContext(ctx, `INSERT INTO lost (site, agent, epoch, from_seq, to_seq, received_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			e.Site, e.Agent, e.Epoch.Epoch, still[0], still[1], at); err != nil {
			return err
		}
	}
	return nil
}

func saveRanges(ctx context.Context, tx *sql.Tx, e Epoch, old, set Ranges) error {
	keep := make(map[int64]int64, len(set))
	for _, r := range set {
		keep[r[0]] = r[1]
	}
	for _, r := range old {
		if to, ok := keep[r[0]]; ok && to == r[1] {
			delete(keep, r[0])
			continue
		} else if ok {
			continue // updated below
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM seq_range WHERE site = $1 AND agent = $2 AND epoch = $3 AND from_seq = $4`,
			e.Site, e.Agent, e.Epoch, r[0]); err != nil {
			return err
		}
	}
	for from, to := range keep {
		if _, err := tx.ExecContext(ctx, `INSERT INTO seq_range (site, agent, epoch, from_seq, to_seq) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (site, agent, epoch, from_seq) DO UPDATE SET to_seq = excluded.to_seq`,
			e.Site, e.Agent, e.Epoch, from, to); err != nil {
			return err
		}
	}
	return nil
}

// saveStamp keeps clock and cfg of the batch's records, joined to the stamp before
// it when that is the same and ends just there.
func saveStamp(ctx context.Context, tx *sql.Tx, e *Entry) error {
	if e.From > e.To {
		return nil
	}
	res, err := tx.ExecContext(ctx, `UPDATE stamp SET to_seq = $1
		WHERE site = $2 AND agent = $3 AND epoch = $4 AND clock = $5 AND cfg = $6 AND from_seq <= $7 AND to_seq >= $8 AND to_seq < $1`,
		e.To, e.Site, e.Agent, e.Epoch.Epoch, e.Clock, e.Config, e.From, e.From-1)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO stamp (site, agent, epoch, from_seq, to_seq, clock, cfg)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (site, agent, epoch, from_seq) DO UPDATE SET
			to_seq = CASE WHEN excluded.to_seq > stamp.to_seq THEN excluded.to_seq ELSE stamp.to_seq END`,
		e.Site, e.Agent, e.Epoch.Epoch, e.From, e.To, e.Clock, e.Config)
	return err
}

func markUnlogged(ctx context.Context, tx *sql.Tx, s coldkeep.Series, from int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO unlogged (site, agent, probe, from_at, gen) VALUES ($1, $2, $3, $4, 1)
		ON CONFLICT (site, agent, probe, from_at) DO UPDATE SET gen = unlogged.gen + 1`, s.Site, s.Agent, s.Probe, from)
	return err
}

// badPayloadsKept bounds what one broken device can fill.
const badPayloadsKept = 100

// Refuse keeps a payload that could not be read, and forgets the device's oldest
// beyond badPayloadsKept.
func (l *Ledger) Refuse(ctx context.Context, now time.Time, site coldkeep.SiteID, agent coldkeep.AgentID, topic, reason string, body []byte) error {
	err := l.db.Tx(ctx, func(tx *sql.Tx) error {
		var n int64
		if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(n), 0) + 1 FROM bad_payload WHERE site = $1 AND agent = $2`, site, agent).Scan(&n); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO bad_payload (site, agent, n, topic, reason, body, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			site, agent, n, topic, reason, body, database.Millis(now)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM bad_payload WHERE site = $1 AND agent = $2 AND n <= $3`, site, agent, n-badPayloadsKept)
		return err
	})
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Refuse", "payload of %s/%s could not be quarantined", site, agent)
}

// SetStatus keeps an agent's birth or will.
func (l *Ledger) SetStatus(ctx context.Context, now time.Time, site coldkeep.SiteID, agent coldkeep.AgentID, st *wire.Status) error {
	body, err := json.Marshal(st)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINTERNAL, "ledger.SetStatus", "status of %s/%s", site, agent)
	}
	online := 0
	if st.Online {
		online = 1
	}
	_, err = l.db.ExecContext(ctx, `INSERT INTO agent (site, agent, epoch, online, received_at, status) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (site, agent) DO UPDATE SET online = excluded.online, received_at = excluded.received_at, status = excluded.status,
			epoch = CASE WHEN excluded.epoch = '' THEN agent.epoch ELSE excluded.epoch END`,
		site, agent, st.Epoch, online, database.Millis(now), string(body))
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.SetStatus", "status of %s/%s could not be kept", site, agent)
}

// AgentInfo is what the book knows of a device.
type AgentInfo struct {
	Site       coldkeep.SiteID
	Agent      coldkeep.AgentID
	Epoch      string
	Online     bool
	ReceivedAt time.Time
	Status     wire.Status
}

// Agents lists the devices that have ever spoken.
func (l *Ledger) Agents(ctx context.Context) ([]AgentInfo, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT site, agent, epoch, online, received_at, status FROM agent ORDER BY site, agent`)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Agents", "agents")
	}
	defer rows.Close()
	var out []AgentInfo
	for rows.Next() {
		var a AgentInfo
		var online, at int64
		var status string
		if err := rows.Scan(&a.Site, &a.Agent, &a.Epoch, &online, &at, &status); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Agents", "agents")
		}
		a.Online, a.ReceivedAt = online == 1, database.Time(at)
		if status != "" {
			if err := json.Unmarshal([]byte(status), &a.Status); err != nil {
				return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "ledger.Agents", "status of %s/%s", a.Site, a.Agent)
			}
		}
		out = append(out, a)
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "ledger.Agents", "agents")
}

// Lost returns the records of an epoch that were given up, because the device no
// longer had them.
func (l *Ledger) Lost(ctx context.Context, e Epoch) (Ranges, error) { return lost(ctx, l.db.DB, e) }

func lost(ctx context.Context, q querier, e Epoch) (Ranges, error) {
	rows, err := q.QueryContext(ctx, `SELECT from_seq, to_seq FROM lost WHERE site = $1 AND agent = $2 AND epoch = $3 ORDER BY from_seq`, e.Site, e.Agent, e.Epoch)
	return scanRows(rows, err, "ledger.Lost", func(r *[2]int64) []any { return []any{&r[0], &r[1]} })
}

// Refusal is something that came and could not be taken for what it claims to be:
// a record under its Seq, or, with Seq 0, a whole payload.
type Refusal struct {
	Seq    int64
	Reason string
	Body   []byte
}

// Quarantined returns a device's quarantined records by seq.
func (l *Ledger) Quarantined(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) ([]Refusal, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT seq, reason, body FROM quarantine WHERE site = $1 AND agent = $2 ORDER BY epoch, seq`, site, agent)
	return scanRows(rows, err, "ledger.Quarantined", func(r *Refusal) []any { return []any{&r.Seq, &r.Reason, &r.Body} })
}

// Refused returns a device's payloads that could not be read, the oldest first.
func (l *Ledger) Refused(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) ([]Refusal, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT reason, body FROM bad_payload WHERE site = $1 AND agent = $2 ORDER BY n`, site, agent)
	return scanRows(rows, err, "ledger.Refused", func(r *Refusal) []any { return []any{&r.Reason, &r.Body} })
}

// scanRows reads all rows of a query, fields naming where a row's columns go.
func scanRows[T any](rows *sql.Rows, err error, op string, fields func(*T) []any) ([]T, error) {
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, op, "the collector's book cannot be read")
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := rows.Scan(fields(&v)...); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, op, "the collector's book cannot be read")
		}
		out = append(out, v)
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, op, "the collector's book cannot be read")
}
