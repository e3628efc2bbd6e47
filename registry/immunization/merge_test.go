package immunization_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

var registryStaff = auth.Principal{ID: "staff", Name: "Rosa", Role: auth.StateAdmin}

// A dose that two practices have told of counts once when their records are merged, and in
// each record again when the merge is taken apart.
func TestMergeJoinsDoses(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		people := patient.New(w.st.Patients(), w.clock)
		people.Follow(w.Service)
		a, b := w.child(coldkeep.NewDate(2024, 1, 1), "lakeside"), w.child(coldkeep.NewDate(2024, 1, 1), "lakeside")
		day := coldkeep.NewDate(2025, 2, 3)
		one, two := w.record(nurse, historical(a, "03", day)), w.record(nurse, historical(b, "03", day))
		standing := func() int {
			n := 0
			for _, id := range []string{one.ID, two.ID} {
				d, err := w.st.Dose(w.ctx, id)
				w.must(err)
				if d.DuplicateOf == "" {
					n++
				}
			}
			return n
		}
		if standing() != 2 {
			t.Fatal("two people's doses were joined")
		}
		m, err := people.MergePatients(w.ctx, registryStaff, a, b, "the same child")
		w.must(err)
		if standing() != 1 {
			t.Error("one dose that two records tell of counts twice after the merge")
		}
		_, err = people.UnmergePatients(w.ctx, registryStaff, m.ID, "twins after all")
		w.must(err)
		if standing() != 2 {
			t.Error("a dose of a record that stands for itself is told to be another's")
		}
	})
}

// Whatever is merged and taken apart in whatever order, the links between doses are those
// that the doses of each person give by themselves.
func TestLinksFollowFamilies(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	people := patient.New(w.st.Patients(), w.clock)
	people.Follow(w.Service)
	rapid.Check(t, func(rt *rapid.T) {
		var ids, merges []string
		for range 4 {
			id := w.child(coldkeep.NewDate(2024, 1, 1), "lakeside")
			ids = append(ids, id)
			for range rapid.IntRange(0, 3).Draw(rt, "doses") {
				d := historical(id, rapid.SampledFrom([]string{"20", "107", "110", "10", "03"}).Draw(rt, "cvx"), coldkeep.NewDate(2025, 2, rapid.IntRange(1, 2).Draw(rt, "day")))
				_, _ = w.Record(w.ctx, nurse, d, immunization.Confirm{Yes: true, Why: "told by the parents"}) // one that is there already is refused
			}
		}
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			if len(merges) > 0 && rapid.Bool().Draw(rt, "take apart") {
				i := rapid.IntRange(0, len(merges)-1).Draw(rt, "merge")
				_, err := people.UnmergePatients(w.ctx, registryStaff, merges[i], "two people")
				w.must(err)
				merges = slices.Delete(merges, i, i+1)
			} else {
				m, err := people.MergePatients(w.ctx, registryStaff, rapid.SampledFrom(ids).Draw(rt, "loser"), rapid.SampledFrom(ids).Draw(rt, "survivor"), "one person")
				if err == nil {
					merges = append(merges, m.ID)
				} else if coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
					rt.Fatal(err)
				}
			}
			for _, id := range ids {
				g, err := w.st.PatientGate(w.ctx, id, "", noon)
				w.must(err)
				doses, err := w.st.Doses(w.ctx, g.Family)
				w.must(err)
				want := immunization.Duplicates(doses, w.Service.Known())
				for _, d := range doses {
					if d.DuplicateOf != want[d.ID] {
						rt.Fatalf("dose %s of %v stands for %q, want %q", d.ID, g.Family, d.DuplicateOf, want[d.ID])
					}
				}
			}
		}
	})
}
