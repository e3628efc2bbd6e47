package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/internal/backup"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

func TestSimulatedRegistryIsBackedUpAndRestored(t *testing.T) {
	t.Setenv("COLDKEEP_REGISTRY_DATABASE", "")
	dir := t.TempDir()
	file := filepath.Join(dir, "all.backup")
	if code, out, errs := program(t, "simulate", "registry", "--patients", "300", "--data", filepath.Join(dir, "a")); code != exitDone || out != "" || !strings.Contains(errs, "300 patients") {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	code, out, errs := program(t, "backup", "--data", filepath.Join(dir, "a"), file)
	var s backup.Summary
	if code != exitDone || json.Unmarshal([]byte(out), &s) != nil || s.Rows < 3000 || s.Databases[0] != "registry" {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	if code, _, _ := program(t, "backup", "--data", filepath.Join(dir, "a"), file); code != exitFail {
		t.Errorf("written over: %d", code)
	}
	if code, again, errs := program(t, "restore", "--check", file); code != exitDone || again != out {
		t.Errorf("checked: %d %q %q", code, again, errs)
	}
	if code, again, errs := program(t, "restore", "--data", filepath.Join(dir, "b"), file); code != exitDone || again != out {
		t.Fatalf("restored: %d %q %q", code, again, errs)
	}
	info, err := os.Stat(filepath.Join(dir, "b", "registry.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "b", "*restoring*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if code, _, errs := program(t, "restore", "--data", filepath.Join(dir, "b"), file); code != exitFail || !strings.Contains(errs, "exists") {
		t.Errorf("over files that are there: %d %q", code, errs)
	}
	// The restored registry gives the same backup.
	second := filepath.Join(dir, "second.backup")
	if code, again, errs := program(t, "backup", "--data", filepath.Join(dir, "b"), second); code != exitDone || !strings.Contains(again, `"rows":`) {
		t.Errorf("%d %q %q", code, again, errs)
	}
	t.Run("postgres", func(t *testing.T) {
		url := databasetest.Postgres(t)
		if code, _, errs := program(t, "restore", "--database", url, file); code != exitDone {
			t.Fatalf("%d %q", code, errs)
		}
		third := filepath.Join(dir, "third.backup")
		code, out, errs := program(t, "backup", "--database", url, third)
		var p backup.Summary
		if code != exitDone || json.Unmarshal([]byte(out), &p) != nil || p.Rows != s.Rows {
			t.Errorf("%d %q %q", code, out, errs)
		}
	})
}

func TestBackupOfNothingIsRefused(t *testing.T) {
	t.Setenv("COLDKEEP_REGISTRY_DATABASE", "")
	t.Setenv("COLDKEEP_COLLECTOR_DATABASE", "")
	dir := t.TempDir()
	if code, _, errs := program(t, "backup", "--data", dir, filepath.Join(dir, "x")); code != exitUsage || !strings.Contains(errs, "no database") {
		t.Errorf("%d %q", code, errs)
	}
}

func TestSimulateAsLinesIsTheSameEachTime(t *testing.T) {
	lines := func(workers string) string {
		code, out, errs := program(t, "simulate", "registry", "--patients", "50", "--today", "2026-09-01", "--seed", "9", "--json", "--workers", workers)
		if code != exitDone || strings.Count(out, "\n") != 50 {
			t.Fatalf("%d %d lines %q", code, strings.Count(out, "\n"), errs)
		}
		return out
	}
	if lines("1") != lines("4") {
		t.Error("the lines depend on the workers")
	}
}
