package lease_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/lease"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

var quietLog = slog.New(slog.DiscardHandler)

// world is a database whose clock the test sets, and collectors that share it,
// driven step by step.
type world struct {
	t       *rapid.T
	ctx     context.Context
	db      *database.DB
	now     atomic.Int64 // ms
	members []*member
	born    int
}

// member is one life of a collector.
type member struct {
	*lease.Manager
	w     *world
	name  string
	sites []coldkeep.SiteID
	stop  context.CancelFunc
	ended bool

	mu   sync.Mutex
	held map[coldkeep.SiteID]lease.Generation // as it was told
	tx   *sql.Tx                              // begun and fenced, not committed
	on   coldkeep.SiteID
}

// memberClock is wrong by hours and runs slightly fast or slow.
type memberClock struct {
	w    *world
	skew time.Duration
	rate float64
}

func (c memberClock) Now() time.Time {
	return time.UnixMilli(int64(float64(c.w.now.Load()) * c.rate)).Add(c.skew)
}
func (memberClock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

var universe = []coldkeep.SiteID{"ash", "birch", "cedar", "elm", "fir", "hazel"}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	if _, err := w.db.ExecContext(w.ctx, query, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) advance(ms int64) {
	w.exec(`UPDATE test_clock SET ms = $1`, w.now.Add(ms))
}

func (w *world) join(name string) {
	m := &member{w: w, name: name}
	var err error
	m.Manager, err = lease.Open(w.ctx, w.db, lease.Config{Holder: name, Log: quietLog,
		Sites: func() []coldkeep.SiteID { return m.sites },
		Clock: memberClock{w, time.Duration(rapid.IntRange(-48, 48).Draw(w.t, "skew")) * time.Hour, rapid.Float64Range(0.99, 1.01).Draw(w.t, "rate")}})
	if err != nil {
		w.t.Fatal(err)
	}
	m.SetNow("(SELECT ms FROM test_clock)")
	// What was begun under a lease that is to go is ended first.
	m.OnChange(func(held map[coldkeep.SiteID]lease.Generation) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.held = held
		m.end()
	})
	ctx, stop := context.WithCancel(w.ctx)
	m.stop = stop
	go m.Tell(ctx)
	w.members = append(w.members, m)
}

// begin opens a transaction for a site and passes the fence, or not.
func (m *member) begin(site coldkeep.SiteID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tx != nil {
		m.end()
	}
	tx, err := m.w.db.BeginTx(m.w.ctx, nil)
	if err != nil {
		m.w.t.Fatal(err)
	}
	if err := m.Fence(m.w.ctx, tx, site); err != nil {
		if coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			m.w.t.Fatal(err)
		}
		_ = tx.Rollback()
		return
	}
	m.tx, m.on = tx, site
}

// end enters who committed under which lease, as the database has it now.
func (m *member) end() {
	if m.tx == nil {
		return
	}
	tx := m.tx
	m.tx = nil
	_, err := tx.ExecContext(m.w.ctx, `INSERT INTO test_journal (n, site, member, lease, holder, generation)
		SELECT (SELECT COUNT(*) FROM test_journal), $1, $2, name, holder, generation FROM lease WHERE name = $1
			OR name = '*' AND NOT EXISTS (SELECT 1 FROM lease WHERE name = $1)`, string(m.on), m.name)
	if err == nil {
		err = tx.Commit()
	}
	if err == nil {
		return
	}
	_ = tx.Rollback()
	// The server has ended it, as it should, if it was idle for too long.
	var idle *pgconn.PgError
	if !errors.As(err, &idle) || idle.Code != "25P03" {
		m.w.t.Fatal(err)
	}
}

// dies loses everything in memory; its open transaction is undone by the server.
func (m *member) dies() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tx != nil {
		_ = m.tx.Rollback()
		m.tx = nil
	}
	m.ended = true
	m.stop()
}

func (w *world) live() []*member {
	return slices.DeleteFunc(slices.Clone(w.members), func(m *member) bool { return m.ended })
}

// one draws a collector; a world without any gets one.
func (w *world) one() *member {
	if len(w.live()) == 0 {
		w.born++
		w.join(fmt.Sprintf("c%d", w.born))
	}
	return rapid.SampledFrom(w.live()).Draw(w.t, "member")
}

