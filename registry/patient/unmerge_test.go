package patient_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Merges and un-merges in any order: what is undone leaves every record as it was, and the
// family is that of the merges that stand.
func TestUnmergeRestores(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		var ids []string
		for _, given := range []string{"Mila", "Jonas", "Greta", "Theo", "Ruth"} {
			p := mila("Brandt", given)
			p.Contacts, p.Addresses, p.Guardians = nil, nil, nil
			ids = append(ids, w.add(nurse, p))
		}
		state0 := func(t *rapid.T) []patient.Patient {
			var out []patient.Patient
			for _, id := range ids {
				p, err := w.store.Patient(w.ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, p)
			}
			return out
		}
		rapid.Check(t, func(t *rapid.T) {
			before := state0(t)
			edges := map[string]patient.Merge{} // by loser
			head := func(id string) string {
				for edges[id].Loser != "" {
					id = edges[id].Survivor
				}
				return id
			}
			check := func() {
				for _, id := range ids {
					g, err := w.store.PatientGate(w.ctx, id, "x", w.clock.now)
					if err != nil {
						t.Fatal(err)
					}
					n := 0
					for _, other := range ids {
						if head(other) == head(id) {
							n++
						}
					}
					if g.Head != head(id) || len(g.Family) != n || g.Family[0] != g.Head {
						t.Fatalf("%s: head %s of %v, want %s of %d", id, g.Head, g.Family, head(id), n)
					}
				}
			}
			for range rapid.IntRange(0, 6).Draw(t, "steps") {
				if len(edges) > 0 && rapid.Bool().Draw(t, "undo") {
					var losers []string
					for _, id := range ids {
						if edges[id].Loser != "" {
							losers = append(losers, id)
						}
					}
					loser := rapid.SampledFrom(losers).Draw(t, "loser")
					if _, err := w.UnmergePatients(w.ctx, state, edges[loser].ID, "undone by the test"); err != nil {
						t.Fatal(err)
					}
					delete(edges, loser)
				} else {
					a, b := rapid.SampledFrom(ids).Draw(t, "a"), rapid.SampledFrom(ids).Draw(t, "b")
					m, err := w.MergePatients(w.ctx, state, a, b, "merged by the test")
					if (err == nil) != (head(a) != head(b)) {
						t.Fatalf("merge %s into %s: %v", a, b, err)
					}
					if err == nil {
						if m.Loser != head(a) || m.Survivor != head(b) {
							t.Fatalf("%+v", m)
						}
						edges[m.Loser] = m
					}
				}
				check()
			}
			for _, m := range edges {
				if _, err := w.UnmergePatients(w.ctx, state, m.ID, "undone by the test"); err != nil {
					t.Fatal(err)
				}
			}
			if after := state0(t); !reflect.DeepEqual(before, after) {
				t.Fatalf("before %+v\nafter %+v", before, after)
			}
		})
	})
}
