package faults

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/bench/collector/fleet"
	"github.com/coldkeep/coldkeep/internal/registryfake"
	"github.com/coldkeep/coldkeep/internal/servers"
	"github.com/coldkeep/coldkeep/internal/webhookfake"
)

const (
	site     = coldkeep.SiteID("clinic")
	password = "a password of tests"
	spacing  = time.Minute // between two records, in the records' own time
)

// parts say on what a rig stands.
type parts struct {
	mosquitto, influx, postgres bool
	tmpfs                       map[string]int // folders of the rig on small disks of their own, MB
}

func (p parts) String() string {
	s := []string{"embedded broker", "SQLite", "SQLite"}
	if p.mosquitto {
		s[0] = "Mosquitto"
	}
	if p.influx {
		s[1] = "InfluxDB"
	}
	if p.postgres {
		s[2] = "PostgreSQL"
	}
	if s[1] == s[2] {
		s = s[:2]
	}
	return strings.Join(s, ", ")
}

var (
	embedded = parts{}
	real     = parts{mosquitto: true, influx: true, postgres: true}
)

// rig is the chain in separate processes, and the two ends that it hangs between.
type rig struct {
	*testing.T
	ctx   context.Context
	dir   string
	parts parts

	registry *registryfake.Registry
	hook     *webhookfake.Receiver

	broker, collector, influx, postgres *servers.Process

	brokerAddr, collectorURL, influxURL string
	collectorArgs                       []string // what every collector of the rig is started with
	proxied                             string   // where devices find the broker when not at brokerAddr

	cfg     fleet.Config
	fleet   *fleet.Fleet
	records int // of each device
	pace    time.Duration

	trace    *trace           // what the real agent plays; nil without one
	agent    *servers.Process // nil without one
	produced chan struct{}    // closed when the fleet has produced everything
	from, to time.Time
}

// newRig starts the servers and prepares devices, which say nothing yet. Each makes
// records records within pace of the machine's time.
func newRig(t *testing.T, p parts, devices, records int, pace time.Duration, withAgent bool) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "coldkeep-faults-") // not t.TempDir, where other users do not get to
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL and Mosquitto become other users
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is a temporary folder
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	t.Cleanup(cancel)
	r := &rig{T: t, ctx: ctx, dir: dir, parts: p, records: records, pace: pace, produced: make(chan struct{})}
	for name, mb := range p.tmpfs {
		r.mount(name, mb)
	}
	r.to = time.Now().UTC().Truncate(time.Minute)
	r.from = r.to.Add(-time.Duration(records) * spacing)
	r.cfg = fleet.Config{Site: site, Devices: devices, Seal: true, Batch: 60, GzipFrom: 1 << 10, ResendAfter: 3 * time.Second, Start: r.from, Spacing: spacing, Record: record,
		Account: func(i int) (string, string) { return string(site) + "/" + fmt.Sprintf("a-%d", i), password }}
	if long {
		r.cfg.ResendAfter = 30 * time.Second // the contract's own
	}

	r.registry, err = registryfake.New("", password)
	r.must(err)
	t.Cleanup(r.registry.Close)
	r.hook, err = webhookfake.New("")
	r.must(err)
	t.Cleanup(r.hook.Close)
	if withAgent {
		r.trace = r.newTrace()
	}
	r.registry.SetMirror(r.mirror())
	r.startServers()
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// agentName is the real agent's.
const agentName = "recorder"

func (r *rig) mirror() coldkeep.Mirror {
	sum := sha256.Sum256([]byte(password))
	secret := hex.EncodeToString(sum[:])
	m := coldkeep.Mirror{Revision: 1, Sites: []coldkeep.Site{{ID: site, Name: "Clinic", TimeZone: "UTC"}},
		OnCall: []coldkeep.OnCall{{Site: site, Webhooks: []string{r.hook.URL() + "/alert"}, RepeatAfter: 86_400}}}
	add := func(agent coldkeep.AgentID, probe coldkeep.ProbeID) {
		m.Devices = append(m.Devices, coldkeep.Device{Site: site, Agent: agent, SecretSHA256: secret})
		m.Appliances = append(m.Appliances, coldkeep.Appliance{ID: appliance(agent), Site: site, Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true})
		m.Assignments = append(m.Assignments, coldkeep.Assignment{Series: coldkeep.Series{Site: site, Agent: agent, Probe: probe}, Appliance: appliance(agent), From: r.from.Add(-time.Hour)})
	}
	for i := range r.cfg.Devices {
		add(coldkeep.AgentID(fmt.Sprintf("a-%d", i)), fleet.Probe)
	}
	if r.trace != nil {
		add(agentName, traceProbe)
	}
	return m
}

func appliance(agent coldkeep.AgentID) coldkeep.ApplianceID {
	return coldkeep.ApplianceID("fridge-" + string(agent))
}

