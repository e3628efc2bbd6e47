package web

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// clinicDay is the day of a time at the clinic.
func clinicDay(t time.Time) coldkeep.Date {
	return coldkeep.DateOf(t.In(zone(coldkeep.Site{TimeZone: "America/Chicago"})))
}

// child adds a child of thirteen months to a practice.
func (s *site) child(at coldkeep.SiteID) string {
	s.t.Helper()
	now := time.Now()
	p := patient.Patient{ID: ulid.Make().String(), Birth: coldkeep.DateOf(now) - 400, Sex: patient.Female, Revision: 1, CreatedAt: now, UpdatedAt: now,
		Names:    []patient.Name{{Family: "Okafor", Given: "Ada", Kind: patient.Legal, Span: patient.Span{Seq: 1}}},
		Statuses: []patient.Status{{Site: at, Standing: patient.Active, Since: now, By: "Test", Span: patient.Span{Seq: 1}}}}
	p.Head = p.ID
	s.must(s.store.Patients().Tx(s.t.Context(), func(tx patient.Tx) error { return tx.InsertPatient(s.t.Context(), p) }))
	return p.ID
}

// freeLot adds a lot that is on no hold.
func (s *site) freeLot() string {
	s.t.Helper()
	s.must(s.log.AddAppliance(s.t.Context(), system, coldkeep.Appliance{ID: "second", Site: "lakeside", Name: "Second fridge", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}))
	l, err := s.stock.Receive(s.t.Context(), system, inventory.Lot{Site: "lakeside", Number: "FREE1", Product: "M-M-R II", CVX: "03", NDC: "00006-4681-00", MVX: "MSD",
		Expires: "2031-06-30", Funding: inventory.Public, DosesOnHand: 10}, "second", time.Now().Add(-48*time.Hour))
	s.must(err)
	return l.ID
}

func (s *site) person(username string, role auth.Role, at coldkeep.SiteID) {
	s.t.Helper()
	_, err := s.auth.AddPerson(s.t.Context(), system, auth.NewPerson{Name: "The " + username, Username: username, Password: password, Role: role, Site: at})
	s.must(err)
}

func TestANurseGivesADose(t *testing.T) {
	s := serve(t)
	s.furnish()
	p, lot := s.child("lakeside"), s.freeLot()
	at := "/patients/" + p
	b := s.as("nurse")
	b.page(at+"/immunizations", "Okafor, Ada", "MMR", "Overdue", "No doses are recorded", "Give a dose")
	b.page(at+"/doses/new?group=MMR", "FREE1", "on hold", "it was given already")
	// The barcode on the vial finds the lot.
	r := b.post(at+"/doses/scan", url.Values{"barcode": {"(01)00300064681000(17)310630(10)FREE1"}})
	if r.status != http.StatusSeeOther || r.header.Get("Location") != at+"/doses/new?lot="+lot {
		t.Fatalf("%d, %s", r.status, r.header.Get("Location"))
	}
	b.page(r.header.Get("Location"), "M-M-R II, lot FREE1", "Left thigh", "MMR")
	r = b.post(at+"/doses/scan", url.Values{"barcode": {"hello"}})
	b.page(r.header.Get("Location"), "is not a GS1 code")

	form := url.Values{"kind": {"administered"}, "stock": {lot}, "site": {"lakeside"}, "date": {clinicDay(time.Now()).String()}, "eligibility": {"V01"}, "body_site": {"LT"}, "route": {"SC"}, "amount": {"0.5"}, "given_by": {"Marcus Hale, RN"}}
	r = b.post(at+"/doses", form)
	if r.status != http.StatusConflict {
		t.Fatalf("%d %s", r.status, r.body)
	}
	b.has("warning", words(t, r.body), "Not recorded yet", "public funds", "I have read this")
	if !strings.Contains(r.body, `value="Marcus Hale, RN"`) {
		t.Error("the form has forgotten who gave the dose")
	}
	form.Set("eligibility", "V02")
	form.Set("date", "2999-01-01")
	r = b.post(at+"/doses", form)
	b.has("error", words(t, r.body), "in the future")
	form.Set("date", clinicDay(time.Now()).String())
	r = b.post(at+"/doses", form)
	if r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, words(t, r.body))
	}
	b.page(r.header.Get("Location"), "The dose is on the record", "Valid", "FREE1", "dose 1")
	b.page(at+"/immunizations/why", "Why")
	v, err := s.doses.View(t.Context(), auth.Principal{ID: "n", Name: "N", Role: auth.Nurse, Site: "lakeside"}, p)
	s.must(err)
	d := v.Doses[0]
	// It is corrected, then deleted.
	page := b.page(at+"/doses/"+d.ID, "Correct it", "Entered by mistake?")
	if !strings.Contains(page, `<option value="`+lot+`" selected>`) {
		t.Error("the lot is not chosen")
	}
	edit := url.Values{"kind": {"administered"}, "revision": {"1"}, "ndc": {d.NDC}, "stock": {lot}, "date": {d.Date.String()}, "eligibility": {"V02"}, "body_site": {"RT"}, "route": {"SC"}, "amount": {"0.5"},
		"given_by": {"Marcus Hale, RN"}, "why": {"The other leg"}}
	r = b.post(at+"/doses/"+d.ID, edit)
	b.page(r.header.Get("Location"), "The dose has been corrected", "Right thigh", "The other leg")
	r = b.post(at+"/doses/"+d.ID+"/delete", url.Values{"revision": {"2"}, "why": {"Another child"}})
	b.page(r.header.Get("Location"), "no longer counts", "Deleted by")
}

