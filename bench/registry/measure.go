package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/bench/population"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// kind is one kind of call with how long each took.
type kind struct {
	name  string
	goal  time.Duration // for 99 of 100; 0: there is none
	took  []time.Duration
	other int // calls that were answered otherwise, such as by a locked record
}

func (k *kind) at(q float64) time.Duration {
	if len(k.took) == 0 {
		return 0
	}
	slices.Sort(k.took)
	return k.took[min(len(k.took)-1, int(q*float64(len(k.took))))]
}

type figures struct {
	patients int
	kinds    []kind
}

func (f *figures) print(w io.Writer) {
	fmt.Fprintf(w, "  %-34s %6s %9s %9s %9s %9s %8s\n", "", "calls", "p50", "p95", "p99", "longest", "goal p99")
	for i := range f.kinds {
		k := &f.kinds[i]
		goal := ""
		if k.goal > 0 {
			goal = k.goal.String()
		}
		fmt.Fprintf(w, "  %-34s %6d %9s %9s %9s %9s %8s", k.name, len(k.took), short(k.at(0.5)), short(k.at(0.95)), short(k.at(0.99)), short(k.at(1)), goal)
		if k.other > 0 {
			fmt.Fprintf(w, "  (%d answered otherwise)", k.other)
		}
		fmt.Fprintln(w)
	}
}

func short(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

// The kinds of calls.
const (
	empty = iota
	searchName
	searchNumber
	searchGuardian
	searchPhone
	searchNobody
	page
	record
)

// perPerson is how many searches one invented nurse makes: fewer than make the registry
// ask for patience.
const perPerson = 8

// measure calls the registries in turn, so that what else the machine does falls on all sizes
// alike. The first tenth only warms up.
func measure(all []*caller, calls int) error {
	for i := range calls + calls/10 {
		for _, b := range all {
			if i == calls/10 {
				for k := range b.f.kinds {
					b.f.kinds[k].took, b.f.kinds[k].other = nil, 0
				}
			}
			if err := b.round(i); err != nil {
				return err
			}
		}
	}
	return nil
}

type caller struct {
	ctx      context.Context //nolint:containedctx // it lives as long as the measurement
	r        *population.Registry
	f        *figures
	rng      *rand.Rand
	patients *patient.Service
	doses    *immunization.Service
}

func newCaller(ctx context.Context, r *population.Registry, patients int, seed uint64) (*caller, error) {
	const ms = time.Millisecond
	f := &figures{patients: patients, kinds: []kind{
		{name: "empty: a row and its commit"}, {name: "search by name and birth date", goal: 20 * ms}, {name: "search by a number", goal: 20 * ms},
		{name: "search by guardian and birth date", goal: 20 * ms}, {name: "search by telephone and birth date", goal: 20 * ms}, {name: "search for who is not there", goal: 20 * ms},
		{name: "page: record, history, forecast", goal: 50 * ms}, {name: "dose recorded", goal: 10 * ms},
	}}
	for _, do := range []string{`DROP TABLE IF EXISTS bench_empty`, `CREATE TABLE bench_empty (n BIGINT PRIMARY KEY)`} {
		if _, err := r.DB.ExecContext(ctx, do); err != nil {
			return nil, err
		}
	}
	return &caller{ctx: ctx, r: r, f: f, rng: rand.New(rand.NewPCG(seed, 7)), //nolint:gosec // nothing here is secret
		patients: patient.New(r.Store.Patients(), coldkeep.RealClock{}),
		doses:    immunization.New(r.Store.Immunizations(), forecast.NewLive(forecast.Builtin()), vaccine.Builtin(), coldkeep.RealClock{})}, nil
}

// time runs one call.
func (b *caller) time(kind int, do func() error) error {
	start := time.Now()
	err := do()
	took := time.Since(start)
	switch coldkeep.ErrorCode(err) {
	case "":
		b.f.kinds[kind].took = append(b.f.kinds[kind].took, took)
		return nil
	case coldkeep.EFORBIDDEN, coldkeep.EINVALID: // a locked record, a name that is too short or too common
		b.f.kinds[kind].other++
		return nil
	}
	return err
}

// somebody is a record from anywhere in the registry.
func (b *caller) somebody() (patient.Patient, error) {
	first := time.Date(1998, 1, 5, 0, 0, 0, 0, time.UTC)
	at := first.Add(time.Duration(b.rng.Int64N(int64(time.Since(first)))))
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(at)) // it fails in the year 10889
	var found string
	err := b.r.DB.QueryRowContext(b.ctx, `SELECT id FROM patients WHERE id >= $1 ORDER BY id LIMIT 1`, id.String()).Scan(&found)
	if err != nil { // nobody was entered after that
		err = b.r.DB.QueryRowContext(b.ctx, `SELECT id FROM patients ORDER BY id DESC LIMIT 1`).Scan(&found)
	}
	if err != nil {
		return patient.Patient{}, err
	}
	return b.r.Store.Patient(b.ctx, found)
}

func (b *caller) round(i int) error {
	sites := b.r.People.Sites()
	nurse := auth.Principal{ID: "bench-" + strconv.Itoa(i/perPerson), Name: "Bench Nurse", Role: auth.Nurse, Site: sites[(i/perPerson)%len(sites)].ID}
	if err := b.time(empty, func() error {
		return b.r.DB.Tx(b.ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(b.ctx, `INSERT INTO bench_empty (n) VALUES ($1)`, i)
			return err
		})
	}); err != nil {
		return err
	}
	who, err := b.somebody()
	if err != nil {
		return err
	}
	name := who.Names[0]
	search := func(kind int, q patient.Query) error {
		return b.time(kind, func() error {
			_, err := b.patients.Search(b.ctx, nurse, q)
			return err
		})
	}
	if err := search(searchName, patient.Query{Family: name.Family, Given: name.Given, Birth: who.Birth}); err != nil {
		return err
	}
	// A nurse asks for numbers of the own practice, or for those of authorities.
	for _, n := range who.Identifiers {
		if n.Kind == "MR" && n.Assigner != string(nurse.Site) {
			continue
		}
		if err := search(searchNumber, patient.Query{IDKind: n.Kind, IDAssigner: n.Assigner, IDValue: n.Value}); err != nil {
			return err
		}
		break
	}
	if len(who.Guardians) > 0 {
		g := who.Guardians[0]
		if err := search(searchGuardian, patient.Query{GuardianFamily: g.Family, GuardianGiven: g.Given, Birth: who.Birth}); err != nil {
			return err
		}
	}
	if len(who.Contacts) > 0 && who.Contacts[0].Kind != patient.Email {
		if err := search(searchPhone, patient.Query{Phone: who.Contacts[0].Value, Birth: who.Birth}); err != nil {
			return err
		}
	}
	if err := search(searchNobody, patient.Query{Family: name.Family + "ovich", Given: "Zebulon", Birth: who.Birth}); err != nil {
		return err
	}
	if err := b.time(page, func() error {
		if _, err := b.patients.Open(b.ctx, nurse, who.ID, ""); err != nil {
			return err
		}
		_, err := b.doses.View(b.ctx, nurse, who.ID)
		return err
	}); err != nil {
		return err
	}
	return b.time(record, func() error {
		_, err := b.doses.Record(b.ctx, nurse, immunization.Dose{Patient: who.ID, Kind: immunization.Historical, CVX: "140", Source: "01", Elsewhere: "Pharmacy",
			Date: max(who.Birth+200, coldkeep.DateOf(time.Now())-coldkeep.Date(b.rng.IntN(3000)))}, immunization.Confirm{Yes: true, Why: "measured"})
		return err
	})
}
