// Package lease shares the work among several collectors by leases in their SQL
// database: every site, the rest of the sites, and every task that one process
// alone may do, has one holder.
//
// A collector says that it lives by one row of its own (a heartbeat each 1.5 s),
// however many leases it has. Who has been silent for the TTL (6 s) by the
// database's clock has lost them: the others take them over in their next round,
// at most 7.5 s after the last heartbeat. Sites are shared evenly, and as few as
// can be move when somebody comes or goes.
//
// A heartbeat proves nothing to one who slept through the TTL. So what counts is
// the generation of a lease, which grows with every holder: Fence, called in the
// transaction that commits, checks it under a lock that a taker has to wait for.
package lease

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Component is the name under which the tables' versions are counted.
const Component = "lease"

// Migrations are the steps that make the tables.
func Migrations() fs.FS { return database.Steps(migrations) }

// Generation counts the holders that a lease has had.
type Generation int64

// Rest is the lease on all sites that have none of their own: those that no
// registry has named yet. Who holds it listens to everybody.
const Rest coldkeep.SiteID = "*"

const (
	defaultTTL       = 6 * time.Second
	defaultHeartbeat = 1500 * time.Millisecond
)

// Config says who takes part, and for what.
type Config struct {
	// Holder names this collector. No two that run at a time may have one name; a
	// collector that starts again under its name has its leases back at once.
	Holder string
	// Sites lists the sites that the registry knows. A site once listed by any
	// collector keeps a lease of its own.
	Sites func() []coldkeep.SiteID
	// TTL is how long a silent collector keeps its leases, 0 is 6 s. All that share a
	// database should have the same.
	TTL time.Duration
	// Heartbeat is the time between two signs of life and between two rounds, 0 is a
	// quarter of the TTL.
	Heartbeat time.Duration
	// Clock is the machine's; it only paces, and notices when the database has not
	// answered for too long. nil is coldkeep.RealClock.
	Clock coldkeep.Clock
	Log   *slog.Logger
}

// Manager holds this collector's leases.
type Manager struct {
	cfg         Config
	db          *database.DB
	incarnation string
	now         string // the database's time in ms, as SQL

	mu       sync.Mutex
	lastBeat time.Time             // when the last heartbeat that arrived was sent
	alive    bool                  // lastBeat is younger than the TTL
	lapses   int                   // how often alive became false
	own      map[string]Generation // leases that the database says are ours
	giving   map[string]bool       // of these, the ones that we are about to give up
	known    map[string]bool       // all leases that there are
	members  int
	listen   []func(map[coldkeep.SiteID]Generation)
	tasks    map[string]*task
	// Listeners are told in order, the latest state at a time.
	version, told uint64
	change        chan struct{} // closed when version or told has grown, then replaced
}

// Open brings the tables up to date in db, which the caller closes. A Holder or
// times that make no sense are EINVALID.
func Open(ctx context.Context, db *database.DB, cfg Config) (*Manager, error) {
	if cfg.TTL == 0 {
		cfg.TTL = defaultTTL
	}
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = cfg.TTL * defaultHeartbeat / defaultTTL
	}
	if cfg.Clock == nil {
		cfg.Clock = coldkeep.RealClock{}
	}
	if cfg.Sites == nil {
		cfg.Sites = func() []coldkeep.SiteID { return nil }
	}
	switch {
	case cfg.Holder == "" || cfg.Log == nil:
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "leases need the name of their holder and a log")
	case cfg.Heartbeat < 0 || cfg.TTL < 3*cfg.Heartbeat || cfg.Heartbeat < time.Millisecond:
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "leases of %v with a heartbeat each %v: want room for three", cfg.TTL, cfg.Heartbeat)
	}
	if err := db.Migrate(ctx, Component, Migrations()); err != nil {
		return nil, err
	}
	return &Manager{cfg: cfg, db: db, incarnation: ulid.Make().String(), now: clockSQL(db),
		own: map[string]Generation{}, giving: map[string]bool{}, known: map[string]bool{}, tasks: map[string]*task{}, change: make(chan struct{})}, nil
}

