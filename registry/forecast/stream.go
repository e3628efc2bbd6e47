package forecast

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	coldkeep "github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// Line answers one line of the forecast command: a patient in, the forecast out,
// without a newline. A line that is wrong gives {"id":…,"error":"…"}.
func (e *Engine) Line(in []byte) []byte { return e.AppendLine(nil, in, false) }

// AppendLine appends the answer to dst. Explained, the answer carries the chain
// of decisions behind every dose and forecast.
func (e *Engine) AppendLine(dst, in []byte, explain bool) []byte {
	w := e.lines.Get().(*liner)
	dst = w.append(dst, in, explain)
	e.lines.Put(w)
	return dst
}

// liner answers lines one after the other with the same storage.
type liner struct {
	run *run
	dec decoder
	p   Patient
	res Result
}

func (w *liner) append(dst, in []byte, explain bool) []byte {
	id, ok := w.dec.line(in, &w.p)
	if !ok {
		var err error
		id, err = parseLine(in, &w.p)
		if err != nil {
			return appendError(dst, id, err)
		}
	}
	w.run.forecast(&w.p, &w.res, explain)
	return appendResult(dst, id, &w.res, explain)
}

// batch is some lines on their way through a worker.
type batch struct {
	lines []byte // each with its newline
	out   []byte
	done  chan struct{}
}

// batchSize is how many bytes of lines go to a worker at once, when more is
// waiting. A reader that waits for each answer gets it at once.
const batchSize = 64 << 10

// Stream answers JSON Lines from r on w, in the order they came, with a number
// of workers; explained, each answer carries the words and decisions behind it. A bad line gives an error in its place and the rest goes on; empty
// lines are passed over.
//
// EUNAVAILABLE: reading or writing failed. The context's error ends it too.
func Stream(ctx context.Context, r io.Reader, w io.Writer, s *schedule.Schedule, workers int, explain bool) error {
	workers = max(workers, 1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan *batch, workers)
	order := make(chan *batch, 2*workers)

	var pool sync.WaitGroup
	for range workers {
		pool.Go(func() {
			l := &liner{run: newRun(s)}
			for b := range jobs {
				b.answer(l, explain)
				close(b.done)
			}
		})
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		for b := range order {
			<-b.done
			if ctx.Err() != nil {
				continue // let the workers end
			}
			if _, err := w.Write(b.out); err != nil {
				cancel(coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "forecast.Stream", "the answers cannot be written"))
			}
		}
	})
	err := readBatches(ctx, r, jobs, order)
	close(jobs)
	close(order)
	pool.Wait()
	writer.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// readBatches cuts the input into batches of whole lines.
func readBatches(ctx context.Context, r io.Reader, jobs, order chan<- *batch) error {
	in := bufio.NewReaderSize(r, batchSize)
	for ctx.Err() == nil {
		b := &batch{done: make(chan struct{})}
		var err error
		for {
			var part []byte
			part, err = in.ReadSlice('\n')
			b.lines = append(b.lines, part...)
			if errors.Is(err, bufio.ErrBufferFull) {
				continue // a line longer than the buffer
			}
			if err != nil || in.Buffered() == 0 || len(b.lines) >= batchSize {
				break
			}
		}
		if len(b.lines) > 0 {
			order <- b
			jobs <- b
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "forecast.Stream", "the patients cannot be read")
		}
	}
	return nil
}

func (b *batch) answer(l *liner, explain bool) {
	b.out = make([]byte, 0, 8*len(b.lines))
	for line := range bytes.Lines(b.lines) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		b.out = l.append(b.out, line, explain)
		b.out = append(b.out, '\n')
	}
}
