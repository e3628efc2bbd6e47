package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
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
	t    *testing.T
	name string
	args []string
	log  *logFile
	cmd  *exec.Cmd
	done chan struct{}
}

// logFile gathers what a program says over all its lives.
type logFile struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logFile) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newProcess(t *testing.T, name string, args ...string) *process {
	p := &process{t: t, name: name, args: args, log: &logFile{}}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			s := p.log.String()
			t.Logf("--- %s said:\n%s", name, s[max(0, len(s)-4000):])
		}
	})
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done, cmd := make(chan struct{}), p.cmd
	p.done = done
	go func() {
		_ = cmd.Wait() // how it ended shows in what it did
		close(done)
	}()
}

// kill is kill -9.
func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
		p.cmd = nil
	}
}

func (p *process) stop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			p.kill()
		}
		p.cmd = nil
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
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
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
		c.broker = newMosquitto(t, dir, c.brokerAddr, c.secrets, brokerPassword)
	} else {
		c.broker = newProcess(t, "broker", filepath.Join(bin, "coldkeep"), "broker", "--mqtt", c.brokerAddr, "--collector-password-file", brokerFile,
			"--registry-url", c.registryURL, "--registry-token-file", tokenFile)
	}
	c.broker.start()
	c.listening(c.brokerAddr)

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
	eventually(c.t, 30*time.Second, addr, func() error {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
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

// newMosquitto makes a Mosquitto with passwords and an access list of the
// contract's topics, as deploy/mosquitto describes.
func newMosquitto(t *testing.T, dir, addr, secrets, collectorPassword string) *process {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	host, port, _ := strings.Cut(addr, ":")
	users := filepath.Join(dir, "mosquitto.passwd")
	add := func(user, password string) {
		args := []string{"-b", users, user, password}
		if _, err := os.Stat(users); err != nil {
			args = append([]string{"-c"}, args...)
		}
		if out, err := exec.Command("mosquitto_passwd", args...).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
		}
	}
	add("collector", collectorPassword)
	files, err := filepath.Glob(filepath.Join(secrets, "*.password"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		add(strings.Replace(strings.TrimSuffix(filepath.Base(f), ".password"), "_", "/", 1), strings.TrimSpace(string(b)))
	}
	if err := os.Chmod(users, 0o644); err != nil { // it drops its privileges when root
		t.Fatal(err)
	}
	conf, acl := filepath.Join(dir, "mosquitto.conf"), filepath.Join(dir, "mosquitto.acl")
	rules, err := os.ReadFile("../../deploy/mosquitto/acl") // the one that we deliver
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(acl, rules, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, "listener %s %s\nallow_anonymous false\npassword_file %s\nacl_file %s\npersistence false\n", port, host, users, acl), 0o644); err != nil {
		t.Fatal(err)
	}
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return newProcess(t, "mosquitto", path, "-c", conf)
}

// startInflux starts an InfluxDB of the test's own, which it may kill.
func startInflux(t *testing.T, dir string) (url string, p *process) {
	t.Helper()
	influxd := os.Getenv("COLDKEEP_TEST_INFLUXD")
	if influxd == "" {
		t.Skip("no InfluxDB: COLDKEEP_TEST_INFLUXD is not set (the test command in the README sets it)")
	}
	d, addr := filepath.Join(dir, "influx"), freeAddr(t)
	if err := os.MkdirAll(d, 0o700); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(d, "influxdb.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `reporting-disabled = true
bind-address = "%s"
[meta]
  dir = "%[3]s/meta"
[data]
  dir = "%[3]s/data"
  wal-dir = "%[3]s/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "%[2]s"
  flux-enabled = true
  log-enabled = false
`, freeAddr(t), addr, d), 0o600); err != nil {
		t.Fatal(err)
	}
	p = newProcess(t, "influxd", influxd, "-config", conf)
	p.start()
	eventually(t, 60*time.Second, "InfluxDB", func() error {
		resp, err := http.PostForm("http://"+addr+"/query", map[string][]string{"q": {"CREATE DATABASE coldkeep"}})
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	return "http://" + addr, p
}
