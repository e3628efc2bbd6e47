// Package webhookfake is a receiver of webhooks for tests and for looking at what
// Coldkeep sends. Its server misbehaves on demand, see httpfake.
package webhookfake

import (
	"io"
	"net/http"
	"sync"

	"github.com/coldkeep/coldkeep/internal/httpfake"
)

// Request is one request that came in.
type Request struct {
	Path   string
	Header http.Header
	Body   []byte
}

// Receiver is the fake.
type Receiver struct {
	*httpfake.Server

	mu     sync.Mutex
	got    []Request
	listen func(Request)
}

// New starts a receiver on addr, or on a free local port.
func New(addr string) (*Receiver, error) {
	r := &Receiver{}
	var err error
	r.Server, err = httpfake.New(addr, http.HandlerFunc(r.receive))
	return r, err
}

// OnRequest calls listen with every request.
func (r *Receiver) OnRequest(listen func(Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listen = listen
}

// Requests lists what was received, in order. A request that a fault kept from the
// receiver is not among them.
func (r *Receiver) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.got...)
}

func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the client left
	}
	got := Request{Path: req.URL.Path, Header: req.Header.Clone(), Body: body}
	r.mu.Lock()
	r.got = append(r.got, got)
	listen := r.listen
	r.mu.Unlock()
	if listen != nil {
		listen(got)
	}
	w.WriteHeader(http.StatusNoContent)
}
