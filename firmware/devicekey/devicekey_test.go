package devicekey

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

func TestMadeOnceAndKept(t *testing.T) {
	dir, log := t.TempDir(), &bytes.Buffer{}
	l := slog.New(slog.NewTextHandler(log, nil))
	keys := make([]ed25519.PrivateKey, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = Open(dir, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	again, err := Open(dir, l)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if !again.Equal(k) {
			t.Fatal("two starters made two keys")
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v: want the key alone", files, err)
	}
	if info, err := os.Stat(filepath.Join(dir, File)); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestNoSecretIsLogged(t *testing.T) {
	dir, log := t.TempDir(), &bytes.Buffer{}
	l := slog.New(slog.NewTextHandler(log, nil))
	key, err := Open(dir, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, File), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, l); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, File)); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v, want 0600 again", info.Mode(), err)
	}
	if !strings.Contains(log.String(), wire.KeyID(key.Public().(ed25519.PublicKey))) {
		t.Errorf("the log does not name the key:\n%s", log)
	}
	for _, secret := range []string{hex.EncodeToString(key.Seed()), base64.StdEncoding.EncodeToString(key.Seed()), base64.RawURLEncoding.EncodeToString(key.Seed())} {
		if strings.Contains(log.String(), secret) {
			t.Error("the secret is in the log")
		}
	}
}

func TestDamagedKeyIsSetAside(t *testing.T) {
	dir := t.TempDir()
	old, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, File), []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil || fresh.Equal(old) {
		t.Fatalf("%v, want a new key", err)
	}
	if aside, err := filepath.Glob(filepath.Join(dir, File+".damaged-*")); err != nil || len(aside) != 1 {
		t.Fatalf("set aside: %v, %v", aside, err)
	}
}

func TestNoFolder(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none"), slog.New(slog.DiscardHandler)); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Fatal(err)
	}
}
