package inventory_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/templog"
)

var (
	noon      = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	system    = auth.System("Test")
	collector = auth.Principal{ID: "c", Name: "collector", Scopes: []string{auth.ScopeCollector}}
	manager   = auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
	nurse     = auth.Principal{ID: "n", Name: "Marcus", Role: auth.Nurse, Site: "lakeside"}
	other     = auth.Principal{ID: "o", Name: "Ines", Role: auth.PracticeManager, Site: "northgate"}
)

func hour(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }

// world is a registry with two sites, and three units at lakeside.
type world struct {
	t     testing.TB
	ctx   context.Context
	store *store.Store
	log   *templog.Service
	*inventory.Service
}

func open(t testing.TB, where string) *world {
	t.Helper()
	st, err := store.Open(t.Context(), databasetest.Open(t, where))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ctx: t.Context(), store: st, log: templog.New(st.Templog(), coldkeep.RealClock{}), Service: inventory.New(st.Inventory(), coldkeep.RealClock{})}
	for _, id := range []coldkeep.SiteID{"lakeside", "northgate"} {
		w.must(w.log.AddSite(w.ctx, system, coldkeep.Site{ID: id, Name: string(id), TimeZone: "America/Chicago"}))
	}
	for _, u := range []coldkeep.ApplianceID{"fridge", "second", "freezer"} {
		w.must(w.log.AddAppliance(w.ctx, system, coldkeep.Appliance{ID: u, Site: "lakeside", Name: string(u), Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}))
	}
	w.must(w.log.AddAppliance(w.ctx, system, coldkeep.Appliance{ID: "far", Site: "northgate", Name: "far", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}))
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

func lotOf(number string) inventory.Lot {
	return inventory.Lot{Site: "lakeside", Number: number, Product: "M-M-R II", CVX: "03", NDC: "00006-4681-00", MVX: "MSD",
		Expires: "2027-06-30", Funding: inventory.Public, DosesOnHand: 10}
}

func (w *world) receive(number string, unit coldkeep.ApplianceID, from time.Time) string {
	w.t.Helper()
	l, err := w.Receive(w.ctx, nurse, lotOf(number), unit, from)
	w.must(err)
	return l.ID
}

func (w *world) hold(id, excursion string, since time.Time) coldkeep.Hold {
	w.t.Helper()
	h, err := w.Hold(w.ctx, collector, coldkeep.HoldRequest{ID: id, Excursion: excursion, Appliance: "fridge", Since: since, Reason: "too warm"})
	w.must(err)
	return h
}

func (w *world) excursion(id string, revision int, start time.Time, end *time.Time) {
	w.t.Helper()
	x := coldkeep.Excursion{ID: id, Revision: revision, Appliance: "fridge", Probe: "lakeside/pi-1/p", Kind: coldkeep.TooWarm, Rule: coldkeep.Instant,
		Profile: "cdc@1", Start: start, PeakAt: start, Extreme: 12_000, State: coldkeep.ExcursionOpen, End: end}
	if end != nil {
		x.State = coldkeep.ExcursionClosed
	}
	latest, err := w.log.PutExcursion(w.ctx, collector, x)
	w.must(err)
	w.must(w.ExcursionChanged(w.ctx, collector, latest))
}

func numbers(h coldkeep.Hold) []string {
	out := []string{}
	for _, l := range h.Lots {
		out = append(out, l.Lot)
	}
	slices.Sort(out)
	return out
}

func (w *world) holds(h coldkeep.Hold, want ...string) {
	w.t.Helper()
	if got := numbers(h); !slices.Equal(got, append([]string{}, want...)) {
		w.t.Fatalf("held %v, want %v", got, want)
	}
}

// waiting lists the lots that wait for a person, as the screen shows them.
func (w *world) waiting() []string {
	w.t.Helper()
	s, err := w.Stock(w.ctx, manager)
	w.must(err)
	out := []string{}
	for _, l := range s.Lots {
		if l.Held() {
			out = append(out, l.Number)
		}
	}
	slices.Sort(out)
	return out
}