var formOfDose = regexp.MustCompile(`name="form" value="([0-9A-Z]{26})"`)

// Who presses twice has recorded one dose, and sees it; who goes back and changes what is in
// the form is told, and records another dose by sending it again.
func TestAFormIsSentTwice(t *testing.T) {
	s := serve(t)
	s.furnish()
	p, lot := s.child("lakeside"), s.freeLot()
	at := "/patients/" + p
	b := s.as("nurse")
	key := formOfDose.FindStringSubmatch(b.page(at + "/doses/new?lot=" + lot))
	if key == nil {
		t.Fatal("the form has no key")
	}
	form := url.Values{"form": {key[1]}, "kind": {"administered"}, "stock": {lot}, "site": {"lakeside"}, "date": {clinicDay(time.Now()).String()}, "eligibility": {"V02"}, "given_by": {"Marcus Hale, RN"}}
	for range 2 {
		r := b.post(at+"/doses", form)
		if r.status != http.StatusSeeOther || r.header.Get("Location") != immunizationsOf(p) {
			t.Fatalf("%d %s", r.status, words(t, r.body))
		}
	}
	nurse := auth.Principal{ID: "n", Name: "N", Role: auth.Nurse, Site: "lakeside"}
	if v, err := s.doses.View(t.Context(), nurse, p); err != nil || len(v.Doses) != 1 {
		t.Fatalf("%d doses, %v", len(v.Doses), err)
	}
	form.Set("date", (clinicDay(time.Now()) - 1).String())
	r := b.post(at+"/doses", form)
	b.has("a used form", words(t, r.body), "This form has recorded a dose already", "send it again")
	again := formOfDose.FindStringSubmatch(r.body)
	if r.status != http.StatusConflict || again == nil || again[1] == key[1] || !strings.Contains(r.body, `value="Marcus Hale, RN"`) {
		t.Fatalf("%d, key %v, or what was typed is gone", r.status, again)
	}
	form.Set("form", again[1])
	form.Set("confirm", "yes")
	form.Set("confirm_why", "two shots")
	if r := b.post(at+"/doses", form); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, words(t, r.body))
	}
	if v, err := s.doses.View(t.Context(), nurse, p); err != nil || len(v.Doses) != 2 {
		t.Errorf("%d doses, %v", len(v.Doses), err)
	}
}

