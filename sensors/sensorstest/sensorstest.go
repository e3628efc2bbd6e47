// Package sensorstest is the contract of sensors.Source and sensors.Probe as
// tests, which every source and driver runs.
package sensorstest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

// Collect runs a source until it has emitted n times or ends, and returns what it
// emitted. It is to be called in a synctest bubble when the source keeps time.
func Collect(t *testing.T, src sensors.Source, n int) [][]sensors.Sample {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var batches [][]sensors.Sample
	err := src.Run(ctx, func(_ context.Context, s []sensors.Sample) error {
		batches = append(batches, append([]sensors.Sample(nil), s...))
		if len(batches) == n {
			cancel()
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("Run: %v", err)
	}
	return batches
}

// RunSource checks the contract of a source. Each make starts afresh; the source
// must emit at least twice. Time is that of a synctest bubble.
func RunSource(t *testing.T, make func(t *testing.T) sensors.Source) {
	t.Helper()
	t.Run("times of each probe rise, and none is missing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			last := map[coldkeep.ProbeID]time.Time{}
			batches := Collect(t, make(t), 2)
			if len(batches) < 2 {
				t.Fatalf("emitted %d times, want 2", len(batches))
			}
			for _, b := range batches {
				if len(b) == 0 {
					t.Error("an empty emit")
				}
				for _, s := range b {
					if s.Probe == "" {
						t.Error("a sample without a probe")
					}
					if s.At.Before(last[s.Probe]) {
						t.Errorf("%s: %v after %v", s.Probe, s.At, last[s.Probe])
					}
					last[s.Probe] = s.At
				}
			}
		})
	})
	t.Run("the error of emit ends it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			full := errors.New("disk full")
			err := make(t).Run(t.Context(), func(context.Context, []sensors.Sample) error { return full })
			if !errors.Is(err, full) {
				t.Errorf("Run gave %v, want the error of emit", err)
			}
		})
	})
	t.Run("it ends with its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			err := make(t).Run(ctx, func(context.Context, []sensors.Sample) error { cancel(); return nil })
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Run gave %v, want %v", err, context.Canceled)
			}
		})
	})
}

// RunProbe checks the contract of a probe that answers.
func RunProbe(t *testing.T, p sensors.Probe) {
	t.Helper()
	if p.String() == "" {
		t.Error("a probe without a name")
	}
	if got := sensors.Describe(p).Probe; string(got) != p.String() {
		t.Errorf("Info names %q, String %q", got, p)
	}
	s, err := p.Sample(t.Context())
	if err != nil {
		t.Fatalf("Sample: %v", err)
	}
	if string(s.Probe) != p.String() {
		t.Errorf("sample of %q, want %q", s.Probe, p)
	}
	if s.Raw.Known() == s.Quality.NoValue() {
		t.Errorf("value %v beside quality %q", s.Raw, s.Quality)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := p.Sample(ctx); err == nil && s.Raw.Known() {
		t.Errorf("Sample gave %v after its context had ended", s.Raw)
	}
	if err := p.Halt(); err != nil {
		t.Errorf("Halt: %v", err)
	}
}
