package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// LoadTx is what a load of many records at once may do in its transaction: what the
// services do, by the same code.
type LoadTx interface {
	audit.Writer
	InsertSite(ctx context.Context, s coldkeep.Site) error
	InsertPatient(ctx context.Context, p patient.Patient) error
	InsertLock(ctx context.Context, l patient.LockRecord) error
	InsertDose(ctx context.Context, d immunization.Dose) error
}

// Load runs do in one transaction in which plain INSERTs wait and go to the database
// together, which is many times as quick as one after the other. Every other statement
// sees what was inserted before it. Rows must be new: a row that exists fails the load.
func (s *Store) Load(ctx context.Context, do func(LoadTx) error) error {
	bumped := false
	err := s.db.Load(ctx, func(l *database.Loader) error {
		g := &gathered{loader: l, texts: map[string]*insertText{}}
		x := &tx{rows: rows{q: g}}
		if err := do(x); err != nil {
			return err
		}
		bumped = x.bumped
		if err := x.chain(ctx); err != nil {
			return err
		}
		return g.flush(ctx)
	})
	if err == nil && bumped {
		s.tell()
	}
	return err
}

// gathered keeps the rows of INSERTs back until something asks for them.
type gathered struct {
	loader *database.Loader
	texts  map[string]*insertText // by the statement
	tables []*pending             // in the order of their first row
}

// pending are rows of a table that wait.
type pending struct {
	table   string
	columns []string
	key     string
	values  []any
}

// mostPending is how many values of a table wait at most; they are in memory.
const mostPending = 200_000

// insertText is an INSERT of values: for each column of the first row a parameter from 1,
// or 0 and a literal. plain is false for any other statement.
type insertText struct {
	plain  bool
	into   *pending
	params []int
	fixed  []any
	rows   int
}

func (g *gathered) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	t, ok := g.texts[query]
	if !ok {
		t = g.parse(query)
		g.texts[query] = t
	}
	if !t.plain {
		if err := g.flush(ctx); err != nil {
			return nil, err
		}
		return g.loader.Tx.ExecContext(ctx, query, args...)
	}
	for i, p := range t.params {
		if p == 0 {
			t.into.values = append(t.into.values, t.fixed[i])
		} else {
			t.into.values = append(t.into.values, args[p-1])
		}
	}
	if len(t.into.values) >= mostPending {
		if err := g.flush(ctx); err != nil {
			return nil, err
		}
	}
	return driver.RowsAffected(t.rows), nil
}

func (g *gathered) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := g.flush(ctx); err != nil {
		return nil, err
	}
	return g.loader.Tx.QueryContext(ctx, query, args...)
}

func (g *gathered) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := g.flush(ctx); err != nil {
		// A row carries no error of ours: the transaction is broken, and says so itself.
		return g.loader.Tx.QueryRowContext(ctx, query, args...)
	}
	return g.loader.Tx.QueryRowContext(ctx, query, args...)
}

// flush sends the rows that wait, in the order in which the tables were first used, which
// is that of their references.
func (g *gathered) flush(ctx context.Context) error {
	for _, p := range g.tables {
		if err := g.loader.Insert(ctx, p.table, p.columns, p.values); err != nil {
			return err
		}
		p.values = p.values[:0]
	}
	return nil
}

// parse reads "INSERT INTO table (columns) VALUES (…), (…)" with parameters, texts and
// whole numbers for values. What may stand behind (ON CONFLICT) does not matter for new
// rows, unless it asks for an answer. Anything else is not plain.
func (g *gathered) parse(query string) *insertText {
	t := &insertText{}
	head, values, ok := strings.Cut(query, "VALUES")
	rest, isInsert := strings.CutPrefix(strings.TrimSpace(head), "INSERT INTO ")
	if !ok || !isInsert || strings.Contains(values, "RETURNING") {
		return t
	}
	table, list, ok := strings.Cut(rest, "(")
	list, ok2 := strings.CutSuffix(strings.TrimSpace(list), ")")
	if !ok || !ok2 {
		return t
	}
	table = strings.TrimSpace(table)
	var columns []string
	for c := range strings.SplitSeq(list, ",") {
		columns = append(columns, strings.TrimSpace(c))
	}
	values, _, _ = strings.Cut(values, " ON CONFLICT")
	for values = strings.TrimSpace(values); values != ""; t.rows++ {
		row, after, _ := strings.Cut(strings.TrimLeft(values, ", \n\t"), ")")
		row, ok := strings.CutPrefix(row, "(")
		if !ok {
			return t
		}
		n := 0
		for v := range strings.SplitSeq(row, ",") {
			param, fixed, ok := value(strings.TrimSpace(v))
			if !ok {
				return t
			}
			t.params, t.fixed = append(t.params, param), append(t.fixed, fixed)
			n++
		}
		if n != len(columns) {
			return t
		}
		values = strings.TrimSpace(after)
	}
	t.into, t.plain = g.pending(table, columns), t.rows > 0
	return t
}

// value reads a parameter, or a literal.
func value(s string) (param int, fixed any, ok bool) {
	if n, isParam := strings.CutPrefix(s, "$"); isParam {
		param, ok = wholeNumber(n)
		return param, nil, ok && param > 0
	}
	if s == "NULL" {
		return 0, nil, true
	}
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' && !strings.ContainsRune(s[1:len(s)-1], '\'') {
		return 0, s[1 : len(s)-1], true
	}
	n, ok := wholeNumber(s)
	return 0, int64(n), ok
}

func wholeNumber(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || i > 8 {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, s != ""
}

func (g *gathered) pending(table string, columns []string) *pending {
	key := table + " " + strings.Join(columns, ",")
	for _, p := range g.tables {
		if p.key == key {
			return p
		}
	}
	p := &pending{table: table, columns: columns, key: key}
	g.tables = append(g.tables, p)
	return p
}
