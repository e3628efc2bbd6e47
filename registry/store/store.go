// Package store keeps the registry in SQL, one text for SQLite and PostgreSQL. It
// implements the stores that the registry's domain packages declare and decides
// nothing itself.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/templog"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Component is the name under which the tables' versions are counted.
const Component = "registry"

// Migrations are the steps that make the tables.
func Migrations() fs.FS { return database.Steps(migrations) }

// Store is the registry's database.
type Store struct {
	rows
	db *database.DB

	mu      sync.Mutex
	changed chan struct{} // closed when a transaction has changed the mirror
}

// Open brings the tables up to date and returns the store. EUNAVAILABLE when the
// database does not answer.
func Open(ctx context.Context, db *database.DB) (*Store, error) {
	if err := db.Migrate(ctx, Component, Migrations()); err != nil {
		return nil, err
	}
	s := &Store{rows: rows{q: db.DB}, db: db, changed: make(chan struct{})}
	if err := s.rekey(ctx); err != nil {
		return nil, err
	}
	return s, s.beginChain(ctx)
}

// MirrorChanged returns a channel that is closed when a transaction of this
// process has changed the mirror.
func (s *Store) MirrorChanged() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Store) tx(ctx context.Context, do func(*tx) error) error {
	bumped := false
	err := s.db.Tx(ctx, func(t *sql.Tx) error {
		x := &tx{rows: rows{q: t}}
		err := do(x)
		bumped = x.bumped
		if err != nil {
			return err
		}
		return x.chain(ctx)
	})
	if err == nil && bumped {
		s.tell()
	}
	return err
}

// tell wakes those who wait for a change of the mirror.
func (s *Store) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Auth is the store as the auth package asks for it.
func (s *Store) Auth() auth.Store { return authStore{s} }

// Enrolment is the store as the enrolment package asks for it.
func (s *Store) Enrolment() enrolment.Store { return enrolmentStore{s} }

type enrolmentStore struct{ *Store }

func (s enrolmentStore) Tx(ctx context.Context, do func(enrolment.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

// Templog is the store as the templog package asks for it.
func (s *Store) Templog() templog.Store { return templogStore{s} }

// Patients is the store as the patient package asks for it.
func (s *Store) Patients() patient.Store { return patientStore{s} }

// Inventory is the store as the inventory package asks for it.
func (s *Store) Inventory() inventory.Store { return inventoryStore{s} }

type authStore struct{ *Store }

func (s authStore) Tx(ctx context.Context, do func(auth.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

type templogStore struct{ *Store }

func (s templogStore) Tx(ctx context.Context, do func(templog.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

type inventoryStore struct{ *Store }

func (s inventoryStore) Tx(ctx context.Context, do func(inventory.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

type patientStore struct{ *Store }

func (s patientStore) Tx(ctx context.Context, do func(patient.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

// queryer is a database or a transaction on it.
type queryer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// rows are the reads, in or out of a transaction.
type rows struct{ q queryer }

// tx is a transaction: the reads and the writes.
type tx struct {
	rows
	bumped  bool
	entries []audit.Entry // of the trail, written at its end
}

// scanner is one row.
type scanner interface{ Scan(dest ...any) error }

// list runs a query and reads every row.
func list[T any](ctx context.Context, q queryer, read func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rs, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failed(err)
	}
	defer func() { _ = rs.Close() }() // Err below tells what went wrong
	out := []T{}
	for rs.Next() {
		v, err := read(rs)
		if err != nil {
			return nil, failed(err)
		}
		out = append(out, v)
	}
	return out, failed(rs.Err())
}

// one runs a query for one row; none is ENOTFOUND with the message.
func one[T any](ctx context.Context, q queryer, read func(scanner) (T, error), missing, query string, args ...any) (T, error) {
	v, err := read(q.QueryRowContext(ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return v, coldkeep.Errorf(coldkeep.ENOTFOUND, "%s", missing)
	}
	return v, failed(err)
}

// exec runs a statement that must touch at least one row.
func exec(ctx context.Context, q queryer, missing *coldkeep.Error, query string, args ...any) error {
	res, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return failed(err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return failed(err)
	}
	if n == 0 {
		return missing
	}
	return nil
}

// failed marks an error of the engine. It keeps the cause, by which a broken-off
// transaction is known and run again.
func failed(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "store", "The call was given up.")
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "22021" { // character_not_in_repertoire: NUL, or no UTF-8
		return coldkeep.Wrap(err, coldkeep.EINVALID, "store", "A text holds signs that cannot be kept.")
	}
	return coldkeep.Wrap(err, coldkeep.EINTERNAL, "store", "registry database")
}

// gone is for a row that its transaction has read before: that it is missing is
// our mistake.
var gone = coldkeep.Errorf(coldkeep.EINTERNAL, "a row is gone inside its transaction")

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func text(s scanner) (v string, err error)  { return v, s.Scan(&v) }
func itoa(n int) string                     { return strconv.Itoa(n) }
func number(s scanner) (v int64, err error) { return v, s.Scan(&v) }
func milli(t coldkeep.Temperature) sql.NullInt64 {
	return sql.NullInt64{Int64: int64(t), Valid: t.Known()}
}

func temperature(v sql.NullInt64) coldkeep.Temperature {
	if !v.Valid {
		return coldkeep.NoTemperature
	}
	return coldkeep.Temperature(v.Int64)
}
