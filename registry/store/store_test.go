package store_test

import (
	"context"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// each runs a test on an empty store of each engine.
func each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, err := store.Open(t.Context(), databasetest.Open(t, where))
		if err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
}

func inTemplog(t *testing.T, s *store.Store, do func(templog.Tx) error) {
	t.Helper()
	if err := s.Templog().Tx(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}

// withUnit adds a site and a unit.
func withUnit(t *testing.T, s *store.Store) {
	t.Helper()
	ctx := t.Context()
	inTemplog(t, s, func(tx templog.Tx) error {
		if err := tx.InsertSite(ctx, coldkeep.Site{ID: "lakeside", Name: "Lakeside", TimeZone: "America/Chicago"}); err != nil {
			return err
		}
		return tx.InsertAppliance(ctx, coldkeep.Appliance{ID: "fridge", Site: "lakeside", Name: "Fridge", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true})
	})
}

func TestTakenNamesAreConflicts(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		withUnit(t, s)
		person := auth.Person{ID: "1", Name: "A", Username: "a", Role: auth.Nurse, Site: "lakeside", CreatedAt: noon}
		for name, insert := range map[string]func() error{
			"site": func() error {
				return s.Templog().Tx(ctx, func(tx templog.Tx) error { return tx.InsertSite(ctx, coldkeep.Site{ID: "lakeside"}) })
			},
			"unit": func() error {
				return s.Templog().Tx(ctx, func(tx templog.Tx) error {
					return tx.InsertAppliance(ctx, coldkeep.Appliance{ID: "fridge", Site: "lakeside"})
				})
			},
			"username": func() error {
				return s.Auth().Tx(ctx, func(tx auth.Tx) error {
					if err := tx.InsertPerson(ctx, person); err != nil {
						return err
					}
					person.ID = "2"
					return tx.InsertPerson(ctx, person)
				})
			},
		} {
			if err := insert(); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
				t.Errorf("%s taken twice: %v", name, err)
			}
		}
		if n, err := s.CountPeople(ctx); err != nil || n != 0 {
			t.Errorf("people after a transaction that failed: %d, %v", n, err)
		}
	})
}

func TestMirrorChangedOnlyAfterCommit(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		before, err := s.MirrorRevision(ctx)
		if err != nil {
			t.Fatal(err)
		}
		changed := s.MirrorChanged()
		err = s.Templog().Tx(ctx, func(tx templog.Tx) error {
			if _, err := tx.BumpMirror(ctx); err != nil {
				return err
			}
			return coldkeep.Errorf(coldkeep.EINVALID, "given up")
		})
		if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Fatal(err)
		}
		select {
		case <-changed:
			t.Fatal("woken by a transaction that was given up")
		default:
		}
		inTemplog(t, s, func(tx templog.Tx) error { _, err := tx.BumpMirror(ctx); return err })
		<-changed
		if after, err := s.MirrorRevision(ctx); err != nil || after != before+1 {
			t.Fatalf("revision %d after %d, %v", after, before, err)
		}
	})
}

func TestIntervalRevisions(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		withUnit(t, s)
		minAt := noon.Add(3*time.Minute + 123*time.Millisecond)
		i := coldkeep.Interval{Appliance: "fridge", Probe: "lakeside/pi-1/p", From: noon, To: noon.Add(15 * time.Minute),
			Min: 2100, MinAt: &minAt, Max: 4312, MaxAt: &minAt, Mean: 3000, Readings: 15, GapSec: 12, Revision: 1}
		empty := i
		empty.Min, empty.Max, empty.Mean, empty.MinAt, empty.MaxAt, empty.Readings, empty.Revision = coldkeep.NoTemperature, coldkeep.NoTemperature, coldkeep.NoTemperature, nil, nil, 0, 3
		second := i
		second.Revision, second.Max = 2, 5000
		put := func(i coldkeep.Interval) (isNew bool, err error) {
			err = s.Templog().Tx(ctx, func(tx templog.Tx) error {
				isNew, err = tx.PutInterval(ctx, i, noon)
				return err
			})
			return isNew, err
		}
		for n, row := range []struct {
			in    coldkeep.Interval
			isNew bool
			code  string
			shown coldkeep.Interval
		}{
			{in: i, isNew: true, shown: i},
			{in: i, shown: i},                       // the same again changes nothing
			{in: empty, isNew: true, shown: empty},  // a later revision is shown, also one without readings
			{in: second, isNew: true, shown: empty}, // a revision between them is kept, not shown
			{in: func() coldkeep.Interval { x := second; x.Max = 6000; return x }(), code: coldkeep.ECONFLICT, shown: empty},
		} {
			isNew, err := put(row.in)
			if isNew != row.isNew || coldkeep.ErrorCode(err) != row.code {
				t.Fatalf("row %d: new %v, %v", n, isNew, err)
			}
			got, err := s.Intervals(ctx, "fridge", noon, noon.Add(time.Hour))
			if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], row.shown) {
				t.Fatalf("row %d: shown %+v, %v", n, got, err)
			}
		}
	})
}

