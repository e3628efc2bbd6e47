// Command collector measures the collector on real parts: Mosquitto, InfluxDB and
// the coldkeep program itself, all on loopback, under a load generator that speaks
// the wire contract. Beside its figures stands the raw write speed of the same
// InfluxDB in the same run, the physical limit.
//
//	go run ./bench/collector                      # all scenarios, a few minutes
//	go run ./bench/collector -scenario batches    # one of them
//
// Machines are noisy: compare ratios of one run, and run it more than once.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// scenario is one load.
type scenario struct {
	name   string
	agents int
	each   int // records of an agent
	batch  int // records of a message
	rate   int // messages a second over all agents; 0 is as fast as it goes
	influx bool
	broker string // mosquitto or embedded
}

var scenarios = []scenario{
	{"singles", 100, 2000, 1, 0, true, "mosquitto"},
	{"batches", 100, 30_000, 60, 0, true, "mosquitto"},
	{"embedded", 100, 30_000, 60, 0, false, "embedded"},
	{"latency", 1000, 20, 1, 1000, true, "mosquitto"},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	only := flag.String("scenario", "", "run only this one: singles, batches, embedded, latency or raw")
	flag.Parse()
	if err := run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench/collector:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string) error {
	dir, err := os.MkdirTemp("", "coldkeep-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()     // it is a temporary folder
	if err := os.Chmod(dir, 0o755); err != nil { // Mosquitto becomes another user
		return err
	}
	program := filepath.Join(dir, "coldkeep")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/coldkeep/coldkeep/cmd/coldkeep")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Printf("load before: %s\n", strings.TrimSpace(string(load)))
	}
	fmt.Println("| scenario | readings | lost | readings/s | CPU-s per 100k | peak RSS MB | age when durable p50 ms | p99 ms |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	if only == "" || only == "raw" {
		if err := raw(ctx, dir); err != nil {
			return fmt.Errorf("raw: %w", err)
		}
	}
	for i, s := range scenarios {
		if only != "" && only != s.name {
			continue
		}
		if err := measure(ctx, filepath.Join(dir, fmt.Sprint(i)), program, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if path, err := exec.LookPath("telegraf"); err != nil {
		fmt.Println("| telegraf | not on PATH, not run | | | | | | |")
	} else {
		fmt.Printf("| telegraf | found at %s; its run is described in bench/collector/README.md | | | | | | |\n", path)
	}
	return nil
}

func row(name string, readings, lost int64, took time.Duration, cpu time.Duration, rss int64, p50, p99 string) {
	rate, per := float64(readings)/took.Seconds(), cpu.Seconds()/float64(readings)*100_000
	mb := "–"
	if rss > 0 {
		mb = fmt.Sprint(rss / 1024)
	}
	fmt.Printf("| %s | %d | %d | %.0f | %.2f | %s | %s | %s |\n", name, readings, lost, rate, per, mb, p50, p99)
}
