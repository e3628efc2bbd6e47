package patient_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Locks hold through merges and un-merges in any order: a record is closed while any record of
// its person is locked, opens to a practice only when it alone has locked all of them, and an
// un-merge opens nothing that its own lock closes (77 Ill. Adm. Code 689.80).
func TestLocksThroughMerges(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		n := 0
		rapid.Check(t, func(t *rapid.T) {
			n++
			var ids []string
			for i := range 4 {
				by := nurse
				if i%2 == 1 {
					by = other
				}
				p := mila(fmt.Sprintf("Brandt%c%c", 'a'+n/26%26, 'a'+n%26), []string{"Mila", "Jonas", "Greta", "Theo"}[i])
				p.Birth += coldkeep.Date(n)
				p.Contacts, p.Addresses, p.Guardians, p.Identifiers = nil, nil, nil, nil
				got, err := w.Add(w.ctx, by, p)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, got.ID)
			}
			everybody := []auth.Principal{nurse, other, state}
			if err := w.store.Patients().Tx(w.ctx, func(tx patient.Tx) error {
				for _, id := range ids {
					for _, by := range everybody {
						if err := tx.Grant(w.ctx, by.ID, id, w.clock.now.Add(1<<40)); err != nil {
							return err
						}
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			edges, locks := map[string]patient.Merge{}, map[string]coldkeep.SiteID{} // locks by record; the state's is "state"
			head := func(id string) string {
				for edges[id].Loser != "" {
					id = edges[id].Survivor
				}
				return id
			}
			family := func(id string) (out []string) {
				for _, other := range ids {
					if head(other) == head(id) {
						out = append(out, other)
					}
				}
				return out
			}
			// opens is what the model says: whether the record of id opens to by.
			opens := func(by auth.Principal, id string) bool {
				for _, m := range family(id) {
					if site, is := locks[m]; is && by.Site != "" && site != by.Site {
						return false
					}
				}
				return true
			}
			locked := func(id string) bool {
				for _, m := range family(id) {
					if _, is := locks[m]; is {
						return true
					}
				}
				return false
			}
			for range rapid.IntRange(1, 8).Draw(t, "steps") {
				id := rapid.SampledFrom(ids).Draw(t, "record")
				by := rapid.SampledFrom(everybody).Draw(t, "by")
				switch rapid.SampledFrom([]string{"lock", "unlock", "merge", "unmerge"}).Draw(t, "what") {
				case "lock":
					err := w.Lock(w.ctx, by, id, form)
					switch {
					case !opens(by, id):
						if !patient.IsLocked(err) {
							t.Fatalf("lock: %v", err)
						}
					case locked(id):
						if coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
							t.Fatalf("lock: %v", err)
						}
					case err != nil:
						t.Fatal(err)
					default:
						site := by.Site
						if site == "" {
							site = "state"
						}
						for _, m := range family(id) {
							locks[m] = site
						}
					}
				case "unlock":
					err := w.Unlock(w.ctx, by, id, form)
					switch {
					case !opens(by, id):
						if !patient.IsLocked(err) {
							t.Fatalf("unlock: %v", err)
						}
					case !locked(id):
						if coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
							t.Fatalf("unlock: %v", err)
						}
					case err != nil:
						t.Fatal(err)
					default:
						for _, m := range family(id) {
							delete(locks, m)
						}
					}
				case "merge":
					into := rapid.SampledFrom(ids).Draw(t, "into")
					if head(into) == head(id) {
						continue
					}
					m, err := w.MergePatients(w.ctx, state, head(id), head(into), "one person")
					if err != nil {
						t.Fatal(err)
					}
					edges[m.Loser] = m
				case "unmerge":
					if edges[id].Loser == "" {
						continue
					}
					if _, err := w.UnmergePatients(w.ctx, state, edges[id].ID, "two people"); err != nil {
						t.Fatal(err)
					}
					delete(edges, id)
				}
				for _, id := range ids {
					for _, by := range everybody {
						_, err := w.Open(w.ctx, by, id, "")
						if want := opens(by, id); want != (err == nil) || !want && !patient.IsLocked(err) {
							t.Fatalf("record %s for %s: %v, want open %v; locks %v, merges %v", id, by.Name, err, want, locks, edges)
						}
					}
				}
			}
		})
	})
}
