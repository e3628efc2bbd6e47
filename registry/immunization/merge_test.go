package immunization_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
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

// What is entered for two records together goes, when they are taken apart, with the one
// that is chosen: nothing is lost, the trail of both says so, and the stock counts as before.
func TestUnmergeAssigns(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		people := patient.New(w.st.Patients(), w.clock)
		people.Follow(w.Service)
		born := coldkeep.NewDate(2024, 1, 1)
		loser, survivor, other := w.child(born, "lakeside"), w.child(born, "lakeside"), w.child(born, "lakeside")
		lot := w.lot("A1", 5)
		before := w.record(nurse, historical(survivor, "21", coldkeep.NewDate(2025, 2, 3)))
		w.clock.mu.Lock()
		w.clock.now = noon.Add(time.Minute)
		w.clock.mu.Unlock()
		m, err := people.MergePatients(w.ctx, registryStaff, loser, survivor, "the same child")
		w.must(err)
		stays := w.record(nurse, historical(loser, "20", coldkeep.NewDate(2025, 3, 3)))
		_, err = people.MergePatients(w.ctx, registryStaff, survivor, other, "the same child")
		w.must(err)
		goes := w.record(nurse, given(loser, lot, today))
		fact, err := w.AddFact(w.ctx, nurse, immunization.Fact{Patient: loser, Kind: immunization.Contraindication, Code: "080", Basis: "seen"})
		w.must(err)
		signed, err := w.AddExemption(w.ctx, nurse, immunization.Exemption{Patient: loser, Kind: immunization.Medical, From: today, Signer: "Dr. Lee", Source: "letter"})
		w.must(err)
		reaction, err := w.AddReaction(w.ctx, nurse, immunization.Reaction{Patient: loser, Doses: []string{goes.ID}, Event: "hives", Recovered: "yes"})
		w.must(err)

		u, err := people.Unmerging(w.ctx, registryStaff, m.ID)
		w.must(err)
		var offered []string
		for _, e := range u.Entered {
			offered = append(offered, e.ID)
		}
		slices.Sort(offered)
		want := []string{stays.ID, goes.ID, fact.ID, signed.ID, reaction.ID}
		slices.Sort(want)
		if !slices.Equal(offered, want) {
			t.Fatalf("offered %v, want %v", offered, want)
		}
		_, err = people.UnmergePatients(w.ctx, registryStaff, m.ID, "twins after all", before.ID)
		w.wants(err, coldkeep.EINVALID)
		if u, err := people.Unmerging(w.ctx, registryStaff, m.ID); err != nil || len(u.Entered) != 5 {
			t.Fatalf("a refused choice has changed something: %v", err)
		}
		_, err = people.UnmergePatients(w.ctx, registryStaff, m.ID, "twins after all", goes.ID, fact.ID, signed.ID)
		w.must(err)
		_, err = people.Unmerging(w.ctx, registryStaff, m.ID)
		w.wants(err, coldkeep.ECONFLICT)

		apart, err := w.View(w.ctx, registryStaffFound(w, loser), loser)
		w.must(err)
		if len(apart.Doses) != 1 || apart.Doses[0].ID != goes.ID || len(apart.Facts) != 1 || len(apart.Exemptions) != 1 || len(apart.Reactions) != 1 {
			t.Errorf("the folded record has %+v", apart)
		}
		rest, err := w.View(w.ctx, registryStaffFound(w, survivor), survivor)
		w.must(err)
		if len(rest.Doses) != 2 || len(rest.Facts)+len(rest.Exemptions)+len(rest.Reactions) != 0 {
			t.Errorf("the survivor has %+v", rest)
		}
		history, err := w.st.DoseHistory(w.ctx, goes.ID)
		w.must(err)
		if len(history) != 1 || history[0].Before.Patient != other || history[0].Why != "twins after all" {
			t.Errorf("the dose's history: %+v", history)
		}
		for _, id := range []string{loser, other} {
			entries, err := w.st.Entries(w.ctx, audit.Query{Subject: "patient/" + id, Limit: 100})
			w.must(err)
			moves := 0
			for _, e := range entries {
				if strings.HasSuffix(e.What, ".move") && e.Why == "twins after all" {
					moves++
				}
			}
			if moves != 4 {
				t.Errorf("the trail of %s has %d of 4 moves", id, moves)
			}
		}
		if w.onHand(lot) != 4 {
			t.Errorf("%d doses on hand after the moves", w.onHand(lot))
		}
		w.must(w.Delete(w.ctx, nurse, goes.ID, goes.Revision+1, "a test"))
		if w.onHand(lot) != 5 {
			t.Errorf("%d doses on hand after the dose was given back", w.onHand(lot))
		}
	})
}

// registryStaffFound is the staff, who have found a record by a search.
func registryStaffFound(w *world, id string) auth.Principal {
	w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error { return tx.Grant(w.ctx, registryStaff.ID, id, noon.AddDate(0, 0, 1)) }))
	return registryStaff
}
