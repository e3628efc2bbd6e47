package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program runs coldkeep and returns its exit code and what it said.
func program(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, streams{strings.NewReader(""), &out, &err})
	return code, out.String(), err.String()
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Bad input gives a clear error that names what and where, and the contract's exit
// codes: 2 for usage, 3 for what could not run.
func TestBadInput(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	inUse := t.TempDir()
	unlock, err := lockFolder(inUse, "up")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	log := write(t, "log.csv", "time,celsius,probe\n2026-01-01T00:00:00Z,5,T0\n")
	empty := write(t, "empty-secret", "\n")
	secret := write(t, "secret", "s\n")
	for _, c := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{}, 2, []string{"expected one of"}},
		{[]string{"freeze"}, 2, []string{"freeze"}},
		{[]string{"up", "--bogus"}, 2, []string{"--bogus"}},
		{[]string{"up", "--speed", "60"}, 2, []string{"--demo"}},
		{[]string{"registry", "--data", t.TempDir(), "--codes", t.TempDir()}, 2, []string{"code sets: cvx.xml cannot be opened"}},
		{[]string{"registry", "--data", t.TempDir(), "--codes", filepath.Dir(write(t, "cvx.xml", "<CVXCodes><CVXInfo>"))}, 2, []string{"code sets: cvx.xml cannot be read"}},
		{[]string{"registry", "--data", t.TempDir(), "--secret-key-file", secret}, 2, []string{"secret key: want 64 hexadecimal digits"}},
		{[]string{"registry", "--data", t.TempDir(), "--database", "postgres://127.0.0.1:1/none"}, 2, []string{"--secret-key-file"}},
		{[]string{"up", "--demo", "--speed=-1"}, 2, []string{"speed -1"}},
		{[]string{"up", "--demo", "--speed", "fast"}, 2, []string{"fast"}},
		{[]string{"up", "--demo", "--data", t.TempDir(), "--http", taken.Addr().String()}, 3, []string{"HTTP address", taken.Addr().String()}},
		{[]string{"up", "--demo", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--mqtt", taken.Addr().String()}, 3, []string{"MQTT address", taken.Addr().String()}},
		{[]string{"up", "--data", "/dev/null/x", "--http", "127.0.0.1:0"}, 3, []string{"/dev/null/x"}},
		{[]string{"up", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--influx-url", "influx:8086", "--mqtt", "127.0.0.1:0"}, 2, []string{"influx:8086", "http://"}},
		{[]string{"up", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--broker", "tcp://x:1", "--broker-password-file", "/none"}, 2, []string{"/none"}},
		{[]string{"up", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--registry-database", "postgres://u:hunter2@127.0.0.1:1/x?connect_timeout=1"}, 3, []string{"127.0.0.1:1"}},
		{[]string{"up", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--broker", "foo://x"}, 2, []string{"foo://x", "tcp://"}},
		{[]string{"up", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--registry-database", "mysql://x"}, 2, []string{"mysql://", "postgres://"}},
		{[]string{"up", "--data", inUse, "--http", "127.0.0.1:0"}, 3, []string{"in use", inUse}},
		{[]string{"collector", "--registry-url", "http://127.0.0.1:1", "--registry-token-file", secret, "--api-token-file", secret}, 2, []string{"--broker"}},
		{[]string{"collector", "--broker", "tcp://127.0.0.1:1", "--registry-url", "http://127.0.0.1:1", "--registry-token-file", empty, "--api-token-file", secret}, 2, []string{"empty", empty}},
		{[]string{"collector", "--broker", "tcp://127.0.0.1:1", "--registry-url", "registry", "--registry-token-file", secret, "--api-token-file", secret, "--data", t.TempDir()}, 2, []string{"registry"}},
		{[]string{"broker"}, 2, []string{"--collector-password-file"}},
		{[]string{"verify", "--data", "/none"}, 2, []string{"/none/collector.db", "--data"}},
		{[]string{"verify", "--data", "/none", "--from", "yesterday"}, 2, []string{"--from", "yesterday"}},
		{[]string{"verify", "--data", "/none", "--from", "2026-03-02", "--to", "2026-03-01"}, 2, []string{"--to 2026-03-01"}},
		{[]string{"verify", "--data", "/none", "--site", "../x"}, 2, []string{"../x"}},
		{[]string{"verify", "--database", "postgres://u:hunter2@127.0.0.1:1/x?connect_timeout=1", "--influx-url", "http://127.0.0.1:1"}, 3, []string{"127.0.0.1:1"}},
		{[]string{"replay", log}, 2, []string{"--unit"}},
		{[]string{"replay", "--unit", "fridge", log}, 2, []string{"fridge", "refrigerator"}},
		{[]string{"replay", "--unit", "freezer", "--profile", "mars", log}, 2, []string{"mars", "cdc"}},
		{[]string{"replay", "--unit", "freezer", "--probe", "T9", log}, 2, []string{"T9", log}},
		{[]string{"replay", "--unit", "freezer", "--shuffle", "x", log}, 2, []string{"shuffle"}},
		{[]string{"replay", "--unit", "freezer", "/none.csv"}, 3, []string{"/none.csv"}},
		{[]string{"replay", "--unit", "freezer", write(t, "headless.csv", "2026-01-01T00:00:00Z,5,T0\n")}, 2, []string{"headless.csv", "time"}},
		{[]string{"replay", "--unit", "freezer", t.TempDir()}, 3, nil},
	} {
		code, out, err := program(t, c.args...)
		if code != c.code {
			t.Errorf("%q ends with %d, want %d: %s", c.args, code, c.code, err)
		}
		for _, s := range c.says {
			if !strings.Contains(err, s) {
				t.Errorf("%q says %q, without %q", c.args, err, s)
			}
		}
		if strings.Contains(err+out, "hunter2") {
			t.Errorf("%q shows a password: %s", c.args, err)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"up", "--help"}, {"collector", "--help"}, {"registry", "--help"}, {"broker", "--help"}, {"replay", "--help"}, {"verify", "--help"}, {"--version"}} {
		if code, out, err := program(t, args...); code != 0 || out == "" || err != "" {
			t.Errorf("%q ends with %d, %q, %q", args, code, out, err)
		}
	}
}

// A row that cannot be read is told with its place and stops nothing else.
func TestReplayBadRows(t *testing.T) {
	log := write(t, "log.csv", "time,celsius,probe\n2026-01-01T00:00:00Z,9,T0\nyesterday,9,T0\n2026-01-01T00:10:00Z,warm,T0\n2026-01-01T00:20:00Z,9\n2026-01-01T00:30:00Z,9,T0\n")
	code, out, stderr := program(t, "replay", "--unit", "refrigerator", log)
	if code != exitNo || strings.Count(out, "\n") != 1 || !strings.Contains(out, `"minutes_out":30`) {
		t.Fatalf("ends with %d: %s%s", code, out, stderr)
	}
	for _, want := range []string{"log.csv:3", "yesterday", "log.csv:4", "warm", "log.csv:5", "3 rows"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("says nothing of %q: %s", want, stderr)
		}
	}
}

// The home freezer's real log, by the profile of CDC. The lines were found by hand
// in the data.
func TestReplayRealLog(t *testing.T) {
	log := filepath.Join("..", "..", "..", "shared", "data", "traces", "home_fridge_freezer_5probe_60s.csv")
	if _, err := os.Stat(log); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("the recorded log is not there: %v", err)
	}
	code, out, stderr := program(t, "replay", "--profile", "cdc", "--unit", "freezer", "--probe", "T0", log)
	if code != 0 {
		t.Fatalf("ends with %d: %s", code, stderr)
	}
	const great = `{"probe":"T0","kind":"too-warm","rule":"consecutive","start":"2026-08-17T19:58:27Z","end":"2026-08-18T19:20:55Z","peak_at":"2026-08-18T01:02:02Z","extreme_c":18.2,"minutes_out":1402.5,"actions":["log","alert","hold"],"profile":"cdc@1"}`
	for _, want := range []string{
		great,
		// The longest of the gaps, 6 h 46 min.
		`{"probe":"T0","kind":"no-data","start":"2026-08-19T02:21:55Z","end":"2026-08-19T09:07:58Z"}`,
	} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	for _, seed := range []string{"1", "7", "18446744073709551615"} {
		if _, shuffled, _ := program(t, "replay", "--unit", "freezer", "--probe", "T0", "--shuffle", seed, log); shuffled != out {
			t.Errorf("other lines with --shuffle %s", seed)
		}
	}
	// A lost probe's -273.2 is a sensor fault, 1 and then 33 minutes long, never an
	// extreme.
	_, t1, _ := program(t, "replay", "--unit", "freezer", "--probe", "T1", log)
	for _, want := range []string{
		`{"probe":"T1","kind":"sensor-fault","start":"2026-08-05T05:34:46Z","end":"2026-08-05T05:35:46Z","reason":"range"}`,
		`{"probe":"T1","kind":"sensor-fault","start":"2026-08-05T05:38:46Z","end":"2026-08-05T06:11:46Z","reason":"range"}`,
	} {
		if !strings.Contains(t1, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	for line := range strings.Lines(t1) {
		var f struct {
			Kind    string   `json:"kind"`
			Extreme *float64 `json:"extreme_c"`
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if f.Kind == "too-cold" || f.Extreme != nil && *f.Extreme < -50 {
			t.Errorf("a fault became a temperature: %s", line)
		}
	}
}

// Secrets of the demo's devices are made once and kept, readable by nobody else.
func TestDeviceSecretsAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "devices")
	first, err := deviceSecrets(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := deviceSecrets(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range first {
		if again[name] != secret || len(secret) < 32 {
			t.Errorf("%s changed or is short", name)
		}
		info, err := os.Stat(secretFile(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "lakeside_recorder.password")); err != nil {
		t.Error("the README names another file: ", err)
	}
}

// up ends by itself and cleanly when it is told to.
func TestUpStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs syncBuffer
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"up", "--demo", "--speed", "1000", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"}, streams{strings.NewReader(""), &out, &errs})
	}()
	var ready struct{ Data, HTTP string }
	for json.Unmarshal([]byte(out.String()), &ready) != nil {
		select {
		case code := <-done:
			t.Fatalf("ended with %d: %s", code, errs.String())
		default:
		}
	}
	cancel()
	if code := <-done; code != 0 {
		t.Fatalf("ended with %d: %s", code, errs.String())
	}
	if _, err := os.Stat(ready.Data); !os.IsNotExist(err) {
		t.Errorf("a demo without --data left %s behind: %v", ready.Data, err)
	}
}
