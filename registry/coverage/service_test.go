package coverage_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/simulate"
	"github.com/coldkeep/coldkeep/registry/simulate/fill"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

var (
	noon      = time.Date(2026, 3, 2, 18, 0, 0, 0, time.UTC) // noon in Chicago
	today     = coldkeep.NewDate(2026, 3, 2)
	born      = coldkeep.NewDate(2023, 12, 10) // 26 months old
	system    = auth.System("Test")
	collector = auth.Principal{ID: "c", Name: "collector", Scopes: []string{auth.ScopeCollector}}
	state     = auth.Principal{ID: "s", Name: "Rosa", Role: auth.StateAdmin}
	epi       = auth.Principal{ID: "e", Name: "Eli", Role: auth.StateEpi}
	manager   = auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
	nurse     = auth.Principal{ID: "n", Name: "Marcus", Role: auth.Nurse, Site: "lakeside"}
	elsewhere = auth.Principal{ID: "o", Name: "Ines", Role: auth.PracticeManager, Site: "northgate"}
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

type world struct {
	t      testing.TB
	ctx    context.Context
	db     *database.DB
	st     *store.Store
	clock  *clock
	people *patient.Service
	doses  *immunization.Service
	stock  *inventory.Service
	*coverage.Service
}

func open(t testing.TB, where string) *world {
	t.Helper()
	db := databasetest.Open(t, where)
	st, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: noon}
	w := &world{t: t, ctx: t.Context(), db: db, st: st, clock: c, people: patient.New(st.Patients(), c), doses: immunization.New(st.Immunizations(), fixed{engine()}, vaccine.Builtin(), c),
		stock: inventory.New(st.Inventory(), c), Service: coverage.New(st.Coverage(), fixed{engine()}, c)}
	w.people.Follow(w.doses)
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

// child adds a patient of some practices, who was entered long ago.
func (w *world) child(birth coldkeep.Date, sites ...coldkeep.SiteID) string {
	w.t.Helper()
	at := birth.Midnight(time.UTC).Add(48 * time.Hour)
	p := patient.Patient{ID: ulid.Make().String(), Birth: birth, Sex: patient.Female, Revision: 1, CreatedAt: at, UpdatedAt: at,
		Names:     []patient.Name{{Family: "Okafor", Given: "Ada", Kind: patient.Legal, Span: patient.Span{Seq: 1}}},
		Addresses: []patient.Address{{Street: "1 Way", City: "Cairo", State: "IL", ZIP: "62914", County: "Alexander", Kind: "H", Span: patient.Span{Seq: 1}}}}
	p.Head = p.ID
	for _, s := range sites {
		p.Statuses = append(p.Statuses, patient.Status{Site: s, Standing: patient.Active, Since: at, By: "Test", Span: patient.Span{Seq: len(p.Statuses) + 1}})
	}
	w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error { return tx.InsertPatient(w.ctx, p) }))
	return p.ID
}

