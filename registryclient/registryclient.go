// Package registryclient keeps a registry informed and mirrors what the collector
// needs of it.
//
// What goes out passes a durable outbox:
//
//	feed ──pump──► registry_outbox ──sender──► transport ──► registry
//
// The pump turns each change of the collector's feed into parcels and moves its
// place in the feed in the same SQL transaction. The sender takes the parcels
// strictly in order, one at a time. A registry that is away loses nothing: the
// parcels wait and go out in order on its return, each under an idempotency key
// that belongs to its content, so a parcel that arrives twice counts once. A parcel
// that the registry refuses for good is parked with the reason and the rest goes
// on. Silence and faults of a probe are posted like temperatures, and never ask for a
// hold; a fault of a device is not the registry's and is not posted.
//
// What comes in is the mirror: sites, appliances, assignments, devices, on-call
// policy, cached in a table so that the collector works from the first moment
// whether the registry is there or not.
//
// The latest status of each appliance is posted too, at most once a minute an
// appliance; it is not kept when it fails, for the next one says more.
//
// No patient data passes here.
package registryclient

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registryclient/transport"
	"github.com/coldkeep/coldkeep/registryclient/transport/rest"
)

// Feed is the collector's list of changes.
type Feed interface {
	// Changes returns up to limit entries with N above after, in ascending order.
	Changes(ctx context.Context, after int64, limit int) ([]coldkeep.Change, error)
	// Wait returns nil when there is an entry with N above after, and an error when
	// ctx ends first.
	Wait(ctx context.Context, after int64) error
}

// Source is where the mirror comes from.
type Source interface {
	// Mirror returns a mirror of another revision than since, or nil when there was
	// none within wait.
	Mirror(ctx context.Context, since int64, wait time.Duration) (*coldkeep.Mirror, error)
}

// Retry bounds the pause between two attempts, on the machine's clock. It doubles
// from Min to Max, with jitter.
type Retry struct {
	Min time.Duration // 500 ms when zero
	Max time.Duration // 30 s when zero
}

// Config is what a Client needs.
type Config struct {
	BaseURL string        // of the registry: "https://registry.example"
	Token   string        // of the collector's interface account
	Timeout time.Duration // of one call; 15 s when zero

	Clock coldkeep.Clock // the machine's when nil
	Log   *slog.Logger   // slog.Default when nil
	Feed  Feed           // required
	// Status gives the latest of every appliance, to be posted; none is posted
	// without it.
	Status func(context.Context) ([]coldkeep.ApplianceStatus, error)
	Retry  Retry
	// Fence is asked in each transaction in which Deliver makes parcels whether this
	// process is still the one that may; an error leaves everything to the one that is.
	// nil when there is no other. A post needs none: twice under its key it is one.
	Fence func(context.Context, *sql.Tx) error

	// Transport and Source are REST to BaseURL when nil.
	Transport transport.Transport
	Source    Source
}

// Client is the registry client.
type Client struct {
	away atomic.Bool // the registry did not answer last

	cfg Config
	db  *database.DB
	log *slog.Logger

	parcels chan struct{} // there may be a parcel to send

	mirrorMu sync.Mutex
	mirror   coldkeep.Mirror

	listenMu  sync.Mutex // keeps the calls one after the other; taken before mirrorMu
	listeners []func(coldkeep.Mirror)
}

//go:embed migrations/*.sql
var migrations embed.FS

// Component is the name under which the tables' versions are counted.
const Component = "registryclient"

// Migrations are the steps that make the tables.
func Migrations() fs.FS { return database.Steps(migrations) }

// Open brings the tables up to date, reads the cached mirror and returns a Client
// that is at rest until Run. A Config that cannot work is EINVALID, a database that
// fails EUNAVAILABLE. The registry is not spoken to.
func Open(ctx context.Context, db *database.DB, cfg Config) (*Client, error) {
	if cfg.Feed == nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "registryclient: a Feed is needed")
	}
	if cfg.Transport == nil || cfg.Source == nil {
		r, err := rest.New(rest.Config{BaseURL: cfg.BaseURL, Token: cfg.Token, Timeout: cfg.Timeout})
		if err != nil {
			return nil, err
		}
		if cfg.Transport == nil {
			cfg.Transport = r
		}
		if cfg.Source == nil {
			cfg.Source = r
		}
	}
	if cfg.Clock == nil {
		cfg.Clock = coldkeep.RealClock{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Retry.Min <= 0 {
		cfg.Retry.Min = 500 * time.Millisecond
	}
	if cfg.Retry.Max <= 0 {
		cfg.Retry.Max = 30 * time.Second
	}
	c := &Client{cfg: cfg, db: db, log: cfg.Log.With("part", "registryclient"), parcels: make(chan struct{}, 1)}
	if err := db.Migrate(ctx, Component, Migrations()); err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, "INSERT INTO registry_cursor (id, n, parcel) VALUES (1, 0, 0) ON CONFLICT (id) DO NOTHING"); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.Open", "place in the feed")
	}
	return c, c.loadMirror(ctx)
}

