package page

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/watch"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

const none = coldkeep.NoTemperature

// records is a book.
type records struct {
	all []wire.Record
	err error
}

func (r records) Since(_ context.Context, at time.Time, each func(wire.Record) error) error {
	for _, x := range r.all {
		if x.At >= at.UnixMilli() {
			if err := each(x); err != nil {
				return err
			}
		}
	}
	return r.err
}

// furnished is a watch of a fridge in alarm and a probe that is broken, whose names
// and lots would be markup.
func furnished() (*watch.Watch, *[]string) {
	w := watch.New(nil)
	w.SetPlace("clinic/pi")
	w.Configure(wire.Config{Probes: []wire.ProbeConfig{{Probe: "a", Appliance: "<b>fridge</b>", Local: &wire.LocalAlarm{Low: 2000, High: 8000}}},
		Holds: []wire.Hold{{Appliance: "fridge-1", Lot: `"><script>alert(1)</script>`, Product: "MMR & V", Since: "2026-03-01T00:00:00Z"}}})
	now := time.Now()
	for i := range 300 {
		w.Look("a", now.Add(time.Duration(i-300)*time.Minute), coldkeep.Temperature(3000+10*i), "")
	}
	w.Look("a", now, 9000, "")
	w.Look("b", now, none, coldkeep.QualityOpen)
	w.Contact(watch.Lost, "")
	w.SetBattery(watch.Battery{Known: true, Percent: 63.2, Volts: 3.81})
	var resets []string
	w.Connect(func(_ context.Context, p coldkeep.ProbeID, by string) error {
		resets = append(resets, by+":"+string(p))
		return nil
	},
		records{all: []wire.Record{
			{Probe: "a", At: now.Add(-48 * time.Hour).UnixMilli(), Celsius: 1, Raw: none, Lo: none, Hi: none},
			{Probe: "a", At: now.UnixMilli(), Celsius: 4312, Raw: 4432, Lo: 4250, Hi: 4375},
			{Probe: "a", At: now.UnixMilli(), Celsius: none, Raw: none, Lo: none, Hi: none, Quality: "crc"},
			{At: now.UnixMilli(), Celsius: none, Raw: none, Lo: none, Hi: none, Event: "boot", Detail: "=1,2"},
		}})
	return w, &resets
}

func server(t *testing.T, w *watch.Watch) string {
	t.Helper()
	s := httptest.NewServer(New(w, slog.New(slog.DiscardHandler)).Handler())
	t.Cleanup(s.Close)
	return s.URL
}

func get(t *testing.T, url string) (int, string, http.Header) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

func TestHome(t *testing.T) {
	w, _ := furnished()
	status, body, header := get(t, server(t, w)+"/")
	if status != 200 || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("status %d, %v", status, header)
	}
	for _, want := range []string{"clinic/pi", "9 °C", "Lowest", "3 °C", "No value: open", "2 to 8 °C", "on battery, battery 63 % (3.81 V)", "<svg", "Local alarm", "Silence the buzzer", "MMR &amp; V", "last 30 days"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(body, "<script>") || strings.Contains(body, "<b>fridge") {
		t.Error("text became markup")
	}
	if _, err := html.Parse(strings.NewReader(body)); err != nil {
		t.Error(err)
	}
	w = watch.New(nil)
	w.ShowCode("ABCD-2345")
	if _, body, _ = get(t, server(t, w)+"/"); !strings.Contains(body, "ABCD-2345") || strings.Contains(body, "CSV") {
		t.Errorf("a device to be claimed shows\n%s", body)
	}
}

func TestExport(t *testing.T) {
	w, _ := furnished()
	base := server(t, w)
	for query, lines := range map[string]int{"": 5, "?days=3": 6} {
		status, body, header := get(t, base+"/readings.csv"+query)
		rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil || status != 200 || len(rows) != lines || !strings.Contains(header.Get("Content-Disposition"), ".csv") {
			t.Errorf("%s: status %d, %v, %d rows", query, status, err, len(rows))
			continue
		}
		rows = rows[len(rows)-4:]
		if got := strings.Join(rows[0][1:6], " "); got != "a 4.312 4.25 4.375 4.432" {
			t.Errorf("%q", got)
		}
		if rows[1][2] != "" || rows[1][6] != "crc" || rows[2][7] != "boot" || rows[2][8] != "'=1,2" || rows[3][0] != "end" {
			t.Errorf("%q", rows)
		}
	}
	for _, bad := range []string{"0", "-1", "367", "x", "1e3"} {
		if status, _, _ := get(t, base+"/readings.csv?days="+bad); status != 400 {
			t.Errorf("days=%s: status %d", bad, status)
		}
	}
	if status, _, _ := get(t, server(t, watch.New(nil))+"/readings.csv"); status != 503 {
		t.Errorf("without a book: status %d", status)
	}
	w.Connect(nil, records{all: []wire.Record{{At: time.Now().UnixMilli(), Event: "boot"}}, err: errors.New("the card is gone")})
	if _, body, _ := get(t, base+"/readings.csv"); strings.Contains(body, "end") {
		t.Errorf("an export that broke off looks whole:\n%s", body)
	}
}

func TestActions(t *testing.T) {
	w, resets := furnished()
	base := server(t, w)
	post := func(path string, form url.Values, header ...string) int {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, base+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			if req.Header.Set(header[i], header[i+1]); header[i] == "Host" {
				req.Host = header[i+1]
			}
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	for _, c := range []struct {
		path, probe string
		header      []string
		want        int
	}{
		{"/reset", "a", nil, 303}, {"/reset", "", nil, 303}, {"/reset", "c", nil, 404},
		{"/reset", "a", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"/reset", "a", []string{"Origin", "https://elsewhere.example"}, 403},
		{"/reset", "a", []string{"Host", "elsewhere.example"}, 421},
		{"/hush", "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
	} {
		if got := post(c.path, url.Values{"probe": {c.probe}}, c.header...); got != c.want {
			t.Errorf("%s %q %v: status %d, want %d", c.path, c.probe, c.header, got, c.want)
		}
	}
	if got := strings.Join(*resets, " "); got != "page:a page:" {
		t.Errorf("resets %q", got)
	}
	if _, aloud := w.Alarming(); !aloud {
		t.Error("hushed by another site")
	}
	if got := post("/hush", nil); got != 303 {
		t.Errorf("status %d", got)
	}
	if _, aloud := w.Alarming(); aloud {
		t.Error("not hushed")
	}
	if status, _, _ := get(t, base+"/reset"); status != 405 {
		t.Errorf("GET /reset: status %d", status)
	}
}

func TestOurs(t *testing.T) {
	p := &Page{host: "fridge-pi"}
	for host, want := range map[string]bool{"192.168.1.5": true, "192.168.1.5:8081": true, "[fe80::1]:8081": true, "localhost:1": true, "fridge-pi": true, "Fridge-Pi.local:8081": true,
		"elsewhere.example": false, "fridge-pi.evil.example": false, "": false} {
		if got := p.ours(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestRun(t *testing.T) {
	p := New(watch.New(nil), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx, "127.0.0.1:0"); err != nil {
		t.Error(err)
	}
	if err := p.Run(t.Context(), "256.0.0.1:0"); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Errorf("%v", err)
	}
}