// told puts doses in, each entered two days after it was given.
func (w *world) told(patient string, doses ...string) {
	w.t.Helper()
	w.must(w.st.Immunizations().Tx(w.ctx, func(tx immunization.Tx) error {
		for _, d := range doses {
			cvx, day, _ := strings.Cut(d, " ")
			on, err := coldkeep.ParseDate(day)
			w.must(err)
			if err := tx.InsertDose(w.ctx, immunization.Dose{ID: ulid.Make().String(), Patient: patient, Kind: immunization.Administered, Site: "lakeside", Date: on, CVX: cvx,
				EnteredAt: on.Midnight(time.UTC).Add(48 * time.Hour), Revision: 1}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// grant has everybody find a patient, as a search does.
func (w *world) grant(id string) {
	w.t.Helper()
	w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error {
		for _, by := range []auth.Principal{state, manager, elsewhere} {
			if err := tx.Grant(w.ctx, by.ID, id, noon.Add(48*time.Hour)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// assess makes an assessment and gives its result as by sees it.
func (w *world) assess(by auth.Principal, a coverage.Ask) coverage.Result {
	w.t.Helper()
	r, err := w.Begin(w.ctx, by, a)
	w.must(err)
	did, err := w.Step(w.ctx)
	w.must(err)
	if !did {
		w.t.Fatal("nothing to do")
	}
	out, err := w.Result(w.ctx, by, r.ID)
	w.must(err)
	if out.State != coverage.Done {
		w.t.Fatalf("%+v", out.Run)
	}
	return out
}

// people is how many a result has assessed and found covered with valid doses of MMR.
func assessed(r coverage.Result, dim coverage.Dim, value string) (people, valid int64) {
	for _, c := range r.Counts {
		if c.Day == r.Day && c.Dim == dim && c.Value == value && c.Part == "mmr" {
			return c.People, c.Valid
		}
	}
	return 0, 0
}

const mmr = "03 2025-01-15"

var cis = coverage.Ask{Measures: []string{"4313314"}}

// Who is in whose denominator, and with which dose, by what the services have made of the
// record. This is the table of docs/coverage.md.
func TestWhoCounts(t *testing.T) {
	type in struct{ state, lakeside, northgate int64 }
	form := patient.Form{Signer: "Nora", Relation: "MTH", Signed: today - 1}
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		status := func(site coldkeep.SiteID, s patient.Standing) func(string) {
			return func(id string) {
				_, err := w.people.SetStatus(w.ctx, state, id, site, s, "a good reason")
				w.must(err)
			}
		}
		was := map[string]int64{} // of all the rows before
		rows := []struct {
			name   string
			change func(id string)
			want   in
		}{
			{"active at both", func(string) {}, in{1, 1, 1}},
			{"moved from lakeside", status("lakeside", patient.Moved), in{1, 0, 1}},
			{"lost to lakeside", status("lakeside", patient.Lost), in{1, 0, 1}},
			{"inactive at lakeside", status("lakeside", patient.Inactive), in{1, 0, 1}},
			{"moved out of the jurisdiction", status("", patient.Moved), in{0, 1, 1}},
			{"lost to the jurisdiction", status("", patient.Lost), in{0, 1, 1}},
			{"died", func(id string) {
				_, err := w.people.SetDeceased(w.ctx, state, id, true, today-3, "")
				w.must(err)
			}, in{0, 0, 0}},
			{"died, the day is not known", func(id string) {
				_, err := w.people.SetDeceased(w.ctx, state, id, true, 0, "")
				w.must(err)
			}, in{0, 0, 0}},
			{"locked by lakeside", func(id string) { w.must(w.people.Lock(w.ctx, manager, id, form)) }, in{1, 1, 0}},
			{"locked by northgate", func(id string) { w.must(w.people.Lock(w.ctx, elsewhere, id, form)) }, in{1, 0, 1}},
			{"locked by the state", func(id string) { w.must(w.people.Lock(w.ctx, state, id, form)) }, in{1, 0, 0}},
			{"locked, and opted in again", func(id string) {
				w.must(w.people.Lock(w.ctx, manager, id, form))
				w.must(w.people.Unlock(w.ctx, manager, id, form))
			}, in{1, 1, 1}},
			{"merged with another record", func(id string) {
				other := w.child(born, "lakeside")
				w.grant(other)
				_, err := w.people.MergePatients(w.ctx, state, other, id, "the same child")
				w.must(err)
			}, in{1, 1, 1}},
			{"merged with a record that lakeside has locked", func(id string) {
				other := w.child(born, "lakeside")
				w.grant(other)
				w.must(w.people.Lock(w.ctx, manager, other, form))
				_, err := w.people.MergePatients(w.ctx, state, other, id, "the same child")
				w.must(err)
			}, in{1, 1, 0}},
		}
		for _, c := range rows {
			id := w.child(born, "lakeside", "northgate")
			w.told(id, mmr)
			w.grant(id)
			c.change(id)
			r := w.assess(state, cis)
			check := func(place string, dim coverage.Dim, value string, want int64) {
				t.Helper()
				people, valid := assessed(r, dim, value)
				if people-was[place] != want || valid != people {
					t.Errorf("%s: %s counts %d people more, %d of %d covered; want %d", c.name, place, people-was[place], valid, people, want)
				}
				was[place] = people
			}
			check("the state", coverage.All, "", c.want.state)
			check("the county", coverage.ByCounty, "Alexander", c.want.state)
			check("the area", coverage.ByZIP3, "629", c.want.state)
			check("lakeside", coverage.ByPractice, "lakeside", c.want.lakeside)
			check("northgate", coverage.ByPractice, "northgate", c.want.northgate)
			// The practice's own assessment has the same people.
			for _, by := range []auth.Principal{manager, elsewhere} {
				people, _ := assessed(w.assess(by, cis), coverage.All, "")
				if people != was[string(by.Site)] {
					t.Errorf("%s: %s's own assessment counts %d, the programme's %d", c.name, by.Site, people, was[string(by.Site)])
				}
			}
		}
		// By service it is whom lakeside has vaccinated, in whatever standing: of the fourteen
		// not the two who died, and not the two whom the others have locked.
		r := w.assess(state, coverage.Ask{Measures: cis.Measures, Basis: coverage.ByService})
		if people, _ := assessed(r, coverage.ByPractice, "lakeside"); people != 10 {
			t.Errorf("by service %d people", people)
		}
		if people, _ := assessed(r, coverage.ByPractice, "northgate"); people != 0 {
			t.Errorf("by service %d people of who has vaccinated nobody", people)
		}
	})
}

// A dose counts until a hold is decided against it; deleted, refused and doubled ones do not.
func TestWhatBecameOfADose(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		lot, err := w.stock.Receive(w.ctx, system, inventory.Lot{Site: "lakeside", Number: "A", Product: "M-M-R II", CVX: "03", NDC: "00006-4681-00", MVX: "MSD",
			Expires: "2027-06-30", Funding: inventory.Public, DosesOnHand: 10}, "lakeside-fridge", noon.Add(-90*24*time.Hour))
		w.must(err)
		id := w.child(born, "lakeside")
		record := func(d immunization.Dose) immunization.Dose {
			d.Patient = id
			d, err := w.doses.Record(w.ctx, nurse, d, immunization.Confirm{Yes: true, Why: "It has been given already."})
			w.must(err)
			return d
		}
		given := record(immunization.Dose{Kind: immunization.Administered, Date: today - 1, StockID: lot.ID, Eligibility: "V02", GivenBy: "Marcus Hale, RN", BodySite: "LA", Route: "SC", Amount: "0.5"})
		covered := func(what string, want int64) {
			t.Helper()
			w.clock.add(time.Minute)
			if _, valid := assessed(w.assess(manager, cis), coverage.All, ""); valid != want {
				t.Errorf("%s: %d covered, want %d", what, valid, want)
			}
		}
		covered("given", 1)
		_, err = w.stock.Hold(w.ctx, collector, coldkeep.HoldRequest{ID: "h", Excursion: "x", Appliance: "lakeside-fridge", Since: noon.Add(-72 * time.Hour), Reason: "too warm"})
		w.must(err)
		covered("on hold", 1)
		w.must(w.stock.DecideLot(w.ctx, manager, inventory.Decision{Hold: "h", Lot: lot.ID, Outcome: inventory.Wasted, Why: "Maker's letter 9", Given: true}))
		covered("spoilt", 0)
		now, err := w.st.Dose(w.ctx, given.ID)
		w.must(err)
		w.must(w.doses.Trust(w.ctx, manager, given.ID, now.Revision, "", "It was drawn from the other fridge"))
		covered("trusted after all", 1)
		record(immunization.Dose{Kind: immunization.Historical, Date: today - 1, CVX: "03", Source: "01"})
		covered("told of twice", 1)
		now, err = w.st.Dose(w.ctx, given.ID)
		w.must(err)
		w.must(w.doses.Delete(w.ctx, manager, given.ID, now.Revision, "the wrong child"))
		covered("the other record of it stands", 1)
		all, err := w.st.Doses(w.ctx, []string{id})
		w.must(err)
		for _, d := range all {
			if d.Deleted == nil {
				w.must(w.doses.Delete(w.ctx, manager, d.ID, d.Revision, "the wrong child"))
			}
		}
		covered("deleted", 0)
		record(immunization.Dose{Kind: immunization.Refused, Date: today, CVX: "03", Refusal: "00"})
		covered("refused", 0)
	})
}

// A past day has what was given and entered by its end, whatever came later, and two readings
// give the same.
func TestPastDay(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		id := w.child(born, "lakeside")
		w.told(id, mmr) // entered on 2025-01-17
		ask := func(day coldkeep.Date) coverage.Ask {
			return coverage.Ask{Measures: cis.Measures, Day: day, Ages: coverage.Ages{From: "6 months", Until: "36 months"}, Months: 2}
		}
		for day, want := range map[string]int64{"2025-01-14": 0, "2025-01-15": 0, "2025-01-16": 1, "2025-03-01": 1} {
			on, err := coldkeep.ParseDate(day)
			w.must(err)
			// 2025-01-17 00:00 UTC is the evening of the 16th in Chicago.
			r := w.assess(manager, ask(on))
			if people, valid := assessed(r, coverage.All, ""); people != 1 || valid != want {
				t.Errorf("on %s %d of %d covered, want %d", day, valid, people, want)
			}
		}
		on := coldkeep.NewDate(2025, 2, 10)
		first := w.assess(manager, ask(on))
		all, err := w.st.Doses(w.ctx, []string{id})
		w.must(err)
		w.clock.add(time.Hour)
		w.must(w.doses.Delete(w.ctx, manager, all[0].ID, all[0].Revision, "entered by mistake"))
		_, err = w.people.SetStatus(w.ctx, manager, id, "lakeside", patient.Moved, "a good reason")
		w.must(err)
		w.clock.add(time.Hour)
		if again := w.assess(manager, ask(on)); !slices.Equal(first.Counts, again.Counts) {
			t.Errorf("the same day: %+v, then %+v", first.Counts, again.Counts)
		}
		if people, _ := assessed(w.assess(manager, ask(today)), coverage.All, ""); people != 0 {
			t.Errorf("today %d people", people)
		}
		days := first.Days()
		if len(days) != 3 || days[1] != coldkeep.NewDate(2025, 1, 31) || days[2] != coldkeep.NewDate(2024, 12, 31) {
			t.Errorf("days %v", days)
		}
		_, err = w.Begin(w.ctx, manager, ask(today+1))
		w.wants(err, coldkeep.EINVALID)
	})
}

// Names are for who may see the practice's patients, of its own active patients alone, and each
// is in the trail.
func TestMissing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		covered, short, other, left, locked := w.child(born, "lakeside"), w.child(born, "lakeside"), w.child(born, "northgate"), w.child(born, "lakeside"), w.child(born, "lakeside", "northgate")
		w.told(covered, mmr)
		ask := coverage.Ask{Measures: []string{"ima-1", "4313314"}}
		mine, theirs, programme := w.assess(manager, ask), w.assess(elsewhere, ask), w.assess(state, ask)
		w.clock.add(time.Minute)
		w.grant(left)
		_, err := w.people.SetStatus(w.ctx, state, left, "lakeside", patient.Moved, "a good reason")
		w.must(err)
		w.must(w.people.Lock(w.ctx, elsewhere, locked, patient.Form{Signer: "Nora", Relation: "MTH", Signed: today - 1}))
		m, err := w.Missing(w.ctx, nurse, mine.ID, "4313314", coverage.Valid, "")
		w.must(err)
		var ids []string
		for _, p := range m.People {
			ids = append(ids, p.Patient)
			if p.Name.Family != "Okafor" || p.Doses() == 0 {
				t.Errorf("%+v", p)
			}
			var n int
			w.must(w.db.QueryRowContext(w.ctx, `SELECT COUNT(*) FROM audit WHERE who_id = 'n' AND what = 'coverage.missing' AND subject = $1`, "patient/"+p.Patient).Scan(&n))
			if n != 1 {
				t.Errorf("%d entries in the trail", n)
			}
		}
		slices.Sort(ids)
		want := []string{covered, short} // the first lacks other vaccines
		slices.Sort(want)
		if !slices.Equal(ids, want) {
			t.Errorf("%v, want %v (not %s, %s, %s)", ids, want, other, left, locked)
		}
		for i := range m.People {
			lacksMMR := slices.ContainsFunc(m.People[i].Lacks, func(l coverage.Lack) bool { return l.Part == "mmr" })
			if lacksMMR != (m.People[i].Patient == short) {
				t.Errorf("%+v", m.People[i])
			}
		}
		for _, c := range []struct {
			by   auth.Principal
			run  string
			code string
		}{{elsewhere, mine.ID, coldkeep.ENOTFOUND}, {manager, theirs.ID, coldkeep.ENOTFOUND}, {epi, mine.ID, coldkeep.EFORBIDDEN},
			{auth.Principal{ID: "v", Role: auth.VFCCoordinator}, mine.ID, coldkeep.EFORBIDDEN}, {auth.Principal{ID: "v", Role: auth.ViewOnly, Site: "lakeside"}, mine.ID, coldkeep.EFORBIDDEN},
			{state, programme.ID, coldkeep.EINVALID}, {auth.Principal{}, mine.ID, coldkeep.EUNAUTHORIZED}} {
			if _, err := w.Missing(w.ctx, c.by, c.run, "4313314", coverage.Valid, ""); coldkeep.ErrorCode(err) != c.code {
				t.Errorf("%s: %v, want %s", c.by.Role, err, c.code)
			}
		}
	})
}

// Pages of a long list have everybody once.
func TestMissingPages(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	const n = 230
	for range n {
		w.child(born, "lakeside")
	}
	r := w.assess(manager, cis)
	seen := map[string]bool{}
	pages := 0
	for after := ""; ; pages++ {
		m, err := w.Missing(w.ctx, manager, r.ID, "4313314", coverage.Counted, after)
		w.must(err)
		for _, p := range m.People {
			if seen[p.Patient] {
				t.Fatalf("%s is there twice", p.Patient)
			}
			seen[p.Patient] = true
		}
		if after = m.Next; after == "" {
			break
		}
	}
	if len(seen) != n || pages != 2 {
		t.Errorf("%d people on %d pages", len(seen), pages+1)
	}
}

// An assessment that a process left behind is begun again by another, with the same result, and
// says so; a cancelled one ends and keeps nothing.
func TestRestartAndCancel(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.told(w.child(born, "lakeside"), mmr)
		straight := w.assess(manager, cis)
		r, err := w.Begin(w.ctx, manager, cis)
		w.must(err)
		claim := func(worker string, stale time.Time) error {
			return w.st.Coverage().Tx(w.ctx, func(tx coverage.Tx) error {
				_, err := tx.ClaimCoverageRun(w.ctx, worker, time.Now(), stale, "x")
				return err
			})
		}
		w.must(claim("a process that dies", time.Now().Add(-time.Minute)))
		// As long as it was heard of lately, it is left alone.
		did, err := w.Step(w.ctx)
		w.must(err)
		if did {
			t.Fatal("another's work was taken")
		}
		w.must(w.db.Tx(w.ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(w.ctx, `UPDATE coverage_runs SET beat_at = $1 WHERE id = $2`, time.Now().Add(-time.Hour).UnixMilli(), r.ID)
			return err
		}))
		did, err = w.Step(w.ctx)
		w.must(err)
		again, err := w.Result(w.ctx, manager, r.ID)
		w.must(err)
		if !did || again.State != coverage.Done || again.Tries != 2 || !slices.Equal(again.Counts, straight.Counts) {
			t.Errorf("%v %+v", did, again)
		}
		r, err = w.Begin(w.ctx, manager, cis)
		w.must(err)
		w.wants(w.Cancel(w.ctx, elsewhere, r.ID), coldkeep.ENOTFOUND)
		w.wants(w.Cancel(w.ctx, epi, r.ID), coldkeep.EFORBIDDEN)
		w.must(claim("w", time.Time{}))
		w.must(w.Cancel(w.ctx, nurse, r.ID))
		w.wants(w.st.Coverage().Tx(w.ctx, func(tx coverage.Tx) error { return tx.BeatCoverageRun(w.ctx, r.ID, "w", time.Now(), 1, 2) }), coldkeep.ECONFLICT)
		w.wants(w.st.Coverage().Tx(w.ctx, func(tx coverage.Tx) error {
			return tx.EndCoverageRun(w.ctx, r.ID, "w", coverage.Done, time.Now(), "", 1, straight.Counts)
		}), coldkeep.ECONFLICT)
		out, err := w.Result(w.ctx, manager, r.ID)
		w.must(err)
		if out.State != coverage.Cancelled || out.EndedBy != "Marcus" || len(out.Counts) > 0 {
			t.Errorf("%+v", out)
		}
		w.wants(w.Cancel(w.ctx, nurse, r.ID), coldkeep.ECONFLICT)
		for i := range 4 {
			_, err := w.Begin(w.ctx, manager, cis)
			if want := map[bool]string{true: coldkeep.ETOOMANY}[i == 3]; coldkeep.ErrorCode(err) != want {
				t.Errorf("%d waiting: %v", i, err)
			}
		}
	})
}

