package immunization_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

func warned(t testing.TB, err error, codes ...string) {
	t.Helper()
	var u *immunization.Unconfirmed
	if !errors.As(err, &u) || coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
		t.Fatalf("%v, want warnings %v", err, codes)
	}
	var got []string
	for _, w := range u.Warnings {
		got = append(got, w.Code)
	}
	if !slices.Equal(got, codes) {
		t.Fatalf("warnings %v, want %v", got, codes)
	}
}

func TestADoseComesOffItsLot(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		p := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside")
		lot := w.lot("A1", 3)
		d, err := w.Record(w.ctx, nurse, given(p, lot, today), immunization.Confirm{})
		w.must(err)
		if d.CVX != "03" || d.Lot != "A1" || d.MVX != "MSD" || d.Expires.String() != "2027-06-30" || d.Unit != "lakeside-fridge" || d.Site != "lakeside" || d.Funding != "VXC51" || d.Source != "00" {
			t.Errorf("%+v", d)
		}
		if n := w.onHand(lot); n != 2 {
			t.Errorf("%d doses on hand", n)
		}
		v, err := w.View(w.ctx, nurse, p)
		w.must(err)
		if len(v.Groups) != 1 || v.Groups[0].Name != "MMR" || v.Groups[0].Doses[0].Status != forecast.Valid {
			t.Errorf("%+v", v.Groups)
		}
		// Deleted with a reason, it is kept, counts no longer and is back on its lot.
		w.wants(w.Delete(w.ctx, nurse, d.ID, 1, " "), coldkeep.EINVALID)
		w.wants(w.Delete(w.ctx, elsewhere, d.ID, 1, "mine"), coldkeep.EFORBIDDEN)
		w.wants(w.Delete(w.ctx, nurse, d.ID, 7, "old"), coldkeep.ECONFLICT)
		w.must(w.Delete(w.ctx, nurse, d.ID, 1, "Wrong child"))
		w.wants(w.Delete(w.ctx, nurse, d.ID, 2, "again"), coldkeep.ECONFLICT)
		if n := w.onHand(lot); n != 3 {
			t.Errorf("%d doses on hand", n)
		}
		v, err = w.View(w.ctx, nurse, p)
		w.must(err)
		if len(v.Groups) != 0 || len(v.Doses) != 1 || v.Doses[0].Deleted == nil || v.Doses[0].Deleted.Reason != "Wrong child" {
			t.Errorf("%+v", v.Doses)
		}
		changes, err := w.History(w.ctx, nurse, d.ID)
		w.must(err)
		if len(changes) != 1 || changes[0].Before.Deleted != nil || changes[0].By != "Marcus" || changes[0].Why != "Wrong child" {
			t.Errorf("%+v", changes)
		}
		journal, err := w.stock.Journal(w.ctx, manager, lot)
		w.must(err)
		if len(journal) != 3 || journal[0].Kind != inventory.StockReturned || journal[0].OnHand != 3 || journal[1].Kind != inventory.StockDrawn || journal[1].Dose != d.ID {
			t.Errorf("%+v", journal)
		}
	})
}

func TestWhoMayRecordWhere(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		mine, others := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside"), w.child(coldkeep.NewDate(2025, 1, 15), "northgate")
		lot := w.lot("A1", 3)
		_, err := w.Record(w.ctx, viewer, given(mine, lot, today), immunization.Confirm{})
		w.wants(err, coldkeep.EFORBIDDEN)
		_, err = w.Record(w.ctx, nurse, given(others, lot, today), immunization.Confirm{}) // not searched for
		w.wants(err, coldkeep.EFORBIDDEN)
		_, err = w.Record(w.ctx, elsewhere, given(others, lot, today), immunization.Confirm{}) // another practice's lot
		w.wants(err, coldkeep.ENOTFOUND)
		_, err = w.View(w.ctx, nurse, others)
		w.wants(err, coldkeep.EFORBIDDEN)
		_, err = w.View(w.ctx, school, mine)
		w.wants(err, coldkeep.EFORBIDDEN)
		st, err := w.School(w.ctx, school, mine)
		w.must(err)
		if len(st) == 0 || !slices.ContainsFunc(st, func(s immunization.SchoolStatus) bool { return s.Group == "MMR" && s.Status == "due" }) {
			t.Errorf("%+v", st)
		}
		w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error {
			return tx.InsertLock(w.ctx, patient.LockRecord{ID: "l", Patient: mine, Lock: patient.Lock{Site: "northgate", By: "Ines", At: noon, Form: "signed"}})
		}))
		if _, err = w.View(w.ctx, nurse, mine); !patient.IsLocked(errors.Unwrap(err)) && !patient.IsLocked(err) {
			t.Errorf("locked: %v", err)
		}
		_, err = w.Record(w.ctx, nurse, given(mine, lot, today), immunization.Confirm{})
		w.wants(err, coldkeep.EFORBIDDEN)
		if n := w.onHand(lot); n != 3 {
			t.Errorf("%d doses on hand", n)
		}
	})
}

