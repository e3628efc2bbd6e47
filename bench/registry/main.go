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
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/servers"
	"github.com/coldkeep/coldkeep/registry/simulate"
	"github.com/coldkeep/coldkeep/registry/simulate/fill"
	"github.com/coldkeep/coldkeep/registry/store"
)

func main() {
	engine := flag.String("engine", "postgres", "postgres or sqlite")
	patients := flag.String("patients", "100000,1000000", "sizes to measure at")
	calls := flag.Int("calls", 2000, "calls of each kind that are measured")
	seed := flag.Uint64("seed", 1, "of the population and the calls")
	at := flag.String("at", "", "URL of a PostgreSQL server, or a folder for SQLite, to use in place of own ones: its databases size… are kept, and measured again when they are there")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *engine, *at, *patients, *calls, *seed); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, engine, at, sizes string, calls int, seed uint64) (err error) {
	dir, err := os.MkdirTemp("", "bench-registry-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the server's own user must get to its folder
		return err
	}
	fmt.Fprintf(w, "%s, %d cores, %s/%s, %s\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, machineLoad())
	if engine == "postgres" && at == "" {
		var p *servers.Process
		if p, at, err = servers.Postgres(ctx, filepath.Join(dir, "postgres")); err != nil {
			return err
		}
		defer p.Stop(syscall.SIGINT)
	} else if engine != "postgres" && engine != "sqlite" {
		return fmt.Errorf("engine %q: want postgres or sqlite", engine)
	}
	var before *figures
	for size := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil || n < 100 {
			return fmt.Errorf("%q is not a number of patients from 100", size)
		}
		where := filepath.Join(cmp.Or(at, dir), "size"+size+".db")
		if engine == "postgres" {
			if where, err = createDatabase(ctx, at, "size"+size); err != nil {
				return err
			}
		}
		f, err := measureAt(ctx, w, where, n, calls, seed)
		if err != nil {
			return err
		}
		if before != nil {
			f.growth(w, before)
		}
		before = f
	}
	return nil
}

func createDatabase(ctx context.Context, server, name string) (string, error) {
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

// measureAt fills a database and measures it.
func measureAt(ctx context.Context, w io.Writer, where string, patients, calls int, seed uint64) (f *figures, err error) {
	db, err := database.Open(ctx, where)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := store.Open(ctx, db)
	if err != nil {
		return nil, err
	}
	p, err := simulate.New(simulate.Config{Seed: seed, Patients: patients, Duplicates: 0.03, Today: coldkeep.DateOf(time.Now())})
	if err != nil {
		return nil, err
	}
	start, told := time.Now(), time.Now()
	n, err := fill.Fill(ctx, s, p, start, func(records int) {
		if time.Since(told) > time.Minute {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "%d of %d patients after %s, %s\n", records, patients, time.Since(start).Round(time.Second), machineLoad())
		}
	})
	switch {
	case coldkeep.ErrorCode(err) == coldkeep.ECONFLICT: // a kept one
		n.Patients = patients
	case err != nil:
		return nil, err
	}
	took := time.Since(start)
	fmt.Fprintf(w, "\n%d patients, %d doses, %d practices: filled in %s (%.0f patients/s, %.0f doses/s), %s\n",
		n.Patients, n.Doses, n.Practices, took.Round(time.Second), float64(n.Patients)/took.Seconds(), float64(n.Doses)/took.Seconds(), size(ctx, db))
	if err := settle(ctx, db); err != nil {
		return nil, err
	}
	f, err = measure(ctx, db, s, p, calls, seed)
	if err != nil {
		return nil, err
	}
	f.patients = patients
	f.print(w)
	return f, plans(ctx, w, db)
}

// settle does at once what the engine would otherwise do in the background of the
// measurement, for the millions of rows that have just come: a registry gets them over years.
func settle(ctx context.Context, db *database.DB) error {
	does := []string{"ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"}
	if db.Postgres() {
		does = []string{"VACUUM (ANALYZE)", "CHECKPOINT"}
	}
	for _, do := range does {
		if _, err := db.ExecContext(ctx, do); err != nil {
			return fmt.Errorf("%s: %w", do, err)
		}
	}
	syscall.Sync() // what is written goes to the disk now
	return nil
}

func size(ctx context.Context, db *database.DB) string {
	q := `SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()`
	if db.Postgres() {
		q = `SELECT pg_database_size(current_database())`
	}
	var bytes int64
	if err := db.QueryRowContext(ctx, q).Scan(&bytes); err != nil {
		return "size unknown"
	}
	return fmt.Sprintf("%.2f GB", float64(bytes)/1e9)
}

// machineLoad is how many wanted the processors in the last minute, where the system
// tells: above the number of cores, what is measured waited for others.
func machineLoad() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return "load " + one
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
