// Command forecast measures the immunization forecaster on this machine:
//
//	go run ./bench/forecast [-cases FILE] [-n 1000000] [-workers 1,2,4]
//
// A patient is measured in two ways: whole, from the line of JSON read to the line
// of JSON written, as the command works; and from a Patient to a Result, as the
// registry itself asks. The goals are 20,000 patients a second on a core and 99 of
// 100 patients within 200 microseconds. StepIntoCDSI, in Java, takes 5.8 ms a
// patient on this class of machine.
//
// Each patient is timed by the clock and, on Linux, by the processor time of its
// thread: on a machine shared with others the clock counts their turns as well.
//
// -cases takes JSON Lines in the input form of `coldkeep forecast`; CDC's test
// cases in the data folder are of that form. Without it only simulated patients
// are measured.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

func main() {
	cases := flag.String("cases", "", "JSON Lines of patients, measured over and over")
	n := flag.Int("n", 1_000_000, "simulated patients")
	workers := flag.String("workers", "", "numbers of workers to scale over, such as 1,2,4; powers of two up to the cores when empty")
	seed := flag.Uint64("seed", 1, "of the simulation")
	flag.Parse()
	err := run(os.Stdout, *cases, *n, *workers, *seed)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(w io.Writer, cases string, n int, workers string, seed uint64) error {
	s := forecast.Builtin()
	e := forecast.New(s)
	fmt.Fprintf(w, "schedule %s, %s, %d cores, %s/%s\n", s.Version, runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)

	fmt.Fprintf(w, "memory of a worker: %d KiB\n", memoryOfWorker(s)>>10)
	runtime.LockOSThread() // the processor time is the thread's
	defer runtime.UnlockOSThread()
	if cases != "" {
		lines, err := readLines(cases)
		if err != nil {
			return err
		}
		var whole, direct measure
		patients := parsed(lines)
		for whole.busy < 3*time.Second {
			whole.lines(e, lines)
			direct.patients(e, patients)
		}
		whole.report(w, fmt.Sprintf("case set (%d patients), JSON to JSON", len(lines)))
		direct.report(w, fmt.Sprintf("case set (%d patients), Patient to Result", len(lines)))
	}

	rng := rand.New(rand.NewPCG(seed, seed))
	var whole, direct measure
	for done := 0; done < n; {
		lines := simulate(rng, min(20_000, n-done))
		whole.lines(e, lines)
		direct.patients(e, parsed(lines))
		done += len(lines)
	}
	whole.report(w, fmt.Sprintf("%d simulated patients, JSON to JSON", n))
	direct.report(w, fmt.Sprintf("%d simulated patients, Patient to Result", n))

	counts, err := workerCounts(workers)
	if err != nil {
		return err
	}
	lines := simulate(rng, min(n, 100_000))
	return scaling(w, e, lines, counts)
}

// scaling measures both batches with numbers of workers: patients a second by the
// clock, and of processor time.
func scaling(w io.Writer, e *forecast.Engine, lines [][]byte, counts []int) error {
	input, patients := bytes.Join(lines, []byte("\n")), parsed(lines)
	for _, k := range counts {
		start, used := time.Now(), cpuTime()
		if err := forecast.Stream(context.Background(), bytes.NewReader(input), io.Discard, e.Schedule(), k, false); err != nil {
			return err
		}
		tell(w, fmt.Sprintf("stream, %d workers", k), len(lines), time.Since(start), cpuTime()-used)
	}
	for _, k := range counts {
		start, used, n := time.Now(), cpuTime(), 0
		for range e.All(context.Background(), slices.Values(patients), k) {
			n++
		}
		tell(w, fmt.Sprintf("Engine.All, %d workers", k), n, time.Since(start), cpuTime()-used)
	}
	return nil
}

func tell(w io.Writer, what string, n int, took, cpu time.Duration) {
	fmt.Fprintf(w, "%s: %.0f patients/s by the clock", what, float64(n)/took.Seconds())
	if cpu > 0 {
		fmt.Fprintf(w, ", %.0f per second of processor time", float64(n)/cpu.Seconds())
	}
	fmt.Fprintln(w)
}

func parsed(lines [][]byte) []*forecast.Patient {
	out := make([]*forecast.Patient, 0, len(lines))
	for _, l := range lines {
		p, err := forecast.ParseLine(l)
		if err != nil {
			panic(fmt.Sprintf("a patient of the measurement cannot be read: %v", err))
		}
		out = append(out, p)
	}
	return out
}

// measure is the time of each patient.
type measure struct {
	count  int
	busy   time.Duration // by the clock
	cpu    time.Duration // of this thread, where the system tells it
	clock  histogram
	thread histogram
	out    []byte
	allocs uint64
}

// histogram counts times by the microsecond.
type histogram struct {
	buckets [5000]int
	longest time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.longest = max(h.longest, d)
	h.buckets[min(int(d/time.Microsecond), len(h.buckets)-1)]++
}

func (m *measure) lines(e *forecast.Engine, lines [][]byte) {
	m.each(len(lines), func(i int) { m.out = e.AppendLine(m.out[:0], lines[i], false) })
}

func (m *measure) patients(e *forecast.Engine, ps []*forecast.Patient) {
	w := e.Worker()
	m.each(len(ps), func(i int) { w.Forecast(ps[i]) })
}

// each times do for every one of n patients.
func (m *measure) each(n int, do func(int)) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range n {
		used, start := threadTime(), time.Now()
		do(i)
		took := time.Since(start)
		cpu := threadTime() - used
		m.busy += took
		m.cpu += cpu
		m.clock.add(took)
		m.thread.add(cpu)
	}
	m.count += n
	runtime.ReadMemStats(&after)
	m.allocs += after.Mallocs - before.Mallocs
}