func TestExcursionRevisions(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		withUnit(t, s)
		x := coldkeep.Excursion{ID: "x", Revision: 1, Site: "lakeside", Appliance: "fridge", Probe: "lakeside/pi-1/p", Kind: coldkeep.TooWarm, Rule: coldkeep.Instant,
			Profile: "cdc@1", Start: noon, PeakAt: noon, Extreme: 9000, MinutesOut: 12.25, Actions: []coldkeep.Action{coldkeep.ActionLog, coldkeep.ActionAlert}, State: coldkeep.ExcursionOpen}
		mkt := coldkeep.Temperature(9100)
		x.Role, x.DegreeMinutes, x.MKT, x.Contexts = coldkeep.RoleVaccine, 12.25, &mkt, []coldkeep.ContextKind{coldkeep.ContextDoorOpen, coldkeep.ContextDefrost}
		x.Witnesses = []coldkeep.Witness{{Probe: "lakeside/pi-1/p", Role: coldkeep.RoleVaccine, Out: true, Extreme: 9000}, {Probe: "lakeside/pi-1/q", Role: coldkeep.RoleAir, Extreme: coldkeep.NoTemperature}}
		end := noon.Add(time.Hour)
		silence := x
		silence.ID, silence.Kind, silence.Rule, silence.Extreme, silence.MinutesOut, silence.DegreeMinutes, silence.MKT, silence.Witnesses, silence.Contexts = "s", coldkeep.NoData, "", coldkeep.NoTemperature, 0, 0, nil, nil, nil
		inTemplog(t, s, func(tx templog.Tx) error { _, err := tx.PutExcursion(ctx, silence, noon); return err })
		if got, err := s.Excursion(ctx, "s"); err != nil || !reflect.DeepEqual(got, silence) {
			t.Fatalf("silence %+v, %v", got, err)
		}
		closed := x
		closed.Revision, closed.End, closed.State = 3, &end, coldkeep.ExcursionClosed
		late := x
		late.Revision = 2
		changed := x
		changed.Extreme = 9001
		for n, row := range []struct {
			in    coldkeep.Excursion
			code  string
			shown coldkeep.Excursion
		}{{in: x, shown: x}, {in: x, shown: x}, {in: closed, shown: closed}, {in: late, shown: closed}, {in: changed, code: coldkeep.ECONFLICT, shown: closed}} {
			err := s.Templog().Tx(ctx, func(tx templog.Tx) error { _, err := tx.PutExcursion(ctx, row.in, noon); return err })
			if coldkeep.ErrorCode(err) != row.code {
				t.Fatalf("row %d: %v", n, err)
			}
			got, err := s.Excursion(ctx, "x")
			if err != nil || !reflect.DeepEqual(got, row.shown) {
				t.Fatalf("row %d: shown %+v, %v", n, got, err)
			}
		}
		if all, err := s.Revisions(ctx, "x"); err != nil || len(all) != 3 {
			t.Fatalf("revisions: %d, %v", len(all), err)
		}
		for n, row := range []struct {
			from, to time.Time
			found    int
		}{{noon.Add(-time.Hour), noon, 0}, {noon.Add(-time.Hour), noon.Add(time.Minute), 2}, {noon.Add(30 * time.Minute), end, 2}, {end, end.Add(time.Hour), 1}} {
			got, err := s.Excursions(ctx, "fridge", row.from, row.to, 10)
			if err != nil || len(got) != row.found {
				t.Errorf("row %d: %d excursions, %v", n, len(got), err)
			}
		}
	})
}

func TestStatusKeepsTheLatest(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		withUnit(t, s)
		if u, err := s.Unit(ctx, "fridge"); err != nil || u.Status != nil || u.State() != coldkeep.StateNoData {
			t.Fatalf("before any status: %+v, %v", u, err)
		}
		st := coldkeep.ApplianceStatus{Appliance: "fridge", Probe: "lakeside/pi-1/p", At: &noon, Celsius: -18_250, State: coldkeep.StateOK, Online: true}
		for range 2 {
			inTemplog(t, s, func(tx templog.Tx) error { return tx.PutStatus(ctx, st, noon, noon) })
			u, err := s.Unit(ctx, "fridge")
			if err != nil || !reflect.DeepEqual(*u.Status, st) || !u.Since.Equal(noon) {
				t.Fatalf("%+v, %v", u.Status, err)
			}
			st.Celsius, st.Quality, st.State, st.At = coldkeep.NoTemperature, coldkeep.QualityCRC, coldkeep.StateFault, nil
		}
	})
}

