package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/simulate"
	"github.com/coldkeep/coldkeep/registry/simulate/fill"
	"github.com/coldkeep/coldkeep/registry/store"
)

type simulateCmd struct {
	Registry simulateRegistryCmd `cmd:"" help:"Fill a registry's database with an invented population, or print it."`
}

type simulateRegistryCmd struct {
	Patients   int     `help:"Records of patients, second records among them." required:"" placeholder:"N"`
	Seed       uint64  `help:"The same seed and day give the same population." default:"1"`
	Today      string  `help:"The day on which the population is looked at; by default the present one." placeholder:"DATE"`
	Duplicates float64 `help:"Percent of the records that are second records of somebody, with errors." default:"3" placeholder:"PCT"`
	Practices  int     `help:"Practices; by default one for 2,500 patients." placeholder:"K"`
	Workers    int     `help:"How many make patients at a time; by default one a core." placeholder:"N"`
	Data       string  `help:"Folder with the registry's SQLite file." default:"coldkeep-data" env:"COLDKEEP_DATA"`
	Database   string  `help:"PostgreSQL URL, in place of the SQLite file." env:"COLDKEEP_REGISTRY_DATABASE"`
	JSON       bool    `help:"Write JSON Lines to stdout, one record a line, and fill nothing." name:"json"`
}

// simulatedLine is a record as --json prints it.
type simulatedLine struct {
	Truth   string              `json:"truth"`
	Second  bool                `json:"second,omitempty"`
	Errors  []string            `json:"errors,omitempty"`
	Patient patient.Patient     `json:"patient"`
	Doses   []immunization.Dose `json:"doses"`
}

// Run makes the population.
func (cmd *simulateRegistryCmd) Run(ctx context.Context, std streams) (err error) {
	today := coldkeep.DateOf(time.Now())
	if cmd.Today != "" {
		if today, err = coldkeep.ParseDate(cmd.Today); err != nil {
			return err
		}
	}
	p, err := simulate.New(simulate.Config{Seed: cmd.Seed, Patients: cmd.Patients, Practices: cmd.Practices, Duplicates: cmd.Duplicates / 100, Today: today})
	if err != nil {
		return err
	}
	bar := newProgress(std.err, "simulating")
	bar.total(int64(cmd.Patients))
	defer bar.done()
	if cmd.JSON {
		out := bufio.NewWriterSize(std.out, 1<<16)
		enc := json.NewEncoder(out)
		if err := p.Each(ctx, cmd.Workers, func(r *simulate.Record) error {
			bar.add(1)
			return enc.Encode(simulatedLine{r.Truth, r.Second, r.Errors, r.Patient, r.Doses})
		}); err != nil {
			return err
		}
		return out.Flush()
	}
	where := cmd.Database
	if where == "" {
		unlock, err := lockFolder(cmd.Data, "registry")
		if err != nil {
			return err
		}
		defer unlock()
		where = filepath.Join(cmd.Data, "registry.db")
	}
	db, err := database.Open(ctx, where)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := store.Open(ctx, db)
	if err != nil {
		return err
	}
	started, before := time.Now(), 0
	n, err := fill.Fill(ctx, s, p, time.Now(), func(records int) {
		bar.add(int64(records - before))
		before = records
	})
	bar.done()
	if err != nil {
		return err
	}
	took := time.Since(started)
	fmt.Fprintf(std.err, "%d patients (%d of them second records) with %d doses of %d practices in %s: %.0f patients and %.0f doses a second\n",
		n.Patients, n.Duplicates, n.Doses, n.Practices, took.Round(time.Second), float64(n.Patients)/took.Seconds(), float64(n.Doses)/took.Seconds())
	return nil
}
