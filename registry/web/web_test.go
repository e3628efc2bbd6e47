package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
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
	"github.com/coldkeep/coldkeep/registry/quality"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/schedules"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/vaccine"
	"github.com/coldkeep/coldkeep/registry/vis"
)

const password = "correct horse battery"

var system = auth.System("Test")

// collector stands for the collector: its readings, its alerts and its events.
type collector struct {
	mu     sync.Mutex
	away   bool
	alerts []coldkeep.Alert
	events chan coldkeep.LiveEvent
}

func (f *collector) Buckets(_ context.Context, _ coldkeep.ApplianceID, from, to time.Time, n int) ([]coldkeep.Bucket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "away")
	}
	out := make([]coldkeep.Bucket, n)
	step := to.Sub(from) / time.Duration(n)
	for i := range out {
		out[i] = coldkeep.Bucket{From: from.Add(time.Duration(i) * step), To: from.Add(time.Duration(i+1) * step), Min: 3900, Max: 12_600, Mean: 5000, Count: 5}
	}
	out[n/2] = coldkeep.Bucket{From: out[n/2].From, To: out[n/2].To, Min: coldkeep.NoTemperature, Max: coldkeep.NoTemperature, Mean: coldkeep.NoTemperature}
	return out, nil
}

func (f *collector) Alerts(_ context.Context, site coldkeep.SiteID, onlyOpen bool) ([]coldkeep.Alert, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "away")
	}
	return slices.DeleteFunc(slices.Clone(f.alerts), func(a coldkeep.Alert) bool {
		return site != "" && a.Site != site || onlyOpen && a.State != coldkeep.AlertOpen
	}), nil
}

func (f *collector) Acknowledge(_ context.Context, id, person, note string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "away")
	}
	for i := range f.alerts {
		if f.alerts[i].ID == id {
			now := time.Now().UTC()
			f.alerts[i].State, f.alerts[i].AcknowledgedBy, f.alerts[i].Note, f.alerts[i].AcknowledgedAt = coldkeep.AlertAcknowledged, person, note, &now
		}
	}
	return nil
}

func (f *collector) Subscribe(context.Context) <-chan coldkeep.LiveEvent { return f.events }

// site is a running registry with two clinics.
type site struct {
	people  *patient.Service
	t       *testing.T
	url     string
	db      *database.DB
	fake    *collector
	store   *store.Store
	stock   *inventory.Service
	log     *templog.Service
	auth    *auth.Service
	doses   *immunization.Service
	imports *onboarding.Service
	cfg     Config
}

// again serves the screens anew, by a configuration that the test has changed.
func (s *site) again() {
	s.t.Helper()
	h, err := New(s.cfg)
	s.must(err)
	srv := httptest.NewServer(h)
	s.t.Cleanup(srv.Close)
	s.url = srv.URL
}

