// Package population makes registries of an invented population, of any size, for the
// benchmarks: on an engine of its own, or on one that is kept between runs.
package population

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
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

// Config says where registries are made and of whom.
type Config struct {
	Engine string // postgres or sqlite
	At     string // URL of a PostgreSQL server, or a folder for SQLite; "" starts an own one that is thrown away
	Seed   uint64
}

// Flags reads a Config from the command line.
func Flags() *Config {
	c := &Config{}
	flag.StringVar(&c.Engine, "engine", "postgres", "postgres or sqlite")
	flag.StringVar(&c.At, "at", "", "URL of a PostgreSQL server, or a folder for SQLite, to use in place of own ones: its databases size… are kept, and measured again when they are there")
	flag.Uint64Var(&c.Seed, "seed", 1, "of the population and the calls")
	return c
}

// Server is a place for registries.
type Server struct {
	config Config
	where  string // the server's URL, or the folder
	dir    string // to be removed; "" when kept
	own    *servers.Process
}

// Start begins a place for registries: a PostgreSQL of its own as delivered but without
// fsync, or a folder, unless the configuration names one.
func Start(ctx context.Context, c Config) (s *Server, err error) {
	if c.Engine != "postgres" && c.Engine != "sqlite" {
		return nil, fmt.Errorf("engine %q: want postgres or sqlite", c.Engine)
	}
	s = &Server{config: c, where: c.At}
	if c.At != "" {
		return s, nil
	}
	if s.dir, err = os.MkdirTemp("", "bench-population-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := os.Chmod(s.dir, 0o755); err != nil { //nolint:gosec // the server's own user must get to its folder
		return nil, err
	}
	s.where = s.dir
	if c.Engine == "postgres" {
		s.own, s.where, err = servers.Postgres(ctx, filepath.Join(s.dir, "postgres"))
	}
	return s, err
}

// Close stops what was started and removes what was made, but for what is kept.
func (s *Server) Close() error {
	if s.own != nil {
		s.own.Stop(syscall.SIGINT)
	}
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// Registry is a registry with its population.
type Registry struct {
	DB     *database.DB
	Store  *store.Store
	People *simulate.Population
	Filled fill.Count    // zero doses for one that was there
	Took   time.Duration // the filling
}

// Registry opens the registry of a size, filled when it is new, and does at once what the
// engine would do in the background for the millions of rows that have just come: a registry
// gets them over years. Then everything is read once. progress is told of long work.
func (s *Server) Registry(ctx context.Context, patients int, progress io.Writer) (r *Registry, err error) {
	name := fmt.Sprintf("size%d", patients)
	where := filepath.Join(s.where, name+".db")
	if s.config.Engine == "postgres" {
		if where, err = create(ctx, s.where, name); err != nil {
			return nil, err
		}
	}
	r = &Registry{}
	if r.DB, err = database.Open(ctx, where); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.DB.Close())
		}
	}()
	if r.Store, err = store.Open(ctx, r.DB); err != nil {
		return nil, err
	}
	r.People, err = simulate.New(simulate.Config{Seed: s.config.Seed, Patients: patients, Duplicates: 0.03, Today: coldkeep.DateOf(time.Now())})
	if err != nil {
		return nil, err
	}
	start, told := time.Now(), time.Now()
	r.Filled, err = fill.Fill(ctx, r.Store, r.People, start, func(records int) {
		if time.Since(told) > time.Minute {
			told = time.Now()
			_, _ = fmt.Fprintf(progress, "%d of %d patients after %s, %s\n", records, patients, time.Since(start).Round(time.Second), Load()) // a matter of comfort
		}
	})
	switch {
	case coldkeep.ErrorCode(err) == coldkeep.ECONFLICT: // a kept one
		r.Filled.Patients = patients
	case err != nil:
		return nil, err
	}
	r.Took = time.Since(start)
	if err := settle(ctx, r.DB); err != nil {
		return nil, err
	}
	return r, warm(ctx, r.DB, where)
}

// Close closes the database.
func (r *Registry) Close() error { return r.DB.Close() }

// String tells what was filled, how fast, and how large it is.
func (r *Registry) String() string {
	if r.Filled.Doses == 0 {
		return fmt.Sprintf("%d patients, filled earlier, %s", r.Filled.Patients, size(r.DB))
	}
	took := r.Took.Seconds()
	return fmt.Sprintf("%d patients, %d doses, %d practices: filled in %s (%.0f patients/s, %.0f doses/s), %s", r.Filled.Patients, r.Filled.Doses, r.Filled.Practices,
		r.Took.Round(time.Second), float64(r.Filled.Patients)/took, float64(r.Filled.Doses)/took, size(r.DB))
}

// create makes a database on a server, unless it is there, and gives its URL.
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

// warm reads everything once, so that the system has it in memory as far as it fits, as of a
// registry that has been at work for some days: otherwise the larger database is measured
// against the disk and the smaller one against memory.
func warm(ctx context.Context, db *database.DB, file string) error {
	if db.Postgres() {
		for _, q := range []string{`CREATE EXTENSION IF NOT EXISTS pg_prewarm`, // comes with PostgreSQL's packages
			`SELECT COUNT(pg_prewarm(c.oid::regclass, 'read')) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'i') AND n.nspname = 'public'`} {
			if _, err := db.ExecContext(ctx, q); err != nil {
				return fmt.Errorf("reading all tables once: %w", err)
			}
		}
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, f)
	return errors.Join(err, f.Close())
}

func size(db *database.DB) string {
	q := `SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()`
	if db.Postgres() {
		q = `SELECT pg_database_size(current_database())`
	}
	var bytes int64
	if err := db.QueryRow(q).Scan(&bytes); err != nil {
		return "size unknown"
	}
	return fmt.Sprintf("%.2f GB", float64(bytes)/1e9)
}

// Machine tells what a benchmark runs on.
func Machine(engine string) string {
	return fmt.Sprintf("%s, %s, %d cores, %s/%s, %s", cmp.Or(engine, "no database"), runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, Load())
}

// Load is how many wanted the processors in the last minute, where the system tells: above
// the number of cores, what is measured waited for others.
func Load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return "load " + one
}
