package web

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/enrolment"
)

func application(kind string) url.Values {
	return url.Values{"kind": {kind}, "organization": {"Harbor <Pediatrics>"}, "site_name": {"Harbor Clinic"}, "street": {"1 Harbor Way"}, "city": {"Cairo"}, "state": {"il"}, "zip": {"62914"},
		"phone": {"618-555-0100"}, "time_zone": {"America/Chicago"}, "contact": {"Ada Lowe"}, "email": {"ada@harbor.example"}, "director": {"Dr. Kim"}, "licence": {"036-1"},
		"vfc": {"yes"}, "vfc_pin": {"200100"}, "units": {"One refrigerator"}, "username": {"ada"}, "signer": {"Ada Lowe"}, "agreement": {"1"}}
}

// An organization applies, the state approves, and its first account signs in, changes its
// password, accepts the texts and begins; a year later it may look and not record until it
// has renewed.
func TestEnrolment(t *testing.T) {
	s := serve(t)
	s.furnish()
	ctx := t.Context()
	s.must(s.cfg.Enrolment.EnsureTexts(ctx))
	anyone := s.browser()
	anyone.page("/apply", "Provider agreement", "We accept the provider agreement (version 1)")
	form := application("provider")
	form.Set("zip", "none")
	if r := anyone.post("/apply", form); r.status != 400 || !strings.Contains(r.body, "ZIP: want five digits") || !strings.Contains(r.body, "Harbor &lt;Pediatrics&gt;") {
		t.Fatalf("%d %s", r.status, words(t, r.body))
	}
	form.Set("zip", "62914")
	form.Del("agreement")
	if r := anyone.post("/apply", form); r.status != 409 {
		t.Fatalf("without the agreement: %d", r.status)
	}
	form.Set("agreement", "1")
	r := anyone.post("/apply", form)
	code := regexp.MustCompile(`id="code">([A-Z2-7]{26})<`).FindStringSubmatch(r.body)
	if r.status != 200 || code == nil {
		t.Fatalf("%d %s", r.status, words(t, r.body))
	}
	status := func(want string) {
		t.Helper()
		if r := s.browser().post("/apply/status", url.Values{"code": {" " + strings.ToLower(code[1])}}); r.status != 200 || !strings.Contains(words(t, r.body), want) {
			t.Fatalf("%d %s", r.status, words(t, r.body))
		}
	}
	status("waits to be decided")
	if r := anyone.post("/apply/status", url.Values{"code": {"x"}}); r.status != 404 {
		t.Errorf("%d", r.status)
	}
	admin := s.as("state-admin")
	accept := func(b *browser) {
		t.Helper()
		if r := b.post("/policies/accept", url.Values{"confidentiality": {"1"}, "user-agreement": {"1"}}); r.status != 303 || r.header.Get("Location") != "/" {
			t.Fatalf("%d %s", r.status, r.header.Get("Location"))
		}
	}
	accept(admin)
	id := regexp.MustCompile(`/enrolments/([0-9A-Z]{26})"`).FindStringSubmatch(admin.page("/enrolments", "Harbor Clinic", "New organization"))[1]
	admin.page("/enrolments/"+id, "Harbor <Pediatrics>", "1 Harbor Way", "Dr. Kim", "PIN 200100")
	nurse := s.as("nurse")
	accept(nurse)
	for _, path := range []string{"/enrolments", "/enrolment", "/enrolments/" + id} {
		if r := nurse.get(path); r.status != 403 && r.status != 404 {
			t.Errorf("a nurse at %s: %d", path, r.status)
		}
	}
	if r := nurse.post("/enrolments/"+id+"/approve", url.Values{"site": {"harbor"}}); r.status != 403 {
		t.Errorf("a nurse approves: %d", r.status)
	}
	admin.post("/enrolments/"+id+"/approve", url.Values{"site": {"lakeside"}, "username": {"ada"}})
	admin.page("/enrolments/"+id, "is taken")
	r = admin.post("/enrolments/"+id+"/approve", url.Values{"site": {"harbor"}, "vfc_pin": {"200100"}, "username": {"ada"}})
	oneTime := regexp.MustCompile(`id="one-time">([a-z2-7]{20})<`).FindStringSubmatch(r.body)
	if r.status != 200 || oneTime == nil {
		t.Fatalf("%d %s", r.status, words(t, r.body))
	}
	status("has been approved")
	if r := admin.post("/enrolments/"+id+"/refuse", url.Values{"reason": {"x"}}); r.status != 303 {
		t.Fatal(r.status)
	}
	admin.page("/enrolments/"+id, "decided about this application already")

	ada := s.browser()
	ada.post("/signin", url.Values{"username": {"ada"}, "password": {oneTime[1]}})
	ada.post("/account/password", url.Values{"old": {oneTime[1]}, "new": {password}, "again": {password}})
	if r := ada.get("/units"); r.header.Get("Location") != "/policies/accept" {
		t.Fatalf("before the texts are accepted: %d %s", r.status, r.header.Get("Location"))
	}
	if r := ada.get("/account"); r.status != 303 {
		t.Errorf("the account opens before the texts are accepted: %d", r.status)
	}
	if r := ada.post("/policies/accept", url.Values{"confidentiality": {"1"}}); r.header.Get("Location") != "/policies/accept" {
		t.Errorf("one of two: %s", r.header.Get("Location"))
	}
	accept(ada)
	ada.page("/units", "Harbor Clinic")
	ada.page("/enrolment", "Enrolled until", "It can be renewed in its last 60 days", "200100")
	p, err := s.auth.SignIn(ctx, "ada", password)
	s.must(err)
	now := p.Principal()
	if !now.May(auth.EditPatients, "harbor") {
		t.Fatal("an enrolled practice may not record")
	}

	soon := time.Now().Add(20 * 24 * time.Hour)
	s.must(s.cfg.Enrolment.SetEnd(ctx, auth.Principal{ID: "a", Name: "A", Role: auth.StateAdmin}, "harbor", &soon))
	ada.page("/units", "The yearly enrolment of this site ends on", "Renew it")
	past := time.Now().Add(-time.Hour)
	s.must(s.cfg.Enrolment.SetEnd(ctx, auth.Principal{ID: "a", Name: "A", Role: auth.StateAdmin}, "harbor", &past))
	ada.page("/units", "The yearly enrolment of this site ended on")
	in, err := s.auth.MySignIns(ctx, now)
	s.must(err)
	lapsed, err := s.auth.Resume(ctx, in[0].ID, true)
	s.must(err)
	for perm, want := range map[auth.Permission]bool{auth.ViewPatients: true, auth.SearchPatients: true, auth.EditPatients: false, auth.RecordDoses: false, auth.ImportPatients: false,
		auth.LockPatients: true, auth.ManageStock: true, auth.Acknowledge: true, auth.DecideHolds: true, auth.ApplyForSite: true} {
		if got := lapsed.May(perm, "harbor"); got != want {
			t.Errorf("lapsed: %s %v", perm, got)
		}
	}
	if err := lapsed.Require(auth.RecordDoses, "harbor"); err == nil || !strings.Contains(err.Error(), "yearly enrolment") {
		t.Errorf("%v", err)
	}
	// The practice's program is bound in the same way.
	_, token, err := s.auth.AddAccount(ctx, now, "Harbor EHR", "harbor", []string{auth.ScopeRecords})
	s.must(err)
	program, err := s.auth.Account(ctx, token)
	s.must(err)
	if program.Site != "harbor" || program.May(auth.RecordDoses, "harbor") || !program.May(auth.ViewPatients, "harbor") || program.May(auth.ViewPatients, "lakeside") {
		t.Errorf("%+v", program)
	}
	if r := ada.post("/enrolment/renew", application("provider")); r.status != 303 {
		t.Fatal(r.status)
	}
	ada.page("/enrolment", "The renewal has been sent")
	waiting, err := s.cfg.Enrolment.Applications(ctx, auth.Principal{ID: "a", Role: auth.StateAdmin}, enrolment.Waiting)
	if err != nil || len(waiting) != 1 || waiting[0].Purpose != enrolment.Renew || waiting[0].Site != "harbor" {
		t.Fatalf("%+v, %v", waiting, err)
	}
	if r := admin.post("/enrolments/"+waiting[0].ID+"/approve", nil); r.status != 303 {
		t.Fatal(r.status)
	}
	if again, err := s.auth.Resume(ctx, in[0].ID, true); err != nil || !again.May(auth.RecordDoses, "harbor") {
		t.Errorf("after the renewal: %+v, %v", again, err)
	}
}

