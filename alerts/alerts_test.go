package alerts_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/feedtest"
)

var start = time.Date(2026, 8, 17, 20, 0, 0, 0, time.UTC)

// channel is a channel in memory whose next sendings fail as they are told to.
type channel struct {
	name string

	mu   sync.Mutex
	got  []alerts.Message
	fail func(alerts.Message) (retryable bool, err error)
}

func (c *channel) Name() string { return c.name }

func (c *channel) Send(_ context.Context, m alerts.Message) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		if retryable, err := c.fail(m); err != nil {
			return retryable, err
		}
	}
	c.got = append(c.got, m)
	return false, nil
}

func (c *channel) failing(f func(alerts.Message) (bool, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = f
}

// heard lists "event→target" in the order of arrival.
func (c *channel) heard() (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.got {
		out = append(out, string(m.Event)+"→"+m.To)
	}
	return out
}

func (c *channel) messages() []alerts.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// house is a Service with everything about it.
type house struct {
	t     *testing.T
	db    *database.DB
	feed  *feedtest.Feed
	clock *feedtest.Clock
	hook  *channel
	mail  *channel
	s     *alerts.Service

	mu     sync.Mutex
	policy coldkeep.OnCall
	stop   func()
}

func newHouse(t *testing.T, where string) *house {
	h := &house{
		t: t, db: databasetest.Open(t, where), feed: feedtest.New(), clock: feedtest.NewClock(start),
		hook: &channel{name: alerts.ChannelWebhook}, mail: &channel{name: alerts.ChannelEmail},
		policy: coldkeep.OnCall{Webhooks: []string{"hook"}, RepeatAfter: 600}, stop: func() {},
	}
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *house) onCall(p coldkeep.OnCall) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.policy = p
}

