package alerts_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/feedtest"
)

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
