package vis_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
	"github.com/coldkeep/coldkeep/registry/vaccine"
	"github.com/coldkeep/coldkeep/registry/vaccine/barcode"
	"github.com/coldkeep/coldkeep/registry/vis"
)

var (
	noon    = time.Date(2026, 3, 2, 18, 0, 0, 0, time.UTC)
	today   = coldkeep.NewDate(2026, 3, 2)
	admin   = auth.Principal{ID: "a", Name: "Ann", Role: auth.StateAdmin}
	epi     = auth.Principal{ID: "e", Name: "Eve", Role: auth.StateEpi}
	manager = auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
	nurse   = auth.Principal{ID: "n", Name: "Marcus", Role: auth.Nurse, Site: "lakeside"}
	other   = auth.Principal{ID: "o", Name: "Ines", Role: auth.Nurse, Site: "northgate"}
)

type clock struct{ coldkeep.RealClock }

func (clock) Now() time.Time { return noon }

type fixed struct{ e *forecast.Engine }

func (f fixed) Engine() *forecast.Engine { return f.e }

var engine = sync.OnceValue(func() *forecast.Engine { return forecast.New(forecast.Builtin()) })

type world struct {
	t     testing.TB
	ctx   context.Context
	st    *store.Store
	doses *immunization.Service
	*vis.Service
}

