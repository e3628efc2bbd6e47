// Command registry measures the registry at the size of a state on this machine:
//
//	go run ./bench/registry [-engine postgres|sqlite] [-patients 100000,1000000] [-calls 2000] [-at URL|FOLDER]
//
// It starts a PostgreSQL of its own (as delivered, but without fsync), fills a database of
// each size with an invented population, and calls the services as the screens do, with
// their checks and their entries in the audit trail: searches, a patient's page with
// history and forecast, and doses that are recorded. The goals at 1,000,000 patients are 20,
// 50 and 10 ms for 99 of 100, and growth with the size at most logarithmic. Beside them
// stands the least that a transaction of one row takes in the same run, which is the
// physical limit, and how busy the machine was with other things.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep/bench/population"
)

func main() {
	config := population.Flags()
	patients := flag.String("patients", "100000,1000000", "sizes to measure at")
	calls := flag.Int("calls", 2000, "calls of each kind that are measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *config, *patients, *calls); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, c population.Config, sizes string, calls int) (err error) {
	fmt.Fprintln(w, population.Machine(c.Engine))
	server, err := population.Start(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	var all []*caller
	for size := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil || n < 100 {
			return fmt.Errorf("%q is not a number of patients from 100", size)
		}
		r, err := server.Registry(ctx, n, os.Stderr)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		b, err := newCaller(ctx, r, n, c.Seed)
		if err != nil {
			return err
		}
		all = append(all, b)
	}
	before := population.Load()
	if err := measure(all, calls); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s before, %s after\n", before, population.Load())
	for i, b := range all {
		fmt.Fprintf(w, "\n%s\n", b.r)
		b.f.print(w)
		if err := plans(ctx, w, b.r.DB); err != nil {
			return err
		}
		if i > 0 {
			b.f.growth(w, all[i-1].f)
		}
	}
	return nil
}

// growth compares two sizes: what grows with the logarithm of the patients at most grows
// by the ratio of the logarithms.
func (f *figures) growth(w io.Writer, before *figures) {
	allowed := math.Log(float64(f.patients)) / math.Log(float64(before.patients))
	fmt.Fprintf(w, "\nfrom %d to %d patients, p50 and p99 times (logarithmic growth would be ×%.2f; the empty transaction shows the machine's own change):\n", before.patients, f.patients, allowed)
	for i := range f.kinds {
		a, b := &before.kinds[i], &f.kinds[i]
		fmt.Fprintf(w, "  %-34s ×%.2f  ×%.2f\n", b.name, ratio(b.at(0.5), a.at(0.5)), ratio(b.at(0.99), a.at(0.99)))
	}
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }
