package inventory_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/inventory"
)

// drawLife draws where a lot stood, one stay after the other, and what happened in the
// units meanwhile.
func drawLife(t *rapid.T) (stays []inventory.Placement, in map[coldkeep.ApplianceID][]coldkeep.Excursion) {
	units := []coldkeep.ApplianceID{"a", "b"}
	at := 0
	for range rapid.IntRange(0, 5).Draw(t, "stays") {
		at += rapid.IntRange(0, 10).Draw(t, "pause")
		p := inventory.Placement{Appliance: rapid.SampledFrom(units).Draw(t, "unit"), From: hour(at)}
		at += rapid.IntRange(1, 20).Draw(t, "stay")
		to := hour(at)
		p.To = &to
		stays = append(stays, p)
	}
	if n := len(stays); n > 0 && rapid.Bool().Draw(t, "still there") {
		stays[n-1].To = nil
	}
	in = map[coldkeep.ApplianceID][]coldkeep.Excursion{}
	for _, u := range units {
		at := 0
		for range rapid.IntRange(0, 4).Draw(t, "excursions") {
			at += rapid.IntRange(0, 15).Draw(t, "quiet")
			x := coldkeep.Excursion{Appliance: u, Kind: rapid.SampledFrom([]coldkeep.Kind{coldkeep.TooWarm, coldkeep.TooCold}).Draw(t, "kind"), Start: hour(at)}
			length := rapid.IntRange(1, 20).Draw(t, "length")
			at += length
			x.MinutesOut = float64(rapid.IntRange(0, 60*length).Draw(t, "out"))
			end := hour(at)
			x.End = &end
			in[u] = append(in[u], x)
		}
	}
	return stays, in
}

// What a lot has been through is never more than its units have been through nor than
// the time it stood there, is all of an excursion that it stood through, does not
// depend on how a stay is entered, and only grows.
func TestExposureProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stays, all := drawLife(t)
		now := hour(200)
		in := func(u coldkeep.ApplianceID) []coldkeep.Excursion { return all[u] }
		got := inventory.Expose(stays, in, now)
		var warm, cold float64
		for _, u := range all {
			for _, x := range u {
				// Hour by hour, as a person would count with a pencil.
				hours, whole := 0.0, true
				for h := x.Start; h.Before(*x.End); h = h.Add(time.Hour) {
					there := false
					for _, p := range stays {
						there = there || p.Appliance == x.Appliance && !h.Before(p.From) && (p.To == nil || h.Before(*p.To))
					}
					if there {
						hours++
					}
					whole = whole && there
				}
				m := math.Min(60*hours, x.MinutesOut)
				if whole && m != x.MinutesOut {
					t.Fatalf("all of %v is %v", x.MinutesOut, m)
				}
				if x.Kind == coldkeep.TooWarm {
					warm += m
				} else {
					cold += m
				}
			}
		}
		if got.Warm != warm || got.Cold != cold {
			t.Fatalf("%v warm and %v cold, want %v and %v", got.Warm, got.Cold, warm, cold)
		}
		sum := 0.0
		for _, e := range got.Of {
			if e.Minutes > e.MinutesOut || e.Minutes <= 0 {
				t.Fatalf("%v min of %v", e.Minutes, e.MinutesOut)
			}
			sum += e.Minutes
		}
		if sum != warm+cold {
			t.Fatalf("the parts are %v of %v", sum, warm+cold)
		}
		if len(stays) == 0 {
			return
		}
		// The same stay, entered as two.
		i := rapid.IntRange(0, len(stays)-1).Draw(t, "cut")
		cut := stays[i].From.Add(30 * time.Minute)
		halves := append(append([]inventory.Placement{}, stays[:i]...), inventory.Placement{Appliance: stays[i].Appliance, From: stays[i].From, To: &cut},
			inventory.Placement{Appliance: stays[i].Appliance, From: cut, To: stays[i].To})
		if again := inventory.Expose(append(halves, stays[i+1:]...), in, now); again.Warm != warm || again.Cold != cold {
			t.Fatalf("in two: %v and %v, in one: %v and %v", again.Warm, again.Cold, warm, cold)
		}
		if less := inventory.Expose(stays[:i], in, now); less.Warm > warm || less.Cold > cold {
			t.Fatalf("with fewer stays it is more")
		}
	})
}

func TestBudget(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		id := w.receive("L1", "fridge", hour(-10))
		w.receive("L2", "second", hour(-10))
		end, later := hour(3), hour(9)
		w.excursion("x", 1, hour(0), &end)
		put := func(id string, kind coldkeep.Kind, role coldkeep.Role, minutes float64, state coldkeep.ExcursionState) {
			t.Helper()
			_, err := w.log.PutExcursion(w.ctx, collector, coldkeep.Excursion{ID: id, Revision: 2, Appliance: "fridge", Probe: "lakeside/pi-1/p", Kind: kind, Role: role, Rule: coldkeep.Instant,
				Profile: "cdc@1", Start: hour(0), End: &later, PeakAt: hour(0), Extreme: 12_000, MinutesOut: minutes, State: state})
			w.must(err)
		}
		put("x", coldkeep.TooWarm, "", 100, coldkeep.ExcursionClosed) // its latest revision counts
		put("cold", coldkeep.TooCold, coldkeep.RoleVaccine, 7, coldkeep.ExcursionClosed)
		put("air", coldkeep.TooWarm, coldkeep.RoleAir, 1000, coldkeep.ExcursionClosed)
		put("none", coldkeep.TooWarm, "", 1000, coldkeep.ExcursionWithdrawn)
		warm, zero := 120*60, 0
		w.wants(w.SetBudget(w.ctx, nurse, id, inventory.Budget{Warm: &zero, Source: "x"}), coldkeep.EINVALID)
		w.wants(w.SetBudget(w.ctx, nurse, id, inventory.Budget{Warm: &warm}), coldkeep.EINVALID)
		w.wants(w.SetBudget(w.ctx, other, id, inventory.Budget{Warm: &warm, Source: "x"}), coldkeep.ENOTFOUND)
		w.must(w.SetBudget(w.ctx, nurse, id, inventory.Budget{Warm: &warm, Source: "Package insert"}))
		w.hold("h", "x", hour(0))
		s, err := w.Stock(w.ctx, manager)
		w.must(err)
		for _, l := range s.Lots {
			e := l.Exposure
			if l.Number == "L2" && (e.Warm != 0 || e.Cold != 0 || l.Budget.Warm != nil) {
				t.Errorf("L2 %+v", l)
			}
			if l.Number == "L1" && (e.Warm != 100 || e.Cold != 7 || len(e.Of) != 2 || *l.Budget.Warm != warm || l.Budget.Cold != nil || l.Budget.Source != "Package insert") {
				t.Errorf("L1 %+v", l)
			}
			if held := l.Held(); held != (l.Number == "L1") {
				t.Errorf("%s held: %v", l.Number, held) // a budget clears nothing
			}
		}
		w.must(w.SetBudget(w.ctx, nurse, id, inventory.Budget{}))
		if l, err := w.store.Lot(w.ctx, id); err != nil || l.Budget != (inventory.Budget{}) {
			t.Errorf("%+v, %v", l.Budget, err)
		}
	})
}

func TestHoldOfAnotherExcursion(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	w.hold("h", "x", hour(0))
	for excursion, code := range map[string]string{"unknown": coldkeep.ECONFLICT, "x": ""} {
		_, err := w.Hold(w.ctx, collector, coldkeep.HoldRequest{ID: "h", Excursion: excursion, Appliance: "fridge", Since: hour(0), Reason: "again"})
		w.wants(err, code)
	}
}
