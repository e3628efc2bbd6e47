package registry

import (
	"io"
	"net/http"
	"time"
)

// How slowly a body may come: who keeps a request open byte by byte keeps a connection from
// others.
const (
	bodyGrace = 30 * time.Second
	bodyRate  = 8 << 10 // bytes a second after that, which the slowest line of a clinic has
)

// paced bounds how slowly a body is sent.
type paced struct {
	io.ReadCloser
	until func(time.Time) error // by when the next bytes must have come; zero: no bound
	now   func() time.Time
	begun time.Time
	n     int64
}

func (b *paced) Read(p []byte) (int, error) {
	if b.begun.IsZero() {
		b.begun = b.now()
	}
	_ = b.until(b.begun.Add(bodyGrace + time.Duration(b.n)*time.Second/bodyRate)) // a server that cannot has none
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if err != nil {
		_ = b.until(time.Time{}) // the handler may take longer than the body did
	}
	return n, err
}

// pace bounds how slowly the bodies of all requests are sent.
func pace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &paced{ReadCloser: r.Body, until: http.NewResponseController(w).SetReadDeadline, now: time.Now}
		}
		next.ServeHTTP(w, r)
	})
}
