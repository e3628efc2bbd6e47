package quality_test

import (
	"context"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/quality"
	"github.com/coldkeep/coldkeep/registry/simulate"
	"github.com/coldkeep/coldkeep/registry/simulate/fill"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

var now = time.Date(2026, 9, 1, 15, 0, 0, 0, time.UTC)

type stopped struct{ coldkeep.RealClock }

func (stopped) Now() time.Time { return now }

var (
	state   = auth.Principal{ID: "s", Name: "State", Role: auth.StateAdmin}
	manager = auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
)

func each(t *testing.T, test func(t *testing.T, s *store.Store, q *quality.Service)) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, err := store.Open(t.Context(), databasetest.Open(t, where))
		if err != nil {
			t.Fatal(err)
		}
		test(t, s, quality.New(s.Quality(), vaccine.Builtin(), stopped{}))
	})
}

// One record with every fault, one with none, one that is locked: each fault is counted
// once, where and when it was entered.
func TestEveryFaultIsCountedWhereItWasEntered(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, q *quality.Service) {
		ctx := t.Context()
		if r, err := q.Report(ctx, state, ""); err != nil || r.Walk != nil || len(r.Total) != 0 {
			t.Errorf("before the first walk: %+v, %v", r, err)
		}
		entered := now.AddDate(0, -1, 0)
		bad := patient.Patient{ID: "A", Head: "A", Birth: coldkeep.NewDate(2024, 3, 1), Sex: patient.UnknownSex, Revision: 1, CreatedBy: "lakeside", CreatedAt: entered, UpdatedAt: entered}
		good := bad
		good.ID, good.Head, good.Sex, good.Races, good.Ethnicity, good.Mother, good.CreatedBy = "B", "B", patient.Female, []string{"2106-3"}, "2186-5", "Okafor", "northgate"
		good.Contacts = []patient.Contact{{Kind: patient.Cell, Value: "2175550133", Span: patient.Span{Seq: 1}}}
		good.Addresses = []patient.Address{{Street: "12 Elm St", Kind: "H", Span: patient.Span{Seq: 1}}}
		good.Guardians = []patient.Guardian{{Family: "Brandt", Given: "Nora", Relation: "MTH", Span: patient.Span{Seq: 1}}}
		locked := bad
		locked.ID, locked.Head = "C", "C"
		dose := func(id, of string, change func(*immunization.Dose)) immunization.Dose {
			d := immunization.Dose{ID: id, Patient: of, Kind: immunization.Administered, Date: coldkeep.DateOf(entered), CVX: "140", MVX: "PMC", Lot: "L1", Eligibility: "V02",
				Site: "lakeside", EnteredSite: "lakeside", EnteredAt: entered, Revision: 1}
			change(&d)
			return d
		}
		if err := s.Load(ctx, func(tx store.LoadTx) error {
			for _, id := range []coldkeep.SiteID{"lakeside", "northgate"} {
				if err := tx.InsertSite(ctx, coldkeep.Site{ID: id, Name: string(id), TimeZone: "UTC"}); err != nil {
					return err
				}
			}
			for _, p := range []patient.Patient{bad, good, locked} {
				if err := tx.InsertPatient(ctx, p); err != nil {
					return err
				}
			}
			for _, d := range []immunization.Dose{
				dose("1", "B", func(d *immunization.Dose) { d.EnteredAt = entered.AddDate(0, 0, 5) }),
				dose("2", "A", func(d *immunization.Dose) { d.Date += 10 }),
				dose("3", "A", func(d *immunization.Dose) { d.Date = bad.Birth - 1; d.CVX = "9999"; d.Kind = immunization.Historical }),
				dose("4", "A", func(d *immunization.Dose) { d.MVX, d.Lot, d.Eligibility, d.CVX = "", "", "", "88" }),
				dose("5", "A", func(d *immunization.Dose) { d.Expires = d.Date - 1 }),
				dose("6", "A", func(d *immunization.Dose) { d.Kind = immunization.Refused }),
				dose("7", "A", func(d *immunization.Dose) { d.Deleted = &immunization.Deletion{By: "x", At: entered, Reason: "y"} }),
				dose("8", "C", func(d *immunization.Dose) { d.CVX = "9999" }),
			} {
				if err := tx.InsertDose(ctx, d); err != nil {
					return err
				}
			}
			return tx.InsertLock(ctx, patient.LockRecord{ID: "l", Patient: "C", Lock: patient.Lock{Site: "lakeside", By: "Ines", At: entered, Form: "f"}})
		}); err != nil {
			t.Fatal(err)
		}
		if due, err := q.Due(ctx); err != nil || !due {
			t.Errorf("due %v, %v", due, err)
		}
		w, err := q.Count(ctx)
		if err != nil || w.Patients != 3 || w.Doses != 8 {
			t.Fatalf("%+v, %v", w, err)
		}
		if due, err := q.Due(ctx); err != nil || due {
			t.Errorf("due again %v, %v", due, err)
		}
		r, err := q.Report(ctx, state, "")
		if err != nil || r.Walk == nil || !r.Walk.Ended.Equal(now) {
			t.Fatalf("%+v, %v", r, err)
		}
		want := quality.Counts{quality.Patients: 2, quality.NoPhone: 1, quality.NoAddress: 1, quality.NoRace: 1, quality.NoEthnicity: 1, quality.UnknownSex: 1,
			quality.Children: 2, quality.NoGuardian: 1, quality.NoMother: 1,
			quality.Doses: 5, quality.Given: 4, quality.WithinDay: 3, quality.WithinWeek: 4, quality.WithinMonth: 4, quality.DaysToEntry: 5,
			quality.FutureDose: 1, quality.BeforeBirth: 1, quality.UnknownVaccine: 1, quality.NoLot: 1, quality.NoMaker: 1, quality.NoEligibility: 1,
			quality.UnknownLot: 3, quality.ExpiredLot: 1, quality.UnspecifiedCVX: 1, quality.InactiveVaccine: r.Total[quality.InactiveVaccine]}
		for _, m := range measures() {
			if r.Total[m] != want[m] {
				t.Errorf("%s: %d, want %d", m, r.Total[m], want[m])
			}
		}
		if len(r.BySite) != 2 || r.BySite[0].Site != "lakeside" || len(r.ByPeriod) != 1 || r.ByPeriod[0].Period != "2026-08" {
			t.Errorf("%+v %+v", r.BySite, r.ByPeriod)
		}
		// A practice sees its own, whatever it asks for.
		if r, err := q.Report(ctx, manager, ""); err != nil || r.Site != "lakeside" || r.Total[quality.Patients] != 1 || len(r.BySite) != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		if _, err := q.Report(ctx, manager, "northgate"); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
			t.Errorf("another practice's: %v", err)
		}
		for _, role := range []auth.Role{auth.Nurse, auth.FrontDesk, auth.School, auth.VFCCoordinator, auth.Auditor} {
			if _, err := q.Report(ctx, auth.Principal{ID: "x", Role: role}, ""); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
				t.Errorf("%s: %v", role, err)
			}
		}
	})
}