func open(t testing.TB, where string) *world {
	t.Helper()
	st, err := store.Open(t.Context(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ctx: t.Context(), st: st, doses: immunization.New(st.Immunizations(), fixed{engine()}, vaccine.Builtin(), clock{}), Service: vis.New(st.VIS(), vaccine.Builtin(), clock{})}
	w.doses.CheckStatements(w.Service)
	log := templog.New(st.Templog(), clock{})
	for _, site := range []coldkeep.SiteID{"lakeside", "northgate"} {
		w.must(log.AddSite(w.ctx, auth.System("Test"), coldkeep.Site{ID: site, Name: string(site), TimeZone: "America/Chicago"}))
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

func (w *world) child() string {
	w.t.Helper()
	p := patient.Patient{ID: ulid.Make().String(), Birth: coldkeep.NewDate(2025, 9, 1), Sex: patient.Female, Revision: 1, CreatedAt: noon, UpdatedAt: noon,
		Names:    []patient.Name{{Family: "Okafor", Given: "Ada", Kind: patient.Legal, Span: patient.Span{Seq: 1}}},
		Statuses: []patient.Status{{Site: "lakeside", Standing: patient.Active, Since: noon, By: "Test", Span: patient.Span{Seq: 1}}}}
	p.Head = p.ID
	w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error { return tx.InsertPatient(w.ctx, p) }))
	return p.ID
}

// give records a dose with statements.
func (w *world) give(id, cvx string, on coldkeep.Date, handed ...immunization.VIS) immunization.Dose {
	w.t.Helper()
	d, err := w.doses.Record(w.ctx, nurse, dose(id, cvx, on, handed...), immunization.Confirm{Yes: true, Why: "It was given."})
	w.must(err)
	return d
}

func dose(id, cvx string, on coldkeep.Date, handed ...immunization.VIS) immunization.Dose {
	return immunization.Dose{Patient: id, Kind: immunization.Administered, Date: on, CVX: cvx, MVX: "MSD", Lot: "L1", Site: "lakeside", Eligibility: "V02", GivenBy: "Marcus, RN", VIS: handed}
}

func of(st vis.Statement, given coldkeep.Date) immunization.VIS {
	return immunization.VIS{Document: st.Code, Edition: st.Edition, Given: given, Language: "spa"}
}

func TestTheEditionsOfTheCodeSets(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	all, err := w.List(w.ctx, nurse)
	w.must(err)
	current := 0
	for _, st := range all {
		// Every code is one that a scanner gives; those of old emergency fact sheets carry another
		// date, so that codes are looked up and never made.
		if got, err := barcode.Statement("]d2" + st.Code[:16] + "\x1d" + st.Code[16:]); err != nil || got != st.Code {
			t.Errorf("%s: %q, %v", st.Name, got, err)
		}
		if st.Current {
			current++
			if st.Address == "" || st.Language("eng") == nil || len(st.CVX) == 0 {
				t.Errorf("%+v", st)
			}
		}
	}
	if len(all) != 174 || current != 34 {
		t.Errorf("%d editions, %d current", len(all), current)
	}
	_, err = w.List(w.ctx, auth.Principal{ID: "x", Role: auth.Auditor})
	w.wants(err, coldkeep.EFORBIDDEN)
	_, err = w.Get(w.ctx, nurse, "1")
	w.wants(err, coldkeep.ENOTFOUND)
}

// Which statements belong to a dose: each of a combination's, or the one for several.
func TestStatementsOfADose(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	for cvx, want := range map[string][]string{
		"03":  {"MMR Vaccine (Measles, Mumps, and Rubella)"},
		"94":  {"MMRV Vaccine (Measles, Mumps, Rubella, and Varicella)"},
		"130": {"DTaP (Diphtheria, Tetanus, Pertussis) Vaccine", "Polio Vaccine", "+Multi Pediatric Vaccines"},
		"146": {"DTaP (Diphtheria, Tetanus, Pertussis) Vaccine", "Haemophilus Influenzae type b (Hib) Vaccine", "Hepatitis B Vaccine", "Polio Vaccine", "+Multi Pediatric Vaccines"},
		"316": {"Meningococcal ACWY Vaccine", "Meningococcal B Vaccine"},
		"317": nil, // chikungunya has none in this table
	} {
		c, err := w.For(w.ctx, nurse, cvx)
		w.must(err)
		var got, codes []string
		for _, st := range c.Each {
			got, codes = append(got, st.Name), append(codes, st.Code)
		}
		for _, st := range c.Several {
			got = append(got, "+"+st.Name)
			if !c.Covers([]string{st.Code}) {
				t.Errorf("%s: the statement for several does not cover", cvx)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", cvx, got, want)
		}
		if !c.Covers(codes) || len(codes) > 1 && c.Covers(codes[1:]) {
			t.Errorf("%s: what covers it", cvx)
		}
	}
}

func TestANewEditionFollowsTheOld(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		old := w.current("03")
		e := vis.Edition{Code: old.Code[:18] + "260201", Name: "MMR Vaccine", Edition: coldkeep.NewDate(2026, 2, 1), CVX: []string{"3", "03"}, Why: "CDC, 1 February"}
		_, err := w.AddEdition(w.ctx, manager, e)
		w.wants(err, coldkeep.EFORBIDDEN)
		for _, bad := range []func(*vis.Edition){func(e *vis.Edition) { e.Code = "253" }, func(e *vis.Edition) { e.Code = strings.Replace(e.Code, "2530886983000127", "2530886983000128", 1) }, func(e *vis.Edition) { e.Name = "" }, func(e *vis.Edition) { e.Edition = 0 },
			func(e *vis.Edition) { e.CVX = nil }, func(e *vis.Edition) { e.CVX = []string{"9999"} }} {
			b := e
			b.CVX = slices.Clone(e.CVX)
			bad(&b)
			_, err := w.AddEdition(w.ctx, admin, b)
			w.wants(err, coldkeep.EINVALID)
		}
		st, err := w.AddEdition(w.ctx, admin, e)
		w.must(err)
		if !st.Current || !st.Added || st.By != "Ann" || w.current("03").Code != st.Code {
			t.Errorf("%+v", st)
		}
		was, err := w.Get(w.ctx, nurse, old.Code)
		w.must(err)
		if was.Current || was.Name != old.Name {
			t.Errorf("%+v", was)
		}
		_, err = w.AddEdition(w.ctx, admin, e)
		w.wants(err, coldkeep.ECONFLICT)
		e.Code, e.Edition = old.Code[:18]+"260101", coldkeep.NewDate(2026, 1, 1)
		_, err = w.AddEdition(w.ctx, admin, e)
		w.wants(err, coldkeep.ECONFLICT) // older than the current one
		// The word of the programme can be taken back, with a reason.
		w.wants(w.SetCurrent(w.ctx, admin, st.Code, false, ""), coldkeep.EINVALID)
		w.wants(w.SetCurrent(w.ctx, nurse, st.Code, false, "x"), coldkeep.EFORBIDDEN)
		w.must(w.SetCurrent(w.ctx, admin, st.Code, false, "withdrawn by CDC"))
		w.must(w.SetCurrent(w.ctx, admin, old.Code, true, "stands again"))
		if w.current("03").Code != old.Code {
			t.Error("the old edition does not stand again")
		}
	})
}

