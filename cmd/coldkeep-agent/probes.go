package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/sampler"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/board"
	"github.com/coldkeep/coldkeep/sensors/w1"
)

// probesCmd is `coldkeep-agent probes`: what a technician runs after plugging in.
type probesCmd struct {
	W1Root string   `name:"w1-root" help:"Where the kernel shows 1-Wire devices (${default})." default:"${w1root}" placeholder:"DIR" env:"COLDKEEP_W1_ROOT"`
	I2C    []int    `name:"i2c" help:"Numbers of the I2C buses to search; all that are there unless given. Only addresses of chips that the agent can read are asked." placeholder:"N" env:"COLDKEEP_I2C"`
	NoI2C  bool     `name:"no-i2c" help:"Search no I2C bus." env:"COLDKEEP_NO_I2C"`
	Probe  []string `help:"A chip to read beside what is found, as for the agent itself; a chip on SPI cannot be found." sep:";" placeholder:"SPEC" env:"COLDKEEP_PROBES"`
}

// probeLine is a line of its output.
type probeLine struct {
	Probe   coldkeep.ProbeID     `json:"probe"`
	Kind    string               `json:"kind"`
	Bus     string               `json:"bus"`
	Celsius coldkeep.Temperature `json:"celsius"`           // null when there is no value to believe
	Quality coldkeep.Quality     `json:"quality,omitempty"` // why
	Note    string               `json:"note,omitempty"`
	Use     string               `json:"use,omitempty"` // the --probe that has the agent sample it
}

// Run reads each probe once.
func (c *probesCmd) Run(ctx context.Context, stdout io.Writer, log *slog.Logger) error {
	specs, err := c.specs(ctx, log)
	if err != nil {
		return err
	}
	oneWire, err := w1.New(c.W1Root).Scan(ctx)
	switch {
	case err != nil && len(specs) == 0:
		return err
	case err != nil:
		log.Info("no 1-Wire", "err", err)
	case len(oneWire) == 0 && len(specs) == 0:
		return noError{fmt.Errorf("no 1-Wire thermometer at %s, and no chip on an I2C bus", c.W1Root)}
	}
	var gate sensors.Gate
	out := json.NewEncoder(stdout)
	show := func(p sensors.Probe, use string) error {
		s, err := read(ctx, p)
		if ctx.Err() != nil {
			return errors.New("stopped")
		}
		if err != nil && s.Quality == "" {
			s.Quality = coldkeep.QualityError
		}
		s = gate.Judge(s)
		info := sensors.Describe(p)
		return out.Encode(probeLine{info.Probe, info.Kind, info.Bus, s.Raw, s.Quality, info.Note, use})
	}
	for _, p := range oneWire {
		if err := show(p, ""); err != nil {
			return err
		}
	}
	for _, spec := range specs {
		b, err := board.New(board.Config{Specs: []board.Spec{spec}, Log: log})
		if err != nil {
			return err
		}
		found, err := b.Scan(ctx)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			log.Warn("no 1-Wire thermometer behind the bridge", "bridge", spec.String())
		}
		for _, p := range found {
			if err := show(p, spec.String()); err != nil {
				return err
			}
			_ = p.Halt() // the next may be on the same port
		}
	}
	return nil
}

// specs are the chips that --probe names and those that are found.
func (c *probesCmd) specs(ctx context.Context, log *slog.Logger) ([]board.Spec, error) {
	var specs []board.Spec
	for _, text := range c.Probe {
		s, err := board.Parse(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("--probe: %w", err)}
		}
		specs = append(specs, s)
	}
	buses := c.I2C
	if len(buses) == 0 && !c.NoI2C {
		buses = board.Buses()
	}
	b, err := board.New(board.Config{Log: log})
	if err != nil {
		return nil, err
	}
	for _, n := range buses {
		found, err := find(ctx, b, n)
		if err != nil {
			log.Warn("I2C bus cannot be searched", "bus", n, "err", err)
		}
		for _, f := range found {
			if !slices.ContainsFunc(specs, func(s board.Spec) bool {
				return s.Bus == f.Bus && s.Mux == f.Mux && s.Addr == f.Addr
			}) {
				specs = append(specs, f)
			}
		}
	}
	return specs, nil
}

// findLimit bounds the search of one bus; one that answers takes a second or two,
// with switches.
const findLimit = 20 * time.Second

// find searches a bus, and gives up waiting for one that hangs.
func find(ctx context.Context, b *board.Board, bus int) ([]board.Spec, error) {
	ctx, cancel := context.WithTimeout(ctx, findLimit)
	defer cancel()
	type answer struct {
		specs []board.Spec
		err   error
	}
	got := make(chan answer, 1)
	go func() {
		specs, err := b.Find(ctx, bus)
		got <- answer{specs, err}
	}()
	select {
	case a := <-got:
		return a.specs, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read reads a probe within the sampler's deadline.
func read(ctx context.Context, p sensors.Probe) (sensors.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, sampler.DefaultDeadline)
	defer cancel()
	type answer struct {
		sensors.Sample
		error
	}
	got := make(chan answer, 1)
	go func() {
		s, err := p.Sample(ctx)
		got <- answer{s, err}
	}()
	select {
	case a := <-got:
		return a.Sample, a.error
	case <-ctx.Done():
		return sensors.Failed(coldkeep.ProbeID(p.String()), coldkeep.QualityTimeout), nil
	}
}
