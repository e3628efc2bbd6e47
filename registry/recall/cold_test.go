package recall_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
)

// spoil puts the fridge on hold since some days ago, and has a lot wasted with what was
// given of it.
func (w *world) spoil(hold, lot string, days int) {
	w.t.Helper()
	_, err := w.stock.Hold(w.ctx, collector, coldkeep.HoldRequest{ID: hold, Excursion: "x-" + hold, Appliance: "lakeside-fridge", Since: w.clock.Now().Add(-time.Duration(days) * 24 * time.Hour), Reason: "too warm"})
	w.must(err)
	w.must(w.stock.DecideLot(w.ctx, manager, inventory.Decision{Hold: hold, Lot: lot, Outcome: inventory.Wasted, Why: "The maker says no.", Given: true}))
	w.settle()
}

func (w *world) cold(by ...recall.ColdState) recall.ColdView {
	w.t.Helper()
	all, err := w.Colds(w.ctx, manager)
	w.must(err)
	if len(all) != 1 {
		w.t.Fatalf("%d recalls", len(all))
	}
	v, err := w.GetCold(w.ctx, manager, all[0].ID)
	w.must(err)
	for _, s := range by {
		if v.Counts[s] == 0 {
			w.t.Fatalf("nobody is %s: %v", s, v.Counts)
		}
	}
	return v
}

// From the hold to the end: the decision opens the recall by itself, the schedule says what
// to do, and a dose that counts closes it.
func TestFromHoldToRevaccination(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.settings()
		bad, good := w.lot("BAD", 20), w.lot("GOOD", 20)
		ada, before := w.child(today-400), w.child(today-420)
		dose := w.give(ada, bad, today-3)
		w.give(before, bad, today-30) // before the refrigerator went wrong
		if all, err := w.Colds(w.ctx, manager); err != nil || len(all) != 0 {
			t.Fatalf("%v, %v", all, err)
		}
		w.spoil("h", bad, 5)

		v := w.cold(recall.ColdOpenState)
		if v.Hold != "h" || v.By != "Dana" || v.Total != 1 || len(v.People) != 1 || v.People[0].Patient != ada || v.People[0].Doses[0].ID != dose.ID {
			t.Fatalf("%+v", v)
		}
		p := v.People[0]
		if p.To != "Chioma Okafor" || len(p.Phones) != 1 || len(p.Advice) != 1 || p.Advice[0].Group != "MMR" || !p.Advice[0].Repeat || p.Advice[0].Number != 1 {
			t.Fatalf("%+v", p)
		}
		// A live vaccine is not given within 28 days of another, also of one that does not count.
		if w.entries("coldrecall.view", ada) == 0 || w.entries("coldrecall.enter", ada) != 1 {
			t.Error("the trail does not say who was shown, or entered")
		}
		if c, err := w.ColdOfHold(w.ctx, nurse, "h"); err != nil || c == nil || c.ID != v.ID {
			t.Errorf("%v, %v", c, err)
		}
		chart, err := w.Of(w.ctx, desk, ada)
		if err != nil || len(chart.Cold) != 1 || !chart.Cold[0].State.Open() {
			t.Errorf("%+v, %v", chart, err)
		}

		// The desk has called; only somebody who may recall says that it is over.
		w.must(w.SetCold(w.ctx, desk, v.ID, ada, recall.ColdReached, "", p.Revision))
		w.wants(w.SetCold(w.ctx, desk, v.ID, ada, recall.ColdRefused, "no", p.Revision+1), coldkeep.EFORBIDDEN)
		w.wants(w.SetCold(w.ctx, nurse, v.ID, ada, recall.ColdRefused, "no", p.Revision), coldkeep.ECONFLICT)
		w.wants(w.SetCold(w.ctx, nurse, v.ID, ada, recall.Revaccinated, "yes", p.Revision+1), coldkeep.EINVALID)
		w.wants(w.SetCold(w.ctx, nurse, v.ID, ada, recall.ColdLost, "", p.Revision+1), coldkeep.EINVALID)

		// Too soon after the live vaccine: it does not count, and closes nothing.
		w.clock.add(24 * time.Hour)
		early := w.give(ada, good, today+1)
		w.settle()
		w.cold(recall.ColdReached)
		w.must(w.doses.Delete(w.ctx, nurse, early.ID, early.Revision, "entered by mistake"))
		w.clock.add(40 * 24 * time.Hour)
		w.give(ada, good, today+41)
		w.settle()
		v = w.cold(recall.Revaccinated)
		if v.Done() != 1 || v.People[0].By == "" || len(v.People[0].Steps) != 2 {
			t.Fatalf("%+v", v.People[0])
		}
	})
}

