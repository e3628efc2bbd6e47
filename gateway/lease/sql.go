package lease

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// namesPerStatement keeps a list of names far below both engines' limits of
// parameters.
const namesPerStatement = 500

// clockSQL is the database's own time in ms: the one clock that all collectors
// share, however wrong their own are.
func clockSQL(db *database.DB) string {
	if db.Postgres() {
		return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
	}
	return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)" // 2440587.5 is 1970-01-01
}

// locking adds a row lock where the engine has them. On SQLite a transaction of
// ours has the one write lock from its start.
func (m *Manager) locking(how string) string {
	if m.db.Postgres() {
		return " " + how
	}
	return ""
}

// impatient lets PostgreSQL end a transaction that is left idle by a process that
// froze or lost its network. It is an expression, so that it costs no round trip.
func (m *Manager) impatient() string {
	if !m.db.Postgres() {
		return "''"
	}
	return "set_config('idle_in_transaction_session_timeout', '" + strconv.FormatInt((m.cfg.TTL/2).Milliseconds(), 10) + "', true)"
}

// limit bounds how long one of our own questions may take.
func (m *Manager) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, m.cfg.TTL/3)
}

// beat says that we live.
func (m *Manager) beat(ctx context.Context) error {
	ctx, cancel := m.limit(ctx)
	defer cancel()
	sent := m.cfg.Clock.Now()
	m.mu.Lock()
	first := m.lastBeat.IsZero()
	m.mu.Unlock()
	ttl := m.cfg.TTL.Milliseconds()
	if first {
		// Whoever ran under this name before us is no more, or must be.
		_, err := m.db.ExecContext(ctx, `INSERT INTO lease_member (id, incarnation, expires_at) VALUES ($1, $2, `+m.now+` + $3)
			ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation, expires_at = excluded.expires_at`, m.cfg.Holder, m.incarnation, ttl)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "lease.beat", "%s cannot join", m.cfg.Holder)
		}
	} else {
		// A row that was tidied away while we were cut off comes back; one that has
		// another incarnation is not ours.
		res, err := m.db.ExecContext(ctx, `INSERT INTO lease_member (id, incarnation, expires_at) VALUES ($1, $2, `+m.now+` + $3)
			ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at WHERE lease_member.incarnation = excluded.incarnation`, m.cfg.Holder, m.incarnation, ttl)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "lease.beat", "%s cannot be renewed", m.cfg.Holder)
		}
		if n, err := res.RowsAffected(); err == nil && n == 0 {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "another process has started as collector %q: give each a name of its own", m.cfg.Holder)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastBeat = sent
	if !m.late() { // else the answer took so long that nothing is sure
		m.alive = true
	}
	return nil
}

// look reads members and leases.
func (m *Manager) look(ctx context.Context) (view, error) {
	ctx, cancel := m.limit(ctx)
	defer cancel()
	v := view{expires: map[string]int64{}, leases: map[string]lease{}}
	err := each(ctx, m.db, `SELECT id, expires_at, `+m.now+` FROM lease_member ORDER BY id`, nil, func(rows *sql.Rows) error {
		var id string
		var expires int64
		if err := rows.Scan(&id, &expires, &v.now); err != nil {
			return err
		}
		v.expires[id] = expires
		if expires > v.now {
			v.live = append(v.live, id)
		}
		return nil
	})
	if err == nil {
		err = each(ctx, m.db, `SELECT name, holder, generation FROM lease`, nil, v.scan)
	}
	slices.Sort(v.live) // the database may sort by other rules
	return v, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "lease.look", "leases cannot be read")
}

func (v *view) scan(rows *sql.Rows) error {
	var name string
	var l lease
	if err := rows.Scan(&name, &l.holder, &l.generation); err != nil {
		return err
	}
	v.leases[name] = l
	return nil
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func each(ctx context.Context, q querier, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
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

// list makes "($k,$k+1,…)" and appends the names to args.
func list(args []any, names []string) (string, []any) {
	var b strings.Builder
	for i, name := range names {
		b.WriteByte("(,"[min(i, 1)])
		args = append(args, name)
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(len(args)))
	}
	b.WriteByte(')')
	return b.String(), args
}

// lock reads leases inside a transaction and keeps others from changing them until
// its end. Rows that are not there are left out.
func (m *Manager) lock(ctx context.Context, tx *sql.Tx, names []string) (map[string]lease, error) {
	out := make(map[string]lease, len(names))
	for part := range slices.Chunk(names, namesPerStatement) {
		in, args := list(nil, part)
		err := each(ctx, tx, `SELECT name, holder, generation, `+m.impatient()+` FROM lease WHERE name IN `+in+` ORDER BY name`+m.locking("FOR SHARE"), args, func(rows *sql.Rows) error {
			var name, ignored string
			var l lease
			if err := rows.Scan(&name, &l.holder, &l.generation, &ignored); err != nil {
				return err
			}
			out[name] = l
			return nil
		})
		if err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "lease.Fence", "leases cannot be checked")
		}
	}
	return out, nil
}