func TestHoldResolvesWhatStoodThere(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.receive("STAYS", "fridge", hour(-10))
		left := w.receive("LEFT", "fridge", hour(-10))
		w.must(w.Move(w.ctx, nurse, left, "second", hour(-1)))
		moved := w.receive("MOVED", "fridge", hour(-10))
		w.must(w.Move(w.ctx, nurse, moved, "second", hour(1)))
		w.receive("CAME", "fridge", hour(2))
		w.receive("ELSEWHERE", "second", hour(-10))
		edge := w.receive("EDGE", "fridge", hour(-10))
		w.must(w.Move(w.ctx, nurse, edge, "second", hour(0))) // out in the very moment

		h := w.hold("h", "x", hour(0))
		w.holds(h, "CAME", "MOVED", "STAYS")
		for _, l := range h.Lots {
			if l.Appliance != "fridge" || l.Site != "lakeside" || l.DosesOnHand != 10 || l.NDC != "00006-4681-00" || len(l.InUnit) != 1 {
				t.Errorf("%+v", l)
			}
			if (l.MovedTo == "second") != (l.Lot == "MOVED") {
				t.Errorf("%s moved to %q", l.Lot, l.MovedTo)
			}
			if l.Lot == "MOVED" && (!l.InUnit[0].From.Equal(hour(-10)) || !l.InUnit[0].To.Equal(hour(1))) {
				t.Errorf("in unit %+v", l.InUnit)
			}
		}
	})
}

func TestHoldExtendsAndNeverShrinks(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.receive("STAYS", "fridge", hour(-10))
		left := w.receive("LEFT", "fridge", hour(-10))
		w.must(w.Move(w.ctx, nurse, left, "second", hour(-1)))
		w.holds(w.hold("h", "x", hour(0)), "STAYS")
		w.holds(w.hold("h", "x", hour(5)), "STAYS")          // later: it stands as it was
		w.holds(w.hold("h", "x", hour(-2)), "LEFT", "STAYS") // earlier: it takes in more
		w.holds(w.hold("h", "x", hour(9)), "LEFT", "STAYS")
		if h := w.hold("another", "x", hour(0)); h.ID != "h" { // the same excursion is the same hold
			t.Fatalf("hold %q", h.ID)
		}
		kept, err := w.store.Hold(w.ctx, "h")
		w.must(err)
		if !kept.Since.Equal(hour(-2)) {
			t.Fatalf("since %s", kept.Since)
		}
		ask := func(id, x string, unit coldkeep.ApplianceID, code string) {
			t.Helper()
			_, err := w.Hold(w.ctx, collector, coldkeep.HoldRequest{ID: id, Excursion: x, Appliance: unit, Since: hour(0)})
			w.wants(err, code)
		}
		ask("h", "x", "second", coldkeep.ECONFLICT) // an excursion is of one unit
		ask("i", "x", "second", coldkeep.ECONFLICT)
		ask("j", "y", "fridge", "")
		ask("j", "x", "fridge", coldkeep.ECONFLICT) // id and excursion of two holds
		ask("k", "z", "nowhere", coldkeep.EINVALID)
		ask("", "z", "fridge", coldkeep.EINVALID)
		_, err = w.Hold(w.ctx, manager, coldkeep.HoldRequest{ID: "k", Excursion: "z", Appliance: "fridge", Since: hour(0)})
		w.wants(err, coldkeep.EFORBIDDEN)
	})
}

func TestPlacedDuringOpenExcursion(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		w.hold("h", "x", hour(0))
		w.receive("DURING", "fridge", hour(1))
		moved := w.receive("BROUGHT", "second", hour(-10))
		w.must(w.Move(w.ctx, nurse, moved, "fridge", hour(2)))
		if got := w.waiting(); !slices.Equal(got, []string{"BROUGHT", "DURING"}) {
			t.Fatalf("waiting %v", got)
		}
		s, err := w.Stock(w.ctx, manager)
		w.must(err)
		if how := s.Lots[0].Holds[0].JoinedAs; how != inventory.JoinedPlaced {
			t.Errorf("joined as %q", how)
		}
		end := hour(4)
		w.excursion("x", 1, hour(0), &end)
		w.receive("AFTER", "fridge", hour(5))
		w.holds(w.hold("h", "x", hour(0)), "BROUGHT", "DURING") // what came when it was over is not touched
		w.receive("LATE", "fridge", hour(3))                    // entered late, it stood there all the same
		if got := w.waiting(); !slices.Equal(got, []string{"BROUGHT", "DURING", "LATE"}) {
			t.Fatalf("waiting %v", got)
		}
		later := hour(6)
		w.excursion("x", 2, hour(0), &later) // the end is revised: what came before it joins
		if got := w.waiting(); !slices.Equal(got, []string{"AFTER", "BROUGHT", "DURING", "LATE"}) {
			t.Fatalf("waiting %v", got)
		}
		earlier := hour(1)
		w.excursion("x", 3, hour(0), &earlier) // and none leaves when it is revised the other way
		if got := w.waiting(); len(got) != 4 {
			t.Fatalf("waiting %v", got)
		}
	})
}