// A school has one role, which sees a subset, however its account came to be.
func TestSchoolHasOneRole(t *testing.T) {
	s := serve(t)
	s.furnish()
	ctx, state := t.Context(), auth.Principal{ID: "a", Name: "A", Role: auth.StateAdmin}
	f := enrolment.Form{Kind: enrolment.School, Organization: "Maple School", Site: "Maple School", Street: "1", City: "C", State: "IL", ZIP: "60601", Phone: "1", TimeZone: "America/Chicago",
		Contact: "Grace", Email: "g@maple.example", Username: "grace", Signer: "Grace"}
	a, _, err := s.cfg.Enrolment.Apply(ctx, f)
	s.must(err)
	in, err := s.cfg.Enrolment.Approve(ctx, state, a.ID, enrolment.Approval{SiteID: "maple"})
	s.must(err)
	p, err := s.auth.SignIn(ctx, in.Username, in.OneTime)
	if err != nil || p.Role != auth.School {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := s.auth.AddPerson(ctx, state, auth.NewPerson{Name: "X", Username: "x", Role: auth.Nurse, Site: "maple"}); err == nil {
		t.Error("a school has a nurse with the rights of a practice")
	}
	if err := s.auth.SetRole(ctx, state, p.ID, "maple", auth.PracticeManager); err == nil {
		t.Error("a school's account became a manager's")
	}
}

// A text that an administrator changes is shown as it was typed and asked for again.
func TestPolicies(t *testing.T) {
	s := serve(t)
	s.furnish()
	s.must(s.cfg.Enrolment.EnsureTexts(t.Context()))
	s.must(s.cfg.Enrolment.EnsureTexts(t.Context()))
	admin, nurse := s.as("state-admin"), s.as("nurse")
	both := url.Values{"confidentiality": {"1"}, "user-agreement": {"1"}}
	nurse.page("/policies/accept", "Confidentiality policy", "Individual user agreement")
	admin.post("/policies/accept", both)
	nurse.post("/policies/accept", both)
	nurse.page("/policies", "!Change it")
	if r := nurse.post("/admin/policies/confidentiality", url.Values{"base": {"1"}, "title": {"T"}, "body": {"B"}}); r.status != 403 {
		t.Errorf("a nurse changes the policy: %d", r.status)
	}
	evil := "First <script>alert(1)</script>\r\n\r\n{{.Person.Name}} [a](javascript:x)"
	admin.post("/admin/policies/confidentiality", url.Values{"base": {"1"}, "title": {"Policy <i>"}, "body": {evil}})
	admin.post("/admin/policies/confidentiality", url.Values{"base": {"1"}, "title": {"Policy"}, "body": {"Of somebody who read the first version"}})
	if r := nurse.get("/units"); r.header.Get("Location") != "/policies/accept" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	page := nurse.page("/policies/accept", "Policy <i>", "First <script>alert(1)</script>", "{{.Person.Name}} [a](javascript:x)", "!Individual user agreement")
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "<i>") {
		t.Error("the text is taken for markup")
	}
	if r := nurse.post("/policies/accept", both); r.header.Get("Location") != "/policies/accept" {
		t.Error("the version that was in force before is accepted")
	}
	nurse.post("/policies/accept", url.Values{"confidentiality": {"2"}})
	nurse.page("/units")
	admin.post("/policies/accept", url.Values{"confidentiality": {"2"}})
	admin.page("/admin/policies/confidentiality", "The nurse", "Version 2", "Version 1")
}

