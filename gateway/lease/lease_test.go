package lease_test

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/lease"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// quick makes a takeover last a second.
const quick = 800 * time.Millisecond

// running is a manager at work.
type running struct {
	*lease.Manager
	t    *testing.T
	db   *database.DB
	stop func() error // ends it and returns what Run did
}

func run(t *testing.T, where, holder string, sites ...coldkeep.SiteID) *running {
	t.Helper()
	db := databasetest.Open(t, where)
	m, err := lease.Open(t.Context(), db, lease.Config{Holder: holder, TTL: quick, Log: quietLog, Sites: func() []coldkeep.SiteID { return sites }})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, db, m)
}

func start(t *testing.T, db *database.DB, m *lease.Manager) *running {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	r := &running{Manager: m, t: t, db: db}
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = r.stop() })
	return r
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		_ = coldkeep.RealClock{}.Sleep(context.Background(), 5*time.Millisecond)
	}
}

func (r *running) holds(n int) {
	r.t.Helper()
	until(r.t, "the right number of leases", func() bool { return len(r.Held()) == n })
}

// commits tries a transaction for a site.
func (r *running) commits(site coldkeep.SiteID) error {
	return r.fenced(func(ctx context.Context, tx *sql.Tx) error { return r.Fence(ctx, tx, site) })
}

func (r *running) fenced(fence func(context.Context, *sql.Tx) error) error {
	return r.db.Tx(context.Background(), func(tx *sql.Tx) error { return fence(context.Background(), tx) })
}

func TestOneHasAll(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		a := run(t, where, "a", "ash", "birch", "NOT A SITE")
		a.holds(3) // and Rest
		for _, s := range []coldkeep.SiteID{"ash", "birch", "unheard-of"} {
			if !a.Holds(s) {
				t.Errorf("does not take what %s sends", s)
			}
			if err := a.commits(s); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		}
		if err := a.commits("NOT A SITE"); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("a name that no site can have: %v", err)
		}
		if got, want := a.Status(), (lease.Status{Alive: true, Members: 1, Sites: 2, Held: 2}); got != want {
			t.Errorf("status %+v, want %+v", got, want)
		}
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		if err := a.commits("ash"); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Errorf("after its end: %v", err)
		}
	})
}

// Who joins gets its share, but not before the other is done with it; who leaves
// leaves nothing behind.
func TestJoinAndLeave(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		sites := []coldkeep.SiteID{"ash", "birch", "cedar"}
		db := databasetest.Open(t, where)
		m, err := lease.Open(t.Context(), db, lease.Config{Holder: "a", TTL: quick, Log: quietLog, Sites: func() []coldkeep.SiteID { return sites }})
		if err != nil {
			t.Fatal(err)
		}
		var held atomic.Int32
		draining, drained := make(chan struct{}), make(chan struct{})
		m.OnChange(func(h map[coldkeep.SiteID]lease.Generation) {
			if held.Swap(int32(len(h))) == 4 && len(h) == 2 {
				close(draining)
				<-drained
			}
		})
		a := start(t, db, m)
		a.holds(4)
		before := a.Held()
		b := run(t, where, "b", sites...)
		<-draining
		// A batch that was under way is committed while it is being given up.
		for s := range before {
			if s == lease.Rest {
				s = "unheard-of"
			}
			if err := a.commits(s); err != nil {
				t.Errorf("%s, before it was handed over: %v", s, err)
			}
		}
		if n := len(b.Held()); n > 0 {
			t.Errorf("%d leases taken that were not given", n)
		}
		close(drained)
		b.holds(2)
		for s := range b.Held() {
			if s != lease.Rest && (a.Holds(s) || !b.Holds(s)) {
				t.Errorf("%s is not handed over", s)
			}
		}
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		if n := held.Load(); n != 0 {
			t.Errorf("it was not told that %d leases are gone", n)
		}
		b.holds(4)
	})
}

// Work that began under an earlier generation is fenced although the site is held
// again.
func TestFenceAs(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		a := run(t, where, "a", "ash")
		a.holds(2)
		old := a.Held()
		as := func(held map[coldkeep.SiteID]lease.Generation, site coldkeep.SiteID) error {
			return a.fenced(func(ctx context.Context, tx *sql.Tx) error { return a.FenceAs(ctx, tx, held, site) })
		}
		if err := errors.Join(as(old, "ash"), as(old, "unheard-of")); err != nil {
			t.Fatal(err)
		}
		// Another collector comes and goes with the whole.
		if _, err := a.db.ExecContext(t.Context(), `UPDATE lease SET holder = 'b', generation = generation + 1`); err != nil {
			t.Fatal(err)
		}
		if err := a.commits("ash"); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Errorf("a lease that another has: %v", err)
		}
		until(t, "taken again", func() bool { h := a.Held(); return len(h) == 2 && !maps.Equal(h, old) })
		for _, s := range []coldkeep.SiteID{"ash", "unheard-of"} {
			if err := as(old, s); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
				t.Errorf("%s under its old generation: %v", s, err)
			}
			if err := as(a.Held(), s); err != nil {
				t.Errorf("%s under its new generation: %v", s, err)
			}
		}
	})
}

