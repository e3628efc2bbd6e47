package sftp

import (
	"io"
	"sync"
	"time"
)

// tellFor is how long in/ tells of a file that was taken.
const tellFor = 10 * time.Minute

// recent remembers files that were just taken.
type recent struct {
	mu  sync.Mutex
	all map[[2]string]entry // by account and name
}

func newRecent() *recent { return &recent{all: map[[2]string]entry{}} }

func (r *recent) add(account, name string, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for k, e := range r.all {
		if now.Sub(e.at) > tellFor {
			delete(r.all, k)
		}
	}
	r.all[[2]string{account, name}] = entry{name: name, size: size, at: now}
}

func (r *recent) find(account, name string) (entry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.all[[2]string{account, name}]
	return e, ok && time.Since(e.at) <= tellFor
}

// sizes remembers how long answers are, which clients want to know before they fetch them.
// An answer that has been made does not change.
type sizes struct {
	mu  sync.Mutex
	all map[string]int64
}

// maxSizes bounds what is remembered; it is counted anew when it was let go of.
const maxSizes = 50_000

func newSizes() *sizes { return &sizes{all: map[string]int64{}} }

func (s *sizes) of(key string, write func(io.Writer) error) (int64, error) {
	s.mu.Lock()
	n, known := s.all[key]
	s.mu.Unlock()
	if known {
		return n, nil
	}
	var c counter
	if err := write(&c); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxSizes {
		clear(s.all)
	}
	s.all[key] = int64(c)
	return int64(c), nil
}

type counter int64

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
