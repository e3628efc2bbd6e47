package chip

import (
	"context"
	"sync/atomic"
)

// reopenAfter is how many uses of a line fail in a row before it is opened anew.
const reopenAfter = 3

// Line is a bus or port that several probes share, one after the other.
type Line[C any] struct {
	name string
	open func() (C, func() error, error)
	free chan struct{} // holds one token while nobody uses the line

	// These belong to the holder of the token.
	conn   C
	close  func() error // nil while not open
	faults int          // failed uses in a row

	opened atomic.Int64
}

// NewLine makes a line that open opens. What open gives beside the connection
// closes it.
func NewLine[C any](name string, open func() (C, func() error, error)) *Line[C] {
	l := &Line[C]{name: name, open: open, free: make(chan struct{}, 1)}
	l.free <- struct{}{}
	return l
}

// String returns the line's name, such as "i2c-1".
func (l *Line[C]) String() string { return l.name }

// Opened tells how often the line has been opened.
func (l *Line[C]) Opened() int64 { return l.opened.Load() }

// Do uses the line for f alone. It waits for others until ctx ends, opens the line
// when it is not open, and closes it after the third failure in a row, so that the
// next use opens it anew.
func (l *Line[C]) Do(ctx context.Context, f func(C) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-l.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.free <- struct{}{} }()
	return l.use(f)
}

// TryDo is Do, but for a line in use: then it does nothing and returns false.
func (l *Line[C]) TryDo(f func(C) error) (bool, error) {
	select {
	case <-l.free:
	default:
		return false, nil
	}
	defer func() { l.free <- struct{}{} }()
	return true, l.use(f)
}

func (l *Line[C]) use(f func(C) error) error {
	if l.close == nil {
		c, closer, err := l.open()
		if err != nil {
			return err
		}
		l.opened.Add(1)
		l.conn, l.close, l.faults = c, closer, 0
	}
	err := f(l.conn)
	if err == nil {
		l.faults = 0
		return nil
	}
	if l.faults++; l.faults >= reopenAfter {
		_ = l.shut() // what is closed because it fails may fail in that too
	}
	return err
}

func (l *Line[C]) shut() error {
	if l.close == nil {
		return nil
	}
	err := l.close()
	l.close = nil
	return err
}

// Close closes the line when nobody uses it. The next use opens it again.
func (l *Line[C]) Close() error {
	select {
	case <-l.free:
	default:
		return nil
	}
	defer func() { l.free <- struct{}{} }()
	return l.shut()
}
