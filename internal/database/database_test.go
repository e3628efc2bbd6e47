package database_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

var migrations = fstest.MapFS{
	"001_first.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE thing (id BIGINT PRIMARY KEY, name TEXT NOT NULL, body BYTEA);\n")},
	"002_second.sql": {Data: []byte("-- +goose Up\nALTER TABLE thing ADD COLUMN at BIGINT;\n")},
}

func TestMigrateFromManyStartersAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		var wg sync.WaitGroup
		for range 4 {
			db := databasetest.Open(t, where)
			wg.Go(func() {
				if err := db.Migrate(t.Context(), "things", migrations); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		db := databasetest.Open(t, where)
		// A second component in the same database counts its own versions.
		other := fstest.MapFS{"001_other.sql": {Data: []byte("-- +goose Up\nCREATE TABLE other (id BIGINT PRIMARY KEY);\n")}}
		if err := db.Migrate(t.Context(), "others", other); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("INSERT INTO thing (at, body, id, name) VALUES ($4, $3, $1, $2)", 1, "a", []byte{0, 1}, 5); err != nil {
			t.Fatal(err)
		}
		var id, at int64
		var body []byte
		if err := db.QueryRow("SELECT id, at, body FROM thing WHERE name = $1", "a").Scan(&id, &at, &body); err != nil {
			t.Fatal(err)
		}
		if id != 1 || at != 5 || string(body) != "\x00\x01" {
			t.Fatalf("got id %d at %d body %q", id, at, body)
		}
	})
}

func TestTxKeepsNothingOfAFailure(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		db := databasetest.Open(t, where)
		if err := db.Migrate(t.Context(), "things", migrations); err != nil {
			t.Fatal(err)
		}
		boom := errors.New("boom")
		err := db.Tx(t.Context(), func(tx *sql.Tx) error {
			if _, err := tx.Exec("INSERT INTO thing (id, name) VALUES (1, 'a')"); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("got %v", err)
		}
		var n int
		if err := db.QueryRow("SELECT COUNT(*) FROM thing").Scan(&n); err != nil || n != 0 {
			t.Fatalf("%d rows, %v", n, err)
		}
	})
}

// Counters taken in concurrent transactions must neither repeat nor be lost: the
// collector's feed depends on it.
func TestTxConcurrentCounters(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		db := databasetest.Open(t, where)
		if err := db.Migrate(t.Context(), "things", migrations); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("INSERT INTO thing (id, name, at) VALUES (1, 'n', 0)"); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					if err := db.Tx(t.Context(), func(tx *sql.Tx) error {
						_, err := tx.Exec("UPDATE thing SET at = at + 1 WHERE id = 1")
						return err
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var at int64
		if err := db.QueryRow("SELECT at FROM thing WHERE id = 1").Scan(&at); err != nil || at != 80 {
			t.Fatalf("at %d, %v", at, err)
		}
	})
}

func TestOpenErrorsNameThePlaceAndNoPassword(t *testing.T) {
	_, err := database.Open(context.Background(), "postgres://someone:hunter2@127.0.0.1:1/none?connect_timeout=2")
	if coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE || strings.Contains(coldkeep.ErrorMessage(err), "hunter2") || !strings.Contains(coldkeep.ErrorMessage(err), "127.0.0.1:1") {
		t.Fatalf("got %v", err)
	}
	_, err = database.Open(context.Background(), "/dev/null/x.db")
	if coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE || !strings.Contains(err.Error(), "/dev/null") {
		t.Fatalf("got %v", err)
	}
}
