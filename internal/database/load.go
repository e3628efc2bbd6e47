package database

import (
	"context"
	"database/sql"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/coldkeep/coldkeep"
)

// Loader puts many rows into tables within one transaction, in the quickest way the
// engine has: COPY on PostgreSQL, rows together in prepared statements on SQLite.
type Loader struct {
	Tx *sql.Tx // of the load, for whatever else belongs into it

	db    *DB
	conn  *sql.Conn
	bulks map[string]*Bulk
}

// Load runs do in one transaction and commits it when do returns nil. Unlike Tx it does
// not try again: what is loaded is mostly too much to do twice.
func (db *DB) Load(ctx context.Context, do func(*Loader) error) error {
	if db.writing != nil {
		select {
		case db.writing <- struct{}{}:
			defer func() { <-db.writing }()
		case <-ctx.Done():
			return coldkeep.Wrap(ctx.Err(), coldkeep.EUNAVAILABLE, "database.Load", "no transaction could be begun")
		}
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "database.Load", "no connection")
	}
	defer func() { _ = conn.Close() }() // back to the pool
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "database.Load", "no transaction could be begun")
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := do(&Loader{Tx: tx, db: db, conn: conn, bulks: map[string]*Bulk{}}); err != nil {
		return err
	}
	return coldkeep.Wrap(tx.Commit(), coldkeep.EUNAVAILABLE, "database.Load", "commit")
}

// Insert adds rows to a table; values are the rows' values one after the other, as many
// a row as there are columns.
func (l *Loader) Insert(ctx context.Context, table string, columns []string, values []any) error {
	if len(values) == 0 {
		return nil
	}
	if !l.db.Postgres() {
		head := "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ")"
		b := l.bulks[head]
		if b == nil {
			b = NewBulk(head, len(columns), "")
			l.bulks[head] = b
		}
		return coldkeep.Wrap(b.Exec(ctx, l.db, l.Tx, values), coldkeep.EINTERNAL, "database.Insert", "rows of %s", table)
	}
	err := l.conn.Raw(func(raw any) error {
		c := raw.(*stdlib.Conn).Conn()
		_, err := c.CopyFrom(ctx, pgx.Identifier{table}, columns, &flatRows{values: values, columns: len(columns)})
		return err
	})
	return coldkeep.Wrap(err, coldkeep.EINTERNAL, "database.Insert", "rows of %s", table)
}

// flatRows hands rows that lie one after the other to COPY.
type flatRows struct {
	values  []any
	columns int
	at      int
}

func (f *flatRows) Next() bool {
	f.at += f.columns
	return f.at <= len(f.values)
}

func (f *flatRows) Values() ([]any, error) { return f.values[f.at-f.columns : f.at], nil }
func (f *flatRows) Err() error             { return nil }