func TestRefusedInPlainWords(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	born := coldkeep.NewDate(2025, 1, 15)
	p := w.child(born, "lakeside")
	lot := w.lot("A1", 3)
	for name, change := range map[string]func(*immunization.Dose){
		"before birth": func(d *immunization.Dose) { d.Date = born - 1 },
		"future":       func(d *immunization.Dose) { d.Date = today + 1 },
		"no day":       func(d *immunization.Dose) { d.Date = 0 },
		"nobody":       func(d *immunization.Dose) { d.GivenBy = " " },
		"eligibility":  func(d *immunization.Dose) { d.Eligibility = "V99" },
		"body site":    func(d *immunization.Dose) { d.BodySite = "NOSE" },
		"amount":       func(d *immunization.Dose) { d.Amount = "half" },
		"CVX":          func(d *immunization.Dose) { d.StockID, d.CVX, d.MVX, d.Lot = "", "9999", "MSD", "L" },
		"NDC":          func(d *immunization.Dose) { d.StockID, d.CVX, d.MVX, d.Lot, d.NDC = "", "03", "MSD", "L", "12" },
		"VIS": func(d *immunization.Dose) {
			d.VIS = []immunization.VIS{{Document: "MMR", Edition: today, Given: today - 1}}
		},
	} {
		d := given(p, lot, today)
		change(&d)
		if _, err := w.Record(w.ctx, nurse, d, immunization.Confirm{Yes: true, Why: "x"}); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.onHand(lot); n != 3 {
		t.Errorf("%d doses on hand", n)
	}
}

func TestWarnings(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		p := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside")
		public, private := w.lot("PUB", 5), w.lot("PRI", 5, func(l *inventory.Lot) { l.Funding = inventory.Private })
		expired := w.lot("OLD", 5, func(l *inventory.Lot) { l.Expires = "2026-03-01" })
		tell := func(d immunization.Dose, codes ...string) {
			t.Helper()
			_, err := w.Record(w.ctx, nurse, d, immunization.Confirm{})
			warned(t, err, codes...)
		}
		insured := given(p, public, today)
		insured.Eligibility = "V01"
		tell(insured, "wrong-funding")
		tell(given(p, private, today), "borrowed")
		tell(given(p, expired, today), "lot-expired")
		// A stop asks for a reason, a tick alone is not enough.
		_, err := w.Record(w.ctx, nurse, given(p, expired, today), immunization.Confirm{Yes: true})
		warned(t, err, "lot-expired")
		elsewhereLot := given(p, "", today)
		elsewhereLot.CVX, elsewhereLot.MVX, elsewhereLot.Lot = "03", "MSD", "X9"
		tell(elsewhereLot, "not-from-stock")
		tell(given(p, public, coldkeep.NewDate(2025, 9, 1)), "too-young")

		_, err = w.AddFact(w.ctx, nurse, immunization.Fact{Patient: p, Kind: immunization.Contraindication, Code: "080"})
		w.must(err)
		v, err := w.View(w.ctx, nurse, p)
		w.must(err)
		t.Logf("%s", v.Facts[0].Title)

		// Yesterday another live vaccine was given: MMR has to wait.
		q := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside")
		w.record(nurse, historical(q, "21", today-7))
		tell(given(q, public, today), "live-virus")

		w.hold(noon.Add(-time.Hour))
		r := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside")
		tell(given(r, public, today), "lot-on-hold")
		d := w.record(nurse, given(r, public, today))
		if d.Note != "It has been given already." {
			t.Errorf("%+v", d)
		}
		// The day before, nothing was wrong with it.
		d, err = w.Record(w.ctx, nurse, given(w.child(coldkeep.NewDate(2025, 1, 15), "lakeside"), public, today-1), immunization.Confirm{})
		w.must(err)
		if n := w.onHand(public); n != 3 {
			t.Errorf("%d doses on hand", n)
		}
		adult := w.child(coldkeep.NewDate(2000, 1, 15), "lakeside")
		tell(given(adult, public, today-1), "not-vfc-age")
	})
}

func TestARefusal(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		p := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside")
		d := immunization.Dose{Patient: p, Kind: immunization.Refused, Date: today, CVX: "03", Refusal: "02"}
		_, err := w.Record(w.ctx, nurse, d, immunization.Confirm{})
		w.wants(err, coldkeep.EINVALID)
		d.Refusal = "00"
		first := w.record(nurse, d)
		if again := w.record(nurse, d); again.ID != first.ID {
			t.Error("the same refusal twice")
		}
		v, err := w.View(w.ctx, nurse, p)
		w.must(err)
		i := slices.IndexFunc(v.Due, func(d immunization.Due) bool { return d.Group == "MMR" && !d.Risk })
		if i < 0 || v.Due[i].Refusal == nil || v.Due[i].Urgency != immunization.DueNow {
			t.Errorf("%+v", v.Due)
		}
	})
}