func (h *histogram) quantile(q float64) time.Duration {
	all := 0
	for _, n := range h.buckets {
		all += n
	}
	left := int(q * float64(all))
	for us, n := range h.buckets {
		if left -= n; left < 0 {
			return time.Duration(us+1) * time.Microsecond
		}
	}
	return h.longest
}

func (m *measure) report(w io.Writer, what string) {
	line := func(by string, total time.Duration, h *histogram) {
		fmt.Fprintf(w, "  by %s: %.0f patients/s, mean %v, p50 ≤ %v, p99 ≤ %v, p99.9 ≤ %v, longest %v\n", by,
			float64(m.count)/total.Seconds(), (total / time.Duration(m.count)).Round(100*time.Nanosecond),
			h.quantile(0.5), h.quantile(0.99), h.quantile(0.999), h.longest.Round(time.Microsecond))
	}
	fmt.Fprintf(w, "%s: %.1f allocations a patient\n", what, float64(m.allocs)/float64(m.count))
	line("the clock", m.busy, &m.clock)
	if m.cpu > 0 {
		line("processor time", m.cpu, &m.thread)
	}
}

// memoryOfWorker is what a forecast keeps between patients.
func memoryOfWorker(s *schedule.Schedule) int64 {
	lines := simulate(rand.New(rand.NewPCG(1, 1)), 1000)
	out := make([]byte, 0, 1<<16)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	e := forecast.New(s)
	for _, l := range lines {
		out = e.AppendLine(out[:0], l, false)
	}
	runtime.GC() // a second one would empty the pool that holds the worker
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(e)
	runtime.KeepAlive(lines)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func readLines(name string) ([][]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out [][]byte
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var p patient // leaves out what is not of the command's input
		if err := json.Unmarshal(sc.Bytes(), &p); err != nil {
			return nil, err
		}
		line, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		out = append(out, line)
	}
	return out, sc.Err()
}

func workerCounts(list string) ([]int, error) {
	var out []int
	if list == "" {
		for k := 1; k < runtime.NumCPU(); k *= 2 {
			out = append(out, k)
		}
		return append(out, runtime.NumCPU()), nil
	}
	for f := range strings.SplitSeq(list, ",") {
		k, err := strconv.Atoi(f)
		if err != nil || k < 1 {
			return nil, fmt.Errorf("%q is not a number of workers", f)
		}
		out = append(out, k)
	}
	return out, nil
}
