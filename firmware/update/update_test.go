package update

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

func TestManifestsThatAreRefused(t *testing.T) {
	good := func() *Manifest {
		return &Manifest{V: 1, Product: Product, Version: "1.4.0", MinVersion: "1.2.0",
			Artifacts: []Artifact{{Arch: "armv6", File: "agent", Size: 10, SHA256: strings.Repeat("0", 64)}}}
	}
	for says, change := range map[string]func(*Manifest){
		"version 2":      func(m *Manifest) { m.V = 2 },
		"product":        func(m *Manifest) { m.Product = "other" },
		`version "v1.4"`: func(m *Manifest) { m.Version = "v1.4" },
		"min_version":    func(m *Manifest) { m.MinVersion = "1.4.1" },
		"0 artifacts":    func(m *Manifest) { m.Artifacts = nil },
		"there twice":    func(m *Manifest) { m.Artifacts = append(m.Artifacts, m.Artifacts[0]) },
		"size":           func(m *Manifest) { m.Artifacts[0].Size = MaxProgram + 1 },
		"sha256":         func(m *Manifest) { m.Artifacts[0].SHA256 = "ab" },
		"relative":       func(m *Manifest) { m.Artifacts[0].File = "https://other.example/agent" },
	} {
		m := good()
		change(m)
		if _, err := Sign(m, testKey); coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(coldkeep.ErrorMessage(err), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	text, err := Sign(good(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := testKeys.Open(text); err != nil || m.Version != "1.4.0" {
		t.Errorf("%+v, %v", m, err)
	}
	stranger := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	for name, keys := range map[string]Keys{"nobody": nil, "a stranger": {stranger}} {
		if _, err := keys.Open(text); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
			t.Errorf("%s is trusted: %v", name, err)
		}
	}
	if m, err := append(Keys{stranger}, testKeys...).Open(text); err != nil || m == nil {
		t.Errorf("one of two keys: %v", err)
	}
}

func TestParseKeys(t *testing.T) {
	k := wire.EncodeKey(testKeys[0])
	if keys, err := ParseKeys([]byte("# release key of 2026\n\n  " + k + "\r\n")); err != nil || len(keys) != 1 || !keys[0].Equal(testKeys[0]) {
		t.Errorf("%v, %v", keys, err)
	}
	if _, err := ParseKeys([]byte("#\n" + k + "x")); coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}

// Nothing that is not signed is believed, and what is signed is whole.
func FuzzOpen(f *testing.F) {
	m, _ := release("1.1.0", "1.0.0")
	f.Add(m)
	f.Add([]byte(`{"manifest":"","key":"","sig":""}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := testKeys.Open(text)
		if err == nil && (got.Version != "1.1.0" || got.check() != nil) {
			t.Fatalf("believed %+v", got)
		}
		if c := coldkeep.ErrorCode(err); err != nil && c != coldkeep.EINVALID && c != coldkeep.EFORBIDDEN {
			t.Fatal(err)
		}
	})
}

// server gives a release, and can break off.
type server struct {
	manifest, program []byte
	breakAt           int // bytes of an answer, 0 for all
	ranges            []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "manifest") {
		_, _ = w.Write(s.manifest)
		return
	}
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	if s.breakAt > 0 {
		w = &breaking{w, s.breakAt}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.program))
}

type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if len(p) > b.left {
		_, _ = b.ResponseWriter.Write(p[:b.left])
		panic(http.ErrAbortHandler)
	}
	b.left -= len(p)
	return b.ResponseWriter.Write(p)
}

func updater(t *testing.T, s *server) *Updater {
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return &Updater{URL: web.URL + "/agents/manifest", Slots: &Slots{Dir: filepath.Join(t.TempDir(), "update"), Keys: testKeys, Factory: "1.0.0"}}
}

func bigRelease(version string, notBefore time.Time, size int64) (manifest, program []byte) {
	program = bytes.Repeat([]byte(version+" "), 100_000)
	sum := sha256.Sum256(program)
	manifest, err := Sign(&Manifest{V: 1, Product: Product, Version: version, NotBefore: notBefore,
		Artifacts: []Artifact{{Arch: Arch(), File: "agent", Size: int64(len(program)) + size, SHA256: hex.EncodeToString(sum[:])}}}, testKey)
	if err != nil {
		panic(err)
	}
	return manifest, program
}

// A line that breaks off costs only what it had not brought.
func TestFetchGoesOn(t *testing.T) {
	s := &server{breakAt: 300_000}
	s.manifest, s.program = bigRelease("1.1.0", time.Time{}, 0)
	u := updater(t, s)
	o, err := u.Look(t.Context())
	if err != nil || o == nil {
		t.Fatal(o, err)
	}
	if err := u.Take(t.Context(), o); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Fatal(err)
	}
	s.breakAt = 0
	if err := u.Take(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(s.ranges) != 2 || s.ranges[0] != "" || s.ranges[1] != "bytes=300000-" {
		t.Errorf("asked for %q", s.ranges)
	}
	if v := u.Slots.Trial(); v != "1.1.0" {
		t.Errorf("trial %q", v)
	}
	if c, err := u.Slots.Choose(); err != nil || !c.Trial || c.Version != "1.1.0" {
		t.Errorf("%+v, %v", c, err)
	}
	if info, err := os.Stat(u.Slots.path("a", "agent")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestOffersThatAreNotTaken(t *testing.T) {
	ctx := t.Context()
	t.Run("not yet", func(t *testing.T) {
		s := &server{}
		s.manifest, s.program = bigRelease("1.1.0", time.Now().Add(time.Hour), 0)
		if _, err := updater(t, s).Look(ctx); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
			t.Error(err)
		}
	})
	t.Run("not newer", func(t *testing.T) {
		s := &server{}
		s.manifest, s.program = bigRelease("1.0.0", time.Time{}, 0)
		u := updater(t, s)
		if o, err := u.Look(ctx); o != nil || err != nil {
			t.Error(o, err)
		}
		if err := u.Slots.Install(s.manifest, "/nowhere"); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Error(err)
		}
	})
	t.Run("longer than it says", func(t *testing.T) {
		s := &server{}
		s.manifest, s.program = bigRelease("1.1.0", time.Time{}, -1000)
		u := updater(t, s)
		o, err := u.Look(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Take(ctx, o); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Error(err)
		}
		if left, _ := os.ReadDir(u.Slots.path(downloadsName)); len(left) != 0 {
			t.Errorf("%v is kept", left)
		}
	})
	t.Run("endless manifest", func(t *testing.T) {
		s := &server{manifest: bytes.Repeat([]byte("x"), MaxManifest+1)}
		if _, err := updater(t, s).Look(ctx); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Error(err)
		}
	})
	t.Run("failed too often", func(t *testing.T) {
		s := &server{}
		s.manifest, s.program = bigRelease("1.1.0", time.Time{}, 0)
		u := updater(t, s)
		for range maxFailures {
			o, err := u.Look(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := u.Take(ctx, o); err != nil {
				t.Fatal(err)
			}
			if _, err := u.Slots.Choose(); err != nil {
				t.Fatal(err)
			}
			if c, err := u.Slots.Choose(); err != nil || c.Name != "" { // it did not confirm
				t.Fatalf("%+v, %v", c, err)
			}
		}
		if _, err := u.Look(ctx); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Error(err)
		}
	})
	t.Run("other places", func(t *testing.T) {
		for _, bad := range []string{"", "ftp://h/m", "http://updates.example/m", "https://user:p@h/m", "://"} {
			if _, err := ParseURL(bad); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

// install puts a script into a slot as a release.
func install(t *testing.T, s *Slots, version, script string) {
	t.Helper()
	program := []byte("#!/bin/sh\n" + script)
	sum := sha256.Sum256(program)
	manifest, err := Sign(&Manifest{V: 1, Product: Product, Version: version,
		Artifacts: []Artifact{{Arch: Arch(), File: "agent", Size: int64(len(program)), SHA256: hex.EncodeToString(sum[:])}}}, testKey)
	if err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(t.TempDir(), "part")
	if err := os.WriteFile(part, program, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Install(manifest, part); err != nil {
		t.Fatal(err)
	}
}

func TestLauncher(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		within time.Duration
		starts string // what is started at last
		failed int
	}{
		"works":            {"ln -s a $DIR/current.new && mv -T $DIR/current.new $DIR/current; exec sleep 60", time.Minute, "1.1.0", 0},
		"works and ends":   {"ln -s a $DIR/current", time.Minute, "1.1.0", 0},
		"ends":             {"exit 3", time.Minute, "1.0.0", 1},
		"shows nothing":    {"exec sleep 60", 50 * time.Millisecond, "1.0.0", 1},
		"is not a program": {"\x00", time.Minute, "1.0.0", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &Slots{Dir: filepath.Join(t.TempDir(), "update"), Keys: testKeys, Factory: "1.0.0"}
			install(t, s, "1.1.0", c.script)
			var started []string
			l := &Launcher{Slots: s, Own: "/own", Args: []string{"run"}, Env: append(os.Environ(), "DIR="+s.Dir, "WATCHDOG_PID=1"), ConfirmWithin: c.within, look: 5 * time.Millisecond,
				exec: func(program string, args, _ []string) error {
					started = append([]string{program}, args...)
					return nil
				}}
			if err := l.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := "/own"
			if c.starts == "1.1.0" {
				want = s.path("a", "agent")
			}
			if fmt.Sprint(started) != fmt.Sprint([]string{want, want, "run"}) || s.failures()["1.1.0"] != c.failed {
				t.Errorf("started %q, want %s; failed %v", started, want, s.failures())
			}
			if s.link(trialLink) != "" {
				t.Error("the trial is still there")
			}
		})
	}
}

// The order to stop is no failure of the version that is on trial.
func TestLauncherStops(t *testing.T) {
	s := &Slots{Dir: filepath.Join(t.TempDir(), "update"), Keys: testKeys, Factory: "1.0.0"}
	install(t, s, "1.1.0", "echo > $DIR/here; exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	l := &Launcher{Slots: s, Env: append(os.Environ(), "DIR="+s.Dir), look: time.Millisecond}
	go func() {
		for {
			if _, err := os.Stat(s.path("here")); err == nil {
				cancel()
				return
			}
		}
	}()
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Choose(); err != nil || !c.Trial {
		t.Errorf("%+v, %v; want the trial once more", c, err)
	}
}

// A slot that the card has damaged is not started, and not the one below the floor.
func TestDamagedSlots(t *testing.T) {
	s := &Slots{Dir: filepath.Join(t.TempDir(), "update"), Keys: testKeys, Factory: "1.0.0"}
	for _, v := range []string{"1.1.0", "1.2.0"} {
		install(t, s, v, "exit 0")
		if c, err := s.Choose(); err != nil || c.Version != v {
			t.Fatalf("%+v, %v", c, err)
		}
		if ok, err := s.Confirm(v); err != nil || !ok {
			t.Fatalf("%v, %v", ok, err)
		}
	}
	running := func(want string) {
		t.Helper()
		if now, err := s.Current(); err != nil || now.Version != want {
			t.Errorf("%+v, %v; want %s", now, err, want)
		}
	}
	running("1.2.0")
	damage := func(slot string) {
		t.Helper()
		if err := os.WriteFile(s.path(slot, agentFile), []byte("#!/bin/sh\nexit 1"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	damage("b")
	running("1.1.0")
	s.Factory = "1.3.0" // a new package
	running("1.3.0")
	s.Factory = "1.0.0"
	if err := s.write(floorFile, []byte("1.2.0")); err != nil {
		t.Fatal(err)
	}
	if now, err := s.Current(); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Errorf("%+v, %v; want nothing below the floor", now, err)
	}
	install(t, s, "1.4.0", "exit 0")
	if c, err := s.Choose(); err != nil || c.Version != "1.4.0" {
		t.Errorf("%+v, %v", c, err)
	}
}
