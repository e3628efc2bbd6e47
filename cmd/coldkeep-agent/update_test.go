package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/firmware/collectortest"
	"github.com/coldkeep/coldkeep/firmware/update"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

var releaseKey = ed25519.NewKeyFromSeed([]byte("thirty-two bytes of a test's key"))

// shelf is a server of releases.
type shelf struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	asked []string // programs, with the range
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{files: map[string][]byte{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		content, ok := s.files[r.URL.Path]
		s.asked = append(s.asked, r.URL.Path+" "+r.Header.Get("Range"))
		s.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shelf) put(t *testing.T, version string, program []byte) {
	t.Helper()
	sum := sha256.Sum256(program)
	text, err := update.Sign(&update.Manifest{V: 1, Product: update.Product, Version: version, MinVersion: "1.0.0",
		Artifacts: []update.Artifact{{Arch: update.Arch(), File: "agent-" + version, Size: int64(len(program)), SHA256: hex.EncodeToString(sum[:])}}}, releaseKey)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files["/manifest"], s.files["/agent-"+version] = text, program
}

// buildAgent builds the agent as a version.
func buildAgent(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "coldkeep-agent")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w -X main.version="+version, "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// A device takes a release on the collector's command, keeps it once a reading of it
// is acknowledged, and gives up one that does not run; through all of it every record
// arrives, under consecutive numbers of one epoch.
func TestUpdateOverTheAir(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the agent twice; not with -short")
	}
	own, newer := buildAgent(t, "1.0.0"), buildAgent(t, "1.1.0")
	program, err := os.ReadFile(newer)
	if err != nil {
		t.Fatal(err)
	}
	s := newShelf(t)
	c := collectortest.Start(t, "clinic", "pi", secret)
	data := t.TempDir()
	keys := write(t, "update.pub", "# the release key\n"+wire.EncodeKey(releaseKey.Public().(ed25519.PublicKey))+"\n")
	flags := []string{"--data", data, "--update-url", s.URL + "/manifest", "--update-keys", keys}
	env := append(os.Environ(), "COLDKEEP_DATA="+data, "COLDKEEP_UPDATE_URL="+s.URL+"/manifest", "COLDKEEP_UPDATE_KEYS="+keys, "COLDKEEP_CONFIRM_WITHIN=1m",
		"COLDKEEP_SITE=clinic", "COLDKEEP_AGENT=pi", "COLDKEEP_BROKER="+c.URL(), "COLDKEEP_PASSWORD_FILE="+write(t, "password", secret), "COLDKEEP_DRIVER=sim", "COLDKEEP_INTERVAL=1s")

	// This is the service manager: what ends is started again.
	var log bytes.Buffer
	var mu sync.Mutex
	var running *exec.Cmd
	stopping := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			cmd := exec.Command(own, "launch")
			cmd.Env = env
			var out bytes.Buffer
			cmd.Stderr = &out
			mu.Lock()
			if stopping || cmd.Start() != nil {
				mu.Unlock()
				return
			}
			running = cmd
			mu.Unlock()
			_ = cmd.Wait()
			mu.Lock()
			log.Write(out.Bytes())
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		mu.Lock()
		stopping = true
		_ = running.Process.Signal(syscall.SIGTERM)
		mu.Unlock()
		<-done
		if t.Failed() {
			t.Log(log.String())
		}
	})

	version := func(want string) {
		t.Helper()
		c.Await("version "+want, func(v *collectortest.View) bool {
			return v.Status != nil && v.Status.Online && v.Status.Version == want
		})
	}
	version("1.0.0")
	s.put(t, "1.1.0", program)
	c.Send(wire.LeafCommand, false, wire.Command{V: 1, Cmd: wire.CommandUpdate})
	version("1.1.0")
	var births int
	c.View(func(v *collectortest.View) { births = v.Connected })
	// Confirmed, it starts once more, without the launcher above it.
	c.Await("the start as current", func(v *collectortest.View) bool {
		return v.Connected > births && v.Status.Online && v.Status.Version == "1.1.0"
	})
	if to, err := os.Readlink(filepath.Join(data, "update", "current")); err != nil || to != "a" {
		t.Fatalf("current is %q, %v", to, err)
	}
	if floor, err := os.ReadFile(filepath.Join(data, "update", "floor")); err != nil || string(floor) != "1.0.0" {
		t.Errorf("floor %q, %v", floor, err)
	}

	s.put(t, "1.2.0", []byte("#!/bin/sh\nexit 7\n"))
	c.View(func(v *collectortest.View) { births = v.Connected })
	c.Send(wire.LeafCommand, false, wire.Command{V: 1, Cmd: wire.CommandUpdate})
	c.Await("the fall back", func(v *collectortest.View) bool {
		return v.Connected > births && v.Status.Online && v.Status.Version == "1.1.0"
	})
	if failed, err := os.ReadFile(filepath.Join(data, "update", "failed")); err != nil || string(failed) != `{"1.2.0":1}` {
		t.Errorf("failed %q, %v", failed, err)
	}
	c.View(func(v *collectortest.View) {
		for epoch, records := range v.Records {
			if v.Epochs() != 1 || v.Durable(epoch) != int64(len(records)) {
				t.Errorf("%d epochs; consecutive up to %d of %d", v.Epochs(), v.Durable(epoch), len(records))
			}
		}
	})
	// What a person at the device sees: it may be tried again, twice.
	code, stdout, stderr := call(t, append([]string{"update", "--check"}, flags...)...)
	if code != 0 || !strings.Contains(stdout, `"running":"1.1.0","slot":"a"`) || !strings.Contains(stdout, `"available":"1.2.0"`) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

func TestUpdateCommand(t *testing.T) {
	t.Setenv(factoryEnv, "1.0.0")
	s := newShelf(t)
	data := t.TempDir()
	keys := write(t, "update.pub", wire.EncodeKey(releaseKey.Public().(ed25519.PublicKey)))
	args := []string{"update", "--data", data, "--update-url", s.URL + "/manifest", "--update-keys", keys}
	want := func(code int, says string, args ...string) {
		t.Helper()
		got, stdout, stderr := call(t, args...)
		if got != code || !strings.Contains(stdout+stderr, says) {
			t.Errorf("%v: exit %d, want %d with %q:\n%s%s", args, got, code, says, stdout, stderr)
		}
	}
	want(2, "--update-url", "update", "--data", data, "--update-keys", keys)
	want(2, "https://", "update", "--data", data, "--update-keys", keys, "--update-url", "http://updates.example/m")
	want(3, "cannot be read", "update", "--data", data, "--update-url", s.URL, "--update-keys", t.TempDir())
	want(3, "no update key", "update", "--data", data, "--update-url", s.URL, "--update-keys", "/nowhere/update.pub")
	want(3, "404", args...)
	s.put(t, "1.0.0", []byte("x"))
	want(1, "no newer", args...)
	s.put(t, "1.1.0", []byte("a program"))
	want(0, `"trial":"1.1.0"`, args...)
	s.put(t, "1.2.0", []byte("another"))
	s.files["/agent-1.2.0"] = []byte("damaged")
	want(3, "SHA-256", args...)
}