// OnChange has f told which sites are held, at once and whenever that changes. The
// key Rest stands for all sites without a lease of their own.
//
// f returns when nothing is under way any more for what is no longer held: until
// then nothing is handed over, and nothing is taken. Call it before Run.
func (m *Manager) OnChange(f func(held map[coldkeep.SiteID]Generation)) {
	m.mu.Lock()
	m.listen = append(m.listen, f)
	m.changed()
	m.mu.Unlock()
}

// Holds reports whether what a site sends is this collector's to take, as far as it
// knows. Only Fence is sure.
func (m *Manager) Holds(site coldkeep.SiteID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := m.covering(string(site))
	_, ok := m.own[name]
	return ok && !m.giving[name]
}

// covering names the lease that a site falls under. The caller holds m.mu.
func (m *Manager) covering(site string) string {
	if m.known[site] {
		return site
	}
	return string(Rest)
}

// Held returns the sites held, as OnChange tells them.
func (m *Manager) Held() map[coldkeep.SiteID]Generation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held()
}

func (m *Manager) held() map[coldkeep.SiteID]Generation {
	out := map[coldkeep.SiteID]Generation{}
	for name, g := range m.own {
		if !m.giving[name] && !isTask(name) {
			out[coldkeep.SiteID(name)] = g
		}
	}
	return out
}

// Status is what operators want to know of a manager.
type Status struct {
	Alive   bool // the database has its heartbeats
	Members int  // collectors alive at the last round, this one too
	Sites   int  // site leases there are, without Rest
	Held    int  // of these, held here
}

// Status tells how it stands.
func (m *Manager) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Status{Alive: m.alive, Members: m.members}
	for name := range m.known {
		if name != string(Rest) && !isTask(name) {
			s.Sites++
			if _, ok := m.own[name]; ok && !m.giving[name] {
				s.Held++
			}
		}
	}
	return s
}

// changed has the listeners told. The caller holds m.mu.
func (m *Manager) changed() {
	m.version++
	m.wake()
}

func (m *Manager) wake() {
	close(m.change)
	m.change = make(chan struct{})
}

// Run takes part until ctx ends, and then gives everything up at once. It returns
// ECONFLICT when another process has started under the same name.
func (m *Manager) Run(ctx context.Context) error {
	// The listeners learn the last state when everything else has stopped.
	telling, stopTelling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopTelling()
	go m.tell(telling)
	var workers sync.WaitGroup
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	workers.Go(func() { m.watch(ctx) })
	workers.Go(func() {
		failing := false
		for ctx.Err() == nil {
			err := m.beat(ctx)
			switch {
			case coldkeep.ErrorCode(err) == coldkeep.ECONFLICT:
				stop(err)
				return
			case err != nil && ctx.Err() == nil:
				if !failing {
					m.cfg.Log.Warn("leases cannot be renewed", "error", err)
				}
				failing = true
				_ = m.cfg.Clock.Sleep(ctx, m.cfg.Heartbeat/4) // the loop sees an end
				continue
			case failing:
				m.cfg.Log.Info("leases are renewed again")
				failing = false
			}
			_ = m.cfg.Clock.Sleep(ctx, m.cfg.Heartbeat) // the loop sees an end
		}
	})
	for ctx.Err() == nil {
		if err := m.round(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Log.Warn("leases cannot be shared", "error", err)
		}
		_ = m.cfg.Clock.Sleep(ctx, m.pause()) // the loop sees an end
	}
	workers.Wait()
	m.lapse("")
	// What hangs is given up on after a TTL; its commits will be fenced.
	patience, cancel := context.WithTimeout(telling, m.cfg.TTL)
	if m.quiet(patience) != nil || m.idle(patience) != nil {
		m.cfg.Log.Error("work under leases does not end; they are given up nevertheless")
	}
	cancel()
	stopTelling()
	err := context.Cause(ctx)
	if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
		return err
	}
	return m.leave(context.WithoutCancel(ctx))
}

