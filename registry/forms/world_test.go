package forms_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/enrolment"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forms"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

var (
	noon      = time.Date(2026, 9, 1, 17, 0, 0, 0, time.UTC) // noon in Chicago
	today     = coldkeep.NewDate(2026, 9, 1)
	system    = auth.System("Test")
	nurse     = auth.Principal{ID: "n", Name: "Marcus Hale", Role: auth.Nurse, Site: "lakeside"}
	elsewhere = auth.Principal{ID: "o", Name: "Ines", Role: auth.Nurse, Site: "northgate"}
	teacher   = auth.Principal{ID: "k", Name: "Sam", Role: auth.School, Site: "lincoln"}
	admin     = auth.Principal{ID: "a", Name: "Ann", Role: auth.StateAdmin}
)

type fixed struct{ e *forecast.Engine }

func (f fixed) Engine() *forecast.Engine { return f.e }

var engine = sync.OnceValue(func() *forecast.Engine { return forecast.New(forecast.Builtin()) })

type clock struct{ coldkeep.RealClock }

func (clock) Now() time.Time { return noon }

type world struct {
	t     testing.TB
	ctx   context.Context
	st    *store.Store
	doses *immunization.Service
	*forms.Service
}

func open(t testing.TB, where string) *world {
	t.Helper()
	st, err := store.Open(t.Context(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ctx: t.Context(), st: st, doses: immunization.New(st.Immunizations(), fixed{engine()}, vaccine.Builtin(), clock{})}
	w.Service = forms.New(st.Forms(), w.doses, clock{}, "Illinois immunization registry")
	log := templog.New(st.Templog(), clock{})
	for _, site := range []coldkeep.SiteID{"lakeside", "northgate", "lincoln"} {
		w.must(log.AddSite(w.ctx, system, coldkeep.Site{ID: site, Name: strings.ToUpper(string(site[:1])) + string(site[1:]) + " Clinic", TimeZone: "America/Chicago"}))
		w.must(st.Enrolment().Tx(w.ctx, func(tx enrolment.Tx) error {
			e, err := tx.SiteEnrolment(w.ctx, site)
			if err != nil {
				return err
			}
			e.Street, e.City, e.State, e.ZIP, e.Phone = "12 Shore Road", "Cairo", "IL", "62914", "618-555-0100"
			return tx.PutEnrolment(w.ctx, e)
		}))
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

func (w *world) child(birth string, change ...func(*patient.Patient)) string {
	w.t.Helper()
	b, err := coldkeep.ParseDate(birth)
	w.must(err)
	seq := patient.Span{Seq: 1}
	p := patient.Patient{ID: ulid.Make().String(), Birth: b, Sex: patient.Female, Revision: 1, CreatedAt: noon, UpdatedAt: noon, Races: []string{"2028-9"}, Ethnicity: "2186-5", Language: "spa",
		Names:     []patient.Name{{Family: "Okafor", Given: "Ada", Middle: "Chidinma", Kind: patient.Legal, Span: seq}},
		Addresses: []patient.Address{{Street: "77 Hidden Lane", City: "Cairo", State: "IL", ZIP: "62914", County: "Alexander", Kind: "H", Span: seq}},
		Contacts:  []patient.Contact{{Kind: patient.Phone, Value: "3125550142", Span: seq}},
		Guardians: []patient.Guardian{{Family: "Guardiana", Given: "Gus", Relation: "FTH", Span: seq}},
		Statuses:  []patient.Status{{Site: "lakeside", Standing: patient.Active, Since: noon, By: "Test", Span: seq}}}
	for _, f := range change {
		f(&p)
	}
	p.Head = p.ID
	w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error { return tx.InsertPatient(w.ctx, p) }))
	return p.ID
}

func named(family, given, middle string) func(*patient.Patient) {
	return func(p *patient.Patient) {
		p.Names[0].Family, p.Names[0].Given, p.Names[0].Middle = family, given, middle
	}
}

// had records historical doses "cvx date …"; a date of seven characters is a month.
func (w *world) had(id string, lines ...string) {
	w.t.Helper()
	for _, line := range lines {
		f := strings.Fields(line)
		for _, on := range f[1:] {
			d := immunization.Dose{Patient: id, Kind: immunization.Historical, CVX: f[0], Source: "02", Elsewhere: "Dr. Lund", DayUnknown: len(on) == 7}
			if d.DayUnknown {
				on += "-15"
			}
			var err error
			d.Date, err = coldkeep.ParseDate(on)
			w.must(err)
			_, err = w.doses.Record(w.ctx, nurse, d, immunization.Confirm{Yes: true, Why: "It was given."})
			w.must(err)
		}
	}
}

// given records doses of today at the practice.
func (w *world) given(id string, cvx ...string) []string {
	w.t.Helper()
	var out []string
	for _, c := range cvx {
		d := immunization.Dose{Patient: id, Kind: immunization.Administered, Date: today, CVX: c, MVX: "MSD", Lot: "SECRETLOT", Expires: today + 300, Site: "lakeside", Eligibility: "V02", Funding: "VXC51",
			GivenBy: "Marcus Hale, RN", OrderedBy: "Dr. Kim", BodySite: "LA", Route: "SC", Amount: "0.5"}
		for _, st := range vaccine.Builtin().CurrentStatements(c) {
			d.VIS = append(d.VIS, immunization.VIS{Document: st.Code, Edition: st.Edition, Given: today})
		}
		d, err := w.doses.Record(w.ctx, nurse, d, immunization.Confirm{Yes: true, Why: "It was given."})
		w.must(err)
		out = append(out, d.ID)
	}
	return out
}

func (w *world) lock(id string) {
	w.t.Helper()
	w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error {
		return tx.InsertLock(w.ctx, patient.LockRecord{ID: ulid.Make().String(), Patient: id, Lock: patient.Lock{Site: "lakeside", By: "Test", At: noon, Form: "signed"}})
	}))
}

func (w *world) find(by auth.Principal, id string) {
	w.t.Helper()
	w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error { return tx.Grant(w.ctx, by.ID, id, noon.Add(time.Hour)) }))
}
