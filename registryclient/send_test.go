package registryclient_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/feedtest"
	"github.com/coldkeep/coldkeep/internal/httpfake"
	"github.com/coldkeep/coldkeep/registryclient/transport"
)

func TestEveryChangeIsPostedInOrder(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.feed.Append(interval(1), interval(2), excursion("x", 1, start, open, logOnly), interval(3), excursion("x", 2, start, open, logOnly, hold))
		h.run()
		h.sent()
		h.feed.Append(excursion("x", 3, start, closed, logOnly, hold))
		h.sent()
		want := []string{"interval 1", "interval 2", "x revision 1", "interval 3", "x revision 2", "hold-x 20:00", "x revision 3"}
		if got := got(h.registry); !slices.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
		for _, e := range h.registry.Effects() {
			if strings.HasSuffix(e.Path, "/excursions") && !strings.HasPrefix(e.Key, "excursion-x-") {
				t.Errorf("key %q", e.Key)
			}
		}
		if b := h.backlog(); b.Pending != 0 || b.Refused != 0 || b.Oldest != nil {
			t.Fatalf("got %+v", b)
		}
	})
}

// A process that slept through the loss of its lead makes no parcels.
func TestWhoDoesNotLeadMakesNoParcels(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		var lost atomic.Bool
		var asked atomic.Int64
		h.cfg.Fence = func(context.Context, *sql.Tx) error {
			if asked.Add(1); lost.Load() {
				return coldkeep.Errorf(coldkeep.ECONFLICT, "another process leads")
			}
			return nil
		}
		h.run()
		h.feed.Append(interval(1))
		h.sent()
		lost.Store(true)
		before := asked.Load()
		h.feed.Append(interval(2), excursion("x", 1, start, open, logOnly))
		feedtest.Until(t, "it has tried over and over", func() bool { return asked.Load() >= before+20 })
		if got := got(h.registry); !slices.Equal(got, []string{"interval 1"}) {
			t.Fatalf("got %q", got)
		}
		lost.Store(false)
		h.sent()
		if got := got(h.registry); !slices.Equal(got, []string{"interval 1", "interval 2", "x revision 1"}) {
			t.Fatalf("got %q", got)
		}
	})
}

// What the registry is asked about a hold over the life of an excursion.
func TestHolds(t *testing.T) {
	earlier, later := start.Add(-time.Hour), start.Add(time.Hour)
	for name, c := range map[string]struct {
		changes []coldkeep.Change
		want    []string
	}{
		"none without the action":            {[]coldkeep.Change{excursion("x", 1, start, open, logOnly)}, nil},
		"none when withdrawn from the first": {[]coldkeep.Change{excursion("x", 1, start, withdrawn, hold)}, nil},
		"once the action comes": {[]coldkeep.Change{excursion("x", 1, start, open, logOnly), excursion("x", 2, start, open, hold),
			excursion("x", 3, start, closed, hold)}, []string{"hold-x 20:00"}},
		"an earlier start extends": {[]coldkeep.Change{excursion("x", 1, start, open, hold), excursion("x", 2, earlier, open, hold)},
			[]string{"hold-x 20:00", "hold-x 19:00"}},
		// A hold never shrinks by itself: what stood there may be spoilt.
		"a later start does not": {[]coldkeep.Change{excursion("x", 1, start, open, hold), excursion("x", 2, later, open, hold)},
			[]string{"hold-x 20:00"}},
		"withdrawal proposes release, once": {[]coldkeep.Change{excursion("x", 1, start, open, hold), excursion("x", 2, start, withdrawn, hold),
			excursion("x", 3, start, withdrawn)}, []string{"hold-x 20:00", "release hold-x"}},
		"so does a revision that asks for none": {[]coldkeep.Change{excursion("x", 1, start, open, hold), excursion("x", 2, start, closed, logOnly)},
			[]string{"hold-x 20:00", "release hold-x"}},
		"and coming back asks to hold again": {[]coldkeep.Change{excursion("x", 1, start, open, hold), excursion("x", 2, start, withdrawn),
			excursion("x", 3, start, open, hold)}, []string{"hold-x 20:00", "release hold-x", "extend hold-x 20:00"}},
		"with an earlier start too": {[]coldkeep.Change{excursion("x", 1, start, open, hold), excursion("x", 2, start, withdrawn),
			excursion("x", 3, earlier, open, hold)}, []string{"hold-x 20:00", "release hold-x", "hold-x 19:00", "extend hold-x 19:00"}},
		"a revision told twice asks once": {[]coldkeep.Change{excursion("x", 1, start, open, hold), excursion("x", 2, earlier, open, hold),
			excursion("x", 2, earlier, open, hold)}, []string{"hold-x 20:00", "hold-x 19:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, databasetest.SQLite(t))
			h.feed.Append(c.changes...)
			h.run()
			h.sent()
			all := got(h.registry)
			asked := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return strings.Contains(s, "revision") })
			if !slices.Equal(asked, c.want) {
				t.Fatalf("asked %q, want %q", asked, c.want)
			}
			// The registry hears of an excursion before it is asked to hold for it.
			if len(c.want) > 0 && !strings.Contains(all[slices.Index(all, c.want[0])-1], "x revision") {
				t.Fatalf("got %q", all)
			}
			if refused, err := h.c.Refused(t.Context()); err != nil || len(refused) != 0 {
				t.Fatalf("refused %+v, %v", refused, err)
			}
		})
	}
}

