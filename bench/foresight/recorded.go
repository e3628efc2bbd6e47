package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/foresight"
	"github.com/coldkeep/coldkeep/sensors/trace"
)

// recording is a real log and the range that it is held to. Home units do not keep
// CDC's ranges; a range of our own shows what could be foreseen if they had to keep
// that one.
type recording struct {
	file, probe string
	unit        coldkeep.Unit
	low, high   coldkeep.Temperature
	why         string
	counts      bool // in the defaults: each trace counts once, by the range that it can keep
}

var recorded = []recording{
	{"home_fridge_freezer_5probe_60s.csv", "T0", coldkeep.Freezer, -50_000, -15_000, "CDC", false},
	{"home_fridge_freezer_5probe_60s.csv", "T1", coldkeep.Freezer, -50_000, -15_000, "CDC", false},
	{"home_fridge_freezer_5probe_60s.csv", "T0", coldkeep.Freezer, -50_000, -10_000, "above its cycles", true},
	{"home_fridge_freezer_5probe_60s.csv", "T1", coldkeep.Freezer, -50_000, -10_000, "above its cycles", true},
	{"home_fridge_freezer_5probe_60s.csv", "T3", coldkeep.Refrigerator, 2_000, 8_000, "CDC", false},
	{"home_fridge_freezer_5probe_60s.csv", "T3", coldkeep.Refrigerator, 0, 8_000, "below its cycles", true},
	{"home_fridge_freezer_5probe_60s.csv", "T2", coldkeep.Refrigerator, -1_000, 8_000, "below its cycles", true},
	{"celsi_freezer_60s.csv", "freezer", coldkeep.Freezer, -50_000, -15_000, "CDC", true},
	{"kegerator_ds18b20_8s.csv", "kegerator", coldkeep.Refrigerator, 0, 8_000, "below its cycles", true},
	{"ruuvi_fridge_24h.csv", "fridge", coldkeep.Refrigerator, 0, 8_000, "below its cycles", true},
	{"ruuvi_freezer_24h.csv", "freezer", coldkeep.Freezer, -50_000, -15_000, "CDC", true},
}

// real is what was measured on the second halves of the recordings that count.
type real struct {
	days         map[coldkeep.Unit]float64
	right, wrong map[coldkeep.Unit]tally
}

func recordings(w io.Writer, dir string, verbose bool) (*real, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(w, "recordings: skipped, %s is not there\n", dir)
		return nil, nil
	}
	sum := &real{map[coldkeep.Unit]float64{}, map[coldkeep.Unit]tally{}, map[coldkeep.Unit]tally{}}
	for _, k := range units {
		sum.right[k.unit], sum.wrong[k.unit] = tally{}, tally{}
	}
	fmt.Fprintln(w, "| recording | range | part | days | excursions | warned before | lead, min | came true | false | false a month |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	for _, r := range recorded {
		samples, err := read(filepath.Join(dir, r.file), r.probe)
		if err != nil {
			return nil, err
		}
		k := kindOfUnit{name: r.file, unit: r.unit, low: r.low, high: r.high}
		warnings := watch(k, samples)
		xs := excursionsOf(r.low, r.high, samples)
		from, to := samples[0].At, samples[len(samples)-1].At
		half := from + (to-from)/2
		learned := from + 20*3600_000
		for _, part := range []struct {
			name     string
			from, to int64
		}{{"first half", learned, half}, {"second half", half, to + 1}} {
			days := float64(part.to-part.from) / 86400_000
			if days <= 0 {
				continue
			}
			right, wrong := tally{}, tally{}
			second := r.counts && part.from == half
			if second {
				sum.days[r.unit] += days
			}
			for _, x := range warnings {
				if x.At < part.from || x.At >= part.to {
					continue
				}
				ok := comesTrue(x, xs)
				if ok {
					right[wordOf(&x)]++
				} else {
					wrong[wordOf(&x)]++
				}
				switch {
				case second && ok:
					sum.right[r.unit][wordOf(&x)]++
				case second:
					sum.wrong[r.unit][wordOf(&x)]++
				}
				if verbose {
					fmt.Fprintf(w, "    %v %s %s %s\n", ok, time.UnixMilli(x.At).UTC().Format("02 15:04"), x.Cause, x.Words)
				}
			}
			n, warned := 0, 0
			var leads []float64
			for _, x := range xs {
				if x.start < part.from || x.start >= part.to {
					continue
				}
				n++
				lead := int64(0)
				for _, wa := range warnings {
					if wa.Side == x.side && wa.At < x.start && x.start-wa.At <= 2*3600_000 {
						lead = x.start - wa.At
						break
					}
				}
				if lead > 0 {
					warned++
					leads = append(leads, float64(lead)/60_000)
				}
				if verbose {
					fmt.Fprintf(w, "    excursion %s %s to %s lead %d s\n", x.side, time.UnixMilli(x.start).UTC().Format("02 15:04"), time.UnixMilli(x.end).UTC().Format("02 15:04"), lead/1000)
				}
			}
			fmt.Fprintf(w, "| %s %s | %s to %s (%s) | %s | %.1f | %d | %d | %.0f | %s | %s | %s |\n", r.file, r.probe, r.low, r.high, r.why, part.name, days, n, warned,
				quantile(leads, 0.5), counts(right), counts(wrong), perMonth(wrong, days/30))
		}
	}
	return sum, nil
}

func read(path, probe string) ([]foresight.Sample, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rd, err := trace.NewReader(filepath.Base(path), f)
	if err != nil {
		return nil, err
	}
	var out []foresight.Sample
	for {
		row, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if row.Probe == probe {
			out = append(out, foresight.Sample{At: row.At, Celsius: row.Celsius})
		}
	}
}
