// Command agent measures what the program at the fridge costs: CPU, memory, bytes
// written to the card, the size of its builds, and how soon a backlog is delivered,
// each beside the goal for a Raspberry Pi Zero with an SD card. See bench/README.md.
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
	"text/tabwriter"
	"time"
)

// The goals, for eight probes.
const (
	probes        = 8
	goalRSS       = 16.0 // MB
	goalDay       = 20.0 // MB written in a day at a reading a minute
	goalSizeARMv6 = 12.0 // MB
	backlogHours  = 72
)

type options struct {
	seconds int
	minutes int
	pace    float64
	env     []string
}

func main() {
	var o options
	flag.IntVar(&o.seconds, "seconds", 60, "how long the steady scenario is measured")
	flag.IntVar(&o.minutes, "minutes", 1440, "how many minutes of readings the day scenario plays; bytes are scaled to a day")
	flag.Float64Var(&o.pace, "pace", 25, "minutes of readings that the day scenario plays in a second")
	only := flag.String("scenario", "steady,day,drain,size", "which of them")
	env := flag.String("env", "GOMEMLIMIT=12MiB GOGC=50", "environment of the agent, as its unit sets it")
	flag.Parse()
	o.env = strings.Fields(*env)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		stop()
		os.Exit(1)
	}
}

// row is a line of the result.
type row struct{ what, measured, goal string }

func run(ctx context.Context, o options, only []string) error {
	dir, err := os.MkdirTemp("", "coldkeep-bench-agent-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // ours alone
	b := &bench{options: o, dir: dir, agent: filepath.Join(dir, "coldkeep-agent")}
	if err := build(ctx, b.agent); err != nil {
		return err
	}
	var rows []row
	for _, name := range only {
		scenario, ok := map[string]func(context.Context) ([]row, error){"steady": b.steady, "day": b.day, "drain": b.drain, "size": b.size}[name]
		if !ok {
			return fmt.Errorf("scenario %q: want steady, day, drain or size", name)
		}
		fmt.Fprintln(os.Stderr, name, "…")
		more, err := scenario(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rows = append(rows, more...)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tmeasured\tgoal")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.what, r.measured, r.goal)
	}
	return w.Flush()
}

// build builds the agent as it is released.
func build(ctx context.Context, to string, env ...string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w", "-o", to, "github.com/coldkeep/coldkeep/cmd/coldkeep-agent")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

type bench struct {
	options
	dir   string
	agent string
	n     int
}

// size builds for each processor.
func (b *bench) size(ctx context.Context) ([]row, error) {
	var rows []row
	for _, t := range []struct {
		name, goal string
		env        []string
	}{
		{"armv6", fmt.Sprintf("≤ %.0f MB", goalSizeARMv6), []string{"GOARCH=arm", "GOARM=6"}},
		{"arm64", "", []string{"GOARCH=arm64"}},
		{"amd64", "", []string{"GOARCH=amd64"}},
	} {
		to := filepath.Join(b.dir, "agent-"+t.name)
		if err := build(ctx, to, t.env...); err != nil {
			return nil, err
		}
		info, err := os.Stat(to)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{"stripped program, " + t.name, megabytes(info.Size()), t.goal})
	}
	return rows, nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }

// steady has eight thermometers read every second, each acknowledged.
func (b *bench) steady(ctx context.Context) ([]row, error) {
	c, err := newCollector("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer c.stop()
	root, err := tree(b.dir)
	if err != nil {
		return nil, err
	}
	p, err := b.start(ctx, c.addr, "--w1-root", root, "--interval", "1s")
	if err != nil {
		return nil, err
	}
	defer p.end()
	if err := c.until(ctx, time.Minute, func() bool { return c.acked >= 10*probes }); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, p.log.String())
	}
	before, err := p.usage()
	if err != nil {
		return nil, err
	}
	records := c.durable()
	begin := time.Now()
	var most int64
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range b.seconds {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
		u, err := p.usage()
		if err != nil {
			return nil, err
		}
		most = max(most, u.rss)
	}
	after, err := p.usage()
	if err != nil {
		return nil, err
	}
	passed := time.Since(begin)
	return []row{
		{"8 probes at 1 s: records acknowledged", fmt.Sprintf("%d in %.0f s", c.durable()-records, passed.Seconds()), ""},
		{"8 probes at 1 s: CPU, one core of this machine", fmt.Sprintf("%.2f %%", 100*(after.cpu-before.cpu).Seconds()/passed.Seconds()), ""},
		{"8 probes at 1 s: resident memory, most of it seen", megabytes(most), fmt.Sprintf("≤ %.0f MB", goalRSS)},
		{"  of which the program's own pages", megabytes(after.file), ""},
		{"  of which heap, stacks and SQLite", megabytes(after.anon), ""},
		{"8 probes at 1 s: written a day at this rate", megabytes(int64(float64(after.written-before.written) / passed.Seconds() * 86_400)), ""},
	}, nil
}

// day plays a day of eight probes at a reading a minute, quicker: every minute's
// readings are one batch, acknowledged before the next comes, as at the real pace.
func (b *bench) day(ctx context.Context) ([]row, error) {
	c, err := newCollector("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer c.stop()
	file := filepath.Join(b.dir, "day.csv")
	if err := trace(file, b.minutes); err != nil {
		return nil, err
	}
	p, err := b.start(ctx, c.addr, "--driver", "trace", "--trace", file, "--trace-speed", fmt.Sprint(60*b.pace))
	if err != nil {
		return nil, err
	}
	ended := false
	defer func() {
		if !ended {
			p.end()
		}
	}()
	want := int64(b.minutes * probes)
	if err := c.until(ctx, time.Duration(float64(b.minutes)/b.pace)*time.Second+time.Minute, func() bool { return c.acked >= want }); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, p.log.String())
	}
	u, err := p.usage()
	if err != nil {
		return nil, err
	}
	ended = true
	p.end() // which brings the log into the file
	perDay := float64(u.written) * 1440 / float64(b.minutes)
	return []row{
		{"8 probes a minute apart: written to disk a day", megabytes(int64(perDay)), fmt.Sprintf("≤ %.0f MB", goalDay)},
		{"  batches and acknowledgements in it", fmt.Sprintf("%d for %d minutes", c.batches, b.minutes), ""},
		{"  a year of it on disk, undelivered records included", megabytes(fileSize(p.data) * 365 * 1440 / int64(b.minutes)), "≤ 1074 MB, the outbox's bound"},
	}, nil
}

