package main

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/bench/collector/fleet"
	"github.com/coldkeep/coldkeep/gateway/readings/influx"
	"github.com/coldkeep/coldkeep/internal/servers"
)

// raw measures what InfluxDB takes when nothing stands before it: two writers of
// requests of 5,000 points, which is what it likes best, of as many series as there are
// agents.
func raw(ctx context.Context, dir string, o options) error {
	const writers, chunk = 2, 5000
	p, url, err := servers.Influx(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(filepath.Dir(dir) + "/raw") }() // what is left goes with the folder above
	defer p.Stop(syscall.SIGTERM)
	var written atomic.Int64
	stop := make(chan struct{})
	var g errgroup.Group
	for w := range writers {
		g.Go(func() error {
			store, err := influx.Open(influx.Config{URL: url, Bucket: servers.InfluxBucket})
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }() // it only holds connections
			start := time.Now().Add(-16 * time.Hour).UnixMilli()
			rs := make([]coldkeep.Reading, chunk)
			for n := int64(0); ; {
				select {
				case <-stop:
					return nil
				default:
				}
				for k := range rs {
					device := int(n)%(o.agents/writers+1)*writers + w
					seq := n/int64(o.agents/writers+1) + 1
					r := fleet.Plain(device, seq, start+seq*500)
					rs[k] = coldkeep.Reading{Series: coldkeep.Series{Site: site, Agent: agentName(device), Probe: r.Probe}, Epoch: fleet.Epoch(device), Seq: seq,
						At: r.At, Celsius: r.Celsius, Raw: r.Raw, Lo: r.Lo, Hi: r.Hi}
					n++
				}
				if err := store.Append(ctx, rs); err != nil {
					return err
				}
				written.Add(chunk)
			}
		})
	}
	b := bench{options: o, ctx: ctx, influx: p}
	b.sleep(o.warm)
	before, began, had := b.spent(), time.Now(), written.Load()
	b.sleep(o.seconds)
	r := b.spent()
	r.took, r.measured = time.Since(began), written.Load()-had
	r.during(before)
	close(stop)
	if err := g.Wait(); err != nil {
		return err
	}
	r.name, r.produced = "raw InfluxDB writes, two writers of 5,000 (the limit)", written.Load()
	r.print()
	return nil
}
