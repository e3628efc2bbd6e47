package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/internal/faultproxy"
	"github.com/coldkeep/coldkeep/internal/servers"
)

// long asks for the long form: more devices, more rounds, the contract's own
// patience.
var long = os.Getenv("COLDKEEP_FAULTS") == "long"

// program and agentProgram are what TestMain has built.
var program, agentProgram string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "coldkeep-faults-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program, agentProgram = filepath.Join(dir, "coldkeep"), filepath.Join(dir, "coldkeep-agent")
	build := exec.Command("go", "build", "-o", dir, "github.com/coldkeep/coldkeep/cmd/coldkeep", "github.com/coldkeep/coldkeep/cmd/coldkeep-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	if err := printTable(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// scenario is a fault that is tried.
type scenario struct {
	name    string
	parts   parts
	devices int // in the short form
	records int // of each
	pace    time.Duration
	agent   bool // the real agent too
	// in one of the two forms only
	onlyLong, onlyShort bool
	// silent faults change what devices say so that it still makes sense. Nothing can
	// keep that out but TLS; it must be found by verify.
	silent bool
	// play does the fault while the devices produce, and returns what it did for the
	// table. Everything is up again when it returns.
	play func(r *rig) string
}

func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes of killing and starting again; not with -short")
	}
	for i, s := range scenarios {
		t.Run(strings.ReplaceAll(s.name, " ", "-")+"/"+s.parts.String(), func(t *testing.T) {
			if s.onlyLong && !long || s.onlyShort && long {
				t.Skip("in the other form only")
			}
			t.Cleanup(func() {
				if t.Skipped() {
					table.mu.Lock()
					table.skipped = append(table.skipped, s.name)
					table.mu.Unlock()
				}
			})
			t.Parallel()
			devices, records, pace := s.devices, s.records, s.pace
			if long {
				devices, records, pace = devices*3, records*2, pace*3
			}
			r := newRig(t, s.parts, devices, records, pace, s.agent)
			note := s.play(r)
			patience := 90 * time.Second
			if long {
				patience = 10 * time.Minute
			}
			r.check(i, s, r.drained(patience), note)
		})
	}
}

