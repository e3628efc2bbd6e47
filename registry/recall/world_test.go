package recall_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts/channel"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

var (
	noon      = time.Date(2026, 3, 2, 18, 0, 0, 0, time.UTC) // noon in Chicago
	today     = coldkeep.NewDate(2026, 3, 2)
	system    = auth.System("Test")
	collector = auth.Principal{ID: "c", Name: "collector", Scopes: []string{auth.ScopeCollector}}
	manager   = auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
	nurse     = auth.Principal{ID: "n", Name: "Marcus", Role: auth.Nurse, Site: "lakeside"}
	desk      = auth.Principal{ID: "d", Name: "Joan", Role: auth.FrontDesk, Site: "lakeside"}
	other     = auth.Principal{ID: "o", Name: "Ines", Role: auth.PracticeManager, Site: "northgate"}
	viewer    = auth.Principal{ID: "v", Name: "Ann", Role: auth.ViewOnly, Site: "lakeside"}
	state     = auth.Principal{ID: "s", Name: "Sam", Role: auth.StateAdmin}
)

type clock struct {
	coldkeep.RealClock
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

type fixed struct{ e *forecast.Engine }

func (f fixed) Engine() *forecast.Engine { return f.e }

var engine = sync.OnceValue(func() *forecast.Engine { return forecast.New(forecast.Builtin()) })

// world is a registry with two practices and a fridge in each.
type world struct {
	t      testing.TB
	ctx    context.Context
	clock  *clock
	db     *database.DB
	st     *store.Store
	stock  *inventory.Service
	people *patient.Service
	doses  *immunization.Service
	*recall.Service
}

func open(t testing.TB, where string, by ...channel.Notifier) *world {
	t.Helper()
	db := databasetest.Open(t, where)
	st, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: noon}
	w := &world{t: t, ctx: t.Context(), clock: c, db: db, st: st, stock: inventory.New(st.Inventory(), c), people: patient.New(st.Patients(), c)}
	w.doses = immunization.New(st.Immunizations(), fixed{engine()}, vaccine.Builtin(), c)
	w.people.Follow(w.doses)
	w.restart(by...)
	log := templog.New(st.Templog(), c)
	for _, site := range []coldkeep.SiteID{"lakeside", "northgate"} {
		w.must(log.AddSite(w.ctx, system, coldkeep.Site{ID: site, Name: string(site), TimeZone: "America/Chicago"}))
		w.must(log.AddAppliance(w.ctx, system, coldkeep.Appliance{ID: coldkeep.ApplianceID(site + "-fridge"), Site: site, Name: "Fridge", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}))
	}
	return w
}

// restart makes the service anew, as a process does that begins.
func (w *world) restart(by ...channel.Notifier) {
	w.Service = recall.New(recall.Config{Store: w.st.Recall(), Patients: w.people, Doses: w.doses, Schedule: fixed{engine()}, Clock: w.clock, Notifiers: by, Origin: "https://coldkeep.example"})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wants(err error, code string) {
	w.t.Helper()
	if coldkeep.ErrorCode(err) != code {
		w.t.Fatalf("%v, want %q", err, code)
	}
}

var made int

// child adds a patient of lakeside's who is at home with a mother.
func (w *world) child(birth coldkeep.Date, change ...func(*patient.Patient)) string {
	w.t.Helper()
	made++
	seq := patient.Span{Seq: 1}
	p := patient.Patient{ID: ulid.Make().String(), Birth: birth, Sex: patient.Female, Revision: 1, CreatedBy: "lakeside", CreatedAt: noon, UpdatedAt: noon, Language: "eng",
		Names:     []patient.Name{{Family: "Okafor", Given: fmt.Sprintf("Ada%d", made), Kind: patient.Legal, Span: seq}},
		Addresses: []patient.Address{{Street: fmt.Sprintf("%d Lake Street", made), City: "Waukegan", State: "IL", ZIP: "60085", Kind: "H", Span: seq}},
		Guardians: []patient.Guardian{{Family: "Okafor", Given: "Chioma", Relation: "MTH", Contacts: []patient.Contact{
			{Kind: patient.Cell, Value: fmt.Sprintf("312555%04d", made)}, {Kind: patient.Email, Value: fmt.Sprintf("chioma%d@home.example", made)}}, Span: seq}},
		Statuses: []patient.Status{{Site: "lakeside", Standing: patient.Active, Since: noon.Add(-time.Hour), By: "Test", Span: seq}}}
	p.Head = p.ID
	for _, f := range change {
		f(&p)
	}
	w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error { return tx.InsertPatient(w.ctx, p) }))
	return p.ID
}

