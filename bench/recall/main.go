// Command recall measures reminders, recalls and the de-identified export on this machine:
//
//	go run ./bench/recall [-engine postgres|sqlite] [-patients 100000] [-at URL|FOLDER]
//
// It fills a registry with an invented population, as the other benchmarks of the registry
// do, and times what people wait for: the run of the largest practice over all its patients,
// the making of a letter to each who is behind, the letters as one PDF, and the file of
// everybody with the doses that state epidemiology takes. Beside each stands the physical
// limit of the same run: the same people read by the same queries, and nothing done with them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/bench/population"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/recall/paper"
	"github.com/coldkeep/coldkeep/registry/vaccine"
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
	fmt.Fprintf(w, "%s\n%s\n\n| what | of | took | a second | raw reading/s | of the limit |\n|---|---|---|---|---|---|\n", population.Machine(c.Engine), r)
	b := bench{Registry: r, w: w, live: forecast.NewLive(forecast.Builtin())}
	b.people = patient.New(r.Store.Patients(), coldkeep.RealClock{})
	b.doses = immunization.New(r.Store.Immunizations(), b.live, vaccine.Builtin(), coldkeep.RealClock{})
	if err := b.recall(ctx); err != nil {
		return err
	}
	if err := b.export(ctx); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n", population.Load())
	return nil
}

type bench struct {
	*population.Registry
	w      io.Writer
	live   *forecast.Live
	people *patient.Service
	doses  *immunization.Service
}

// row prints what took how long, beside the reading of n others in raw; 0 for none.
func (b *bench) row(what, of string, n int, took time.Duration, rawN int, raw time.Duration) {
	rate, limit, share := float64(n)/took.Seconds(), "", ""
	if raw > 0 {
		l := float64(rawN) / raw.Seconds()
		limit, share = fmt.Sprintf("%.0f", l), fmt.Sprintf("%.0f %%", 100*rate/l)
	}
	fmt.Fprintf(b.w, "| %s | %d %s | %s | %.0f | %s | %s |\n", what, n, of, took.Round(time.Millisecond), rate, limit, share)
}

// largest is the practice with the most people.
func (b *bench) largest(ctx context.Context) (id coldkeep.SiteID, err error) {
	err = b.DB.QueryRowContext(ctx, `SELECT site FROM patient_statuses WHERE until_at IS NULL AND site <> '' GROUP BY site ORDER BY COUNT(*) DESC LIMIT 1`).Scan(&id)
	return id, err
}

func (b *bench) recall(ctx context.Context) error {
	site, err := b.largest(ctx)
	if err != nil {
		return err
	}
	by := auth.Principal{ID: "bench", Name: "Bench", Role: auth.PracticeManager, Site: site}
	s := recall.New(recall.Config{Store: b.Store.Recall(), Patients: b.people, Doses: b.doses, Schedule: b.live, Clock: coldkeep.RealClock{}})
	set, err := s.Settings(ctx, by)
	if err != nil {
		return err
	}
	set.Name, set.Street, set.City, set.State, set.ZIP, set.Phone = "The practice", "1 Main St", "Springfield", "IL", "62701", "2175550100"
	if err := s.SetSettings(ctx, by, set); err != nil {
		return err
	}
	r, err := s.Start(ctx, by, recall.Params{})
	if err != nil {
		return err
	}
	raw, n, err := b.read(ctx, site)
	if err != nil {
		return err
	}
	took, err := until(ctx, s, by, r.ID, recall.Ready)
	if err != nil {
		return err
	}
	v, err := s.Get(ctx, by, r.ID)
	if err != nil {
		return err
	}
	b.row("largest practice: who is due or behind", "people", v.Looked, took, n, raw)
	if err := s.Issue(ctx, by, r.ID, v.Round, []recall.Channel{recall.Letter}); err != nil {
		return err
	}
	if took, err = until(ctx, s, by, r.ID, recall.Issued); err != nil {
		return err
	}
	start := time.Now()
	m, err := s.Print(ctx, by, r.ID, recall.Letter, 0, "print")
	if err != nil {
		return err
	}
	read := time.Since(start)
	b.row("a letter made for each of them who is", "letters", len(m.Sheets), took, 0, 0)
	b.row("what stands on the letters, in the trail", "letters", len(m.Sheets), read, 0, 0)
	start = time.Now()
	pdf, err := paper.Letters(&m)
	if err != nil {
		return err
	}
	b.row(fmt.Sprintf("letters as one PDF of %.1f MB", float64(len(pdf))/1e6), "letters", len(m.Sheets), time.Since(start), 0, 0)
	return nil
}

// until works on runs until one is in a state.
func until(ctx context.Context, s *recall.Service, by auth.Principal, id string, want recall.State) (time.Duration, error) {
	start := time.Now()
	for {
		v, err := s.Get(ctx, by, id)
		if err != nil || v.State == want {
			return time.Since(start), err
		}
		if more, err := s.Step(ctx); err != nil || !more {
			return 0, errors.Join(err, fmt.Errorf("the run stays %s", v.State))
		}
	}
}

// together is how many people are read at once, as the registry does.
const together = 200

// read reads the people of a practice, or everybody, and does nothing with them.
func (b *bench) read(ctx context.Context, site coldkeep.SiteID) (took time.Duration, n int, err error) {
	start := time.Now()
	none := coldkeep.Date(0)
	for after := ""; ; {
		var heads []string
		err := b.Store.Recall().Tx(ctx, func(tx recall.Tx) error {
			var err error
			if heads, err = tx.Cohort(ctx, site, none, none, after, together); err != nil || len(heads) == 0 {
				return err
			}
			if _, err = tx.Members(ctx, site, heads); err != nil {
				return err
			}
			_, err = tx.Doses(ctx, heads)
			return err
		})
		if err != nil || len(heads) == 0 {
			return time.Since(start), n, err
		}
		n, after = n+len(heads), heads[len(heads)-1]
	}
}

// counter counts what is written.
type counter struct{ bytes, lines int }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += len(p)
	for _, b := range p {
		if b == '\n' {
			c.lines++
		}
	}
	return len(p), nil
}

func (b *bench) export(ctx context.Context) error {
	raw, n, err := b.read(ctx, "")
	if err != nil {
		return err
	}
	by := auth.Principal{ID: "bench", Name: "Bench", Role: auth.StateEpi}
	var out counter
	start := time.Now()
	if err := b.people.WriteDeidentified(ctx, by, &out, b.doses.Deidentified()); err != nil {
		return err
	}
	b.row(fmt.Sprintf("everybody de-identified, %d lines, %.0f MB", out.lines-1, float64(out.bytes)/1e6), "people", n, time.Since(start), n, raw)
	return nil
}
