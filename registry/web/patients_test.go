package web

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// milaForm is the form of a new patient as a front desk fills it in.
func milaForm() url.Values {
	return url.Values{"name0_family": {"Brandt"}, "name0_given": {"Mila"}, "name0_middle": {"Rose"}, "name0_suffix": {""}, "name0_kind": {"L"}, "name1_family": {""}, "name1_given": {""}, "name1_kind": {"A"},
		"birth": {"2019-04-02"}, "sex": {"F"}, "mother": {"Okafor"}, "multiple": {"no"}, "birth_order": {""}, "race": {"2106-3", "2028-9"}, "ethnicity": {"2186-5"}, "language": {"eng"}, "publicity": {"02"},
		"address0_street": {"12 Elm St"}, "address0_city": {"Chicago"}, "address0_state": {"IL"}, "address0_zip": {"60614"}, "address0_kind": {"H"},
		"contact0_kind": {"cell"}, "contact0_value": {"(312) 555-0142"}, "id0_kind": {"MR"}, "id0_value": {"4711"}, "id0_assigner": {""},
		"guardian0_family": {"Brandt"}, "guardian0_given": {"Nora"}, "guardian0_relation": {"MTH"}, "guardian0_phone": {"312 555 0143"}, "guardian0_email": {"nora@example.org"}}
}

func searched(family, given, birth string) url.Values {
	return url.Values{"way": {"name"}, "family": {family}, "given": {given}, "birth": {birth}}
}

