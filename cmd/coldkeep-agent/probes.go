package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/sampler"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/w1"
)

// probesCmd is `coldkeep-agent probes`: what a technician runs after plugging in.
type probesCmd struct {
	W1Root string `name:"w1-root" help:"Where the kernel shows 1-Wire devices (${default})." default:"${w1root}" placeholder:"DIR" env:"COLDKEEP_W1_ROOT"`
}

// probeLine is a line of its output.
type probeLine struct {
	Probe   coldkeep.ProbeID     `json:"probe"`
	Kind    string               `json:"kind"`
	Bus     string               `json:"bus"`
	Celsius coldkeep.Temperature `json:"celsius"`           // null when there is no value to believe
	Quality coldkeep.Quality     `json:"quality,omitempty"` // why
}

// Run reads each probe once.
func (c *probesCmd) Run(ctx context.Context, stdout io.Writer) error {
	found, err := w1.New(c.W1Root).Scan(ctx)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return noError{fmt.Errorf("no 1-Wire thermometer at %s", c.W1Root)}
	}
	var gate sensors.Gate
	out := json.NewEncoder(stdout)
	for _, p := range found {
		s, err := read(ctx, p)
		if ctx.Err() != nil {
			return errors.New("stopped")
		}
		if err != nil && s.Quality == "" {
			s.Quality = coldkeep.QualityError
		}
		s = gate.Judge(s)
		info := sensors.Describe(p)
		if err := out.Encode(probeLine{info.Probe, info.Kind, info.Bus, s.Raw, s.Quality}); err != nil {
			return err
		}
	}
	return nil
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
