package database

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep"
)

// bulkMost is the most rows that one statement of a Bulk carries. Beyond some
// dozens of rows the parser's share has fallen away, and 64 rows of any table stay
// far below the limits of parameters (SQLite 32,766, PostgreSQL 65,535).
const bulkMost = 64

// Bulk is an INSERT of many rows, in statements of 64, 32 … 1 rows: few texts, so
// that each is prepared once a connection and used again.
type Bulk struct {
	columns          int
	sqlite, postgres map[int]string // texts by rows
}

// NewBulk makes the INSERT of rows of some columns. head goes up to VALUES, such as
// "INSERT INTO t (a, b)"; tail is what follows the rows, such as "ON CONFLICT DO
// NOTHING". With DO UPDATE the rows of one Exec must differ in their key:
// PostgreSQL refuses to change a row twice in one statement.
func NewBulk(head string, columns int, tail string) *Bulk {
	b := &Bulk{columns: columns, sqlite: map[int]string{}, postgres: map[int]string{}}
	for rows := 1; rows <= bulkMost; rows *= 2 {
		// SQLite would look up each $1 by its name.
		b.sqlite[rows] = bulkText(head, rows, columns, tail, func(int) string { return "?" })
		b.postgres[rows] = bulkText(head, rows, columns, tail, func(i int) string { return "$" + strconv.Itoa(i+1) })
	}
	return b
}

func bulkText(head string, rows, columns int, tail string, name func(int) string) string {
	var t strings.Builder
	t.WriteString(head + " VALUES ")
	for i := range rows * columns {
		switch {
		case i == 0:
			t.WriteString("(")
		case i%columns == 0:
			t.WriteString("), (")
		default:
			t.WriteString(", ")
		}
		t.WriteString(name(i))
	}
	return t.String() + ") " + tail
}

// Exec inserts rows in a transaction of db; args are the rows' values one after the
// other.
func (b *Bulk) Exec(ctx context.Context, db *DB, tx *sql.Tx, args []any) error {
	texts := b.sqlite
	if db.Postgres() {
		texts = b.postgres
	}
	for rows := bulkMost; len(args) > 0; {
		n := rows * b.columns
		if n > len(args) {
			rows /= 2
			continue
		}
		if err := db.ExecPrepared(ctx, tx, texts[rows], args[:n]...); err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}

// ExecPrepared runs one of a program's fixed statements in a transaction. On SQLite it is
// prepared once a connection; on PostgreSQL the driver does the same by itself. The
// texts are kept until Close: they must be few.
func (db *DB) ExecPrepared(ctx context.Context, tx *sql.Tx, text string, args ...any) error {
	if db.Postgres() {
		_, err := tx.ExecContext(ctx, text, args...)
		return err
	}
	stmt, err := db.prepared(ctx, text)
	if err != nil {
		return err
	}
	_, err = tx.StmtContext(ctx, stmt).ExecContext(ctx, args...) //nolint:sqlclosecheck // the transaction closes it
	return err
}

func (db *DB) prepared(ctx context.Context, text string) (*sql.Stmt, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if stmt, ok := db.stmts[text]; ok {
		return stmt, nil
	}
	stmt, err := db.PrepareContext(ctx, text) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "database.ExecPrepared", "statement could not be prepared")
	}
	if db.stmts == nil {
		db.stmts = map[string]*sql.Stmt{}
	}
	db.stmts[text] = stmt
	return stmt, nil
}
