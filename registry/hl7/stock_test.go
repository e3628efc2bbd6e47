package hl7_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// trail counts the entries of a kind about a patient.
func (w *world) trail(id, what string) (n int) {
	w.t.Helper()
	entries, err := w.st.Entries(w.ctx, audit.Query{Patient: id, Limit: 500})
	w.must(err)
	for _, e := range entries {
		if e.What == what {
			n++
		}
	}
	return n
}

func TestNotDeducted(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		lot := w.lot("X123", 1)
		w.lot("P1", 5, func(l *inventory.Lot) { l.CVX, l.Product, l.NDC = "21", "Varivax", "00006-4827-00" })
		for i, c := range []struct{ want, order, date, cvx, lot, eligibility string }{
			{"", "A1", "20260301", "03", "X123", "V02"},
			{"none-left", "A2", "20260115", "03", "X123", "V02"},
			{"unknown-lot", "A3", "20250901", "03", "Q0", "V02"},
			{"other-vaccine", "A4", "20250701", "03", "P1", "V02"},
			{"funding", "A5", "20250501", "21", "P1", "V01"},
			{"no-lot", "A6", "20250301", "21", "", "V02"},
		} {
			w.send(w.lakeside, w.vxu(i, with([]string{pidAda}, given(c.order, c.date, c.cvx, c.lot, c.eligibility))...))
			all, _, err := w.exchange.Undeducted(w.ctx, admin, "lakeside", 0, 100)
			w.must(err)
			if c.want == "" {
				if len(all) != 0 {
					t.Errorf("%+v", all)
				}
				continue
			}
			if len(all) != i || all[i-1].Code != c.want {
				t.Errorf("%s: %+v", c.want, all)
			}
			// The reason is kept when the message's text is not, and so holds no value of it.
			messages, err := w.exchange.Messages(w.ctx, admin, exchange.Filter{Limit: 1})
			w.must(err)
			told := slices.DeleteFunc(messages[0].Findings, func(f exchange.Finding) bool { return f.Rule != "not-deducted" })
			if len(told) != 1 || !strings.HasSuffix(told[0].Text, all[i-1].Reason) || c.lot != "" && strings.Contains(told[0].Text, c.lot) {
				t.Errorf("%s: %+v", c.want, told)
			}
		}
		all, _, err := w.exchange.Undeducted(w.ctx, admin, "lakeside", 0, 100)
		w.must(err)
		nurse := admin
		nurse.Role, nurse.Site = "nurse", "lakeside"
		// Once the books are right it is taken off.
		if why, err := w.exchange.Deduct(w.ctx, nurse, all[0].Dose); err != nil || why == "" {
			t.Fatal(why, err)
		}
		w.must(w.stock.SetDoses(w.ctx, system, lot, 4, "found in the door"))
		if why, err := w.exchange.Deduct(w.ctx, nurse, all[0].Dose); err != nil || why != "" || w.onHand(lot) != 3 {
			t.Fatal(why, err, w.onHand(lot))
		}
		w.must(w.exchange.Settle(w.ctx, nurse, all[1].Dose, "the lot was returned in December"))
		if left, _, err := w.exchange.Undeducted(w.ctx, nurse, "lakeside", 0, 100); err != nil || len(left) != len(all)-2 {
			t.Error(left, err)
		}
		// Another site locks the record: what is left on the list can be done by the state alone.
		north := strings.Replace(pidAda, "4711^^^MYEHR^MR", "N7^^^OTHER^MR", 1)
		w.ack(w.north, "AA", w.vxu(20, north))
		w.ack(w.north, "AA", w.vxu(21, north, strings.Replace(pd1Ada, "|N|", "|Y|", 1)))
		if _, err := w.exchange.Deduct(w.ctx, nurse, all[2].Dose); !patient.IsLocked(err) {
			t.Errorf("deducted: %v", err)
		}
		if err := w.exchange.Settle(w.ctx, nurse, all[2].Dose, "somebody knows the number"); !patient.IsLocked(err) {
			t.Errorf("settled: %v", err)
		}
		if n := w.trail(w.ada().ID, "undeducted.refused"); n != 2 {
			t.Errorf("%d refusals in the trail", n)
		}
		// Of it the keeper of the stock is told that it waits, and no more; the state sees it and
		// takes it off.
		left, total, err := w.exchange.Undeducted(w.ctx, nurse, "lakeside", 0, 100)
		w.must(err)
		if total != 3 || len(left) != 3 {
			t.Fatalf("%d: %+v", total, left)
		}
		for _, u := range left {
			if want := (exchange.Undeducted{Site: "lakeside", At: u.At, Locked: true}); u != want || u.At.IsZero() {
				t.Errorf("of a locked record: %+v", u)
			}
		}
		if n := w.trail(w.ada().ID, "undeducted.view.refused"); n != 3 {
			t.Errorf("%d rows that were not shown are in the trail", n)
		}
		w.lot("P1", 2, func(l *inventory.Lot) { l.NDC = "00006-4681-99" })
		state := auth.Principal{ID: "another", Name: "Noor", Role: auth.StateAdmin} // who has searched for nobody
		if why, err := w.exchange.Deduct(w.ctx, state, all[2].Dose); err != nil || why != "" {
			t.Errorf("by the state: %q %v", why, err)
		}
		// In an emergency it opens for looking, and for nothing else.
		nurse.ID = "the nurse"
		if _, err := w.people.BreakGlass(w.ctx, nurse, w.ada().ID, "the child reacts to a dose"); err != nil {
			t.Fatal(err)
		}
		left, _, err = w.exchange.Undeducted(w.ctx, nurse, "lakeside", 0, 100)
		w.must(err)
		if len(left) != 2 || !left[0].Locked || left[0].Dose != all[3].Dose || left[0].Name.Given != "Ada" {
			t.Errorf("in an emergency: %+v", left)
		}
		if _, err := w.exchange.Deduct(w.ctx, nurse, all[3].Dose); !patient.IsLocked(err) {
			t.Errorf("deducted in an emergency: %v", err)
		}
		if n := w.trail(w.ada().ID, "undeducted.refused"); n != 3 {
			t.Errorf("%d refusals in the trail", n)
		}
		w.must(w.exchange.Settle(w.ctx, admin, all[3].Dose, "the state knows why"))
	})
}

