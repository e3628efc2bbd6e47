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

// Component is the name under which the tables' versions are counted.
const Component = "ledger"

// Migrations are the steps that make the tables.
func Migrations() fs.FS { return database.Steps(migrations) }

// Ledger is the book. Its methods may be called from several goroutines.
type Ledger struct {
	db    *database.DB
	fence func(ctx context.Context, tx *sql.Tx, sites map[coldkeep.SiteID]int64) error // nil: nobody else writes

	mu      sync.Mutex
	changed chan struct{} // closed when the feed grows, then replaced
}

// Open brings the tables up to date in db, which the caller closes.
func Open(ctx context.Context, db *database.DB) (*Ledger, error) {
	if err := db.Migrate(ctx, Component, Migrations()); err != nil {
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

// Event is a record that is not a reading.
type Event struct {
	Seq    int64
	Record wire.Record
}

// Ranges returns which seqs of an epoch are dealt with.
func (l *Ledger) Ranges(ctx context.Context, e Epoch) (Ranges, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT from_seq, to_seq FROM seq_range
		WHERE site = $1 AND agent = $2 AND epoch = $3 ORDER BY from_seq`, e.Site, e.Agent, e.Epoch)
	return scanRows(rows, err, "ledger.Ranges", func(r *[2]int64) []any { return []any{&r[0], &r[1]} })
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func markUnlogged(ctx context.Context, tx *sql.Tx, s coldkeep.Series, from int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO unlogged (site, agent, probe, from_at, gen) VALUES ($1, $2, $3, $4, 1)
		ON CONFLICT (site, agent, probe, from_at) DO UPDATE SET gen = unlogged.gen + 1`, s.Site, s.Agent, s.Probe, from)
	return err
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