// A measure of the programme's own has versions, and results keep the one they were made with.
func TestOwnMeasures(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.told(w.child(born, "lakeside"), mmr)
		m := coverage.Measure{ID: "county-mmr", Title: "MMR", About: "One MMR.", Source: "The county", Who: coverage.Ages{From: "12 months", Until: "5 years"},
			Parts: []coverage.Part{{ID: "mmr", Title: "MMR", Antigens: []string{"Measles"}, Ways: []coverage.Way{{Doses: 1}}, Source: "The county"}}}
		_, err := w.AddMeasure(w.ctx, manager, m)
		w.wants(err, coldkeep.EFORBIDDEN)
		taken := m
		taken.ID = "cis-3"
		_, err = w.AddMeasure(w.ctx, state, taken)
		w.wants(err, coldkeep.ECONFLICT)
		_, err = w.AddMeasure(w.ctx, state, m)
		w.must(err)
		ask := coverage.Ask{Measures: []string{"county-mmr"}}
		one := w.assess(manager, ask)
		m.Parts[0].Ways[0].Doses = 2
		k, err := w.AddMeasure(w.ctx, state, m)
		w.must(err)
		two := w.assess(manager, ask)
		if k.Version != 2 || one.Asked.Measures[0].Version != 1 || one.Asked.Measures[0].Parts[0].Ways[0].Doses != 1 || two.Asked.Measures[0].Version != 2 {
			t.Errorf("%+v\n%+v", one.Asked, two.Asked)
		}
		if _, valid := assessed(one, coverage.All, ""); valid != 1 {
			t.Errorf("%d of version 1", valid)
		}
		if _, valid := assessed(two, coverage.All, ""); valid != 0 {
			t.Errorf("%d of version 2", valid)
		}
		w.must(w.RetireMeasure(w.ctx, state, "county-mmr"))
		w.wants(w.RetireMeasure(w.ctx, state, "county-mmr"), coldkeep.ENOTFOUND)
		_, err = w.Begin(w.ctx, manager, ask)
		w.wants(err, coldkeep.ENOTFOUND)
		_, err = w.Result(w.ctx, manager, one.ID)
		w.must(err)
		for _, bad := range []func(*coverage.Measure){
			func(m *coverage.Measure) { m.ID = "Not An Id" },
			func(m *coverage.Measure) { m.Source = "" },
			func(m *coverage.Measure) { m.Who.Until = "12 months" },
			func(m *coverage.Measure) { m.Parts = nil },
			func(m *coverage.Measure) { m.Parts[0].Antigens = []string{"Plague"} },
			func(m *coverage.Measure) { m.Parts[0].From = "a while" },
			func(m *coverage.Measure) { m.Parts[0].Season = "02-30" },
			func(m *coverage.Measure) { m.Parts[0].CVX = []string{"4711"} },
			func(m *coverage.Measure) { m.Parts[0].Ways[0].Doses = 0 },
			func(m *coverage.Measure) { m.Parts[0].Ways[0].Apart, m.Parts[0].Ways[0].Doses = "28 days", 1 },
			func(m *coverage.Measure) { m.By, m.Parts[0].Complete = "24 months", true },
			func(m *coverage.Measure) { m.Parts[0].Ways[0].FirstN, m.Parts[0].Ways[0].First = 1, []string{"49"} },
		} {
			x := m
			x.Parts = []coverage.Part{m.Parts[0]}
			x.Parts[0].Ways = []coverage.Way{{Doses: 2}}
			bad(&x)
			_, err := w.AddMeasure(w.ctx, state, x)
			w.wants(err, coldkeep.EINVALID)
		}
	})
}

