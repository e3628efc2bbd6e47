// Package registryfake is a small registry for tests and for running a collector by
// hand. It keeps the contract's manners (bearer token, idempotency keys, problem
// documents, a long-polled mirror) and remembers what took effect, in order. Its
// server misbehaves on demand, see httpfake.
package registryfake

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/httpfake"
)

// Effect is one thing that a POST brought about, once whatever the number of times
// it arrived.
type Effect struct {
	Path string          `json:"path"`
	Key  string          `json:"key"`
	Body json.RawMessage `json:"body"` // of intervals: one each
}

// Registry is the fake.
type Registry struct {
	*httpfake.Server
	token string

	mu      sync.Mutex
	answers map[string]answer
	effects []Effect
	status  []Effect
	mirror  coldkeep.Mirror
	changed chan struct{}
	refuse  func(path string, body []byte) string
	listen  func(Effect)
}

type answer struct {
	body [sha256.Size]byte
	said []byte
}

// New starts a fake registry on addr, or on a free local port, that knows token.
func New(addr, token string) (*Registry, error) {
	r := &Registry{token: token, answers: make(map[string]answer), changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/mirror", r.getMirror)
	mux.HandleFunc("POST /api/v1/temperature-log/intervals", r.post)
	mux.HandleFunc("POST /api/v1/excursions", r.post)
	mux.HandleFunc("POST /api/v1/holds", r.post)
	mux.HandleFunc("POST /api/v1/holds/{id}/proposal", r.post)
	mux.HandleFunc("POST /api/v1/appliance-status", r.post)
	var err error
	r.Server, err = httpfake.New(addr, r.signedIn(mux))
	return r, err
}

// SetToken changes the token that the registry knows.
func (r *Registry) SetToken(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.token = token
}

// SetMirror sets the mirror and answers those who wait for it.
func (r *Registry) SetMirror(m coldkeep.Mirror) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mirror = m
	close(r.changed)
	r.changed = make(chan struct{})
}

// Refuse makes the registry refuse what refuse gives a reason for.
func (r *Registry) Refuse(refuse func(path string, body []byte) string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = refuse
}

// OnEffect calls listen with everything that takes effect, status too.
func (r *Registry) OnEffect(listen func(Effect)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listen = listen
}

// Effects lists what took effect, in order, without the status of appliances.
func (r *Registry) Effects() []Effect {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Effect(nil), r.effects...)
}

// Statuses lists the posts of appliance status, in order.
func (r *Registry) Statuses() []Effect {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Effect(nil), r.status...)
}

func (r *Registry) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		want := "Bearer " + r.token
		r.mu.Unlock()
		if req.Header.Get("Authorization") != want {
			problem(w, coldkeep.EUNAUTHORIZED, "the token is not known")
			return
		}
		next.ServeHTTP(w, req)
	})
}

func (r *Registry) getMirror(w http.ResponseWriter, req *http.Request) {
	since, _ := strconv.ParseInt(req.URL.Query().Get("since"), 10, 64) // none: 0
	wait, _ := strconv.Atoi(req.URL.Query().Get("wait"))               // none: 0
	timer := time.NewTimer(time.Duration(wait) * time.Second)
	defer timer.Stop()
	for {
		r.mu.Lock()
		m, changed := r.mirror, r.changed
		r.mu.Unlock()
		if m.Revision != since {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(m) // a client that left asks again
			return
		}
		select {
		case <-req.Context().Done():
			return
		case <-timer.C:
			w.WriteHeader(http.StatusNoContent)
			return
		case <-changed:
		}
	}
}

func (r *Registry) post(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	key := req.Header.Get("Idempotency-Key")
	if err != nil || key == "" || !json.Valid(body) {
		problem(w, coldkeep.EINVALID, "an Idempotency-Key and a JSON body are needed")
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := sha256.Sum256(body)
	if a, known := r.answers[key]; known {
		if a.body != sum {
			problem(w, coldkeep.ECONFLICT, "the key came with another body before")
			return
		}
		say(w, a)
		return
	}
	path := req.URL.Path
	if r.refuse != nil {
		if why := r.refuse(path, body); why != "" {
			problem(w, coldkeep.EINVALID, why)
			return
		}
	}
	effects, said, err := effectsOf(path, key, body)
	if err != nil {
		problem(w, coldkeep.EINVALID, err.Error())
		return
	}
	for _, e := range effects {
		if strings.HasSuffix(path, "/appliance-status") {
			r.status = append(r.status, e)
		} else {
			r.effects = append(r.effects, e)
		}
		if r.listen != nil {
			r.listen(e)
		}
	}
	a := answer{body: sum, said: said}
	r.answers[key] = a
	say(w, a)
}

// effectsOf reads a body and gives what it brings about and what is said to it.
func effectsOf(path, key string, body []byte) ([]Effect, []byte, error) {
	switch {
	case strings.HasSuffix(path, "/intervals"):
		var list []json.RawMessage
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, nil, fmt.Errorf("a list of intervals is needed")
		}
		if len(list) > 1000 {
			return nil, nil, fmt.Errorf("%d intervals; at most 1000", len(list))
		}
		var out []Effect
		for _, one := range list {
			out = append(out, Effect{Path: path, Key: key, Body: one})
		}
		return out, []byte(`{}`), nil
	case strings.HasSuffix(path, "/holds"):
		var h coldkeep.HoldRequest
		if err := json.Unmarshal(body, &h); err != nil {
			return nil, nil, fmt.Errorf("a hold is needed")
		}
		said, err := json.Marshal(coldkeep.Hold{ID: h.ID, Lots: []coldkeep.HeldLot{}})
		return []Effect{{Path: path, Key: key, Body: body}}, said, err
	}
	return []Effect{{Path: path, Key: key, Body: body}}, []byte(`{}`), nil
}

func say(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(a.said) // a client that left sends it again
}

func problem(w http.ResponseWriter, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(coldkeep.Status(code))
	_ = json.NewEncoder(w).Encode(map[string]any{ // a client that left sends it again
		"type": "about:blank", "title": http.StatusText(coldkeep.Status(code)), "status": coldkeep.Status(code), "code": code, "detail": detail,
	})
}
