package store_test

import (
	"testing"

	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/store"
)

// Records of an earlier version are found by the keys of this one, wherever the making of
// them was stopped; one that is not readable keeps nobody else from it.
func TestKeysAreMadeAnew(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		db := databasetest.Open(t, where)
		s, err := store.Open(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{"A", "B", "C", "D"}
		inPatients(t, s, func(tx patient.Tx) error {
			for _, id := range ids {
				if err := tx.InsertPatient(ctx, aPatient(id)); err != nil {
					return err
				}
			}
			return nil
		})
		for _, q := range []string{
			`DELETE FROM patient_keys`,
			`UPDATE patients SET profile = 'x' WHERE id = 'C'`,
			`UPDATE patient_keying SET done = 0, upto = 'A'`, // A was done by one that was stopped
		} {
			if _, err := db.ExecContext(ctx, q); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
		for range 2 { // a second start has nothing left to do
			if s, err = store.Open(ctx, db); err != nil {
				t.Fatal(err)
			}
			p := aPatient("A")
			profile := patient.ProfileOf(&p)
			for _, key := range profile.Keys() {
				found, err := s.Patients().ProfilesByKey(ctx, []int64{key}, "", 10)
				if err != nil || len(found) != 2 || found[0].ID != "B" || found[1].ID != "D" {
					t.Fatalf("%+v, %v", found, err)
				}
			}
		}
	})
}
