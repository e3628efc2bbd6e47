package patient_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
)

var (
	desk    = auth.Principal{ID: "d", Name: "Ana Desk", Role: auth.FrontDesk, Site: "lakeside"}
	nurse   = auth.Principal{ID: "n", Name: "Marcus", Role: auth.Nurse, Site: "lakeside"}
	viewer  = auth.Principal{ID: "v", Name: "Peter", Role: auth.ViewOnly, Site: "lakeside"}
	other   = auth.Principal{ID: "o", Name: "Ines", Role: auth.Nurse, Site: "northgate"}
	school  = auth.Principal{ID: "s", Name: "School", Role: auth.School, Site: "northgate"}
	state   = auth.Principal{ID: "a", Name: "Sam", Role: auth.StateAdmin}
	epi     = auth.Principal{ID: "e", Name: "Epi", Role: auth.StateEpi}
	auditor = auth.Principal{ID: "u", Name: "Auditor", Role: auth.Auditor}
	vfc     = auth.Principal{ID: "c", Name: "Ruth", Role: auth.VFCCoordinator}
	ehr     = auth.Principal{ID: "h", Name: "EHR", Scopes: []string{auth.ScopeRecords}, Site: "northgate"}
)

// clock stands until it is moved.
type clock struct {
	coldkeep.RealClock
	now time.Time
}

func (c *clock) Now() time.Time { return c.now }

type world struct {
	t     testing.TB
	ctx   context.Context
	store *store.Store
	clock *clock
	*patient.Service
}

func open(t testing.TB, where string) *world {
	t.Helper()
	st, err := store.Open(t.Context(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: time.Date(2026, 11, 2, 15, 0, 0, 0, time.UTC)}
	w := &world{t: t, ctx: t.Context(), store: st, clock: c, Service: patient.New(st.Patients(), c)}
	log := templog.New(st.Templog(), c)
	for _, id := range []coldkeep.SiteID{"lakeside", "northgate"} {
		if err := log.AddSite(w.ctx, auth.System("Test"), coldkeep.Site{ID: id, Name: string(id), TimeZone: "America/Chicago"}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func each(t *testing.T, test func(w *world)) {
	databasetest.Each(t, func(t *testing.T, where string) { test(open(t, where)) })
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) want(code string, err error) {
	w.t.Helper()
	if coldkeep.ErrorCode(err) != code {
		w.t.Fatalf("%v, want %q", err, code)
	}
}

// mila is a child with everything; each name makes another child.
func mila(family, given string) patient.Patient {
	return patient.Patient{
		Names: []patient.Name{{Family: family, Given: given, Middle: "Rose"}}, Birth: coldkeep.NewDate(2019, 4, 2), Sex: patient.Female, Mother: "Okafor",
		Races: []string{"w"}, Ethnicity: "NH", Language: "ENG",
		Addresses:   []patient.Address{{Street: "12 Elm St", City: "Chicago", State: "il", ZIP: "606140000", County: "Cook"}},
		Contacts:    []patient.Contact{{Kind: patient.Cell, Value: "(312) 555-0142"}},
		Identifiers: []patient.Identifier{{Kind: "MR", Value: "4711-" + given}},
		Guardians:   []patient.Guardian{{Family: "Brandt", Given: "Nora", Relation: "MTH"}},
	}
}

func (w *world) add(by auth.Principal, p patient.Patient) string {
	w.t.Helper()
	got, err := w.Add(w.ctx, by, p)
	w.must(err)
	return got.ID
}

func (w *world) trail() string {
	w.t.Helper()
	all, err := w.store.Entries(w.ctx, audit.Query{Limit: 500})
	w.must(err)
	var b strings.Builder
	for _, e := range all {
		b.WriteString(e.Who + " " + e.What + " " + e.Subject + " (" + e.Detail + ") " + e.Why + "\n")
	}
	return b.String()
}

func byName(family, given string) patient.Query {
	return patient.Query{Family: family, Given: given, Birth: coldkeep.NewDate(2019, 4, 2)}
}
