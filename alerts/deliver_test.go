package alerts_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/feedtest"
)

func TestOneTargetsTroubleIsNotAnothers(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.onCall(coldkeep.OnCall{Webhooks: []string{"bad", "down", "hook", "hook"}, Emails: []string{"anna@north.example"}, RepeatAfter: 600})
		h.hook.failing(func(m alerts.Message) (bool, error) {
			switch m.To {
			case "bad":
				return false, errors.New("it refuses with 404\x00")
			case "down":
				return true, errors.New("connection refused")
			}
			return false, nil
		})
		h.run()
		h.feed.Append(excursion("x", 1, open, alertToo))
		h.told("raised→hook")
		feedtest.Until(t, "the mail is there", func() bool { return slices.Equal(h.mail.heard(), []string{"raised→anna@north.example"}) })
		tries := func(target string) (state string, n int) {
			list, err := h.s.Deliveries(t.Context(), h.alerts()[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				if d.Target == target {
					state, n = d.State, n+len(d.Attempts)
				}
			}
			return state, n
		}
		feedtest.Until(t, "the one that is away was tried again", func() bool { _, n := tries("down"); return n >= 3 })
		feedtest.Until(t, "the one that refuses was not", func() bool { state, n := tries("bad"); return state == "refused" && n == 1 })
		// The next telling tries all again: what refused may have been mended.
		h.hook.failing(nil)
		feedtest.Until(t, "the one that was away has got it", func() bool { return slices.Contains(h.hook.heard(), "raised→down") })
		h.clock.Advance(10 * time.Minute)
		feedtest.Until(t, "the one that refused gets the next", func() bool { return slices.Contains(h.hook.heard(), "repeated→bad") })
		seen := map[string]bool{}
		for _, m := range h.hook.messages() {
			if seen[m.ID] {
				t.Errorf("delivery %s has come twice", m.ID)
			}
			seen[m.ID] = true
		}
	})
}

func TestDeliveryIDStaysTheSameOverAttemptsAndRestarts(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		var mu sync.Mutex
		ids := map[string]int{}
		h.hook.failing(func(m alerts.Message) (bool, error) {
			mu.Lock()
			defer mu.Unlock()
			ids[m.ID]++
			return true, errors.New("away")
		})
		tried := func(n int) func() bool {
			return func() bool {
				mu.Lock()
				defer mu.Unlock()
				for _, tries := range ids {
					if tries >= n {
						return true
					}
				}
				return false
			}
		}
		h.run()
		h.feed.Append(excursion("x", 1, open, alertToo))
		feedtest.Until(t, "it was tried", tried(2))
		h.stop()
		h.run()
		feedtest.Until(t, "it was tried after the restart", tried(5))
		h.hook.failing(nil)
		h.told("raised→hook")
		if len(ids) != 1 || ids[h.hook.messages()[0].ID] == 0 {
			t.Fatalf("ids %v, delivered %s", ids, h.hook.messages()[0].ID)
		}
	})
}

func TestNewsSupersedeWhatHasNotArrived(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.hook.failing(func(alerts.Message) (bool, error) { return true, errors.New("away") })
		h.run()
		h.feed.Append(excursion("x", 1, open, alertToo))
		h.feed.Append(excursion("x", 2, closed, alertToo))
		h.dealt()
		h.clock.Advance(10 * time.Minute)
		feedtest.Until(t, "it was to be repeated", func() bool { return count(t, h.db, "event = 'repeated'") == 1 })
		h.hook.failing(nil)
		h.told("repeated→hook") // the latest word only, and that says all
		if m := h.hook.messages()[0]; m.Alert.Excursion.State != closed || !strings.Contains(m.Text(), "back in range") {
			t.Fatalf("got %s", m.Text())
		}
		if n := count(t, h.db, "state = 'superseded'"); n != 2 {
			t.Fatalf("%d superseded", n)
		}
	})
}

func TestNobodyOnCallIsLookedForEveryMinute(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.onCall(coldkeep.OnCall{})
		h.run()
		h.feed.Append(excursion("x", 1, open, alertToo))
		h.dealt()
		h.clock.Advance(time.Minute)
		h.clock.Advance(time.Minute)
		h.onCall(coldkeep.OnCall{Webhooks: []string{"hook"}})
		left := 10 // minutes, fewer than until it would be told again
		feedtest.Until(t, "the policy is seen", func() bool {
			if left--; left >= 0 {
				h.clock.Advance(time.Minute)
			}
			return len(h.hook.heard()) > 0
		})
		h.settled()
		if got := h.hook.heard(); got[0] != "raised→hook" {
			t.Fatalf("heard %v", got)
		}
		n := 0
		decisions, err := h.s.Decisions(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range decisions {
			if d.Decision == "nobody" {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%d rows say that there is nobody", n)
		}
	})
}

