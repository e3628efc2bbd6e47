package main

import (
	"context"
	"os"
	"runtime"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/cdsixml"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

type forecastCmd struct {
	Schedule string `help:"Folder of CDC's published supporting data (XML), in place of the built-in schedule." placeholder:"DIR"`
	Workers  int    `help:"Patients worked on at once; 0 is one a core."`
	Explain  bool   `help:"Say in words why each dose counts or not and what each date rests on."`
}

// Run answers one patient a line, in the order they came.
func (f *forecastCmd) Run(ctx context.Context, std streams) error {
	s, err := f.schedule()
	if err != nil {
		return err
	}
	workers := f.Workers
	if workers < 1 {
		workers = runtime.NumCPU()
	}
	return forecast.Stream(ctx, std.in, std.out, s, workers, f.Explain)
}

func (f *forecastCmd) schedule() (*schedule.Schedule, error) {
	if f.Schedule == "" {
		return forecast.Builtin(), nil
	}
	if info, err := os.Stat(f.Schedule); err != nil || !info.IsDir() {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "--schedule %s: there is no such folder", f.Schedule)
	}
	return forecast.LoadXML(os.DirFS(f.Schedule), cdsixml.VersionOf(f.Schedule))
}
