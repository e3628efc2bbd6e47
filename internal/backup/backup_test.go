package backup_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/backup"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	// The child comes before its parent in the order of names, and the first migration puts a
	// row in: both are what a restore must live with.
	steps = fstest.MapFS{
		"00001_first.sql": {Data: []byte("-- +goose Up\nCREATE TABLE parent (id TEXT PRIMARY KEY, body BYTEA, n BIGINT, real_value DOUBLE PRECISION);\n" +
			"CREATE TABLE child (id BIGINT PRIMARY KEY, parent TEXT NOT NULL REFERENCES parent (id));\nINSERT INTO parent (id) VALUES ('seeded');\n")},
		"00002_second.sql": {Data: []byte("-- +goose Up\nALTER TABLE parent ADD COLUMN added TEXT NOT NULL DEFAULT 'new';\n")},
	}
	older = fstest.MapFS{"00001_first.sql": steps["00001_first.sql"]}
	known = backup.Components{"things": steps}
)

const odd = "Zoë \"quoted\" \\ back\tslash\n<&> \u2028 'x'"

// filled is a database with rows of every kind.
func filled(t *testing.T, where string, files fstest.MapFS) *database.DB {
	t.Helper()
	db := databasetest.Open(t, where)
	if err := db.Migrate(t.Context(), "things", files); err != nil {
		t.Fatal(err)
	}
	for _, row := range [][]any{
		{odd, []byte{0, 1, 255}, int64(math.MaxInt64), 0.1}, {"none", nil, nil, nil}, {"", []byte{}, int64(math.MinInt64), math.Inf(1)}, {"whole", nil, int64(0), 2.0},
	} {
		if _, err := db.Exec(`INSERT INTO parent (id, body, n, real_value) VALUES ($1, $2, $3, $4)`, row...); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2500 {
		if _, err := db.Exec(`INSERT INTO child (id, parent) VALUES ($1, $2)`, i, odd); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func dump(t *testing.T, db *database.DB) string {
	t.Helper()
	var b strings.Builder
	rows, err := db.Query(`SELECT id, body, n, real_value, added FROM parent ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, added string
		var body []byte
		var n sql.NullInt64
		var r sql.NullFloat64
		if err := rows.Scan(&id, &body, &n, &r, &added); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%q %v %v %v %q\n", id, body, n, r, added)
	}
	var children int
	if err := db.QueryRow(`SELECT COUNT(*) FROM child c JOIN parent p ON p.id = c.parent`).Scan(&children); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&b, children)
	return b.String()
}

func write(t *testing.T, db *database.DB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "all.backup")
	s, err := backup.Write(t.Context(), path, noon, []backup.Part{{Name: "registry", DB: db}}, nil)
	if err != nil || s.Rows != 2505 || s.Tables != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	return path
}

func restore(t *testing.T, path, where string) (*database.DB, error) {
	t.Helper()
	db := databasetest.Open(t, where)
	c, err := backup.Restore(t.Context(), path, []backup.Part{{Name: "registry", DB: db}}, known, func(int64, int64) {})
	if err == nil && (c.Rows != 2505 || c.MadeAt != "2026-03-01T12:00:00Z") {
		t.Errorf("%+v", c)
	}
	return db, err
}

func TestFromEveryEngineToEvery(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, from string) {
		path := write(t, filled(t, from, steps))
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		want := dump(t, databasetest.Open(t, from))
		databasetest.Each(t, func(t *testing.T, to string) {
			db, err := restore(t, path, to)
			if err != nil {
				t.Fatal(err)
			}
			if got := dump(t, db); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			// The references are back, and another restore is refused.
			if _, err := db.Exec(`INSERT INTO child (id, parent) VALUES (9999, 'nobody')`); err == nil {
				t.Error("a child without a parent is let in")
			}
			if _, err := backup.Restore(t.Context(), path, []backup.Part{{Name: "registry", DB: db}}, known, nil); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
				t.Errorf("over a database with tables: %v", err)
			}
		})
	})
}

func TestABackupOfAnEarlierReleaseIsBroughtUpToDate(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		path := write(t, filled(t, databasetest.SQLite(t), older))
		db, err := restore(t, path, where)
		if err != nil {
			t.Fatal(err)
		}
		if got := dump(t, db); strings.Count(got, `"new"`) != 5 {
			t.Error(got)
		}
	})
}

func TestTheBackupIsOfOneMoment(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		db := filled(t, where, steps)
		other := databasetest.Open(t, where)
		wrote := false
		var out bytes.Buffer
		s, err := backup.WriteTo(t.Context(), &out, noon, []backup.Part{{Name: "registry", DB: db}}, func(int64, int64) {
			if !wrote { // while the first table is being read
				wrote = true
				if _, err := other.Exec(`INSERT INTO parent (id) VALUES ('late')`); err != nil {
					t.Error(err)
				}
			}
		})
		if err != nil || !wrote || s.Rows != 2505 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestWhatIsNotABackupIsRefused(t *testing.T) {
	path := write(t, filled(t, databasetest.SQLite(t), steps))
	whole := unzip(t, path)
	lines := strings.SplitAfter(whole, "\n")
	without := func(i int) string { return strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "") }
	for name, text := range map[string]string{
		"cut off":           whole[:len(whole)/2],
		"without its end":   strings.Join(lines[:len(lines)-2], ""),
		"a row less":        without(5),
		"a changed value":   strings.Replace(whole, `"whole"`, `"wholE"`, 1),
		"something behind":  whole + "{}\n",
		"a later form":      strings.Replace(whole, `"format":1`, `"format":2`, 1),
		"unknown component": strings.Replace(whole, `{"things":2}`, `{"others":2}`, 1),
		"a later version":   strings.Replace(whole, `{"things":2}`, `{"things":3}`, 1),
		"something else":    "{}\n",
		"nothing":           "",
	} {
		p := filepath.Join(t.TempDir(), "b")
		zip(t, p, text)
		db := databasetest.Open(t, databasetest.SQLite(t))
		_, err := backup.Restore(t.Context(), p, []backup.Part{{Name: "registry", DB: db}}, known, nil)
		if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "quoted") {
			t.Errorf("%s: the error tells data: %v", name, err)
		}
		var tables int
		if err := db.QueryRow(`SELECT COUNT(*) FROM sqlite_master`).Scan(&tables); err != nil || tables != 0 {
			t.Errorf("%s: left %d tables, %v", name, tables, err)
		}
	}
	if _, err := backup.Check(t.Context(), path, known); err != nil {
		t.Errorf("the whole one: %v", err)
	}
	if err := os.WriteFile(path+"x", []byte("no gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Check(t.Context(), path+"x", known); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("no gzip: %v", err)
	}
}

// A restore that fails half-way leaves nothing in the way of the next.
func TestAFailedRestoreCanBeTriedAgain(t *testing.T) {
	db := filled(t, databasetest.SQLite(t), steps)
	path := write(t, db)
	where := databasetest.Postgres(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	to := databasetest.Open(t, where)
	if _, err := backup.Restore(ctx, path, []backup.Part{{Name: "registry", DB: to}}, known, func(int64, int64) { cancel() }); err == nil {
		t.Fatal("it was given up and says that it is done")
	}
	if _, err := restore(t, path, where); err != nil {
		t.Error(err)
	}
}

func TestAFileIsNeverWrittenOver(t *testing.T) {
	db := filled(t, databasetest.SQLite(t), steps)
	path := write(t, db)
	if _, err := backup.Write(t.Context(), path, noon, []backup.Part{{Name: "registry", DB: db}}, nil); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
		t.Errorf("got %v", err)
	}
	if _, err := db.Exec(`CREATE TABLE strange (id BIGINT PRIMARY KEY, at DATE)`); err != nil {
		t.Fatal(err)
	}
	other := path + "2"
	if _, err := backup.Write(t.Context(), other, noon, []backup.Part{{Name: "registry", DB: db}}, nil); err == nil {
		t.Error("a table that cannot be kept is left out silently")
	}
	if left, _ := filepath.Glob(other + "*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("{\"coldkeep\":\"backup\",\"format\":1}\n{\"database\":\"d\",\"versions\":{}}\n{\"table\":\"t\",\"columns\":[\"a\"],\"kinds\":[\"text\"],\"rows\":1}\n[\"x\"]\n{\"end\":\"t\",\"rows\":1}\n{\"sha256\":\"00\",\"rows\":1}\n")
	f.Fuzz(func(t *testing.T, text string) {
		p := filepath.Join(t.TempDir(), "b")
		zip(t, p, text)
		_, _ = backup.Check(t.Context(), p, known) // it must not break
	})
}

func unzip(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func zip(t *testing.T, path, text string) {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
