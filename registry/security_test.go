package registry_test

import (
	"bytes"
	"encoding/json"
	"html"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/audit/review"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/onboarding"
)

// hostile are texts that mean something to SQL, to HTML and to templates.
var hostile = []string{
	`Robert'); DROP TABLE patients;--`,
	`" OR "1"="1`,
	`<script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`{{.Patient}} {{printf "%s" .}} ${7*7}`,
	`'; SELECT pg_sleep(9); --`,
}

// raw is what of a hostile text must not stand in a page as it is.
func raw(s string) bool { return strings.ContainsAny(s, `<>"`) }

// A text is data, whatever it looks like: it comes back as it was sent, and nothing of it
// is run by the database, a template or a browser.
func TestInjection(t *testing.T) {
	w := newWorld(t)
	nurse, manager, admin := w.by(auth.Nurse), w.by(auth.PracticeManager), w.by(auth.StateAdmin)
	count := func(table string) (n int) {
		w.must(w.db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
		return n
	}
	people := count("patients")
	safe := func(where, sent string, r reply) {
		t.Helper()
		if r.status >= 500 {
			t.Errorf("%s: %q: %d", where, sent, r.status)
		}
		if raw(sent) && strings.Contains(r.body, sent) {
			t.Errorf("%s: %q stands in the page as it was sent", where, sent)
		}
	}
	for _, bad := range hostile {
		for _, field := range []string{"family", "given", "birth", "id_kind", "id_value", "id_assigner", "guardian_family", "guardian_given", "guardian_birth", "phone", "phone_birth"} {
			f := url.Values{"family": {"Nobody"}, "given": {"Here"}, "birth": {"2019-04-02"}, "id_kind": {"MR"}, "id_value": {"99999"}, "guardian_family": {"Nobody"}, "guardian_given": {"Here"}, "guardian_birth": {"2019-04-02"},
				"phone": {"3125550199"}, "phone_birth": {"2019-04-02"}, "way": {"name"}}
			switch {
			case strings.HasPrefix(field, "id_"):
				f.Set("way", "number")
			case strings.HasPrefix(field, "guardian"):
				f.Set("way", "guardian")
			case strings.HasPrefix(field, "phone"):
				f.Set("way", "phone")
			}
			f.Set(field, bad)
			r := w.searcher(field).do(t, "POST", "/patients/search", f.Encode())
			safe("search by "+field, bad, r)
			if strings.Contains(r.body, familyName) {
				t.Errorf("search by %s: %q finds somebody", field, bad)
			}
		}
		// What is refused for its form is refused as a form.
		for _, field := range []string{"name0_family", "name0_given", "name0_middle", "name0_suffix", "mother", "address0_street", "address0_city", "address0_zip", "id0_value", "contact0_value", "guardian0_family", "guardian0_given",
			"guardian0_email", "sex", "language", "ethnicity", "birth_order", "race"} {
			f := url.Values{"name0_family": {"Brandt"}, "name0_given": {"Mila"}, "name0_kind": {"L"}, "birth": {""}, "sex": {"F"}, "address0_kind": {"H"}, "guardian0_relation": {"MTH"}, "guardian0_family": {"Brandt"}}
			f.Set(field, bad)
			safe("new patient, "+field, bad, nurse.do(t, "POST", "/patients", f.Encode()))
		}
	}
	// What is kept is kept as it was sent, and shown escaped.
	at := "/patients/" + w.things[0]["patient"]
	for _, bad := range hostile {
		note := url.Values{"kind": {"historical"}, "cvx": {"21"}, "date": {(coldkeep.DateOf(w.born(0)) + coldkeep.Date(400+slices.Index(hostile, bad))).String()}, "source": {"02"}, "elsewhere": {bad}, "note": {bad}, "confirm": {"yes"}, "confirm_why": {bad}}
		r := nurse.do(t, "POST", at+"/doses", note.Encode())
		safe("dose", bad, r)
		if r.status != http.StatusSeeOther {
			t.Fatalf("dose with %q: %d", bad, r.status)
		}
		v, err := w.doses.View(t.Context(), at2(auth.Nurse), w.things[0]["patient"])
		w.must(err)
		i := slices.IndexFunc(v.Doses, func(d immunization.Dose) bool { return d.Elsewhere == bad && d.Note == bad })
		if i < 0 {
			t.Errorf("no dose has %q as it was sent", bad)
			continue
		}
		for _, path := range []string{at + "/immunizations", at + "/doses/" + v.Doses[i].ID} {
			page := nurse.do(t, "GET", path, "")
			safe(path, bad, page)
			if !strings.Contains(html.UnescapeString(page.body), bad) {
				t.Errorf("%s does not show %q", path, bad)
			}
		}
		safe("exemption", bad, nurse.do(t, "POST", at+"/exemptions", url.Values{"kind": {"medical"}, "from": {"2026-01-01"}, "signer": {bad}, "source": {bad}}.Encode()))
		safe("lock", bad, nurse.do(t, "POST", at+"/lock", url.Values{"signer": {""}, "kept": {bad}, "relation": {bad}, "signed": {bad}}.Encode()))
		safe("opt-out page", bad, nurse.do(t, "GET", at+"/opt-out", ""))
		safe("reaction", bad, nurse.do(t, "POST", at+"/reactions", url.Values{"dose": {v.Doses[i].ID}, "event": {bad}, "tests": {bad}, "medicines": {bad}, "result": {"none"}}.Encode()))
		// A file's fields.
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		f, err := m.CreateFormFile("file", bad+".csv")
		w.must(err)
		_, err = f.Write([]byte("family_name,given_name,birth_date,sex\n\"" + strings.ReplaceAll(bad, `"`, `""`) + "\",Ada," + bad[:1] + "2025-01-15,F\n"))
		w.must(err)
		w.must(m.Close())
		up := manager.do(t, "POST", "/import", body.String(), "Content-Type", m.FormDataContentType())
		safe("import", bad, up)
		if strings.HasPrefix(up.location, "/import/") {
			safe("findings", bad, manager.do(t, "GET", up.location, ""))
		}
	}
	safe("immunizations", hostile[2], nurse.do(t, "GET", at+"/immunizations", ""))
	// A text of the programme, which everybody reads.
	text := strings.Join(hostile, "\n\n")
	if r := admin.do(t, "POST", "/admin/policies/provider-agreement", url.Values{"base": {"1"}, "title": {hostile[2]}, "body": {text}}.Encode()); r.status != http.StatusSeeOther {
		t.Fatalf("policy: %d", r.status)
	}
	page := admin.do(t, "GET", "/admin/policies/provider-agreement", "")
	if read := html.UnescapeString(page.body); !strings.Contains(read, hostile[0]) || !strings.Contains(read, hostile[4]) {
		t.Error("the text is not shown as it was written")
	}
	for _, v := range []*visitor{admin, w.by(auth.School), w.visitor("nobody")} {
		for _, path := range []string{"/policies", "/apply", "/admin/policies/provider-agreement"} {
			r := v.do(t, "GET", path, "")
			for _, bad := range hostile {
				safe(path, bad, r)
			}
		}
	}
	if now := count("patients"); now != people {
		t.Errorf("%d patients, there were %d", now, people)
	}
}

func at2(role auth.Role) auth.Principal { return at(role, ownSite) }

// by is who has a role in the world.
func (w *world) by(role auth.Role) *visitor {
	w.t.Helper()
	i := slices.IndexFunc(w.visitors, func(v *visitor) bool { return v.name == string(role) })
	return w.visitors[i]
}

// searcher is one of several who search, since each may do so only so often.
func (w *world) searcher(field string) *visitor {
	who := []auth.Role{auth.Nurse, auth.FrontDesk, auth.ViewOnly, auth.PracticeManager, auth.StateAdmin, auth.School}
	return w.by(who[len(field)%len(who)])
}

// Ids of another practice open nothing, whoever walks them, and each try that names a
// patient is in that patient's trail.
func TestWalkingIDs(t *testing.T) {
	w := newWorld(t)
	theirs := w.things[2] // nobody has searched for them
	walkers := []*visitor{w.by(auth.PracticeManager), w.by(auth.Nurse), w.by(auth.FrontDesk), w.by(auth.ViewOnly), w.by(auth.School), w.visitors[len(w.visitors)-1]}
	tries := 0
	for _, key := range w.registry.Routes() {
		r := newRow(key)
		if r.of < 2 || r.call.shows != "" || r.call.last {
			continue
		}
		if strings.Contains(template(r.path)+r.call.body+r.call.query, "emergency") || strings.HasSuffix(r.path, "/doses/scan") {
			continue
		}
		for _, v := range walkers {
			i := 2
			if r.of == 2 {
				i = 1
			}
			if out := w.try(v, &r, i); out != refused {
				t.Errorf("%s with an id of another practice for %s: %s", key, v.name, out)
			}
			tries++
		}
	}
	if tries < 400 {
		t.Errorf("%d tries", tries)
	}
	// Their own id beside another's: the dose's patient decides, not the path's.
	nurse, mine := w.by(auth.Nurse), w.things[0]["patient"]
	for _, path := range []string{"/doses/" + theirs["dose"], "/reactions/" + theirs["reaction"], "/reactions/" + theirs["reaction"] + "/report.csv", "/reactions/" + theirs["reaction"] + "/report.json"} {
		if r := nurse.do(t, "GET", "/patients/"+mine+path, ""); r.status != 403 && r.status != 404 || strings.Contains(r.body, "SECRETLOT") {
			t.Errorf("%s under one's own patient: %d", path, r.status)
		}
	}
	for path, body := range map[string]string{"/doses/" + theirs["told"] + "/delete": "revision=1&why=test", "/facts/" + theirs["fact"] + "/end": "why=test", "/exemptions/" + theirs["exemption"] + "/end": "why=test", "/reactions/" + theirs["reaction"] + "/end": "why=test"} {
		if r := nurse.do(t, "POST", "/patients/"+mine+path, body); r.status != 403 {
			t.Errorf("%s under one's own patient: %d", path, r.status)
		}
	}
	looked, err := review.New(w.store, coldkeep.RealClock{}).Looked(t.Context(), auth.Principal{ID: "au", Name: "Auditor", Role: auth.Auditor}, theirs["patient"], audit.Place{}, 100)
	w.must(err)
	if !slices.ContainsFunc(looked, func(e audit.Entry) bool { return e.WhoID == nurse.id && strings.HasSuffix(e.What, ".refused") }) {
		t.Error("the trail of the patient does not have who was refused")
	}
	v, err := w.doses.View(t.Context(), at(auth.Nurse, otherSite), theirs["patient"])
	w.must(err)
	if len(v.Doses) != 2 || slices.ContainsFunc(v.Doses, func(d immunization.Dose) bool { return d.Deleted != nil || d.Revision != 1 }) {
		t.Errorf("their doses were changed: %+v", v.Doses)
	}
}

// refusals counts the requests that the trail says were refused unseen, for a reason.
func (w *world) refusals(why string) int {
	w.t.Helper()
	n := 0
	w.must(w.db.QueryRowContext(w.t.Context(), "SELECT count(*) FROM audit WHERE what = 'request.refused' AND detail LIKE $1", why+"%").Scan(&n))
	return n
}

// Who tries out ids of patients that are not there is in the trail, each time.
func TestUnknownIDsAreInTheTrail(t *testing.T) {
	w := newWorld(t)
	nurse := w.by(auth.Nurse)
	const none = "01J00000000000000000000000"
	for _, path := range []string{"/patients/" + none, "/patients/" + none + "/immunizations", "/fhir/Patient/" + none, "/api/v1/patients/" + none + "/forecast"} {
		if r := nurse.do(t, "GET", path, ""); r.status != 404 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	looked, err := review.New(w.store, coldkeep.RealClock{}).Looked(t.Context(), auth.Principal{ID: "au", Name: "Auditor", Role: auth.Auditor}, none, audit.Place{}, 100)
	w.must(err)
	looked = slices.DeleteFunc(looked, func(e audit.Entry) bool { return e.WhoID != nurse.id || !strings.HasSuffix(e.What, ".refused") })
	if len(looked) != 4 {
		t.Errorf("the trail has %d of 4 tries", len(looked))
	}
	// Ids of doses and other entries are no more to be tried than those of patients. Who may
	// not record at all is seen too.
	at := "/patients/" + w.things[0]["patient"]
	for _, v := range []*visitor{nurse, w.by(auth.ViewOnly)} {
		for kind, path := range map[string]string{"dose": "/doses/", "fact": "/facts/", "exemption": "/exemptions/", "reaction": "/reactions/"} {
			before := w.tries(v, kind+"/"+none)
			end := "/end"
			if kind == "dose" {
				end = "/delete"
			}
			if r := v.do(t, "POST", at+path+none+end, "revision=1&why=a test"); r.status == 200 || r.status >= 500 {
				t.Errorf("%s: %d", kind, r.status)
			}
			if got := w.tries(v, kind+"/"+none) - before; got != 1 {
				t.Errorf("the trail has %d tries of %s at an unknown %s", got, v.name, kind)
			}
		}
	}
}

// tries counts the refusals of somebody that the trail has about a subject.
func (w *world) tries(v *visitor, subject string) int {
	w.t.Helper()
	n := 0
	w.must(w.db.QueryRowContext(w.t.Context(), "SELECT count(*) FROM audit WHERE what = 'doses.refused' AND who_id = $1 AND subject = $2", v.id, subject).Scan(&n))
	return n
}

// A page of another site can have nobody's browser send any form or call.
func TestCrossSiteEverywhere(t *testing.T) {
	w := newWorld(t)
	admin := w.by(auth.StateAdmin)
	n := 0
	for _, key := range w.registry.Routes() {
		r := newRow(key)
		// A device's claim and a gateway's answer are let in by no session that a browser has.
		if r.method != "POST" || strings.HasPrefix(r.path, "/api/v1/devices/claims") || r.path == "/api/v1/sms/answers" {
			continue
		}
		path := fill(template(r.path), w.things[0])
		for _, h := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
			if got := admin.do(t, "POST", path, fill(r.call.body, w.things[0]), h[0], h[1]); got.status != 403 {
				t.Errorf("%s with %s: %d", key, h[0], got.status)
			}
			n++
		}
	}
	if n < 180 {
		t.Errorf("%d tries", n)
	}
	if got := w.refusals("sent by a page of another site"); got != n {
		t.Errorf("the trail has %d of %d calls from another site", got, n)
	}
	if r := admin.do(t, "GET", "/units", ""); r.status != 200 {
		t.Errorf("the session has ended: %d", r.status)
	}
}

// A body that is larger than any form is refused, and the answer does not hold it.
func TestOversizedEverywhere(t *testing.T) {
	w := newWorld(t)
	admin, program := w.by(auth.StateAdmin), w.visitors[len(w.visitors)-1]
	big := strings.Repeat("x", 3<<20)
	for _, key := range w.registry.Routes() {
		r := newRow(key)
		if r.method != "POST" || r.path == "/signout" || r.path == "/import" || r.path == "/exchange/files" || r.path == "/admin/schedules" {
			continue
		}
		v, body := admin, "why="+big+"&name="+big
		if strings.HasPrefix(r.path, "/api/") {
			v, body = program, `{"why":"`+big+`"}`
		}
		got := v.do(t, "POST", fill(template(r.path), w.things[0]), body)
		if got.status >= 500 && !strings.Contains(got.body, "Fault>") || got.status == 200 && !isOpen(r.path) && !slices.Contains([]string{"/patients/new", "/admin/people/:id/reset", "/admin/interfaces/:id/token", "/admin/schedules/compare"}, r.path) {
			t.Errorf("%s: %d", key, got.status)
		}
		if len(got.body) > 1<<20 {
			t.Errorf("%s answers with %d bytes", key, len(got.body))
		}
	}
	if got := w.refusals("larger than any form: POST /patients/:id/doses"); got == 0 {
		t.Error("the trail does not have a form that was too large")
	}
	if got := w.refusals("larger than any call: POST /api/v1/patients/:id/doses"); got == 0 {
		t.Error("the trail does not have a call that was too large")
	}
	for _, call := range []struct{ path, media string }{{"/api/v1/forecast", "application/json"}, {"/fhir/Patient/_search", "application/x-www-form-urlencoded"}, {"/api/v1/patients/search", "application/json"}} {
		before := w.refusals("larger than any call: POST " + call.path)
		if r := program.do(t, "POST", call.path, "family="+big, "Content-Type", call.media); r.status != http.StatusRequestEntityTooLarge && r.status != http.StatusBadRequest {
			t.Errorf("%s: %d", call.path, r.status)
		}
		if w.refusals("larger than any call: POST "+call.path) != before+1 {
			t.Errorf("the trail does not have what was too large for %s", call.path)
		}
	}
	before := w.refusals("larger than any call: POST /api/v1/imports")
	huge := strings.Repeat("x", onboarding.MaxBytes+1)
	if r := w.by(auth.PracticeManager).do(t, "POST", "/api/v1/imports", huge, "Content-Type", "text/csv"); r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("import: %d", r.status)
	}
	if n := w.refusals("larger than any call: POST /api/v1/imports") - before; n != 1 {
		t.Errorf("the trail has a file that was too large %d times", n)
	}
	if r := program.do(t, "POST", "/api/v1/patients/search", `{"family":"`+big+`"}`); r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("search: %d", r.status)
	}
}

