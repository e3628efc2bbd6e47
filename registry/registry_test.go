package registry_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry"
)

const token = "token-of-the-collector"

func secrets(word string) map[string]string {
	out := map[string]string{}
	for _, d := range registry.DemoDevices() {
		out[d] = word + d
	}
	return out
}

func open(t *testing.T, where string) *registry.Registry {
	t.Helper()
	r, err := registry.Open(t.Context(), registry.Config{Database: where, CollectorToken: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func mirror(t *testing.T, r *registry.Registry) coldkeep.Mirror {
	t.Helper()
	q := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/mirror", nil)
	q.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, q)
	var m coldkeep.Mirror
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s, %v", w.Code, w.Body, err)
	}
	return m
}

// The demo is furnished once, however often it is started, and its people can sign
// in with the passwords that are printed.
func TestFurnishDemo(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		r := open(t, where)
		people, err := r.FurnishDemo(t.Context(), secrets("first-"), "http://127.0.0.1:9"+registry.DemoPhonePath)
		if err != nil {
			t.Fatal(err)
		}
		first := mirror(t, r)
		if len(first.Sites) != 2 || len(first.Appliances) != 7 || len(first.Assignments) != 8 || len(first.Devices) != 3 {
			t.Fatalf("%+v", first)
		}
		again := open(t, where) // after a restart
		if _, err := again.FurnishDemo(t.Context(), secrets("first-"), "http://127.0.0.1:9"+registry.DemoPhonePath); err != nil {
			t.Fatal(err)
		}
		if second := mirror(t, again); second.Revision != first.Revision {
			t.Errorf("furnished twice: revision %d after %d", second.Revision, first.Revision)
		}
		if _, err := again.FurnishDemo(t.Context(), secrets("second-"), ""); err != nil {
			t.Fatal(err)
		}
		for secret, want := range map[string]bool{"first-lakeside/pi-1": false, "second-lakeside/pi-1": true} {
			if _, _, ok := again.CheckDevice(t.Context(), "lakeside/pi-1", secret); ok != want {
				t.Errorf("device with %s: %v", secret, ok)
			}
		}
		for _, p := range people {
			q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/signin", strings.NewReader(url.Values{"username": {p.Username}, "password": {p.Password}}.Encode()))
			q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			again.Handler().ServeHTTP(w, q)
			if w.Code != http.StatusSeeOther {
				t.Errorf("%s cannot sign in: %d", p.Username, w.Code)
			}
		}
		recorder := slices.IndexFunc(first.Assignments, func(a coldkeep.Assignment) bool { return a.String() == "lakeside/recorder/T0" })
		if a := first.Assignments[recorder]; a.Appliance != "lakeside-recorded" || !a.From.Equal(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%+v", a)
		}
	})
}

// The recorded log's excursion of August finds the lots that stood in that freezer.
func TestDemoHold(t *testing.T) {
	r := open(t, databasetest.SQLite(t))
	if _, err := r.FurnishDemo(t.Context(), secrets("first-"), "http://127.0.0.1:9"+registry.DemoPhonePath); err != nil {
		t.Fatal(err)
	}
	q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/holds",
		strings.NewReader(`{"id":"h","excursion":"x","appliance":"lakeside-recorded","since":"2026-08-17T19:58:27Z","reason":"too warm"}`))
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Idempotency-Key", "k")
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, q)
	var h coldkeep.Hold
	if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || w.Code != 200 || len(h.Lots) != 2 || h.Lots[0].Product != "ProQuad" || h.Lots[1].Product != "Varivax" {
		t.Fatalf("%d %s, %v", w.Code, w.Body, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		c    registry.Config
		code string
	}{
		"no database":    {registry.Config{}, coldkeep.EINVALID},
		"no such server": {registry.Config{Database: "postgres://nobody:secret@127.0.0.1:1/none?connect_timeout=1"}, coldkeep.EUNAVAILABLE},
		"short token":    {registry.Config{Database: databasetest.SQLite(t), CollectorToken: "short"}, coldkeep.EINVALID},
		"bad origin":     {registry.Config{Database: databasetest.SQLite(t), TrustedOrigins: []string{"example"}}, coldkeep.EINVALID},
	} {
		_, err := registry.Open(context.Background(), row.c)
		if coldkeep.ErrorCode(err) != row.code || strings.Contains(coldkeep.ErrorMessage(err), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := open(t, databasetest.SQLite(t))
	if _, err := r.FurnishDemo(t.Context(), nil, ""); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("demo without secrets: %v", err)
	}
	if err := r.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
