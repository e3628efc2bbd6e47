package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry"
)

type world struct {
	mu     sync.Mutex
	alerts []coldkeep.Alert
	subs   []chan coldkeep.LiveEvent
	now    time.Time
	start  time.Time
}

func temp(id coldkeep.ApplianceID, t time.Time, start time.Time) float64 {
	base, amp := 4.5, 0.9
	switch id {
	case "lakeside-freezer-1", "lakeside-recorded", "northgate-freezer-1":
		base, amp = -20, 1.5
	case "lakeside-ultra-1":
		base, amp = -75, 1.2
	}
	v := base + amp*math.Sin(float64(t.Unix())/900*2*math.Pi/3)
	if id == "lakeside-fridge-1" && t.After(start) {
		v += 12 * (1 - math.Exp(-t.Sub(start).Hours()/2))
	}
	return v
}

func (w *world) Buckets(ctx context.Context, a coldkeep.ApplianceID, from, to time.Time, n int) ([]coldkeep.Bucket, error) {
	if os.Getenv("AWAY") != "" {
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "away")
	}
	var out []coldkeep.Bucket
	step := to.Sub(from) / time.Duration(n)
	for i := range n {
		b := coldkeep.Bucket{From: from.Add(time.Duration(i) * step), To: from.Add(time.Duration(i+1) * step)}
		if b.From.After(w.now) || (i > 100 && i < 108) || a == "lakeside-fridge-2" {
			b.Min, b.Max, b.Mean = coldkeep.NoTemperature, coldkeep.NoTemperature, coldkeep.NoTemperature
		} else {
			b.Count = 5
			v := temp(a, b.From, w.start)
			b.Mean = coldkeep.FromCelsius(v)
			b.Min, b.Max = coldkeep.FromCelsius(v-0.3), coldkeep.FromCelsius(v+0.35)
		}
		out = append(out, b)
	}
	return out, nil
}
func (w *world) Alerts(ctx context.Context, site coldkeep.SiteID, onlyOpen bool) ([]coldkeep.Alert, error) {
	if os.Getenv("AWAY") != "" {
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "away")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []coldkeep.Alert
	for _, a := range w.alerts {
		if (site == "" || a.Site == site) && (!onlyOpen || a.State == coldkeep.AlertOpen) {
			out = append(out, a)
		}
	}
	return out, nil
}
func (w *world) Acknowledge(ctx context.Context, id, person, note string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.alerts {
		if w.alerts[i].ID == id {
			n := time.Now().UTC()
			w.alerts[i].State, w.alerts[i].AcknowledgedAt, w.alerts[i].AcknowledgedBy, w.alerts[i].Note = coldkeep.AlertAcknowledged, &n, person, note
		}
	}
	return nil
}
func (w *world) Subscribe(ctx context.Context) <-chan coldkeep.LiveEvent {
	c := make(chan coldkeep.LiveEvent, 8)
	w.mu.Lock()
	w.subs = append(w.subs, c)
	w.mu.Unlock()
	go func() {
		<-ctx.Done()
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, s := range w.subs {
			if s == c {
				w.subs = append(w.subs[:i], w.subs[i+1:]...)
				break
			}
		}
		close(c)
	}()
	return c
}