// A practice sees the programme's rate beside its own, of the same definition and ages.
func TestBenchmark(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	for i := range 20 {
		id := w.child(born, "northgate")
		if i < 15 {
			w.told(id, mmr)
		}
	}
	w.child(born, "lakeside")
	kind := coverage.Ask{Measures: []string{"cis-3"}}
	if r := w.assess(manager, kind); len(r.Benchmarks) != 0 {
		t.Errorf("%+v", r.Benchmarks)
	}
	programme := w.assess(state, kind)
	r := w.assess(manager, kind)
	if b, ok := r.Benchmarks["cis-3"]; !ok || b.Run != programme.ID || b.Day != today {
		t.Errorf("%+v", r.Benchmarks)
	}
	kind.Ages = coverage.Ages{From: "1 year", Until: "3 years"}
	if r := w.assess(manager, kind); len(r.Benchmarks) != 0 {
		t.Errorf("other ages: %+v", r.Benchmarks)
	}
}

// To who may not see patients small numbers are not told.
func TestEpidemiologySeesNoFew(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	for i := range 25 {
		id := w.child(born, "lakeside")
		if i < 22 {
			w.told(id, mmr)
		}
	}
	w.child(born, "northgate")
	r := w.assess(state, cis)
	if r.Threshold != 0 {
		t.Error("the state's own staff see patients")
	}
	seen, err := w.Result(w.ctx, epi, r.ID)
	w.must(err)
	if seen.Threshold != 11 || seen.Names {
		t.Errorf("%+v", seen.Run)
	}
	for _, c := range seen.Counts {
		if c.Part != "mmr" {
			continue
		}
		switch {
		case c.Dim == coverage.All && (c.People != 26 || c.Valid != coverage.Withheld): // 22, and 4 not
			t.Errorf("%+v", c)
		case c.Dim == coverage.ByPractice && c.People != coverage.Withheld: // northgate has one, lakeside would tell
			t.Errorf("%+v", c)
		}
	}
	w.wants(w.SetSmallest(w.ctx, epi, 5, "we want more"), coldkeep.EFORBIDDEN)
	w.wants(w.SetSmallest(w.ctx, state, 4, "we want more"), coldkeep.EINVALID)
	w.wants(w.SetSmallest(w.ctx, state, 5, " "), coldkeep.EINVALID)
	w.must(w.SetSmallest(w.ctx, state, 30, "a small state"))
	seen, err = w.Result(w.ctx, epi, r.ID)
	w.must(err)
	if seen.Threshold != 30 || slices.ContainsFunc(seen.Counts, func(c coverage.Count) bool { return c.People > 0 }) {
		t.Errorf("%+v", seen.Counts)
	}
}

