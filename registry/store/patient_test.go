package store_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/store"
)

func inPatients(t *testing.T, s *store.Store, do func(patient.Tx) error) {
	t.Helper()
	if err := s.Patients().Tx(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}

// aPatient is a record with an entry in every list.
func aPatient(id string) patient.Patient {
	yes, until := true, noon.Add(-time.Hour)
	return patient.Patient{ID: id, Head: id, Birth: coldkeep.NewDate(2022, 3, 9), BirthState: "IL", BirthNation: "USA", Sex: patient.Female, Multiple: &yes, BirthOrder: 2,
		Races: []string{"2106-3", "2028-9"}, Ethnicity: "2186-5", Language: "eng", Mother: "Okafor", Publicity: "02",
		Names: []patient.Name{
			{Family: "Brandt", Given: "Mila", Middle: "Rose", Kind: patient.Legal, Span: patient.Span{Seq: 2}},
			{Family: "Okafor", Given: "Mila", Kind: patient.Legal, Span: patient.Span{Seq: 1, Until: &until, EndedBy: "Ines"}},
		},
		Addresses:   []patient.Address{{Street: "12 Elm St", City: "Springfield", State: "IL", ZIP: "62701", County: "Sangamon", Country: "USA", Kind: "H", Span: patient.Span{Seq: 1}}},
		Contacts:    []patient.Contact{{Kind: patient.Cell, Value: "2175550133", Span: patient.Span{Seq: 1}}},
		Identifiers: []patient.Identifier{{Kind: "MR", Assigner: "lakeside", Value: "4711", Span: patient.Span{Seq: 1}}},
		Guardians: []patient.Guardian{{Family: "Brandt", Given: "Nora", Relation: "MTH", Address: patient.Address{City: "Peoria"},
			Contacts: []patient.Contact{{Kind: patient.Phone, Value: "3095550188"}}, Span: patient.Span{Seq: 1}}},
		Statuses: []patient.Status{{Site: "lakeside", Standing: patient.Active, Since: noon, By: "Ines", Span: patient.Span{Seq: 1}}},
		Consent:  patient.Consent{OfferedAt: &until, OfferedBy: "lakeside"}, Revision: 1, CreatedBy: "lakeside", CreatedAt: noon, UpdatedAt: noon}
}

func TestPatientIsKeptWhole(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		p := aPatient("A")
		inPatients(t, s, func(tx patient.Tx) error { return tx.InsertPatient(ctx, p) })
		got, err := s.Patient(ctx, "A")
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, got, p)
		}
		for _, revision := range []int64{1, 1} {
			q := got
			q.Revision, q.Language = revision+1, "spa"
			err = s.Patients().Tx(ctx, func(tx patient.Tx) error { return tx.UpdatePatient(ctx, q, revision) })
		}
		if coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Errorf("second change of one revision: %v", err)
		}
	})
}

func TestGateIsOfThePerson(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		gate := func(id string) patient.Gate {
			t.Helper()
			g, err := s.PatientGate(ctx, id, "nurse", noon)
			if err != nil {
				t.Fatal(err)
			}
			return g
		}
		inPatients(t, s, func(tx patient.Tx) error {
			for _, id := range []string{"A", "B", "C"} {
				p := aPatient(id)
				p.Statuses[0].Site = coldkeep.SiteID("site-" + id)
				if err := tx.InsertPatient(ctx, p); err != nil {
					return err
				}
			}
			return nil
		})
		g := gate("B")
		if g.Head != "B" || g.MergedInto != "" || !reflect.DeepEqual(g.Family, []string{"B"}) || g.Locked || g.Granted || g.Emergency ||
			!reflect.DeepEqual(g.Sites, []coldkeep.SiteID{"site-B"}) || g.Birth != coldkeep.NewDate(2022, 3, 9) {
			t.Errorf("alone: %+v", g)
		}
		do := func(step func(ctx context.Context, tx patient.Tx) error) {
			t.Helper()
			inPatients(t, s, func(tx patient.Tx) error { return step(ctx, tx) })
		}
		do(func(ctx context.Context, tx patient.Tx) error {
			if err := tx.SetMergedInto(ctx, "A", "B"); err != nil {
				return err
			}
			return tx.SetHead(ctx, []string{"A"}, "B")
		})
		do(func(ctx context.Context, tx patient.Tx) error {
			return tx.InsertLock(ctx, patient.LockRecord{ID: "1", Patient: "A", Lock: patient.Lock{Site: "site-A", By: "Ines", At: noon, Form: "f"}})
		})
		do(func(ctx context.Context, tx patient.Tx) error {
			return tx.Grant(ctx, "nurse", "A", noon.Add(time.Minute))
		})
		do(func(ctx context.Context, tx patient.Tx) error { return tx.Grant(ctx, "nurse", "C", noon) })
		do(func(ctx context.Context, tx patient.Tx) error {
			return tx.InsertEmergency(ctx, patient.Emergency{ID: "e", Patient: "C", WhoID: "nurse", Who: "N", At: noon, Until: noon.Add(time.Minute), Why: "w"})
		})
		for _, id := range []string{"A", "B"} {
			if g := gate(id); g.Head != "B" || (g.MergedInto == "") != (id == "B") || !reflect.DeepEqual(g.Family, []string{"B", "A"}) || !g.Locked || g.LockSite != "site-A" ||
				!g.Granted || g.Emergency || !reflect.DeepEqual(g.Sites, []coldkeep.SiteID{"site-A", "site-B"}) {
				t.Errorf("%s merged: %+v", id, g)
			}
		}
		if g := gate("C"); g.Granted || !g.Emergency {
			t.Errorf("C: %+v", g)
		}
		do(func(ctx context.Context, tx patient.Tx) error {
			return tx.InsertLock(ctx, patient.LockRecord{ID: "2", Patient: "B", Lock: patient.Lock{Site: "site-B", By: "Ines", At: noon, Form: "f"}})
		})
		if g := gate("A"); !g.Locked || g.LockSite != "" {
			t.Errorf("locked by two: %+v", g)
		}
		do(func(ctx context.Context, tx patient.Tx) error {
			return tx.EndLocks(ctx, []string{"A", "B"}, "Ines", "g", noon)
		})
		if g := gate("A"); g.Locked {
			t.Errorf("unlocked: %+v", g)
		}
	})
}
