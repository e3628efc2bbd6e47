package registry_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep/registry/auth"
)

// Every answer of every route, also one that refuses, says to a browser that it is to run,
// frame, keep and guess nothing.
func TestHeadersEverywhere(t *testing.T) {
	w := newWorld(t)
	head := func(v *visitor, method, path, body string) http.Header {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, v.base+path, strings.NewReader(body))
		w.must(err)
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if v.token != "" {
			r.Header.Set("Authorization", "Bearer "+v.token)
		}
		res, err := v.client.Do(r)
		w.must(err)
		w.must(res.Body.Close())
		return res.Header
	}
	check := func(where string, h http.Header, kept bool) {
		t.Helper()
		policy := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: Content-Security-Policy %q lacks %s", where, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "http") {
			t.Errorf("%s: Content-Security-Policy %q", where, policy)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options %q", where, h.Get("X-Content-Type-Options"))
		}
		if p := h.Get("Referrer-Policy"); p != "same-origin" && p != "no-referrer" {
			t.Errorf("%s: Referrer-Policy %q", where, p)
		}
		if !kept && !strings.Contains(h.Get("Cache-Control"), "no-store") {
			t.Errorf("%s: Cache-Control %q", where, h.Get("Cache-Control"))
		}
		for _, c := range h.Values("Set-Cookie") {
			if !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Lax") {
				t.Errorf("%s: cookie %q", where, c)
			}
		}
	}
	for _, key := range append(w.registry.Routes(), "GET /no/such/page", "GET /api/v1/no-such-call", "GET /fhir/none", "POST /units", "POST /hl7/none") {
		r := newRow(key)
		if r.path == "/signout" || r.path == "/live" {
			continue
		}
		for _, v := range []*visitor{w.visitors[0], w.by(auth.StateAdmin), w.visitors[len(w.visitors)-1]} {
			path := fill(template(r.path), w.things[0])
			check(key+" for "+v.name, head(v, r.method, path, ""), strings.HasPrefix(r.path, "/static/"))
		}
	}
	check("an address that is none", head(w.visitors[0], "GET", "/units/"+url.PathEscape("\x00"), ""), false)
}