func main() {
	ctx := context.Background()
	now := time.Now().UTC().Truncate(time.Second)
	w := &world{now: now, start: now.Add(-95 * time.Minute)}
	dir, _ := os.MkdirTemp("", "ck")
	where := dir + "/r.db"
	if len(os.Args) > 2 {
		where = os.Args[2]
	}
	cfg := registry.Config{Database: where, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Readings: w, Inbox: w, Live: w, CollectorToken: "collector-token-for-dev"}
	r, err := registry.Open(ctx, cfg)
	if err != nil {
		panic(err)
	}
	if os.Getenv("EMPTY") == "" {
		secrets := map[string]string{}
		for _, d := range registry.DemoDevices() {
			secrets[d] = "secret-secret"
		}
		t0 := time.Now()
		people, err := r.FurnishDemo(ctx, secrets)
		if err != nil {
			panic(err)
		}
		fmt.Println("furnished in", time.Since(t0), people)
	}
	srv := &http.Server{Addr: os.Args[1], Handler: r.Handler()}
	go srv.ListenAndServe()
	time.Sleep(200 * time.Millisecond)
	if os.Getenv("EMPTY") != "" {
		select {}
	}
	n := 0
	post := func(path string, v any) {
		n++
		b, _ := json.Marshal(v)
		q, _ := http.NewRequest("POST", "http://"+os.Args[1]+path, bytes.NewReader(b))
		q.Header.Set("Authorization", "Bearer collector-token-for-dev")
		q.Header.Set("Idempotency-Key", fmt.Sprint("k", n, time.Now().UnixNano()))
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(res.Body)
		if len(body) > 200 {
			body = body[:200]
		}
		fmt.Println(path, res.StatusCode, string(body))
	}
	at := now
	for _, s := range []struct {
		id, p string
		st    coldkeep.State
		c     float64
		on    bool
	}{{"lakeside-fridge-1", "fridge-1", "excursion", 14.3, true}, {"lakeside-fridge-2", "fridge-2", "no-data", math.NaN(), false}, {"lakeside-freezer-1", "freezer-1", "ok", -20.1, true}, {"lakeside-ultra-1", "ultra-1", "warning", -59.2, true}, {"northgate-fridge-1", "fridge-1", "ok", 4.6, true}, {"northgate-freezer-1", "freezer-1", "fault", math.NaN(), true}} {
		site := "lakeside"
		if s.id[0] == 'n' {
			site = "northgate"
		}
		post("/api/v1/appliance-status", coldkeep.ApplianceStatus{Appliance: coldkeep.ApplianceID(s.id), Probe: site + "/pi-1/" + s.p, At: &at, Celsius: coldkeep.FromCelsius(s.c), State: s.st, Online: s.on})
	}
	x := coldkeep.Excursion{ID: "x1", Revision: 1, Site: "lakeside", Appliance: "lakeside-fridge-1", Probe: "lakeside/pi-1/fridge-1", Kind: coldkeep.TooWarm, Rule: coldkeep.Consecutive, Profile: "cdc@1", Start: w.start.Add(40 * time.Minute), PeakAt: now, Extreme: 14300, MinutesOut: 55, Actions: []coldkeep.Action{"log", "alert", "hold"}, State: coldkeep.ExcursionOpen}
	post("/api/v1/excursions", x)
	e1, e2 := time.Date(2026, 8, 17, 19, 58, 27, 0, time.UTC), time.Date(2026, 8, 18, 19, 20, 55, 0, time.UTC)
	y := coldkeep.Excursion{ID: "x2", Revision: 2, Appliance: "lakeside-recorded", Probe: "lakeside/recorder/T0", Kind: coldkeep.TooWarm, Rule: coldkeep.Instant, Profile: "cdc@1", Start: e1, End: &e2, PeakAt: time.Date(2026, 8, 18, 1, 2, 2, 0, time.UTC), Extreme: 18200, MinutesOut: 1402, Actions: []coldkeep.Action{"log", "alert", "hold"}, State: coldkeep.ExcursionClosed}
	post("/api/v1/excursions", y)
	post("/api/v1/holds", coldkeep.HoldRequest{ID: "h1", Excursion: "x1", Appliance: "lakeside-fridge-1", Since: x.Start, Reason: "Too warm: above 8 °C for 30 minutes in a row (cdc@1)"})
	post("/api/v1/holds", coldkeep.HoldRequest{ID: "h2", Excursion: "x2", Appliance: "lakeside-recorded", Since: e1, Reason: "Too warm: above 0 °C"})
	post("/api/v1/holds/h2/proposal", coldkeep.HoldProposal{Action: "release", Reason: "The excursion has been revised below the hold rule."})
	var iv []coldkeep.Interval
	for t := now.Truncate(15 * time.Minute).Add(-24 * time.Hour); t.Before(now.Add(-15 * time.Minute)); t = t.Add(15 * time.Minute) {
		v := coldkeep.FromCelsius(temp("lakeside-fridge-1", t, w.start))
		t2 := t.Add(3 * time.Minute)
		iv = append(iv, coldkeep.Interval{Appliance: "lakeside-fridge-1", Probe: "lakeside/pi-1/fridge-1", From: t, To: t.Add(15 * time.Minute), Min: v - 200, Max: v + 300, Mean: v, MinAt: &t2, MaxAt: &t2, Readings: 15, Revision: 1})
	}
	post("/api/v1/temperature-log/intervals", iv)
	w.mu.Lock()
	w.alerts = []coldkeep.Alert{{ID: "a1", Site: "lakeside", Appliance: "lakeside-fridge-1", Excursion: x, State: coldkeep.AlertOpen, RaisedAt: now.Add(-20 * time.Minute)}, {ID: "a2", Site: "lakeside", Appliance: "lakeside-recorded", Excursion: y, State: coldkeep.AlertAcknowledged, RaisedAt: e1, AcknowledgedAt: &e2, AcknowledgedBy: "Marcus Bell", Note: "Moved to freezer 1"}}
	w.mu.Unlock()
	for i, who := range []string{"username=dana&password=lakeside-manager", "username=sam&password=state-admin-demo", "username=peter&password=lakeside-view-only"} {
		c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := c.Post("http://"+os.Args[1]+"/signin", "application/x-www-form-urlencoded", bytes.NewReader([]byte(who)))
		if err != nil {
			panic(err)
		}
		cookie := res.Cookies()[0]
		h := r.Handler()
		go http.ListenAndServe(fmt.Sprint("127.0.0.1:", 18081+i), http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			q.AddCookie(cookie)
			h.ServeHTTP(w, q)
		}))
	}
	fmt.Println("ready")
	select {}
}
