package influx_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/gateway/readings/influx"
)

// A bucket that forgets inside the legal time is found at once, by 1.8's InfluxQL.
func TestRetentionOf18(t *testing.T) {
	open(t, false) // or skip
	server := os.Getenv("COLDKEEP_TEST_INFLUX_URL")
	if os.Getenv("COLDKEEP_TEST_INFLUX_TOKEN") != "" {
		t.Skip("an InfluxDB of one's own is left as it is")
	}
	query := func(q string) {
		t.Helper()
		resp, err := http.PostForm(server+"/query", url.Values{"q": {q}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	query(`CREATE DATABASE retention_test WITH DURATION 720h NAME "month"`)
	t.Cleanup(func() { query(`DROP DATABASE retention_test`) })
	query(`CREATE RETENTION POLICY "three" ON retention_test DURATION 26352h REPLICATION 1`)
	for _, c := range []struct {
		bucket string
		years  int
		code   string
		keep   time.Duration
	}{
		{"retention_test", 0, coldkeep.ECONFLICT, 720 * time.Hour}, // its default policy
		{"retention_test/month", 0, coldkeep.ECONFLICT, 720 * time.Hour},
		{"retention_test/three", 0, "", 26_352 * time.Hour},
		{"retention_test/three", 5, coldkeep.ECONFLICT, 26_352 * time.Hour},
		{"retention_test/none", 0, coldkeep.ENOTFOUND, 0},
		{"no_such_database", 0, coldkeep.ENOTFOUND, 0},
		{"coldkeep/autogen", 30, "", 0},
	} {
		s, err := influx.Open(influx.Config{URL: server, Bucket: c.bucket, Years: c.years})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); coldkeep.ErrorCode(err) != c.code {
			t.Errorf("%s for %d years: %v", c.bucket, c.years, err)
		}
		if keep, err := s.Retention(t.Context()); keep != c.keep || err != nil && c.code != coldkeep.ENOTFOUND {
			t.Errorf("%s keeps %v, %v", c.bucket, keep, err)
		}
		_ = s.Close()
	}
}

// server2 answers what InfluxDB 2.7's API documents for health, buckets and
// deletes.
type server2 struct {
	retention string // of the bucket, JSON
	status    int    // of /api/v2/buckets
	deleted   []map[string]string
	asked     []string
}

func (f *server2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.asked = append(f.asked, r.URL.Path+" "+r.Header.Get("Authorization"))
	switch r.URL.Path {
	case "/ping":
		w.WriteHeader(http.StatusNoContent)
	case "/api/v2/buckets":
		w.WriteHeader(f.status)
		if q := r.URL.Query(); q.Get("name") == "coldkeep" && q.Get("org") == "clinic" {
			_, _ = w.Write([]byte(`{"buckets":[{"name":"coldkeep","retentionRules":[` + f.retention + `]}]}`))
		} else {
			_, _ = w.Write([]byte(`{"buckets":[]}`))
		}
	case "/query":
		rows := `[{"columns":["time","count"],"values":[[0,7]]}]`
		if len(f.deleted) > 0 {
			rows = `[]`
		}
		_, _ = w.Write([]byte(`{"results":[{"statement_id":0,"series":` + rows + `}]}` + "\n"))
	case "/api/v2/delete":
		var body map[string]string
		if r.URL.Query().Get("bucket") != "coldkeep" || json.NewDecoder(r.Body).Decode(&body) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		f.deleted = append(f.deleted, body)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestRetentionOf2(t *testing.T) {
	f := &server2{status: http.StatusOK}
	srv := httptest.NewServer(f)
	defer srv.Close()
	open := func(bucket string) *influx.Store {
		t.Helper()
		s, err := influx.Open(influx.Config{URL: srv.URL, Token: "secret", Org: "clinic", Bucket: bucket})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	s := open("coldkeep")
	for retention, code := range map[string]string{
		``:                                      "",
		`{"type":"expire","everySeconds":0}`:    "",
		`{"type":"expire","everySeconds":3600}`: coldkeep.ECONFLICT,
		`{"type":"expire","everySeconds":94608000}`:                   coldkeep.ECONFLICT, // 1,095 days: three years may have 1,096
		`{"type":"expire","everySeconds":94867200}`:                   "",
		`{"type":"x","everySeconds":94867200},{"everySeconds":86400}`: coldkeep.ECONFLICT,
	} {
		f.retention = retention
		if err := s.Ping(t.Context()); coldkeep.ErrorCode(err) != code {
			t.Errorf("%s: %v", retention, err)
		}
	}
	if err := open("another").Ping(t.Context()); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		t.Errorf("no such bucket: %v", err)
	}
	f.status = http.StatusForbidden // a token for points only
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("a token that may not see buckets: %v", err)
	}
	for _, a := range f.asked {
		if !strings.HasSuffix(a, " Token secret") && !strings.HasPrefix(a, "/ping") {
			t.Errorf("asked without the token: %s", a)
		}
	}
	e, err := readings.Expire(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2022, 12, 31, 0, 0, 0, 0, time.UTC), 3)
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Prune(t.Context(), coldkeep.Series{Site: "s", Agent: "a", Probe: "p"}, e)
	if err != nil || n != 7 || len(f.deleted) != 1 {
		t.Fatalf("%d gone, %v, %v", n, f.deleted, err)
	}
	if d := f.deleted[0]; d["stop"] != "2022-12-30T23:59:59.999999999Z" || d["predicate"] != `_measurement="reading" AND site="s" AND agent="a" AND probe="p"` {
		t.Errorf("deleted %v", d)
	}
}
