package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/store"
)

// verify --audit answers by its exit code, and what it said is the anchor of the next one.
func TestVerifyAudit(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	db, err := database.Open(ctx, filepath.Join(dir, "registry.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // everything was committed
	st, err := store.Open(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := st.Record(ctx, audit.Entry{At: time.Now(), WhoID: "w", Who: "W", What: "patient.view", Subject: "patient/1"}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(code int, whole bool, args ...string) string {
		t.Helper()
		got, out, said := program(t, append([]string{"verify", "--audit", "--data", dir}, args...)...)
		all := strings.Split(strings.TrimSpace(out), "\n")
		var sum auditLine
		if err := json.Unmarshal([]byte(all[len(all)-1]), &sum); got != code || err != nil || sum.Kind != "summary" || sum.Whole != whole || len(sum.Heads) != audit.Lanes || (len(all) == 1) != whole {
			t.Fatalf("%q ends with %d, %v:\n%s%s", args, got, err, out, said)
		}
		if whole != strings.Contains(said, "whole: ") {
			t.Errorf("said %q", said)
		}
		return out
	}
	anchor := filepath.Join(t.TempDir(), "anchor.jsonl")
	if err := os.WriteFile(anchor, []byte(check(exitDone, true)), 0o600); err != nil {
		t.Fatal(err)
	}
	check(exitDone, true, "--anchor", anchor)
	if _, err := db.ExecContext(ctx, `DELETE FROM audit WHERE seq > 1`); err != nil {
		t.Fatal(err)
	}
	check(exitNo, false)
	if _, err := db.ExecContext(ctx, `UPDATE audit_heads SET seq = 1, hash = (SELECT hash FROM audit a WHERE a.lane = audit_heads.lane AND a.seq = 1) WHERE seq > 0`); err != nil {
		t.Fatal(err)
	}
	check(exitDone, true)
	check(exitNo, false, "--anchor", anchor)
	// A registry's log holds anchors as well, and an older one is not outdone by a newer.
	var old, now auditLine
	b, err := os.ReadFile(anchor)
	if err == nil {
		err = errors.Join(json.Unmarshal(b, &old), json.Unmarshal([]byte(check(exitDone, true)), &now))
	}
	log := filepath.Join(t.TempDir(), "registry.log")
	said := "time=x level=INFO msg=started\ntime=x level=INFO msg=\"registry: the audit\" anchor=" + audit.Anchor(old.Heads) + "\n" + `{"level":"INFO","anchor":"` + audit.Anchor(now.Heads) + `"}` + "\n"
	if err := errors.Join(err, os.WriteFile(log, []byte(said), 0o600)); err != nil {
		t.Fatal(err)
	}
	check(exitNo, false, "--anchor", log)
	for _, args := range [][]string{{"--site", "lakeside"}, {"--anchor", filepath.Join(dir, "none")}, {"--anchor", filepath.Join(dir, "registry.db")}} {
		if code, _, said := program(t, append([]string{"verify", "--audit", "--data", dir}, args...)...); code != exitUsage {
			t.Errorf("%q: %d, %s", args, code, said)
		}
	}
	if code, _, _ := program(t, "verify", "--audit", "--data", t.TempDir()); code != exitUsage {
		t.Errorf("no registry: %d", code)
	}
	if code, _, _ := program(t, "verify", "--anchor", anchor); code != exitUsage {
		t.Errorf("an anchor without the audit: %d", code)
	}
}
