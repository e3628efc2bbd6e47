package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/store"
)

// versions are those that the tables have had, from the names of the migrations.
func versions(t *testing.T) (all []int64) {
	t.Helper()
	names, err := fs.Glob(store.Migrations(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		number, _, _ := strings.Cut(n, "_")
		v, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// column is one of a table, as the migrations made it.
type column struct {
	name, kind string
	key        bool   // of the primary key
	refers     string // "table.column" that it must be found in; "" none
}

// schema reads tables and columns from a SQLite database; PostgreSQL has the same, from
// the same migrations.
func schema(t *testing.T, version int64) (order []string, tables map[string][]column) {
	t.Helper()
	db := databasetest.Open(t, databasetest.SQLite(t))
	if err := db.MigrateTo(t.Context(), store.Component, store.Migrations(), version); err != nil {
		t.Fatal(err)
	}
	tables = map[string][]column{}
	rows, err := db.Query(`SELECT m.name, c.name, c.type, c.pk > 0, COALESCE((SELECT f."table" || '.' || COALESCE(f."to", '') FROM pragma_foreign_key_list(m.name) f WHERE f."from" = c.name), '')
		FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '%_version' ORDER BY m.name, c.cid`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		var c column
		if err := rows.Scan(&table, &c.name, &c.kind, &c.key, &c.refers); err != nil {
			t.Fatal(err)
		}
		tables[table] = append(tables[table], c)
	}
	// Parents first.
	for len(order) < len(tables) {
		before := len(order)
		for name, columns := range tables {
			ready := !slices.Contains(order, name)
			for _, c := range columns {
				parent, _, _ := strings.Cut(c.refers, ".")
				ready = ready && (c.refers == "" || parent == name || slices.Contains(order, parent))
			}
			if ready {
				order = append(order, name)
			}
		}
		if len(order) == before {
			t.Fatalf("tables refer to each other in a circle: %v of %d", order, len(tables))
		}
	}
	return order, tables
}

// value is what row n has in a column: texts and numbers that tell where they belong.
func (c *column) value(table string, n int) any {
	switch {
	case c.refers != "":
		parent, key, _ := strings.Cut(c.refers, ".")
		return (&column{name: key, kind: "TEXT"}).value(parent, n)
	case c.kind == "BIGINT":
		return int64(1000 + n)
	case c.kind == "DOUBLE PRECISION":
		return 0.5 + float64(n)
	case c.kind == "BYTEA":
		return []byte{0, byte(n)}
	}
	return fmt.Sprintf("%s %s %d", table, c.name, n)
}

const rowsEach = 3

// A registry of any version goes on with every row that it has: tables of each version
// are made as its release made them, filled, and brought up to date on both engines.
func TestFromEveryVersion(t *testing.T) {
	for _, v := range versions(t) {
		order, tables := schema(t, v)
		t.Run(strconv.FormatInt(v, 10), func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, where string) {
				ctx := t.Context()
				db := databasetest.Open(t, where)
				if err := db.MigrateTo(ctx, store.Component, store.Migrations(), v); err != nil {
					t.Fatal(err)
				}
				for _, table := range order {
					for n := range rowsEach {
						insertRow(t, db, table, tables[table], n)
					}
				}
				if _, err := store.Open(ctx, db); err != nil {
					t.Fatal(err)
				}
				for _, table := range order {
					for n := range rowsEach {
						checkRow(ctx, t, db, table, tables[table], n)
					}
				}
			})
		})
	}
}

func insertRow(t *testing.T, db *database.DB, table string, columns []column, n int) {
	t.Helper()
	var names, marks []string
	var values []any
	for i := range columns {
		names, marks = append(names, columns[i].name), append(marks, "$"+strconv.Itoa(i+1))
		values = append(values, columns[i].value(table, n))
	}
	if _, err := db.Exec(`INSERT INTO `+table+` (`+strings.Join(names, ", ")+`) VALUES (`+strings.Join(marks, ", ")+`)`, values...); err != nil {
		t.Fatalf("%s: %v", table, err)
	}
}

// moved are columns whose values a later migration has given another place or form, with
// why.
var moved = map[string]string{
	"mirror.revision":  "a migration that changes what is mirrored adds one",
	"audit_heads.seq":  "the beginning of the chain over earlier entries adds one",
	"audit_heads.hash": "as seq",
	"audit_heads.turn": "as seq",
}

func checkRow(ctx context.Context, t *testing.T, db *database.DB, table string, columns []column, n int) {
	t.Helper()
	var names, where []string
	var keys, want, got []any
	for i := range columns {
		c := &columns[i]
		v := c.value(table, n)
		if c.key {
			keys = append(keys, v)
			where = append(where, c.name+" = $"+strconv.Itoa(len(keys)))
		}
		if moved[table+"."+c.name] == "" {
			names, want, got = append(names, c.name), append(want, v), append(got, new(any))
		}
	}
	err := db.QueryRowContext(ctx, `SELECT `+strings.Join(names, ", ")+` FROM `+table+` WHERE `+strings.Join(where, " AND "), keys...).Scan(got...)
	if err != nil {
		t.Errorf("row %d of %s: %v", n, table, err)
		return
	}
	for i := range names {
		if have := *got[i].(*any); fmt.Sprint(have) != fmt.Sprint(want[i]) {
			t.Errorf("row %d of %s: %s is %v, was %v", n, table, names[i], have, want[i])
		}
	}
}

// What was released is never changed: a database that has it would not notice.
func TestReleasedMigrationsStand(t *testing.T) {
	for name, want := range map[string]string{
		"00001_registry.sql":  "a63200af3199a856b0f8624b3aee1240ad4d2de3abc728adbc158c5f2d8f3c8f",
		"00002_upkeep.sql":    "f75dda4194fe683f3722186adac03ad3a060a0afe4e381d67edbf887b7c407de",
		"00003_foresight.sql": "0086ac54bbdd3a38cadd5e3e44e84e2d66ba2eaec2b8a148c2d7622ceb5bb81e",
	} {
		b, err := fs.ReadFile(store.Migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has been changed since its release (%s): add a migration instead", name, got)
		}
	}
}
