package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// waiting is a dose that an EHR of lakeside has sent and that was not taken off the stock.
func (s *site) waiting(child, lot, code string, daysAgo int) string {
	s.t.Helper()
	ctx, now, account := s.t.Context(), time.Now().UTC(), s.ehr()
	d := immunization.Dose{ID: ulid.Make().String(), Patient: child, Kind: immunization.Administered, Date: clinicDay(now) - coldkeep.Date(daysAgo), CVX: "03", Lot: lot, Site: "lakeside", Eligibility: "V02",
		EnteredBy: "EHR", EnteredSite: "lakeside", EnteredAt: now, Revision: 1}
	s.must(s.store.Exchange().Tx(ctx, func(tx exchange.Tx) error {
		if err := tx.InsertDose(ctx, d); err != nil {
			return err
		}
		return tx.PutUndeducted(ctx, exchange.Undeducted{Dose: d.ID, Patient: child, Site: "lakeside", Account: account, Message: "01ARZ3NDEKTSV4RRFFQ69G5FAV", At: now, Code: code, Reason: "The lot (RXA-15) is something."})
	}))
	return d.ID
}

// ehr is lakeside's interface account.
func (s *site) ehr() string {
	s.t.Helper()
	all, _, err := s.auth.Accounts(s.t.Context(), auth.Principal{ID: "a", Name: "A", Role: auth.StateAdmin})
	s.must(err)
	for _, a := range all {
		if a.Name == "Lakeside EHR" {
			return a.ID
		}
	}
	a, _, err := s.auth.AddAccount(s.t.Context(), system, "Lakeside EHR", "lakeside", []string{auth.ScopeRecords})
	s.must(err)
	return a.ID
}

// A clinic's worker reads no field names: those are the vendor's.
func TestObstaclesAreInPlainWords(t *testing.T) {
	for _, code := range exchange.UndeductedCodes() {
		o, ok := obstacles[code]
		if !ok || o.Why == "" || o.Do == "" {
			t.Errorf("%s has no words", code)
		}
		for _, not := range []string{"RXA", "OBX", "ORC", "CVX", "HL7", "RXA-15", "64994"} {
			if strings.Contains(o.Why+o.Do, not) {
				t.Errorf("%s: %q is a vendor's word", code, not)
			}
		}
	}
	if len(obstacles) != len(exchange.UndeductedCodes()) {
		t.Errorf("%d words for %d codes", len(obstacles), len(exchange.UndeductedCodes()))
	}
}

