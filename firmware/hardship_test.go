package firmware

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/collectortest"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/feedtest"
	"github.com/coldkeep/coldkeep/sensors"
)

// The clock leaps by a day to and fro, the broker comes and goes, acks are held back,
// and the agent is stopped and started, at random. Every sample that was taken arrives
// once, under consecutive numbers of one epoch, and its chain is that of the seals. (That
// the leaps themselves are recorded needs the machine's clock: TestClockStep.)
func TestHardship(t *testing.T) {
	const seed = 20260301
	rng := rand.New(rand.NewPCG(seed, 1))
	c := collectortest.Start(t, "clinic", "pi", secret)
	clock := feedtest.NewClock(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	data := t.TempDir()
	begin := func() *agent {
		return run(t, c, data, func(cfg *Config) { cfg.Clock, cfg.TimeTrust, cfg.ResendAfter = clock, "", 200*time.Millisecond })
	}
	a := begin()
	up, taken := true, 0
	want := map[coldkeep.Temperature]bool{}
	for range 250 {
		switch n := rng.IntN(40); {
		case n < 30:
			clock.Advance(time.Minute)
			batch := make([]sensors.Sample, 1+rng.IntN(8))
			for i := range batch {
				taken++
				v := coldkeep.Temperature(taken) // each its own, to be told apart
				batch[i] = sensors.Sample{Probe: coldkeep.ProbeID(fmt.Sprint("p", i)), At: clock.Now(), Raw: v}
				want[v] = true
			}
			a.samples <- batch
			<-a.done
		case n < 32:
			clock.Advance(24 * time.Hour)
		case n < 34:
			clock.Advance(-24 * time.Hour)
		case n < 37:
			if up = !up; up {
				c.Restart()
			} else {
				c.Stop()
			}
		case n < 38:
			c.Withhold(rng.IntN(2) == 0)
		default:
			a.end(t)
			a = begin()
		}
	}
	c.Withhold(false)
	if !up {
		c.Restart()
	}
	c.Await("everything", func(v *collectortest.View) bool {
		for _, records := range v.Records {
			n := 0
			for _, r := range records {
				if !r.IsEvent() {
					n++
				}
			}
			return n >= len(want)
		}
		return false
	})
	a.end(t)
	c.View(func(v *collectortest.View) {
		if v.Epochs() != 1 || len(v.Bad) > 0 {
			t.Fatalf("%d epochs, bad %v", v.Epochs(), v.Bad)
		}
		for epoch, records := range v.Records {
			if n := v.Durable(epoch); n != int64(len(records)) {
				t.Errorf("consecutive up to %d of %d", n, len(records))
			}
			for _, r := range records {
				switch {
				case r.IsEvent():
				case !want[r.Celsius]:
					t.Errorf("%+v was not sampled, or came twice", r)
				default:
					delete(want, r.Celsius)
				}
			}
			if len(want) > 0 {
				t.Errorf("%d samples never came", len(want))
			}
			chainOf(t, v, epoch)
		}
	})
}

// chainOf derives the chain of an epoch from what came and compares it with the seals.
func chainOf(t *testing.T, v *collectortest.View, epoch string) {
	t.Helper()
	type context struct {
		clock  string
		config int64
	}
	of := map[int64]context{}
	seals := map[int64]*wire.Seal{}
	for _, b := range v.Batches {
		for i := range b.Records {
			of[b.Seq+int64(i)] = context{b.Clock, b.Config}
		}
		if b.Seal != nil {
			seals[b.Seal.Seq] = b.Seal
		}
	}
	key, err := wire.DecodeKey(v.Status.Pub)
	if err != nil && v.Status.Online {
		t.Fatal(err)
	}
	h := wire.FirstHash("clinic", "pi", epoch)
	for seq := int64(1); seq <= v.Durable(epoch); seq++ {
		r := v.Records[epoch][seq]
		h = h.Next(wire.AppendCanonical(nil, seq, &r, of[seq].clock, of[seq].config))
		if s := seals[seq]; s != nil {
			if head, ok := s.Head(); !ok || head != h || key != nil && !s.Verify(key, "clinic", "pi", epoch) {
				t.Errorf("the seal of %d is not that of the chain", seq)
			}
			delete(seals, seq)
		}
	}
	if len(seals) > 0 {
		t.Errorf("%d seals beyond what came", len(seals))
	}
}
