package api_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts/api"
)

// book is a small book of alerts.
type book struct {
	site     coldkeep.SiteID
	onlyOpen bool
	answered []string
}

func (b *book) Alerts(_ context.Context, site coldkeep.SiteID, onlyOpen bool) ([]coldkeep.Alert, error) {
	b.site, b.onlyOpen = site, onlyOpen
	switch site {
	case "none":
		return nil, nil
	case "broken":
		return nil, coldkeep.Wrap(io.ErrUnexpectedEOF, coldkeep.EUNAVAILABLE, "alerts.Alerts", "alerts cannot be read")
	}
	return []coldkeep.Alert{{ID: "a1", Site: "north", State: coldkeep.AlertOpen, RaisedAt: time.Unix(1, 0).UTC(),
		Excursion: coldkeep.Excursion{ID: "x", Extreme: 12400}}}, nil
}

func (b *book) Acknowledge(_ context.Context, id, person, note string) error {
	switch {
	case id == "none":
		return coldkeep.Errorf(coldkeep.ENOTFOUND, "there is no alert %q", id)
	case person == "":
		return coldkeep.Errorf(coldkeep.EINVALID, "a name is needed")
	}
	b.answered = append(b.answered, id+" "+person+" "+note)
	return nil
}

func (b *book) Channels(context.Context) ([]string, error) {
	if b.site == "broken" {
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "away")
	}
	return []string{"email", "webhook"}, nil
}

func serve(t *testing.T, b *book) *httptest.Server {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	if err := api.Mount(e, b, "t0ken", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, url, token string) *api.Client {
	t.Helper()
	c, err := api.NewClient(url, token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientAndServer(t *testing.T) {
	b := &book{}
	c := client(t, serve(t, b).URL, "t0ken")
	list, err := c.Alerts(t.Context(), "north", true)
	if err != nil || len(list) != 1 || list[0].Excursion.Extreme != 12400 || b.site != "north" || !b.onlyOpen {
		t.Fatalf("got %+v, %v; asked %+v", list, err, b)
	}
	if list, err := c.Alerts(t.Context(), "none", false); err != nil || len(list) != 0 || b.onlyOpen {
		t.Fatalf("got %+v, %v; asked %+v", list, err, b)
	}
	if err := c.Acknowledge(t.Context(), "a1", "Anna", "moved"); err != nil {
		t.Fatal(err)
	}
	if names, err := c.Channels(t.Context()); err != nil || strings.Join(names, " ") != "email webhook" {
		t.Fatalf("got %v, %v", names, err)
	}
	if got := strings.Join(b.answered, "; "); got != "a1 Anna moved" {
		t.Fatalf("got %s", got)
	}
}

func TestClientGivesTheServersCodes(t *testing.T) {
	s := serve(t, &book{})
	c := client(t, s.URL, "t0ken")
	_, broken := c.Alerts(t.Context(), "broken", false)
	_, channels := c.Channels(t.Context())
	_, stranger := client(t, s.URL, "guess").Alerts(t.Context(), "", false)
	away := client(t, s.URL, "t0ken")
	for what, e := range map[string]struct {
		err  error
		code string
	}{
		"broken":   {broken, coldkeep.EUNAVAILABLE},
		"channels": {channels, coldkeep.EUNAVAILABLE},
		"stranger": {stranger, coldkeep.EUNAUTHORIZED},
		"no name":  {c.Acknowledge(t.Context(), "a1", "", ""), coldkeep.EINVALID},
		"no alert": {c.Acknowledge(t.Context(), "none", "Anna", ""), coldkeep.ENOTFOUND},
		"no id":    {c.Acknowledge(t.Context(), "", "Anna", ""), coldkeep.ENOTFOUND},
	} {
		if coldkeep.ErrorCode(e.err) != e.code {
			t.Errorf("%s: %v", what, e.err)
		}
	}
	s.Close()
	if _, err := away.Alerts(t.Context(), "", false); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE || strings.Contains(err.Error(), "t0ken") {
		t.Errorf("away: %v", err)
	}
	for _, bad := range []string{"", "127.0.0.1:80", "ftp://x"} {
		if _, err := api.NewClient(bad, "t"); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestBadRequests(t *testing.T) {
	s := serve(t, &book{})
	for _, c := range []struct {
		name, method, path, token, body string
		status                          int
		code                            string
	}{
		{"no token", "GET", "/api/v1/alerts", "", "", 401, coldkeep.EUNAUTHORIZED},
		{"not a bearer", "GET", "/api/v1/alerts", "Basic t0ken", "", 401, coldkeep.EUNAUTHORIZED},
		{"open is a word", "GET", "/api/v1/alerts?open=maybe", "Bearer t0ken", "", 400, coldkeep.EINVALID},
		{"no body", "POST", "/api/v1/alerts/a1/acknowledge", "Bearer t0ken", "", 400, coldkeep.EINVALID},
		{"not JSON", "POST", "/api/v1/alerts/a1/acknowledge", "Bearer t0ken", "{", 400, coldkeep.EINVALID},
		{"unknown field", "POST", "/api/v1/alerts/a1/acknowledge", "Bearer t0ken", `{"persn":"A"}`, 400, coldkeep.EINVALID},
		{"wrong type", "POST", "/api/v1/alerts/a1/acknowledge", "Bearer t0ken", `{"person":1}`, 400, coldkeep.EINVALID},
		{"two objects", "POST", "/api/v1/alerts/a1/acknowledge", "Bearer t0ken", `{"person":"A"}{}`, 400, coldkeep.EINVALID},
		{"endless", "POST", "/api/v1/alerts/a1/acknowledge", "Bearer t0ken", `{"person":"` + strings.Repeat("A", 1<<17) + `"}`, 400, coldkeep.EINVALID},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", c.token)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			var p struct {
				Code   string `json:"code"`
				Detail string `json:"detail"`
			}
			if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != c.status || p.Code != c.code || p.Detail == "" || res.Header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("got %d %+v %s", res.StatusCode, p, res.Header.Get("Content-Type"))
			}
		})
	}
}

func TestMountNeedsAToken(t *testing.T) {
	if err := api.Mount(gin.New(), &book{}, "", nil); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Fatalf("got %v", err)
	}
}