// A collector that starts again takes up its own leases without waiting for them to
// lapse; one that it has replaced ends.
func TestStartsAgain(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		first := run(t, where, "a", "ash")
		first.holds(2)
		second := run(t, where, "a", "ash")
		second.holds(2)
		if err := first.stop(); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			// It may have been asked to end before it noticed.
			until(t, "the first is out", func() bool { return coldkeep.ErrorCode(first.commits("ash")) == coldkeep.ECONFLICT })
		}
		if err := second.commits("ash"); err != nil {
			t.Fatalf("the first took the second's leases along: %v", err)
		}
	})
}

func TestReplacedEnds(t *testing.T) {
	where := databasetest.SQLite(t)
	db := databasetest.Open(t, where)
	m, err := lease.Open(t.Context(), db, lease.Config{Holder: "a", TTL: quick, Log: quietLog})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- m.Run(context.Background()) }()
	until(t, "it holds", func() bool { return m.Holds("ash") })
	run(t, where, "a").holds(1)
	select {
	case err := <-ended:
		if coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("it does not notice that another has its name")
	}
}

// Without its database a collector holds nothing, and the task it leads ends; when
// the database is back it goes on.
func TestDatabaseAway(t *testing.T) {
	where := databasetest.SQLite(t)
	a := run(t, where, "a", "ash")
	ctx, cancel := context.WithCancel(t.Context())
	var runs, ends atomic.Int32
	led := make(chan error, 1)
	go func() {
		led <- a.Leader(ctx, "coldkeep:alerts", func(ctx context.Context) error {
			runs.Add(1)
			<-ctx.Done()
			ends.Add(1)
			return ctx.Err()
		})
	}()
	a.holds(2)
	until(t, "the task runs", func() bool { return runs.Load() == 1 })
	// Another connection keeps the file to itself.
	other := databasetest.Open(t, where)
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	a.holds(0)
	until(t, "the task ends", func() bool { return ends.Load() == 1 })
	if a.Status().Alive {
		t.Error("it believes that it lives")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	a.holds(2)
	until(t, "the task runs again", func() bool { return runs.Load() == 2 })
	cancel()
	if err := <-led; err != nil {
		t.Fatal(err)
	}
}

func TestLeader(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		const task = "coldkeep:alerts"
		var leading atomic.Int32
		var most atomic.Int32
		lead := func(r *running, ctx context.Context) <-chan error {
			done := make(chan error, 1)
			go func() {
				done <- r.Leader(ctx, task, func(ctx context.Context) error {
					if n := leading.Add(1); n > most.Load() {
						most.Store(n)
					}
					defer leading.Add(-1)
					if err := r.fenced(func(ctx context.Context, tx *sql.Tx) error { return r.FenceTask(ctx, tx, task) }); err != nil {
						return err
					}
					<-ctx.Done()
					return nil
				})
			}()
			return done
		}
		a, b := run(t, where, "a"), run(t, where, "b")
		led := lead(a, t.Context())
		until(t, "one leads", func() bool { return leading.Load() == 1 })
		ctx, cancel := context.WithCancel(t.Context())
		waits := lead(b, ctx)
		if err := a.Leader(t.Context(), task, nil); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Errorf("led twice in one process: %v", err)
		}
		if err := a.Leader(t.Context(), "alerts", nil); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("a task that could be a site: %v", err)
		}
		if err := b.fenced(func(ctx context.Context, tx *sql.Tx) error { return b.FenceTask(ctx, tx, task) }); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Errorf("fence of who does not lead: %v", err)
		}
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		until(t, "the other leads", func() bool {
			return leading.Load() == 1 && b.fenced(func(ctx context.Context, tx *sql.Tx) error { return b.FenceTask(ctx, tx, task) }) == nil
		})
		if n := most.Load(); n > 1 {
			t.Errorf("%d led at a time", n)
		}
		cancel()
		if err := <-waits; err != nil {
			t.Errorf("its caller ended it: %v", err)
		}
		select {
		case err := <-led:
			t.Errorf("ended by itself: %v", err)
		default:
		}
		// What ends with an error gives the lease up.
		broken := errors.New("cannot go on")
		if err := b.Leader(t.Context(), task, func(context.Context) error { return broken }); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		c := run(t, where, "c")
		again := lead(c, t.Context())
		until(t, "the next leads", func() bool { return leading.Load() == 1 })
		select {
		case err := <-again:
			t.Fatal(err)
		default:
		}
	})
}

func TestConfig(t *testing.T) {
	db := databasetest.Open(t, databasetest.SQLite(t))
	for name, cfg := range map[string]lease.Config{
		"no holder": {Log: quietLog},
		"no log":    {Holder: "a"},
		"too tight": {Holder: "a", Log: quietLog, TTL: time.Second, Heartbeat: time.Second},
		"negative":  {Holder: "a", Log: quietLog, Heartbeat: -time.Second},
	} {
		if _, err := lease.Open(t.Context(), db, cfg); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
}
