package rest_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/httpfake"
	"github.com/coldkeep/coldkeep/internal/registryfake"
	"github.com/coldkeep/coldkeep/registryclient/transport"
	"github.com/coldkeep/coldkeep/registryclient/transport/rest"
	"github.com/coldkeep/coldkeep/registryclient/transport/transporttest"
)

func fake(t *testing.T) (*registryfake.Registry, *rest.Client) {
	t.Helper()
	r, err := registryfake.New("", "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	c, err := rest.New(rest.Config{BaseURL: r.URL() + "/", Token: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	return r, c
}

func TestContract(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Rig {
		r, c := fake(t)
		return transporttest.Rig{
			Transport: c,
			Got: func() (out []string) {
				for _, e := range r.Effects() {
					out = append(out, e.Key)
				}
				return out
			},
			Away: r.Down,
			Back: func() {
				if err := r.Up(); err != nil {
					t.Fatal(err)
				}
			},
			Busy:         func() { r.Next(httpfake.Status(http.StatusTooManyRequests)) },
			Unauthorized: func() { r.SetToken("another") },
			Refuse: func() {
				left := 1 // refuse is called one at a time
				r.Refuse(func(string, []byte) string {
					if left--; left < 0 {
						return ""
					}
					return "the appliance is not known"
				})
			},
			Hang:     func() { r.Next(httpfake.Hang) },
			Lose:     func() { r.Next(httpfake.CutAfter) },
			Impostor: func() { r.Next(httpfake.SignInPage) },
		}
	})
}

func TestStatuses(t *testing.T) {
	const problem = "application/problem+json"
	for _, c := range []struct {
		status  int
		headers []string
		want    transport.Verdict // 0: no answer from a registry
		after   time.Duration
	}{
		{200, []string{"Content-Type", "application/json; charset=utf-8"}, transport.Accepted, 0},
		{204, nil, transport.Accepted, 0},
		{400, []string{"Content-Type", problem}, transport.Refused, 0},
		{409, []string{"Content-Type", problem}, transport.Refused, 0},
		{422, []string{"Content-Type", problem + "; charset=utf-8"}, transport.Refused, 0},
		{413, []string{"Content-Type", "text/html"}, transport.Refused, 0}, // a proxy's limit
		{400, []string{"Content-Type", "text/html"}, 0, 0},
		{404, nil, 0, 0}, // a wrong address must not empty the outbox
		{404, []string{"Content-Type", problem}, transport.Refused, 0},
		{401, nil, transport.Unauthorized, 0},
		{403, []string{"Content-Type", problem}, transport.Unauthorized, 0},
		{408, nil, transport.Busy, 0},
		{425, nil, transport.Busy, 0},
		{429, []string{"Retry-After", "7"}, transport.Busy, 7 * time.Second},
		{429, []string{"Retry-After", "soon"}, transport.Busy, 0},
		{429, []string{"Retry-After", "-5"}, transport.Busy, 0},
		{500, nil, transport.Busy, 0},
		{502, []string{"Content-Type", "text/html"}, transport.Busy, 0},
		{503, []string{"Retry-After", "2"}, transport.Busy, 2 * time.Second},
		{302, []string{"Location", "/api/v1/mirror"}, 0, 0}, // its GET would be a 200
		{307, []string{"Location", "/api/v1/holds"}, 0, 0},  // the token stays here
	} {
		r, client := fake(t)
		r.Next(httpfake.Status(c.status, c.headers...))
		a, err := client.Post(t.Context(), "/api/v1/excursions", "k", []byte("{}"))
		if (err != nil) != (c.want == 0) || a.Verdict != c.want || a.After != c.after {
			t.Errorf("%d %v: %+v, %v", c.status, c.headers, a, err)
		}
		if r.Served() != 1 {
			t.Errorf("%d: %d requests", c.status, r.Served())
		}
	}
}

func TestRetryAfterAsADate(t *testing.T) {
	r, client := fake(t)
	r.Next(httpfake.Status(http.StatusServiceUnavailable, "Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)))
	a, err := client.Post(t.Context(), "/api/v1/excursions", "k", []byte("{}"))
	if err != nil || a.After < 58*time.Minute || a.After > time.Hour {
		t.Fatalf("%+v, %v", a, err)
	}
}

func TestMirror(t *testing.T) {
	r, c := fake(t)
	if m, err := c.Mirror(t.Context(), 0, 0); m != nil || err != nil {
		t.Fatalf("an empty registry: %+v, %v", m, err)
	}
	r.SetMirror(coldkeep.Mirror{Revision: 3, Sites: []coldkeep.Site{{ID: "north"}}})
	m, err := c.Mirror(t.Context(), 0, 0)
	if err != nil || m.Revision != 3 || len(m.Sites) != 1 {
		t.Fatalf("got %+v, %v", m, err)
	}
	if m, err := c.Mirror(t.Context(), 3, 0); m != nil || err != nil {
		t.Fatalf("nothing new: %+v, %v", m, err)
	}
	done := make(chan *coldkeep.Mirror)
	go func() {
		m, err := c.Mirror(context.Background(), 3, 10*time.Second)
		if err != nil {
			t.Error(err)
		}
		done <- m
	}()
	r.SetMirror(coldkeep.Mirror{Revision: 4})
	if m := <-done; m == nil || m.Revision != 4 {
		t.Fatalf("got %+v", m)
	}
	for _, f := range []httpfake.Fault{httpfake.SignInPage, httpfake.CutAfter, httpfake.CutBefore, httpfake.Status(500), httpfake.Status(200)} {
		r.Next(f)
		if m, err := c.Mirror(t.Context(), 0, 0); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
			t.Errorf("got %+v, %v", m, err)
		}
	}
	r.SetToken("another")
	if _, err := c.Mirror(t.Context(), 0, 0); coldkeep.ErrorCode(err) != coldkeep.EUNAUTHORIZED {
		t.Errorf("got %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, cfg := range []rest.Config{{}, {BaseURL: "registry:80", Token: "t"}, {BaseURL: "ftp://registry", Token: "t"}, {BaseURL: "http://registry"}} {
		if _, err := rest.New(cfg); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
