package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// TestChain plays three days of a freezer through agent, broker, collector and
// registry, each a process of its own, with and without faults, on the embedded
// defaults and on the real parts.
func TestChain(t *testing.T) {
	t.Parallel() // beside the long wait of TestRegistryAway
	real := func(t *testing.T) parts {
		return parts{broker: "mosquitto", influx: true, registryDatabase: databasetest.Postgres(t), collectorDatabase: databasetest.Postgres(t)}
	}
	t.Run("embedded", func(t *testing.T) { playThrough(t, parts{}, nil) })
	t.Run("embedded with faults", func(t *testing.T) { playThrough(t, parts{}, faults) })
	t.Run("real parts", func(t *testing.T) { playThrough(t, real(t), nil) })
	t.Run("real parts with faults", func(t *testing.T) {
		playThrough(t, real(t), func(t *testing.T, c *chain, stored func() int) {
			faults(t, c, stored)
			waitStored(t, stored, genMinutes*3/4)
			c.influx.Kill()
			pause(2 * time.Second)
			c.influx.start()
		})
	})
}

// faults are what happens to the chain while the log streams: the collector is
// killed twice, and the broker is gone for a while.
func faults(t *testing.T, c *chain, stored func() int) {
	waitStored(t, stored, genMinutes/5)
	c.collector.Kill()
	pause(time.Second)
	c.collector.start()
	waitStored(t, stored, genMinutes*2/5)
	c.broker.Kill()
	pause(3 * time.Second)
	c.broker.start()
	waitStored(t, stored, genMinutes*3/5)
	c.collector.Kill()
	c.collector.start()
}

func waitStored(t *testing.T, stored func() int, n int) {
	t.Helper()
	eventually(t, 2*time.Minute, fmt.Sprintf("%d readings stored", n), func() error {
		if got := stored(); got < n {
			return fmt.Errorf("%d so far", got)
		}
		return nil
	})
}

func playThrough(t *testing.T, p parts, faults func(t *testing.T, c *chain, stored func() int)) {
	tell := newTelling(t)
	p.extraCollector = tell.flags()
	c := newChain(t, p)
	tell.onCall(signIn(t, c.registryURL, "dana", "lakeside-manager"))
	g := generate(t, c.dir)
	speed := 0.0
	if faults != nil {
		speed = 14_400 // three days in 18 seconds, so that faults hit it in the stream
	}
	agent := c.recorder(g.path, speed)
	agent.start()
	if faults != nil {
		faults(t, c, func() int {
			lines, err := c.stored(g.from, g.to)
			if err != nil {
				return 0
			}
			return len(lines)
		})
	}
	select {
	case <-agent.Done():
	case <-time.After(4 * time.Minute):
		t.Fatal("the agent has not got everything acknowledged")
	}

	// Every record once, as the generator's ledger has it.
	var lines []string
	eventually(t, 30*time.Second, "export", func() (err error) {
		lines, err = c.stored(g.from, g.to)
		return err
	})
	if !slices.Equal(lines, g.ledger) {
		t.Fatalf("stored is not what was produced: %s", firstDifference(lines, g.ledger))
	}
	c.verdict()
	tell.once()
	c.proves(len(g.ledger), !p.influx)
}

// verdict checks that the one excursion is what it is by hand, and that it has one
// alert and one hold.
func (c *chain) verdict() {
	t := c.t
	t.Helper()
	eventually(t, 60*time.Second, "the excursion's last word", func() error {
		alerts, err := c.alerts()
		if err != nil {
			return err
		}
		if len(alerts) != 1 {
			return fmt.Errorf("%d alerts, want one", len(alerts))
		}
		x := alerts[0].Excursion
		if x.End == nil {
			return fmt.Errorf("excursion is still open: %+v", x)
		}
		want := coldkeep.Excursion{Kind: coldkeep.TooWarm, Rule: coldkeep.Consecutive, Start: at(genStart), PeakAt: at(genPeak), Extreme: 12_000, MinutesOut: genEnd - genStart}
		if x.Kind != want.Kind || x.Rule != want.Rule || !x.Start.Equal(want.Start) || !x.End.Equal(at(genEnd)) || !x.PeakAt.Equal(want.PeakAt) ||
			x.Extreme != want.Extreme || x.MinutesOut != want.MinutesOut || !x.Has(coldkeep.ActionHold) {
			return fmt.Errorf("excursion is %+v, ends %v", x, x.End)
		}
		return nil
	})
	person := signIn(t, c.registryURL, "dana", "lakeside-manager")
	eventually(t, 60*time.Second, "one hold", func() error { return person.oneHold("Recorded freezer") })
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Sprintf("%d readings for %d produced; at %d %q for %q", len(got), len(want), i, g, w)
		}
	}
	return "no difference"
}

// TestRegistryAway leaves the registry dead while the log plays: nothing is lost
// and everything is posted, in order, when it is back. COLDKEEP_TEST_AWAY sets for
// how long; the test command of CI asks for ten minutes.
func TestRegistryAway(t *testing.T) {
	away := 15 * time.Second
	if v := os.Getenv("COLDKEEP_TEST_AWAY"); v != "" {
		var err error
		if away, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	t.Parallel()
	c := newChain(t, parts{})
	g := generate(t, c.dir)
	// The collector needs the mirror once; from then on it works from its copy.
	eventually(t, 30*time.Second, "mirror", func() error {
		_, err := c.stored(g.from, g.to)
		return err
	})
	c.registry.Kill()
	start := time.Now()
	agent := c.recorder(g.path, 0)
	agent.start()
	select {
	case <-agent.Done():
	case <-time.After(2 * time.Minute):
		t.Fatal("the agent has not got everything acknowledged while the registry was away")
	}
	eventually(t, 60*time.Second, "the alert, without a registry", func() error {
		alerts, err := c.alerts()
		if err == nil && len(alerts) != 1 {
			err = fmt.Errorf("%d alerts", len(alerts))
		}
		return err
	})
	pause(away - time.Since(start))
	c.registry.start()
	c.ready(c.registryURL)
	c.verdict()
	lines, err := c.stored(g.from, g.to)
	if err != nil || !slices.Equal(lines, g.ledger) {
		t.Fatalf("stored is not what was produced (%v): %s", err, firstDifference(lines, g.ledger))
	}
	c.inOrder(filepath.Join(c.dir, "registry", "registry.db"))
}