// pause is the time until the next round: short until the first heartbeat has
// arrived.
func (m *Manager) pause() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lastBeat.IsZero() {
		return m.cfg.Heartbeat / 20
	}
	return m.cfg.Heartbeat
}

// watch drops the leases in time when the database does not answer: at five sixths
// of the TTL, so that what has to stop has stopped when others take over.
func (m *Manager) watch(ctx context.Context) {
	for m.cfg.Clock.Sleep(ctx, m.cfg.Heartbeat/6) == nil {
		m.check()
	}
}

// late reports whether the last heartbeat is too long ago. The caller holds m.mu.
func (m *Manager) late() bool { return m.cfg.Clock.Now().Sub(m.lastBeat) >= m.cfg.TTL*5/6 }

func (m *Manager) check() {
	m.mu.Lock()
	lapsed := m.alive && m.late()
	m.mu.Unlock()
	if lapsed {
		m.lapse("leases have lapsed: the database did not take a heartbeat in time")
	}
}

// lapse drops every lease on this side.
func (m *Manager) lapse(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.alive {
		return
	}
	if why != "" {
		m.cfg.Log.Error(why, "leases", len(m.own))
	}
	m.alive = false
	m.lapses++
	for name := range m.own {
		m.drop(name)
	}
	m.changed()
}

// drop forgets a lease. The caller holds m.mu.
func (m *Manager) drop(name string) {
	delete(m.own, name)
	delete(m.giving, name)
	if t := m.tasks[name]; t != nil {
		t.stop()
	}
}

// tell tells the listeners.
func (m *Manager) tell(ctx context.Context) {
	for {
		m.mu.Lock()
		version, held, change, listen := m.version, m.held(), m.change, m.listen
		if version == m.told {
			m.mu.Unlock()
			select {
			case <-ctx.Done():
				return
			case <-change:
				continue
			}
		}
		m.mu.Unlock()
		for _, f := range listen {
			f(maps.Clone(held))
		}
		m.mu.Lock()
		m.told = version
		m.wake()
		m.mu.Unlock()
	}
}

// quiet waits until the listeners have dealt with all changes there are now.
func (m *Manager) quiet(ctx context.Context) error {
	m.mu.Lock()
	version := m.version
	for m.told < version {
		change := m.change
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-change:
		}
		m.mu.Lock()
	}
	m.mu.Unlock()
	return nil
}

// idle waits until no task runs.
func (m *Manager) idle(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		active := false
		for _, t := range m.tasks {
			active = active || t.active
		}
		if !active {
			return nil
		}
		change := m.change
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			m.mu.Lock()
			return ctx.Err()
		case <-change:
		}
		m.mu.Lock()
	}
}

