package sensors

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Together makes one Source of several, which run side by side. It ends when all have
// ended, or with the first error of one. What the parts can do besides, it can too:
// SetInterval, SampleNow and Probes reach those that have them.
func Together(sources ...Source) Source {
	if len(sources) == 1 {
		return sources[0]
	}
	return &together{sources: sources}
}

type together struct {
	sources []Source
	emit    sync.Mutex
}

// Run runs the parts.
func (t *together) Run(ctx context.Context, emit Emit) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	one := func(ctx context.Context, s []Sample) error {
		t.emit.Lock()
		defer t.emit.Unlock()
		if err := ctx.Err(); err != nil {
			return err
		}
		return emit(ctx, s)
	}
	errs := make([]error, len(t.sources))
	var work sync.WaitGroup
	for i, s := range t.sources {
		work.Go(func() {
			if errs[i] = s.Run(ctx, one); errs[i] != nil {
				fail(errs[i])
			}
		})
	}
	work.Wait()
	if errors.Join(errs...) == nil {
		return nil
	}
	return context.Cause(ctx)
}

// SetInterval changes the grid of those that have one.
func (t *together) SetInterval(d time.Duration) {
	for _, s := range t.sources {
		if s, ok := s.(interface{ SetInterval(time.Duration) }); ok {
			s.SetInterval(d)
		}
	}
}

// SampleNow has those sample now that can.
func (t *together) SampleNow() {
	for _, s := range t.sources {
		if s, ok := s.(interface{ SampleNow() }); ok {
			s.SampleNow()
		}
	}
}

// Late is the largest of those that know by how much they were late.
func (t *together) Late() (late time.Duration) {
	for _, s := range t.sources {
		if s, ok := s.(interface{ Late() time.Duration }); ok {
			late = max(late, s.Late())
		}
	}
	return late
}

// Probes describes the probes of all.
func (t *together) Probes() (out []Info) {
	for _, s := range t.sources {
		if s, ok := s.(interface{ Probes() []Info }); ok {
			out = append(out, s.Probes()...)
		}
	}
	return out
}
