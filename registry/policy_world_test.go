package registry_test

import (
	"context"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/forms"
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

const (
	ownSite    = coldkeep.SiteID("lakeside")
	otherSite  = coldkeep.SiteID("northgate")
	password   = "correct horse battery"
	familyName = "Xanthopoulos"
)

// secrets are what a masked answer leaves out (77 Ill. Adm. Code 689, App. A), as screens
// and calls write them.
var recordSecrets = []string{"555-0142", "5550142", "77 Hidden Lane", "Guardiana", "SECRETLOT"}

// situations are how a patient may stand to who asks; of other things the first two.
var situations = []struct {
	name   string
	site   coldkeep.SiteID
	locked bool
	found  bool // by a search
}{
	{"own, open", ownSite, false, true},
	{"other's, open, found", otherSite, false, true},
	{"other's, open, not searched for", otherSite, false, false},
	{"own, locked by own", ownSite, true, true},
	{"other's, locked, found", otherSite, true, true},
}

// things are the ids of what one situation is about, by the word that paths and forms have
// for it.
type things map[string]string

// services are those of a registry, on its database.
type services struct {
	t       *testing.T
	db      *database.DB
	store   *store.Store
	auth    *auth.Service
	log     *templog.Service
	stock   *inventory.Service
	people  *patient.Service
	doses   *immunization.Service
	imports *onboarding.Service
	enrol   *enrolment.Service
	quality *quality.Service
	cover   *coverage.Service
	sched   *schedules.Service
	recall  *recall.Service
	forms   *forms.Service
	vis     *vis.Service
	things  [5]things
}

var system = auth.System("Test")

func (s *services) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func serviceOn(t *testing.T, where string) *services {
	t.Helper()
	s := &services{t: t, db: databasetest.Open(t, where)}
	clock := coldkeep.RealClock{}
	var err error
	s.store, err = store.Open(t.Context(), s.db)
	s.must(err)
	s.auth, err = auth.New(s.store.Auth(), clock)
	s.must(err)
	s.log, s.stock, s.people = templog.New(s.store.Templog(), clock), inventory.New(s.store.Inventory(), clock), patient.New(s.store.Patients(), clock)
	s.sched, err = schedules.New(t.Context(), s.store.Schedules(), clock)
	s.must(err)
	s.doses = immunization.New(s.store.Immunizations(), s.sched, vaccine.Builtin(), clock)
	s.recall = recall.New(recall.Config{Store: s.store.Recall(), Patients: s.people, Doses: s.doses, Schedule: s.sched, Clock: clock})
	s.imports = onboarding.New(s.store.Onboarding(), s.people, s.doses, clock)
	s.enrol = enrolment.New(s.store.Enrolment(), s.auth, clock)
	s.must(s.enrol.EnsureTexts(t.Context()))
	s.cover = coverage.New(s.store.Coverage(), s.sched, clock)
	s.quality = quality.New(s.store.Quality(), vaccine.Builtin(), clock)
	s.forms, s.vis = forms.New(s.store.Forms(), s.doses, clock, ""), vis.New(s.store.VIS(), vaccine.Builtin(), clock)
	return s
}

// at is somebody of a practice, for what the world is made of.
func at(role auth.Role, site coldkeep.SiteID) auth.Principal {
	return auth.Principal{ID: "maker-" + string(site), Name: "Maker", Role: role, Site: site}
}

// furnish makes two practices with everything that a path may name.
func (s *services) furnish() {
	s.t.Helper()
	ctx := s.t.Context()
	collector := auth.Principal{ID: "c", Name: "collector", Scopes: []string{auth.ScopeCollector}}
	admin := auth.Principal{ID: "a", Name: "Admin", Role: auth.StateAdmin}
	start := time.Now().UTC().Add(-2 * time.Hour).Truncate(time.Second)
	for i, site := range []coldkeep.SiteID{ownSite, otherSite} {
		id := string(site)
		o := things{"site": id, "unit": id + "-fridge", "spare": id + "-spare", "excursion": "x-" + id, "hold": "h-" + id, "alert": "a-" + id, "agent": "pi-1", "kind": "confidentiality",
			"immunity": s.doses.Catalogue().Immunity[0].Code, "none": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "code": "AAAA-2222", "today": coldkeep.DateOf(time.Now()).String(), "now": time.Now().UTC().Format(time.RFC3339)}
		s.must(s.log.AddSite(ctx, system, coldkeep.Site{ID: site, Name: "Clinic " + id, TimeZone: "America/Chicago"}))
		for _, unit := range []string{"unit", "spare"} {
			s.must(s.log.AddAppliance(ctx, system, coldkeep.Appliance{ID: coldkeep.ApplianceID(o[unit]), Site: site, Name: "Fridge " + o[unit], Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}))
		}
		lot := func(number, unit string) string {
			l, err := s.stock.Receive(ctx, system, inventory.Lot{Site: site, Number: number, Product: "M-M-R II", CVX: "03", NDC: "00006-4681-00", MVX: "MSD",
				Expires: "2031-06-30", Funding: inventory.Public, DosesOnHand: 100}, coldkeep.ApplianceID(unit), time.Now().Add(-48*time.Hour))
			s.must(err)
			return l.ID
		}
		o["lot"], o["held"], o["number"] = lot("SECRETLOT-"+id, o["spare"]), lot("HELD-"+id, o["unit"]), strings.ToUpper("SECRETLOT-"+id)
		_, err := s.auth.AddDevice(ctx, system, site, "pi-1")
		s.must(err)
		x := coldkeep.Excursion{ID: o["excursion"], Revision: 1, Site: site, Appliance: coldkeep.ApplianceID(o["unit"]), Probe: id + "/pi-1/p", Kind: coldkeep.TooWarm, Rule: coldkeep.Consecutive,
			Profile: "cdc@1", Start: start, PeakAt: start.Add(time.Hour), Extreme: 12_600, MinutesOut: 120, Actions: []coldkeep.Action{"log", "alert", "hold"}, State: coldkeep.ExcursionOpen}
		_, err = s.log.PutExcursion(ctx, collector, x)
		s.must(err)
		_, err = s.stock.Hold(ctx, collector, coldkeep.HoldRequest{ID: o["hold"], Excursion: x.ID, Appliance: x.Appliance, Since: start, Reason: "above 8 °C"})
		s.must(err)
		s.must(s.stock.Propose(ctx, collector, o["hold"], coldkeep.HoldProposal{Action: "release", Reason: "the probe was wrong"}))
		s.must(s.store.Inventory().Tx(ctx, func(tx inventory.Tx) error {
			all, err := tx.ProposalsOf(ctx, o["hold"])
			if err == nil {
				o["proposal"] = all[0].ID
			}
			return err
		}))
		o["context"], err = s.log.AddContext(ctx, at(auth.Nurse, site), coldkeep.Context{Appliance: x.Appliance, Kind: coldkeep.ContextDefrost, From: start})
		s.must(err)
		account, _, err := s.auth.AddAccount(ctx, system, "Victim EHR of "+id, site, []string{auth.ScopeRecords})
		s.must(err)
		o["account"] = account.ID
		in, err := s.imports.Upload(ctx, at(auth.PracticeManager, site), strings.NewReader("family_name,given_name,birth_date,sex\nOkafor,Ada,2025-01-1"+string(rune('5'+i))+",F\n"))
		s.must(err)
		o["import"] = in.ID
		o["message"], o["file"] = ulid.Make().String(), ulid.Make().String()
		s.must(s.store.Exchange().Tx(ctx, func(tx exchange.Tx) error {
			now := time.Now()
			f := exchange.File{ID: o["file"], Account: account.ID, Who: account.Name, Site: site, Door: exchange.SFTP, Name: "monday.hl7", SHA256: o["file"], State: exchange.Done, Total: 1, Answers: exchange.Always, At: now, Ended: &now}
			if err := tx.InsertExchangeFile(ctx, f); err != nil {
				return err
			}
			return tx.InsertExchangeMessage(ctx, exchange.Message{ID: o["message"], Door: exchange.SFTP, Account: account.ID, Who: account.Name, Site: site, File: f.ID, Seq: 1, Control: "1", Type: "VXU^V04", Version: "2.5.1", SHA256: o["message"], At: now,
				Outcome: exchange.Erred, Text: []byte("MSH|"), Answer: []byte("MSH|")})
		}))
		soon := time.Now().Add(20 * 24 * time.Hour)
		s.must(s.enrol.SetEnd(ctx, admin, site, &soon))
		a, err := s.enrol.Renew(ctx, at(auth.PracticeManager, site), site, enrolment.Form{Kind: "provider", Organization: "Org of " + id, Site: "Clinic " + id, Street: "1 Way", City: "Cairo", State: "IL", ZIP: "62914",
			Phone: "618-555-0100", TimeZone: "America/Chicago", Contact: "Ada Lowe", Email: "ada@" + id + ".example", Director: "Dr. Kim", Licence: "036-1", Units: "One", Username: "ada", Signer: "Ada Lowe", Agreement: 1})
		s.must(err)
		o["application"] = a.ID
		s.things[i] = o
		o["person"] = s.person(site, "Known of "+id)
	}
	s.things[2], s.things[3], s.things[4] = s.things[1], s.things[0], s.things[1]
	for i := range situations {
		s.things[i] = with(s.things[i], s.patientOf(i, true))
	}
	for _, i := range []int{0, 1} {
		waiting := s.waiting(i)
		for k := range s.things {
			if s.things[k]["site"] == s.things[i]["site"] {
				s.things[k]["waiting"] = waiting
			}
		}
		run := s.assessed(coldkeep.SiteID(s.things[i]["site"]))
		for k := range s.things {
			if s.things[k]["site"] == s.things[i]["site"] {
				s.things[k]["assessment"] = run
			}
		}
	}
	s.recalls()
	s.must(s.store.Patients().Tx(ctx, func(tx patient.Tx) error {
		a, b := s.things[0]["patient"], s.things[1]["patient"]
		if b < a {
			a, b = b, a
		}
		for i := range s.things {
			s.things[i]["a"], s.things[i]["b"] = a, b
		}
		_, err := tx.PutPair(ctx, patient.Pair{A: a, B: b, State: patient.PairOpen, FoundAt: time.Now()})
		return err
	}))
}

// waiting is a dose that a practice gave, by an EHR's word, and that was not taken off its
// stock.
func (s *services) waiting(i int) string {
	s.t.Helper()
	ctx, o, now := s.t.Context(), s.things[i], time.Now().UTC().Truncate(time.Millisecond)
	d := immunization.Dose{ID: ulid.Make().String(), Patient: s.patientOf(i, false)["patient"], Kind: immunization.Administered, Date: coldkeep.DateOf(now) - 3, CVX: "21", Lot: "ELSEWHERE", Site: situations[i].site,
		Eligibility: "V02", EnteredBy: "EHR", EnteredSite: situations[i].site, EnteredAt: now, Revision: 1}
	s.must(s.store.Exchange().Tx(ctx, func(tx exchange.Tx) error {
		if err := tx.InsertDose(ctx, d); err != nil {
			return err
		}
		return tx.PutUndeducted(ctx, exchange.Undeducted{Dose: d.ID, Patient: d.Patient, Site: d.Site, Account: o["account"], Message: o["message"], At: now, Code: exchange.UnknownLot, Reason: "The lot (RXA-15) is not in this site's stock."})
	}))
	return d.ID
}

// recalls makes a run of each practice, and a dose of each that does not count, of its patient
// who is open.
func (s *services) recalls() {
	s.t.Helper()
	ctx := s.t.Context()
	for i, site := range []coldkeep.SiteID{ownSite, otherSite} {
		r, err := s.recall.Start(ctx, at(auth.PracticeManager, site), recall.Params{})
		s.must(err)
		d, _, err := s.doses.Look(ctx, at(auth.Nurse, site), s.things[i]["dose"])
		s.must(err)
		s.must(s.doses.Trust(ctx, at(auth.Nurse, site), d.ID, d.Revision, "too warm", "Test"))
		_, err = s.recall.Open(ctx)
		s.must(err)
		all, err := s.recall.Colds(ctx, at(auth.Nurse, site))
		s.must(err)
		for k := range s.things {
			if situations[k].site == site {
				s.things[k]["run"], s.things[k]["cold"] = r.ID, all[0].ID
			}
		}
	}
	for {
		more, err := s.recall.Step(ctx)
		s.must(err)
		if !more {
			return
		}
	}
}

func with(all ...things) things {
	out := things{}
	for _, t := range all {
		for k, v := range t {
			out[k] = v
		}
	}
	return out
}

// person adds somebody whose account others may try to change; nobody signs in as them.
func (s *services) person(site coldkeep.SiteID, name string) string {
	s.t.Helper()
	p := auth.Person{ID: ulid.Make().String(), Name: name, Role: auth.Nurse, Site: site, PasswordHash: "none", Active: true, CreatedAt: time.Now()}
	p.Username = "v" + strings.ToLower(p.ID)
	s.must(s.store.Auth().Tx(s.t.Context(), func(tx auth.Tx) error {
		if err := tx.InsertPerson(s.t.Context(), p); err != nil {
			return err
		}
		return tx.PutMembership(s.t.Context(), auth.Membership{Person: p.ID, Site: site, Role: auth.Nurse}, p.CreatedAt)
	}))
	return p.ID
}

var patientsMade int

// patientOf adds a patient of a situation; whole ones have doses and what goes with them.
func (s *services) patientOf(i int, whole bool) things {
	s.t.Helper()
	ctx, now, site := s.t.Context(), time.Now().UTC().Truncate(time.Millisecond), situations[i].site
	patientsMade++
	seq := patient.Span{Seq: 1}
	p := patient.Patient{ID: ulid.Make().String(), Birth: coldkeep.DateOf(now) - coldkeep.Date(800+patientsMade%700), Sex: patient.Female, Revision: 1, CreatedBy: site, CreatedAt: now, UpdatedAt: now,
		Names:       []patient.Name{{Family: familyName, Given: fmt.Sprintf("Child%d", patientsMade), Kind: patient.Legal, Span: seq}},
		Addresses:   []patient.Address{{Street: "77 Hidden Lane", City: "Cairo", State: "IL", ZIP: "62914", Kind: "H", Span: seq}},
		Contacts:    []patient.Contact{{Kind: patient.Phone, Value: "3125550142", Span: seq}},
		Identifiers: []patient.Identifier{{Kind: "MR", Assigner: string(site), Value: fmt.Sprintf("N%d", 10000+patientsMade), Span: seq}},
		Guardians:   []patient.Guardian{{Family: "Guardiana", Given: "Gus", Relation: "FTH", Span: seq}},
		Statuses:    []patient.Status{{Site: site, Standing: patient.Active, Since: now, By: "Test", Span: seq}}}
	p.Head = p.ID
	s.must(s.store.Patients().Tx(ctx, func(tx patient.Tx) error { return tx.InsertPatient(ctx, p) }))
	o := things{"patient": p.ID}
	if whole {
		by := at(auth.Nurse, site)
		yes := immunization.Confirm{Yes: true, Why: "Test"}
		given, err := s.doses.Record(ctx, by, immunization.Dose{Patient: p.ID, Kind: immunization.Administered, Date: coldkeep.DateOf(now.Add(-24 * time.Hour)), StockID: s.things[i]["lot"], Site: site, Eligibility: "V02",
			BodySite: "LT", Route: "SC", Amount: "0.5", GivenBy: "Marcus Hale, RN"}, yes)
		s.must(err)
		told, err := s.doses.Record(ctx, by, immunization.Dose{Patient: p.ID, Kind: immunization.Historical, Date: coldkeep.DateOf(now) - 60, CVX: "21", Source: "02", Elsewhere: "Dr. Lund"}, yes)
		s.must(err)
		f, err := s.doses.AddFact(ctx, by, immunization.Fact{Patient: p.ID, Kind: "immunity", Code: s.doses.Catalogue().Immunity[0].Code, Basis: "titre"})
		s.must(err)
		e, err := s.doses.AddExemption(ctx, by, immunization.Exemption{Patient: p.ID, Kind: immunization.Medical, Groups: []string{"Polio"}, From: coldkeep.DateOf(now) - 1, Signer: "Dr. Lund", Source: "Form"})
		s.must(err)
		r, err := s.doses.AddReaction(ctx, by, immunization.Reaction{Patient: p.ID, Doses: []string{told.ID}, Event: "Fever", Results: []string{"none"}})
		s.must(err)
		o = with(o, things{"dose": given.ID, "told": told.ID, "fact": f.ID, "exemption": e.ID, "reaction": r.ID})
	}
	if situations[i].locked {
		s.lock(p.ID, site)
	}
	return o
}

func (s *services) lock(id string, site coldkeep.SiteID) {
	s.t.Helper()
	s.must(s.store.Patients().Tx(s.t.Context(), func(tx patient.Tx) error {
		return tx.InsertLock(s.t.Context(), patient.LockRecord{ID: ulid.Make().String(), Patient: id, Lock: patient.Lock{Site: site, By: "Test", At: time.Now(), Form: "signed"}})
	}))
}

// find has somebody find a patient, as a search does.
func (s *services) find(who, id string) {
	s.t.Helper()
	s.must(s.store.Patients().Tx(s.t.Context(), func(tx patient.Tx) error { return tx.Grant(s.t.Context(), who, id, time.Now().Add(time.Hour)) }))
}

// visitor is who calls: nobody, a person with a session, or a program with a token.
type visitor struct {
	name   string
	id     string
	client *http.Client
	token  string
	base   string
}

type reply struct {
	status   int
	body     string
	location string
}

func (v *visitor) do(t *testing.T, method, path, body string, header ...string) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, v.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if strings.HasPrefix(path, "/api/") {
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Idempotency-Key", ulid.Make().String())
		}
	}
	if path == "/soap/iis" {
		r.Header.Set("Content-Type", "application/soap+xml")
	}
	if len(body) > 64<<10 {
		// A server that refuses a large body for its length does not read it, and a connection that
		// is cut in the middle of writing would hide its answer.
		r.Header.Set("Expect", "100-continue")
	}
	if v.token != "" {
		r.Header.Set("Authorization", "Bearer "+v.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := v.client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{res.StatusCode, string(b), res.Header.Get("Location")}
}

// inbox is a collector with an alert of each practice, and events that end at once.
type inbox struct{}

func (inbox) Alerts(_ context.Context, site coldkeep.SiteID, _ bool) ([]coldkeep.Alert, error) {
	var out []coldkeep.Alert
	for _, id := range []coldkeep.SiteID{ownSite, otherSite} {
		if site == "" || site == id {
			x := coldkeep.Excursion{ID: "x-" + string(id), Site: id, Appliance: coldkeep.ApplianceID(id + "-fridge"), Kind: coldkeep.TooWarm, Start: time.Now().Add(-time.Hour), State: coldkeep.ExcursionOpen}
			out = append(out, coldkeep.Alert{ID: "a-" + string(id), Site: id, Appliance: x.Appliance, Excursion: x, State: coldkeep.AlertOpen, RaisedAt: x.Start})
		}
	}
	return out, nil
}

func (inbox) Acknowledge(context.Context, string, string, string) error { return nil }

func (inbox) Subscribe(context.Context) <-chan coldkeep.LiveEvent {
	c := make(chan coldkeep.LiveEvent)
	close(c)
	return c
}

// scopesOf are the columns of programs.
var scopesOf = []string{auth.ScopeCollector, auth.ScopeUnits, auth.ScopeRecords}

// world is a registry over HTTP with everybody who may call it.
type world struct {
	*services
	registry *registry.Registry
	url      string
	visitors []*visitor // in the order of the table's columns
	closed   bool       // the test has closed the registry itself
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, databasetest.SQLite(t))
}