func TestPatientScreens(t *testing.T) {
	s := serve(t)
	s.furnish()
	for role, at := range map[auth.Role]coldkeep.SiteID{auth.FrontDesk: "lakeside"} {
		_, err := s.auth.AddPerson(t.Context(), system, auth.NewPerson{Name: "The " + string(role), Username: string(role), Password: password, Role: role, Site: at})
		s.must(err)
	}
	_, err := s.auth.AddPerson(t.Context(), system, auth.NewPerson{Name: "Ines", Username: "other", Password: password, Role: auth.Nurse, Site: "northgate"})
	s.must(err)
	desk, other, admin := s.as(string(auth.FrontDesk)), s.as("other"), s.as(string(auth.StateAdmin))

	// Not found, so added; what was searched for is in the form, not in an address.
	desk.page("/patients", "Find a patient", "By name and birth date", "To register a new patient, search first")
	r := desk.post("/patients/search", searched("Brandt", "Mila", "2019-04-02"))
	if r.status != 200 || r.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", r.status, r.header)
	}
	desk.has("search", words(t, r.body), "Not found", "Add this patient")
	r = desk.post("/patients/search", searched("Br", "Mila", "2019-04-02"))
	desk.has("few letters", words(t, r.body), "Not found", "So few letters are looked for as a whole name")
	r = desk.post("/patients/search", searched("B", "Mila", ""))
	if r.status != 400 {
		t.Errorf("too broad: %d", r.status)
	}
	desk.has("too broad", words(t, r.body), "too broad")
	r = desk.post("/patients/new", searched("Brandt", "Mila", "2019-04-02"))
	desk.has("new", r.body, `value="Brandt"`, `value="2019-04-02"`)
	form := milaForm()
	form.Set("address0_zip", "606")
	r = desk.post("/patients", form)
	if r.status != 400 {
		t.Errorf("wrong ZIP code: %d", r.status)
	}
	desk.has("refused", r.body, "ZIP code: want five digits", `value="12 Elm St"`, `value="nora@example.org"`)
	form = milaForm() // a number without a name is not dropped in silence
	form.Del("guardian0_family")
	form.Del("guardian0_given")
	r = desk.post("/patients", form)
	if r.status != 400 {
		t.Errorf("a guardian without a name: %d", r.status)
	}
	desk.has("refused", r.body, "Guardian&#39;s family name: is missing", `value="312 555 0143"`, `value="nora@example.org"`)
	r = desk.post("/patients", milaForm())
	at := r.header.Get("Location")
	if r.status != 303 || !regexp.MustCompile(`^/patients/[0-9A-Z]{26}$`).MatchString(at) {
		t.Fatalf("%d %s %s", r.status, at, r.body)
	}
	desk.page(at, "The patient has been added", "Brandt, Mila Rose", "(312) 555-0142", "Clinic lakeside", "Nora Brandt", "Active", "White, Asian")
	if again := desk.post("/patients", milaForm()); again.header.Get("Location") != at {
		t.Errorf("entered twice: %s", again.header.Get("Location"))
	}

	// Edited, and what was replaced is kept.
	body := desk.page(at+"/edit", "Edit the record")
	form = milaForm()
	form.Set("base", formBaseOf(t, body))
	form.Set("guardian0_seq", "1")
	form.Set("name0_family", "Whitfield")
	form.Set("guardian0_email", "")
	if r = desk.post(at+"/edit", form); r.status != 303 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	desk.page(at, "Whitfield, Mila Rose", "Mila Rose Brandt", "replaced by The front-desk")
	r = desk.post(at+"/edit", form)
	if r.status != 409 {
		t.Errorf("stale: %d", r.status)
	}
	desk.has("stale", r.body, "Somebody else has changed this record", `value="Whitfield"`)
	desk.post(at+"/standing", url.Values{"site": {"lakeside"}, "standing": {"moved"}, "why": {"told at the desk"}})
	desk.page(at, "With your practice: Moved or gone elsewhere")

	// Another practice must search; after the opt-out it meets a lock.
	if r = other.get(at); r.status != 403 || !strings.Contains(r.body, "Search for the patient first") {
		t.Errorf("without a search: %d", r.status)
	}
	r = other.post("/patients/search", searched("whit", "mi", "2019-04-02"))
	other.has("found", words(t, r.body), "Whitfield, Mila Rose")
	desk.page(at+"/opt-out", "has not been offered yet", "I ask that the record of the patient named above be locked")
	desk.post(at+"/opt-out/offered", nil)
	r = desk.post(at+"/lock", url.Values{"signer": {"Nora Brandt"}, "relation": {"MTH"}, "signed": {"2026-01-02"}, "kept": {"chart"}})
	if r.status != 303 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	desk.page(at+"/opt-out", "The record is locked", "signed Jan 2, 2026 by Nora Brandt")
	for _, path := range []string{at, at + "/edit", at + "/opt-out"} {
		r = other.get(path)
		if r.status != 403 {
			t.Errorf("%s of a locked record: %d", path, r.status)
		}
		other.has(path, r.body, "This record is locked", "!Whitfield", "!Brandt", "!555")
	}
	r = other.post("/patients/search", searched("Whitfield", "Mila", "2019-04-02"))
	other.has("locked", words(t, r.body), "A locked record exists", "!Whitfield, Mila")
	form = milaForm()
	form.Set("id0_value", "")
	if r = other.post("/patients", form); r.status != 403 || !strings.Contains(r.body, "This record is locked") {
		t.Errorf("entered again elsewhere: %d", r.status)
	}
	other.page(at+"/emergency", "Only when waiting would harm the patient")
	if r = other.post(at+"/emergency", url.Values{"why": {"unconscious, anaphylaxis"}}); r.status != 303 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	other.page(at, "It is open to you for an emergency", "Whitfield", "!Give a dose", "!Record a death")
	other.page(at+"/immunizations", "Due now", "!Give a dose", "!Record one", "!Record an exemption")
	body = admin.page("/emergencies", "Ines", "unconscious, anaphylaxis", "!Whitfield")
	review := regexp.MustCompile(`action="(/emergencies/[0-9A-Z]+)"`).FindStringSubmatch(body)[1]
	admin.post(review, url.Values{"review": {"confirmed by the hospital"}})
	admin.page("/emergencies", "Every case has been looked at", "confirmed by the hospital")
	desk.post(at+"/unlock", url.Values{"signer": {"Nora Brandt"}, "relation": {"MTH"}, "signed": {"2026-01-03"}, "kept": {""}})
	other.page(at, "Whitfield")
	for _, path := range []string{"/duplicates", "/emergencies", "/deidentified", "/deidentified/people.csv"} {
		if r = desk.get(path); r.status != 403 {
			t.Errorf("%s for a front desk: %d", path, r.status)
		}
	}
}

