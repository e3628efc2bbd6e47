package registry

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// A body has half a minute and then must come at a rate; once it is there, its handler has
// all the time it needs.
func TestPace(t *testing.T) {
	var bounds []time.Time
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b := &paced{ReadCloser: io.NopCloser(bytes.NewReader(make([]byte, 3*bodyRate))), now: func() time.Time { return now }, until: func(at time.Time) error { bounds = append(bounds, at); return nil }}
	if _, err := io.ReadFull(b, make([]byte, 2*bodyRate)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if rest, err := io.ReadAll(b); err != nil || len(rest) != bodyRate {
		t.Fatal(len(rest), err)
	}
	first := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(bodyGrace)
	if len(bounds) < 3 || !bounds[0].Equal(first) || !bounds[1].Equal(first.Add(2*time.Second)) || !bounds[len(bounds)-1].IsZero() {
		t.Errorf("%v", bounds)
	}
}

// A body that does not come is given up, in a server as it is.
func TestPaceCutsABody(t *testing.T) {
	failed := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		body := &paced{ReadCloser: r.Body, now: time.Now, until: func(at time.Time) error {
			if !at.IsZero() {
				at = at.Add(-bodyGrace) // at once
			}
			return control.SetReadDeadline(at)
		}}
		_, err := io.ReadAll(body)
		failed <- err
	}))
	defer srv.Close()
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://")) //nolint:noctx // of the test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // the test is over
	if _, err := conn.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nslow")); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