// Run is Follow and Deliver together.
func (c *Client) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Follow(ctx) })  // nil
	wg.Go(func() { _ = c.Deliver(ctx) }) // nil
	wg.Wait()
	return nil
}

// Deliver pumps the feed and sends the parcels until ctx ends, and then returns nil.
// Failures of the feed, the database or the registry are logged and tried again;
// none ends it. Of those that share a database one Client may deliver at a time.
func (c *Client) Deliver(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { c.persist(ctx, "reading the feed", c.pump) })
	wg.Go(func() { c.persist(ctx, "sending to the registry", c.send) })
	wg.Wait()
	return nil
}

// Follow follows the mirror and posts status, as Deliver does its part.
func (c *Client) Follow(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { c.persist(ctx, "following the registry's mirror", c.follow) })
	if c.cfg.Status != nil {
		wg.Go(func() { c.persist(ctx, "posting status", c.postStatus) })
	}
	wg.Wait()
	return nil
}

// persist runs loop again after every error, with a growing pause, until ctx ends.
// The loop calls ok when it got somewhere, which makes the pauses short again. The
// same failure is logged as an error once; its repetitions are for debugging.
func (c *Client) persist(ctx context.Context, what string, loop func(ctx context.Context, ok func()) error) {
	pause := c.newBackoff()
	said := ""
	ok := func() {
		pause.Reset()
		if said != "" {
			c.log.InfoContext(ctx, "going on", "doing", what)
			said = ""
		}
	}
	for ctx.Err() == nil {
		err := loop(ctx, ok)
		if ctx.Err() != nil || err == nil {
			return
		}
		wait := pause.NextBackOff()
		level := slog.LevelError
		if said == err.Error() {
			level = slog.LevelDebug
		}
		said = err.Error()
		c.log.Log(ctx, level, "held up, trying again", "doing", what, "err", err, "pause", wait)
		_ = coldkeep.RealClock{}.Sleep(ctx, wait) // the loop's condition sees an ended ctx
	}
}

// tx is a transaction of Deliver.
func (c *Client) tx(ctx context.Context, do func(tx *sql.Tx) error) error {
	return c.db.Tx(ctx, func(tx *sql.Tx) error {
		if c.cfg.Fence != nil {
			if err := c.cfg.Fence(ctx, tx); err != nil {
				return err
			}
		}
		return do(tx)
	})
}

func (c *Client) newBackoff() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: c.cfg.Retry.Min, MaxInterval: c.cfg.Retry.Max, Multiplier: 2,
		RandomizationFactor: backoff.DefaultRandomizationFactor,
	}
}

func (c *Client) wake() {
	select {
	case c.parcels <- struct{}{}:
	default: // it will wake anyway
	}
}

// Backlog is what the registry has not heard yet.
type Backlog struct {
	Pending int64      `json:"pending"`
	Refused int64      `json:"refused"`
	Oldest  *time.Time `json:"oldest"` // when the first of the pending was decided
}

// Backlog counts what waits and what was refused. A failing database is
// EUNAVAILABLE.
func (c *Client) Backlog(ctx context.Context) (Backlog, error) {
	var b Backlog
	var oldest *int64
	err := c.db.QueryRowContext(ctx, `SELECT
		(SELECT COUNT(*) FROM registry_outbox WHERE state = 'pending'),
		(SELECT COUNT(*) FROM registry_outbox WHERE state = 'refused'),
		(SELECT at FROM registry_outbox WHERE state = 'pending' ORDER BY n LIMIT 1)`).Scan(&b.Pending, &b.Refused, &oldest)
	if oldest != nil {
		t := database.Time(*oldest)
		b.Oldest = &t
	}
	return b, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.Backlog", "outbox")
}

// refusedLimit is how many parcels Refused lists, the latest.
const refusedLimit = 1000

// Parcel is an entry of the outbox.
type Parcel struct {
	N        int64           `json:"n"`
	Kind     string          `json:"kind"` // interval, excursion, hold, proposal
	Path     string          `json:"path"`
	Key      string          `json:"key"`
	Body     json.RawMessage `json:"body"`
	Attempts int             `json:"attempts"`
	Reason   string          `json:"reason"` // what the registry said last
	At       time.Time       `json:"at"`     // when its change was decided
}

// Refused lists the parcels that the registry refuses for good, the latest first
// and at most a thousand. A failing database is EUNAVAILABLE.
func (c *Client) Refused(ctx context.Context) ([]Parcel, error) {
	rows, err := c.db.QueryContext(ctx, `SELECT n, kind, path, key, body, attempts, last_error, at FROM registry_outbox
		WHERE state = 'refused' ORDER BY n DESC LIMIT $1`, refusedLimit)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.Refused", "outbox")
	}
	defer func() { _ = rows.Close() }() // only read from; rows.Err is looked at
	var out []Parcel
	for rows.Next() {
		var p Parcel
		var body string
		var at int64
		if err := rows.Scan(&p.N, &p.Kind, &p.Path, &p.Key, &body, &p.Attempts, &p.Reason, &at); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.Refused", "outbox")
		}
		p.Body, p.At = json.RawMessage(body), database.Time(at)
		out = append(out, p)
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "registryclient.Refused", "outbox")
}