func TestDuplicateScreens(t *testing.T) {
	s := serve(t)
	s.furnish()
	nurse, admin := s.as(string(auth.Nurse)), s.as(string(auth.StateAdmin))
	first := nurse.post("/patients", milaForm()).header.Get("Location")
	form := milaForm()
	form.Set("name0_family", "Bandt")
	form.Set("id0_value", "9999")
	second := nurse.post("/patients", form).header.Get("Location")
	if first == second {
		t.Fatal("one record")
	}
	nurse.page(second, "The state will look at a record that may be the same person's")
	body := admin.page("/duplicates", "given name: same", "family name: typing error")
	at := regexp.MustCompile(`/duplicates/[0-9A-Z]+/[0-9A-Z]+`).FindString(body)
	admin.page(at, "Is this one person?", "Mila Rose Brandt", "Mila Rose Bandt", "birth date", "Decide")
	keep := strings.TrimPrefix(first, "/patients/")
	if r := admin.post(at+"/merge", url.Values{"keep": {keep}, "why": {"seen together"}}); r.status != 303 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	body = admin.page(at, "The two are one record", "Undo the merge")
	if r := nurse.get(second); r.status != 303 || r.header.Get("Location") != first {
		t.Errorf("merged: %d %s", r.status, r.header.Get("Location"))
	}
	nurse.page(first, "was merged into this one", "Mila Rose Bandt", "Merged into this record")
	given := url.Values{"kind": {"historical"}, "cvx": {"21"}, "date": {"2026-05-04"}, "source": {"01"}, "confirm": {"yes"}, "confirm_why": {"told"}}
	if r := nurse.post(first+"/doses", given); r.status != 303 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	merge := regexp.MustCompile(`/merges/[0-9A-Z]+`).FindString(body)
	// From the record, too, one comes to the page that shows what was entered since.
	admin.post("/patients/search", searched("Brandt", "Mila", "2019-04-02"))
	if r := admin.get(first); !strings.Contains(r.body, `href="`+merge+`"`) || strings.Contains(r.body, merge+"/undo") {
		t.Errorf("the record does not lead to %s, or undoes the merge unseen", merge)
	}
	apart := admin.page(merge, "Entered since the merge", "varicella", "May 4, 2026", "Mila Rose Bandt")
	move := regexp.MustCompile(`name="move" value="([0-9A-Z]+)"`).FindStringSubmatch(apart)
	if len(move) != 2 {
		t.Fatal(apart)
	}
	undo := merge + "/undo"
	if r := admin.post(undo, url.Values{"why": {"two children"}, "move": {"01J00000000000000000000000"}}); r.status == 303 && r.header.Get("Location") != "/duplicates" {
		t.Errorf("an entry that is not there: %d %s", r.status, r.header.Get("Location"))
	}
	if r := admin.post(undo, url.Values{"why": {"two children after all"}, "move": {move[1]}}); r.status != 303 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	nurse.page(second, "Bandt, Mila Rose")
	nurse.page(second+"/immunizations", "Varicella")
	admin.post(at+"/different", url.Values{"why": {"two children after all"}})
	admin.page("/duplicates", "No pair waits for a decision", "Two people")
	admin.page("/deidentified", "< 11")
	if r := admin.get("/deidentified/people.csv"); r.status != 200 || !strings.HasPrefix(r.header.Get("Content-Type"), "text/csv") || strings.Count(r.body, "\n") != 3 || strings.Contains(r.body, "Brandt") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestAge(t *testing.T) {
	for birth, want := range map[coldkeep.Date]string{coldkeep.NewDate(2026, 11, 1): "1 day", coldkeep.NewDate(2026, 10, 2): "1 month", coldkeep.NewDate(2025, 1, 3): "21 months", coldkeep.NewDate(2000, 11, 3): "25 years"} {
		if got := age(birth, coldkeep.NewDate(2026, 11, 2)); got != want {
			t.Errorf("%s: %s, want %s", birth, got, want)
		}
	}
	if (dates{}).Full(patient.Name{Given: "A", Family: "B", Suffix: "Jr"}) != "A B Jr" {
		t.Error("name")
	}
}