func TestOtherScreensOfARecord(t *testing.T) {
	s := serve(t)
	s.furnish()
	p := s.child("lakeside")
	at := "/patients/" + p
	s.person("teacher", auth.School, "lakeside")
	s.person("far", auth.Nurse, "northgate")
	b := s.as("nurse")
	today := clinicDay(time.Now())
	post := func(path string, form url.Values, texts ...string) {
		t.Helper()
		r := b.post(path, form)
		if r.status != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", path, r.status, words(t, r.body))
		}
		to, _, _ := strings.Cut(r.header.Get("Location"), "#")
		b.page(to, texts...)
	}
	post(at+"/doses", url.Values{"kind": {"historical"}, "cvx": {"21"}, "date": {(today - 20).String()}, "source": {"02"}, "elsewhere": {"Dr. Lund"}}, "Varicella", "historical, Dr. Lund", "Valid")
	post(at+"/doses", url.Values{"kind": {"refused"}, "cvx": {"133"}, "date": {today.String()}, "refusal": {"00"}}, "The refusal is on the record", "refused")
	catalogue := s.doses.Catalogue()
	post(at+"/facts", url.Values{"kind": {"immunity"}, "code": {catalogue.Immunity[0].Code}}, "what it rests on")
	post(at+"/facts", url.Values{"kind": {"contraindication"}, "code": {catalogue.Contraindications[0].Code}}, catalogue.Contraindications[0].Title)
	post(at+"/exemptions", url.Values{"kind": {"medical"}, "group": {"Polio"}, "from": {today.String()}, "signer": {"Dr. Lund"}, "source": {"Form"}}, "Polio", "exempt (medical)")
	doses, err := s.store.Doses(t.Context(), []string{p})
	s.must(err)
	i := slices.IndexFunc(doses, func(d immunization.Dose) bool { return d.CVX == "21" })
	b.page(at+"/reactions/new", "VAERS 2.0", "varicella")
	r := b.post(at+"/reactions", url.Values{"dose": {doses[i].ID}, "event": {"=Fever"}, "result": {"none"}, "facility": {"office"}, "relation": {"professional"}})
	page := r.header.Get("Location")
	b.page(page, "Adverse event", "5 when it began", "varicella", "None of these")
	csv := b.get(page + "/report.csv")
	if csv.status != 200 || !strings.Contains(csv.body, "'=Fever") {
		t.Errorf("%d %s", csv.status, csv.body)
	}
	if js := b.get(page + "/report.json"); js.status != 200 || !strings.Contains(js.body, "Fever") {
		t.Errorf("%d %s", js.status, js.body)
	}
	// A school sees the status alone, another practice nothing.
	k := s.as("teacher")
	if r := k.get(at + "/immunizations"); r.status != http.StatusSeeOther || r.header.Get("Location") != at+"/status" {
		t.Errorf("%d", r.status)
	}
	k.page(at+"/status", "Varicella", "Exempt (medical)", "!Dr. Lund, ", "!Varivax")
	for _, path := range []string{"/immunizations", "/status", "/doses/new", "/doses/" + doses[i].ID, strings.TrimPrefix(page, at)} {
		if r := s.as("far").get(at + path); r.status != http.StatusForbidden {
			t.Errorf("%s for another practice: %d", path, r.status)
		}
	}
	if r := s.as("view-only").post(at+"/doses", url.Values{"kind": {"historical"}, "cvx": {"21"}, "date": {today.String()}}); r.status != http.StatusForbidden {
		t.Errorf("view only records: %d", r.status)
	}
}

