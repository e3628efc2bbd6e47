package fill_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/simulate"
	"github.com/coldkeep/coldkeep/registry/simulate/fill"
	"github.com/coldkeep/coldkeep/registry/store"
)

var today = coldkeep.CivilDate(2026, 9, 1)

// What a load put in is read back as what one insert after the other would have kept.
func TestFilledRegistryHasThePopulation(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		db := databasetest.Open(t, where)
		s, err := store.Open(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		p, err := simulate.New(simulate.Config{Seed: 5, Patients: 2300, Duplicates: 0.1, Today: today})
		if err != nil {
			t.Fatal(err)
		}
		shown := 0
		n, err := fill.Fill(ctx, s, p, time.Now(), func(records int) { shown = records })
		if err != nil {
			t.Fatal(err)
		}
		if n.Patients != 2300 || shown != 2300 || n.Duplicates < 150 || n.Duplicates > 310 || n.Doses < 10_000 || n.Practices != 2 {
			t.Errorf("filled %+v, told %d", n, shown)
		}
		// The trail must say that these people are invented.
		trail, err := s.Trail(ctx, "", 100)
		if err != nil || !slices.ContainsFunc(trail, func(e audit.Entry) bool { return e.What == "registry.simulate" }) {
			t.Errorf("the trail has no entry of the simulation: %v, %v", trail, err)
		}
		checked := 0
		if err := p.Each(ctx, 0, func(r *simulate.Record) error {
			if checked++; checked%37 != 0 && r.Patient.Lock == nil {
				return nil
			}
			got, err := s.Patients().Patient(ctx, r.Patient.ID)
			if err != nil {
				return err
			}
			want := r.Patient
			want.CreatedAt, want.UpdatedAt = want.CreatedAt.Truncate(time.Millisecond), want.UpdatedAt.Truncate(time.Millisecond)
			if len(got.Guardians) == 0 && len(want.Guardians) == 0 {
				got.Guardians, want.Guardians = nil, nil
			}
			if len(got.Contacts) == 0 && len(want.Contacts) == 0 {
				got.Contacts, want.Contacts = nil, nil
			}
			if len(got.Addresses) == 0 && len(want.Addresses) == 0 {
				got.Addresses, want.Addresses = nil, nil
			}
			if len(got.Races) == 0 && len(want.Races) == 0 {
				got.Races, want.Races = nil, nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v\nwant %+v", got, want)
			}
			doses, err := s.Doses(ctx, []string{r.Patient.ID})
			if err != nil {
				return err
			}
			if len(doses) != len(r.Doses) {
				t.Errorf("%d doses, want %d", len(doses), len(r.Doses))
			}
			profile := patient.ProfileOf(&r.Patient)
			found, err := s.Patients().ProfilesByKey(ctx, profile.Keys(), "", 1000)
			if err != nil || len(found) == 0 {
				t.Errorf("by keys: %d, %v", len(found), err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := fill.Fill(ctx, s, p, time.Now(), nil); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Errorf("filled twice: %v", err)
		}
	})
}
