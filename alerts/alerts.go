// Package alerts calls a person to an appliance and goes on calling until one has
// answered by name.
//
// It reads the collector's feed. Every excursion that asks for an alert raises one,
// once, whatever crashes and whatever its kind: a temperature, a silence, a fault of a
// probe or of a device; its later revisions update it. A change passes small
// stages, each of which leaves its decision and its reason in a row:
//
//	raise → route → dedup → deliver     an entry of the feed
//	due   → route → deliver             an alert that nobody has answered
//	answer → route → deliver            a person has answered
//
// The rows of a pass, the alert's state and the place in the feed are one SQL
// transaction. Deliveries are rows too: a worker sends them through a Channel and
// keeps every attempt with its outcome. What is told is told at least once, under
// a delivery id that stays the same however often it is tried.
//
// Rules run on the injected Clock, networks on the machine's.
package alerts

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// DefaultRepeat is how long an unanswered alert rests before it is told again when
// the site's policy does not say.
const DefaultRepeat = 15 * time.Minute

// nobodyRepeat is how soon an alert that could be told to nobody looks again: the
// policy may only not have arrived yet.
const nobodyRepeat = time.Minute

// newsLife is how long news about an alert that somebody has answered are worth
// sending.
const newsLife = 24 * time.Hour

// Feed is the collector's list of changes.
type Feed interface {
	// Changes returns up to limit entries with N above after, in ascending order.
	Changes(ctx context.Context, after int64, limit int) ([]coldkeep.Change, error)
	// Wait returns nil when there is an entry with N above after, and an error when
	// ctx ends first.
	Wait(ctx context.Context, after int64) error
}

// Retry bounds the time between two attempts of a delivery, on the machine's
// clock. It doubles from Min to Max and never stops while the alert is open.
type Retry struct {
	Min time.Duration // 2 s when zero
	Max time.Duration // 1 min when zero
}

// Config is what a Service needs.
type Config struct {
	Clock coldkeep.Clock // the machine's when nil
	Log   *slog.Logger   // slog.Default when nil
	Feed  Feed           // required

	// OnCall says who is told at a site. It is asked at each telling, so a change of
	// policy counts from the next one. Required.
	OnCall func(coldkeep.SiteID) coldkeep.OnCall
	// Channels carry the messages; OnCall.Webhooks go to the one named "webhook",
	// OnCall.Emails to the one named "email".
	Channels []Channel
	// Describe names a site and an appliance for people. Without it they are called
	// by their ids.
	Describe func(coldkeep.SiteID, coldkeep.ApplianceID) (coldkeep.Site, coldkeep.Appliance)
	// Link gives the address of the screen where an alert is answered, "" for none; its
	// path is Path's.
	Link func(coldkeep.Alert) string

	// Fence is asked in each transaction of Run, and before each sending, whether this
	// process is still the one that may; an error leaves everything to the one that is.
	// nil when there is no other.
	Fence func(context.Context, *sql.Tx) error

	Retry       Retry
	SendTimeout time.Duration // of one attempt; 15 s when zero
}

// Service raises alerts, tells them and takes the answers.
type Service struct {
	cfg      Config
	db       *database.DB
	log      *slog.Logger
	channels map[string]Channel
	live     broadcast

	deliveries signal // there may be a delivery to send
	repeats    signal // an alert has been raised or told
}

//go:embed migrations/*.sql
var migrations embed.FS

// Component is the name under which the tables' versions are counted.
const Component = "alerts"

// Migrations are the steps that make the tables.
func Migrations() fs.FS { return database.Steps(migrations) }

// Open brings the tables up to date and returns a Service that is at rest until
// Run. A Config without Feed or OnCall, or with two channels of one name, is
// EINVALID; a database that fails is EUNAVAILABLE.
func Open(ctx context.Context, db *database.DB, cfg Config) (*Service, error) {
	if cfg.Feed == nil || cfg.OnCall == nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "alerts: a Feed and an OnCall are needed")
	}
	if cfg.Clock == nil {
		cfg.Clock = coldkeep.RealClock{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Describe == nil {
		cfg.Describe = func(s coldkeep.SiteID, a coldkeep.ApplianceID) (coldkeep.Site, coldkeep.Appliance) {
			return coldkeep.Site{ID: s}, coldkeep.Appliance{ID: a, Site: s}
		}
	}
	if cfg.Link == nil {
		cfg.Link = func(coldkeep.Alert) string { return "" }
	}
	if cfg.Retry.Min <= 0 {
		cfg.Retry.Min = 2 * time.Second
	}
	if cfg.Retry.Max <= 0 {
		cfg.Retry.Max = time.Minute
	}
	if cfg.SendTimeout <= 0 {
		cfg.SendTimeout = 15 * time.Second
	}
	s := &Service{
		cfg: cfg, db: db, log: cfg.Log.With("part", "alerts"),
		channels:   make(map[string]Channel, len(cfg.Channels)),
		deliveries: newSignal(), repeats: newSignal(),
	}
	for _, c := range cfg.Channels {
		if _, twice := s.channels[c.Name()]; twice {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "alerts: two channels are named %q", c.Name())
		}
		s.channels[c.Name()] = c
	}
	if err := db.Migrate(ctx, Component, Migrations()); err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, "INSERT INTO alert_cursor (id, n) VALUES (1, 0) ON CONFLICT (id) DO NOTHING"); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Open", "place in the feed")
	}
	return s, nil
}

// Run reads the feed, sends deliveries and repeats unanswered alerts until ctx
// ends, and then returns nil. Failures of the feed, the database or a channel are
// logged and tried again; none ends it. A database may be shared by one running
// Service only.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.persist(ctx, "reading the feed", s.intake) })
	wg.Go(func() { s.persist(ctx, "repeating alerts", s.repeat) })
	wg.Go(func() { s.persist(ctx, "sending deliveries", s.deliverAll) })
	wg.Wait()
	return nil
}

// persist runs loop again after every error, with a growing pause, until ctx ends.
// The loop calls ok when it got somewhere, which makes the pauses short again.
func (s *Service) persist(ctx context.Context, what string, loop func(ctx context.Context, ok func()) error) {
	pause := newBackoff(s.cfg.Retry)
	for ctx.Err() == nil {
		err := loop(ctx, pause.Reset)
		if ctx.Err() != nil {
			return
		}
		wait := pause.NextBackOff()
		s.log.ErrorContext(ctx, "alerts are held up, trying again", "doing", what, "err", err, "pause", wait)
		_ = coldkeep.RealClock{}.Sleep(ctx, wait) // the loop's condition sees an ended ctx
	}
}

// tx is a transaction of Run.
func (s *Service) tx(ctx context.Context, do func(tx *sql.Tx) error) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		if s.cfg.Fence != nil {
			if err := s.cfg.Fence(ctx, tx); err != nil {
				return err
			}
		}
		return do(tx)
	})
}

func newBackoff(r Retry) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: r.Min, MaxInterval: r.Max, Multiplier: 2,
		RandomizationFactor: backoff.DefaultRandomizationFactor,
	}
}

// signal wakes one waiter; further calls before it wakes are one.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (s signal) wake() {
	select {
	case s <- struct{}{}:
	default: // it will wake anyway
	}
}