// process ends a program with the test and shows what it said if that failed.
func (r *rig) manage(p *servers.Process) *servers.Process {
	r.Cleanup(func() {
		kill9(p)
		if r.Failed() {
			r.Logf("--- %s said:\n%s", p.Name, p.Log().Tail(3000))
		}
	})
	return p
}

func (r *rig) secret(name string) string {
	path := filepath.Join(r.dir, name)
	r.must(os.WriteFile(path, []byte(password+"\n"), 0o600))
	return path
}

func (r *rig) freeAddr() string {
	addr, err := servers.FreeAddr()
	r.must(err)
	return addr
}

func (r *rig) startServers() {
	secret := r.secret("secret")
	r.brokerAddr = r.freeAddr()
	var err error
	if r.parts.mosquitto {
		users := servers.Users{"collector": password}
		for _, d := range r.mirror().Devices {
			users[string(d.Site)+"/"+string(d.Agent)] = password
		}
		acl, err := os.ReadFile("../../deploy/mosquitto/acl")
		r.must(err)
		r.broker, err = servers.Mosquitto(r.ctx, filepath.Join(r.dir, "mosquitto"), r.brokerAddr, users, string(acl), "")
		r.missing("Mosquitto", err)
		r.manage(r.broker)
	} else {
		r.broker = r.manage(&servers.Process{Name: "broker", Args: []string{program, "broker", "--mqtt", r.brokerAddr, "--collector-password-file", secret,
			"--registry-url", r.registry.URL(), "--registry-token-file", secret}})
		r.must(r.broker.Start())
		r.must(servers.Listening(r.ctx, r.brokerAddr))
	}
	addr := r.freeAddr()
	r.collectorURL = "http://" + addr
	r.collectorArgs = []string{program, "collector", "--broker", "tcp://" + r.brokerAddr, "--broker-password-file", secret,
		"--registry-url", r.registry.URL(), "--registry-token-file", secret, "--api-token-file", secret}
	if r.parts.influx {
		r.influx, r.influxURL, err = servers.Influx(r.ctx, filepath.Join(r.dir, "influx"))
		r.missing("InfluxDB", err)
		r.manage(r.influx)
		r.collectorArgs = append(r.collectorArgs, "--influx-url", r.influxURL, "--influx-bucket", servers.InfluxBucket)
	}
	if r.parts.postgres {
		var url string
		r.postgres, url, err = servers.Postgres(r.ctx, filepath.Join(r.dir, "postgres"))
		r.missing("PostgreSQL", err)
		r.manage(r.postgres)
		r.collectorArgs = append(r.collectorArgs, "--database", url)
	}
	r.collector = r.newCollector("collector", addr)
	r.must(r.collector.Start())
	r.ready()
}

// newCollector is a collector of the rig with its data in a folder of its own.
func (r *rig) newCollector(folder, addr string) *servers.Process {
	args := slices.Concat(r.collectorArgs, []string{"--data", filepath.Join(r.dir, folder), "--http", addr})
	return r.manage(&servers.Process{Name: folder, Args: args})
}

// asks makes a collector the one that the checks ask.
func (r *rig) asks(p *servers.Process, addr string) {
	r.Helper()
	r.collector, r.collectorURL = p, "http://"+addr
	r.ready()
}

// missing skips a test whose server is not installed, except in CI.
func (r *rig) missing(what string, err error) {
	r.Helper()
	if err != nil && os.Getenv("CI") == "" {
		r.Skipf("no %s: %v", what, err)
	}
	r.must(err)
}

// ready waits until the collector says that it and all it needs are well.
func (r *rig) ready() {
	r.Helper()
	r.must(servers.Until(r.ctx, time.Minute, func() error { return r.get(r.collectorURL+"/readyz", nil) }))
}

// get asks a JSON or text endpoint.
func (r *rig) get(url string, into any) error {
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+password)
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %.200s", url, resp.Status, body)
	}
	if err != nil || into == nil {
		return err
	}
	if s, ok := into.(*string); ok {
		*s = string(body)
		return nil
	}
	return json.Unmarshal(body, into)
}

// stream lets the fleet, and the real agent if there is one, produce.
func (r *rig) stream() {
	r.cfg.Broker = r.brokerAddr
	if r.proxied != "" {
		r.cfg.Broker = r.proxied
	}
	r.fleet = fleet.New(r.cfg)
	r.fleet.PowerOn()
	r.Cleanup(r.fleet.PowerOff)
	if r.trace != nil {
		r.startAgent()
	}
	go r.produce()
}

// produce makes the records of each device, over the pace or all at once. Devices
// without power make none meanwhile, and their clocks go on: what they make later
// has its own times.
func (r *rig) produce() {
	defer close(r.produced)
	if r.pace == 0 {
		r.fleet.Produce(r.records)
		return
	}
	const step = 50 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	steps := int(r.pace / step)
	for done, i := 0, 1; i <= steps; i++ {
		n := r.records * i / steps
		r.fleet.Produce(n - done)
		done = n
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			return
		}
	}
}

