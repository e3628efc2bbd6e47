package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/collectortest"
)

const secret = "correct horse battery staple"

// TestMain makes the test binary the agent itself when it is asked to, so that
// tests can kill a real process.
func TestMain(m *testing.M) {
	if os.Getenv("COLDKEEP_TEST_AS_AGENT") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// agent is the agent as a process of its own.
func agent(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "COLDKEEP_TEST_AS_AGENT=1")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &log
}

// call runs the command in this process.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, log bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	code = run(ctx, args, &out, &log)
	return code, out.String(), log.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A recorded log through an agent that is killed again and again: every row
// arrives, none twice, under consecutive numbers of one epoch.
func TestKilledAgentLosesAndDoublesNothing(t *testing.T) {
	const points, probes = 400, 5
	var log strings.Builder
	log.WriteString("time,celsius,probe\n")
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	want := make(map[string]coldkeep.Temperature)
	for i := range points {
		for p := range probes {
			at, name := begin.Add(time.Duration(i)*time.Minute), fmt.Sprintf("T%d", p)
			c := coldkeep.Temperature(4000 + i)
			if (i+p)%50 == 0 {
				c = coldkeep.NoTemperature
			}
			fmt.Fprintf(&log, "%s,%s,%s\n", at.Format(time.RFC3339), c, name)
			want[fmt.Sprint(name, at.UnixMilli())] = c
		}
	}
	c := collectortest.Start(t, "clinic", "pi", secret)
	args := []string{"--site", "clinic", "--agent", "pi", "--broker", c.URL(), "--password-file", write(t, "password", secret+"\n"),
		"--data", t.TempDir(), "--driver", "trace", "--trace", write(t, "log.csv", log.String()), "--exit-when-done", "--trace-speed"}
	total := func(v *collectortest.View) (n int) {
		for _, r := range v.Records {
			n += len(r)
		}
		return n
	}
	// 400 minutes in about four seconds, of which the agent lives through parts.
	for life := 1; life <= 4; life++ {
		cmd, _ := agent(t, append(args, "6000")...)
		c.Await("some records", func(v *collectortest.View) bool { return total(v) >= 250*life })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
	}
	cmd, stderr := agent(t, append(args, "0")...)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	boots := 0
	c.View(func(v *collectortest.View) {
		if v.Epochs() != 1 {
			t.Fatalf("%d epochs, want 1", v.Epochs())
		}
		for epoch, records := range v.Records {
			if n := v.Durable(epoch); n != int64(len(records)) {
				t.Errorf("numbers are consecutive up to %d of %d", n, len(records))
			}
			for _, r := range records {
				if r.Event == "boot" {
					boots++
				}
				if r.IsEvent() {
					continue
				}
				key := fmt.Sprint(r.Probe, r.At)
				if c, ok := want[key]; !ok || c != r.Celsius {
					t.Errorf("%s at %d: %v; in the log %v %v, or it came twice", r.Probe, r.At, r.Celsius, c, ok)
				}
				delete(want, key)
			}
		}
	})
	if len(want) != 0 || boots != 5 {
		t.Errorf("%d rows never came; %d boots, want 5", len(want), boots)
	}
}

func TestSIGTERMIsACleanStop(t *testing.T) {
	c := collectortest.Start(t, "clinic", "pi", secret)
	cmd, stderr := agent(t, "--site", "clinic", "--agent", "pi", "--broker", c.URL(), "--password-file", write(t, "password", secret),
		"--data", t.TempDir(), "--driver", "sim", "--sim-history", "1h", "--log-format", "json")
	c.Await("an hour of readings", func(v *collectortest.View) bool {
		return v.Status != nil && v.Status.Online && v.Durable(v.Status.Epoch) >= 60
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, stderr)
	}
	c.Await("its saying that it leaves", func(v *collectortest.View) bool { return !v.Status.Online })
	for line := range strings.Lines(stderr.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("not JSON: %s", line)
		}
	}
	if strings.Contains(stderr.String(), secret) {
		t.Errorf("the password is in the log:\n%s", stderr)
	}
}