func TestAPersonDecides(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		good, bad := w.receive("GOOD", "fridge", hour(-10)), w.receive("BAD", "fridge", hour(-10))
		w.hold("h", "x", hour(0))
		w.hold("g", "y", hour(1))
		w.wants(w.Decide(w.ctx, nurse, "h", good, inventory.Released, "ok"), coldkeep.EFORBIDDEN)
		w.wants(w.Decide(w.ctx, other, "h", good, inventory.Released, "ok"), coldkeep.ENOTFOUND) // another practice's
		w.wants(w.Decide(w.ctx, collector, "h", good, inventory.Released, "ok"), coldkeep.ENOTFOUND)
		w.wants(w.Decide(w.ctx, auth.Principal{}, "h", good, inventory.Released, "ok"), coldkeep.EUNAUTHORIZED)
		w.wants(w.Decide(w.ctx, manager, "h", good, inventory.Released, "  "), coldkeep.EINVALID)
		w.wants(w.Decide(w.ctx, manager, "h", good, inventory.Held, "ok"), coldkeep.EINVALID)
		w.wants(w.Decide(w.ctx, manager, "h", "nolot", inventory.Released, "ok"), coldkeep.ENOTFOUND)
		w.must(w.Decide(w.ctx, manager, "h", good, inventory.Released, "Maker's letter 17"))
		w.wants(w.Decide(w.ctx, manager, "h", good, inventory.Wasted, "no"), coldkeep.ECONFLICT)
		if got := w.waiting(); !slices.Equal(got, []string{"BAD", "GOOD"}) {
			t.Fatalf("the other hold still has it: %v", got)
		}
		w.must(w.Decide(w.ctx, manager, "g", good, inventory.Released, "Maker's letter 17"))
		w.must(w.Decide(w.ctx, manager, "h", bad, inventory.Wasted, "Thawed"))
		if got := w.waiting(); len(got) != 0 {
			t.Fatalf("waiting %v", got)
		}
		l, err := w.store.Lot(w.ctx, bad)
		w.must(err)
		if l.DosesOnHand != 0 {
			t.Fatalf("%d doses of a wasted lot", l.DosesOnHand)
		}
		w.holds(w.hold("h", "x", hour(0))) // the collector does not undo it
		trail, err := w.store.Trail(w.ctx, "lakeside", 100)
		w.must(err)
		seen := map[string]string{}
		for _, e := range trail {
			seen[e.What] = e.Who + ": " + e.Why
		}
		for what, who := range map[string]string{"hold.release": "Dana: Maker's letter 17", "hold.waste": "Dana: Thawed", "lot.waste": "Dana: Thawed", "hold.begin": "collector: too warm"} {
			if seen[what] != who {
				t.Errorf("trail of %s: %q", what, seen[what])
			}
		}
	})
}