// The auditor searches, sees who looked at a record, and takes it away; nobody else does.
func TestAudit(t *testing.T) {
	s := serve(t)
	s.furnish()
	ctx := t.Context()
	_, err := s.auth.AddPerson(ctx, system, auth.NewPerson{Name: "The auditor", Username: "auditor", Password: password, Role: auth.Auditor})
	s.must(err)
	const patient = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
	s.must(s.store.Record(audit.WithOrigin(ctx, audit.Origin{Address: "192.0.2.7", Agent: "Firefox on Linux", Session: "s1"}),
		audit.Entry{At: time.Now(), WhoID: "n", Who: "=cmd|<b>", What: "patient.view", Subject: "patient/" + patient, Site: "lakeside", Why: "Emergency"}))
	b := s.as("auditor")
	if r := b.get("/"); r.header.Get("Location") != "/audit" {
		t.Fatalf("lands on %s", r.header.Get("Location"))
	}
	b.page("/audit", "Audit", "!Units", "!Alerts")
	b.page("/audit/entries?what=patient.*", "1 entry", "=cmd|<b>", "192.0.2.7", "Firefox on Linux", "Emergency", "Patient …9G5FAV")
	b.page("/audit/patients/"+patient, "Who looked at this record", "=cmd|<b>")
	b.page("/audit/entries?who=nobody-of-that-name", "Nobody has the username")
	b.page("/audit/entries?who=auditor&what=audit.*", "audit.search")
	csv := b.get("/audit/export?what=patient.*")
	if csv.status != 200 || !strings.Contains(csv.body, `'=cmd|<b>`) || strings.Count(csv.body, "\n") != 2 || !strings.HasPrefix(csv.header.Get("Content-Type"), "text/csv") {
		t.Errorf("%d %s", csv.status, csv.body)
	}
	lines := b.get("/audit/export?format=jsonl&what=person.*")
	n := 0
	for l := range strings.Lines(lines.body) {
		var e audit.Line
		if err := json.Unmarshal([]byte(l), &e); err != nil || e.Hash == "" {
			t.Fatalf("%s: %v", l, err)
		}
		n++
	}
	if n < 5 {
		t.Errorf("%d lines", n)
	}
	for _, role := range []string{"nurse", "practice-manager", "vfc-coordinator", "view-only"} {
		b := s.as(role)
		for _, path := range []string{"/audit", "/audit/entries", "/audit/export", "/audit/patients/" + patient} {
			if r := b.get(path); r.status != 403 || strings.Contains(r.body, "cmd") {
				t.Errorf("%s at %s: %d", role, path, r.status)
			}
		}
	}
	s.as("practice-manager").page("/trail", "!=cmd") // what was done with patients is not in the practice's trail
	s.as("state-admin").page("/audit/patients/"+patient, "=cmd|<b>")
}