// at waits until a share of the records has been produced.
func (r *rig) at(share float64) {
	r.Helper()
	want := int64(share * float64(r.records*r.cfg.Devices))
	r.must(servers.Until(r.ctx, r.pace+time.Minute, func() error {
		if n := r.fleet.Produced(); n < want {
			return fmt.Errorf("%d records produced, want %d", n, want)
		}
		return nil
	}))
}

// some waits until some records, but not all, are acknowledged.
func (r *rig) acked(share float64) {
	r.Helper()
	want := int64(share * float64(r.records*r.cfg.Devices))
	r.must(servers.Until(r.ctx, r.pace+3*time.Minute, func() error {
		if n := r.fleet.Acked(); n < want {
			return fmt.Errorf("%d records acknowledged, want %d", n, want)
		}
		return nil
	}))
}

// pause lets the machine's time pass.
func (r *rig) pause(d time.Duration) { _ = coldkeep.RealClock{}.Sleep(r.ctx, d) }

// startAgent starts the real agent on its log.
func (r *rig) startAgent() {
	if r.agent == nil {
		broker := r.brokerAddr
		if r.proxied != "" {
			broker = r.proxied
		}
		speed := 0.0
		if r.pace > 0 {
			speed = float64(r.records) * spacing.Seconds() / r.pace.Seconds()
		}
		r.agent = r.manage(&servers.Process{Name: "agent", Args: []string{agentProgram, "--site", string(site), "--agent", agentName, "--broker", "tcp://" + broker,
			"--password-file", filepath.Join(r.dir, "secret"), "--data", filepath.Join(r.dir, "agent"), "--driver", "trace", "--trace", r.trace.path,
			"--trace-speed", strconv.FormatFloat(speed, 'f', -1, 64), "--exit-when-done"}})
	}
	r.must(r.agent.Start())
}

// drained waits until everything that was produced is acknowledged, and returns how
// long that took after the last record.
func (r *rig) drained(limit time.Duration) time.Duration {
	r.Helper()
	select {
	case <-r.produced:
	case <-r.ctx.Done():
		r.Fatal(r.ctx.Err())
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	if err := r.fleet.Drained(ctx); err != nil {
		r.Errorf("not all is acknowledged: %v", err)
	}
	if r.agent != nil {
		select {
		case <-r.agent.Done():
		case <-ctx.Done():
			r.Error("the agent has not got everything acknowledged")
		}
	}
	return time.Since(began)
}

// kill9 kills programs with all that they have started, at once.
func kill9(ps ...*servers.Process) {
	signal(syscall.SIGKILL, ps...)
	for _, p := range ps {
		if p != nil {
			p.Kill()
		}
	}
}

// signal sends a signal to programs and all that they have started.
func signal(s syscall.Signal, ps ...*servers.Process) {
	var pids []int
	for _, p := range ps {
		if p == nil || p.PID() == 0 {
			continue
		}
		select {
		case <-p.Done(): // its number may be another's by now
		default:
			pids = append(pids, family(p.PID())...)
		}
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, s) // it may have ended
	}
}

// family is a process and its descendants, parents first.
func family(pid int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		text := string(b)
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		id, _ := strconv.Atoi(strings.Fields(text)[0])
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], id)
	}
	out := []int{pid}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out
}

// restart starts a server again and waits until it stays: PostgreSQL refuses while
// what is left of its former life ends.
func (r *rig) restart(p *servers.Process) {
	r.Helper()
	r.must(servers.Until(r.ctx, time.Minute, func() error {
		if err := p.Start(); err != nil {
			return err
		}
		select {
		case <-p.Done():
			p.Kill()
			return errors.New(p.Name + " has ended again")
		case <-time.After(300 * time.Millisecond):
			return nil
		}
	}))
}

// mount puts a folder of the rig on a disk of its own.
func (r *rig) mount(name string, mb int) {
	r.Helper()
	path := filepath.Join(r.dir, name)
	r.must(os.MkdirAll(path, 0o755)) //nolint:gosec // other users' servers work in it
	if os.Geteuid() != 0 {
		r.Skip("a small disk can only be mounted as root")
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=755", mb)); err != nil {
		r.Skipf("no small disk: %v", err) // a container may not let us
	}
	r.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) }) // it goes with its folder
}

// fill takes all room of a folder's disk; free gives it back.
func (r *rig) fill(folder string) (free func()) {
	r.Helper()
	path := filepath.Join(r.dir, folder, "ballast")
	f, err := os.Create(path)
	r.must(err)
	block := make([]byte, 64<<10)
	for size := len(block); size > 0; {
		if _, err := f.Write(block[:size]); err != nil {
			size /= 2
		}
	}
	_ = f.Close() // there is no room for what it might have to say
	return func() { r.must(os.Remove(path)) }
}