func TestColdRecallOfTheLocked(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.settings()
		lot := w.lot("BAD", 20)
		own, elsewhere, free := w.child(today-400), w.child(today-400), w.child(today-400, func(p *patient.Patient) { p.Publicity = "01" })
		for _, id := range []string{own, elsewhere, free} {
			w.give(id, lot, today-2)
		}
		w.lock(own, "lakeside")
		w.lock(elsewhere, "northgate")
		w.spoil("h", lot, 5)

		v := w.cold()
		shown := map[string]bool{}
		for _, p := range v.People {
			if p.Locked && (p.Patient != "" || p.Name.Family != "" || len(p.Phones) > 0) {
				t.Errorf("a locked record is shown: %+v", p)
			}
			shown[p.Patient] = true
		}
		if v.Total != 3 || v.Locked != 1 || !shown[own] || !shown[free] || shown[elsewhere] {
			t.Fatalf("%+v", v)
		}
		if w.entries("recall.refused", elsewhere) == 0 {
			t.Error("the refused view is not in the trail")
		}
		// The state sees how far it is, and whom the practice cannot reach.
		of, err := w.GetCold(w.ctx, state, v.ID)
		w.must(err)
		if of.Total != 3 || len(of.People) != 1 || of.People[0].Patient != elsewhere {
			t.Fatalf("%+v", of)
		}
		_, err = w.GetCold(w.ctx, other, v.ID)
		w.wants(err, coldkeep.ENOTFOUND)
		_, err = w.GetCold(w.ctx, viewer, v.ID)
		w.wants(err, coldkeep.EFORBIDDEN)
		w.wants(w.SetCold(w.ctx, nurse, v.ID, elsewhere, recall.ColdReached, "", 1), coldkeep.EFORBIDDEN)

		// Its notices go to who wants no reminders as well: a dose may not protect. They do not go
		// to who is locked elsewhere.
		r, err := w.StartCold(w.ctx, manager, v.ID)
		w.must(err)
		w.settle()
		view := w.see(manager, r.ID)
		if view.Reasons[recall.Told] != 2 || view.Reasons[recall.IsLocked] != 1 {
			t.Fatalf("%v", view.Reasons)
		}
		w.must(w.Issue(w.ctx, manager, r.ID, 0, []recall.Channel{recall.Letter}))
		w.settle()
		m, err := w.Print(w.ctx, manager, r.ID, recall.Letter, 0, "letters")
		w.must(err)
		if len(m.Sheets) != 2 {
			t.Fatalf("%+v", m.Sheets)
		}
		_, body := m.TextFor(&m.Sheets[0])
		for _, want := range []string{"Chioma Okafor", "February 28, 2026", "MMR", "Lakeside Family Clinic", "(224) 555-0100"} {
			if !strings.Contains(body, want) {
				t.Errorf("%q is not in\n%s", want, body)
			}
		}
	})
}

// Who died, whose dose counts after all, and who has another spoilt dose.
func TestOtherEndsOfAColdRecall(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		lot, second := w.lot("BAD", 20), w.lot("WORSE", 20)
		dead, fine := w.child(today-400), w.child(today-400)
		w.give(dead, lot, today-2)
		d := w.give(fine, lot, today-2)
		w.spoil("h", lot, 5)
		w.cold(recall.ColdOpenState)
		_, err := w.people.SetDeceased(w.ctx, nurse, dead, true, today-1, "the mother called")
		w.must(err)
		now, _, err := w.doses.Look(w.ctx, nurse, d.ID)
		w.must(err)
		w.must(w.doses.Trust(w.ctx, manager, d.ID, now.Revision, "", "It came from another refrigerator."))
		w.settle()
		v := w.cold(recall.ColdDeceased, recall.ColdCounts)
		if v.Done() != 2 {
			t.Fatalf("%v", v.Counts)
		}
		// The same hold spoils another lot later: the recall is the same, and begins anew for them.
		w.give(fine, second, today-1)
		w.must(w.stock.DecideLot(w.ctx, manager, inventory.Decision{Hold: "h", Lot: second, Outcome: inventory.Wasted, Why: "this one as well", Given: true}))
		w.settle()
		if v = w.cold(recall.ColdOpenState); v.Total != 2 {
			t.Fatalf("%v", v.Counts)
		}
		// A merge takes the recall along.
		twin := w.child(today - 400)
		w.told(twin, "03", today)
		_, err = w.people.MergePatients(w.ctx, state, fine, twin, "one child, entered twice")
		w.must(err)
		w.settle()
		if chart, err := w.Of(w.ctx, nurse, twin); err != nil || len(chart.Cold) == 0 {
			t.Errorf("%+v, %v", chart.Cold, err)
		}
	})
}