// before is the edition before one.
func before(all []vis.Statement, now vis.Statement) (old vis.Statement) {
	for _, st := range all {
		if st.Document() == now.Document() && st.Edition < now.Edition && st.Edition > old.Edition {
			old = st
		}
	}
	return old
}

// current is the one current statement of a vaccine.
func (w *world) current(cvx string) vis.Statement {
	w.t.Helper()
	c, err := w.For(w.ctx, nurse, cvx)
	w.must(err)
	if len(c.Each) != 1 {
		w.t.Fatalf("%d statements of CVX %s", len(c.Each), cvx)
	}
	return c.Each[0]
}

func TestTextsInLanguages(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		st := w.current("03")
		file := append([]byte("%PDF-1.7\n"), 0, 1, 2)
		text := vis.Text{Code: st.Code, Language: "spa", Content: file, Why: "immunize.org"}
		w.wants(w.AddText(w.ctx, manager, text), coldkeep.EFORBIDDEN)
		for _, bad := range []func(*vis.Text){func(t *vis.Text) { t.Language = "xxx" }, func(t *vis.Text) { t.Content = nil }, func(t *vis.Text) { t.Address = "https://example.org/x" }, func(t *vis.Text) { t.Content = []byte{0xff, 0} },
			func(t *vis.Text) { t.Content, t.Address = nil, "http://example.org" }, func(t *vis.Text) { t.Content, t.Address = nil, "javascript:alert(1)" }, func(t *vis.Text) { t.Content = make([]byte, vis.MaxText+1) }} {
			b := text
			bad(&b)
			w.wants(w.AddText(w.ctx, admin, b), coldkeep.EINVALID)
		}
		b := text
		b.Code = "none"
		w.wants(w.AddText(w.ctx, admin, b), coldkeep.ENOTFOUND)
		w.must(w.AddText(w.ctx, admin, text))
		w.must(w.AddText(w.ctx, admin, vis.Text{Code: st.Code, Language: "pol", Content: []byte("Szczepionka\nMMR")}))
		w.must(w.AddText(w.ctx, admin, vis.Text{Code: st.Code, Language: "vie", Address: "https://www.immunize.org/mmr.pdf"}))
		got, err := w.Open(w.ctx, nurse, st.Code, "spa")
		w.must(err)
		if string(got.Content) != string(file) || got.Media != "application/pdf" || got.Size != int64(len(file)) || len(got.SHA256) != 64 {
			t.Errorf("%+v", got)
		}
		if got, err = w.Open(w.ctx, nurse, st.Code, "pol"); err != nil || !strings.HasPrefix(got.Media, "text/plain") {
			t.Errorf("%v %+v", err, got)
		}
		if got, err = w.Open(w.ctx, nurse, st.Code, "eng"); err != nil || !got.Builtin || !strings.HasPrefix(got.Address, "https://www.cdc.gov/") {
			t.Errorf("%v %+v", err, got)
		}
		st = w.current("03")
		var languages []string
		for _, x := range st.Texts {
			languages = append(languages, x.Language)
		}
		if !slices.Equal(languages, []string{"eng", "pol", "spa", "vie"}) {
			t.Errorf("%v", languages)
		}
		// A newer file stands for the one before, which is kept; one may be withdrawn.
		text.Content = []byte("%PDF-1.7 again")
		w.must(w.AddText(w.ctx, admin, text))
		w.wants(w.WithdrawText(w.ctx, admin, st.Code, "spa", ""), coldkeep.EINVALID)
		w.wants(w.WithdrawText(w.ctx, admin, st.Code, "eng", "x"), coldkeep.ENOTFOUND)
		w.must(w.WithdrawText(w.ctx, admin, st.Code, "spa", "a mistake on page 2"))
		_, err = w.Open(w.ctx, nurse, st.Code, "spa")
		w.wants(err, coldkeep.ENOTFOUND)
		all, err := w.TextsOf(w.ctx, admin, st.Code)
		w.must(err)
		if len(all) != 5 || !all[0].Withdrawn {
			t.Errorf("%d texts kept", len(all))
		}
	})
}

