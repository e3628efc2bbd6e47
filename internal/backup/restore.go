package backup

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// valuesTogether is how many values of rows are gathered before they are inserted.
const valuesTogether = 100_000

// Restore reads a backup into databases without tables: each is brought to the versions
// that it was at, filled in one transaction, counted, and brought up to date. The backup is
// checked as a whole before anything is written. EINVALID as Check says, and when the
// backup has a database for which no part is given; ECONFLICT when a database has tables.
// After an error a database of PostgreSQL is left without tables; a file of SQLite is the
// caller's to remove.
func Restore(ctx context.Context, path string, parts []Part, known Components, progress func(done, all int64)) (Contents, error) {
	c, err := Check(ctx, path, known)
	if err != nil {
		return c, err
	}
	r := &restorer{ctx: ctx, known: known, parts: map[string]*database.DB{}, progress: progress, all: c.Rows}
	for _, p := range parts {
		r.parts[p.Name] = p.DB
	}
	for _, name := range c.Databases {
		db := r.parts[name]
		if db == nil {
			return c, coldkeep.Errorf(coldkeep.EINVALID, "the backup has the database %q: say where it goes", name)
		}
		if have, versions, err := tables(ctx, db, db.Postgres()); err != nil {
			return c, err
		} else if len(have) > 0 || len(versions) > 0 {
			return c, coldkeep.Errorf(coldkeep.ECONFLICT, "the database for %q has tables already: a backup is restored into an empty one", name)
		}
	}
	for _, name := range c.Databases {
		if err := r.database(path, name); err != nil {
			return c, errors.Join(err, r.clear(name))
		}
	}
	for _, name := range c.Databases {
		for component := range c.Versions[name] {
			if err := r.parts[name].Migrate(ctx, component, known[component]); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

type restorer struct {
	ctx      context.Context //nolint:containedctx // it lives as long as one call
	known    Components
	parts    map[string]*database.DB
	progress func(done, all int64)
	done     int64
	all      int64
}

// database fills one database.
func (r *restorer) database(path, name string) error {
	db := r.parts[name]
	var loader *database.Loader
	var into line
	var columns []string
	var waiting []any
	var fill func(*database.Loader) error
	rows := map[string]int64{}
	flush := func() error {
		err := loader.Insert(r.ctx, into.Table, columns, waiting)
		waiting = waiting[:0]
		if r.progress != nil {
			r.progress(r.done, r.all)
		}
		return err
	}
	at := ""
	ours := func() bool { return at == name }
	visit := visitor{
		database: func(l line) error { at = l.Database; return nil },
		table: func(l line) error {
			into, columns = l, l.Columns
			return nil
		},
		row: func(b []byte) error {
			if !ours() {
				return nil
			}
			var ok bool
			if waiting, ok = values(b, into.Kinds, waiting); !ok {
				return coldkeep.Errorf(coldkeep.EINVALID, "a row of table %s is not readable", into.Table)
			}
			rows[into.Table]++
			if r.done++; len(waiting) < valuesTogether {
				return nil
			}
			return flush()
		},
		end: func(line) error {
			if !ours() {
				return nil
			}
			return flush()
		},
	}
	fill = func(l *database.Loader) error {
		loader = l
		restoreKeys, err := r.prepare(l, db)
		if err != nil {
			return err
		}
		if err := read(path, visit); err != nil {
			return err
		}
		for table, want := range rows {
			if n, err := number(r.ctx, l.Tx, `SELECT COUNT(*) FROM `+quote(table)); err != nil {
				return err
			} else if n != want {
				return coldkeep.Errorf(coldkeep.EINTERNAL, "table %s has %d rows after the restore, the backup %d", table, n, want)
			}
		}
		return restoreKeys()
	}
	c, err := versionsOf(path, name)
	if err != nil {
		return err
	}
	for component, version := range c {
		if err := db.MigrateTo(r.ctx, component, r.known[component], version); err != nil {
			return err
		}
	}
	return db.Load(r.ctx, fill)
}

func versionsOf(path, name string) (versions map[string]int64, err error) {
	stop := errors.New("found")
	err = read(path, visitor{row: func([]byte) error { return nil }, database: func(l line) error {
		if l.Database == name {
			versions = l.Versions
			return stop
		}
		return nil
	}})
	if errors.Is(err, stop) {
		err = nil
	}
	return versions, err
}

// prepare empties the tables of what the migrations have put there, and takes the foreign
// keys off for the load: tables come in the order of their names. The function that it
// returns puts them back, which checks them.
func (r *restorer) prepare(l *database.Loader, db *database.DB) (restore func() error, err error) {
	exec := func(q string) error {
		_, err := l.Tx.ExecContext(r.ctx, q)
		return failed(err)
	}
	restore = func() error { return nil }
	if db.Postgres() {
		keys, err := pairs(r.ctx, l.Tx, `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
			format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
			FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace ORDER BY conname, conrelid`)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if err := exec(k[0]); err != nil {
				return nil, err
			}
		}
		restore = func() error {
			for _, k := range keys {
				if err := exec(k[1]); err != nil {
					return err
				}
			}
			return nil
		}
	} else if err := exec(`PRAGMA defer_foreign_keys = ON`); err != nil { // until the commit
		return nil, err
	}
	have, _, err := tables(r.ctx, l.Tx, db.Postgres())
	if err != nil {
		return nil, err
	}
	for _, t := range have {
		if err := exec(`DELETE FROM ` + quote(t.name)); err != nil {
			return nil, err
		}
	}
	return restore, nil
}

// clear takes away what a restore that failed has made, so that it can be tried again.
func (r *restorer) clear(name string) error {
	db := r.parts[name]
	if !db.Postgres() {
		return nil
	}
	ctx := context.WithoutCancel(r.ctx)
	have, versions, err := tables(ctx, db, true)
	if err != nil {
		return err
	}
	names := []string{}
	for _, t := range have {
		names = append(names, t.name)
	}
	for component := range versions {
		names = append(names, component+versionTable)
	}
	if len(names) == 0 {
		return nil
	}
	_, err = db.ExecContext(ctx, `DROP TABLE `+quoteAll(names)+` CASCADE`)
	return failed(err)
}

// latest is the last version that a component's migrations make.
func latest(files fs.FS) (last int64, err error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return 0, coldkeep.Wrap(err, coldkeep.EINTERNAL, "backup.latest", "migrations")
	}
	for _, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, coldkeep.Wrap(err, coldkeep.EINTERNAL, "backup.latest", "migration %s", name)
		}
		last = max(last, n)
	}
	return last, nil
}
