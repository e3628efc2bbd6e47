package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// header is that of row. CPU is in seconds a hundred thousand readings, of each part
// and of all together with the load generator, which tells what the limit was: all of
// the machine's cores at work, or somebody waiting.
const header = "| scenario | produced | lost | readings/s | CPU-s per 100k: collector | broker | store | generator | cores busy | RSS MB, peak | publish → durable p50/p99 ms | → ack | → excursion raised | → alert raised |\n" +
	"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"

// row is a line of the table.
type row struct {
	name                             string
	produced, lost                   int64
	measured                         int64 // readings in the time that was measured
	took                             time.Duration
	collector, broker, store, itself time.Duration // CPU in that time
	rss, peak                        int64         // kB
	durable, ack, excursion, alert   string
}

func (r row) print() {
	per := func(d time.Duration) string {
		if d <= 0 || r.measured == 0 {
			return "–"
		}
		return fmt.Sprintf("%.2f", d.Seconds()/float64(r.measured)*100_000)
	}
	none := func(s string) string {
		if s == "" {
			return "–"
		}
		return s
	}
	rss := "–"
	if r.peak > 0 {
		rss = fmt.Sprintf("%d, %d", r.rss/1024, r.peak/1024)
	}
	busy := (r.collector + r.broker + r.store + r.itself).Seconds() / r.took.Seconds()
	fmt.Printf("| %s | %d | %d | %.0f | %s | %s | %s | %s | %.2f | %s | %s | %s | %s | %s |\n", r.name, r.produced, r.lost, float64(r.measured)/r.took.Seconds(),
		per(r.collector), per(r.broker), per(r.store), per(r.itself), busy, rss, none(r.durable), none(r.ack), none(r.excursion), none(r.alert))
}

// cpuTime is what a process has used so far, in user and system mode
// (/proc/PID/stat, fields 14 and 15, in ticks of 10 ms).
func cpuTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b)[strings.LastIndexByte(string(b), ')')+1:])
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is a process's resident memory and its highest (VmRSS, VmHWM), in kB.
func memory(pid int) (rss, peak int64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(b)) {
		for name, into := range map[string]*int64{"VmRSS:": &rss, "VmHWM:": &peak} {
			if v, ok := strings.CutPrefix(line, name); ok {
				*into, _ = strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			}
		}
	}
	return rss, peak
}

// quantiles gives p50/p99 in ms.
func quantiles(waits []time.Duration) string {
	if len(waits) == 0 {
		return ""
	}
	slices.Sort(waits)
	at := func(q float64) int64 { return waits[min(len(waits)-1, int(q*float64(len(waits))))].Milliseconds() }
	return fmt.Sprintf("%d/%d", at(0.5), at(0.99))
}