// add makes leases for names that have none. It waits for the transactions that
// rely on Rest.
func (m *Manager) add(ctx context.Context, names []string) error {
	slices.Sort(names)
	names = slices.Compact(names)
	ctx, cancel := m.limit(ctx)
	defer cancel()
	err := m.db.Tx(ctx, func(tx *sql.Tx) error {
		var n int64
		var ignored string
		if err := tx.QueryRowContext(ctx, `SELECT generation, `+m.impatient()+` FROM lease WHERE name = '`+string(Rest)+`'`+m.locking("FOR UPDATE")).Scan(&n, &ignored); err != nil {
			return err
		}
		for part := range slices.Chunk(names, namesPerStatement) {
			_, args := list(nil, part)
			values := make([]string, len(part))
			for i := range part {
				values[i] = "($" + strconv.Itoa(i+1) + ", '', 0)"
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO lease (name, holder, generation) VALUES `+strings.Join(values, ", ")+` ON CONFLICT DO NOTHING`, args...); err != nil {
				return err
			}
		}
		return nil
	})
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "lease.add", "%d leases cannot be made", len(names))
}

// seize takes those of names that are free, under new generations. What somebody
// is committing for at this moment is left for later.
func (m *Manager) seize(ctx context.Context, names []string) (map[string]Generation, error) {
	slices.Sort(names)
	got := map[string]Generation{}
	ctx, cancel := m.limit(ctx)
	defer cancel()
	for part := range slices.Chunk(names, namesPerStatement) {
		in, args := list([]any{m.cfg.Holder, m.incarnation}, part)
		// Free is what nobody holds, what a dead member holds, and what we hold
		// without knowing: from an earlier life, or from before a lapse. Who has been
		// replaced under its name takes nothing.
		free := `SELECT l.name FROM lease l WHERE l.name IN ` + in + ` AND (l.holder IN ('', $1)
			OR NOT EXISTS (SELECT 1 FROM lease_member m WHERE m.id = l.holder AND m.expires_at > ` + m.now + `))
			AND EXISTS (SELECT 1 FROM lease_member m WHERE m.id = $1 AND m.incarnation = $2 AND m.expires_at > ` + m.now + `)` +
			m.locking("FOR UPDATE OF l SKIP LOCKED")
		err := each(ctx, m.db, `UPDATE lease SET holder = $1, generation = generation + 1 WHERE name IN (`+free+`) RETURNING name, generation`, args, func(rows *sql.Rows) error {
			var name string
			var g Generation
			if err := rows.Scan(&name, &g); err != nil {
				return err
			}
			got[name] = g
			return nil
		})
		if err != nil {
			return got, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "lease.take", "%d leases cannot be taken", len(part))
		}
	}
	return got, nil
}

// release makes leases of ours free. One that somebody commits for at this moment,
// who should not any more, stays ours until the next round.
func (m *Manager) release(ctx context.Context, names []string) error {
	slices.Sort(names)
	ctx, cancel := m.limit(ctx)
	defer cancel()
	for part := range slices.Chunk(names, namesPerStatement) {
		in, args := list([]any{m.cfg.Holder, m.incarnation}, part)
		ours := `SELECT l.name FROM lease l WHERE l.holder = $1 AND l.name IN ` + in + m.locking("FOR UPDATE SKIP LOCKED")
		err := each(ctx, m.db, `UPDATE lease SET holder = '' WHERE name IN (`+ours+`)
			AND EXISTS (SELECT 1 FROM lease_member m WHERE m.id = $1 AND m.incarnation = $2) RETURNING name`, args, func(rows *sql.Rows) error {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			m.mu.Lock()
			m.drop(name)
			m.mu.Unlock()
			return nil
		})
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "lease.give", "%d leases cannot be given up", len(part))
		}
	}
	return nil
}

// leave gives everything up: what a member holds that is no more is free.
func (m *Manager) leave(ctx context.Context) error {
	ctx, cancel := m.limit(ctx)
	defer cancel()
	_, err := m.db.ExecContext(ctx, `DELETE FROM lease_member WHERE id = $1 AND incarnation = $2`, m.cfg.Holder, m.incarnation)
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "lease.leave", "leases were not given up; they lapse by themselves")
}

// forgetAfter is how long a dead member is remembered. Its leases have long gone.
const forgetAfter = time.Hour

func (m *Manager) tidy(ctx context.Context, v view) error {
	old := false
	for _, at := range v.expires {
		old = old || at < v.now-forgetAfter.Milliseconds()
	}
	if !old {
		return nil
	}
	ctx, cancel := m.limit(ctx)
	defer cancel()
	_, err := m.db.ExecContext(ctx, `DELETE FROM lease_member WHERE expires_at < `+m.now+` - $1`, forgetAfter.Milliseconds())
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "lease.tidy", "dead collectors cannot be forgotten")
}
