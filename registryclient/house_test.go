package registryclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/feedtest"
	"github.com/coldkeep/coldkeep/internal/registryfake"
	"github.com/coldkeep/coldkeep/registryclient"
)

var start = time.Date(2026, 8, 17, 20, 0, 0, 0, time.UTC)

const token = "s3cret"

// house is a Client with everything about it.
type house struct {
	t        *testing.T
	db       *database.DB
	feed     *feedtest.Feed
	registry *registryfake.Registry
	cfg      registryclient.Config
	c        *registryclient.Client
	stop     func()
}

func newHouse(t *testing.T, where string) *house {
	t.Helper()
	r, err := registryfake.New("", token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	h := &house{t: t, db: databasetest.Open(t, where), feed: feedtest.New(), registry: r, stop: func() {}}
	h.cfg = config(h.feed, r.URL())
	t.Cleanup(func() { h.stop() })
	return h
}

func config(feed registryclient.Feed, url string) registryclient.Config {
	return registryclient.Config{
		BaseURL: url, Token: token, Timeout: 2 * time.Second, Log: slog.New(slog.DiscardHandler), Feed: feed,
		Retry: registryclient.Retry{Min: time.Millisecond, Max: 5 * time.Millisecond},
	}
}

func (h *house) run() {
	h.t.Helper()
	var err error
	if h.c, err = registryclient.Open(h.t.Context(), h.db, h.cfg); err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.c.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
}

// sent waits until all of the feed has been sent or refused.
func (h *house) sent() {
	h.t.Helper()
	feedtest.Until(h.t, "all has been sent", func() bool { return done(h.db, h.feed.Len()) })
}

func done(db *database.DB, n int64) bool {
	var at, pending int64
	err := db.QueryRow("SELECT n, (SELECT COUNT(*) FROM registry_outbox WHERE state = 'pending') FROM registry_cursor").Scan(&at, &pending)
	return err == nil && at == n && pending == 0
}

func (h *house) backlog() registryclient.Backlog {
	h.t.Helper()
	b, err := h.c.Backlog(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// got tells what took effect at the registry in few words.
func got(r *registryfake.Registry) (out []string) {
	for _, e := range r.Effects() {
		out = append(out, brief(e.Path, e.Body))
	}
	return out
}

func brief(path string, body []byte) string {
	var b struct {
		ID       string     `json:"id"`
		Revision int        `json:"revision"`
		Readings int        `json:"readings"`
		Since    *time.Time `json:"since"`
		Action   string     `json:"action"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return err.Error()
	}
	since := ""
	if b.Since != nil {
		since = b.Since.Format(" 15:04")
	}
	switch {
	case strings.HasSuffix(path, "/intervals"):
		return fmt.Sprintf("interval %d", b.Readings)
	case strings.HasSuffix(path, "/excursions"):
		return fmt.Sprintf("%s revision %d", b.ID, b.Revision)
	case strings.HasSuffix(path, "/holds"):
		return b.ID + since
	}
	hold := strings.TrimSuffix(path[strings.LastIndex(path, "/holds/")+len("/holds/"):], "/proposal")
	return b.Action + " " + hold + since
}

// interval is the n-th interval of a probe.
func interval(n int) coldkeep.Change {
	from := start.Add(time.Duration(n) * 15 * time.Minute)
	return coldkeep.Change{At: start, Interval: &coldkeep.Interval{
		Appliance: "fridge-1", Probe: "north/pi/T0", From: from, To: from.Add(15 * time.Minute),
		Min: 3000, MinAt: &from, Max: 5000, MaxAt: &from, Mean: 4000, Readings: n, Revision: 1,
	}}
}

func excursion(id string, revision int, begin time.Time, state coldkeep.ExcursionState, actions ...coldkeep.Action) coldkeep.Change {
	return coldkeep.Change{At: start, Excursion: &coldkeep.Excursion{
		ID: id, Revision: revision, Site: "north", Appliance: "fridge-1", Probe: "north/pi/T0", Kind: coldkeep.TooWarm,
		Rule: coldkeep.Consecutive, Profile: "cdc@1", Start: begin, PeakAt: begin, Extreme: 12400, Actions: actions, State: state,
	}}
}

const (
	open      = coldkeep.ExcursionOpen
	closed    = coldkeep.ExcursionClosed
	withdrawn = coldkeep.ExcursionWithdrawn
	logOnly   = coldkeep.ActionLog
	hold      = coldkeep.ActionHold
)

func each(t *testing.T, test func(t *testing.T, h *house)) {
	databasetest.Each(t, func(t *testing.T, where string) { test(t, newHouse(t, where)) })
}
