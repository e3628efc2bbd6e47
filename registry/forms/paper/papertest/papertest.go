// Package papertest reads what a printed form says, with the tools of poppler.
package papertest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Text gives the text of a PDF, laid out as on the paper. Where pdftotext is not there, the
// test is skipped with that reason, except in CI.
func Text(t testing.TB, pdf []byte) string {
	t.Helper()
	tool, err := exec.LookPath("pdftotext")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("pdftotext is not there: internal/testbed installs poppler-utils")
		}
		t.Skip("pdftotext is not there: install poppler-utils")
	}
	cmd := exec.CommandContext(t.Context(), tool, "-layout", "-enc", "UTF-8", "-", "-")
	cmd.Stdin = bytes.NewReader(pdf)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pdftotext: %v: %s", err, out)
	}
	return string(out)
}

// Keep writes a PDF and pictures of its pages into the folder of the variable
// COLDKEEP_PRINTS, to be looked at; without it nothing is done.
func Keep(t testing.TB, name string, pdf []byte) {
	t.Helper()
	dir := os.Getenv("COLDKEEP_PRINTS")
	if dir == "" {
		return
	}
	file := filepath.Join(dir, name+".pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "pdftoppm", "-r", "80", "-png", file, filepath.Join(dir, name)).CombinedOutput(); err != nil {
		t.Fatalf("pdftoppm: %v: %s", err, out)
	}
}