// Silence and faults of a probe are excursions of the registry too, without a hold
// whatever they ask for. What a device has is not the registry's.
func TestSilenceAndFaults(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		kind := func(id string, k coldkeep.Kind) coldkeep.Change {
			c := excursion(id, 1, start, open, logOnly, hold)
			c.Excursion.Kind, c.Excursion.Rule, c.Excursion.Extreme, c.Excursion.MinutesOut = k, "", coldkeep.NoTemperature, 0
			return c
		}
		device := kind("d", coldkeep.DeviceFault)
		device.Excursion.Appliance, device.Excursion.Probe, device.Excursion.Profile = "", "north/pi", ""
		full := excursion("x", 1, start, open, logOnly)
		mkt := coldkeep.Temperature(9100)
		full.Excursion.DegreeMinutes, full.Excursion.MKT = 12.5, &mkt
		full.Excursion.Witnesses = []coldkeep.Witness{{Probe: "north/pi/T1", Role: coldkeep.RoleAir, Extreme: coldkeep.NoTemperature}}
		full.Excursion.Contexts = []coldkeep.ContextKind{coldkeep.ContextDefrost}
		h.feed.Append(kind("n", coldkeep.NoData), device, kind("s", coldkeep.SensorFault), full)
		h.run()
		h.sent()
		if got := got(h.registry); !slices.Equal(got, []string{"n revision 1", "s revision 1", "x revision 1"}) {
			t.Fatalf("got %q", got)
		}
		effects := h.registry.Effects()
		for i, want := range []string{`"kind":"no-data","rule":"","profile":"cdc@1"`, `"extreme_c":null`,
			`"degree_minutes":12.5,"mkt_c":9.1,"witnesses":[{"probe":"north/pi/T1","role":"air","out":false,"extreme_c":null}],"contexts":["defrost"]`} {
			if !strings.Contains(string(effects[i].Body), want) {
				t.Errorf("%s without %s", effects[i].Body, want)
			}
		}
	})
}

func TestIntervalsGoInBatches(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		var want []string
		for n := range 2500 {
			h.feed.Append(interval(n))
			want = append(want, fmt.Sprintf("interval %d", n))
		}
		h.registry.Down()
		h.run()
		feedtest.Until(t, "all waits", func() bool { return h.backlog().Pending == 2500 })
		if b := h.backlog(); b.Oldest == nil || !b.Oldest.Equal(start) {
			t.Fatalf("got %+v", b)
		}
		before := h.registry.Served()
		if err := h.registry.Up(); err != nil {
			t.Fatal(err)
		}
		h.sent()
		if got := got(h.registry); !slices.Equal(got, want) {
			t.Fatalf("%d intervals, want %d in order", len(got), len(want))
		}
		keys := map[string]bool{}
		for _, e := range h.registry.Effects() {
			keys[e.Key] = true
		}
		// At most one batch was begun before all had come, and the mirror asks too.
		if n := h.registry.Served() - before; len(keys) > 4 || n > 20 {
			t.Fatalf("%d batches in %d requests", len(keys), n)
		}
	})
}

// One bad interval must not take its batch with it.
func TestARefusedBatchIsDividedUntilTheBadOneStandsAlone(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		bad := map[string]bool{"interval 0": true, "interval 137": true, "interval 138": true, "interval 299": true}
		h.registry.Refuse(func(_ string, body []byte) string {
			var list []json.RawMessage
			if json.Unmarshal(body, &list) != nil {
				return ""
			}
			for i, one := range list {
				if bad[brief("/intervals", one)] {
					return fmt.Sprintf("[%d].appliance: it is not known", i)
				}
			}
			return ""
		})
		var want []string
		for n := range 300 {
			h.feed.Append(interval(n))
			if s := fmt.Sprintf("interval %d", n); !bad[s] {
				want = append(want, s)
			}
		}
		h.feed.Append(excursion("x", 1, start, open, logOnly))
		h.run()
		h.sent()
		if got := got(h.registry); !slices.Equal(got, append(want, "x revision 1")) {
			t.Fatalf("got %d, want %d in order: %q", len(got), len(want)+1, got)
		}
		refused, err := h.c.Refused(t.Context())
		if err != nil || len(refused) != len(bad) {
			t.Fatalf("%d refused, %v", len(refused), err)
		}
		for _, p := range refused {
			if !bad[brief(p.Path, p.Body)] || !strings.Contains(p.Reason, "it is not known") || p.Attempts != 1 || p.Kind != "interval" {
				t.Errorf("got %+v", p)
			}
		}
	})
}