func (h *house) open(channels ...alerts.Channel) {
	h.t.Helper()
	if channels == nil {
		channels = []alerts.Channel{h.hook, h.mail}
	}
	var err error
	h.s, err = alerts.Open(h.t.Context(), h.db, alerts.Config{
		Clock: h.clock, Log: slog.New(slog.DiscardHandler), Feed: h.feed, Channels: channels,
		OnCall: func(coldkeep.SiteID) coldkeep.OnCall {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.policy
		},
		Retry: alerts.Retry{Min: time.Millisecond, Max: 5 * time.Millisecond},
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// run opens the Service and runs it until stop or the test's end.
func (h *house) run() {
	h.t.Helper()
	h.open()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.s.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
}

func (h *house) alerts() []coldkeep.Alert {
	h.t.Helper()
	list, err := h.s.Alerts(h.t.Context(), "", false)
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// told waits until the webhook has heard exactly want.
func (h *house) told(want ...string) {
	h.t.Helper()
	if !eventually(func() bool { return len(h.hook.heard()) >= len(want) }) || !slices.Equal(h.hook.heard(), want) {
		h.t.Fatalf("heard %v, want %v", h.hook.heard(), want)
	}
}

func eventually(ok func() bool) bool {
	tick, limit := time.NewTicker(2*time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			return false
		}
	}
	return true
}

// dealt waits until the feed has been dealt with.
func (h *house) dealt() {
	h.t.Helper()
	feedtest.Until(h.t, "the feed has been dealt with", func() bool { return cursor(h.t, h.db) == h.feed.Len() })
}

func cursor(t testing.TB, db *database.DB) (n int64) {
	t.Helper()
	if err := db.QueryRow("SELECT n FROM alert_cursor").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// settled waits until every delivery made has come to its end.
func (h *house) settled() {
	h.t.Helper()
	feedtest.Until(h.t, "deliveries have come to their end", func() bool { return count(h.t, h.db, "state = 'pending'") == 0 })
}

func count(t testing.TB, db *database.DB, where string) (n int) {
	t.Helper()
	if err := db.QueryRow("SELECT COUNT(*) FROM alert_delivery WHERE " + where).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func excursion(id string, revision int, state coldkeep.ExcursionState, actions ...coldkeep.Action) coldkeep.Change {
	x := coldkeep.Excursion{
		ID: id, Revision: revision, Site: "north", Appliance: "fridge-1", Probe: "north/pi/T0", Kind: coldkeep.TooWarm,
		Rule: coldkeep.Consecutive, Profile: "cdc@1", Start: start, PeakAt: start.Add(time.Hour), Extreme: 12400,
		MinutesOut: 61, Actions: actions, State: state,
	}
	if state == coldkeep.ExcursionClosed {
		end := start.Add(2 * time.Hour)
		x.End = &end
	}
	return coldkeep.Change{At: start, Excursion: &x}
}

const (
	open      = coldkeep.ExcursionOpen
	closed    = coldkeep.ExcursionClosed
	withdrawn = coldkeep.ExcursionWithdrawn
	logOnly   = coldkeep.ActionLog
	alertToo  = coldkeep.ActionAlert
)

func each(t *testing.T, test func(t *testing.T, h *house)) {
	databasetest.Each(t, func(t *testing.T, where string) { test(t, newHouse(t, where)) })
}

func TestRaisedOnceHoweverOftenTheNewsComes(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.feed.Append(
			coldkeep.Change{Interval: &coldkeep.Interval{Appliance: "fridge-1"}},
			excursion("x", 1, open, logOnly), // a defrost so far
			excursion("x", 2, open, logOnly, alertToo),
			excursion("x", 2, open, logOnly, alertToo), // a feed may not, and if it does
			excursion("x", 3, open, logOnly, alertToo), // grows, which is on the screen
			excursion("quiet", 1, open, logOnly),
			excursion("gone", 1, withdrawn, alertToo),
			excursion("", 1, open, alertToo), // nothing to know it by
		)
		h.run()
		h.dealt()
		h.told("raised→hook")
		list := h.alerts()
		if len(list) != 1 || list[0].Excursion.Revision != 3 || list[0].State != coldkeep.AlertOpen || !list[0].RaisedAt.Equal(start) || list[0].Site != "north" {
			t.Fatalf("got %+v", list)
		}
		// Everything again, by a Service that starts anew on the same database.
		h.stop()
		h.run()
		h.feed.Append(excursion("x", 3, open, alertToo))
		h.dealt()
		h.settled()
		h.told("raised→hook")
		if list := h.alerts(); len(list) != 1 {
			t.Fatalf("got %+v", list)
		}
		decisions, err := h.s.Decisions(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range decisions {
			got = append(got, fmt.Sprintf("%d %s %s", d.Revision, d.Stage, d.Decision))
		}
		want := []string{"1 raise ignored", "2 raise raised", "2 route routed", "2 dedup tell", "2 deliver queued",
			"2 raise ignored", "3 raise updated", "3 route routed", "3 dedup held", "3 raise ignored"}
		if !slices.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

func TestTheEndIsToldOnceAndStillNeedsAPerson(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.run()
		for i, c := range []struct {
			change coldkeep.Change
			want   string // "" when people hear nothing
		}{
			{excursion("x", 1, open, alertToo), "raised→hook"},
			{excursion("x", 2, closed, alertToo), "resolved→hook"},
			{excursion("x", 3, closed, alertToo), ""},
			{excursion("x", 4, open, alertToo), "reopened→hook"},
			{excursion("x", 5, open, logOnly), ""}, // late readings: no rule asks for a person any more
			{excursion("x", 6, withdrawn, alertToo), "withdrawn→hook"},
			{excursion("x", 7, withdrawn), ""},
		} {
			before := len(h.hook.heard())
			h.feed.Append(c.change)
			h.dealt()
			h.settled()
			got := strings.Join(h.hook.heard()[before:], " ")
			if got != c.want {
				t.Fatalf("change %d: heard %q, want %q", i, got, c.want)
			}
		}
		if list := h.alerts(); len(list) != 1 || list[0].State != coldkeep.AlertOpen || list[0].Excursion.State != withdrawn {
			t.Fatalf("got %+v", list)
		}
		h.clock.Advance(10 * time.Minute)
		feedtest.Until(t, "it is told again", func() bool { return slices.Contains(h.hook.heard(), "repeated→hook") })
	})
}

func TestRepeatedUntilAnswered(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.run()
		h.feed.Append(excursion("x", 1, open, alertToo))
		h.told("raised→hook")
		h.settled()
		h.clock.Advance(9*time.Minute + 59*time.Second)
		h.clock.Advance(time.Second)
		h.told("raised→hook", "repeated→hook")
		h.settled()
		// A crash or a stop does not silence it.
		h.stop()
		h.clock.Advance(10 * time.Minute)
		h.run()
		h.told("raised→hook", "repeated→hook", "repeated→hook")
		h.settled()
		id := h.alerts()[0].ID
		if err := h.s.Acknowledge(t.Context(), id, " Anna Berg ", "moved to fridge 2"); err != nil {
			t.Fatal(err)
		}
		h.told("raised→hook", "repeated→hook", "repeated→hook", "acknowledged→hook")
		h.clock.Advance(24 * time.Hour)
		// Somebody else presses a moment later: the first answer stands.
		if err := h.s.Acknowledge(t.Context(), id, "Bo", ""); err != nil {
			t.Fatal(err)
		}
		h.feed.Append(excursion("x", 2, closed, alertToo))
		h.told("raised→hook", "repeated→hook", "repeated→hook", "acknowledged→hook", "resolved→hook")
		a := h.alerts()[0]
		if a.State != coldkeep.AlertAcknowledged || a.AcknowledgedBy != "Anna Berg" || a.Note != "moved to fridge 2" ||
			a.AcknowledgedAt == nil || !a.AcknowledgedAt.Equal(start.Add(20*time.Minute)) || a.Excursion.Revision != 2 {
			t.Fatalf("got %+v", a)
		}
		if m := h.hook.messages(); m[4].Alert.AcknowledgedBy != "Anna Berg" || m[4].Alert.State != coldkeep.AlertAcknowledged {
			t.Fatalf("news without the answer: %+v", m[4].Alert)
		}
		if open, err := h.s.Alerts(t.Context(), "", true); err != nil || len(open) != 0 {
			t.Fatalf("got %v, %v", open, err)
		}
	})
}

func TestClockThatJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{"a month ahead": 30 * 24 * time.Hour, "an hour back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, databasetest.SQLite(t))
			h.run()
			h.feed.Append(excursion("x", 1, open, alertToo))
			h.told("raised→hook")
			h.settled()
			h.stop() // the demo's clock starts where it likes
			h.clock.Advance(jump)
			h.run()
			h.told("raised→hook", "repeated→hook") // once, not once for every ten minutes of the month
			h.settled()
			h.clock.Advance(10 * time.Minute)
			h.told("raised→hook", "repeated→hook", "repeated→hook")
		})
	}
}

