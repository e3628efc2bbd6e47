package rest_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/coldkeep/coldkeep/registryclient/transport"
	"github.com/coldkeep/coldkeep/registryclient/transport/rest"
)

// Whatever answers in the registry's place, nothing but a registry's own word counts
// as taken or as a mirror.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", "", []byte(`{"revision":7,"sites":[{"id":"a"}],"appliances":[{"id":"f","unit":"refrigerator"}],"assignments":[{"site":"a","agent":"b","probe":"c","appliance":"f","from":"2026-01-01T00:00:00Z"}]}`))
	f.Add(200, "text/html", "", []byte(`<html>please sign in</html>`))
	f.Add(400, "application/problem+json", "", []byte(`{"code":"invalid","title":"no","detail":"no"}`))
	f.Add(503, "text/plain", "-1", []byte(``))
	f.Add(429, "text/plain", "Wed, 21 Oct 2026 07:28:00 GMT", []byte(`{`))
	f.Add(302, "", "", []byte(``))
	type said struct {
		status       int
		media, after string
		body         []byte
	}
	var now atomic.Pointer[said]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := now.Load()
		w.Header()["Content-Type"] = []string{s.media}
		w.Header()["Retry-After"] = []string{s.after}
		w.WriteHeader(s.status)
		_, _ = w.Write(s.body)
	}))
	f.Cleanup(srv.Close)
	c, err := rest.New(rest.Config{BaseURL: srv.URL, Token: "t"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, media, after string, body []byte) {
		s := &said{200 + int(uint(status)%400), media, after, body}
		now.Store(s)
		m, err := c.Mirror(t.Context(), 1, 0)
		if m != nil && (err != nil || s.status != http.StatusOK || m.Revision <= 1) {
			t.Fatalf("status %d gives a mirror of revision %d, %v", s.status, m.Revision, err)
		}
		a, err := c.Post(t.Context(), "/api/v1/excursions", "key", []byte(`{}`))
		if err == nil && a.Verdict == transport.Accepted && s.status >= 300 {
			t.Fatalf("status %d counts as taken", s.status)
		}
		if a.After < 0 {
			t.Fatalf("Retry-After %q is %v", after, a.After)
		}
	})
}
