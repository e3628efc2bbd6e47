package lease_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/lease"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/servers"
)

const (
	memberVar   = "COLDKEEP_TEST_LEASE_MEMBER"
	memberSites = 24
)

func clusterSites() []coldkeep.SiteID {
	var out []coldkeep.SiteID
	for i := range memberSites {
		out = append(out, coldkeep.SiteID(fmt.Sprintf("site-%d", i)))
	}
	return out
}

// TestMember is not a test: it is a collector in a process of its own, which
// TestCluster starts, stops, freezes and kills. It commits for every site it holds,
// over and over.
func TestMember(t *testing.T) {
	name, where := os.Getenv(memberVar), os.Getenv(databasetest.PostgresURL)
	if name == "" {
		t.Skip("it is a part of TestCluster")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	db, err := database.Open(ctx, where)
	if err != nil {
		t.Fatal(err)
	}
	m, err := lease.Open(ctx, db, lease.Config{Holder: name, Sites: clusterSites, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	for i := 0; ctx.Err() == nil; i++ {
		// One in four works on without asking first, as a process would that has slept.
		if site := coldkeep.SiteID(fmt.Sprintf("site-%d", i%memberSites)); m.Holds(site) || i%4 == 0 {
			if err := db.Tx(ctx, func(tx *sql.Tx) error { return journal(ctx, tx, m, name, site) }); err != nil && coldkeep.ErrorCode(err) != coldkeep.ECONFLICT && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "commit:", err)
			}
		}
		_ = coldkeep.RealClock{}.Sleep(ctx, time.Millisecond)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func journal(ctx context.Context, tx *sql.Tx, m *lease.Manager, name string, site coldkeep.SiteID) error {
	if err := m.Fence(ctx, tx, site); err != nil {
		return err
	}
	// Signals should find most processes here, with the fence passed.
	_ = coldkeep.RealClock{}.Sleep(ctx, 10*time.Millisecond)
	// Two that commit for one site at a time would want the same n.
	_, err := tx.ExecContext(ctx, `INSERT INTO test_journal (site, n, member, generation, at)
		SELECT $1, COALESCE((SELECT MAX(n) FROM test_journal WHERE site = $1), 0) + 1, $2, generation, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)
		FROM lease WHERE name = $1`, string(site), name)
	return err
}

// Collectors in processes of their own are killed, frozen for longer than their
// leases last, stopped and started. Never do two commit for one site, and the sites
// of a dead one are soon another's; how soon is logged.
func TestCluster(t *testing.T) {
	where := databasetest.Postgres(t)
	db := databasetest.Open(t, where)
	ctx := t.Context()
	if _, err := db.ExecContext(ctx, `CREATE TABLE test_journal (site TEXT, n BIGINT, member TEXT, generation BIGINT, at BIGINT, PRIMARY KEY (site, n))`); err != nil {
		t.Fatal(err)
	}
	if _, err := lease.Open(ctx, db, lease.Config{Holder: "onlooker", Log: quietLog}); err != nil { // makes the tables
		t.Fatal(err)
	}
	t.Setenv(databasetest.PostgresURL, where)
	spawn := func(name string) *servers.Process {
		p := &servers.Process{Name: name, Args: []string{"/usr/bin/env", memberVar + "=" + name, os.Args[0], "-test.run=^TestMember$", "-test.timeout=10m"}}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			p.Kill()
			if t.Failed() {
				t.Logf("--- %s said:\n%s", p.Name, p.Log().Tail(3000))
			}
		})
		return p
	}
	clock := func() (ms int64) {
		if err := db.QueryRowContext(ctx, `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`).Scan(&ms); err != nil {
			t.Fatal(err)
		}
		return ms
	}
	// balanced waits until three members share all leases, and all have committed.
	balanced := func() {
		t.Helper()
		until(t, "all have their share", func() bool {
			var members, least, committed int
			if err := db.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MIN(n), 0), (SELECT COUNT(*) FROM lease l WHERE name <> '*' AND holder =
				(SELECT member FROM test_journal WHERE site = l.name ORDER BY n DESC LIMIT 1)) FROM
				(SELECT COUNT(*) AS n FROM lease WHERE holder <> '' GROUP BY holder) h`).Scan(&members, &least, &committed); err != nil {
				t.Fatal(err)
			}
			return members == 3 && least == (memberSites+1)/3 && committed == memberSites
		})
	}
	// covered waits until others than one member have committed for every site since.
	covered := func(since int64, not string) {
		t.Helper()
		until(t, "every site has another holder", func() bool {
			var n int
			if err := db.QueryRowContext(ctx, `SELECT COUNT(DISTINCT site) FROM test_journal WHERE at > $1 AND member <> $2`, since, not).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n == memberSites
		})
	}
	// away logs how long the sites of one were nobody's.
	away := func(what, name string, at int64) {
		t.Helper()
		var n, most, mean sql.NullFloat64
		if err := db.QueryRowContext(ctx, `SELECT COUNT(*), MAX(gap), AVG(gap) FROM (
			SELECT (SELECT MIN(at) FROM test_journal k WHERE k.site = j.site AND k.at > $1 AND k.member <> $2) - MAX(j.at) AS gap
			FROM test_journal j WHERE j.at <= $1 GROUP BY j.site
			HAVING (ARRAY_AGG(j.member ORDER BY j.n DESC))[1] = $2) g`, at, name).Scan(&n, &most, &mean); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %v sites without a holder for %.0f ms on average, %.0f ms at most", what, n.Float64, mean.Float64, most.Float64)
	}
	ps := map[string]*servers.Process{}
	for _, name := range []string{"a", "b", "c"} {
		ps[name] = spawn(name)
	}
	balanced()

	victim := []string{"a", "b", "c"}[rand.IntN(3)]
	since := clock()
	ps[victim].Kill()
	covered(since, victim)
	away("killed", victim, since)
	ps[victim] = spawn(victim)
	balanced()

	frozen := []string{"a", "b", "c"}[rand.IntN(3)]
	since = clock()
	if err := syscall.Kill(ps[frozen].PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	covered(since, frozen)
	away("frozen", frozen, since)
	if err := syscall.Kill(ps[frozen].PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	balanced()

	leaver := []string{"a", "b", "c"}[rand.IntN(3)]
	since = clock()
	ps[leaver].Stop(syscall.SIGTERM)
	covered(clock(), leaver)
	away("stopped", leaver, since)

	rows, err := db.QueryContext(ctx, `SELECT site, member, generation FROM test_journal ORDER BY site, n`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	type last struct {
		member string
		g      int64
	}
	seen := map[string]last{}
	n := 0
	for rows.Next() {
		var site string
		var l last
		if err := rows.Scan(&site, &l.member, &l.g); err != nil {
			t.Fatal(err)
		}
		if was := seen[site]; l.g < was.g || l.g == was.g && l.member != was.member && was.member != "" {
			t.Errorf("%s: %s commits under generation %d after %s under %d", site, l.member, l.g, was.member, was.g)
		}
		seen[site] = l
		n++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d commits, none by two holders", n)
}