func (w *world) lock(id string, site coldkeep.SiteID) {
	w.t.Helper()
	w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error {
		return tx.InsertLock(w.ctx, patient.LockRecord{ID: ulid.Make().String(), Patient: id, Lock: patient.Lock{Site: site, By: "Test", At: noon, Form: "signed"}})
	}))
}

func (w *world) lot(number string, doses int) string {
	w.t.Helper()
	l, err := w.stock.Receive(w.ctx, system, inventory.Lot{Site: "lakeside", Number: number, Product: "M-M-R II", CVX: "03", NDC: "00006-4681-00", MVX: "MSD",
		Expires: "2027-06-30", Funding: inventory.Public, DosesOnHand: doses}, "lakeside-fridge", noon.Add(-90*24*time.Hour))
	w.must(err)
	return l.ID
}

func (w *world) give(id, lot string, on coldkeep.Date) immunization.Dose {
	w.t.Helper()
	d, err := w.doses.Record(w.ctx, nurse, immunization.Dose{Patient: id, Kind: immunization.Administered, Date: on, StockID: lot, Eligibility: "V02", GivenBy: "Marcus Hale, RN", BodySite: "LA", Route: "SC", Amount: "0.5"},
		immunization.Confirm{Yes: true, Why: "Test"})
	w.must(err)
	return d
}

func (w *world) told(id, cvx string, on coldkeep.Date) immunization.Dose {
	w.t.Helper()
	d, err := w.doses.Record(w.ctx, nurse, immunization.Dose{Patient: id, Kind: immunization.Historical, Date: on, CVX: cvx, Source: "01"}, immunization.Confirm{Yes: true, Why: "Test"})
	w.must(err)
	return d
}

// settle works until there is nothing to do.
func (w *world) settle() {
	w.t.Helper()
	for range 10_000 {
		more, err := w.Step(w.ctx)
		w.must(err)
		sent, err := w.Send(w.ctx)
		w.must(err)
		followed, err := w.Follow(w.ctx)
		w.must(err)
		if !more && !sent && !followed {
			return
		}
	}
	w.t.Fatal("the work does not end")
}

func (w *world) settings() {
	w.t.Helper()
	for _, by := range []auth.Principal{manager, state, other} {
		w.must(w.SetSettings(w.ctx, by, recall.Settings{Name: "Lakeside Family Clinic", Street: "1 Harbor Street", City: "Waukegan", State: "IL", ZIP: "60085", Phone: "(224) 555-0100",
			Email: "desk@lakeside.example", Begin: 9 * 60, End: 19 * 60, PerHour: 1000}))
	}
}

// run starts a run and looks at everybody.
func (w *world) run(by auth.Principal, p recall.Params) recall.View {
	w.t.Helper()
	r, err := w.Start(w.ctx, by, p)
	w.must(err)
	w.settle()
	return w.see(by, r.ID)
}

func (w *world) see(by auth.Principal, id string) recall.View {
	w.t.Helper()
	v, err := w.Get(w.ctx, by, id)
	w.must(err)
	return v
}

// entries counts those of the trail about a patient.
func (w *world) entries(what, id string) (n int) {
	w.t.Helper()
	w.must(w.db.QueryRowContext(w.ctx, "SELECT count(*) FROM audit WHERE what = $1 AND subject = $2", what, "patient/"+id).Scan(&n))
	return n
}