func serve(t *testing.T) *site {
	t.Helper()
	db := databasetest.Open(t, databasetest.SQLite(t))
	st, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	people, err := auth.New(st.Auth(), coldkeep.RealClock{}, auth.Rules{Secrets: testSealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, db: db, fake: &collector{events: make(chan coldkeep.LiveEvent, 4)}, store: st, auth: people,
		log: templog.New(st.Templog(), coldkeep.RealClock{}), stock: inventory.New(st.Inventory(), coldkeep.RealClock{})}
	s.people = patient.New(st.Patients(), coldkeep.RealClock{})
	inForce, err := schedules.New(t.Context(), st.Schedules(), coldkeep.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	s.doses = immunization.New(st.Immunizations(), inForce, vaccine.Builtin(), coldkeep.RealClock{})
	s.people.Follow(s.doses)
	s.imports = onboarding.New(st.Onboarding(), s.people, s.doses, coldkeep.RealClock{})
	s.cfg = Config{Auth: people, Templog: s.log, Inventory: s.stock, Patients: s.people, Immunizations: s.doses, Schedules: inForce, Onboarding: s.imports,
		Recall:    recall.New(recall.Config{Store: st.Recall(), Patients: s.people, Doses: s.doses, Schedule: inForce, Clock: coldkeep.RealClock{}}),
		Quality:   quality.New(st.Quality(), vaccine.Builtin(), coldkeep.RealClock{}),
		Coverage:  coverage.New(st.Coverage(), inForce, coldkeep.RealClock{}),
		Enrolment: enrolment.New(st.Enrolment(), people, coldkeep.RealClock{}), Review: review.New(st, coldkeep.RealClock{}), Trail: st, Sessions: st.Sessions(),
		Exchange: exchange.New(st.Exchange(), hl7.New(s.people, s.doses, coldkeep.RealClock{}, hl7.DefaultIdentity), coldkeep.RealClock{}, nil),
		Forms:    forms.New(st.Forms(), s.doses, coldkeep.RealClock{}, ""), VIS: vis.New(st.VIS(), vaccine.Builtin(), coldkeep.RealClock{}),
		Readings: s.fake, Inbox: s.fake, Live: s.fake, Clock: coldkeep.RealClock{}, Log: slog.New(slog.DiscardHandler)}
	s.doses.CheckStatements(s.cfg.VIS)
	s.again()
	return s
}

// lotID finds a lot by its number.
func (s *site) lotID(number string) string {
	s.t.Helper()
	stock, err := s.stock.Stock(s.t.Context(), system)
	s.must(err)
	for _, l := range stock.Lots {
		if l.Number == number {
			return l.ID
		}
	}
	s.t.Fatalf("no lot %s", number)
	return ""
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// furnish adds clinics, people of every role, and an excursion with its alert and
// its held lot at lakeside.
// testSealer keeps the secrets of authenticator apps.
func testSealer(t testing.TB) *auth.Sealer {
	t.Helper()
	s, err := auth.NewSealer(strings.Repeat("5", 64))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) furnish() {
	s.t.Helper()
	ctx := s.t.Context()
	for _, id := range []coldkeep.SiteID{"lakeside", "northgate"} {
		s.must(s.log.AddSite(ctx, system, coldkeep.Site{ID: id, Name: "Clinic " + string(id), TimeZone: "America/Chicago"}))
		s.must(s.log.AddAppliance(ctx, system, coldkeep.Appliance{ID: id2(id), Site: id, Name: "Fridge of " + string(id), Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}))
		_, err := s.stock.Receive(ctx, system, inventory.Lot{Site: id, Number: "LOT-" + string(id), Product: "M-M-R II", CVX: "03", NDC: "00006-4681-00", MVX: "MSD",
			Expires: "2031-06-30", Funding: inventory.Public, DosesOnHand: 10}, id2(id), time.Now().Add(-48*time.Hour))
		s.must(err)
	}
	for role, at := range map[auth.Role]coldkeep.SiteID{auth.StateAdmin: "", auth.VFCCoordinator: "", auth.PracticeManager: "lakeside", auth.Nurse: "lakeside", auth.ViewOnly: "lakeside"} {
		_, err := s.auth.AddPerson(ctx, system, auth.NewPerson{Name: "The " + string(role), Username: string(role), Password: password, Role: role, Site: at})
		s.must(err)
	}
	collector := auth.Principal{ID: "c", Name: "collector", Scopes: []string{auth.ScopeCollector}}
	start := time.Now().UTC().Add(-2 * time.Hour).Truncate(time.Second)
	x := coldkeep.Excursion{ID: "x1", Revision: 1, Site: "lakeside", Appliance: "lakeside-fridge", Probe: "lakeside/pi-1/p", Kind: coldkeep.TooWarm, Rule: coldkeep.Consecutive,
		Profile: "cdc@1", Start: start, PeakAt: start.Add(time.Hour), Extreme: 12_600, MinutesOut: 120, Actions: []coldkeep.Action{"log", "alert", "hold"}, State: coldkeep.ExcursionOpen}
	_, err := s.log.PutExcursion(ctx, collector, x)
	s.must(err)
	_, err = s.stock.Hold(ctx, collector, coldkeep.HoldRequest{ID: "h1", Excursion: "x1", Appliance: "lakeside-fridge", Since: start, Reason: "above 8 °C"})
	s.must(err)
	s.must(s.log.PutStatuses(ctx, collector, []coldkeep.ApplianceStatus{{Appliance: "lakeside-fridge", Probe: "lakeside/pi-1/p", At: &start, Celsius: -12_345, State: coldkeep.StateExcursion, Online: true}}))
	s.fake.alerts = []coldkeep.Alert{
		{ID: "a1", Site: "lakeside", Appliance: "lakeside-fridge", Excursion: x, State: coldkeep.AlertOpen, RaisedAt: start},
		{ID: "a2", Site: "northgate", Appliance: "northgate-fridge", Excursion: x, State: coldkeep.AlertOpen, RaisedAt: start},
	}
}

func id2(site coldkeep.SiteID) coldkeep.ApplianceID { return coldkeep.ApplianceID(site + "-fridge") }

// browser keeps cookies and does not follow redirects.
type browser struct {
	*site
	*http.Client
}

func (s *site) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	s.must(err)
	return &browser{s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (s *site) as(username string) *browser {
	s.t.Helper()
	b := s.browser()
	if r := b.post("/signin", url.Values{"username": {username}, "password": {password}}); r.status != http.StatusSeeOther {
		s.t.Fatalf("sign-in of %s: %d %s", username, r.status, r.body)
	}
	return b
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (b *browser) send(r *http.Request) reply {
	b.t.Helper()
	res, err := b.Do(r)
	b.must(err)
	body, err := io.ReadAll(res.Body)
	b.must(err)
	b.must(res.Body.Close())
	return reply{res.StatusCode, res.Header, string(body)}
}

func (b *browser) get(path string) reply {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url+path, nil)
	b.must(err)
	return b.send(r)
}

func (b *browser) post(path string, form url.Values) reply {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+path, strings.NewReader(form.Encode()))
	b.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(r)
}

// page gets a page that must be there, with its texts but not others.
func (b *browser) page(path string, texts ...string) string {
	b.t.Helper()
	r := b.get(path)
	if r.status != http.StatusOK {
		b.t.Fatalf("%s: %d %s", path, r.status, r.body)
	}
	b.has(path, words(b.t, r.body), texts...)
	return r.body
}

// has looks for texts; one with ! before it must not be there.
func (b *browser) has(where, body string, texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		text, not := strings.CutPrefix(text, "!")
		if strings.Contains(body, text) == not {
			b.t.Errorf("%s: %q there: %v", where, text, !not)
		}
	}
}

func nodes(t *testing.T, body string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(root.Descendants())
}

// words is the text of a page as it is read, spaces made one.
func words(t *testing.T, body string) string {
	var b strings.Builder
	for _, n := range nodes(t, body) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func attr(n *html.Node, name string) string { return attribute(n, name) }

func TestSetupThenSignIn(t *testing.T) {
	s := serve(t)
	b := s.browser()
	if r := b.get("/units"); r.status != 303 || r.header.Get("Location") != "/signin?next=%2Funits" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	if r := b.get("/signin"); r.status != 303 || r.header.Get("Location") != "/setup" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	form := url.Values{"name": {"Ada"}, "username": {"ada"}, "password": {password}, "again": {"another password"}}
	if r := b.post("/setup", form); r.status != 400 || !strings.Contains(r.body, "not the same") || strings.Contains(r.body, password) {
		t.Fatalf("%d %s", r.status, r.body)
	}
	form.Set("again", password)
	if r := b.post("/setup", form); r.status != 303 || r.header.Get("Location") != "/admin" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	b.page("/admin", "Ada", "No sites yet")
	b.page("/units", "No sites yet")
	if r := s.browser().post("/setup", form); r.status != 303 || r.header.Get("Location") != "/signin" {
		t.Fatalf("a second first administrator: %d %s", r.status, r.body)
	}
	// Everything that is needed to use it can be made on the pages.
	for _, step := range []struct {
		path string
		form url.Values
	}{
		{"/admin/sites", url.Values{"id": {"lakeside"}, "name": {"Lakeside"}, "vfc_pin": {"123"}, "time_zone": {"America/Chicago"}}},
		{"/admin/sites/lakeside/units", url.Values{"id": {"fridge"}, "name": {"Refrigerator 1"}, "unit": {"refrigerator"}, "profile": {"cdc"}}},
		{"/admin/sites/lakeside/on-call", url.Values{"emails": {"a@b.example\r\nc@d.example"}, "webhooks": {"https://hook.example/x"}, "repeat": {"15"}}},
		{"/admin/people", url.Values{"name": {"Nora"}, "username": {"nora"}, "password": {password}, "role": {"nurse"}, "site": {"lakeside"}}},
		{"/lots", url.Values{"unit": {"fridge"}, "number": {"A1"}, "product": {"IPOL"}, "cvx": {"10"}, "ndc": {"49281-0860-10"}, "mvx": {"PMC"}, "expires": {"2031-01-31"}, "funding": {"public"}, "doses": {"20"}}},
	} {
		if r := b.post(step.path, step.form); r.status != 303 {
			t.Fatalf("%s: %d %s", step.path, r.status, r.body)
		}
		if page := b.page("/lots"); strings.Contains(page, "flash-error") {
			t.Fatalf("%s: %s", step.path, words(t, page))
		}
	}
	r := b.post("/admin/sites/lakeside/devices", url.Values{"agent": {"pi-1"}})
	secret := regexp.MustCompile(`id="device-secret">([a-z2-7]{32})<`).FindStringSubmatch(r.body)
	if r.status != 200 || secret == nil || r.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if _, _, ok := s.auth.CheckDevice(t.Context(), "lakeside/pi-1", secret[1]); !ok {
		t.Fatal("the secret that was shown does not open")
	}
	if page := b.page("/admin/sites/lakeside", "pi-1", "a@b.example"); strings.Contains(page, secret[1]) {
		t.Fatal("the secret is shown twice")
	}
	if r := b.post("/admin/sites/lakeside/probes", url.Values{"agent": {"pi-1"}, "probe": {"28-1"}, "unit": {"fridge"}, "from": {"2026-07-01T08:00"}}); r.status != 303 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	all, err := s.store.Assignments(t.Context())
	if err != nil || len(all) != 1 || !all[0].From.Equal(time.Date(2026, 7, 1, 13, 0, 0, 0, time.UTC)) {
		t.Fatalf("a time of the clinic's zone: %+v, %v", all, err)
	}
	b.page("/units/fridge", "lakeside/pi-1/28-1", "Jul 1, 2026, 8:00 AM", "No excursion is known")
}

func TestEveryPageNeedsSignIn(t *testing.T) {
	s := serve(t)
	s.furnish()
	h := &server{Config: Config{}, static: &assets{}}
	b := s.browser()
	for _, r := range h.engine().Routes() {
		// The ways in, an organization’s application, the page on which a family ends messages, and what anybody who holds a print may ask.
		if strings.HasPrefix(r.Path, "/signin") || strings.HasPrefix(r.Path, "/apply") || r.Path == "/verify" || r.Path == "/setup" || r.Path == "/stop/:token" || r.Path == "/static/*path" {
			continue
		}
		path := regexp.MustCompile(`:\w+`).ReplaceAllString(r.Path, "x")
		if r.Method == http.MethodPost {
			if got := b.post(path, nil); got.status != http.StatusUnauthorized {
				t.Errorf("POST %s: %d", path, got.status)
			}
			continue
		}
		got := b.get(path)
		toSignIn := got.status == 303 && strings.HasPrefix(got.header.Get("Location"), "/signin")
		if !toSignIn && got.status != http.StatusUnauthorized {
			t.Errorf("GET %s: %d %s", path, got.status, got.header.Get("Location"))
		}
	}
	if got := b.get("/nowhere"); got.status != 303 {
		t.Errorf("what pages there are is told to nobody: %d", got.status)
	}
	// A page that was asked for comes after the sign-in, one of another site never.
	for next, want := range map[string]string{"/lots": "/lots", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/"} {
		got := s.browser().post("/signin", url.Values{"username": {"nurse"}, "password": {password}, "next": {next}})
		if got.header.Get("Location") != want {
			t.Errorf("next %s: %s", next, got.header.Get("Location"))
		}
	}
}

func TestSessionIsWellKept(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.browser()
	r := b.post("/signin", url.Values{"username": {"nurse"}, "password": {password}})
	cookie := r.header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %s without %s", cookie, want)
		}
	}
	b.page("/units")
	// A form that another site sends does nothing.
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/signout", nil)
	s.must(err)
	q.Header.Set("Sec-Fetch-Site", "cross-site")
	if got := b.send(q); got.status != http.StatusForbidden {
		t.Errorf("cross-site form: %d", got.status)
	}
	b.page("/units")
	if got := b.post("/signout", nil); got.status != 303 {
		t.Errorf("sign-out: %d", got.status)
	}
	if got := b.get("/units"); got.status != 303 {
		t.Errorf("after sign-out: %d", got.status)
	}
	if got := s.browser().post("/signin", url.Values{"username": {"nurse"}, "password": {"wrong"}}); got.status != 401 || !strings.Contains(got.body, "wrong") {
		t.Errorf("wrong password: %d", got.status)
	}
}

// What foresight warns of stands on the cards and on the unit's page, and goes with
// the warning.
func TestForesightIsShown(t *testing.T) {
	s := serve(t)
	s.furnish()
	collector := auth.Principal{ID: "c", Name: "collector", Scopes: []string{auth.ScopeCollector}}
	now := time.Now().UTC()
	st := coldkeep.ApplianceStatus{Appliance: "northgate-fridge", Probe: "northgate/pi-1/p", At: &now, Celsius: 7000, State: coldkeep.StateOK, Online: true,
		Foresight: &coldkeep.Foresight{Cause: "door-ajar", Kind: coldkeep.TooWarm, SeenAt: now, Words: "The door may be ajar & it warms"}}
	for _, shown := range []bool{true, false} {
		if !shown {
			st.Foresight = nil
		}
		s.must(s.log.PutStatuses(t.Context(), collector, []coldkeep.ApplianceStatus{st}))
		for _, page := range []string{"/units", "/units/northgate-fridge"} {
			r := s.as(string(auth.VFCCoordinator)).get(page)
			if r.status != http.StatusOK || strings.Contains(r.body, "The door may be ajar &amp; it warms") != shown {
				t.Errorf("%s, shown %v: %d", page, shown, r.status)
			}
		}
	}
}