// newWorldOn is newWorld on a database. At its end nothing of a patient may be in the log,
// whatever the test has done.
func newWorldOn(t *testing.T, where string) *world {
	t.Helper()
	s := serviceOn(t, where)
	log := &lines{}
	r, err := registry.Open(t.Context(), registry.Config{Database: where, Inbox: inbox{}, Live: inbox{}, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	s.must(err)
	srv := httptest.NewUnstartedServer(r.Handler())
	srv.Config.ErrorLog = stdlog.New(log, "", 0)
	srv.Start()
	w := &world{services: s, registry: r, url: srv.URL}
	t.Cleanup(func() {
		srv.Close()
		if !w.closed {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		said := log.String()
		for _, secret := range slices.Concat(recordSecrets, veiled, []string{familyName, password, s.things[0]["patient"]}) {
			if strings.Contains(said, secret) {
				i := strings.Index(said, secret)
				t.Errorf("the log has %q: %s", secret, said[max(0, i-300):min(len(said), i+100)])
			}
		}
	})
	s.furnish()
	w.visitors = append(w.visitors, w.visitor("nobody"))
	for _, role := range auth.Roles() {
		site := ownSite
		if role.Programme() {
			site = ""
		}
		w.visitors = append(w.visitors, w.signIn(role, site))
	}
	for _, scope := range scopesOf {
		site := ownSite
		if scope == auth.ScopeCollector {
			site = ""
		}
		a, token, err := s.auth.AddAccount(t.Context(), system, "Program "+scope, site, []string{scope})
		s.must(err)
		v := w.visitor(scope)
		v.id, v.token = a.ID, token
		w.visitors = append(w.visitors, v)
	}
	for _, v := range w.visitors {
		for i, sit := range situations {
			if sit.found && v.id != "" {
				s.find(v.id, s.things[i]["patient"])
			}
		}
	}
	return w
}

func (w *world) visitor(name string) *visitor {
	jar, err := cookiejar.New(nil)
	w.must(err)
	return &visitor{name: name, base: w.url, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// signIn adds somebody, who signs in and accepts the texts.
func (w *world) signIn(role auth.Role, site coldkeep.SiteID) *visitor {
	w.t.Helper()
	username := string(role)
	if site == otherSite {
		username += "-other"
	}
	p, err := w.auth.AddPerson(w.t.Context(), system, auth.NewPerson{Name: "The " + username, Username: username, Password: password, Role: role, Site: site})
	w.must(err)
	v := w.visitor(username)
	v.id = p.ID
	if r := v.do(w.t, "POST", "/signin", url.Values{"username": {username}, "password": {password}}.Encode()); r.status != http.StatusSeeOther {
		w.t.Fatalf("sign-in of %s: %d", username, r.status)
	}
	if r := v.do(w.t, "POST", "/policies/accept", "confidentiality=1&user-agreement=1"); r.location != "/" {
		w.t.Fatalf("%s accepts: %d %s", username, r.status, r.location)
	}
	return v
}

// assessed is a finished assessment of a practice. A registry on the same database may have
// taken it up.
func (s *services) assessed(site coldkeep.SiteID) string {
	s.t.Helper()
	r, err := s.cover.Begin(s.t.Context(), at(auth.PracticeManager, site), coverage.Ask{Measures: []string{"cis-3"}, Ages: coverage.Ages{From: "0 days", Until: "120 years"}})
	s.must(err)
	for r.Busy() {
		_, err := s.cover.Step(s.t.Context())
		s.must(err)
		r, err = s.cover.Get(s.t.Context(), at(auth.PracticeManager, site), r.ID)
		s.must(err)
	}
	if r.State != coverage.Done {
		s.t.Fatalf("assessment: %+v", r)
	}
	return r.ID
}

// born is the birth date of a situation's patient.
func (s *services) born(i int) time.Time {
	s.t.Helper()
	var p patient.Patient
	s.must(s.store.Patients().Tx(s.t.Context(), func(tx patient.Tx) (err error) {
		p, err = tx.Patient(s.t.Context(), s.things[i]["patient"])
		return err
	}))
	return p.Birth.Midnight(time.UTC)
}
