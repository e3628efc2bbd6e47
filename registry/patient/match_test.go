package patient_test

import (
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
)

func TestWhoComesInTwiceIsKnown(t *testing.T) {
	each(t, func(w *world) {
		id := w.add(nurse, mila("Brandt", "Mila"))
		again, err := w.Add(w.ctx, other, mila("Brandt", "Mila"))
		if err != nil || again.Outcome != patient.Matched || again.ID != id {
			w.t.Fatalf("%+v, %v", again, err)
		}
		p := mila("Brandt", "Mila")
		p.Contacts = append(p.Contacts, patient.Contact{Kind: patient.Email, Value: "Nora@Example.org"})
		got, outcome, err := w.ResolveAlone(w.ctx, ehr, p)
		if err != nil || outcome != patient.Matched || got != id {
			w.t.Fatalf("%s %s %v", got, outcome, err)
		}
		r, err := w.Open(w.ctx, nurse, id, "")
		w.must(err)
		if r.Standing("northgate") != patient.Active || len(r.Contacts) != 2 || len(r.Identifiers) != 2 || r.Revision != 2 || len(r.Names) != 1 {
			w.t.Errorf("%+v", r.Patient)
		}
		// The same word again changes nothing.
		_, _, err = w.ResolveAlone(w.ctx, ehr, p)
		w.must(err)
		if r, err = w.Open(w.ctx, nurse, id, ""); err != nil || r.Revision != 2 {
			w.t.Errorf("revision %d, %v", r.Revision, err)
		}
		// One slip makes a pair for the state.
		p = mila("Bandt", "Mila")
		p.Identifiers = nil
		second, err := w.Add(w.ctx, other, p)
		if err != nil || second.Outcome != patient.Possible || second.Possible != 1 || second.ID == id {
			w.t.Fatalf("%+v, %v", second, err)
		}
		_, err = w.Duplicates(w.ctx, nurse, patient.PairOpen)
		w.want(coldkeep.EFORBIDDEN, err)
		pairs, err := w.Duplicates(w.ctx, state, patient.PairOpen)
		if err != nil || len(pairs) != 1 || pairs[0].FoundBy != "Ines" || len(pairs[0].Parts) == 0 {
			w.t.Fatalf("%+v, %v", pairs, err)
		}
		pair, sides, err := w.ComparePair(w.ctx, state, pairs[0].B, pairs[0].A)
		if err != nil || pair.A != id || sides[0].ID != id || sides[1].ID != second.ID {
			w.t.Fatalf("%+v, %v", pair, err)
		}
		m, err := w.MergePatients(w.ctx, state, second.ID, id, "the same child: seen together")
		w.must(err)
		if pairs, err = w.Duplicates(w.ctx, state, patient.PairOpen); err != nil || len(pairs) != 0 {
			w.t.Errorf("%+v, %v", pairs, err)
		}
		r, err = w.Open(w.ctx, other, second.ID, "")
		w.must(err)
		if r.ID != id || r.Asked != second.ID || len(r.Names) != 2 || r.Names[1].Family != "Bandt" || len(r.Merges) != 1 {
			w.t.Errorf("%+v", r)
		}
		_, err = w.MergePatients(w.ctx, state, id, second.ID, "the same child: seen together")
		w.want(coldkeep.ECONFLICT, err)
		_, err = w.UnmergePatients(w.ctx, nurse, m.ID, "two children after all")
		w.want(coldkeep.EFORBIDDEN, err)
		_, err = w.UnmergePatients(w.ctx, state, m.ID, "two children after all")
		w.must(err)
		_, err = w.UnmergePatients(w.ctx, state, m.ID, "two children after all")
		w.want(coldkeep.ECONFLICT, err)
		w.must(w.NotDuplicate(w.ctx, state, id, second.ID, "two children after all"))
		w.want(coldkeep.ECONFLICT, w.NotDuplicate(w.ctx, state, id, second.ID, "two children after all"))
		// The sweep does not bring up what was decided.
		if _, _, err := w.Sweep(w.ctx, 100); err != nil {
			w.t.Fatal(err)
		}
		if pairs, err = w.Duplicates(w.ctx, state, patient.PairOpen); err != nil || len(pairs) != 0 {
			w.t.Errorf("%+v, %v", pairs, err)
		}
	})
}

func TestSweepFindsWhatWasLoaded(t *testing.T) {
	each(t, func(w *world) {
		w.must(w.store.Patients().Tx(w.ctx, func(tx patient.Tx) error {
			for id, family := range map[string]string{"A": "Brandt", "B": "Bandt", "C": "Lund"} {
				p := mila(family, "Mila")
				p.ID, p.Head, p.Revision = id, id, 1
				p.Identifiers = nil
				if err := p.Normalise(coldkeep.NewDate(2026, 11, 1)); err != nil {
					return err
				}
				p.Names[0].Seq = 1
				if family == "Lund" {
					p.Contacts, p.Addresses, p.Mother, p.Guardians = nil, nil, "", nil
					p.Names[0].Given = "Peter"
				}
				for i := range p.Addresses {
					p.Addresses[i].Seq = 1
				}
				if err := tx.InsertPatient(w.ctx, p); err != nil {
					return err
				}
			}
			return nil
		}))
		seen, found, err := w.Sweep(w.ctx, 2)
		w.must(err)
		more, foundMore, err := w.Sweep(w.ctx, 2)
		if err != nil || seen+more != 3 || found+foundMore != 1 {
			w.t.Errorf("%d and %d records, %d and %d pairs, %v", seen, more, found, foundMore, err)
		}
		if seen, _, err = w.Sweep(w.ctx, 2); err != nil || seen != 0 {
			w.t.Errorf("%d left, %v", seen, err)
		}
	})
}
