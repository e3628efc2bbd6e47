package faults

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// twoCollectors has two share the work. One of them holds our site's lease and the
// other waits, so each is hit in turn: one is killed; when it is back the other is
// frozen for longer than its lease, and wakes up believing that it still holds it.
func twoCollectors(r *rig) string {
	help, _ := r.tool("collector", "--help")
	if !strings.Contains(string(help), "--shared") {
		r.Skip("this collector cannot share its work: it has no --shared")
	}
	kill9(r.collector)
	r.collectorArgs = append(r.collectorArgs, "--shared")
	addrs := [2]string{r.freeAddr(), r.freeAddr()}
	one := r.newCollector("one", addrs[0])
	r.restart(one)
	r.asks(one, addrs[0])
	other := r.newCollector("other", addrs[1])
	r.restart(other)
	r.stream()
	r.at(0.2)
	r.asks(other, addrs[1])
	kill9(one)
	dead := r.silence()
	r.restart(one)
	r.at(0.6)
	r.asks(one, addrs[0])
	signal(syscall.SIGSTOP, other)
	frozen := r.silence()
	r.at(0.95)
	signal(syscall.SIGCONT, other)
	return fmt.Sprintf("longest silence after one died %.1f s, after the other froze %.1f s", dead.Seconds(), frozen.Seconds())
}

// silence watches the acks for a while and returns the longest time without one. With
// the contract's 30 s until a device sends again that is the most of it: what was
// published while nobody subscribed is gone from the broker.
func (r *rig) silence() (most time.Duration) {
	last, seen := time.Now(), r.fleet.Acked()
	for end := time.Now().Add(9 * time.Second); time.Now().Before(end) || time.Since(last) > time.Second && time.Since(end) < time.Minute; {
		r.pause(20 * time.Millisecond)
		if n := r.fleet.Acked(); n > seen {
			seen, most, last = n, max(most, time.Since(last)), time.Now()
		} else if n >= r.fleet.Produced() {
			last = time.Now() // there is nothing to wait for
		}
	}
	return max(most, time.Since(last))
}