// Over a simulated population the assessment agrees with the second way to the counts, reading
// the same people in another order and batch.
func TestSimulated(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		p, err := simulate.New(simulate.Config{Seed: 7, Patients: 600, Practices: 3, Duplicates: 0.04, Today: today})
		w.must(err)
		_, err = fill.Fill(w.ctx, w.st, p, noon, nil)
		w.must(err)
		_, err = w.db.ExecContext(w.ctx, `UPDATE doses SET non_viable = 'test' WHERE id LIKE '%7'`)
		w.must(err)
		heads, err := w.st.Coverage().CoverageHeads(w.ctx, coldkeep.NewDate(1900, 1, 1), today, coverage.Head{}, 100_000)
		w.must(err)
		var ids []string
		for _, h := range heads {
			ids = append(ids, h.ID)
		}
		people, err := w.st.Coverage().CoveragePeople(w.ctx, ids)
		w.must(err)
		if len(people) != len(heads) || len(heads) < 400 {
			t.Fatalf("%d people of %d", len(people), len(heads))
		}
		all := []string{"4313314", "4313314-24", "cis-10", "teen", "ima-2", "influenza", "adult", "adult-65", "il-kindergarten", "il-grade-6"}
		for _, ask := range []coverage.Ask{{Measures: all}, {Measures: all, Basis: coverage.ByService, Day: today - 200},
			{Measures: []string{"cis-7", "teen"}, Ages: coverage.Ages{From: "2 years", Until: "18 years"}, Months: 2}} {
			r := w.assess(state, ask)
			if d := coverage.DifferFromNaive(&r.Run, r.Counts, people); d != "" {
				t.Errorf("%+v: %s", ask, d)
			}
			sites, err := w.st.Sites(w.ctx)
			w.must(err)
			ask.Site = sites[slices.IndexFunc(sites, func(s coldkeep.Site) bool { return s.ID != "lakeside" && s.ID != "northgate" })].ID
			r = w.assess(state, ask)
			if d := coverage.DifferFromNaive(&r.Run, r.Counts, people); d != "" {
				t.Errorf("%+v: %s", ask, d)
			}
			if r.Done == 0 {
				t.Error(fmt.Sprint("nobody was looked at: ", ask))
			}
		}
	})
}