var scenarios = []scenario{
	{name: "nothing", parts: embedded, devices: 6, records: 600, pace: 4 * time.Second, agent: true, play: func(r *rig) string { r.stream(); return "" }},
	{name: "power cut of the box, no backlog", parts: embedded, devices: 6, records: 600, pace: 8 * time.Second, agent: true, play: powerCut},
	{name: "power cut of the box, no backlog", parts: real, devices: 6, records: 600, pace: 8 * time.Second, agent: true, play: powerCut},
	{name: "power cut of the box, with a backlog", parts: embedded, devices: 12, records: 1000, agent: true, play: powerCutBacklog},
	{name: "power cut of the box, with a backlog", parts: real, devices: 12, records: 1000, agent: true, play: powerCutBacklog},
	{name: "collector killed at random", parts: embedded, devices: 6, records: 600, pace: 10 * time.Second, play: killCollector},
	{name: "collector killed at random", parts: real, devices: 6, records: 600, pace: 10 * time.Second, play: killCollector},
	{name: "InfluxDB stopped, killed, restarted", parts: real, devices: 6, records: 600, pace: 10 * time.Second, play: func(r *rig) string { return trouble(r, r.influx) }},
	{name: "PostgreSQL stopped, killed, restarted", parts: real, devices: 6, records: 600, pace: 10 * time.Second, play: func(r *rig) string { return trouble(r, r.postgres) }},
	{name: "Mosquitto stopped, killed, restarted", parts: real, devices: 6, records: 600, pace: 10 * time.Second, play: func(r *rig) string { return trouble(r, r.broker) }},
	{name: "embedded broker stopped, killed, restarted", parts: embedded, devices: 6, records: 600, pace: 10 * time.Second, play: func(r *rig) string { return trouble(r, r.broker) }},
	{name: "messages doubled, reordered, delayed, cut, lost after the broker's word", parts: embedded, devices: 6, records: 600, pace: 8 * time.Second, play: func(r *rig) string {
		return proxied(r, faultproxy.Faults{Duplicate: 0.1, Reorder: 0.1, Delay: 0.02, Lose: 0.1, Cut: 0.01}, faultproxy.Faults{Duplicate: 0.1, Reorder: 0.1, Delay: 0.02, Lose: 0.1, Cut: 0.01})
	}},
	{name: "messages doubled, reordered, delayed, cut, lost after the broker's word", parts: real, devices: 6, records: 600, pace: 8 * time.Second, play: func(r *rig) string {
		return proxied(r, faultproxy.Faults{Duplicate: 0.1, Reorder: 0.1, Delay: 0.02, Lose: 0.1, Cut: 0.01}, faultproxy.Faults{Duplicate: 0.1, Reorder: 0.1, Delay: 0.02, Lose: 0.1, Cut: 0.01})
	}},
	{name: "messages shortened and damaged", parts: embedded, devices: 6, records: 600, pace: 8 * time.Second, play: damaged},
	{name: "digits changed in plain messages", parts: embedded, devices: 6, records: 600, pace: 6 * time.Second, silent: true, play: digits},
	{name: "messages shortened and damaged", parts: real, devices: 6, records: 600, pace: 8 * time.Second, onlyLong: true, play: damaged},
	{name: "connections cut and left open without a word", parts: embedded, devices: 6, records: 600, pace: 8 * time.Second, play: quiet},
	{name: "disk full under ledger and readings", parts: parts{tmpfs: map[string]int{"collector": 48}}, devices: 6, records: 600, pace: 8 * time.Second, play: func(r *rig) string { return diskFull(r, "collector") }},
	{name: "disk full under the ledger", parts: parts{influx: true, tmpfs: map[string]int{"collector": 48}}, devices: 6, records: 600, pace: 8 * time.Second, play: func(r *rig) string { return diskFull(r, "collector") }},
	{name: "disk full under InfluxDB", parts: parts{influx: true, tmpfs: map[string]int{"influx": 96}}, devices: 6, records: 600, pace: 8 * time.Second, play: func(r *rig) string { return diskFull(r, "influx") }},
	{name: "disk full under PostgreSQL", parts: parts{mosquitto: true, postgres: true, tmpfs: map[string]int{"postgres": 256}}, devices: 6, records: 600, pace: 8 * time.Second, onlyLong: true, play: diskFullPostgres},
	{name: "disk full under the agent's outbox", parts: parts{tmpfs: map[string]int{"agent": 16}}, devices: 2, records: 600, pace: 8 * time.Second, agent: true, play: diskFullAgent},
	{name: "72 h of backlog at once", parts: embedded, devices: 67, records: 2160, onlyLong: true, play: backlog},
	{name: "72 h of backlog at once", parts: real, devices: 67, records: 2160, onlyLong: true, play: backlog},
	{name: "72 h of backlog at once, few devices", parts: real, devices: 10, records: 4320, onlyShort: true, play: backlog},
	{name: "of two collectors one is killed, then the other frozen", parts: real, devices: 6, records: 600, pace: 24 * time.Second, play: twoCollectors},
}