// A device out of the box: it shows a code, loses its power, shows the same code, and
// once a technician has accepted it delivers under the name it was given. After that
// it needs neither the flag nor the registry.
func TestClaimedOutOfTheBox(t *testing.T) {
	type posted struct {
		Code         string `json:"code"`
		SecretSHA256 string `json:"secret_sha256"`
	}
	c := collectortest.Start(t, "clinic", "pi", secret)
	claims := make(chan posted, 100)
	var accept atomic.Bool
	registry := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			var p posted
			if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
				t.Error(err)
			}
			claims <- p
			w.WriteHeader(http.StatusAccepted)
			return
		}
		answer := map[string]string{"state": "waiting"}
		if accept.Load() {
			answer = map[string]string{"state": "accepted", "site": "clinic", "agent": "pi", "broker": c.URL()}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer registry.Close()
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: registry.Certificate().Raw})))
	data := t.TempDir()
	args := []string{"--data", data, "--driver", "sim", "--sim-history", "1h"}
	addr := freeAddress(t)
	claiming := slices.Concat(args, []string{"--claim", registry.URL, "--ca-file", ca, "--page", addr})

	cmd, _ := agent(t, claiming...)
	first := <-claims
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	cmd, log := agent(t, claiming...)
	if second := <-claims; second != first {
		t.Errorf("claimed as %+v and then as %+v", first, second)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(fetch("http://"+addr+"/"), first.Code); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the page does not show the code %s", first.Code)
		}
	}
	c.LetIn(first.SecretSHA256)
	accept.Store(true)
	c.Await("an hour of readings", func(v *collectortest.View) bool {
		return v.Status != nil && v.Status.Online && v.Durable(v.Status.Epoch) >= 60
	})
	stop := func(cmd *exec.Cmd, log *bytes.Buffer) {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v\n%s", err, log)
		}
	}
	stop(cmd, log)
	if !strings.Contains(log.String(), first.Code) {
		t.Errorf("the log does not show the code %s:\n%s", first.Code, log)
	}
	registry.Close()
	cmd, log = agent(t, args...)
	c.Await("the device again", func(v *collectortest.View) bool { return v.Connected >= 2 && v.Status.Online })
	stop(cmd, log)
}

