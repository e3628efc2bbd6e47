package api_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/api"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

// shelf is a store of two readings.
type shelf struct{ readings.Store }

func (shelf) Range(_ context.Context, s coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	for seq, at := range []int64{1_767_225_600_000, 1_767_225_660_000} {
		r := coldkeep.Reading{Series: s, Epoch: "01jd3k8w2m5n6p7q8r9s0t1v2w", Seq: int64(seq + 1), At: at, Celsius: 4000, Raw: coldkeep.NoTemperature, Lo: coldkeep.NoTemperature, Hi: coldkeep.NoTemperature}
		if from <= at && at < to {
			if err := each(&r); err != nil {
				return err
			}
		}
	}
	return nil
}

// A question of whatever form is answered or refused by a problem document with a
// code, and never by a failure of ours.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"appliance=fridge&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&buckets=10", "appliance=fridge", "", "appliance=no&from=x", "appliance=fridge&buckets=-1",
		"appliance=fridge&from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z&buckets=10000", "appliance=fridge&from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00.001Z&buckets=300", "%zz", "appliance=%00"} {
		f.Add(q)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	reader := &api.Reader{Store: shelf{}, Mirror: func() coldkeep.Mirror {
		return coldkeep.Mirror{Revision: 1, Appliances: []coldkeep.Appliance{{ID: "fridge", Site: "clinic", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}},
			Assignments: []coldkeep.Assignment{{Series: coldkeep.Series{Site: "clinic", Agent: "pi-1", Probe: "p"}, Appliance: "fridge"}}}
	}}
	(&api.API{Reader: reader, Hub: &api.Hub{}, Token: "t", Log: slog.New(slog.DiscardHandler)}).Routes(r)
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/api/v1/readings", "/api/v1/readings.csv"} {
			req := httptest.NewRequest(http.MethodGet, path, nil)
			req.URL.RawQuery = query
			req.Header.Set("Authorization", "Bearer t")
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			if w.Code >= 500 {
				t.Fatalf("%s?%q answers %d: %s", path, query, w.Code, w.Body)
			}
			if w.Code == http.StatusOK {
				continue
			}
			var p struct{ Code, Detail string }
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code == "" || p.Detail == "" {
				t.Fatalf("%s?%q answers %d without a reason: %s", path, query, w.Code, w.Body)
			}
		}
	})
}

// Whatever answers in a collector's place, the client gives buckets or an error.
func FuzzClient(f *testing.F) {
	f.Add(200, []byte(`{"buckets":[{"from":"2026-01-01T00:00:00Z","to":"2026-01-01T01:00:00Z","min":1.5,"max":2,"mean":1.75,"count":2}]}`))
	f.Add(404, []byte(`{"code":"not_found","detail":"no such appliance"}`))
	f.Add(200, []byte("event: excursion\ndata: {\"type\":\"excursion\",\"site\":\"a\",\"appliance\":\"b\"}\n\n"))
	f.Add(502, []byte("<html>"))
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
	c := &api.Client{BaseURL: srv.URL, Token: "t"}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		s := &said{200 + int(uint(status)%400), body}
		now.Store(s)
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		if _, err := c.Buckets(t.Context(), "fridge", from, from.Add(time.Hour), 10); err == nil && s.status != 200 {
			t.Fatalf("status %d is no error", s.status)
		}
		ctx, cancel := context.WithCancel(t.Context())
		events := c.Subscribe(ctx)
		if s.status == 200 && strings.Contains(string(body), "data: ") {
			select { // the stream is read to its end before the client waits to connect again
			case <-events:
			case <-time.After(5 * time.Millisecond):
			}
		}
		cancel()
		for range events {
		}
	})
}
