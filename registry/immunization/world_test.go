package immunization_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
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
	elsewhere = auth.Principal{ID: "o", Name: "Ines", Role: auth.Nurse, Site: "northgate"}
	viewer    = auth.Principal{ID: "v", Name: "Ann", Role: auth.ViewOnly, Site: "lakeside"}
	school    = auth.Principal{ID: "k", Name: "Sam", Role: auth.School, Site: "lakeside"}
)

type clock struct {
	coldkeep.RealClock
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

// fixed is the built-in schedule.
type fixed struct{ e *forecast.Engine }

func (f fixed) Engine() *forecast.Engine { return f.e }

var engine = sync.OnceValue(func() *forecast.Engine { return forecast.New(forecast.Builtin()) })

// world is a registry with two practices and a fridge in each.
type world struct {
	t     testing.TB
	ctx   context.Context
	clock *clock
	st    *store.Store
	stock *inventory.Service
	*immunization.Service
}

func open(t testing.TB, where string) *world {
	t.Helper()
	st, err := store.Open(t.Context(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: noon}
	w := &world{t: t, ctx: t.Context(), clock: c, st: st, stock: inventory.New(st.Inventory(), c),
		Service: immunization.New(st.Immunizations(), fixed{engine()}, vaccine.Builtin(), c)}
	log := templog.New(st.Templog(), c)
	for _, site := range []coldkeep.SiteID{"lakeside", "northgate"} {
		w.must(log.AddSite(w.ctx, system, coldkeep.Site{ID: site, Name: string(site), TimeZone: "America/Chicago"}))
		w.must(log.AddAppliance(w.ctx, system, coldkeep.Appliance{ID: coldkeep.ApplianceID(site + "-fridge"), Site: site, Name: "Fridge", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}))
	}
	return w
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

// child adds a patient of some practices.
func (w *world) child(birth coldkeep.Date, sites ...coldkeep.SiteID) string {
	w.t.Helper()
	p := patient.Patient{ID: ulid.Make().String(), Birth: birth, Sex: patient.Female, Revision: 1, CreatedAt: noon, UpdatedAt: noon,
		Names: []patient.Name{{Family: "Okafor", Given: "Ada", Kind: patient.Legal, Span: patient.Span{Seq: 1}}}}
	p.Head = p.ID
	for _, s := range sites {
		p.Statuses = append(p.Statuses, patient.Status{Site: s, Standing: patient.Active, Since: noon, By: "Test", Span: patient.Span{Seq: len(p.Statuses) + 1}})
	}
	w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error { return tx.InsertPatient(w.ctx, p) }))
	return p.ID
}

func (w *world) lot(number string, doses int, change ...func(*inventory.Lot)) string {
	w.t.Helper()
	l := inventory.Lot{Site: "lakeside", Number: number, Product: "M-M-R II", CVX: "03", NDC: "00006-4681-00", MVX: "MSD",
		Expires: "2027-06-30", Funding: inventory.Public, DosesOnHand: doses}
	for _, f := range change {
		f(&l)
	}
	l, err := w.stock.Receive(w.ctx, system, l, coldkeep.ApplianceID(l.Site+"-fridge"), noon.Add(-90*24*time.Hour))
	w.must(err)
	return l.ID
}

// given is an MMR dose from a lot.
func given(patient, lot string, on coldkeep.Date) immunization.Dose {
	return immunization.Dose{Patient: patient, Kind: immunization.Administered, Date: on, StockID: lot, Eligibility: "V02", GivenBy: "Marcus Hale, RN", BodySite: "LA", Route: "SC", Amount: "0.5"}
}

func historical(patient, cvx string, on coldkeep.Date) immunization.Dose {
	return immunization.Dose{Patient: patient, Kind: immunization.Historical, Date: on, CVX: cvx, Source: "01"}
}

func (w *world) record(by auth.Principal, d immunization.Dose) immunization.Dose {
	w.t.Helper()
	d, err := w.Record(w.ctx, by, d, immunization.Confirm{Yes: true, Why: "It has been given already."})
	w.must(err)
	return d
}

func (w *world) onHand(lot string) int {
	w.t.Helper()
	l, err := w.st.Lot(w.ctx, lot)
	w.must(err)
	return l.DosesOnHand
}

// hold puts what stands in lakeside's fridge on hold since a time.
func (w *world) hold(since time.Time) {
	w.t.Helper()
	_, err := w.stock.Hold(w.ctx, collector, coldkeep.HoldRequest{ID: "h", Excursion: "x", Appliance: "lakeside-fridge", Since: since, Reason: "too warm"})
	w.must(err)
}