func TestARefusedParcelIsParkedAndTheRestGoesOn(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.registry.Refuse(func(path string, body []byte) string {
			if strings.HasSuffix(path, "/holds") {
				return "the appliance is \x00 not known"
			}
			return ""
		})
		h.feed.Append(excursion("x", 1, start, open, hold), interval(1))
		h.run()
		h.sent()
		if got := got(h.registry); !slices.Equal(got, []string{"x revision 1", "interval 1"}) {
			t.Fatalf("got %q", got)
		}
		refused, err := h.c.Refused(t.Context())
		if err != nil || len(refused) != 1 || refused[0].Kind != "hold" || !strings.Contains(refused[0].Reason, "not known") || h.backlog().Refused != 1 {
			t.Fatalf("got %+v, %v", refused, err)
		}
	})
}

func TestAConflictOnOurOwnKeyIsParked(t *testing.T) {
	h := newHouse(t, databasetest.SQLite(t))
	twice := excursion("x", 1, start, closed, logOnly)
	h.feed.Append(excursion("x", 1, start, open, logOnly), twice)
	h.run()
	h.sent()
	refused, err := h.c.Refused(t.Context())
	if err != nil || len(refused) != 1 || !strings.Contains(refused[0].Reason, "conflict") {
		t.Fatalf("got %+v, %v", refused, err)
	}
}

func TestAWrongTokenParksNothing(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.registry.SetToken("another")
		h.feed.Append(interval(1), excursion("x", 1, start, open, hold))
		h.run()
		var why string
		feedtest.Until(t, "it was tried", func() bool {
			err := h.db.QueryRow("SELECT last_error FROM registry_outbox WHERE attempts > 2").Scan(&why)
			return err == nil
		})
		if b := h.backlog(); b.Pending != 3 || b.Refused != 0 || !strings.Contains(why, "token") {
			t.Fatalf("got %+v, %q", b, why)
		}
		h.registry.SetToken(token)
		h.sent()
		if got := got(h.registry); len(got) != 3 {
			t.Fatalf("got %q", got)
		}
	})
}

func TestTroublesOnTheWay(t *testing.T) {
	for name, fault := range map[string]httpfake.Fault{
		"500": httpfake.Status(500), "429": httpfake.Status(429), "cut before": httpfake.CutBefore, "cut in the answer": httpfake.CutAfter,
		"lost answer": httpfake.LoseAnswer, "silence": httpfake.Hang, "a sign-in page": httpfake.SignInPage, "a stranger's 404": httpfake.Status(404),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, databasetest.SQLite(t))
			h.cfg.Timeout = 100 * time.Millisecond
			h.cfg.Source = still{}
			h.registry.Next(fault, fault)
			h.feed.Append(interval(1), excursion("x", 1, start, open, hold))
			h.run()
			h.sent()
			if got := got(h.registry); !slices.Equal(got, []string{"interval 1", "x revision 1", "hold-x 20:00"}) {
				t.Fatalf("got %q", got)
			}
		})
	}
}

// still is a mirror that never changes.
type still struct{}

func (still) Mirror(ctx context.Context, _ int64, _ time.Duration) (*coldkeep.Mirror, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// script is a transport that answers by a script and notes when it was asked.
type script struct {
	mu      sync.Mutex
	answers []transport.Answer
	asked   []time.Time
}

func (s *script) Post(context.Context, string, string, []byte) (transport.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, time.Now())
	if len(s.answers) == 0 {
		return transport.Answer{Verdict: transport.Accepted}, nil
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	return a, nil
}

func TestABusyRegistryIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	h := newHouse(t, databasetest.SQLite(t))
	s := &script{answers: []transport.Answer{{Verdict: transport.Busy, After: 150 * time.Millisecond}}}
	h.cfg.Transport, h.cfg.Source = s, still{}
	h.feed.Append(interval(1))
	h.run()
	h.sent()
	if len(s.asked) != 2 || s.asked[1].Sub(s.asked[0]) < 150*time.Millisecond {
		t.Fatalf("asked at %v", s.asked)
	}
}