func TestAcknowledgeRefuses(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.run()
		h.feed.Append(excursion("x", 1, open, alertToo))
		h.told("raised→hook")
		id := h.alerts()[0].ID
		for _, c := range []struct{ id, person, note, code string }{
			{id, "", "", coldkeep.EINVALID},
			{id, " \t", "", coldkeep.EINVALID},
			{id, "A\nB", "", coldkeep.EINVALID},
			{id, "A\x00B", "", coldkeep.EINVALID},
			{id, strings.Repeat("x", 201), "", coldkeep.EINVALID},
			{id, "Anna", "a\x00b", coldkeep.EINVALID},
			{id, "Anna", strings.Repeat("x", 4001), coldkeep.EINVALID},
			{"none", "Anna", "", coldkeep.ENOTFOUND},
			{"", "Anna", "", coldkeep.ENOTFOUND},
			{"\x00", "Anna", "", coldkeep.ENOTFOUND},
		} {
			if err := h.s.Acknowledge(t.Context(), c.id, c.person, c.note); coldkeep.ErrorCode(err) != c.code {
				t.Errorf("%q %q %.10q: %v", c.id, c.person, c.note, err)
			}
		}
		if a := h.alerts()[0]; a.State != coldkeep.AlertOpen {
			t.Fatalf("got %+v", a)
		}
	})
}

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
		feedtest.Until(t, "the policy is seen", func() bool { h.clock.Advance(time.Minute); return len(h.hook.heard()) > 0 })
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

func TestAFailingFeedEndsNothing(t *testing.T) {
	h := newHouse(t, databasetest.SQLite(t))
	h.feed.Fail(errors.New("ledger away"))
	h.feed.Append(excursion("x", 1, open, alertToo))
	h.run()
	h.feed.Fail(nil)
	h.told("raised→hook")
}

func TestSubscribe(t *testing.T) {
	h := newHouse(t, databasetest.SQLite(t))
	h.run()
	ctx, cancel := context.WithCancel(t.Context())
	events, slow := h.s.Subscribe(ctx), h.s.Subscribe(ctx)
	want := coldkeep.LiveEvent{Type: "alert", Site: "north", Appliance: "fridge-1"}
	h.feed.Append(excursion("x", 1, open, alertToo))
	if got := <-events; got != want {
		t.Fatalf("got %+v", got)
	}
	h.told("raised→hook")
	if err := h.s.Acknowledge(t.Context(), h.alerts()[0].ID, "Anna", ""); err != nil {
		t.Fatal(err)
	}
	if got := <-events; got != want {
		t.Fatalf("got %+v", got)
	}
	if got := <-slow; got != want { // it kept nobody waiting
		t.Fatalf("got %+v", got)
	}
	cancel()
	for range events { // ends
	}
}

func TestAlertsOfASite(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.run()
		south := excursion("y", 1, open, alertToo)
		south.Excursion.Site = "south"
		h.feed.Append(excursion("x", 1, open, alertToo))
		h.dealt()
		h.clock.Advance(time.Minute)
		h.feed.Append(south)
		h.dealt()
		if err := h.s.Acknowledge(t.Context(), h.alerts()[0].ID, "Anna", ""); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			site coldkeep.SiteID
			open bool
			want string
		}{{"", false, "x y"}, {"", true, "x"}, {"south", false, "y"}, {"south", true, ""}, {"none", false, ""}} {
			list, err := h.s.Alerts(t.Context(), c.site, c.open)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range list {
				got = append(got, a.Excursion.ID)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("site %q, open %v: got %v", c.site, c.open, got)
			}
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	db := databasetest.Open(t, databasetest.SQLite(t))
	policy := func(coldkeep.SiteID) coldkeep.OnCall { return coldkeep.OnCall{} }
	for _, cfg := range []alerts.Config{
		{OnCall: policy},
		{Feed: feedtest.New()},
		{Feed: feedtest.New(), OnCall: policy, Channels: []alerts.Channel{&channel{name: "a"}, &channel{name: "a"}}},
	} {
		if _, err := alerts.Open(t.Context(), db, cfg); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("got %v", err)
		}
	}
}
