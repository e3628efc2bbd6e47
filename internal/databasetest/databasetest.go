// Package databasetest gives tests an empty database of each engine.
package databasetest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep/internal/database"
)

// PostgresURL names the variable that holds the URL of a PostgreSQL server whose
// user may create databases. The test command starts one and sets it.
const PostgresURL = "COLDKEEP_TEST_POSTGRES_URL"

// Each runs test on an empty SQLite file and, when there is a server, on an empty
// PostgreSQL database.
func Each(t *testing.T, test func(t *testing.T, where string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite returns the path of a SQLite file to be.
func SQLite(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

// Postgres returns the URL of an empty database, dropped at the test's end. It
// skips the test when there is no server, which in CI is an error.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv(PostgresURL)
	if server == "" {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not set", PostgresURL)
		}
		t.Skipf("no PostgreSQL: %s is not set (the test command in the README sets it)", PostgresURL)
	}
	ctx := context.Background()
	admin, err := database.Open(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	name := "t" + strings.ToLower(ulid.Make().String())
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.ExecContext(ctx, fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name)); err != nil {
			t.Error(err)
		}
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// Open opens a database and closes it at the test's end.
func Open(t testing.TB, where string) *database.DB {
	t.Helper()
	db, err := database.Open(context.Background(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