func measures() (all []quality.Measure) {
	seen := map[quality.Measure]bool{}
	for _, l := range quality.Lines {
		for _, m := range []quality.Measure{l.Measure, l.Of} {
			if !seen[m] {
				seen[m] = true
				all = append(all, m)
			}
		}
	}
	return append(all, quality.DaysToEntry)
}

// A walk in steps comes to the sums that the population has.
func TestTheWalkMissesNobody(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, q *quality.Service) {
		ctx := context.WithoutCancel(t.Context())
		p, err := simulate.New(simulate.Config{Seed: 4, Patients: 4100, Today: coldkeep.DateOf(now)})
		if err != nil {
			t.Fatal(err)
		}
		n, err := fill.Fill(ctx, s, p, now, nil)
		if err != nil {
			t.Fatal(err)
		}
		w, err := q.Count(ctx)
		if err != nil || w.Patients != int64(n.Patients) || w.Doses != int64(n.Doses) {
			t.Fatalf("walked %+v, filled %+v, %v", w, n, err)
		}
		r, err := q.Report(ctx, state, "")
		if err != nil || r.Total[quality.Patients] < w.Patients*98/100 || r.Total[quality.BeforeBirth] != 0 || r.Total[quality.FutureDose] != 0 || r.Total[quality.UnknownVaccine] != 0 {
			t.Errorf("%v, %v", r.Total, err)
		}
		if days, ok := r.Total.MeanDays(); !ok || days <= 0 || days > 30 {
			t.Errorf("%.1f days, %v", days, ok)
		}
		if len(r.ByPeriod) < 24 {
			t.Errorf("%d periods", len(r.ByPeriod))
		}
	})
}