// A hold shows how many doses were given from its lots, and to whom.
func TestAHoldShowsWhoGotDoses(t *testing.T) {
	s := serve(t)
	s.furnish()
	p := s.child("lakeside")
	lot := s.lotID("LOT-LAKESIDE")
	_, err := s.doses.Record(t.Context(), auth.Principal{ID: "n", Name: "N", Role: auth.Nurse, Site: "lakeside"},
		immunization.Dose{Patient: p, Kind: immunization.Administered, Date: clinicDay(time.Now().Add(-2 * time.Hour)), StockID: lot, Eligibility: "V02", GivenBy: "N, RN"}, immunization.Confirm{Yes: true, Why: "Given before anyone knew"})
	s.must(err)
	b := s.as("practice-manager")
	b.page("/lots", "Given since", "cannot be trusted either")
	b.page("/holds/h1/lots/"+lot+"/doses", "Ada Okafor", "as the schedule says")
	b.page("/lots/"+lot+"/doses", "Ada Okafor")
	if r := s.as("vfc-coordinator").get("/holds/h1/lots/" + lot + "/doses"); r.status != http.StatusForbidden {
		t.Errorf("the coordinator sees patients: %d", r.status)
	}
	r := b.post("/holds/h1/lots/"+lot, url.Values{"outcome": {"wasted"}, "reason": {"Letter"}, "given": {"yes"}})
	b.page(r.header.Get("Location"), "patients are due again")
	b.page("/patients/"+p+"/immunizations", "Sub-standard")
}

func TestSchedulesScreen(t *testing.T) {
	s := serve(t)
	s.furnish()
	s.child("lakeside")
	b := s.as("state-admin")
	b.page("/admin/schedules", "Load a release", "In force", "comes with the program")
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	f, err := w.CreateFormFile("files", "cdsi-4.65.zip")
	s.must(err)
	_, err = f.Write([]byte("this is no archive"))
	s.must(err)
	s.must(w.Close())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/admin/schedules", &body)
	s.must(err)
	r.Header.Set("Content-Type", w.FormDataContentType())
	answer := b.send(r)
	if answer.status != http.StatusSeeOther {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	b.page("/admin/schedules", "The release is refused, and the schedule in force stays")
	if r := b.post("/admin/schedules/compare", url.Values{"release": {""}}); r.status != 200 {
		t.Errorf("%d", r.status)
	} else {
		b.has("comparison", words(t, r.body), "Of 1 people of this registry, 0")
	}
	for _, who := range []string{"nurse", "practice-manager"} {
		if r := s.as(who).get("/admin/schedules"); r.status != http.StatusForbidden {
			t.Errorf("%s: %d", who, r.status)
		}
	}
}

func TestAPracticeTakesOverItsPatients(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("practice-manager")
	b.page("/import", "Download the template", "family_name")
	if r := b.get("/import/template.csv"); r.status != 200 || !strings.HasPrefix(r.body, "record_number,") {
		t.Errorf("%d %s", r.status, r.body)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	f, err := w.CreateFormFile("file", "patients.csv")
	s.must(err)
	_, err = f.Write([]byte("family_name,given_name,birth_date,sex,Home tel\nOkafor,Ada,2025-01-15,F,555\nNowak,Zofia,2024-02-30,F,\n"))
	s.must(err)
	s.must(w.Close())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/import", &body)
	s.must(err)
	r.Header.Set("Content-Type", w.FormDataContentType())
	answer := b.send(r)
	at := answer.header.Get("Location")
	if answer.status != http.StatusSeeOther || !strings.HasPrefix(at, "/import/") {
		t.Fatalf("%d %s", answer.status, at)
	}
	work := func() {
		for {
			more, err := s.imports.Step(t.Context())
			s.must(err)
			if !more {
				return
			}
		}
	}
	b.page(at, "Looking at the rows", "none of the template's are passed over: Home tel.")
	work()
	b.page(at, "Nothing is changed yet", "It is not a date", "refused")
	if r := b.post(at+"/take", nil); r.status != http.StatusSeeOther {
		t.Fatal(r.status)
	}
	work()
	b.page(at, "Imported", "Rows imported 1")
	if r := s.as("nurse").get("/import"); r.status != http.StatusForbidden {
		t.Errorf("a nurse: %d", r.status)
	}
}
