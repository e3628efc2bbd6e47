package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/judge"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/trace"
)

type replayCmd struct {
	Profile string   `help:"Profile to judge by." default:"cdc"`
	Unit    string   `help:"Type of unit: refrigerator, freezer or ultra-cold." required:""`
	Probe   string   `help:"Judge only this probe of the log."`
	Details bool     `help:"Add to each excursion its degree-minutes, its mean kinetic temperature, and whether it is of the warm-up at the log's start."`
	Shuffle *uint64  `help:"Feed the rows in a random order; the lines stay the same." placeholder:"SEED"`
	Files   []string `arg:"" name:"file" help:"CSV logs with the columns time, celsius, probe."`
}

// findingLine is a line of replay's output. A line of an excursion has rule, peak,
// extreme, minutes and actions; one of a fault or a gap has a reason at most.
type findingLine struct {
	Probe      string                `json:"probe"`
	Kind       coldkeep.Kind         `json:"kind"`
	Rule       coldkeep.RuleType     `json:"rule,omitempty"`
	Start      time.Time             `json:"start"`
	End        *time.Time            `json:"end"`
	PeakAt     *time.Time            `json:"peak_at,omitempty"`
	ExtremeC   *coldkeep.Temperature `json:"extreme_c,omitempty"`
	MinutesOut *float64              `json:"minutes_out,omitempty"`
	Actions    []coldkeep.Action     `json:"actions,omitempty"`
	Profile    string                `json:"profile,omitempty"`
	Reason     coldkeep.Quality      `json:"reason,omitempty"`

	// With --details only.
	DegreeMinutes *float64              `json:"degree_minutes,omitempty"` // °C·min beyond the edge of the range
	MKT           *coldkeep.Temperature `json:"mkt_c,omitempty"`          // of too-warm, for information
	WarmUp        bool                  `json:"warm_up,omitempty"`        // no reading in range came before it
}

// Run judges the files. Rows that cannot be read are told on stderr and passed
// over; the exit code is then 1.
func (r *replayCmd) Run(ctx context.Context, std streams) error {
	profile, err := coldkeep.FindProfile(r.Profile)
	if err != nil {
		return err
	}
	unit, err := coldkeep.ParseUnit(r.Unit)
	if err != nil {
		return err
	}
	rules, err := excursion.Compile(profile, unit, nil)
	if err != nil {
		return err
	}
	rows, bad, err := r.read(ctx, std.err)
	if err != nil {
		return err
	}
	if r.Probe != "" && len(rows) == 0 {
		return coldkeep.Errorf(coldkeep.EINVALID, "probe %q is not in %s", r.Probe, strings.Join(r.Files, ", "))
	}
	if len(rows) == 0 && bad == 0 {
		// Nothing to find is not the same as nothing found.
		fmt.Fprintf(std.err, "coldkeep: there was no reading in %s\n", strings.Join(r.Files, ", "))
	}
	if r.Shuffle != nil {
		rng := rand.New(rand.NewPCG(*r.Shuffle, 0))
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
	if err := printFindings(std.out, judgeRows(rules, rows), rules.Profile(), r.Details); err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "replay", "standard output")
	}
	if bad > 0 {
		fmt.Fprintf(std.err, "coldkeep: %d rows could not be read\n", bad)
		return errNo
	}
	return nil
}

// read reads all files.
func (r *replayCmd) read(ctx context.Context, stderr io.Writer) (rows []trace.Row, bad int, err error) {
	show := newProgress(stderr, "reading")
	defer show.done()
	for _, name := range r.Files {
		f, err := os.Open(name)
		if err != nil {
			return nil, 0, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "replay", "%s cannot be opened", name)
		}
		more, n, err := r.readFile(ctx, f, name, stderr, show)
		_ = f.Close() // it was only read
		if err != nil {
			return nil, 0, err
		}
		rows, bad = append(rows, more...), bad+n
	}
	return rows, bad, nil
}

func (r *replayCmd) readFile(ctx context.Context, f *os.File, name string, stderr io.Writer, show *progress) (rows []trace.Row, bad int, err error) {
	if info, err := f.Stat(); err == nil {
		show.total(info.Size())
	}
	in, err := trace.NewReader(name, show.reader(f))
	if err != nil {
		return nil, 0, err
	}
	for ctx.Err() == nil {
		row, err := in.Next()
		var rowErr *trace.RowError
		switch {
		case errors.Is(err, io.EOF):
			return rows, bad, nil
		case errors.As(err, &rowErr):
			bad++
			if bad <= 20 {
				fmt.Fprintln(stderr, "coldkeep:", rowErr)
			}
			continue
		case err != nil:
			return nil, 0, err
		}
		if r.Probe == "" || row.Probe == r.Probe {
			rows = append(rows, row)
		}
	}
	return nil, 0, ctx.Err()
}

type probeFinding struct {
	probe string
	excursion.Finding
}

// judgeRows judges each probe's rows, in whatever order they come.
func judgeRows(rules *excursion.Rules, rows []trace.Row) []probeFinding {
	byProbe := map[string][]excursion.Sample{}
	for _, row := range rows {
		byProbe[row.Probe] = append(byProbe[row.Probe], excursion.Sample{At: row.At, Celsius: row.Celsius})
	}
	alone := excursion.Alone()
	var out []probeFinding
	for probe, samples := range byProbe {
		slices.SortFunc(samples, excursion.Compare)
		// The gate knows a fault by the readings before it, so it comes after sorting,
		// as it does on the device.
		var gate sensors.Gate
		for i := range samples {
			s := gate.Judge(sensors.Sample{Probe: coldkeep.ProbeID(probe), At: time.UnixMilli(samples[i].At), Raw: samples[i].Celsius})
			samples[i].Celsius, samples[i].Quality = s.Raw, s.Quality
		}
		for _, f := range excursion.Judge(rules, alone, samples, 0) {
			out = append(out, probeFinding{probe, f})
		}
	}
	slices.SortFunc(out, func(a, b probeFinding) int {
		if a.Start != b.Start {
			return int(min(1, max(-1, a.Start-b.Start)))
		}
		if c := strings.Compare(a.probe, b.probe); c != 0 {
			return c
		}
		return strings.Compare(string(a.Kind), string(b.Kind))
	})
	return out
}

func printFindings(w io.Writer, fs []probeFinding, profile string, details bool) error {
	buf := bufio.NewWriter(w)
	enc := json.NewEncoder(buf)
	for _, f := range fs {
		line := findingLine{Probe: f.probe, Kind: f.Kind, Start: time.UnixMilli(f.Start).UTC(), Reason: f.Reason}
		if f.End != 0 {
			end := time.UnixMilli(f.End).UTC()
			line.End = &end
		}
		if f.Excursion() {
			peak, minutes, extreme := time.UnixMilli(f.PeakAt).UTC(), judge.Minutes(f.OutMS), f.Extreme
			line.Rule, line.PeakAt, line.ExtremeC, line.MinutesOut = f.Rule, &peak, &extreme, &minutes
			line.Actions, line.Profile = f.Actions, profile
			if details {
				area := math.Round(f.DegreeMinutes()*10) / 10
				line.DegreeMinutes, line.WarmUp = &area, f.FromStart
				if f.MKT.Known() {
					line.MKT = &f.MKT
				}
			}
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return buf.Flush()
}
