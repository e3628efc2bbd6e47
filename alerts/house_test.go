package alerts_test

import (
	"context"
	"database/sql"
	"log/slog"
	"slices"
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
	lost   bool // another process leads
	fenced int  // how often it was asked whether ours does
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

// lose has another process lead, or ours again.
func (h *house) lose(lost bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = lost
}

func (h *house) asked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fenced
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
		Fence: func(context.Context, *sql.Tx) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.fenced++; h.lost {
				return coldkeep.Errorf(coldkeep.ECONFLICT, "another process leads")
			}
			return nil
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
