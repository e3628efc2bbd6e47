package registry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
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

// endless is a body that does not say how long it is, and goes on.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = 'x'
	}
	e.left -= n
	return n, nil
}

// pour sends a body that does not say how long it is.
func (v *visitor) pour(t *testing.T, path, media, begin string, n int) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.base+path, io.MultiReader(strings.NewReader(begin), &endless{n}))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", media)
	r.Header.Set("Idempotency-Key", "poured")
	if v.token != "" {
		r.Header.Set("Authorization", "Bearer "+v.token)
	}
	res, err := v.client.Do(r)
	if err != nil { // the registry has hung up before it was all sent: that is refused
		return http.StatusRequestEntityTooLarge, ""
	}
	defer func() { _ = res.Body.Close() }() // it was read
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// A body that is larger than any form is refused by every route, whether it says how long it
// is or not: nothing is done with what of it was read, the answer does not hold it, and the
// trail has it, once.
func TestOversizedEverywhere(t *testing.T) {
	w := newWorld(t)
	admin, manager, program, nobody := w.by(auth.StateAdmin), w.by(auth.PracticeManager), w.visitors[len(w.visitors)-1], w.visitors[0]
	n := 0
	for _, key := range w.registry.Routes() {
		r := newRow(key)
		if r.method != "POST" {
			continue
		}
		// Who may use the route: of who may not, not even the body is read.
		v, media, begin, size := admin, "application/x-www-form-urlencoded", "why=", 128<<10
		switch {
		case r.path == "/import", r.path == "/api/v1/imports":
			v, size = manager, onboarding.MaxBytes+(2<<20)
		case r.path == "/exchange/files", r.path == "/verify", strings.HasPrefix(r.path, "/vis/editions/") && strings.HasSuffix(r.path, "/texts"), r.path == "/admin/schedules":
			v = manager // the file's own bound: TestFilesAreBounded
		case r.path == "/hl7", r.path == "/soap/iis":
			v, media, begin, size = program, "application/hl7-v2", "MSH|^~\\&|", 5<<20
		case r.path == "/api/v1/schedules":
			continue // 64 MB: TestFilesAreBounded
		case r.path == "/api/v1/exchange/files":
			continue // 512 MB, of which none is kept in memory: package exchange
		case strings.HasPrefix(r.path, "/fhir/"):
			v, size = program, 3<<20
		case strings.HasPrefix(r.path, "/api/v1/devices/claims"), r.path == "/api/v1/sms/answers":
			v = nobody
		case strings.HasPrefix(r.path, "/api/"):
			media, begin, size = "application/json", `{"why":"`, 3<<20
		}
		if r.path == "/api/v1/imports" {
			media = "text/csv"
		}
		if r.path == "/soap/iis" {
			media, begin = "application/soap+xml", `<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Body>`
		}
		path := fill(template(r.path), w.things[0])
		told := w.refusals("larger than any")
		status, body := v.pour(t, path, media, begin, size)
		n++
		if status != http.StatusRequestEntityTooLarge && (status != http.StatusBadRequest || !strings.HasPrefix(r.path, "/fhir/") && !strings.HasPrefix(r.path, "/api/v1/devices/claims")) && !strings.Contains(body, "MessageTooLarge") {
			t.Errorf("%s: %d %.200s", key, status, body)
		}
		if strings.Contains(body, "xxxxxxxxxxxxxxxx") {
			t.Errorf("%s answers with what was sent", key)
		}
		if got := w.refusals("larger than any") - told; got != 1 {
			t.Errorf("%s: the trail has it %d times", key, got)
		}
		if size <= 128<<10 && !strings.HasPrefix(r.path, "/api/") {
			if got := v.do(t, "POST", path, "why="+strings.Repeat("x", size)); got.status != http.StatusRequestEntityTooLarge {
				t.Errorf("%s, with its length: %d", key, got.status)
			}
		}
	}
	if n < 170 {
		t.Errorf("%d routes", n)
	}
	if r := admin.do(t, "GET", "/units", ""); r.status != 200 {
		t.Errorf("the session has ended: %d", r.status)
	}
}

