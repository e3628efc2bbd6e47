// Command collector measures the collector on real parts: Mosquitto, InfluxDB and
// the coldkeep program itself, each a process of its own, all on loopback, under a
// fleet of devices that keep and send again what is not acknowledged. Beside its
// figures stand the raw write speed of the same InfluxDB in the same run, the physical
// limit, and Telegraf's when there is a telegraf on PATH.
//
//	go run ./bench/collector                              # everything, some minutes
//	go run ./bench/collector -scenario batches,raw        # some of it
//	go run ./bench/collector -seconds 20 -agents 200
//
// Machines are noisy: compare ratios of one run, and run it more than once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// scenario is one load on one arrangement of parts.
type scenario struct {
	name  string
	agent int  // devices; 0 is what the flag says
	batch int  // records of a message
	seal  bool // chained, and sealed every thousand records
	rate  int  // messages a second of all devices, one a device in turn; 0 is as fast as it goes
	on    string
}

// What a scenario runs on.
const (
	onInflux   = "Mosquitto, InfluxDB" // and the collector's book in SQLite
	onUp       = "coldkeep up"         // embedded broker, SQLite, registry and screens in one process
	onTelegraf = "Telegraf"            // in the collector's place
)

var scenarios = []scenario{
	{"singles", 0, 1, false, 0, onInflux},
	{"singles-sealed", 0, 1, true, 0, onInflux},
	{"batches", 0, 60, false, 0, onInflux},
	{"batches-sealed", 0, 60, true, 0, onInflux},
	{"embedded-singles", 0, 1, false, 0, onUp},
	{"embedded", 0, 60, false, 0, onUp},
	{"embedded-sealed", 0, 60, true, 0, onUp},
	{"latency", 1000, 1, false, 1000, onInflux},
	{"telegraf-singles", 0, 1, false, 0, onTelegraf},
	{"telegraf-batches", 0, 60, false, 0, onTelegraf},
	{"telegraf-latency", 1000, 1, false, 1000, onTelegraf},
}

// settling is the least warm-up where latency is measured: a collector reads every
// appliance's past once before it judges it from memory.
const settling = 15 * time.Second

// options are the flags.
type options struct {
	only    []string
	agents  int
	seconds time.Duration
	warm    time.Duration
	logs    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	names := []string{"raw"}
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	only := flag.String("scenario", "", "run only these, separated by commas: "+strings.Join(names, ", "))
	seconds := flag.Int("seconds", 15, "how long each is measured, after the warm-up")
	warm := flag.Int("warm-up", 5, "seconds before")
	agents := flag.Int("agents", 100, "devices, where a scenario does not say")
	logs := flag.Bool("logs", false, "show what the programs said")
	flag.Parse()
	o := options{agents: *agents, seconds: time.Duration(*seconds) * time.Second, warm: time.Duration(*warm) * time.Second, logs: *logs}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			fmt.Fprintf(os.Stderr, "bench/collector: there is no scenario %q, but %s\n", name, strings.Join(names, ", "))
			os.Exit(2)
		}
	}
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/collector:", err)
		os.Exit(1)
	}
}

func (o *options) wants(name string) bool { return len(o.only) == 0 || slices.Contains(o.only, name) }

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "coldkeep-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()     // it is a temporary folder
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // Mosquitto becomes another user
		return err
	}
	program := filepath.Join(dir, "coldkeep")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/coldkeep/coldkeep/cmd/coldkeep")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	telegraf, telegrafErr := exec.LookPath("telegraf")
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Printf("load before: %s", load)
	}
	fmt.Println()
	fmt.Println(header)
	if o.wants("raw") {
		if err := raw(ctx, filepath.Join(dir, "raw"), o); err != nil {
			return fmt.Errorf("raw: %w", err)
		}
	}
	var failed []error
	for i, s := range scenarios {
		if !o.wants(s.name) {
			continue
		}
		if s.on == onTelegraf && telegrafErr != nil {
			fmt.Printf("| %s: no telegraf on PATH, not run | | | | | | | | | | | | | |\n", s.name)
			continue
		}
		o := o
		if s.agent == 0 {
			s.agent = o.agents
		}
		if s.rate > 0 {
			o.warm = max(o.warm, settling)
		}
		b := bench{options: o, scenario: s, ctx: ctx, dir: filepath.Join(dir, fmt.Sprint(i)), program: program, telegraf: telegraf}
		err := b.run()
		b.stop()
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
			fmt.Printf("| %s: failed, see below | | | | | | | | | | | | | |\n", s.name)
		}
	}
	return errors.Join(failed...)
}