func TestProposals(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		stays, left := w.receive("STAYS", "fridge", hour(-10)), w.receive("LEFT", "fridge", hour(-10))
		w.must(w.Move(w.ctx, nurse, left, "second", hour(-1)))
		w.hold("h", "x", hour(0))
		open := func() []inventory.Proposal {
			t.Helper()
			s, err := w.Stock(w.ctx, manager)
			w.must(err)
			return slices.DeleteFunc(s.Proposals, func(p inventory.Proposal) bool { return !p.Open() })
		}
		back := hour(-2)
		for range 2 { // the same word twice is one proposal
			w.must(w.Propose(w.ctx, collector, "h", coldkeep.HoldProposal{Action: "extend", Since: &back, Reason: "late readings"}))
		}
		w.must(w.Propose(w.ctx, collector, "h", coldkeep.HoldProposal{Action: "release", Reason: "withdrawn"}))
		w.wants(w.Propose(w.ctx, collector, "nohold", coldkeep.HoldProposal{Action: "release", Reason: "x"}), coldkeep.ENOTFOUND)
		w.wants(w.Propose(w.ctx, collector, "h", coldkeep.HoldProposal{Action: "burn", Reason: "x"}), coldkeep.EINVALID)
		w.wants(w.Propose(w.ctx, collector, "h", coldkeep.HoldProposal{Action: "extend", Reason: "x"}), coldkeep.EINVALID)
		w.wants(w.Propose(w.ctx, collector, "h", coldkeep.HoldProposal{Action: "release"}), coldkeep.EINVALID)
		w.wants(w.Propose(w.ctx, manager, "h", coldkeep.HoldProposal{Action: "release", Reason: "x"}), coldkeep.EFORBIDDEN)
		all := open()
		if len(all) != 2 {
			t.Fatalf("proposals %+v", all)
		}
		if got := w.waiting(); !slices.Equal(got, []string{"STAYS"}) {
			t.Fatalf("a proposal alone has changed the hold: %v", got)
		}
		i := slices.IndexFunc(all, func(p inventory.Proposal) bool { return p.Action == "extend" })
		w.wants(w.DecideProposal(w.ctx, nurse, all[i].ID, true, "ok"), coldkeep.EFORBIDDEN)
		w.must(w.DecideProposal(w.ctx, manager, all[i].ID, true, "Seen in the log"))
		w.wants(w.DecideProposal(w.ctx, manager, all[i].ID, false, "again"), coldkeep.ECONFLICT)
		if got := w.waiting(); !slices.Equal(got, []string{"LEFT", "STAYS"}) {
			t.Fatalf("waiting %v", got)
		}
		w.must(w.DecideProposal(w.ctx, manager, all[1-i].ID, true, "Probe was out"))
		if got := w.waiting(); len(got) != 0 {
			t.Fatalf("waiting %v", got)
		}
		// The excursion turns out to have begun before what the release was decided on.
		w.hold("h", "x", hour(-3))
		if got := open(); len(got) != 1 || got[0].Action != "extend" {
			t.Fatalf("nobody is asked to look again: %+v", got)
		}
		w.must(w.DecideProposal(w.ctx, manager, open()[0].ID, true, "Hold them again"))
		if got := w.waiting(); !slices.Equal(got, []string{"LEFT", "STAYS"}) {
			t.Fatalf("waiting %v", got)
		}
		_ = stays
	})
}

func TestStockIsChecked(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	for name, row := range map[string]struct {
		change func(*inventory.Lot)
		by     auth.Principal
		unit   coldkeep.ApplianceID
		from   time.Time
		code   string
	}{
		"good":            {nil, nurse, "fridge", hour(0), ""},
		"again":           {nil, nurse, "freezer", hour(0), ""},
		"no number":       {func(l *inventory.Lot) { l.Number = " " }, nurse, "fridge", hour(0), coldkeep.EINVALID},
		"bad CVX":         {func(l *inventory.Lot) { l.CVX = "MMR" }, nurse, "fridge", hour(0), coldkeep.EINVALID},
		"bad NDC":         {func(l *inventory.Lot) { l.NDC = "0006-4681-00" }, nurse, "fridge", hour(0), coldkeep.EINVALID},
		"bad expiry":      {func(l *inventory.Lot) { l.Expires = "06/30/2027" }, nurse, "fridge", hour(0), coldkeep.EINVALID},
		"bad funding":     {func(l *inventory.Lot) { l.Funding = "gift" }, nurse, "fridge", hour(0), coldkeep.EINVALID},
		"negative doses":  {func(l *inventory.Lot) { l.DosesOnHand = -1 }, nurse, "fridge", hour(0), coldkeep.EINVALID},
		"from the future": {nil, nurse, "fridge", time.Now().Add(time.Hour), coldkeep.EINVALID},
		"unknown unit":    {nil, nurse, "nowhere", hour(0), coldkeep.ENOTFOUND},
		"another site":    {nil, nurse, "far", hour(0), coldkeep.EINVALID},
		"not one's site":  {nil, other, "fridge", hour(0), coldkeep.EFORBIDDEN},
		"nobody":          {nil, auth.Principal{}, "fridge", hour(0), coldkeep.EUNAUTHORIZED},
	} {
		l := lotOf(name)
		if row.change != nil {
			row.change(&l)
		}
		_, err := w.Receive(w.ctx, row.by, l, row.unit, row.from)
		if coldkeep.ErrorCode(err) != row.code {
			t.Errorf("%s: %v, want %q", name, err, row.code)
		}
	}
	id := w.receive("ONE", "fridge", hour(0))
	_, err := w.Receive(w.ctx, nurse, lotOf("one"), "fridge", hour(1))
	w.wants(err, coldkeep.ECONFLICT)    // the same lot in the same unit twice
	w.receive("ONE", "second", hour(1)) // in another it is a line of its own
	w.wants(w.Move(w.ctx, nurse, id, "fridge", hour(1)), coldkeep.ECONFLICT)
	w.wants(w.Move(w.ctx, nurse, id, "second", hour(-1)), coldkeep.EINVALID)
	w.wants(w.Move(w.ctx, nurse, id, "far", hour(1)), coldkeep.EINVALID)
	w.wants(w.Move(w.ctx, other, id, "far", hour(1)), coldkeep.ENOTFOUND)
	w.wants(w.Move(w.ctx, nurse, id, "second", time.Now().Add(time.Hour)), coldkeep.EINVALID)
	w.wants(w.SetDoses(w.ctx, nurse, id, 3, ""), coldkeep.EINVALID)
	w.must(w.SetDoses(w.ctx, nurse, id, 3, "Counted"))
	if l, err := w.store.Lot(w.ctx, id); err != nil || l.DosesOnHand != 3 {
		t.Errorf("%+v, %v", l, err)
	}
}

