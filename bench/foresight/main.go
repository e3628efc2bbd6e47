// Command foresight measures how well foresight foresees: on simulated units and
// faults, and on recordings of real ones. With -write it puts down the figures that
// gateway/foresight takes its defaults from. See docs/foresight.md.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/foresight"
)

// ofEach is how often each fault is taken to happen to a unit, in a month, where a
// share of warnings that came true is given. Few true ones beside the same number
// of false ones would be a smaller share.
const ofEach = 0.5

func main() {
	seeds := flag.Int("seeds", 40, "simulated units of each kind")
	first := flag.Uint64("first", 1000, "the first seed; below 1000 are those that the figures were set on")
	traces := flag.String("traces", "../shared/data/traces", "folder of recordings")
	verbose := flag.Bool("v", false, "print each warning on the recordings")
	write := flag.String("write", "", "write the measurement to this file")
	only := flag.Bool("recordings-only", false, "leave the simulation out")
	flag.Parse()
	if err := run(os.Stdout, *seeds, *first, *traces, *verbose, *only, *write); err != nil {
		fmt.Fprintln(os.Stderr, "foresight:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, seeds int, first uint64, traces string, verbose, only bool, write string) error {
	var sims []measurement
	if !only {
		list := make([]uint64, seeds)
		for i := range list {
			list[i] = first + uint64(i)
		}
		sims = simulated(w, list)
	}
	recorded, err := recordings(w, traces, verbose)
	if err != nil || only {
		return err
	}
	rows := figures(sims, recorded)
	fmt.Fprintln(w, "\n| unit | cause | said by the device | on by default | faults | foretold | lead, min: p10, median | false a month | precision | cause right | recorded: days, true, false |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|")
	for _, m := range rows {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %d | %.0f %% | %.0f, %.0f | %.2f | %.2f | %.2f | %.1f, %d, %d |\n", m.Unit, m.Cause, yes(m.Device), yes(m.On()),
			m.Faults, 100*m.Foretold, m.LeadP10, m.LeadMedian, m.FalsePerMonth, m.Precision, m.CauseRight, m.RealDays, m.RealTrue, m.RealFalse)
	}
	if write == "" {
		return nil
	}
	if recorded == nil {
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "a measurement without the recordings is not written")
	}
	var b bytes.Buffer
	b.WriteString("[\n")
	for i, m := range rows {
		line, err := json.Marshal(m)
		if err != nil {
			return err
		}
		if i > 0 {
			b.WriteString(",\n")
		}
		b.Write(line)
	}
	b.WriteString("\n]\n")
	return os.WriteFile(write, b.Bytes(), 0o644)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// measurement is all that was simulated of one kind of unit.
type measurement struct {
	kind    kindOfUnit
	results []result // beside troubles; no runs where a trouble does not apply
	sound   healthy
}

func simulated(w io.Writer, seeds []uint64) []measurement {
	fmt.Fprintf(w, "simulated, %d units of each kind, seeds %d to %d\n\n", len(seeds), seeds[0], seeds[len(seeds)-1])
	fmt.Fprintln(w, "| unit | fault | came to an excursion | warned before | lead, min: p10, median | cause right: first word, last | warnings for nothing |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|")
	var out []measurement
	for _, k := range units {
		m := measurement{kind: k, results: make([]result, len(troubles))}
		for i, t := range troubles {
			if !t.applies(k) {
				continue
			}
			r := measureTrouble(k, t, seeds)
			m.results[i] = r
			warned, lead := percent(r.warned, r.excursions), fmt.Sprintf("%.0f, %.0f", quantile(r.leads, 0.1), quantile(r.leads, 0.5))
			if r.warned == 0 {
				lead = "-"
			}
			if t.cause == foresight.ProbeMoved {
				warned += fmt.Sprintf("; told at all %s, after %.0f h", percent(r.moved, r.runs), quantile(r.movedAfter, 0.5)/60)
			}
			fmt.Fprintf(w, "| %s | %s | %d of %d | %s | %s | %s, %s | %s |\n", k.name, t.name, r.excursions, r.runs, warned,
				lead, percent(r.causeFirst, r.warned), percent(r.causeLast, r.warned), counts(r.spare))
		}
		out = append(out, m)
	}
	fmt.Fprintln(w, "\n| sound unit | months | excursions | warnings that came true | false a month |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	for i := range out {
		out[i].sound = measureHealthy(out[i].kind, seeds)
		h := &out[i].sound
		fmt.Fprintf(w, "| %s | %.0f | %d | %s | %s |\n", out[i].kind.name, h.months, h.excursions, counts(h.right), perMonth(h.wrong, h.months))
	}
	fmt.Fprintln(w)
	return out
}

// figures puts together what is said of one cause on one type of unit, whatever
// its kind. Kinds of a type, such as freezers that are frost-free or not, count the
// same.
func figures(sims []measurement, recorded *real) []foresight.Measured {
	var out []foresight.Measured
	for _, u := range []coldkeep.Unit{coldkeep.Refrigerator, coldkeep.Freezer, coldkeep.UltraCold} {
		for _, c := range foresight.Causes() {
			for _, device := range []bool{false, true} {
				if device && c != foresight.DoorAjar && c != foresight.PowerLost || !device && c == foresight.PowerLost {
					continue
				}
				out = append(out, figure(u, word{c, device}, sims, recorded))
			}
		}
	}
	return out
}

func figure(u coldkeep.Unit, say word, sims []measurement, recorded *real) foresight.Measured {
	m := foresight.Measured{Unit: u, Cause: say.cause, Device: say.device}
	var warned, kinds, right, named, wrong float64
	var leads []float64
	for _, s := range sims {
		if s.kind.unit != u {
			continue
		}
		kinds++
		wrong += float64(s.sound.wrong[say]) / s.sound.months
		for i, r := range s.results {
			t := troubles[i]
			if r.runs == 0 || t.events != say.device {
				continue
			}
			right += ofEach * float64(r.right[say]) / float64(r.runs)
			named += ofEach * float64(r.named[say]) / float64(r.runs)
			wrong += ofEach * float64(r.spare[say]) / float64(r.runs)
			if t.cause != say.cause {
				continue
			}
			if t.cause == foresight.ProbeMoved { // it is the fault that is told, not the excursion
				m.Faults += r.runs
				warned += float64(r.moved)
			} else {
				m.Faults += r.excursions
				warned += float64(r.warned)
				leads = append(leads, r.leads...)
			}
		}
	}
	m.FalsePerMonth = round(wrong/kinds, 2)
	if right+wrong > 0 {
		m.Precision = round(right/(right+wrong), 2)
	}
	if right > 0 {
		m.CauseRight = round(named/right, 2)
	}
	if m.Faults > 0 {
		m.Foretold = round(warned/float64(m.Faults), 2)
	}
	m.LeadP10, m.LeadMedian = math.Round(quantile(leads, 0.1)), math.Round(quantile(leads, 0.5))
	if recorded != nil && !say.device { // no recording has a device's word
		m.RealDays = round(recorded.days[u], 1)
		m.RealTrue, m.RealFalse = recorded.right[u][say], recorded.wrong[u][say]
	}
	return m
}

func round(x float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(x*p) / p
}

func percent(a, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(a)/float64(of))
}

func counts(t tally) string {
	return list(t, func(n int) string { return fmt.Sprint(n) })
}

func perMonth(t tally, months float64) string {
	return list(t, func(n int) string { return fmt.Sprintf("%.2f", float64(n)/months) })
}

func list(t tally, number func(int) string) string {
	var out []string
	for _, c := range foresight.Causes() {
		if n := t[word{c, false}] + t[word{c, true}]; n > 0 {
			out = append(out, fmt.Sprintf("%s %s", c, number(n)))
		}
	}
	if out == nil {
		return "none"
	}
	return strings.Join(out, ", ")
}
