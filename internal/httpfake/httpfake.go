// Package httpfake is an HTTP server that misbehaves on demand: the network and the
// machine of an outside party that our fakes stand for. It goes away and comes back
// on the same port, answers with errors, hangs, and cuts connections before or
// after it has done what it was asked.
package httpfake

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// Fault is one way to treat a request. It may pass it on to next.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// None passes the request on.
func None(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }

// Status answers with a status and, pairwise, headers. Nothing is passed on.
func Status(code int, headers ...string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// Hang answers nothing for as long as the client waits or the server is up.
func Hang(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }

// SignInPage is a clinic network's page in place of whatever was asked for.
func SignInPage(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("<html>Welcome to the guest network. Please sign in.</html>")) // a client that left misses nothing
}

// CutBefore closes the connection before anything is done.
func CutBefore(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// LoseAnswer does what was asked and closes the connection in place of an answer.
func LoseAnswer(_ http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// CutAfter does what was asked and closes the connection in the middle of saying so.
func CutAfter(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	body := rec.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body[:len(body)/2]) // it is about to be cut
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

// Server is a server with a fixed address.
type Server struct {
	handler http.Handler
	addr    string

	mu     sync.Mutex
	srv    *http.Server // nil while it is away
	ended  context.CancelFunc
	queue  []Fault
	choose func(*http.Request) Fault
	served int
}

// New returns a server that is up, on addr or, when that is empty, on a free local
// port. Close it in the end.
func New(addr string, handler http.Handler) (*Server, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	s := &Server{handler: handler, addr: addr}
	return s, s.Up()
}

// URL is the server's base address, up or away.
func (s *Server) URL() string { return "http://" + s.addr }

// Up brings the server back on its port.
func (s *Server) Up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv != nil {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		return err
	}
	s.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	s.ended = cancel
	s.srv = &http.Server{
		Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func(srv *http.Server) {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic("httpfake: " + err.Error())
		}
	}(s.srv)
	return nil
}

// Down takes the server away: connections break, new ones are refused.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil {
		return
	}
	s.ended()
	_ = s.srv.Close() // breaking connections is the point
	s.srv = nil
}

// Close takes the server away for good.
func (s *Server) Close() { s.Down() }

// Next treats the next requests with faults, one each, in order.
func (s *Server) Next(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, faults...)
}

// Choose treats every request for which nothing was queued by what choose returns;
// nil is None. A nil choose ends it.
func (s *Server) Choose(choose func(*http.Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.choose = choose
}

// Served counts the requests that have come in, whatever became of them.
func (s *Server) Served() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.served++
	fault, choose := Fault(nil), s.choose
	if len(s.queue) > 0 {
		fault, s.queue = s.queue[0], s.queue[1:]
	}
	s.mu.Unlock()
	if fault == nil && choose != nil {
		fault = choose(r)
	}
	if fault == nil {
		fault = None
	}
	// The body is there for the fault and the handler, and with all of it read the
	// server notices a client that leaves.
	body := http.MaxBytesReader(w, r.Body, 64<<20)
	buffered, err := newBuffered(body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = buffered
	fault(w, r, s.handler)
}