// Everybody begins where they have something to do, and nothing is offered that is refused.
func TestLanding(t *testing.T) {
	s := serve(t)
	s.furnish()
	for role, want := range map[auth.Role]string{auth.FrontDesk: "/patients", auth.School: "/patients", auth.Auditor: "/audit", auth.StateEpi: "/deidentified"} {
		n := auth.NewPerson{Name: "The " + string(role), Username: string(role), Password: password, Role: role, Site: "lakeside"}
		if role.Programme() {
			n.Site = ""
		}
		_, err := s.auth.AddPerson(t.Context(), system, n)
		s.must(err)
		b := s.as(string(role))
		if r := b.get("/"); r.status != 303 || r.header.Get("Location") != want {
			t.Errorf("%s lands on %s", role, r.header.Get("Location"))
		}
		b.page("/account", "Where you are signed in")
		b.page("/banner")
		for _, a := range nodes(t, b.page("/account")) {
			if a.Data != "a" || !strings.HasPrefix(attr(a, "href"), "/") || attr(a, "href") == "/patients" || attr(a, "href") == "/deidentified" {
				continue
			}
			if r := b.get(attr(a, "href")); r.status >= 400 {
				t.Errorf("%s is offered %s, which answers %d", role, attr(a, "href"), r.status)
			}
		}
	}
}