func TestIdempotency(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		begin := func(request string, status int, body, code string) {
			t.Helper()
			gotStatus, gotBody, err := s.Begin(ctx, "collector", "key", request)
			if gotStatus != status || string(gotBody) != body || coldkeep.ErrorCode(err) != code {
				t.Fatalf("begin %s: %d %q %v", request, gotStatus, gotBody, err)
			}
		}
		begin("a", 0, "", "")
		begin("a", 0, "", "") // cut off: it may be run again
		begin("b", 0, "", coldkeep.ECONFLICT)
		if err := s.Forget(ctx, "collector", "key", "a"); err != nil {
			t.Fatal(err)
		}
		begin("b", 0, "", "") // after a refusal the key is free
		for _, body := range []string{"first", "second"} {
			status, kept, err := s.Finish(ctx, "collector", "key", "b", 200, []byte(body))
			if err != nil || status != 200 || string(kept) != "first" {
				t.Fatalf("finish %s: %d %q %v", body, status, kept, err)
			}
		}
		begin("b", 200, "first", "")
		begin("a", 0, "", coldkeep.ECONFLICT)
		if err := s.Forget(ctx, "collector", "key", "b"); err != nil {
			t.Fatal(err)
		}
		begin("b", 200, "first", "") // an answer that was given is not forgotten
		if status, _, err := s.Begin(ctx, "another", "key", "a"); status != 0 || err != nil {
			t.Fatalf("another account's key: %d, %v", status, err)
		}
		if err := s.Tidy(ctx, time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		begin("c", 0, "", "")
	})
}

func TestSessionsExpire(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx, ss := t.Context(), s.Sessions()
		for token, life := range map[string]time.Duration{"live": time.Hour, "over": -time.Second} {
			if err := ss.CommitCtx(ctx, token, []byte{0, 1, 255}, time.Now().Add(life)); err != nil {
				t.Fatal(err)
			}
			b, found, err := ss.FindCtx(ctx, token)
			if err != nil || found != (life > 0) || found && !reflect.DeepEqual(b, []byte{0, 1, 255}) {
				t.Errorf("%s: %v %v %v", token, b, found, err)
			}
		}
		if err := ss.DeleteCtx(ctx, "live"); err != nil {
			t.Fatal(err)
		}
		if _, found, err := ss.FindCtx(ctx, "live"); found || err != nil {
			t.Errorf("deleted session: %v, %v", found, err)
		}
	})
}

func TestTrailIsOfTheSameTransaction(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		entry := func(what string, site coldkeep.SiteID) audit.Entry {
			return audit.Entry{At: noon, WhoID: "1", Who: "A", What: what, Subject: "x", Site: site}
		}
		_ = s.Templog().Tx(ctx, func(tx templog.Tx) error { // given up on purpose
			if err := tx.Audit(ctx, entry("never", "lakeside")); err != nil {
				return err
			}
			return coldkeep.Errorf(coldkeep.EINVALID, "given up")
		})
		inTemplog(t, s, func(tx templog.Tx) error { return tx.Audit(ctx, entry("first", "lakeside")) })
		inTemplog(t, s, func(tx templog.Tx) error { return tx.Audit(ctx, entry("second", "northgate")) })
		for site, want := range map[coldkeep.SiteID][]string{"": {"second", "first"}, "lakeside": {"first"}} {
			got, err := s.Trail(ctx, site, 10)
			if err != nil {
				t.Fatal(err)
			}
			var whats []string
			for _, e := range got {
				whats = append(whats, e.What)
			}
			if !reflect.DeepEqual(whats, want) {
				t.Errorf("trail of %q: %v", site, whats)
			}
		}
	})
}

// Two revisions at once must not both be the latest.
func TestLatestUnderConcurrency(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		withUnit(t, s)
		var wg sync.WaitGroup
		for r := 1; r <= 8; r++ {
			wg.Go(func() {
				ctx := context.Background()
				err := s.Templog().Tx(ctx, func(tx templog.Tx) error {
					if _, err := tx.LockAppliance(ctx, "fridge"); err != nil {
						return err
					}
					_, err := tx.PutInterval(ctx, coldkeep.Interval{Appliance: "fridge", Probe: "lakeside/pi-1/p", From: noon, To: noon.Add(15 * time.Minute),
						Min: coldkeep.NoTemperature, Max: coldkeep.NoTemperature, Mean: coldkeep.NoTemperature, Revision: r}, noon)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got, err := s.Intervals(t.Context(), "fridge", noon, noon.Add(time.Minute))
		if err != nil || len(got) != 1 || got[0].Revision != 8 {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}