// Who tries names is stopped, and the trail has every try.
func TestTryingNames(t *testing.T) {
	w := newWorld(t)
	v := w.by(auth.ViewOnly)
	stopped := 0
	for i := range 140 {
		name := "Ab" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		body, err := json.Marshal(map[string]string{"family": name, "given": "Ada", "birth": "2019-04-02"})
		w.must(err)
		if r := v.do(t, "POST", "/api/v1/patients/search", string(body)); r.status == http.StatusTooManyRequests {
			stopped++
		}
	}
	if stopped == 0 {
		t.Error("140 searches in a row were all answered")
	}
	entries, err := w.store.Entries(t.Context(), audit.Query{What: "patient.search", Limit: 200})
	w.must(err)
	entries = slices.DeleteFunc(entries, func(e audit.Entry) bool { return e.WhoID != v.id })
	if len(entries) != 140 || !slices.ContainsFunc(entries, func(e audit.Entry) bool { return strings.Contains(e.Detail, "refused") }) {
		t.Errorf("%d entries of 140 searches", len(entries))
	}
	if slices.ContainsFunc(entries, func(e audit.Entry) bool { return regexp.MustCompile(`Ab[a-z]|2019`).MatchString(e.Detail + e.Subject) }) {
		t.Error("the trail has what was searched for")
	}
}

// A session that was there before the sign-in, or another's, is no session afterwards.
func TestSessionsAreNew(t *testing.T) {
	w := newWorld(t)
	planted := w.visitor("planted")
	u, err := url.Parse(w.url)
	w.must(err)
	const chosen = "planted-by-somebody-else-0123456789abcdefghi"
	planted.client.Jar.SetCookies(u, []*http.Cookie{{Name: "coldkeep_session", Value: chosen}})
	planted.do(t, "POST", "/signin", url.Values{"username": {"nurse"}, "password": {password}}.Encode())
	if got := planted.client.Jar.Cookies(u)[0].Value; got == chosen {
		t.Error("the planted session goes on")
	}
	old := planted.client.Jar.Cookies(u)[0].Value
	planted.do(t, "POST", "/signout", "")
	again := w.visitor("again")
	for _, token := range []string{chosen, old, ""} {
		again.client.Jar.SetCookies(u, []*http.Cookie{{Name: "coldkeep_session", Value: token}})
		if r := again.do(t, "GET", "/patients/"+w.things[0]["patient"], ""); r.status != http.StatusSeeOther || !strings.HasPrefix(r.location, "/signin") {
			t.Errorf("session %.8q: %d", token, r.status)
		}
	}
}