// keeper is who keeps Lakeside's stock.
var keeper = auth.Principal{ID: "keeper", Name: "Marcus", Role: auth.Nurse, Site: "lakeside"}

// waiting sends doses of Ada from a lot that is not in the stock, and lists them.
func (w *world) waiting(dates ...string) []exchange.Undeducted {
	w.t.Helper()
	for i, date := range dates {
		w.send(w.lakeside, w.vxu(i, with([]string{pidAda}, given("W"+date, date, "03", "Q0", "V02"))...))
	}
	all, total, err := w.exchange.Undeducted(w.ctx, keeper, "lakeside", 0, 100)
	w.must(err)
	if total != len(dates) || len(all) != len(dates) {
		w.t.Fatalf("%d, %+v", total, all)
	}
	return all
}

func TestUndeductedIsToldWhole(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		all := w.waiting("20260301", "20260115", "20250901", "20250701", "20250501")
		ada := w.ada()
		u := all[0]
		if u.Patient != ada.ID || u.Name.Family != "Okafor" || u.Birth != ada.Birth || u.Given != coldkeep.NewDate(2026, 3, 1) || u.CVX != "03" || u.Lot != "Q0" || u.Sender != "Lakeside EHR" || u.Code != exchange.UnknownLot || u.Locked {
			t.Errorf("%+v", u)
		}
		if n := w.trail(ada.ID, "undeducted.view"); n != 5 {
			t.Errorf("%d views in the trail", n)
		}
		// By the page, and counted by site.
		page, total, err := w.exchange.Undeducted(w.ctx, keeper, "lakeside", 3, 3)
		w.must(err)
		if total != 5 || len(page) != 2 || page[0].Dose != all[3].Dose || page[1].Dose != all[4].Dose {
			t.Errorf("%d, %+v", total, page)
		}
		for _, by := range []auth.Principal{keeper, admin} {
			n, err := w.exchange.CountUndeducted(w.ctx, by)
			if err != nil || len(n) != 1 || n["lakeside"] != 5 {
				t.Errorf("%s: %v %v", by.Name, n, err)
			}
		}
		other := keeper
		other.Site = "northgate"
		if n, err := w.exchange.CountUndeducted(w.ctx, other); err != nil || len(n) != 0 {
			t.Errorf("%v %v", n, err)
		}
		if _, _, err := w.exchange.Undeducted(w.ctx, other, "lakeside", 0, 1); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
			t.Errorf("another site's: %v", err)
		}
		if err := w.exchange.Settle(w.ctx, other, all[0].Dose, "a good reason"); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			t.Errorf("another site's: %v", err)
		}
		// What is put right on the record itself waits no more.
		lot := w.lot("M1", 4)
		d, _, err := w.doses.Look(w.ctx, keeper, all[0].Dose)
		w.must(err)
		d.StockID = lot
		if _, err := w.doses.Edit(w.ctx, keeper, d, "it was lot M1", immunization.Confirm{Yes: true, Why: "Test"}); err != nil {
			t.Fatal(err)
		}
		w.must(w.doses.Delete(w.ctx, keeper, all[1].Dose, 1, "another child"))
		left, total, err := w.exchange.Undeducted(w.ctx, keeper, "lakeside", 0, 100)
		w.must(err)
		if total != 3 || len(left) != 3 || left[0].Dose != all[2].Dose || w.onHand(lot) != 3 {
			t.Errorf("%d, %+v", total, left)
		}
		if why, err := w.exchange.Deduct(w.ctx, keeper, all[0].Dose); err != nil || why != "" || w.onHand(lot) != 3 {
			t.Errorf("of a dose whose lot was chosen: %q %v, %d on hand", why, err, w.onHand(lot))
		}
		if _, err := w.exchange.Deduct(w.ctx, keeper, all[1].Dose); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Errorf("of a deleted dose: %v", err)
		}
	})
}