// beats sends a heartbeat. A collector that another life has replaced ends by it.
func (m *member) beats() {
	if err := m.Beat(m.w.ctx); coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
		m.dies()
	} else if err != nil {
		m.w.t.Fatal(err)
	}
}

func (m *member) rounds() {
	if m.ended {
		return
	}
	if err := m.Round(m.w.ctx); err != nil {
		m.w.t.Fatal(err)
	}
}

// check holds the promises that hold at every moment.
func (w *world) check() {
	// A lease's generation is one holder's.
	holder := map[string]*member{}
	for _, m := range w.members {
		for site, g := range m.Held() {
			key := fmt.Sprint(site, " ", g)
			if other := holder[key]; other != nil {
				w.t.Fatalf("%s is held by %s and %s", key, other.name, m.name)
			}
			holder[key] = m
		}
	}
}

func (w *world) journal() {
	rows, err := w.db.QueryContext(w.ctx, `SELECT site, member, lease, holder, generation FROM test_journal ORDER BY n`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	type term struct {
		lease string
		g     int64
	}
	by := map[term]string{}
	last := map[string]term{}
	for rows.Next() {
		var site, member, name, holder string
		var g int64
		if err := rows.Scan(&site, &member, &name, &holder, &g); err != nil {
			w.t.Fatal(err)
		}
		if member != holder {
			w.t.Fatalf("%s committed for %s, whose lease %s is held by %q", member, site, name, holder)
		}
		k := term{name, g}
		if other, ok := by[k]; ok && other != member {
			w.t.Fatalf("%s and %s both committed under generation %d of %s", other, member, g, name)
		}
		by[k] = member
		if l, ok := last[site]; ok && (l.lease == name && g < l.g || l.lease == site && name != site) {
			w.t.Fatalf("%s committed for %s under generation %d of %s after one under %d of %s", member, site, g, name, l.g, l.lease)
		}
		last[site] = k
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
}

// settle lets everybody live for a while and then wants each site to be held once,
// evenly.
func (w *world) settle() {
	for _, m := range w.live() {
		m.beats() // those end that others have replaced
	}
	w.one()
	for range 12 {
		w.advance(1500)
		for _, m := range w.live() {
			m.beats()
		}
		for _, m := range w.live() {
			m.Check()
			m.rounds()
		}
	}
	live := w.live()
	names := map[coldkeep.SiteID]int{lease.Rest: 0}
	for _, m := range w.members {
		for _, s := range m.sites {
			names[s] = 0
		}
	}
	least, most := 1<<30, 0
	for _, m := range live {
		held := m.Held()
		least, most = min(least, len(held)), max(most, len(held))
		for s := range held {
			names[s]++
		}
	}
	for s, n := range names {
		// A site that only a dead collector knew may have no lease; Rest covers it.
		if n > 1 || n == 0 && slices.ContainsFunc(live, func(m *member) bool { return slices.Contains(m.sites, s) }) {
			w.t.Fatalf("%s is held %d times", s, n)
		}
	}
	if most-least > 1 {
		w.t.Fatalf("shared unevenly: %d to %d", least, most)
	}
	for _, s := range append(slices.Clone(universe), "nobody-named-it") {
		n := 0
		for _, m := range live {
			if m.Holds(s) {
				n++
			}
		}
		if n != 1 {
			w.t.Fatalf("%d collectors take what %s sends", n, s)
		}
	}
}

// Whatever collectors do and whenever they die, freeze or start again, with
// whatever clocks, never two can commit for one site; and when it is calm again
// each site is held once.
func TestModel(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		db := databasetest.Open(t, where)
		setup := func(q string) {
			t.Helper()
			if _, err := db.ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		setup(`CREATE TABLE test_clock (ms BIGINT NOT NULL)`)
		setup(`INSERT INTO test_clock (ms) VALUES (0)`)
		setup(`CREATE TABLE test_journal (n BIGINT, site TEXT, member TEXT, lease TEXT, holder TEXT, generation BIGINT)`)
		if _, err := lease.Open(t.Context(), db, lease.Config{Holder: "migrates", Log: quietLog}); err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(rt *rapid.T) {
			w := &world{t: rt, ctx: t.Context(), db: db}
			w.exec(`DELETE FROM test_journal`)
			w.exec(`DELETE FROM lease_member`)
			w.exec(`DELETE FROM lease WHERE name <> '*'`)
			w.exec(`UPDATE lease SET holder = '', generation = 0`)
			w.advance(1_000_000)
			defer func() {
				for _, m := range w.live() {
					m.dies()
				}
			}()
			for range rapid.IntRange(1, 3).Draw(rt, "members") {
				w.born++
				w.join(fmt.Sprintf("c%d", w.born))
			}
			// A transaction that stays open keeps SQLite to itself.
			frozen := db.Postgres()
			rt.Repeat(map[string]func(*rapid.T){
				"": func(*rapid.T) { w.check() },
				"time passes": func(rt *rapid.T) {
					w.advance(rapid.Int64Range(0, 4000).Draw(rt, "ms"))
				},
				"beat":     func(*rapid.T) { w.one().beats() },
				"round":    func(*rapid.T) { w.one().rounds() },
				"watchdog": func(*rapid.T) { w.one().Check() },
				"all live": func(*rapid.T) {
					for _, m := range w.live() {
						m.beats()
						m.Check()
						m.rounds()
					}
				},
				"commit": func(rt *rapid.T) {
					m := w.one()
					m.begin(rapid.SampledFrom(universe).Draw(rt, "site"))
					m.mu.Lock()
					m.end()
					m.mu.Unlock()
				},
				"begin": func(rt *rapid.T) {
					if !frozen {
						rt.Skip()
					}
					w.one().begin(rapid.SampledFrom(universe).Draw(rt, "site"))
				},
				// A process sleeps through its leases, before a fence or behind it, while the
				// others work, and then goes on as if nothing had been.
				"freeze": func(rt *rapid.T) {
					m, site := w.one(), rapid.SampledFrom(universe).Draw(rt, "site")
					if frozen && rapid.Bool().Draw(rt, "in a transaction") {
						m.begin(site)
					}
					for range rapid.IntRange(1, 3).Draw(rt, "times 4 s") {
						w.advance(4000)
						for _, o := range w.live() {
							if o != m {
								o.beats()
								o.rounds()
							}
						}
					}
					if m.tx == nil {
						m.begin(site)
					}
					m.mu.Lock()
					m.end()
					m.mu.Unlock()
				},
				"end": func(*rapid.T) {
					m := w.one()
					m.mu.Lock()
					m.end()
					m.mu.Unlock()
				},
				"the registry names a site": func(rt *rapid.T) {
					for _, m := range w.live() {
						// A new site waits for transactions of the rest. Nobody is frozen here.
						m.mu.Lock()
						m.end()
						m.mu.Unlock()
					}
					m := w.one()
					m.sites = append(m.sites, rapid.SampledFrom(universe).Draw(rt, "site"))
					m.rounds()
				},
				"join": func(rt *rapid.T) {
					if len(w.live()) > 4 {
						rt.Skip()
					}
					w.born++
					w.join(fmt.Sprintf("c%d", w.born))
				},
				"die": func(rt *rapid.T) {
					if len(w.live()) < 2 {
						rt.Skip()
					}
					w.one().dies()
				},
				"start again": func(*rapid.T) {
					m := w.one()
					m.dies()
					w.join(m.name)
				},
				"start a second of that name": func(*rapid.T) {
					old := w.one()
					w.join(old.name)
					next := w.members[len(w.members)-1]
					next.beats()
					next.rounds()
					w.check()
					old.begin(rapid.SampledFrom(universe).Draw(rt, "site")) // it does not know yet
					if !frozen {
						old.mu.Lock()
						old.end()
						old.mu.Unlock()
					}
				},
				"leave": func(rt *rapid.T) {
					if len(w.live()) < 2 {
						rt.Skip()
					}
					m := w.one()
					m.mu.Lock()
					m.end()
					m.mu.Unlock()
					if err := m.Leave(w.ctx); err != nil {
						rt.Fatal(err)
					}
					m.dies()
				},
			})
			for _, m := range w.live() {
				m.mu.Lock()
				m.end()
				m.mu.Unlock()
			}
			w.journal()
			w.settle()
			w.journal()
		})
	})
}
