package faults

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/bench/collector/fleet"
)

// TestFlood lets one device send bad payloads as fast as the broker takes them,
// while good ones go on: theirs are stored and acknowledged meanwhile. How long that
// takes before and during is printed in the table; it is for people to judge, on a
// quiet machine.
func TestFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of flood; not with -short")
	}
	for order, p := range []parts{embedded, real} {
		t.Run(p.String(), func(t *testing.T) { flood(t, 1000+order, p) })
	}
}

func flood(t *testing.T, order int, p parts) {
	const good = 50
	bad, calm := 50_000, 6*time.Second
	if long {
		bad, calm = 200_000, 20*time.Second
	}
	r := newRig(t, p, good+1, 0, 0, false)
	r.cfg.Devices, r.cfg.Broker, r.cfg.Batch = good, r.brokerAddr, 1
	r.cfg.Start, r.cfg.Spacing = time.Time{}, 0 // as they are made
	f := fleet.New(r.cfg)
	r.fleet = f
	var mu sync.Mutex
	var waits []time.Duration
	f.OnAck = func(_ int, d time.Duration) {
		mu.Lock()
		waits = append(waits, d)
		mu.Unlock()
	}
	f.PowerOn()
	t.Cleanup(f.PowerOff)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // every device a reading in two seconds, one after the other
		defer close(stopped)
		tick := time.NewTicker(2 * time.Second / good)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				f.ProduceAt(i%good, 1)
			}
		}
	}()
	take := func() []time.Duration {
		mu.Lock()
		defer mu.Unlock()
		out := waits
		waits = nil
		slices.Sort(out)
		return out
	}
	r.pause(2 * time.Second)
	take() // warm-up
	r.pause(calm)
	before := take()
	sent, took, err := f.Flood(r.ctx, good, bad, nonsense)
	r.must(err)
	// What the broker has taken may still wait for the collector.
	r.pause(max(0, calm-took))
	during := take()
	close(stop)
	<-stopped
	r.to = time.Now()
	if len(during) == 0 {
		r.Error("no good reading was acknowledged during the flood")
	}
	close(r.produced)
	recovered := r.drained(2 * time.Minute)
	r.from = r.to.Add(-time.Hour)
	note := fmt.Sprintf("%d bad payloads in %.1f s; publish to ack of the good ones p50/p99 %s before, %s during and after", sent, took.Seconds(), quantiles(before), quantiles(during))
	out := row{order: order, fault: "flood of bad payloads", parts: p.String(), devices: good, recovered: recovered, note: note}
	if wrong := r.checkReadings(&out); len(wrong) > 0 {
		r.Error(strings.Join(wrong[:min(5, len(wrong))], "\n"))
	}
	r.checkStore(&out)
	r.checkVerify(&out)
	if out.lost != 0 || out.doubled != 0 || out.wrong != 0 {
		r.Errorf("%d readings lost, %d doubled, %d wrong of %d", out.lost, out.doubled, out.wrong, out.produced)
	}
	table.mu.Lock()
	table.rows = append(table.rows, out)
	table.mu.Unlock()
}

func quantiles(sorted []time.Duration) string {
	if len(sorted) == 0 {
		return "none"
	}
	at := func(q float64) int64 { return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Milliseconds() }
	return fmt.Sprintf("%d/%d ms", at(0.5), at(0.99))
}

// nonsense is what a broken or hostile device may say.
func nonsense(i int) []byte {
	switch i % 8 {
	case 0:
		return nil
	case 1:
		return []byte(`{"v":1,"epoch":"01jd3k8w2m5n6p7q8r9s0t1v2w","seq":1,"records":[{"p":`)
	case 2:
		return bytes.Repeat([]byte("["), 10_000)
	case 3:
		return append([]byte{0x1f, 0x8b}, bytes.Repeat([]byte{0xff}, 500)...)
	case 4:
		return []byte(`{"v":7}`)
	case 5:
		return []byte(`{"v":1,"epoch":"../../etc/passwd","seq":-1,"records":[null,null]}`)
	case 6:
		if i%64 == 6 {
			return bytes.Repeat([]byte("x"), 200_000)
		}
		return []byte("\x00\x01\x02")
	}
	return []byte(`{"v":1,"epoch":"01jd3k8w2m5n6p7q8r9s0t1v2w","seq":9007199254740993,"records":[{}]}`)
}
