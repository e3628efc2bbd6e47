// Command forecast measures the immunization forecaster on this machine:
//
//	go run ./bench/forecast [-cases FILE] [-n 1000000] [-workers 1,2,4]
//
// A patient is measured whole, from the line of JSON read to the line of JSON
// written. The goals are 20,000 patients a second on a core and 99 of 100
// patients within 200 microseconds. StepIntoCDSI, in Java, takes 5.8 ms a patient
// on this class of machine.
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
	if cases != "" {
		lines, err := readLines(cases)
		if err != nil {
			return err
		}
		var m measure
		for m.busy < 5*time.Second {
			m.lines(e, lines)
		}
		m.report(w, fmt.Sprintf("case set (%d patients)", len(lines)))
	}

	rng := rand.New(rand.NewPCG(seed, seed))
	var m measure
	for done := 0; done < n; {
		lines := simulate(rng, min(20_000, n-done))
		m.lines(e, lines)
		done += len(lines)
	}
	m.report(w, "simulated patients")

	counts, err := workerCounts(workers)
	if err != nil {
		return err
	}
	input := bytes.Join(simulate(rng, min(n, 100_000)), []byte("\n"))
	patients := bytes.Count(input, []byte("\n")) + 1
	for _, k := range counts {
		start := time.Now()
		if err := forecast.Stream(context.Background(), bytes.NewReader(input), io.Discard, s, k, false); err != nil {
			return err
		}
		took := time.Since(start)
		fmt.Fprintf(w, "stream, %d workers: %.0f patients/s\n", k, float64(patients)/took.Seconds())
	}
	return nil
}

// measure is the time of each patient, in microseconds by bucket.
type measure struct {
	count   int
	busy    time.Duration // by the clock
	cpu     time.Duration // of this process, where the system tells it
	buckets [5000]int
	longest time.Duration
	out     []byte
	allocs  uint64
}

func (m *measure) lines(e *forecast.Engine, lines [][]byte) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used := cpuTime()
	for _, line := range lines {
		start := time.Now()
		m.out = e.AppendLine(m.out[:0], line, false)
		took := time.Since(start)
		m.count++
		m.busy += took
		m.longest = max(m.longest, took)
		m.buckets[min(int(took/time.Microsecond), len(m.buckets)-1)]++
	}
	m.cpu += cpuTime() - used
	runtime.ReadMemStats(&after)
	m.allocs += after.Mallocs - before.Mallocs
}

func (m *measure) quantile(q float64) time.Duration {
	left := int(q * float64(m.count))
	for us, n := range m.buckets {
		if left -= n; left < 0 {
			return time.Duration(us+1) * time.Microsecond
		}
	}
	return m.longest
}

func (m *measure) report(w io.Writer, what string) {
	fmt.Fprintf(w, "%s: %.0f patients/s by the clock, mean %v, p50 ≤ %v, p99 ≤ %v, p99.9 ≤ %v, longest %v, %.1f allocations a patient\n",
		what, float64(m.count)/m.busy.Seconds(), (m.busy / time.Duration(m.count)).Round(100*time.Nanosecond),
		m.quantile(0.5), m.quantile(0.99), m.quantile(0.999), m.longest.Round(time.Microsecond),
		float64(m.allocs)/float64(m.count))
	if m.cpu > 0 {
		// On a machine shared with others the clock also counts their turns.
		fmt.Fprintf(w, "%s: %.0f patients per second of processor time\n", what, float64(m.count)/m.cpu.Seconds())
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