func TestExitCodesAndMessages(t *testing.T) {
	empty := write(t, "empty", "")
	headless := write(t, "headless.csv", "2026-03-01T00:00:00Z,4,T0\n")
	base := []string{"--site", "clinic", "--agent", "pi", "--data", t.TempDir()}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown flag":        {[]string{"--colour"}, 2, "--colour"},
		"no site":             {[]string{"--data", t.TempDir()}, 2, "--site"},
		"claim and site":      {append(base, "--claim", "https://registry.example"), 2, "--claim"},
		"claim in the open":   {[]string{"--data", t.TempDir(), "--claim", "http://registry.example"}, 2, "https://"},
		"unknown driver":      {append(base, "--driver", "lm75"), 2, "lm75"},
		"bad name":            {append(base, "--site", "Clinic 1"), 2, "Clinic 1"},
		"bad broker":          {append(base, "--broker", "http://h"), 2, "http://h"},
		"short interval":      {append(base, "--interval", "1ms"), 2, "--interval"},
		"trace without file":  {append(base, "--driver", "trace"), 2, "--trace"},
		"trace speed":         {append(base, "--driver", "trace", "--trace", empty, "--trace-speed", "-1"), 2, "--trace-speed"},
		"no end to wait for":  {append(base, "--exit-when-done"), 2, "--exit-when-done"},
		"no such trace":       {append(base, "--driver", "trace", "--trace", "/nowhere/log.csv"), 3, "/nowhere/log.csv"},
		"trace is a folder":   {append(base, "--driver", "trace", "--trace", t.TempDir()), 3, "--trace"},
		"trace has no header": {append(base, "--driver", "trace", "--trace", headless), 3, `no column "time"`},
		"no password file":    {append(base, "--password-file", "/nowhere/password"), 3, "/nowhere/password"},
		"empty password file": {append(base, "--password-file", empty), 3, "empty"},
		"no CA file":          {append(base, "--ca-file", "/nowhere/ca.pem"), 3, "/nowhere/ca.pem"},
		"CA file without any": {append(base, "--ca-file", empty), 3, "PEM"},
		"no 1-Wire":           {append(base, "--w1-root", "/nowhere/w1"), 3, "/nowhere/w1"},
		"probes, no 1-Wire":   {[]string{"probes", "--w1-root", "/nowhere/w1"}, 3, "/nowhere/w1"},
		"wired, no probe":     {append(base, "--driver", "wired"), 2, "--probe"},
		"probe of no kind":    {append(base, "--probe", "lm75@/dev/i2c-1:0x48"), 2, "lm75"},
		"probes on one place": {append(base, "--probe", "tmp117@/dev/i2c-1:0x48;tmp102@/dev/i2c-1:0x48"), 2, "place"},
		"probes, of no kind":  {[]string{"probes", "--probe", "tmp117"}, 2, "CHIP@BUS"},
		"probes, none":        {[]string{"probes", "--w1-root", t.TempDir()}, 1, "no 1-Wire thermometer"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := call(t, c.args...)
			if code != c.code || !strings.Contains(stderr, c.says) {
				t.Errorf("exit %d, want %d with %q:\n%s", code, c.code, c.says, stderr)
			}
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"probes", "--help"}, {"version"}, {"launch", "--help"}, {"update", "--help"}} {
		code, stdout, stderr := call(t, args...)
		if code != 0 || stdout == "" || stderr != "" {
			t.Errorf("%v: exit %d, %q, %q", args, code, stdout, stderr)
		}
	}
	if _, stdout, _ := call(t, "--help"); !strings.Contains(stdout, "--password-file") || !strings.Contains(stdout, "COLDKEEP_SITE") {
		t.Errorf("the first page does not show how to run the agent:\n%s", stdout)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("COLDKEEP_SITE", "clinic")
	t.Setenv("COLDKEEP_AGENT", "pi")
	t.Setenv("COLDKEEP_DATA", t.TempDir())
	t.Setenv("COLDKEEP_DRIVER", "trace")
	t.Setenv("COLDKEEP_TRACE", "/nowhere/log.csv")
	if code, _, stderr := call(t); code != 3 || !strings.Contains(stderr, "/nowhere/log.csv") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestProbes(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"28-000000000001": "45 00 4b 46 7f ff 0b 10 b9 : crc=b9 YES\n45 00 4b 46 7f ff 0b 10 b9 t=4312\n",
		"28-000000000002": "00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n",
	} {
		dir := filepath.Join(root, name)
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "w1_slave"), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := call(t, "probes", "--w1-root", root)
	want := `{"probe":"28-000000000001","kind":"ds18b20","bus":"w1","celsius":4.312}
{"probe":"28-000000000002","kind":"ds18b20","bus":"w1","celsius":null,"quality":"zeros"}
`
	if code != 0 || stdout != want {
		t.Errorf("exit %d\n%s%s\nwant\n%s", code, stdout, stderr, want)
	}
}