// A file that is larger than any of its kind is refused, and the trail has it.
func TestFilesAreBounded(t *testing.T) {
	w := newWorld(t)
	const begin = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n"
	for _, c := range []struct {
		by          *visitor
		path, media string
		megabytes   int
	}{
		{w.visitors[0], "/verify", "multipart/form-data; boundary=b", 6},
		{w.by(auth.StateAdmin), "/vis/editions/" + w.things[0]["none"] + "/texts", "multipart/form-data; boundary=b", 10},
		{w.by(auth.StateAdmin), "/admin/schedules", "multipart/form-data; boundary=b", 72},
		{w.by(auth.PracticeManager), "/import", "multipart/form-data; boundary=b", 34},
		{w.by(auth.StateAdmin), "/api/v1/schedules", "application/zip", 66},
	} {
		told, start := w.refusals("larger than any"), begin
		if c.media == "application/zip" {
			start = "PK"
		}
		status, body := c.by.pour(t, c.path, c.media, start, c.megabytes<<20)
		if status < 300 || status >= 500 || strings.Contains(body, "xxxxxxxxxxxxxxxx") {
			t.Errorf("%s: %d %.200s", c.path, status, body)
		}
		if got := w.refusals("larger than any") - told; got != 1 {
			t.Errorf("%s: the trail has it %d times", c.path, got)
		}
	}
}

// A flood of refused calls, by somebody who is nobody, does not fill the trail, and the trail
// says how many there were.
func TestFloodOfRefusals(t *testing.T) {
	w := newWorld(t)
	nobody, before := w.visitors[0], w.refusals("")
	const n = 1400
	body := strings.Repeat("x", 20<<10)
	for range n {
		if r := nobody.do(t, "POST", "/api/v1/sms/answers", body); r.status != http.StatusRequestEntityTooLarge {
			t.Fatal(r.status)
		}
	}
	if got := w.refusals("") - before; got > 1010 {
		t.Errorf("the trail has %d entries of %d calls", got, n)
	}
	w.must(w.registry.Close())
	w.closed = true
	told, more := w.refusals("larger than any call: POST /api/v1/sms/answers"), 0
	var words string
	w.must(w.db.QueryRowContext(t.Context(), "SELECT detail FROM audit WHERE what = 'request.refused' AND detail LIKE '%more were refused%'").Scan(&words))
	if _, err := fmt.Sscanf(words, "%d more", &more); err != nil || told+more != n {
		t.Errorf("the trail has %d and %q of %d calls", told, words, n)
	}
}

// Guesses at tokens, usernames and signatures are in the trail at every way in, without what
// was guessed.
func TestGuessesAreInTheTrail(t *testing.T) {
	w := newWorld(t)
	const guess = "guessed-token-0123456789"
	for key, send := range map[string]func(v *visitor) reply{
		"a token":       func(v *visitor) reply { return v.do(t, "GET", "/api/v1/me", "", "Authorization", "Bearer "+guess) },
		"a token, FHIR": func(v *visitor) reply { return v.do(t, "GET", "/fhir/Patient/x", "", "Authorization", "Bearer "+guess) },
		"a token at the door": func(v *visitor) reply {
			return v.do(t, "POST", "/hl7", "MSH|", "Content-Type", "text/plain", "Authorization", "Bearer "+guess)
		},
		"a name that is nobody's": func(v *visitor) reply { return v.do(t, "POST", "/hl7", "USERID="+guess+"&PASSWORD=x&MESSAGEDATA=x") },
		"a username":              func(v *visitor) reply { return v.do(t, "POST", "/signin", "username="+guess+"&password="+guess) },
		"a signature": func(v *visitor) reply {
			return v.do(t, "POST", "/api/v1/sms/answers", `{"from":"`+guess+`"}`, "Signature", guess)
		},
		"credentials in SOAP": func(v *visitor) reply { return v.do(t, "POST", "/soap/iis", soapOf(guess, guess, "MSH|")) },
	} {
		before := w.refusals("")
		r := send(w.visitor("guesser"))
		if r.status != 401 && !strings.Contains(r.body, "Security") {
			t.Errorf("%s: %d", key, r.status)
		}
		if got := w.refusals("") - before; got != 1 {
			t.Errorf("%s: the trail has %d entries", key, got)
		}
	}
	var n int
	w.must(w.db.QueryRowContext(t.Context(), "SELECT count(*) FROM audit WHERE detail LIKE $1 OR who LIKE $1 OR subject LIKE $1", "%guessed-token%").Scan(&n))
	if n > 0 {
		t.Error("the trail has what was guessed")
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
