package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit/review"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/forms"
	"github.com/coldkeep/coldkeep/registry/hl7"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/onboarding"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/schedules"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/vaccine"
	"github.com/coldkeep/coldkeep/registry/vis"
)

const (
	token      = "token-of-the-collector"
	unitsToken = "token-of-a-tool-for-units"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// client calls a registry's API over a real socket.
type client struct {
	t     testing.TB
	url   string
	token string
	n     int
	log   *templog.Service
	stock *inventory.Service
	store *store.Store
	auth  *auth.Service

	people  *patient.Service
	imports *onboarding.Service
	as      auth.Principal // whose session it carries when it has no token
}

// Person is the session of the screens, of which the API asks nothing else.
func (c *client) Person(r *http.Request) (auth.Principal, context.Context, error) {
	return c.as, r.Context(), nil
}

// person calls by the session of somebody with a role, at a site or the programme.
func (c *client) person(role auth.Role, site coldkeep.SiteID) {
	c.token, c.as = "", auth.Principal{ID: "p-" + string(role) + string(site), Name: "The " + string(role), Role: role, Site: site}
}

func serve(t testing.TB, where string) *client {
	t.Helper()
	ctx, system := t.Context(), auth.System("Test")
	st, err := store.Open(ctx, databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	people, err := auth.New(st.Auth(), coldkeep.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, token: token, store: st, auth: people, people: patient.New(st.Patients(), coldkeep.RealClock{}), log: templog.New(st.Templog(), coldkeep.RealClock{}), stock: inventory.New(st.Inventory(), coldkeep.RealClock{})}
	for _, err := range []error{
		people.EnsureAccount(ctx, "collector", token, auth.ScopeCollector),
		people.EnsureAccount(ctx, "other", "token-without-any-scope"),
		people.EnsureAccount(ctx, "tool", unitsToken, auth.ScopeUnits),
		people.EnsureAccount(ctx, "ehr", recordsToken, auth.ScopeRecords),
		c.log.AddSite(ctx, system, coldkeep.Site{ID: "lakeside", Name: "Lakeside", TimeZone: "America/Chicago"}),
		c.log.AddAppliance(ctx, system, coldkeep.Appliance{ID: "fridge", Site: "lakeside", Name: "Fridge", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}),
		c.log.Assign(ctx, system, coldkeep.Assignment{Series: coldkeep.Series{Site: "lakeside", Agent: "pi-1", Probe: "p"}, Appliance: "fridge", From: noon.AddDate(0, -1, 0)}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.stock.Receive(ctx, system, inventory.Lot{Site: "lakeside", Number: "L1", Product: "M-M-R II", CVX: "03", NDC: "00006-4681-00", MVX: "MSD",
		Expires: "2027-06-30", Funding: inventory.Public, DosesOnHand: 10}, "fridge", noon.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	inForce, err := schedules.New(ctx, st.Schedules(), coldkeep.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	doses := immunization.New(st.Immunizations(), inForce, vaccine.Builtin(), coldkeep.RealClock{})
	c.imports = onboarding.New(st.Onboarding(), c.people, doses, coldkeep.RealClock{})
	srv := httptest.NewServer(New(Config{Auth: people, Templog: c.log, Inventory: c.stock, Patients: c.people, Immunizations: doses, Schedules: inForce, Onboarding: c.imports, Recall: recall.New(recall.Config{Store: st.Recall(), Patients: c.people, Doses: doses, Schedule: inForce, Clock: coldkeep.RealClock{}}), SMSSecret: []byte("gateway-secret"), Forms: forms.New(st.Forms(), doses, coldkeep.RealClock{}, ""), VIS: vis.New(st.VIS(), vaccine.Builtin(), coldkeep.RealClock{}), Coverage: coverage.New(st.Coverage(), inForce, coldkeep.RealClock{}), Exchange: exchange.New(st.Exchange(), hl7.New(c.people, doses, coldkeep.RealClock{}, hl7.DefaultIdentity), coldkeep.RealClock{}, nil), People: c, Answers: st, Log: slog.New(slog.DiscardHandler), Broker: "ssl://broker.example:8883",
		Enrolment: enrolment.New(st.Enrolment(), people, coldkeep.RealClock{}), Review: review.New(st, coldkeep.RealClock{})}))
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (c *client) do(method, path, key string, body []byte) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		c.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

func (c *client) post(path, body string) answer {
	c.t.Helper()
	c.n++
	return c.do(http.MethodPost, path, fmt.Sprint("key-", c.n), []byte(body))
}

// problem checks that an answer is a problem document that says text.
func (a answer) problem(t testing.TB, status int, code, text string) {
	t.Helper()
	var p struct {
		Status       int
		Code, Detail string
	}
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %s %s, want %d", a.status, a.header.Get("Content-Type"), a.body, status)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Status != status || p.Code != code || !strings.Contains(p.Detail, text) {
		t.Fatalf("problem %s, want %s with %q", a.body, code, text)
	}
}

func (a answer) ok(t testing.TB, body string) {
	t.Helper()
	if a.status != http.StatusOK || !strings.Contains(a.body, body) {
		t.Fatalf("%d %s, want 200 with %s", a.status, a.body, body)
	}
}

const (
	goodInterval    = `{"appliance":"fridge","probe":"lakeside/pi-1/p","from":"2026-03-01T12:00:00Z","to":"2026-03-01T12:15:00Z","min":2.1,"min_at":"2026-03-01T12:01:00Z","max":4.312,"max_at":"2026-03-01T12:02:00Z","mean":3,"readings":15,"gap_s":0,"fault_s":0,"revision":1}`
	goodExcursion   = `{"id":"x","revision":1,"appliance":"fridge","probe":"lakeside/pi-1/p","kind":"too-warm","rule":"instant","profile":"cdc@1","start":"2026-03-01T12:00:00Z","end":null,"peak_at":"2026-03-01T12:30:00Z","extreme_c":18.2,"minutes_out":30.5,"state":"open","reason":""}`
	goodHold        = `{"id":"h","excursion":"x","appliance":"fridge","since":"2026-03-01T12:00:00Z","reason":"too warm"}`
	goodAssignment  = `{"site":"lakeside","agent":"pi-1","probe":"p","appliance":"fridge","role":"vaccine","from":"2026-03-01T12:00:00Z"}`
	goodCalibration = `{"site":"lakeside","agent":"pi-1","probe":"p","offset_c":-0.12,"certificate":"K 17","expires":"2030-03-01"}`
	goodSilence     = `{"id":"s","revision":1,"appliance":"fridge","probe":"lakeside/pi-1/p","kind":"no-data","rule":"","profile":"cdc@1","start":"2026-03-01T12:00:00Z","end":null,"peak_at":"2026-03-01T12:00:00Z","extreme_c":null,"minutes_out":0,"actions":["log","alert"],"state":"open","reason":"no readings"}`
	goodStatus      = `{"appliance":"fridge","probe":"lakeside/pi-1/p","at":"2026-03-01T12:00:00Z","celsius":4.3,"state":"ok","online":true}`
)

// The contract's calls, one after the other, as a collector makes them.
func TestContract(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := serve(t, where)
		c.post("/api/v1/temperature-log/intervals", "["+goodInterval+"]").ok(t, `{"received":1,"stored":1}`)
		c.post("/api/v1/temperature-log/intervals", "["+goodInterval+"]").ok(t, `{"received":1,"stored":0}`)
		c.post("/api/v1/temperature-log/intervals", "[]").ok(t, `{"received":0,"stored":0}`)
		c.post("/api/v1/excursions", goodExcursion).ok(t, `{"id":"x","revision":1}`)
		held := c.post("/api/v1/holds", goodHold)
		held.ok(t, `"hold":"h"`)
		var h coldkeep.Hold
		if err := json.Unmarshal([]byte(held.body), &h); err != nil || len(h.Lots) != 1 || h.Lots[0].Lot != "L1" || h.Lots[0].DosesOnHand != 10 || len(h.Lots[0].InUnit) != 1 {
			t.Fatalf("%s, %v", held.body, err)
		}
		c.post("/api/v1/holds/h/proposal", `{"action":"release","reason":"withdrawn"}`).ok(t, `"state":"proposed"`)
		c.post("/api/v1/holds/nohold/proposal", `{"action":"release","reason":"withdrawn"}`).problem(t, 404, coldkeep.ENOTFOUND, "nohold")
		c.post("/api/v1/appliance-status", goodStatus).ok(t, `"stored":1`)
		c.post("/api/v1/appliance-status", "["+goodStatus+","+goodStatus+"]").ok(t, `"stored":2`)

		var m coldkeep.Mirror
		got := c.do(http.MethodGet, "/api/v1/mirror", "", nil)
		if err := json.Unmarshal([]byte(got.body), &m); err != nil || got.status != 200 || m.Revision < 2 || len(m.Sites) != 1 || len(m.Appliances) != 1 {
			t.Fatalf("%d %s, %v", got.status, got.body, err)
		}
		if !strings.Contains(got.body, `"devices":[]`) {
			t.Errorf("an empty list is a list: %s", got.body)
		}
	})
}

func TestWhatWasNotSentIsAbsent(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	c.post("/api/v1/appliance-status", `{"appliance":"fridge","state":"no-data"}`).ok(t, "")
	u, err := c.store.Unit(t.Context(), "fridge")
	if err != nil || u.Status.Celsius.Known() || u.Status.At != nil {
		t.Fatalf("%+v, %v", u.Status, err)
	}
	// Without min it is not an interval with 0 °C.
	bad := strings.Replace(goodInterval, `"min":2.1,`, "", 1)
	c.post("/api/v1/temperature-log/intervals", "["+bad+"]").problem(t, 400, coldkeep.EINVALID, "[0].min: ")
}

func TestBadInputIsNamed(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	intervals, excursions, holds, status := "/api/v1/temperature-log/intervals", "/api/v1/excursions", "/api/v1/holds", "/api/v1/appliance-status"
	for _, row := range []struct{ path, good, from, to, text string }{
		{intervals, "[" + goodInterval + "," + goodInterval + "]", "", "", ""},
		{intervals, goodInterval, "", "", "body: want a JSON array"},
		{intervals, "[" + goodInterval, "", "", "it is cut off"},
		{intervals, "[" + goodInterval + "] x", "", "", "body: "},
		{intervals, "[{]", "", "", "not JSON at byte"},
		{intervals, "[1]", "", "", "[0]: want a JSON object"},
		{intervals, "null", "", "", "body: want a JSON array"},
		{intervals, "", "", "", "body: "},
		{intervals, "[" + goodInterval + "]", `"min":2.1`, `"min":"2.1"`, "[0].min: "},
		{intervals, "[" + goodInterval + "]", `12:00:00Z"`, `12:00"`, "[0].from: "},
		{intervals, "[" + goodInterval + "]", `"from":"2026-03-01T12:00:00Z","to":"2026-03-01T12:15:00Z"`, `"from":"2026-03-01T12:05:00Z","to":"2026-03-01T12:20:00Z"`, "[0].from: 2026-03-01T12:05:00Z is not on the quarter hour"},
		{intervals, "[" + goodInterval + "]", `"readings":15`, `"readings":"many"`, "[0].readings: "},
		{intervals, "[" + goodInterval + "]", `"readings":15`, `"readings":1.5`, "[0].readings: "},
		{intervals, "[" + goodInterval + "]", `"fridge"`, `"other"`, `[0].appliance: "other" is not known`},
		{intervals, "[" + goodInterval + "]", `"fridge"`, `7`, "[0].appliance: 7: want text"},
		{excursions, goodExcursion, `"fridge"`, `"other"`, "appliance: "},
		{excursions, goodExcursion, `18.2`, `"hot"`, "extreme_c: "},
		{excursions, goodExcursion, `18.2`, `null`, "extreme_c: "},
		{excursions, goodExcursion, `30.5`, `"half an hour"`, "minutes_out: "},
		{excursions, goodExcursion, `"open"`, `"gone"`, "state: "},
		{excursions, goodExcursion, `"end":null`, `"end":"yesterday"`, "end: "},
		{excursions, "[]", "", "", "body: want a JSON object"},
		{excursions, goodSilence, "", "", ""},
		{excursions, goodSilence, `"s","revision":1`, `"s","revision":2`, ""},
		{excursions, goodSilence, "no-data", "device-fault", "kind: "},
		{excursions, goodSilence, "no-data", "too-warm", "rule: "},
		{excursions, goodSilence, `"rule":""`, `"rule":"instant"`, "rule: "},
		{excursions, goodSilence, `null,"minutes_out"`, `4.1,"minutes_out"`, "extreme_c: "},
		{excursions, goodSilence, `"minutes_out":0`, `"minutes_out":1`, "minutes_out: "},
		{excursions, goodExcursion, `"state":"open"`, `"state":"open","degree_minutes":-1`, "degree_minutes: "},
		{excursions, goodExcursion, `"state":"open"`, `"state":"open","mkt_c":"warm"`, "mkt_c: "},
		{excursions, goodExcursion, `"state":"open"`, `"state":"open","witnesses":{}`, "witnesses: want a list"},
		{excursions, goodExcursion, `"state":"open"`, `"state":"open","witnesses":[{"probe":"lakeside/pi-1/p","out":1}]`, "witnesses[0].out: "},
		{excursions, goodExcursion, `"state":"open"`, `"state":"open","witnesses":[{"probe":"p"}]`, "witnesses[0].probe: "},
		{excursions, goodExcursion, `"state":"open"`, `"state":"open","contexts":["a b"]`, "contexts[0]: "},
		{intervals, "[" + goodInterval + "]", `lakeside/pi-1/p`, `lakeside/pi-1/q`, "[0].probe: \"lakeside/pi-1/q\" never stood in \"fridge\""},
		{holds, goodHold, `"fridge"`, `"other"`, "appliance: "},
		{holds, goodHold, `"since":"2026-03-01T12:00:00Z",`, ``, "since: "},
		{holds, goodHold, `"id":"h"`, `"id":""`, "id: "},
		{status, goodStatus, `"ok"`, `"well"`, "state: "},
		{status, goodStatus, `true`, `"yes"`, "online: "},
		{status, goodStatus, `"at":"2026-03-01T12:00:00Z"`, `"at":"0001-01-01T00:00:00Z"`, "at: "},
	} {
		t.Run(row.path+" "+row.text, func(t *testing.T) {
			a := c.post(row.path, strings.Replace(row.good, row.from, row.to, 1))
			if row.text == "" {
				a.ok(t, "")
				return
			}
			a.problem(t, 400, coldkeep.EINVALID, row.text)
		})
	}
	for path, text := range map[string]string{"?since=x": "since: ", "?wait=3601": "wait: ", "?wait=-1": "wait: "} {
		c.do(http.MethodGet, "/api/v1/mirror"+path, "", nil).problem(t, 400, coldkeep.EINVALID, text)
	}
	c.post(excursions, `{"id":"`+strings.Repeat("x", 70<<10)+`"}`).problem(t, 413, coldkeep.EINVALID, "body: ")
	c.do(http.MethodGet, "/api/v1/nothing", "", nil).problem(t, 404, coldkeep.ENOTFOUND, "")
	c.do(http.MethodDelete, "/api/v1/holds", "", nil).problem(t, 405, coldkeep.EINVALID, "")
	c.do(http.MethodPost, holds, "", []byte(goodHold)).problem(t, 400, coldkeep.EINVALID, "Idempotency-Key: ")
}

func TestWhoMayCall(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	id, err := c.log.AddContext(t.Context(), auth.System("Test"), coldkeep.Context{Appliance: "fridge", Kind: coldkeep.ContextDefrost, From: noon})
	if err != nil {
		t.Fatal(err)
	}
	routes := (&server{}).engine().Routes()
	for tok, want := range map[string]struct {
		status int
		code   string
	}{"": {401, coldkeep.EUNAUTHORIZED}, "wrong-token-of-nobody": {401, coldkeep.EUNAUTHORIZED}, "token-without-any-scope": {403, coldkeep.EFORBIDDEN}} {
		c.token = tok
		for _, r := range routes {
			if r.Path == "/api/openapi.json" || strings.Contains(r.Path, "/claims") || r.Path == "/api/v1/sms/answers" || strings.HasPrefix(r.Path, "/fhir/") || !strings.HasPrefix(r.Path, "/api/") { // TestFHIR asks of FHIR, TestHL7Doors of the doors, and a gateway signs its answers
				continue
			}
			if tok != "" && want.status == 403 && (r.Path == "/api/v1/me" || r.Path == "/api/v1/policies") {
				continue // who one is, and the texts in force, are for everybody who signs in
			}
			body := map[string]string{"/api/v1/people": `{"name":"X","username":"x","password":"correct horse battery","role":"nurse","site":"lakeside"}`,
				"/api/v1/people/:id/role": `{"role":"nurse","site":"lakeside"}`, "/api/v1/people/:id/active": `{"active":true}`,
				"/api/v1/applications/:id/refuse": `{"reason":"x"}`,
				"/api/v1/assignments":             goodAssignment, "/api/v1/assignments/end": goodAssignment, "/api/v1/calibrations": goodCalibration,
				"/api/v1/appliances/:id/contexts": `{"kind":"defrost"}`, "/api/v1/contexts/:id/end": `{}`, "/api/v1/appliances/:id/service": `{"in_service":false}`,
				"/api/v1/appliances/:id/limits": `{}`, "/api/v1/appliances/:id/profile": `{"profile":"cdc","reason":"x"}`,
				"/api/v1/temperature-log/intervals": "[]", "/api/v1/excursions": goodExcursion, "/api/v1/holds": goodHold,
				"/api/v1/holds/:id/proposal": `{"action":"release","reason":"x"}`, "/api/v1/appliance-status": goodStatus}[r.Path]
			if body == "" {
				body = "{}"
			}
			a := c.do(r.Method, strings.NewReplacer("contexts/:id", "contexts/"+id, ":id", "fridge").Replace(r.Path)+"?site=lakeside", "k"+r.Path, []byte(body))
			if tok == "token-without-any-scope" && a.status == http.StatusNotFound {
				continue // whoever may see nothing is not told what there is
			}
			a.problem(t, want.status, want.code, "")
			if (a.header.Get("WWW-Authenticate") != "") != (want.status == 401) {
				t.Errorf("%s: WWW-Authenticate %q", r.Path, a.header.Get("WWW-Authenticate"))
			}
		}
	}
}

func TestSameKey(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := serve(t, where)
		post := func(key, path, body string) answer { return c.do(http.MethodPost, path, key, []byte(body)) }
		first := post("k", "/api/v1/holds", goodHold)
		first.ok(t, `"hold":"h"`)
		// A person releases the lot; the repeated call still gets its first answer.
		s, err := c.stock.Stock(t.Context(), auth.System("Test"))
		if err != nil {
			t.Fatal(err)
		}
		dana := auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
		if err := c.stock.Decide(t.Context(), dana, "h", s.Lots[0].ID, inventory.Released, "fine"); err != nil {
			t.Fatal(err)
		}
		again := post("k", "/api/v1/holds", goodHold)
		if again.status != first.status || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
			t.Fatalf("%+v after %+v", again, first)
		}
		post("k", "/api/v1/holds", strings.Replace(goodHold, "too warm", "warm", 1)).problem(t, 409, coldkeep.ECONFLICT, "Idempotency-Key: ")
		post("k", "/api/v1/excursions", goodHold).problem(t, 409, coldkeep.ECONFLICT, "Idempotency-Key: ")
		// What was refused may be sent again under its key once it is right.
		post("l", "/api/v1/excursions", strings.Replace(goodExcursion, "fridge", "other", 1)).problem(t, 400, coldkeep.EINVALID, "appliance")
		post("l", "/api/v1/excursions", goodExcursion).ok(t, `"revision":1`)
	})
}

func TestSameKeyAtOnce(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	bodies := make([]string, 8)
	var wg sync.WaitGroup
	for i := range bodies {
		wg.Go(func() {
			a := c.do(http.MethodPost, "/api/v1/holds", "k", []byte(goodHold))
			if a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
			bodies[i] = a.body
		})
	}
	wg.Wait()
	for _, b := range bodies {
		if b != bodies[0] {
			t.Errorf("%s and %s", b, bodies[0])
		}
	}
}

func TestMirrorLongPoll(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	revision, err := c.store.MirrorRevision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan answer)
	go func() { got <- c.do(http.MethodGet, fmt.Sprintf("/api/v1/mirror?since=%d&wait=30", revision), "", nil) }()
	if err := c.log.SetOnCall(t.Context(), auth.System("Test"), coldkeep.OnCall{Site: "lakeside", RepeatAfter: 600}); err != nil {
		t.Fatal(err)
	}
	(<-got).ok(t, fmt.Sprintf(`{"revision":%d,`, revision+1))
}

// Every call is in the description, and nothing else is.
func TestOpenAPI(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	c.token = "" // it is no secret
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]json.RawMessage
		Components map[string]map[string]json.RawMessage
	}
	a := c.do(http.MethodGet, "/api/openapi.json", "", nil)
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != 200 || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatalf("%d, %v", a.status, err)
	}
	param, n := regexp.MustCompile(`:(\w+)`), 0
	for _, r := range (&server{}).engine().Routes() {
		path := param.ReplaceAllString(r.Path, "{$1}")
		if doc.Paths[path][strings.ToLower(r.Method)] == nil {
			t.Errorf("%s %s is not described", r.Method, path)
		}
		n++
	}
	for _, methods := range doc.Paths {
		for _, call := range methods {
			if !strings.Contains(string(call), `"tags":["collector"]`) { // the collector serves it
				n--
			}
		}
	}
	for _, ref := range regexp.MustCompile(`"#/components/(\w+)/(\w+)"`).FindAllStringSubmatch(a.body, -1) {
		if doc.Components[ref[1]][ref[2]] == nil {
			t.Errorf("%s is not there", ref[0])
		}
	}
	if n != 0 {
		t.Errorf("the description has %d calls more than there are", -n)
	}
}
