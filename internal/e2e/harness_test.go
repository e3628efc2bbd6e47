package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/servers"
)

// bin is where TestMain has built the programs.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "coldkeep-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	build := exec.Command("go", "build", "-o", dir, "github.com/coldkeep/coldkeep/cmd/coldkeep", "github.com/coldkeep/coldkeep/cmd/coldkeep-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// process is a program that the test starts, kills and starts again.
type process struct {
	t *testing.T
	*servers.Process
}

func newProcess(t *testing.T, name string, args ...string) *process {
	return manage(t, &servers.Process{Name: name, Args: args})
}

// manage ends a program with the test and shows what it said if that failed.
func manage(t *testing.T, p *servers.Process) *process {
	t.Cleanup(func() {
		p.Stop(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("--- %s said:\n%s", p.Name, p.Log().Tail(4000))
		}
	})
	return &process{t, p}
}

func (p *process) start() {
	p.t.Helper()
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// eventually asks until ask returns nil.
func eventually(t *testing.T, limit time.Duration, what string, ask func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); {
		if err = ask(); err == nil {
			return
		}
		pause(100 * time.Millisecond)
	}
	t.Fatalf("%s: not within %v: %v", what, limit, err)
}

// pause waits between two questions to another process.
func pause(d time.Duration) { _ = coldkeep.RealClock{}.Sleep(context.Background(), d) }

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := servers.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// get asks a JSON endpoint; into may be nil.
func get(url, token string, into any) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %.200s", url, resp.Status, body)
	}
	if s, ok := into.(*string); ok {
		*s = string(body)
		return nil
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

func writeSecret(t *testing.T, dir, name string) (path, secret string) {
	t.Helper()
	b := make([]byte, 24)
	_, _ = rand.Read(b) // does not fail
	path, secret = filepath.Join(dir, name), hex.EncodeToString(b)
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, secret
}

// parts say on what the chain stands.
type parts struct {
	broker            string // "embedded" or "mosquitto"
	influx            bool   // readings in InfluxDB, else SQLite
	registryDatabase  string // PostgreSQL URL, "" is SQLite
	collectorDatabase string
	extraCollector    []string
}

// chain is the whole system in separate processes.
type chain struct {
	t                                     *testing.T
	dir                                   string
	registry, broker, collector           *process
	registryURL, collectorURL, brokerAddr string
	apiToken, collectorToken              string
	secrets                               string // folder of the devices' passwords
	influx                                *process
}

func newChain(t *testing.T, p parts) *chain {
	t.Helper()
	dir := t.TempDir()
	c := &chain{t: t, dir: dir, secrets: filepath.Join(dir, "devices")}
	registryAddr, collectorAddr := freeAddr(t), freeAddr(t)
	c.brokerAddr = freeAddr(t)
	c.registryURL, c.collectorURL = "http://"+registryAddr, "http://"+collectorAddr
	tokenFile, token := writeSecret(t, dir, "registry-token")
	apiFile, api := writeSecret(t, dir, "api-token")
	brokerFile, brokerPassword := writeSecret(t, dir, "broker-password")
	c.collectorToken, c.apiToken = token, api

	args := []string{filepath.Join(bin, "coldkeep"), "registry", "--demo", "--data", filepath.Join(dir, "registry"), "--http", registryAddr,
		"--collector-url", c.collectorURL, "--api-token-file", apiFile, "--collector-token-file", tokenFile, "--demo-secrets", c.secrets}
	if p.registryDatabase != "" {
		args = append(args, "--database", p.registryDatabase)
	}
	c.registry = newProcess(t, "registry", args...)
	c.registry.start()
	c.ready(c.registryURL)

	if p.broker == "mosquitto" {
		c.broker = startMosquitto(t, c.brokerAddr, c.secrets, brokerPassword)
	} else {
		c.broker = newProcess(t, "broker", filepath.Join(bin, "coldkeep"), "broker", "--mqtt", c.brokerAddr, "--collector-password-file", brokerFile,
			"--registry-url", c.registryURL, "--registry-token-file", tokenFile)
		c.broker.start()
		c.listening(c.brokerAddr)
	}

	args = []string{filepath.Join(bin, "coldkeep"), "collector", "--data", filepath.Join(dir, "collector"), "--http", collectorAddr,
		"--broker", "tcp://" + c.brokerAddr, "--broker-password-file", brokerFile,
		"--registry-url", c.registryURL, "--registry-token-file", tokenFile, "--api-token-file", apiFile}
	if p.collectorDatabase != "" {
		args = append(args, "--database", p.collectorDatabase)
	}
	if p.influx {
		url, proc := startInflux(t, dir)
		c.influx = proc
		args = append(args, "--influx-url", url, "--influx-bucket", "coldkeep/autogen")
	}
	c.collector = newProcess(t, "collector", append(args, p.extraCollector...)...)
	c.collector.start()
	c.ready(c.collectorURL)
	return c
}

// ready waits until a process says that it and all it needs are well.
func (c *chain) ready(url string) {
	c.t.Helper()
	eventually(c.t, 60*time.Second, url+"/readyz", func() error { return get(url+"/readyz", "", nil) })
}

func (c *chain) listening(addr string) {
	c.t.Helper()
	if err := servers.Listening(c.t.Context(), addr); err != nil {
		c.t.Fatal(err)
	}
}

// recorder is an agent that plays a log into the demo's recorded freezer.
func (c *chain) recorder(log string, speed float64) *process {
	return newProcess(c.t, "agent", filepath.Join(bin, "coldkeep-agent"), "--site", "lakeside", "--agent", "recorder", "--broker", "tcp://"+c.brokerAddr,
		"--password-file", filepath.Join(c.secrets, "lakeside_recorder.password"), "--data", filepath.Join(c.dir, "agent"),
		"--driver", "trace", "--trace", log, "--trace-speed", fmt.Sprint(speed), "--exit-when-done")
}

// alerts returns all alerts of the recorded freezer.
func (c *chain) alerts() ([]coldkeep.Alert, error) {
	var all []coldkeep.Alert
	err := get(c.collectorURL+"/api/v1/alerts?site=lakeside", c.apiToken, &all)
	return all, err
}

// stored returns every stored reading of the recorded freezer as "time celsius
// probe quality", in order, from the collector's export.
func (c *chain) stored(from, to time.Time) ([]string, error) {
	var csv string
	err := get(fmt.Sprintf("%s/api/v1/readings.csv?appliance=lakeside-recorded&from=%s&to=%s", c.collectorURL, from.Format(time.RFC3339), to.Format(time.RFC3339)), c.apiToken, &csv)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(csv), "\n")[1:]
	for i, l := range lines {
		f := strings.Split(l, ",")
		lines[i] = strings.Join(f[:4], " ")
	}
	return lines, nil
}

// startMosquitto starts a Mosquitto with the accounts of the demo's devices and
// the access list that we deliver.
func startMosquitto(t *testing.T, addr, secrets, collectorPassword string) *process {
	t.Helper()
	users := servers.Users{"collector": collectorPassword}
	files, err := filepath.Glob(filepath.Join(secrets, "*.password"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		users[strings.Replace(strings.TrimSuffix(filepath.Base(f), ".password"), "_", "/", 1)] = strings.TrimSpace(string(b))
	}
	acl, err := os.ReadFile("../../deploy/mosquitto/acl")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "coldkeep-mosquitto-") // where another user gets to
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := servers.Mosquitto(t.Context(), dir, addr, users, string(acl), "")
	if err != nil {
		t.Fatal(err)
	}
	return manage(t, p)
}

// startInflux starts an InfluxDB of the test's own, which it may kill.
func startInflux(t *testing.T, dir string) (url string, p *process) {
	t.Helper()
	proc, url, err := servers.Influx(t.Context(), filepath.Join(dir, "influx"))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("no InfluxDB: %v", err)
	}
	return url, manage(t, proc)
}