func TestAChannelThatIsNotSetUp(t *testing.T) {
	h := newHouse(t, databasetest.SQLite(t))
	h.onCall(coldkeep.OnCall{Emails: []string{"anna@north.example"}, Webhooks: []string{"hook"}})
	h.open(h.hook)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	h.feed.Append(excursion("x", 1, open, alertToo))
	h.told("raised→hook")
	list, err := h.s.Deliveries(t.Context(), h.alerts()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[1].State != "refused" || list[1].Reason != "no channel email is set up" {
		t.Fatalf("got %+v", list)
	}
}

// Silence, a probe's fault and a device's fault call a person like a temperature does,
// and what goes on beside in the same unit is said.
func TestEveryKindCallsAPerson(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.run()
		kind := func(id string, revision int, k coldkeep.Kind, state coldkeep.ExcursionState, actions ...coldkeep.Action) coldkeep.Change {
			c := excursion(id, revision, state, actions...)
			c.Excursion.Kind, c.Excursion.Rule, c.Excursion.Extreme, c.Excursion.MinutesOut = k, "", coldkeep.NoTemperature, 0
			if k == coldkeep.DeviceFault {
				c.Excursion.Appliance, c.Excursion.Probe, c.Excursion.Reason = "", "north/pi", "the key has changed"
			}
			return c
		}
		h.feed.Append(kind("quiet", 1, coldkeep.NoData, open, coldkeep.ActionWarn), kind("n", 1, coldkeep.NoData, open, alertToo))
		h.dealt()
		h.settled()
		h.clock.Advance(time.Minute)
		h.feed.Append(excursion("x", 1, open, alertToo), kind("s", 1, coldkeep.SensorFault, open, alertToo), kind("d", 1, coldkeep.DeviceFault, open, alertToo))
		h.dealt()
		h.settled()
		h.feed.Append(kind("n", 2, coldkeep.NoData, closed, alertToo))
		h.dealt()
		h.settled()
		said := map[string]string{}
		for _, m := range h.hook.messages() {
			var also []string
			for _, a := range m.Also {
				also = append(also, string(a.Kind))
			}
			slices.Sort(also)
			said[m.Alert.Excursion.ID+" "+string(m.Event)] = strings.Join(also, " ")
			if m.Alert.Excursion.Kind != coldkeep.TooWarm && m.Alert.Excursion.Extreme.Known() {
				t.Errorf("%s has an extreme: %v", m.Alert.Excursion.ID, m.Alert.Excursion.Extreme)
			}
		}
		want := map[string]string{"n raised": "", "x raised": "no-data", "s raised": "no-data too-warm", "d raised": "", "n resolved": "sensor-fault too-warm"}
		if !maps.Equal(said, want) {
			t.Fatalf("said %q, want %q", said, want)
		}
		for _, a := range h.alerts() {
			want := "/units/fridge-1"
			if a.Excursion.ID == "d" {
				want = "/devices#device-north-pi"
			}
			if got := alerts.Path(a); got != want {
				t.Errorf("%s is answered at %s", a.Excursion.ID, got)
			}
		}
	})
}

// That an alarm reaches nobody is counted, and so is a site for which nobody can be
// called before anything has happened.
func TestUnheard(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.onCall(coldkeep.OnCall{Emails: []string{"anna@north.example"}})
		h.open(h.hook) // no mail server
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = h.s.Run(ctx) }()
		defer func() { cancel(); <-done }()
		sites := []coldkeep.SiteID{"north", "south"}
		if got := h.s.Unheard(sites); !slices.Equal(got, sites) {
			t.Errorf("unheard %v", got)
		}
		if names, err := h.s.Channels(ctx); err != nil || !slices.Equal(names, []string{"webhook"}) {
			t.Errorf("channels %v, %v", names, err)
		}
		h.feed.Append(excursion("x", 1, open, alertToo))
		h.dealt()
		if c, err := h.s.Counts(ctx); err != nil || c != (alerts.Counts{Open: 1, Unheard: 1}) {
			t.Errorf("%+v, %v", c, err)
		}
		h.onCall(coldkeep.OnCall{Emails: []string{"anna@north.example"}, Webhooks: []string{"hook"}})
		if got := h.s.Unheard(sites); got != nil {
			t.Errorf("unheard %v", got)
		}
		h.clock.Advance(time.Minute)
		h.told("raised→hook")
		h.settled()
		if c, err := h.s.Counts(ctx); err != nil || c != (alerts.Counts{Open: 1}) {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

func TestOldNewsOfAnsweredAlertsAreGivenUp(t *testing.T) {
	h := newHouse(t, databasetest.SQLite(t))
	h.hook.failing(func(m alerts.Message) (bool, error) {
		if m.Event == alerts.EventAcknowledged {
			return true, errors.New("away")
		}
		return false, nil
	})
	h.run()
	h.feed.Append(excursion("x", 1, open, alertToo))
	h.told("raised→hook")
	if err := h.s.Acknowledge(t.Context(), h.alerts()[0].ID, "Anna", ""); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(25 * time.Hour)
	feedtest.Until(t, "it is given up", func() bool { return count(t, h.db, "state = 'expired'") == 1 })
}

// A process that slept through the loss of its lead raises, repeats and tells nothing,
// whatever it had found before.
func TestWhoDoesNotLeadTellsNothing(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.hook.failing(func(alerts.Message) (bool, error) { return true, errors.New("away") })
		h.run()
		h.feed.Append(excursion("x", 1, open, alertToo))
		h.dealt()
		h.lose(true)
		tried := func() func() bool {
			asked := h.asked()
			return func() bool { return h.asked() >= asked+10 }
		}
		feedtest.Until(t, "what was under way is over", tried()) // a target has one attempt at a time
		h.hook.failing(nil)
		h.feed.Append(excursion("y", 1, open, alertToo))
		h.clock.Advance(10 * time.Minute)
		feedtest.Until(t, "it has tried over and over", tried())
		if heard := h.hook.heard(); len(heard) != 0 || len(h.alerts()) != 1 {
			t.Fatalf("heard %v, %d alerts", heard, len(h.alerts()))
		}
		h.lose(false)
		feedtest.Until(t, "who leads tells both", func() bool {
			return slices.Contains(h.hook.heard(), "raised→hook") && len(h.alerts()) == 2
		})
	})
}
