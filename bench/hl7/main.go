// Command hl7 measures how fast HL7 messages are taken apart and judged on one core:
//
//	go run ./bench/hl7 [-file FILE] [-mb 28] [-runs 5]
//
// Each step does what the one before it does and one thing more, on the same bytes: a plain
// scan that only looks at every byte, which is the physical limit; splitting the stream
// into messages; parsing them; judging them by the guide, with everything read into the
// typed update; and writing the acknowledgement. Without a file, invented updates with a
// given and three historical doses are measured.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

func main() {
	file := flag.String("file", "", "messages to measure, in place of invented ones")
	mb := flag.Int("mb", 28, "megabytes (of a million bytes) of messages; a file is repeated up to it")
	runs := flag.Int("runs", 5, "runs of each step; the fastest is printed: others use the machine too")
	flag.Parse()
	if err := run(os.Stdout, *file, *mb*1_000_000, *runs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// step is one thing that is measured.
type step struct {
	name string
	do   func(text []byte) (messages int, err error)
}

func run(w io.Writer, file string, size, runs int) error {
	text := invented(size)
	if file != "" {
		one, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if len(one) == 0 {
			return fmt.Errorf("%s is empty", file)
		}
		for text = nil; len(text) < size; {
			text = append(append(text, one...), '\n')
		}
	}
	checker := &guide.Checker{Codes: vaccine.Builtin(), Today: coldkeep.NewDate(2026, 11, 28)}
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	n := 0
	responder := &guide.Responder{Now: func() time.Time { return at }, NewID: func() string { n++; return strconv.Itoa(n) }}
	parsed := func(then func(*er7.Message)) func([]byte) (int, error) {
		return func(text []byte) (messages int, err error) {
			for it, err := range er7.Split(bytes.NewReader(text)) {
				if err != nil {
					continue // told by hl7 check; here it is passed over
				}
				if it.Kind != "MSH" {
					continue
				}
				messages++
				if m, err := er7.Parse(it.Text); err == nil {
					then(m)
				}
			}
			return messages, nil
		}
	}
	steps := []step{
		{"scan", scan},
		{"split", func(text []byte) (messages int, err error) {
			for it, err := range er7.Split(bytes.NewReader(text)) {
				if it.Kind == "MSH" && err == nil {
					messages++
				}
			}
			return messages, nil
		}},
		{"parse", parsed(func(*er7.Message) {})},
		{"check", parsed(func(m *er7.Message) { sink.Add(int64(len(checker.Check(m).Findings))) })},
		{"answer", parsed(func(m *er7.Message) {
			r := checker.Check(m)
			sink.Add(int64(len(responder.Ack(r, "", r.Findings).Bytes())))
		})},
	}
	runtime.GOMAXPROCS(1)
	fmt.Fprintf(w, "%s, %s/%s, one core; %.1f MB\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, float64(len(text))/1e6)
	fmt.Fprintf(w, "| step | messages/s | MB/s | of the scan | kB allocated a message |\n|---|---|---|---|---|\n")
	limit := 0.0
	for _, s := range steps {
		var took []time.Duration
		var before, after runtime.MemStats
		messages := 0
		for range runs {
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			got, err := s.do(text)
			if err != nil {
				return err
			}
			took = append(took, time.Since(start))
			runtime.ReadMemStats(&after)
			messages = got
		}
		seconds := slices.Min(took).Seconds()
		speed := float64(len(text)) / 1e6 / seconds
		if limit == 0 {
			limit = speed
		}
		fmt.Fprintf(w, "| %s | %.0f | %.0f | %.2f %% | %.1f |\n", s.name, float64(messages)/seconds, speed, 100*speed/limit,
			float64(after.TotalAlloc-before.TotalAlloc)/1000/float64(max(messages, 1)))
	}
	return nil
}

// sink keeps work from being optimized away.
var sink atomic.Int64

// scan looks at every byte once and counts the ends of lines.
func scan(text []byte) (messages int, err error) {
	n := 0
	for _, c := range text {
		if c == '\r' {
			n++
		}
	}
	sink.Add(int64(n))
	return bytes.Count(text, []byte("MSH|")), nil
}

// invented are updates of invented children, one after another.
func invented(size int) []byte {
	var out []byte
	for i := 0; len(out) < size; i++ {
		id := strconv.Itoa(i)
		day := fmt.Sprintf("2025%02d%02d", i%12+1, i%28+1)
		b := er7.NewBuilder()
		b.Segment("MSH").Set(3, "EHR").Set(4, "CLINIC").Set(5, "IIS").Set(6, "STATE").Set(7, day+"101500-0600").Set(9, "VXU", "V04", "VXU_V04").Set(10, "M"+id).
			Set(11, "P").Set(12, "2.5.1").Set(15, "ER").Set(16, "AL").Set(21, "Z22", "CDCPHINVS").Set(22, "CLINIC")
		b.Segment("PID").Set(1, "1").Set(3, id, "", "", "CLINIC", "MR").Set(5, "Rivera", "Ana", "Luz", "", "", "", "L").Set(6, "Soto", "Eva", "", "", "", "", "M").
			Set(7, "20240105").Set(8, "F").Set(10, "2106-3", "White", "CDCREC").Set(11, id+" Oak St", "", "Springfield", "IL", "62701", "USA", "H").
			Set(13, "", "PRN", "PH", "", "", "217", "5550142").Set(22, "2186-5", "not Hispanic", "CDCREC").Set(24, "N")
		b.Segment("PD1").Set(11, "02", "any", "HL70215").Set(12, "N").Set(13, day).Set(16, "A").Set(17, day).Set(18, day)
		b.Segment("NK1").Set(1, "1").Set(2, "Rivera", "Eva", "", "", "", "", "L").Set(3, "MTH", "Mother", "HL70063").Set(4, id+" Oak St", "", "Springfield", "IL", "62701", "USA", "H")
		b.Segment("ORC").Set(1, "RE").Set(3, "G"+id, "CLINIC").Set(10, "7", "Clerk", "Myra").Set(12, "8", "Order", "Olga")
		b.Segment("RXA").Set(1, "0").Set(2, "1").Set(3, day).Set(5, "03", "MMR", "CVX").Set(6, "0.5").Set(7, "mL", "", "UCUM").Set(9, "00", "new", "NIP001").
			Set(10, "9", "Nurse", "Nina").Set(11, "", "", "", "CLINIC").Set(15, "ABC"+id).Set(16, "20270101").Set(17, "MSD", "Merck", "MVX").Set(20, "CP").Set(21, "A")
		b.Segment("RXR").Set(1, "C38299", "Subcutaneous", "NCIT").Set(2, "LA", "Left Arm", "HL70163")
		b.Segment("OBX").Set(1, "1").Set(2, "CE").Set(3, "64994-7", "Eligibility", "LN").Set(4, "1").Set(5, "V02", "Medicaid", "HL70064").Set(11, "F").Set(14, day).Set(17, "VXC40", "", "CDCPHINVS")
		b.Segment("OBX").Set(1, "2").Set(2, "CE").Set(3, "69764-9", "VIS", "LN").Set(4, "2").Set(5, "253088698300012711120420", "MMR", "cdcgs1vis").Set(11, "F").Set(14, day)
		b.Segment("OBX").Set(1, "3").Set(2, "DT").Set(3, "29769-7", "presented", "LN").Set(4, "2").Set(5, day).Set(11, "F").Set(14, day)
		for k, cvx := range []string{"20", "10", "133"} {
			b.Segment("ORC").Set(1, "RE").Set(3, fmt.Sprintf("H%d.%d", i, k), "CLINIC")
			b.Segment("RXA").Set(1, "0").Set(2, "1").Set(3, fmt.Sprintf("2024%02d10", k+4)).Set(5, cvx, "", "CVX").Set(6, "999").Set(9, "01", "historical", "NIP001").Set(20, "CP").Set(21, "A")
		}
		out = append(out, b.Bytes()...)
	}
	return out
}