// A statement that had been replaced by the day it was handed over is a warning that has to
// be read.
func TestAnOutdatedEditionWarns(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	id := w.child()
	all, err := w.List(w.ctx, nurse)
	w.must(err)
	now := w.current("03")
	old := before(all, now)
	_, err = w.doses.Record(w.ctx, nurse, dose(id, "03", today, of(old, today)), immunization.Confirm{})
	w.wants(err, coldkeep.ECONFLICT)
	if !strings.Contains(err.Error(), "outdated") {
		t.Fatal(err)
	}
	// On the day before the newer edition it was right.
	said, err := w.Check(w.ctx, []immunization.VIS{{Document: old.Code, Edition: old.Edition, Given: now.Edition - 1}, {Document: "something else", Edition: 1, Given: today}, of(now, today)})
	if err != nil || len(said) != 0 {
		t.Errorf("%v %v", said, err)
	}
	if said, _ = w.Check(w.ctx, []immunization.VIS{{Document: old.Code, Edition: old.Edition, Given: now.Edition}}); len(said) != 1 {
		t.Errorf("%v", said)
	}
}

func TestWhatWasHandedOver(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		id := w.child()
		now := w.current("03")
		all, err := w.List(w.ctx, nurse)
		w.must(err)
		old := before(all, now)
		polio := w.current("10")
		w.give(id, "03", today-30, of(old, today-30))
		w.give(id, "130", today-20, of(polio, today-20))
		w.give(id, "21", today-10)
		w.give(id, "48", today-5, of(w.current("48"), today-4))
		w.give(id, "133", today-1, of(w.current("133"), today-1))
		handed, without, err := w.HandedOver(w.ctx, nurse, id)
		w.must(err)
		if len(handed) != 4 || len(without) != 1 || without[0].CVX != "21" || handed[3].Newer == nil || handed[3].Newer.Code != now.Code || handed[0].Newer != nil || handed[0].Language != "spa" {
			t.Errorf("%+v\n%+v", handed, without)
		}
		_, _, err = w.HandedOver(w.ctx, other, id)
		w.wants(err, coldkeep.EFORBIDDEN)

		r, err := w.Report(w.ctx, manager, "", today-60, today)
		w.must(err)
		if r.Total != (vis.Line{Doses: 5, Without: 1, Part: 1, Outdated: 1, After: 1}) || len(r.Lines) != 5 || len(r.Doses) != 4 {
			t.Errorf("%+v", r)
		}
		r, err = w.Report(w.ctx, epi, "lakeside", today-60, today)
		w.must(err)
		if r.Total.Doses != 5 || len(r.Doses) != 0 {
			t.Errorf("epidemiology sees doses of patients: %+v", r)
		}
		_, err = w.Report(w.ctx, nurse, "", today-60, today)
		w.wants(err, coldkeep.EFORBIDDEN)
		_, err = w.Report(w.ctx, manager, "northgate", today-60, today)
		w.wants(err, coldkeep.EFORBIDDEN)
		for _, days := range [][2]coldkeep.Date{{0, today}, {today, today - 1}, {today - 366, today}} {
			_, err = w.Report(w.ctx, manager, "", days[0], days[1])
			w.wants(err, coldkeep.EINVALID)
		}
		_, err = w.Report(w.ctx, admin, "", today-1, today)
		w.wants(err, coldkeep.EINVALID)

		// Who has opted out is counted by the site that locked the record, and by no other.
		lock := func(at coldkeep.SiteID) {
			w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error {
				return tx.InsertLock(w.ctx, patient.LockRecord{ID: ulid.Make().String(), Patient: id, Lock: patient.Lock{Site: at, By: "Test", At: noon, Form: "signed"}})
			}))
		}
		lock("lakeside")
		if r, err = w.Report(w.ctx, manager, "", today-60, today); err != nil || r.Total.Doses != 5 {
			t.Errorf("%v, %d doses", err, r.Total.Doses)
		}
		w.must(w.st.Patients().Tx(w.ctx, func(tx patient.Tx) error { return tx.EndLocks(w.ctx, []string{id}, "Test", "signed", noon) }))
		lock("northgate")
		if r, err = w.Report(w.ctx, manager, "", today-60, today); err != nil || r.Total.Doses != 0 {
			t.Errorf("%v, %d doses of who is locked elsewhere", err, r.Total.Doses)
		}
		_, _, err = w.HandedOver(w.ctx, nurse, id)
		if !patient.IsLocked(err) {
			t.Errorf("locked: %v", err)
		}
	})
}
