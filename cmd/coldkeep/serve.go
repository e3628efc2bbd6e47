package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/coldkeep/coldkeep"
)

// ended is how a process ends that ran until it was told to stop: what broke off
// for that reason is no failure.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// check is one thing that must be well for a process to be ready, or, when it may
// be away, one that is told of beside.
type check struct {
	name    string
	ask     func(context.Context) error
	mayFail bool
}

// server is a process's one HTTP listener: health, metrics, and what the parts
// put on its mux.
type server struct {
	mux     *http.ServeMux
	checks  []check
	metrics *prometheus.Registry
	log     *slog.Logger
}

func newServer(log *slog.Logger) *server {
	s := &server{mux: http.NewServeMux(), metrics: prometheus.NewRegistry(), log: log}
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // the caller may be gone
	})
	s.mux.HandleFunc("GET /readyz", s.ready)
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	return s
}

// ready answers 200 when every check that must is well and 503 otherwise, with each
// by name.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	status := http.StatusOK
	out := map[string]string{}
	for _, c := range s.checks {
		out[c.name] = "ok"
		if err := c.ask(ctx); err != nil {
			if !c.mayFail {
				status = http.StatusServiceUnavailable
			}
			out[c.name] = coldkeep.ErrorMessage(err)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out) // the caller may be gone
}

// run listens on addr and serves until ctx ends.
func (s *server) run(ctx context.Context, addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "serve", "HTTP address %s cannot be listened on (--http names another)", addr)
	}
	return s.serve(ctx, ln)
}

func (s *server) serve(ctx context.Context, ln net.Listener) error {
	hs := &http.Server{Handler: s.mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }, // an end closes the event streams
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	s.log.Info("listening", "http", ln.Addr().String())
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = hs.Shutdown(end) // what is still under way is cut
		_ = hs.Close()
	})
	defer stop()
	if err := hs.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "serve", "HTTP on %s", ln.Addr())
	}
	return nil
}
