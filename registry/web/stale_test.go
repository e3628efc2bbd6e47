package web

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// formBaseOf is what the form of a record says it was made from.
func formBaseOf(t *testing.T, body string) string {
	t.Helper()
	m := regexp.MustCompile(`name="base" value="([^"]+)"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatal("the form does not say what it was made from")
	}
	return html.UnescapeString(m[1])
}

// Two people edit one record from the same version. The second is shown what the first has
// changed; what the second has not touched stays the first's, also when it is sent again
// after an error of its own.
func TestAStaleEdit(t *testing.T) {
	s := serve(t)
	s.furnish()
	s.person("front-desk", auth.FrontDesk, "lakeside")
	desk, nurse := s.as("front-desk"), s.as("nurse")
	at := desk.post("/patients", milaForm()).header.Get("Location")
	body := desk.page(at+"/edit", "Edit the record")
	form := func(change func(url.Values)) url.Values {
		f := milaForm()
		f.Set("base", formBaseOf(t, body))
		f.Set("guardian0_seq", "1")
		change(f)
		return f
	}
	// The nurse corrects the birth date, the number and the language.
	if r := nurse.post(at+"/edit", form(func(f url.Values) {
		f.Set("birth", "2019-04-03")
		f.Set("contact0_value", "312 555 0199")
		f.Set("language", "spa")
	})); r.status != 303 {
		t.Fatalf("%d %s", r.status, words(t, r.body))
	}
	// The front desk has changed the family name and the language, from before that.
	mine := form(func(f url.Values) {
		f.Set("name0_family", "Whitfield")
		f.Set("language", "pol")
	})
	bad := form(func(f url.Values) {
		f.Set("name0_family", "Whitfield")
		f.Set("birth", "2999-01-01")
	})
	r := desk.post(at+"/edit", bad)
	if r.status != 400 || formBaseOf(t, r.body) != formBaseOf(t, body) {
		t.Errorf("%d: an error makes the form look as if it were of the version that stands now", r.status)
	}
	r = desk.post(at+"/edit", mine)
	desk.has("stale", words(t, r.body), "Nothing has been saved yet", "birth date", "2019-04-02", "2019-04-03", "3125550199", "you have both changed it")
	if r.status != 409 || !strings.Contains(r.body, `name="birth" required value="2019-04-03"`) || !strings.Contains(r.body, "(312) 555-0199") || !strings.Contains(r.body, `value="Whitfield"`) ||
		!strings.Contains(r.body, `<option value="pol" selected>`) {
		t.Fatalf("%d: the form has not both people's changes: %s", r.status, words(t, r.body))
	}
	// What the page now shows is sent.
	again := mine
	again.Set("base", formBaseOf(t, r.body))
	again.Set("birth", "2019-04-03")
	again.Set("contact0_value", "312 555 0199")
	if r := desk.post(at+"/edit", again); r.status != 303 {
		t.Fatalf("%d %s", r.status, words(t, r.body))
	}
	desk.page(at, "Whitfield, Mila Rose", "(312) 555-0199", "Apr 3, 2019", "Polish")
	// Without the version nothing is saved.
	again.Del("base")
	again.Set("name0_family", "Nobody")
	r = desk.post(at+"/edit", again)
	desk.page(r.header.Get("Location"), "Open the record", "Whitfield")
}

// Of lists, what the person has taken out goes and what the person has added comes, whatever
// has been done to the others meanwhile.
func TestListsAreRebased(t *testing.T) {
	s := serve(t)
	contact := func(v string) patient.Contact { return patient.Contact{Kind: patient.Cell, Value: v} }
	one, two, three, four := contact("3125550141"), contact("3125550142"), contact("3125550143"), contact("3125550144")
	of := func(all ...patient.Contact) patient.Patient {
		return patient.Patient{Birth: clinicDay(s.cfg.Clock.Now()) - 400, Sex: patient.Female, Names: []patient.Name{{Family: "Brandt", Given: "Mila", Kind: patient.Legal}}, Contacts: all}
	}
	got, told, err := s.people.Rebase(of(one, two), of(one, three), of(two, four))
	s.must(err)
	if len(got.Contacts) != 2 || got.Contacts[0] != three || got.Contacts[1] != four {
		t.Errorf("%+v", got.Contacts)
	}
	if len(told) != 1 || !told[0].Both || told[0].Field != "telephone and e-mail" {
		t.Errorf("%+v", told)
	}
	if got, told, err := s.people.Rebase(of(one), of(one), of(four)); err != nil || len(told) != 0 || len(got.Contacts) != 1 || got.Contacts[0] != four {
		t.Errorf("%+v %+v %v", got.Contacts, told, err)
	}
}

// The same of a dose: the second correction is told of the first, and undoes nothing of it.
func TestAStaleCorrection(t *testing.T) {
	s := serve(t)
	s.furnish()
	p, lot := s.child("lakeside"), s.freeLot()
	b := s.as("nurse")
	at := "/patients/" + p
	day := clinicDay(s.cfg.Clock.Now()).String()
	given := url.Values{"kind": {"administered"}, "stock": {lot}, "date": {day}, "eligibility": {"V02"}, "body_site": {"LT"}, "route": {"SC"}, "amount": {"0.5"}, "given_by": {"Marcus Hale, RN"}}
	if r := b.post(at+"/doses", given); r.status != 303 {
		t.Fatal(r.status)
	}
	nurse := auth.Principal{ID: "n", Name: "N", Role: auth.Nurse, Site: "lakeside"}
	look := func() immunization.Dose {
		t.Helper()
		v, err := s.doses.View(t.Context(), nurse, p)
		s.must(err)
		return v.Doses[0]
	}
	d := look()
	form := func(change func(url.Values)) url.Values {
		f := url.Values{"kind": {"administered"}, "revision": {"1"}, "ndc": {d.NDC}, "stock": {lot}, "date": {day}, "eligibility": {"V02"}, "body_site": {"LT"}, "route": {"SC"}, "amount": {"0.5"},
			"given_by": {"Marcus Hale, RN"}, "ordered_by": {""}, "note": {""}, "vis_given": {day}, "why": {"looked at the chart"}}
		change(f)
		return f
	}
	if r := b.post(at+"/doses/"+d.ID, form(func(f url.Values) { f.Set("body_site", "RT"); f.Set("amount", "0.7") })); r.status != 303 {
		t.Fatal(r.status)
	}
	mine := form(func(f url.Values) { f.Set("ordered_by", "Dr. Lund"); f.Set("amount", "0.6") })
	r := b.post(at+"/doses/"+d.ID, mine)
	b.has("stale", words(t, r.body), "Nothing has been saved yet", "Body site", "LT", "RT", "you have both changed it")
	if r.status != 409 || !strings.Contains(r.body, `value="Dr. Lund"`) || !strings.Contains(r.body, `<option value="RT" selected`) || !strings.Contains(r.body, `name="revision" value="2"`) {
		t.Fatalf("%d: the form has not both people's changes", r.status)
	}
	if now := look(); now.OrderedBy != "" || now.BodySite != "RT" {
		t.Fatalf("%+v", now)
	}
	mine.Set("revision", "2")
	mine.Set("body_site", "RT")
	if r := b.post(at+"/doses/"+d.ID, mine); r.status != 303 {
		t.Fatal(r.status)
	}
	if now := look(); now.OrderedBy != "Dr. Lund" || now.BodySite != "RT" || now.Amount != "0.6" {
		t.Errorf("%+v", now)
	}
}