// round brings what is held nearer to what should be.
func (m *Manager) round(ctx context.Context) error {
	// What was lost must be over here before anything is taken.
	if err := m.quiet(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	alive, lapses := m.alive, m.lapses
	m.mu.Unlock()
	if !alive {
		return nil
	}
	// Where another was quicker, the next look shows what is left.
	for range 3 {
		v, err := m.look(ctx)
		if err != nil {
			return err
		}
		if fresh := m.fresh(v); len(fresh) > 0 {
			if err := m.add(ctx, fresh); err != nil {
				m.cfg.Log.Warn("new sites have no lease yet", "sites", len(fresh), "error", err)
			} else if v, err = m.look(ctx); err != nil {
				return err
			}
		}
		if err := m.compare(ctx, v); err != nil {
			return err
		}
		give, take := m.plan(v)
		if err := m.give(ctx, give); err != nil {
			return err
		}
		got, err := m.take(ctx, v, take, lapses)
		if err != nil {
			return err
		}
		if got == len(take) {
			return m.tidy(ctx, v)
		}
	}
	return nil
}

var siteSyntax = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// fresh are names that should have a lease and have none: new sites, and tasks.
func (m *Manager) fresh(v view) []string {
	var out []string
	for _, s := range m.cfg.Sites() {
		if _, ok := v.leases[string(s)]; !ok && siteSyntax.MatchString(string(s)) {
			out = append(out, string(s))
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.tasks {
		if _, ok := v.leases[name]; !ok {
			out = append(out, name)
		}
	}
	return out
}

// compare drops what the database says is no longer ours, and waits until that is
// over here.
func (m *Manager) compare(ctx context.Context, v view) error {
	m.mu.Lock()
	changed := false
	for name := range v.leases {
		if !m.known[name] {
			m.known[name], changed = true, true
		}
	}
	for name, g := range m.own {
		if l := v.leases[name]; l.holder != m.cfg.Holder || l.generation != g {
			m.cfg.Log.Warn("a lease was lost", "lease", name, "generation", g, "to", l.holder)
			m.drop(name)
			changed = true
		}
	}
	m.members = len(v.live)
	if changed {
		m.changed()
	}
	m.mu.Unlock()
	return m.quiet(ctx)
}

// plan says what to give and what to take.
func (m *Manager) plan(v view) (give, take []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sites := map[string]lease{}
	for name, l := range v.leases {
		_, ours := m.own[name]
		// What an earlier life of ours held, or we before a lapse, is ours to take up
		// again; the others count it as held.
		adopt := l.holder == m.cfg.Holder && !ours && v.alive(m.cfg.Holder)
		if !v.alive(l.holder) {
			l.holder = ""
		}
		t := m.tasks[name]
		switch {
		case !isTask(name):
			sites[name] = l
			if adopt {
				take = append(take, name)
			}
		case adopt && t == nil || ours && (t == nil || t.waiting):
			give = append(give, name) // nobody here does it
		case t != nil && t.waiting && (adopt || l.holder == "" && v.alive(m.cfg.Holder)):
			take = append(take, name)
		}
	}
	g, k := share(m.cfg.Holder, v.live, sites)
	take = slices.DeleteFunc(take, func(name string) bool { return slices.Contains(g, name) })
	return append(give, g...), append(take, k...)
}

// give hands leases back when nothing is under way for them any more.
func (m *Manager) give(ctx context.Context, names []string) error {
	giving := map[string]bool{}
	for _, name := range names {
		giving[name] = true
	}
	m.mu.Lock()
	if !maps.Equal(giving, m.giving) {
		m.giving = giving
		m.changed()
	}
	m.mu.Unlock()
	if len(names) == 0 {
		return nil
	}
	if err := m.quiet(ctx); err != nil {
		return err
	}
	return m.release(ctx, names)
}

// take takes free leases and returns how many it got.
func (m *Manager) take(ctx context.Context, v view, names []string, lapses int) (int, error) {
	if len(names) == 0 {
		return 0, nil
	}
	got, err := m.seize(ctx, names)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lapses != lapses || !m.alive {
		return len(names), err // the next round takes them anew
	}
	from := map[string]int{}
	for name, g := range got {
		m.own[name] = g
		if t := m.tasks[name]; t != nil {
			t.start(g)
		}
		holder := v.leases[name].holder
		if _, silent := v.expires[holder]; silent && holder != m.cfg.Holder {
			from[holder]++
		}
	}
	for holder, n := range from {
		m.cfg.Log.Warn("leases of a silent collector taken over", "from", holder, "leases", n, "silent_for", v.silent(holder, m.cfg.TTL))
	}
	if len(got) > 0 {
		m.changed()
	}
	return len(got), err
}

// isTask tells a task's name from a site's, which has no colon.
func isTask(name string) bool { return strings.Contains(name, ":") }