// Who presses twice, or at once with somebody else, has taken one dose off; and what one has
// settled nobody takes off besides.
func TestUndeductedOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		all := w.waiting("20260301", "20260115", "20250901")
		lot := w.lot("Q0", 9)
		other := keeper
		other.ID, other.Name = "dana", "Dana"
		var group sync.WaitGroup
		errs := make([]error, 6)
		for i, by := range []auth.Principal{keeper, other, keeper} {
			group.Go(func() {
				why, err := w.exchange.Deduct(w.ctx, by, all[0].Dose)
				if why != "" {
					err = errors.Join(err, errors.New(why))
				}
				errs[i] = err
			})
			group.Go(func() {
				if by.ID == "dana" {
					_, errs[i+3] = w.exchange.Deduct(w.ctx, by, all[1].Dose)
				} else {
					errs[i+3] = w.exchange.Settle(w.ctx, by, all[1].Dose, "counted on Monday")
				}
			})
		}
		group.Wait()
		if err := errors.Join(errs[:3]...); err != nil {
			t.Error(err)
		}
		drawn := w.onHand(lot)
		lost := slices.DeleteFunc(slices.Clone(errs[3:]), func(err error) bool { return err == nil })
		if slices.ContainsFunc(lost, func(err error) bool { return coldkeep.ErrorCode(err) != coldkeep.ECONFLICT }) || (drawn != 8 || len(lost) != 1) && (drawn != 7 || len(lost) != 2) {
			t.Errorf("%d on hand: %v", drawn, lost)
		}
		// A reason is counted in characters.
		for why, want := range map[string]string{"": coldkeep.EINVALID, "äöü": coldkeep.EINVALID, "  äöü  ": coldkeep.EINVALID, strings.Repeat("ä", 501): coldkeep.EINVALID} {
			if err := w.exchange.Settle(w.ctx, keeper, all[2].Dose, why); coldkeep.ErrorCode(err) != want {
				t.Errorf("%q: %v", why, err)
			}
		}
		long := strings.Repeat("ä", 500)
		w.must(w.exchange.Settle(w.ctx, keeper, all[2].Dose, long))
		w.must(w.exchange.Settle(w.ctx, keeper, all[2].Dose, " "+long)) // the form sent twice
		err := w.exchange.Settle(w.ctx, keeper, all[2].Dose, "another reason")
		if coldkeep.ErrorCode(err) != coldkeep.ECONFLICT || strings.Contains(err.Error(), "ä") {
			t.Errorf("%v", err)
		}
		if _, err := w.exchange.Deduct(w.ctx, keeper, all[2].Dose); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT || w.onHand(lot) != drawn {
			t.Errorf("%v, %d on hand", err, w.onHand(lot))
		}
		if _, err := w.exchange.Deduct(w.ctx, keeper, "01ARZ3NDEKTSV4RRFFQ69G5FAV"); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			t.Errorf("%v", err)
		}
	})
}