func TestAnEditMovesTheDose(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		p := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside")
		a, b := w.lot("A", 2), w.lot("B", 2)
		d := w.record(nurse, given(p, a, today))
		d.StockID, d.BodySite = b, "RA"
		_, err := w.Edit(w.ctx, nurse, d, "", immunization.Confirm{})
		w.wants(err, coldkeep.EINVALID)
		_, err = w.Edit(w.ctx, elsewhere, d, "x", immunization.Confirm{})
		w.wants(err, coldkeep.EFORBIDDEN)
		e, err := w.Edit(w.ctx, nurse, d, "Wrong lot on the form", immunization.Confirm{})
		w.must(err)
		if e.Lot != "B" || e.BodySite != "RA" || e.Revision != 2 || w.onHand(a) != 2 || w.onHand(b) != 1 {
			t.Errorf("%+v, %d and %d", e, w.onHand(a), w.onHand(b))
		}
		_, err = w.Edit(w.ctx, nurse, d, "late", immunization.Confirm{})
		w.wants(err, coldkeep.ECONFLICT)
		changes, err := w.History(w.ctx, nurse, d.ID)
		w.must(err)
		if len(changes) != 1 || changes[0].Before.Lot != "A" || changes[0].Before.BodySite != "LA" {
			t.Errorf("%+v", changes)
		}
	})
}

// A wasted lot's doses stop counting when a person says so, and the forecast changes at
// once.
func TestASpoiltDoseIsDueAgain(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		lot := w.lot("A", 10)
		before, after := w.child(coldkeep.NewDate(2025, 1, 15), "lakeside"), w.child(coldkeep.NewDate(2025, 1, 15), "lakeside")
		w.record(nurse, given(before, lot, today-10))
		d := w.record(nurse, given(after, lot, today-2))
		w.hold(noon.Add(-72 * time.Hour))
		if n, err := w.stock.GivenUnderHold(w.ctx, manager, "h", lot); err != nil || n != 1 {
			t.Errorf("%d, %v", n, err)
		}
		list, err := w.GivenUnderHold(w.ctx, nurse, "h", lot)
		w.must(err)
		if len(list) != 1 || list[0].ID != d.ID || list[0].Name.Family != "Okafor" || list[0].Locked {
			t.Errorf("%+v", list)
		}
		_, err = w.GivenUnderHold(w.ctx, elsewhere, "h", lot)
		w.wants(err, coldkeep.ENOTFOUND)
		// The number of the dose that is next, and whether it is within a month.
		status := func(p string) (forecast.EvalStatus, int, bool) {
			t.Helper()
			v, err := w.View(w.ctx, nurse, p)
			w.must(err)
			i := slices.IndexFunc(v.Due, func(d immunization.Due) bool { return d.Group == "MMR" && !d.Risk })
			return v.Groups[0].Doses[0].Status, v.Due[i].Number, v.Due[i].Recommended < today+31
		}
		if s, n, soon := status(after); s != forecast.Valid || n != 2 || soon {
			t.Errorf("%s, %d, %v", s, n, soon)
		}
		w.wants(w.stock.DecideLot(w.ctx, manager, inventory.Decision{Hold: "h", Lot: lot, Outcome: inventory.Released, Why: "x", Given: true}), coldkeep.EINVALID)
		w.must(w.stock.DecideLot(w.ctx, manager, inventory.Decision{Hold: "h", Lot: lot, Outcome: inventory.Wasted, Why: "Maker's letter 9", Given: true}))
		// It is live: the dose that replaces it waits for 28 days.
		if s, n, soon := status(after); s != forecast.SubStandard || n != 1 || !soon {
			t.Errorf("%s, %d, %v", s, n, soon)
		}
		if s, _, _ := status(before); s != forecast.Valid {
			t.Errorf("given before the break: %s", s)
		}
		// A person may say of one dose that it counts after all.
		now, err := w.st.Dose(w.ctx, d.ID)
		w.must(err)
		w.wants(w.Trust(w.ctx, nurse, d.ID, now.Revision, "", "It was drawn from the other fridge"), coldkeep.EFORBIDDEN)
		spoils, err := w.st.Entries(w.ctx, audit.Query{What: "dose.spoil", Limit: 10})
		w.must(err)
		if len(spoils) != 1 || spoils[0].Subject != "patient/"+after || spoils[0].Why != "Maker's letter 9" {
			t.Errorf("the patient's trail has %+v", spoils)
		}
		w.must(w.Trust(w.ctx, manager, d.ID, now.Revision, "", "It was drawn from the other fridge"))
		if s, _, _ := status(after); s != forecast.Valid {
			t.Errorf("%s", s)
		}
	})
}
