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
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/servers"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/simulate"
	"github.com/coldkeep/coldkeep/registry/simulate/fill"
	"github.com/coldkeep/coldkeep/registry/store"
)

func main() {
	engine := flag.String("engine", "postgres", "postgres or sqlite")
	patients := flag.Int("patients", 100_000, "size of the population")
	at := flag.String("at", "", "URL of a PostgreSQL server, or a folder for SQLite, to use in place of own ones: its database is kept, and measured again when it is there")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *engine, *at, *patients); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, engine, at string, patients int) (err error) {
	dir, err := os.MkdirTemp("", "bench-coverage-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the server's own user must get to its folder
		return err
	}
	where := filepath.Join(cmp.Or(at, dir), fmt.Sprintf("coverage%d.db", patients))
	switch engine {
	case "sqlite":
	case "postgres":
		if at == "" {
			var p *servers.Process
			if p, at, err = servers.Postgres(ctx, filepath.Join(dir, "postgres")); err != nil {
				return err
			}
			defer p.Stop(syscall.SIGINT)
		}
		if where, err = create(ctx, at, fmt.Sprintf("coverage%d", patients)); err != nil {
			return err
		}
	default:
		return fmt.Errorf("engine %q: want postgres or sqlite", engine)
	}
	return measure(ctx, w, engine, where, patients)
}

func create(ctx context.Context, server, name string) (string, error) {
	of, err := url.Parse(server)
	if err != nil {
		return "", errors.New("the server's URL is not readable")
	}
	of.Path = "/" + name
	db, err := database.Open(ctx, server)
	if err != nil {
		return "", err
	}
	_, err = db.ExecContext(ctx, "CREATE DATABASE "+name)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P04" { // duplicate_database: kept from an earlier run
		err = nil
	}
	return of.String(), errors.Join(err, db.Close())
}

type fixed struct{ e *forecast.Engine }

func (f fixed) Engine() *forecast.Engine { return f.e }

// task is an assessment that is measured.
type task struct {
	name string
	ask  coverage.Ask
}

func measure(ctx context.Context, w io.Writer, engine, where string, patients int) (err error) {
	db, err := database.Open(ctx, where)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := store.Open(ctx, db)
	if err != nil {
		return err
	}
	today := coldkeep.DateOf(time.Now())
	p, err := simulate.New(simulate.Config{Seed: 1, Patients: patients, Duplicates: 0.03, Today: today})
	if err != nil {
		return err
	}
	if _, err = fill.Fill(ctx, s, p, time.Now(), nil); err != nil && coldkeep.ErrorCode(err) != coldkeep.ECONFLICT { // a kept one
		return err
	}
	settle := "ANALYZE"
	if db.Postgres() {
		settle = "VACUUM (ANALYZE)"
	}
	if _, err := db.ExecContext(ctx, settle); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %s, %d cores, %d patients, load %s\n\n", engine, runtime.Version(), runtime.NumCPU(), patients, load())
	fmt.Fprintf(w, "| assessment | people read | took | people/s | raw reading/s | of the limit |\n|---|---|---|---|---|---|\n")
	svc := coverage.New(s.Coverage(), fixed{forecast.New(forecast.Builtin())}, coldkeep.RealClock{})
	practice := p.Sites()[0].ID
	for _, t := range []task{
		{"programme, 4:3:1:3:3:1:4", coverage.Ask{Measures: []string{"4313314"}}},
		{"programme, under 18, seven measures", coverage.Ask{Measures: []string{"4313314", "4313314-24", "cis-3", "cis-7", "cis-10", "teen", "ima-2"}, Ages: coverage.Ages{From: "0 days", Until: "18 years"}}},
		{"programme, everybody, influenza", coverage.Ask{Measures: []string{"influenza"}}},
		{"one practice, 4:3:1:3:3:1:4, a trend of 12 months", coverage.Ask{Site: practice, Measures: []string{"4313314"}, Months: 12}},
	} {
		if err := one(ctx, w, s, svc, t); err != nil {
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

func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	f := strings.Fields(string(b))
	return strings.Join(f[:min(3, len(f))], " ")
}
