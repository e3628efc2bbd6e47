package main

import (
	"context"
	"fmt"
	"io"

	"github.com/coldkeep/coldkeep/internal/database"
)

// planned are the statements that the size of the registry bears on, as the store has
// them.
var planned = []struct{ what, text string }{
	{"records that share a key", `SELECT p.id, p.profile FROM patients p WHERE p.id IN (SELECT k.patient FROM patient_keys k WHERE k.key IN ($1, $2, $3))`},
	{"the gate of a record", `SELECT p.id FROM patients q JOIN patients p ON p.head = q.head WHERE q.id = $1`},
	{"entries of a record", `SELECT n, family FROM patient_names WHERE patient = $1`},
	{"doses of a person", `SELECT id, given FROM doses WHERE patient IN ($1, $2) ORDER BY given, id`},
	{"a record by its number", `SELECT patient FROM patient_identifiers WHERE value = $1 AND kind = $2`},
}

// plans prints how the engine goes about them.
func plans(ctx context.Context, w io.Writer, db *database.DB) error {
	fmt.Fprintln(w, "plans:")
	for _, p := range planned {
		fmt.Fprintf(w, "  %s\n", p.what)
		if err := plan(ctx, w, db, p.text); err != nil {
			return err
		}
	}
	return nil
}

func plan(ctx context.Context, w io.Writer, db *database.DB, text string) error {
	// The parameters need values, also to be explained.
	args := []any{}
	for _, c := range []byte(text) {
		if c == '$' {
			args = append(args, "0")
		}
	}
	head, columns := "EXPLAIN QUERY PLAN ", 4
	if db.Postgres() {
		head, columns = "EXPLAIN (COSTS OFF) ", 1
	}
	rows, err := db.QueryContext(ctx, head+text, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var line string
		into := make([]any, columns)
		for i := range into {
			into[i] = new(any)
		}
		into[columns-1] = &line
		if err := rows.Scan(into...); err != nil {
			return err
		}
		fmt.Fprintf(w, "      %s\n", line)
	}
	return rows.Err()
}