// Whatever the order in which lots are moved and a hold is made, a lot that stood
// in the unit is held, and lots stand in one unit at a time.
func TestHoldAndMovesAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		var in, out []string
		for i := range 6 {
			in = append(in, w.receive(fmt.Sprintf("IN%d", i), "second", hour(-10)))
			out = append(out, w.receive(fmt.Sprintf("OUT%d", i), "fridge", hour(-10)))
		}
		var wg sync.WaitGroup
		start := make(chan struct{})
		run := func(do func(context.Context) error) {
			wg.Go(func() {
				<-start
				if err := do(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		for i := range in {
			run(func(ctx context.Context) error { return w.Move(ctx, nurse, in[i], "fridge", hour(1)) })
			run(func(ctx context.Context) error { return w.Move(ctx, nurse, out[i], "second", hour(1)) })
		}
		for i := range 3 {
			run(func(ctx context.Context) error {
				_, err := w.Hold(ctx, collector, coldkeep.HoldRequest{ID: fmt.Sprint("h", i), Excursion: "x", Appliance: "fridge", Since: hour(0)})
				return err
			})
		}
		close(start)
		wg.Wait()
		if h := w.hold("h", "x", hour(0)); len(h.Lots) != 12 {
			t.Fatalf("held %v", numbers(h))
		}
		if got := w.waiting(); len(got) != 12 {
			t.Fatalf("waiting %v", got)
		}
		for _, id := range append(in, out...) {
			ps, err := w.store.PlacementsOf(w.ctx, id)
			w.must(err)
			if len(ps) != 2 || ps[0].To == nil || !ps[0].To.Equal(ps[1].From) || ps[1].To != nil {
				t.Errorf("placements %+v", ps)
			}
		}
	})
}

// The mirror lists the lots that wait for a person, and the collector hears of each
// change: devices show them.
func TestMirrorListsLotsOnHold(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		w := open(t, where)
		a := w.receive("A", "fridge", hour(-10))
		w.receive("B", "fridge", hour(-10))
		w.receive("C", "second", hour(-10))
		revision := int64(0)
		lists := func(when string, newer bool, want ...string) {
			t.Helper()
			m, err := w.log.Mirror(w.ctx, collector, -1, 0)
			w.must(err)
			var got []string
			for _, l := range m.LotsOnHold {
				if l.Appliance != "fridge" || l.Product != "M-M-R II" || !l.Since.Equal(hour(0)) {
					t.Errorf("%s: %+v", when, l)
				}
				got = append(got, l.Lot)
			}
			if !slices.Equal(got, want) || newer != (m.Revision > revision) {
				t.Errorf("%s: %v in revision %d after %d, want %v", when, got, m.Revision, revision, want)
			}
			revision = m.Revision
		}
		lists("before", true)
		w.hold("h", "x", hour(0))
		lists("held", true, "A", "B")
		w.hold("h", "x", hour(0))
		lists("held again", false, "A", "B")
		w.hold("g", "y", hour(0))
		lists("under two holds", true, "A", "B")
		for _, h := range []string{"h", "g"} {
			w.must(w.Decide(w.ctx, manager, h, a, inventory.Released, "Maker's letter 17"))
		}
		lists("one released", true, "B")
	})
}
