package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts/api"
)

// others are what is not asked for here.
type others = api.Alerts

// listener takes every answer that names a person.
type listener struct {
	others
	person, note string
}

func (l *listener) Acknowledge(_ context.Context, _, person, note string) error {
	if person == "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "who?")
	}
	l.person, l.note = person, note
	return nil
}

// An answer to an alert is taken as it was meant or refused; nothing that is sent
// makes the service fail.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"person":"Dana","note":"door closed"}`, `{"person":"Dana"} {"person":"Eve"}`, `{"person":1}`, `[]`, ``, `{"person":"a","other":1}`, "{\"person\":\"\xff\"}"} {
		f.Add("x-1", []byte(s))
	}
	gin.SetMode(gin.ReleaseMode)
	f.Fuzz(func(t *testing.T, id string, body []byte) {
		l := &listener{}
		r := gin.New()
		if err := api.Mount(r, l, "t", nil); err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		req.URL = &url.URL{Path: "/api/v1/alerts/" + id + "/acknowledge", RawPath: "/api/v1/alerts/" + url.PathEscape(id) + "/acknowledge"}
		req.Header.Set("Authorization", "Bearer t")
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		switch {
		case w.Code >= 500:
			t.Fatalf("%q answers %d: %s", body, w.Code, w.Body)
		case w.Code == http.StatusNoContent && l.person == "":
			t.Fatalf("%q was taken as an answer of nobody", body)
		case w.Code != http.StatusNoContent && l.person != "":
			t.Fatalf("%q was refused with %d and taken", body, w.Code)
		}
	})
}

// Whatever answers in the service's place, the client gives alerts or an error.
func FuzzClient(f *testing.F) {
	f.Add(200, []byte(`[{"id":"x","site":"a","appliance":"b","excursion":{"id":"x","start":"2026-01-01T00:00:00Z","extreme_c":9.5},"state":"open"}]`))
	f.Add(404, []byte(`{"code":"not_found","detail":"no such alert"}`))
	f.Add(204, []byte(""))
	f.Add(503, []byte("<html>"))
	type said struct {
		status int
		body   []byte
	}
	var now atomic.Pointer[said]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := now.Load()
		w.WriteHeader(s.status)
		_, _ = w.Write(s.body)
	}))
	f.Cleanup(srv.Close)
	c, err := api.NewClient(srv.URL, "t")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		s := &said{200 + int(uint(status)%400), body}
		now.Store(s)
		if _, err := c.Alerts(t.Context(), "clinic", false); err == nil && s.status >= 300 {
			t.Fatalf("status %d is no error", s.status)
		}
		if err := c.Acknowledge(t.Context(), "x", "Dana", ""); err == nil && s.status >= 300 {
			t.Fatalf("status %d is an answer taken", s.status)
		}
	})
}
