package forecast

import (
	"context"
	"iter"
	"sync"
)

// Worker forecasts one patient after the other with the same storage, so that a
// patient costs next to no allocation. It is for one goroutine.
type Worker struct {
	run *run
	res Result
}

// Worker makes a worker of the engine.
func (e *Engine) Worker() *Worker { return &Worker{run: newRun(e.s)} }

// Forecast is Engine.Forecast. The result is the worker's: it stands until the
// next call.
func (w *Worker) Forecast(p *Patient) *Result {
	w.run.forecast(p, &w.res, false)
	return &w.res
}

// together is how many patients go to a worker at once.
const together = 64

// chunk is some patients on their way through a worker.
type chunk struct {
	patients []*Patient
	results  []Result
	done     chan struct{}
}

// All forecasts many patients with a number of workers and gives them in their
// order, as recall and coverage need it. The patients are asked for in another
// goroutine, some hundreds ahead, and a result stands only until the next one. When the loop is left,
// or the context ends, no more patients are asked for.
func (e *Engine) All(ctx context.Context, patients iter.Seq[*Patient], workers int) iter.Seq2[*Patient, *Result] {
	workers = max(workers, 1)
	return func(yield func(*Patient, *Result) bool) {
		ctx, cancel := context.WithCancel(ctx)
		jobs, order := make(chan *chunk, workers), make(chan *chunk, 2*workers)
		free := sync.Pool{New: func() any { return &chunk{} }}
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		for range workers {
			all.Go(func() {
				r := newRun(e.s)
				for c := range jobs {
					for i, p := range c.patients {
						r.forecast(p, &c.results[i], false)
					}
					close(c.done)
				}
			})
		}
		all.Go(func() {
			defer close(order)
			defer close(jobs)
			cut(ctx, patients, &free, jobs, order)
		})
		for c := range order {
			select {
			case <-c.done:
			case <-ctx.Done():
			}
			for i, p := range c.patients {
				if ctx.Err() != nil || !yield(p, &c.results[i]) {
					cancel()
					for range order { // let the reader end
					}
					return
				}
			}
			free.Put(c)
		}
	}
}

// cut hands the patients out in chunks until the context ends.
func cut(ctx context.Context, patients iter.Seq[*Patient], free *sync.Pool, jobs, order chan<- *chunk) {
	var c *chunk
	send := func() bool {
		if c == nil {
			return true
		}
		if len(c.results) < len(c.patients) {
			c.results = append(c.results, make([]Result, len(c.patients)-len(c.results))...)
		}
		// In order first: what a worker holds must be waited for.
		for _, to := range [...]chan<- *chunk{order, jobs} {
			select {
			case to <- c:
			case <-ctx.Done():
				return false
			}
		}
		c = nil
		return true
	}
	for p := range patients {
		if c == nil {
			c, _ = free.Get().(*chunk)
			c.patients, c.done = c.patients[:0], make(chan struct{})
		}
		c.patients = append(c.patients, p)
		if len(c.patients) == together && !send() {
			return
		}
		if ctx.Err() != nil {
			return
		}
	}
	send()
}
