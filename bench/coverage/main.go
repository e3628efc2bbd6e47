// Command coverage measures the assessment of coverage on this machine:
//
//	go run ./bench/coverage [-engine postgres|sqlite] [-patients 100000] [-at URL|FOLDER]
//
// It starts a PostgreSQL of its own (as delivered, but without fsync), fills a database with an
// invented population, and makes assessments as the registry does, beside everything that they
// read and keep: of the whole programme by three measures, by one for children and by one for
// everybody, and of one practice. Beside each stands the physical limit: the same people read
// by the same queries with as many workers, and nothing done with them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/bench/population"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/store"
)

func main() {
	config := population.Flags()
	patients := flag.Int("patients", 100_000, "size of the population")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *config, *patients); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, c population.Config, patients int) (err error) {
	server, err := population.Start(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	r, err := server.Registry(ctx, patients, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return measure(ctx, w, c.Engine, r)
}

type fixed struct{ e *forecast.Engine }

func (f fixed) Engine() *forecast.Engine { return f.e }

// task is an assessment that is measured.
type task struct {
	name string
	ask  coverage.Ask
}

func measure(ctx context.Context, w io.Writer, engine string, r *population.Registry) error {
	fmt.Fprintf(w, "%s\n%s\n\n", population.Machine(engine), r)
	fmt.Fprintf(w, "| assessment | people read | took | people/s | raw reading/s | of the limit |\n|---|---|---|---|---|---|\n")
	svc := coverage.New(r.Store.Coverage(), fixed{forecast.New(forecast.Builtin())}, coldkeep.RealClock{})
	practice := r.People.Sites()[0].ID
	for _, t := range []task{
		{"programme, 4:3:1:3:3:1:4", coverage.Ask{Measures: []string{"4313314"}}},
		{"programme, under 18, seven measures", coverage.Ask{Measures: []string{"4313314", "4313314-24", "cis-3", "cis-7", "cis-10", "teen", "ima-2"}, Ages: coverage.Ages{From: "0 days", Until: "18 years"}}},
		{"programme, everybody, influenza", coverage.Ask{Measures: []string{"influenza"}}},
		{"one practice, 4:3:1:3:3:1:4, a trend of 12 months", coverage.Ask{Site: practice, Measures: []string{"4313314"}, Months: 12}},
	} {
		if err := one(ctx, w, r.Store, svc, t); err != nil {
			return err
		}
	}
	return nil
}

func one(ctx context.Context, w io.Writer, s *store.Store, svc *coverage.Service, t task) error {
	by := auth.Principal{ID: "bench", Name: "Bench", Role: auth.StateAdmin}
	r, err := svc.Begin(ctx, by, t.ask)
	if err != nil {
		return err
	}
	// The raw reading goes first, so that the assessment does not pay for cold pages alone.
	raw, people, err := read(ctx, s, &r)
	if err != nil {
		return err
	}
	start := time.Now()
	if _, err := svc.Step(ctx); err != nil {
		return err
	}
	took := time.Since(start)
	out, err := svc.Get(ctx, by, r.ID)
	if err != nil {
		return err
	}
	if out.State != coverage.Done {
		return fmt.Errorf("%s: %s %s", t.name, out.State, out.Trouble)
	}
	rate, limit := float64(out.Done)/took.Seconds(), float64(people)/raw.Seconds()
	fmt.Fprintf(w, "| %s | %d | %s | %.0f | %.0f | %.0f %% |\n", t.name, out.Done, took.Round(time.Millisecond), rate, limit, 100*rate/limit)
	return nil
}

// read reads the people that an assessment is about and does nothing with them.
func read(ctx context.Context, s *store.Store, r *coverage.Run) (time.Duration, int64, error) {
	first, last := births(r)
	c := s.Coverage()
	start := time.Now()
	jobs := make(chan []string, runtime.GOMAXPROCS(0))
	var n atomic.Int64
	var wg sync.WaitGroup
	var failed error
	var once sync.Once
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for ids := range jobs {
				people, err := c.CoveragePeople(ctx, ids)
				if err != nil {
					once.Do(func() { failed = err })
				}
				n.Add(int64(len(people)))
			}
		})
	}
	const together = 500 // as the registry reads
	err := func() error {
		defer close(jobs)
		if r.Site != "" {
			all, err := c.CoverageHeadsOf(ctx, r.Site, r.Asked.Basis, first, last)
			for at := 0; at < len(all); at += together {
				jobs <- all[at:min(at+together, len(all))]
			}
			return err
		}
		for after := (coverage.Head{Birth: first}); ; {
			some, err := c.CoverageHeads(ctx, first, last, after, together)
			if err != nil || len(some) == 0 {
				return err
			}
			ids := make([]string, len(some))
			for i := range some {
				ids[i] = some[i].ID
			}
			jobs <- ids
			after = some[len(some)-1]
		}
	}()
	wg.Wait()
	return time.Since(start), n.Load(), errors.Join(err, failed)
}

func births(r *coverage.Run) (first, last coldkeep.Date) {
	return coverage.Births(r, forecast.New(forecast.Builtin()))
}
