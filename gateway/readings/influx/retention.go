package influx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

var _ readings.Pruner = (*Store)(nil)

func roundMilli(celsius float64) float64 { return math.Round(celsius * 1000) }

// api sends a request to the server's own API and returns the answer's status and
// body.
func (s *Store) api(ctx context.Context, method, path string, query url.Values, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(s.config.URL, "/")+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if s.ql.auth != "" {
		req.Header.Set("Authorization", s.ql.auth)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.ql.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, b, err
}

// Retention asks for how long the bucket keeps points; 0 is for ever. ENOTFOUND
// when there is no such bucket, EUNAVAILABLE when the server does not say.
func (s *Store) Retention(ctx context.Context) (time.Duration, error) {
	status, body, err := s.api(ctx, http.MethodGet, "/api/v2/buckets", url.Values{"name": {s.bucket}, "org": {s.config.Org}}, "")
	fail := func(err error) (time.Duration, error) {
		return 0, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "influx.Retention", "InfluxDB does not say how long bucket %s keeps its points", s.bucket)
	}
	if err != nil {
		return fail(err)
	}
	if status == http.StatusOK {
		var a struct {
			Buckets []struct {
				RetentionRules []struct {
					EverySeconds int64 `json:"everySeconds"`
				} `json:"retentionRules"`
			} `json:"buckets"`
		}
		if err := json.Unmarshal(body, &a); err != nil {
			return fail(err)
		}
		if len(a.Buckets) == 0 {
			return 0, coldkeep.Errorf(coldkeep.ENOTFOUND, "InfluxDB shows us no bucket %s", s.bucket)
		}
		keep := time.Duration(0)
		for _, r := range a.Buckets[0].RetentionRules {
			if d := time.Duration(r.EverySeconds) * time.Second; d > 0 && (keep == 0 || d < keep) {
				keep = d
			}
		}
		return keep, nil
	}
	// 1.8 has no such list, and says it in InfluxQL. A database without a policy in its
	// name writes to the default one.
	var keep time.Duration
	found := false
	err = s.ql.ask(ctx, http.MethodGet, `SHOW RETENTION POLICIES ON "`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s.ql.db)+`"`, func(_ int, columns []string, row [][]byte) error {
		var name, duration, standard string
		for i, c := range columns {
			var err error
			switch c {
			case "name":
				name, err = cellString(row[i])
			case "duration":
				duration, err = cellString(row[i])
			case "default":
				standard = string(row[i])
			}
			if err != nil {
				return err
			}
		}
		if name != s.ql.rp && (s.ql.rp != "" || standard != "true") {
			return nil
		}
		var err error
		keep, err = time.ParseDuration(duration)
		found = true
		return err
	})
	var answer *qlError
	switch {
	case errors.As(err, &answer) && strings.Contains(answer.message, "not found"):
		return 0, coldkeep.Errorf(coldkeep.ENOTFOUND, "InfluxDB: %s", answer.message)
	case err != nil:
		return fail(err)
	case !found:
		return 0, coldkeep.Errorf(coldkeep.ENOTFOUND, "InfluxDB shows us no retention policy %s", s.bucket)
	}
	return keep, nil
}

// keepsLong refuses a bucket that forgets before the law allows it, and one that is
// not there.
func (s *Store) keepsLong(ctx context.Context) error {
	keep, err := s.Retention(ctx)
	switch {
	case coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND:
		return err
	case err != nil:
		return nil //nolint:nilerr // a token that may only read and write points cannot ask; the server is well
	}
	if least := time.Duration(readings.Days(s.config.Years)) * 24 * time.Hour; keep > 0 && keep < least {
		return coldkeep.Errorf(coldkeep.ECONFLICT, "InfluxDB bucket %s forgets readings after %d days; the law wants %d years: raise its retention to %d days or to none",
			s.bucket, int(keep.Hours()/24), s.config.Years, readings.Days(s.config.Years))
	}
	return nil
}

// An InfluxDB 1.8 that is just writing its cache out may say that points are gone
// and still have some. pruneTries is how often it is told again.
const (
	pruneTries = 5
	prunePause = 200 * time.Millisecond
)

// Prune removes what has expired. An InfluxDB that cannot delete, such as 3 Core,
// is EINVALID: its retention is the bucket's.
func (s *Store) Prune(ctx context.Context, k coldkeep.Series, e readings.Expired) (int64, error) {
	from, to := e.Span()
	from, to = clamp(from), clamp(to)
	n, err := s.Count(ctx, k, from, to)
	left := n
	for try := 0; err == nil && left > 0; try++ {
		if try == pruneTries {
			return n - left, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "%d old readings of %s are still there", left, k)
		}
		if try > 0 {
			if err := (coldkeep.RealClock{}).Sleep(ctx, prunePause); err != nil {
				return n - left, err
			}
		}
		if err = s.remove(ctx, k, from, to); err == nil {
			left, err = s.Count(ctx, k, from, to)
		}
	}
	return n - left, err
}

// remove tells the server to delete.
func (s *Store) remove(ctx context.Context, k coldkeep.Series, from, to int64) error {
	fail := func(code string, err error) error {
		return coldkeep.Wrap(err, code, "influx.Prune", "old readings of %s could not be removed", k)
	}
	predicate := fmt.Sprintf("_measurement=%q AND site=%q AND agent=%q AND probe=%q", measurement, k.Site, k.Agent, k.Probe)
	body, _ := json.Marshal(map[string]string{"start": time.UnixMilli(from).UTC().Format(time.RFC3339Nano), // strings always marshal
		"stop": time.UnixMilli(to).Add(-1).UTC().Format(time.RFC3339Nano), "predicate": predicate})
	status, answer, err := s.api(ctx, http.MethodPost, "/api/v2/delete", url.Values{"bucket": {s.bucket}, "org": {s.config.Org}}, string(body))
	switch {
	case err != nil:
		return fail(coldkeep.EUNAVAILABLE, err)
	case status/100 == 2:
		return nil
	case status != http.StatusNotFound:
		return fail(coldkeep.EUNAVAILABLE, errors.New("InfluxDB answers "+strconv.Itoa(status)+": "+strings.TrimSpace(string(answer))))
	}
	// 1.8. Its DELETE knows tags and times.
	return fail(coldkeep.EINVALID, s.ql.ask(ctx, http.MethodPost, "DELETE"+s.ql.where(k, from, to), func(int, []string, [][]byte) error { return nil }))
}
