// Package fill puts a simulated population into a registry's database, by the code that
// the services insert with, many records a transaction.
package fill

import (
	"context"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/simulate"
	"github.com/coldkeep/coldkeep/registry/store"
)

// perLoad is how many records one transaction holds: some tens of thousands of rows.
const perLoad = 2000

// Count is how much was put in.
type Count struct {
	Practices, Patients, Duplicates, Doses int
}

// Store is what is filled.
type Store interface {
	Load(ctx context.Context, do func(store.LoadTx) error) error
	Sites(ctx context.Context) ([]coldkeep.Site, error)
}

// Fill adds the practices and records of p and one entry to the trail. progress is called
// after each transaction with the records so far. ECONFLICT when the registry has one of
// the practices already: it has been filled before.
func Fill(ctx context.Context, s Store, p *simulate.Population, now time.Time, progress func(records int)) (Count, error) {
	var n Count
	have, err := s.Sites(ctx)
	if err != nil {
		return n, err
	}
	taken := map[coldkeep.SiteID]bool{}
	for _, site := range have {
		taken[site.ID] = true
	}
	if err := s.Load(ctx, func(tx store.LoadTx) error {
		for _, practice := range p.Sites() {
			if taken[practice.ID] {
				return coldkeep.Errorf(coldkeep.ECONFLICT, "the registry has the simulated practice %s already: take an empty database", practice.ID)
			}
			if err := tx.InsertSite(ctx, practice.Site); err != nil {
				return err
			}
		}
		by := auth.System("Simulation")
		return tx.Audit(ctx, audit.Entry{At: now, WhoID: by.ID, Who: by.Name, What: "registry.simulate", Subject: "registry",
			Detail: fmt.Sprintf("%d invented patients, seed %d, %g duplicates, %d practices", p.Patients, p.Seed, p.Duplicates, p.Practices)})
	}); err != nil {
		return n, err
	}
	n.Practices = len(p.Sites())
	batch := make([]simulate.Record, 0, perLoad)
	flush := func() error {
		if err := s.Load(ctx, func(tx store.LoadTx) error { return insert(ctx, tx, batch) }); err != nil {
			return err
		}
		n.Patients += len(batch)
		for i := range batch {
			n.Doses += len(batch[i].Doses)
			if batch[i].Second {
				n.Duplicates++
			}
		}
		batch = batch[:0]
		if progress != nil {
			progress(n.Patients)
		}
		return nil
	}
	if err := p.Each(ctx, 0, func(r *simulate.Record) error {
		if batch = append(batch, *r); len(batch) < perLoad {
			return nil
		}
		return flush()
	}); err != nil {
		return n, err
	}
	return n, flush()
}

// insert puts records in. Opt-outs come last: they change rows that are there.
func insert(ctx context.Context, tx store.LoadTx, records []simulate.Record) error {
	for i := range records {
		r := &records[i]
		if err := tx.InsertPatient(ctx, r.Patient); err != nil {
			return err
		}
		for _, d := range r.Doses {
			if err := tx.InsertDose(ctx, d); err != nil {
				return err
			}
		}
	}
	for i := range records {
		if l := records[i].Patient.Lock; l != nil {
			if err := tx.InsertLock(ctx, patient.LockRecord{ID: ulid.Make().String(), Patient: records[i].Patient.ID, Lock: *l}); err != nil {
				return err
			}
		}
	}
	return nil
}
