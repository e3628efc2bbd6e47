package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/coldkeep/coldkeep/registry"
)

// The folder that CDC's files are in takes the place of the built-in sets.
func TestCodes(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "codes")
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("the published code sets are not beside the checkout: %v", err)
	}
	var cfg registry.Config
	if err := (&codesFlags{}).load(&cfg, slog.New(slog.DiscardHandler)); err != nil || cfg.Codes != nil {
		t.Fatal(cfg.Codes, err)
	}
	if err := (&codesFlags{Codes: dir}).load(&cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if v, ok := cfg.Codes.CVX("03"); !ok || v.Name == "" {
		t.Errorf("%+v, %v", v, ok)
	}
}
