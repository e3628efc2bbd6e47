package registryclient_test

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registryclient"
	"github.com/coldkeep/coldkeep/registryclient/transport"
)

var backlogSize = flag.Int64("backlog", 20_000, "parcels that wait while the registry is away")

// long is a feed of size intervals that keeps none of them.
type long struct{ size int64 }

func (l long) Changes(_ context.Context, after int64, limit int) (out []coldkeep.Change, err error) {
	for n := after + 1; n <= l.size && len(out) < limit; n++ {
		c := interval(int(n))
		c.N = n
		out = append(out, c)
	}
	return out, nil
}

func (l long) Wait(ctx context.Context, after int64) error {
	if after < l.size {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// gate is a registry that is away until it is opened.
type gate struct {
	open  atomic.Bool
	taken atomic.Int64
}

func (g *gate) Post(context.Context, string, string, []byte) (transport.Answer, error) {
	if !g.open.Load() {
		return transport.Answer{}, errors.New("away")
	}
	g.taken.Add(1)
	return transport.Answer{Verdict: transport.Accepted}, nil
}

// BenchmarkBacklog lets a backlog grow while the registry is away and then go. The
// memory in use must not grow with it.
func BenchmarkBacklog(b *testing.B) {
	for name, where := range map[string]func(testing.TB) string{"sqlite": databasetest.SQLite, "postgres": databasetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				backlog(b, where(b))
			}
		})
	}
}

func backlog(b *testing.B, where string) {
	db := databasetest.Open(b, where)
	g := &gate{}
	c, err := registryclient.Open(b.Context(), db, registryclient.Config{
		Feed: long{*backlogSize}, Transport: g, Source: still{}, Log: slog.New(slog.DiscardHandler),
		Retry: registryclient.Retry{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	over := make(chan struct{})
	go func() { defer close(over); _ = c.Run(ctx) }()
	defer func() { cancel(); <-over }()
	var most uint64
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	reach := func(sql string) time.Duration {
		began := time.Now()
		for range tick.C {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			var ok bool
			if err := db.QueryRow(sql, *backlogSize).Scan(&ok); err != nil {
				b.Fatal(err)
			}
			if ok {
				break
			}
		}
		return time.Since(began)
	}
	in := reach("SELECT n = $1 FROM registry_cursor")
	g.open.Store(true)
	out := reach("SELECT NOT EXISTS (SELECT 1 FROM registry_outbox WHERE n <= $1)")
	b.ReportMetric(float64(*backlogSize)/in.Seconds(), "kept/s")
	b.ReportMetric(float64(*backlogSize)/out.Seconds(), "sent/s")
	b.ReportMetric(float64(most)/(1<<20), "MB-heap")
	b.ReportMetric(float64(g.taken.Load()), "calls")
}