func fileSize(data string) int64 {
	info, err := os.Stat(filepath.Join(data, "outbox.db"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// drain records three days without a broker and then delivers them.
func (b *bench) drain(ctx context.Context) ([]row, error) {
	c, err := newCollector("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := c.addr
	c.stop()
	file := filepath.Join(b.dir, "backlog.csv")
	if err := trace(file, backlogHours*60); err != nil {
		return nil, err
	}
	p, err := b.start(ctx, addr, "--driver", "trace", "--trace", file, "--trace-speed", "0")
	if err != nil {
		return nil, err
	}
	defer p.end()
	begin := time.Now()
	for !strings.Contains(p.log.String(), "source is at its end") {
		if ctx.Err() != nil || time.Since(begin) > 5*time.Minute {
			return nil, fmt.Errorf("the backlog is not recorded\n%s", p.log.String())
		}
		time.Sleep(100 * time.Millisecond)
	}
	if c, err = newCollector(addr); err != nil {
		return nil, err
	}
	defer c.stop()
	want := int64(backlogHours * 60 * probes)
	if err := c.until(ctx, 5*time.Minute, func() bool { return c.acked >= want }); err != nil {
		return nil, fmt.Errorf("%w: %d of %d\n%s", err, c.durable(), want, p.log.String())
	}
	passed := c.lastAck.Sub(c.firstBatch)
	u, err := p.usage()
	if err != nil {
		return nil, err
	}
	return []row{
		{fmt.Sprintf("%d h backlog, %d records: delivered in", backlogHours, c.durable()), fmt.Sprintf("%.2f s", passed.Seconds()), ""},
		{"  most resident memory until then", megabytes(u.peak), ""},
	}, nil
}
