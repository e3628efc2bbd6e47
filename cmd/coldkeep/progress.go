package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress shows how far long work has come, when stderr is a terminal.
type progress struct {
	w     io.Writer // nil when nobody looks
	what  string
	size  int64
	read  int64
	shown time.Time
}

func newProgress(w io.Writer, what string) *progress {
	p := &progress{what: what}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.w = w
		}
	}
	return p
}

func (p *progress) total(n int64) { p.size += n }

// reader counts what is read through it.
func (p *progress) reader(r io.Reader) io.Reader {
	if p.w == nil {
		return r
	}
	return io.TeeReader(r, p)
}

// Write counts; it is the other end of reader's tee.
func (p *progress) Write(b []byte) (int, error) {
	p.add(int64(len(b)))
	return len(b), nil
}

// add counts what was done.
func (p *progress) add(n int64) {
	p.read += n
	if p.w != nil && time.Since(p.shown) > 100*time.Millisecond && p.size > 0 {
		p.shown = time.Now()
		done := int(p.read * 30 / p.size)
		fmt.Fprintf(p.w, "\r%s [%-30s] %3d %%", p.what, "=============================="[:min(done, 30)], p.read*100/p.size)
	}
}

// done takes the bar away.
func (p *progress) done() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprintf(p.w, "\r%60s\r", "")
	}
}