func TestANursePutsTheStockRight(t *testing.T) {
	s := serve(t)
	s.furnish()
	b, child := s.as("nurse"), s.child("lakeside")
	b.page(undeductedPath, "Nothing waits", "See the lots")
	b.page("/units", "!not taken off")
	dose := s.waiting(child, "FREE1", exchange.UnknownLot, 20)
	other := s.waiting(child, "", exchange.NoLotNumber, 60)
	b.page("/units", "2 doses that were given are not taken off the stock")
	b.page("/lots", "2 doses that were given are not taken off these counts")
	page := b.page(undeductedPath, "2 wait", "MMR", "CVX 03", "lot FREE1", "Okafor, Ada", "Lakeside EHR", "Your stock has no lot with this number", "No lot number came with the dose", "!RXA", "!message")
	for _, want := range []string{`href="/patients/` + child + `"`, `href="/patients/` + child + `/doses/` + dose, `id="d-` + dose} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	s.as("practice-manager").page(undeductedPath, "message")
	deduct, settle := undeductedPath+"/"+dose+"/deduct", undeductedPath+"/"+other+"/settle"

	// It is still not possible, and the page says so beside the dose.
	r := b.post(deduct, nil)
	if r.status != http.StatusSeeOther || r.header.Get("Location") != undeductedPath+"#d-"+dose {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	page = b.page(undeductedPath, "could not be taken off the stock: see why beside it", "Still not possible")
	if strings.Index(page, "Still not possible") < strings.Index(page, `id="d-`+dose) || strings.Count(page, "Still not possible") != 1 {
		t.Error("that is not said beside the dose")
	}
	b.page(undeductedPath, "!Still not possible")
	lot := s.freeLot()
	for range 2 { // a form that is sent twice does one thing
		b.post(deduct, nil)
		b.page(undeductedPath, "The dose has been taken off the stock", "1 waits", "!FREE1")
	}
	stock, err := s.stock.Stock(t.Context(), system)
	s.must(err)
	for _, l := range stock.Lots {
		if l.ID == lot && l.DosesOnHand != 9 {
			t.Errorf("%d on hand", l.DosesOnHand)
		}
	}

	// A reason that is none is asked for again, with what was typed.
	b.post(settle, url.Values{"why": {"äöü"}})
	page = b.page(undeductedPath, "in 4 to 500 characters")
	if !strings.Contains(page, `value="äöü"`) || !strings.Contains(page, `<details open="">`) {
		t.Error("the form has forgotten what was typed")
	}
	for range 2 {
		b.post(settle, url.Values{"why": {"counted off on Monday"}})
		b.page(undeductedPath, "The dose has been settled", "Nothing waits")
	}
	b.post(settle, url.Values{"why": {"another reason"}})
	b.page(undeductedPath, "The nurse has dealt with it", "!counted off on Monday")
	if r := b.post(undeductedPath+"/01ARZ3NDEKTSV4RRFFQ69G5FAV/deduct", nil); r.status != http.StatusNotFound {
		t.Errorf("a dose that there is not: %d", r.status)
	}
	viewer := s.as("view-only")
	if r := viewer.get(undeductedPath); r.status != http.StatusForbidden {
		t.Errorf("who looks only: %d", r.status)
	}
	viewer.page("/lots", "!not taken off", "!Not taken off")
	entries, err := s.store.Entries(t.Context(), audit.Query{Patient: child, Limit: 100})
	s.must(err)
	n := map[string]int{}
	for _, e := range entries {
		n[e.What]++
	}
	if n["undeducted.view"] < 10 || n["undeducted.deduct"] != 2 || n["undeducted.settle"] != 1 {
		t.Errorf("in the trail: %v", n)
	}
}

// Of a locked record the keeper of the stock learns that a dose waits and who can open it; the
// state sees it, whose practice it is of and can settle it.
func TestADoseOfALockedRecordWaits(t *testing.T) {
	s := serve(t)
	s.furnish()
	child := s.child("lakeside")
	dose := s.waiting(child, "FREE1", exchange.WrongFunding, 20)
	s.must(s.store.Patients().Tx(t.Context(), func(tx patient.Tx) error {
		return tx.InsertLock(t.Context(), patient.LockRecord{ID: ulid.Make().String(), Patient: child, Lock: patient.Lock{Site: "northgate", By: "Test", At: time.Now(), Form: "signed"}})
	}))
	b := s.as("nurse")
	page := b.page(undeductedPath, "1 waits", "Locked", "opted out of sharing", "Only the state can open it", "!Okafor", "!FREE1", "!MMR", "!bought", "!northgate")
	if strings.Contains(page, dose) || strings.Contains(page, child) || strings.Contains(page, "/settle") {
		t.Error("the page knows the dose or the patient")
	}
	for _, what := range []string{"deduct", "settle"} {
		r := b.post(undeductedPath+"/"+dose+"/"+what, url.Values{"why": {"somebody knows the number"}})
		if r.status != http.StatusForbidden || !strings.Contains(words(t, r.body), "This record is locked") || strings.Contains(r.body, "Okafor") {
			t.Errorf("%s: %d", what, r.status)
		}
	}
	admin := s.as("state-admin")
	admin.page(undeductedPath, "Clinic lakeside", "Okafor, Ada", "bought with other money")
	admin.page(undeductedPath+"?site=northgate", "Nothing waits")
	r := admin.post(undeductedPath+"/"+dose+"/settle", url.Values{"why": {"the practice has counted it"}, "site": {"lakeside"}})
	if r.header.Get("Location") != undeductedPath+"?site=lakeside#d-"+dose {
		t.Errorf("back to %s", r.header.Get("Location"))
	}
	admin.page(undeductedPath+"?site=lakeside", "Nothing waits")
	if r := b.get(undeductedPath + "?site=northgate"); r.status != http.StatusForbidden {
		t.Errorf("another practice's list: %d", r.status)
	}
}

func TestMoreDosesWaitThanFitAPage(t *testing.T) {
	s := serve(t)
	s.furnish()
	child := s.child("lakeside")
	var last string
	for i := range 2*undeductedShown + 1 {
		last = s.waiting(child, fmt.Sprintf("L%03d", i), exchange.UnknownLot, 1+i)
	}
	b := s.as("nurse")
	page := b.page(undeductedPath, "1 to 50 of 101 that wait", "lot L000", "lot L049", "!lot L050", "Later ones", "!Earlier ones")
	if !strings.Contains(page, `href="`+undeductedPath+`?page=2"`) {
		t.Error("no next page")
	}
	b.page(undeductedPath+"?page=2", "51 to 100 of 101", "Earlier ones", "Later ones", "!lot L100")
	b.page(undeductedPath+"?page=3", "101 to 101 of 101", "lot L100", "Earlier ones", "!Later ones")
	b.page(undeductedPath+"?page=77", "101 to 101 of 101")
	b.page(undeductedPath+"?page=x", "1 to 50 of 101")
	r := b.post(undeductedPath+"/"+last+"/settle", url.Values{"why": {"counted off"}, "page": {"3"}})
	if r.header.Get("Location") != undeductedPath+"?page=3#d-"+last {
		t.Errorf("back to %s", r.header.Get("Location"))
	}
	b.page(undeductedPath+"?page=3", "51 to 100 of 100", "settled")
}

// The list is made as other pages are; what is wrong with a lot is put right where it stands.
func TestTheStocksListIsWellMade(t *testing.T) {
	s := serve(t)
	s.furnish()
	child := s.child("lakeside")
	for i, code := range exchange.UndeductedCodes() {
		s.waiting(child, "L1", code, 10+i)
	}
	wellMade(t, undeductedPath, s.as("nurse").get(undeductedPath))
}