// everything is all that runs on the rig's machines.
func (r *rig) everything() []*servers.Process {
	all := []*servers.Process{r.broker, r.collector}
	for _, p := range []*servers.Process{r.influx, r.postgres, r.agent} {
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}

// blackout takes the power away and gives it back.
func (r *rig) blackout(dark time.Duration) {
	done := make(chan struct{})
	go func() {
		r.fleet.PowerOff()
		close(done)
	}()
	kill9(r.everything()...)
	<-done
	r.pause(dark)
	for _, p := range []*servers.Process{r.postgres, r.influx, r.broker, r.collector} {
		if p != nil {
			r.restart(p)
		}
	}
	r.fleet.PowerOn()
	if r.agent != nil {
		r.startAgent()
	}
	r.ready()
}

func powerCut(r *rig) string {
	r.stream()
	cuts := 2
	if long {
		cuts = 6
	}
	for i := range cuts {
		r.at(float64(i+1) / float64(cuts+1))
		r.blackout(500 * time.Millisecond)
	}
	return fmt.Sprintf("%d cuts", cuts)
}

// powerCutBacklog cuts the power while all devices deliver what they had kept.
func powerCutBacklog(r *rig) string {
	r.stream()
	cuts := 2
	if long {
		cuts = 6
	}
	for i := range cuts {
		r.acked(float64(i+1) / float64(cuts+2))
		r.blackout(200 * time.Millisecond)
	}
	return fmt.Sprintf("%d cuts", cuts)
}

func killCollector(r *rig) string {
	r.stream()
	rounds := 8
	if long {
		rounds = 60
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		r.pause(time.Duration(rng.Int64N(int64(1200 * time.Millisecond))))
		kill9(r.collector)
		r.restart(r.collector)
		if rng.IntN(2) == 0 { // else it dies again while it starts
			r.ready()
		}
	}
	r.ready()
	return fmt.Sprintf("%d times", rounds)
}

// trouble stops a server without a word, kills it, and restarts it in good order.
func trouble(r *rig, p *servers.Process) string {
	stopped, away := 3*time.Second, time.Second
	if long {
		stopped, away = 45*time.Second, 15*time.Second
	}
	r.stream()
	r.at(0.2)
	signal(syscall.SIGSTOP, p)
	r.pause(stopped)
	signal(syscall.SIGCONT, p)
	r.at(0.5)
	kill9(p)
	r.pause(away)
	r.restart(p)
	r.at(0.75)
	p.Stop(syscall.SIGINT)
	r.restart(p)
	return fmt.Sprintf("stopped for %v, away for %v", stopped, away)
}

// proxied puts bad networks between the devices and the broker.
func proxied(r *rig, up, down faultproxy.Faults) string {
	p := r.proxy(faultproxy.Config{Match: func(topic string) bool { return !strings.HasSuffix(topic, "/status") }})
	p.SetFaults(up, down)
	r.cfg.Batch = 5 // more messages
	r.stream()
	<-r.produced
	r.pause(2 * time.Second)
	c := p.Counts()
	if c.Faulty() == 0 {
		r.Error("the proxy has done nothing")
	}
	p.SetFaults(faultproxy.Faults{}, faultproxy.Faults{})
	return c.String()
}

// damaged shortens and damages what devices say. Their messages are compressed, so
// that damage shows by gzip's checksum; digits is for the others.
func damaged(r *rig) string {
	p := r.proxy(faultproxy.Config{Match: func(topic string) bool { return strings.HasSuffix(topic, "/readings") }})
	p.SetFaults(faultproxy.Faults{Truncate: 0.1, Corrupt: 0.1}, faultproxy.Faults{})
	r.cfg.Batch, r.cfg.GzipFrom = 30, 1
	r.stream()
	<-r.produced
	r.pause(2 * time.Second)
	c := p.Counts()
	if c.Faulty() == 0 {
		r.Error("the proxy has done nothing")
	}
	p.SetFaults(faultproxy.Faults{}, faultproxy.Faults{})
	return c.String()
}

// digits changes digits of what devices say in plain JSON.
func digits(r *rig) string {
	p := r.proxy(faultproxy.Config{Match: func(topic string) bool { return strings.HasSuffix(topic, "/readings") }, Damage: func(rng *rand.Rand, payload []byte) {
		for range 100 {
			if i := rng.IntN(len(payload)); payload[i] >= '0' && payload[i] <= '9' {
				payload[i] = '0' + (payload[i]-'0'+byte(1+rng.IntN(9)))%10 //nolint:gosec // below 10
				return
			}
		}
	}})
	p.SetFaults(faultproxy.Faults{Corrupt: 0.02}, faultproxy.Faults{})
	r.cfg.Batch, r.cfg.GzipFrom = 5, 0
	r.stream()
	<-r.produced
	r.pause(time.Second)
	p.SetFaults(faultproxy.Faults{}, faultproxy.Faults{})
	return p.Counts().String()
}

// quiet is a network that is there and carries nothing, and one that hangs up.
func quiet(r *rig) string {
	p := r.proxy(faultproxy.Config{})
	r.stream()
	r.at(0.2)
	p.Stall()
	r.pause(2 * time.Second)
	p.CutAll()
	p.Resume()
	for i := range 4 {
		r.at(0.3 + 0.15*float64(i))
		p.CutAll()
	}
	r.at(0.9)
	p.Stall()
	r.pause(4 * time.Second)
	p.Resume()
	return "two silences, five times cut"
}

// proxy stands between the devices and the broker.
func (r *rig) proxy(cfg faultproxy.Config) *faultproxy.Proxy {
	r.Helper()
	cfg.Target, cfg.Seed = r.brokerAddr, 1
	p, err := faultproxy.Start(cfg)
	r.must(err)
	r.Cleanup(p.Close)
	r.proxied = p.Addr()
	return p
}

// backlog has every device deliver three days at once.
func backlog(r *rig) string {
	r.stream()
	return fmt.Sprintf("%d readings each", r.records)
}
