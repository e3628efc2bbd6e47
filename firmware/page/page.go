// Package page is the device's own page on the local network, for the day the
// Internet is down: current values, minimum and maximum, the last day, the lots on
// hold as last known, and the records as CSV. It needs no script and nothing from
// elsewhere.
//
// Whoever can reach it can read it, silence the buzzer and reset minimum and maximum,
// which is recorded; nothing else. There is no patient in it. The program listens only
// where it is told to.
package page

import (
	"context"
	"encoding/csv"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/watch"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// The paths of the page.
const (
	pathHome  = "/"
	pathCSV   = "/readings.csv"
	pathHush  = "/hush"
	pathReset = "/reset"
)

// exportDays is as much as the CSV holds unless asked, and the most.
const (
	exportDays = 1
	exportMost = 366
)

// Page serves what a watch.Watch knows.
type Page struct {
	watch *watch.Watch
	log   *slog.Logger
	host  string // this machine's name
}

// New makes a Page.
func New(w *watch.Watch, log *slog.Logger) *Page {
	host, _ := os.Hostname() // "" is nobody's
	return &Page{watch: w, log: log, host: host}
}

// Run serves the page on an address until ctx ends. One that cannot be listened on is
// EUNAVAILABLE.
func (p *Page) Run(ctx context.Context, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "page.Run", "local page: %s cannot be listened on", addr)
	}
	p.log.Info("local page", "address", "http://"+l.Addr().String()+"/")
	return p.serve(ctx, l)
}

// serve serves on a listener until ctx ends. A device has few visitors and little
// memory.
func (p *Page) serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: p.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 5 * time.Minute,
		IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	err := srv.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "page.Run", "local page")
}

// Handler is the page. What another site's page posts is refused, and so is what
// comes under a name that is not the device's: a page elsewhere could otherwise have
// its own name lead here.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.home)
	mux.HandleFunc("GET "+pathCSV, p.export)
	mux.HandleFunc("POST "+pathHush, p.hush)
	mux.HandleFunc("POST "+pathReset, p.reset)
	safe := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.ours(r.Host) {
			http.Error(w, "This device is reached by its address or its own name.", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		safe.ServeHTTP(w, r)
	})
}

// ours reports whether a Host is an address, or a name of this machine.
func (p *Page) ours(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "localhost" {
		return true
	}
	return p.host != "" && (strings.EqualFold(host, p.host) || strings.EqualFold(host, p.host+".local"))
}

func (p *Page) home(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(render(p.watch.Snapshot())) // who went away has no use for an error
}

func (p *Page) hush(w http.ResponseWriter, r *http.Request) {
	p.log.Info("alarm hushed from the local page", "from", r.RemoteAddr)
	p.watch.Hush()
	http.Redirect(w, r, pathHome, http.StatusSeeOther)
}

func (p *Page) reset(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := p.watch.Reset(r.Context(), coldkeep.ProbeID(r.PostFormValue("probe")), "page"); err != nil {
		p.fail(w, err)
		return
	}
	p.log.Info("minimum and maximum were reset from the local page", "from", r.RemoteAddr)
	http.Redirect(w, r, pathHome, http.StatusSeeOther)
}

func (p *Page) fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch coldkeep.ErrorCode(err) {
	case coldkeep.ENOTFOUND:
		status = http.StatusNotFound
	case coldkeep.EINVALID:
		status = http.StatusBadRequest
	case coldkeep.EUNAVAILABLE:
		status = http.StatusServiceUnavailable
	}
	http.Error(w, coldkeep.ErrorMessage(err), status)
}

// export gives the records of the last days as CSV, in the order in which they were
// recorded. One that breaks off ends without its last line, "end".
func (p *Page) export(w http.ResponseWriter, r *http.Request) {
	days := exportDays
	if text := r.URL.Query().Get("days"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > exportMost {
			p.fail(w, coldkeep.Errorf(coldkeep.EINVALID, "days=%.20q: want a number from 1 to %d", text, exportMost))
			return
		}
		days = n
	}
	now := p.watch.Snapshot().At
	out := csv.NewWriter(w)
	begun := false
	begin := func() error {
		if begun {
			return nil
		}
		begun = true
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="coldkeep-`+now.UTC().Format("20060102T150405Z")+`.csv"`)
		return out.Write([]string{"time", "probe", "celsius", "lowest", "highest", "raw", "quality", "event", "detail"})
	}
	err := p.watch.Since(r.Context(), now.AddDate(0, 0, -days), func(rec wire.Record) error {
		if err := begin(); err != nil {
			return err
		}
		return out.Write([]string{time.UnixMilli(rec.At).UTC().Format("2006-01-02T15:04:05.000Z07:00"), string(rec.Probe), rec.Celsius.String(), rec.Lo.String(), rec.Hi.String(), rec.Raw.String(),
			string(rec.Quality), rec.Event, plain(rec.Detail)})
	})
	switch {
	case err != nil && !begun:
		p.fail(w, err)
	case err != nil:
		p.log.Warn("export broke off", "err", err)
	default:
		if err = begin(); err == nil {
			_ = out.Write([]string{"end", "", "", "", "", "", "", "", ""}) // the error is Flush's
		}
	}
	out.Flush()
}

// plain keeps a spreadsheet from taking a detail for a formula.
func plain(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