// A chip on a bus that is not there is listed as what it is, and sampled as that.
func TestChipWithoutItsBus(t *testing.T) {
	const spec = "tmp117@/dev/i2c-255:0x48,name=vial"
	code, stdout, stderr := call(t, "probes", "--no-i2c", "--w1-root", t.TempDir(), "--probe", spec)
	want := `{"probe":"vial","kind":"tmp117","bus":"i2c-255","celsius":null,"quality":"error","use":"` + spec + `"}` + "\n"
	if code != 0 || stdout != want {
		t.Errorf("exit %d\n%s%s\nwant\n%s", code, stdout, stderr, want)
	}
	c := collectortest.Start(t, "clinic", "pi", secret)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"--site", "clinic", "--agent", "pi", "--broker", c.URL(), "--password-file", write(t, "password", secret),
			"--data", t.TempDir(), "--driver", "wired", "--probe", spec, "--buffered", "all"}, &bytes.Buffer{}, &bytes.Buffer{})
	}()
	c.Await("its reading", func(v *collectortest.View) bool {
		for _, records := range v.Records {
			for _, r := range records {
				if r.Probe == "vial" && r.Quality == "error" && !r.Celsius.Known() {
					return true
				}
			}
		}
		return false
	})
	stop()
	if code := <-done; code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestBlink(t *testing.T) {
	dir := filepath.Dir(write(t, "trigger", "none [mmc0] timer heartbeat\n"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // ends the blinking at once
	blink(ctx, logger(&cli{}, &bytes.Buffer{}), dir)
	if b, err := os.ReadFile(filepath.Join(dir, "trigger")); err != nil || string(b) != "mmc0" {
		t.Errorf("LED was given back to %q, %v", b, err)
	}
}

// fetch gets a page, "" while nobody serves it.
func fetch(url string) string {
	res, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

// freeAddress is one on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The device's own page shows its values and gives them as CSV with no collector
// anywhere; a lamp whose pin is not there stops nothing.
func TestLocalPage(t *testing.T) {
	addr := freeAddress(t)
	cmd, log := agent(t, "--site", "clinic", "--agent", "pi", "--broker", "tcp://127.0.0.1:1", "--data", t.TempDir(), "--driver", "sim", "--sim-history", "2h",
		"--page", addr, "--led", "NO-SUCH-PIN")
	get := func(path string) string { return fetch("http://" + addr + path) }
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(get("/"), "sim-refrigerator"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the page has no value:\n%s", get("/"))
		}
	}
	if csv := get("/readings.csv"); strings.Count(csv, "sim-refrigerator") < 100 || !strings.Contains(csv, "boot") {
		t.Errorf("the export has\n%s", csv)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(log.String(), "NO-SUCH-PIN") {
		t.Errorf("%v\n%s", err, log)
	}
}

// Three days without a broker, in which the agent is killed again and again, and then
// everything at once: every row arrives, none twice, under one epoch.
func TestThreeDaysWithoutABroker(t *testing.T) {
	if testing.Short() {
		t.Skip("records three days; not with -short")
	}
	const minutes, probes = 72 * 60, 8
	var log strings.Builder
	log.WriteString("time,celsius,probe\n")
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range minutes {
		for p := range probes {
			fmt.Fprintf(&log, "%s,%s,T%d\n", begin.Add(time.Duration(i)*time.Minute).Format(time.RFC3339), coldkeep.Temperature(i*probes+p), p)
		}
	}
	c := collectortest.Start(t, "clinic", "pi", secret)
	c.Stop()
	args := []string{"--site", "clinic", "--agent", "pi", "--broker", c.URL(), "--password-file", write(t, "password", secret),
		"--data", t.TempDir(), "--driver", "trace", "--trace", write(t, "log.csv", log.String()), "--trace-speed", "0", "--exit-when-done"}
	for life := range 5 {
		cmd, _ := agent(t, args...)
		time.Sleep(time.Duration(100+150*life) * time.Millisecond) // a random point: the power does not wait for an event
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
	}
	c.Restart()
	cmd, stderr := agent(t, args...)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	c.View(func(v *collectortest.View) {
		if v.Epochs() != 1 {
			t.Fatalf("%d epochs, want 1", v.Epochs())
		}
		for epoch, records := range v.Records {
			seen := make(map[coldkeep.Temperature]bool)
			for _, r := range records {
				if r.IsEvent() {
					continue
				}
				at := begin.Add(time.Duration(int(r.Celsius)/probes) * time.Minute).UnixMilli()
				if seen[r.Celsius] || r.At != at {
					t.Fatalf("%+v came twice, or with another time", r)
				}
				seen[r.Celsius] = true
			}
			if len(seen) != minutes*probes || v.Durable(epoch) != int64(len(records)) {
				t.Errorf("%d readings, want %d; consecutive up to %d of %d", len(seen), minutes*probes, v.Durable(epoch), len(records))
			}
		}
	})
}
