// Package database opens the SQL databases of the centre, SQLite or PostgreSQL,
// and brings their tables up to date. One SQL text runs on both engines: $1
// parameters, RETURNING, ON CONFLICT, BIGINT for every integer, times as BIGINT
// milliseconds since 1970-01-01 UTC, BYTEA for bytes.
package database

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
	"github.com/pressly/goose/v3"
	goosedb "github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
	_ "modernc.org/sqlite" // the "sqlite" driver

	"github.com/coldkeep/coldkeep"
)

// DB is an open database of either engine.
type DB struct {
	*sql.DB
	path string // of a SQLite file, "" on PostgreSQL

	// writing is held by the transaction of this process that writes to the SQLite file:
	// those who wait come in turn, and at once, where SQLite would have them try again
	// after pauses of up to a tenth of a second.
	writing chan struct{}

	mu    sync.Mutex
	stmts map[string]*sql.Stmt
}

// Open opens a PostgreSQL database by URL ("postgres://…") or a SQLite file by
// path, which is made with its folder when absent. A database that does not
// answer is EUNAVAILABLE; the message never holds the URL's password.
func Open(ctx context.Context, where string) (*DB, error) {
	if strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://") {
		return openPostgres(ctx, where)
	}
	if scheme, _, ok := strings.Cut(where, "://"); ok {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "database URL %s://…: want postgres://, or the path of a SQLite file", scheme)
	}
	return openSQLite(ctx, where)
}

func openPostgres(ctx context.Context, where string) (*DB, error) {
	name := "PostgreSQL"
	if u, err := url.Parse(where); err == nil {
		name = u.Redacted()
	}
	db, err := sql.Open("pgx", where)
	if err != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "database URL is not readable")
	}
	db.SetMaxOpenConns(16)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close() // nothing was written
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "database.Open", "%s does not answer", name)
	}
	return &DB{DB: db}, nil
}

func openSQLite(ctx context.Context, path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "database.Open", "folder of %s cannot be made", path)
	}
	// synchronous=FULL: with WAL, NORMAL may lose the last commits at a power cut,
	// and an acknowledgement has been sent for them by then. A transaction takes the
	// write lock at its start, so that it never fails half-way for another writer.
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=busy_timeout(20000)&_pragma=foreign_keys(1)&_txlock=immediate"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "database.Open", "SQLite path %s", path)
	}
	db.SetMaxOpenConns(8)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close() // nothing was written
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "database.Open", "SQLite file %s cannot be opened", path)
	}
	return &DB{DB: db, path: path, writing: make(chan struct{}, 1)}, nil
}

// Postgres reports whether the engine is PostgreSQL.
func (db *DB) Postgres() bool { return db.path == "" }

// Migrate brings the tables of one component up to date from the .sql files at
// the root of files. Each component counts its own versions, in the table
// {component}_version, and they only go forward. Several starters may call it at
// once.
func (db *DB) Migrate(ctx context.Context, component string, files fs.FS) error {
	return db.migrate(component, files, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
}

// MigrateTo brings the tables up to a version and no further, as a program of an earlier
// day would have left them.
func (db *DB) MigrateTo(ctx context.Context, component string, files fs.FS, version int64) error {
	return db.migrate(component, files, func(p *goose.Provider) error {
		_, err := p.UpTo(ctx, version)
		return err
	})
}

// Steps gives the files of a package's migrations folder.
func Steps(files fs.FS) fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the name is a valid one
	}
	return sub
}

func (db *DB) migrate(component string, files fs.FS, do func(*goose.Provider) error) error {
	dialect := goosedb.DialectSQLite3
	opts := []goose.ProviderOption{goose.WithSlog(slog.New(slog.DiscardHandler))}
	if db.Postgres() {
		dialect = goosedb.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EINTERNAL, "database.Migrate", "%s", component)
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	} else {
		unlock, err := lockFile(db.path + ".migrating")
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "database.Migrate", "%s cannot be locked", db.path)
		}
		defer unlock()
	}
	store, err := goosedb.NewStore(dialect, component+"_version")
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINTERNAL, "database.Migrate", "%s", component)
	}
	p, err := goose.NewProvider("", db.DB, files, append(opts, goose.WithStore(store))...)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINTERNAL, "database.Migrate", "%s", component)
	}
	if err := do(p); err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "database.Migrate", "tables of %s cannot be brought up to date", component)
	}
	return nil
}

// lockFile takes an exclusive lock that the system lets go of when the process
// dies. goose has none for SQLite.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close() // not locked, nothing written
		return nil, err
	}
	return func() { _ = f.Close() }, nil // closing unlocks
}

// Tx runs do in one transaction and commits it when do returns nil. A transaction
// that PostgreSQL broke off for another's sake is run again, so do must have no
// effect outside of it.
func (db *DB) Tx(ctx context.Context, do func(*sql.Tx) error) error {
	for try := 0; ; try++ {
		err := db.tx(ctx, do)
		var pg *pgconn.PgError
		// 40001 serialization_failure, 40P01 deadlock_detected
		if errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01") && try < 10 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(try+1) * 5 * time.Millisecond):
				continue
			}
		}
		return err
	}
}

func (db *DB) tx(ctx context.Context, do func(*sql.Tx) error) error {
	if db.writing != nil {
		select {
		case db.writing <- struct{}{}:
			defer func() { <-db.writing }()
		case <-ctx.Done():
			return coldkeep.Wrap(ctx.Err(), coldkeep.EUNAVAILABLE, "database.Tx", "no transaction could be begun")
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "database.Tx", "no transaction could be begun")
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "database.Tx", "commit")
	}
	return nil
}

// Millis is a time as the tables keep it.
func Millis(t time.Time) int64 { return t.UnixMilli() }

// NullMillis is a time that may be absent as the tables keep it.
func NullMillis(t *time.Time) sql.NullInt64 {
	if t == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: true}
}

// Time reads a time from the tables, in UTC.
func Time(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// NullTime reads a time that may be absent.
func NullTime(ms sql.NullInt64) *time.Time {
	if !ms.Valid {
		return nil
	}
	t := Time(ms.Int64)
	return &t
}
