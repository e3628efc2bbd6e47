package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Pages hold no script and no style of their own, every form control has a name
// for screen readers, ids are unique, and nothing is asked of another host.
func TestPagesAreWellMade(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("state-admin")
	for _, path := range []string{"/units", "/units/lakeside-fridge", "/units/lakeside-fridge?range=30d&at=2026-01-31T08:15:00Z", "/lots", "/alerts", "/admin", "/admin/sites/lakeside", "/admin/sites/lakeside/units/lakeside-fridge", "/devices",
		"/units/lakeside-fridge/excursions/x1", "/lots/" + s.lotID("LOT-LAKESIDE"), "/trail", "/nowhere", "/account", "/account/password", "/account/second-factor", "/admin/people", "/admin/interfaces", "/enrolments", "/policies", "/admin/policies/confidentiality", "/audit", "/audit/entries", "/apply", "/apply/status"} {
		wellMade(t, path, b.get(path))
	}
}

// wellMade holds one page to it.
func wellMade(t *testing.T, path string, r reply) {
	t.Helper()
	csp := r.header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("%s: policy %q", path, csp)
	}
	ids, labelled, h1 := map[string]bool{}, false, 0
	for _, n := range nodes(t, r.body) {
		if n.Type != html.ElementNode {
			continue
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("%s: <%s %s=%q>", path, n.Data, a.Key, a.Val)
			}
			if (a.Key == "src" || a.Key == "href" || a.Key == "action") && strings.Contains(a.Val, "//") {
				t.Errorf("%s: leads away to %q", path, a.Val)
			}
			if a.Key == "id" {
				if ids[a.Val] {
					t.Errorf("%s: id %q twice", path, a.Val)
				}
				ids[a.Val] = true
			}
		}
		switch n.Data {
		case "script":
			if attr(n, "src") == "" {
				t.Errorf("%s: script in the page", path)
			}
		case "style":
			t.Errorf("%s: style in the page", path)
		case "h1":
			h1++
		case "input", "select", "textarea":
			labelled = attr(n, "type") == "hidden" || attr(n, "aria-label") != ""
			for p := range n.Ancestors() {
				labelled = labelled || p.Data == "label"
			}
			if !labelled {
				t.Errorf("%s: <%s name=%q> without a label", path, n.Data, attr(n, "name"))
			}
		case "table":
			if c := n.FirstChild.NextSibling; c == nil || c.Data != "caption" {
				t.Errorf("%s: table without a caption", path)
			}
		case "th":
			if attr(n, "scope") == "" {
				t.Errorf("%s: th without a scope", path)
			}
		case "main":
			if !ids["main"] {
				t.Errorf("%s: the skip link leads nowhere", path)
			}
		}
	}
	if h1 != 1 {
		t.Errorf("%s: %d main headings", path, h1)
	}
}

func TestUnitsAndUnit(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("nurse")
	b.page("/units", "Clinic lakeside", "!Clinic northgate", "Fridge of lakeside", "−12.3 °C", "9.8 °F", "Excursion", "Its lots are on hold", "Acknowledge", "!Fridge of northgate")
	page := b.page("/units/lakeside-fridge", "range 2 °C to 8 °C", "Too warm", "12.6 °C", "54.7 °F", "2 h 0 min", "still out", "time in a row: log, alert, hold", "cdc@1", "Open , raised")
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("a link of the page leads nowhere: html/template took its address for unsafe")
	}
	earlier := regexp.MustCompile(`<a href="([^"]+)" rel="prev">`).FindStringSubmatch(page)
	row := regexp.MustCompile(`<a id="x-[^"]+" href="([^"#]+)#h-chart">`).FindStringSubmatch(page)
	if earlier == nil || row == nil {
		t.Fatalf("no link to the time before, or to that of an excursion:\n%s", page)
	}
	for _, href := range []string{earlier[1], row[1]} {
		if r := b.get("/units/lakeside-fridge" + html.UnescapeString(href)); r.status != http.StatusOK || r.body == page {
			t.Errorf("%s: %d, and another span: %t", href, r.status, r.body != page)
		}
	}
	charts := regexp.MustCompile(`(?s)<svg class="chart.*?</svg>`).FindAllString(page, -1)
	if len(charts) != 2 {
		t.Fatalf("%d drawings", len(charts))
	}
	for _, c := range charts {
		for _, part := range []string{`class="c-range"`, `class="c-out"`, `class="c-limit"`, `class="c-mean"`, `class="c-minmax"`, "One excursion", `role="img"`} {
			if !strings.Contains(c, part) {
				t.Errorf("drawing without %s", part)
			}
		}
		if n := strings.Count(c, "<polyline"); n != 2 { // the line breaks where nothing was recorded
			t.Errorf("%d lines", n)
		}
	}
	var data chartData
	r := b.get("/units/lakeside-fridge/data.json?range=7d")
	if err := json.Unmarshal([]byte(r.body), &data); err != nil || r.status != 200 || len(data.T) != chartBuckets || len(data.Out) != 1 || data.Zone != "America/Chicago" {
		t.Fatalf("%d %.200s, %v", r.status, r.body, err)
	}
	for path, status := range map[string]int{
		"/units/northgate-fridge": 404, "/units/northgate-fridge/data.json": 404, "/units/nothing": 404,
		"/units/lakeside-fridge?range=1y": 400, "/units/lakeside-fridge?at=yesterday": 400, "/units/lakeside-fridge/data.json?at=x": 400,
	} {
		if r := b.get(path); r.status != status {
			t.Errorf("%s: %d, want %d", path, r.status, status)
		}
	}
	s.as("vfc-coordinator").page("/units/northgate-fridge", "Clinic northgate")
}

// An excursion of months ago opens from its row with the whole of it in the chart.
func TestOldExcursionOpensFromItsRow(t *testing.T) {
	start, end := time.Date(2026, 8, 17, 19, 58, 27, 0, time.UTC), time.Date(2026, 8, 18, 19, 20, 55, 0, time.UTC)
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	q, err := url.ParseQuery(strings.TrimPrefix(about(coldkeep.Excursion{Start: start, End: &end}, now), "?"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := parseSpan(q.Get("range"), q.Get("at"), now)
	if err != nil || v.Key != "7d" || v.From.After(start) || v.To.Before(end) || v.Later(now) == "" {
		t.Fatalf("%+v, %v", v, err)
	}
	for length, key := range map[time.Duration]string{time.Minute: "24h", 20 * time.Hour: "7d", 6 * 24 * time.Hour: "30d", 90 * 24 * time.Hour: "30d"} {
		e := start.Add(length)
		if got := about(coldkeep.Excursion{Start: start, End: &e}, now); !strings.HasPrefix(got, "?range="+key) {
			t.Errorf("%s: %s", length, got)
		}
	}
}

func TestAcknowledge(t *testing.T) {
	s := serve(t)
	s.furnish()
	s.as("view-only").page("/units", "Excursion", "!Acknowledge")
	if r := s.as("view-only").post("/alerts/a1/acknowledge", nil); r.status != http.StatusForbidden {
		t.Errorf("by one who may only view: %d", r.status)
	}
	b := s.as("nurse")
	if r := b.post("/alerts/a2/acknowledge", nil); r.status != http.StatusNotFound {
		t.Errorf("another clinic's: %d", r.status)
	}
	r := b.post("/alerts/a1/acknowledge", url.Values{"note": {"Door was <open>"}, "back": {"/units/lakeside-fridge"}})
	if r.status != 303 || r.header.Get("Location") != "/units/lakeside-fridge" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	b.page("/units/lakeside-fridge", "Acknowledged by The nurse", "Door was <open>", "!Acknowledge the alert")
	b.page("/alerts", "The nurse", "Door was <open>")
	b.post("/alerts/a1/acknowledge", nil)
	b.page("/alerts", "The nurse has acknowledged it already")
	s.as("practice-manager").page("/trail", "alert.acknowledge", "The nurse", "Door was <open>")
}

func TestLotsAndHolds(t *testing.T) {
	s := serve(t)
	s.furnish()
	stock, err := s.stock.Stock(t.Context(), system)
	s.must(err)
	lot := stock.Lots[0].ID
	decide := "/holds/h1/lots/" + lot
	nurse, manager := s.as("nurse"), s.as("practice-manager")
	nurse.page("/lots", "On hold: do not use", "LOT-LAKESIDE", "!LOT-NORTHGATE", "CVX 03", "NDC 00006-4681-00", "10", "Jun 30, 2031", "it stood in the unit", "above 8 °C", "See the excursion", "!Release", "Move or count")
	s.as("view-only").page("/lots", "LOT-LAKESIDE", "!Release", "!Move or count", "!Receive a lot")
	if r := nurse.post(decide, url.Values{"outcome": {"released"}, "reason": {"x"}}); r.status != http.StatusForbidden {
		t.Errorf("a nurse decides: %d", r.status)
	}
	manager.page("/lots", "Release", "Mark as waste")
	manager.post(decide, url.Values{"outcome": {"released"}, "reason": {""}})
	manager.page("/lots", "please say why", "On hold")
	if r := manager.post(decide, url.Values{"outcome": {"released"}, "reason": {"Maker’s letter 17"}}); r.status != 303 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	manager.page("/lots", "No lot is on hold", "released", "by The practice-manager", "Maker’s letter 17", "May be used")
	manager.post("/lots/"+lot+"/doses", url.Values{"doses": {"7"}, "reason": {"Counted"}})
	manager.post("/lots/"+lot+"/doses", url.Values{"doses": {"many"}, "reason": {"Counted"}})
	manager.page("/lots", "doses: want a whole number", " 7 ")
	if r := manager.post("/lots/"+lot+"/move", url.Values{"unit": {"northgate-fridge"}}); r.status != http.StatusNotFound {
		t.Errorf("into another clinic's unit: %d", r.status)
	}
	if r := manager.get("/admin/sites/northgate"); r.status != http.StatusForbidden {
		t.Errorf("another clinic's set-up: %d", r.status)
	}
	if r := nurse.get("/admin"); r.status != http.StatusForbidden {
		t.Errorf("a nurse's set-up: %d", r.status)
	}
	if r := nurse.get("/trail"); r.status != http.StatusForbidden {
		t.Errorf("a nurse's trail: %d", r.status)
	}
}

// When the collector is away the pages say so and show what the registry knows.
// A lot is received by its NDC as it is printed on the box; a CVX that is not that NDC's is
// refused.
func TestLotByItsNDC(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("practice-manager")
	form := url.Values{"ndc": {"0006-4681-00"}, "number": {"box1"}, "expires": {"2031-01-31"}, "funding": {"public"}, "doses": {"10"}, "unit": {"lakeside-fridge"}, "cvx": {"21"}}
	b.post("/lots", form)
	b.page("/lots", "CVX: NDC 00006-4681-00 is M-M-R II, whose CVX is 03", "!BOX1")
	form.Set("cvx", "")
	b.post("/lots", form)
	b.page("/lots", "The lot is in stock", "BOX1", "M-M-R II", "CVX 03 · NDC 00006-4681-00 · MSD")
	form.Set("ndc", "99999-9999-99") // nobody knows it: what it is has to be typed
	form.Set("number", "box2")
	b.post("/lots", form)
	b.page("/lots", "Product: want 1 to 120 characters", "!BOX2")
}

func TestCollectorAway(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("nurse")
	from := time.Now().UTC().Truncate(15 * time.Minute).Add(-time.Hour)
	for _, probe := range []coldkeep.ProbeID{"p", "q"} {
		s.must(s.log.Assign(t.Context(), system, coldkeep.Assignment{Series: coldkeep.Series{Site: "lakeside", Agent: "pi-1", Probe: probe}, Appliance: "lakeside-fridge", From: from}))
	}
	_, err := s.log.PutIntervals(t.Context(), auth.Principal{ID: "c", Scopes: []string{auth.ScopeCollector}}, []coldkeep.Interval{
		{Appliance: "lakeside-fridge", Probe: "lakeside/pi-1/p", From: from, To: from.Add(15 * time.Minute), Min: 4000, Max: 6000, Mean: 5000, Readings: 15, Revision: 1},
		{Appliance: "lakeside-fridge", Probe: "lakeside/pi-1/q", From: from, To: from.Add(15 * time.Minute), Min: 3000, Max: 5000, Mean: 4000, Readings: 15, Revision: 1},
	})
	s.must(err)
	s.fake.mu.Lock()
	s.fake.away = true
	s.fake.mu.Unlock()
	b.page("/units", "The collector does not answer", "Fridge of lakeside", "−12.3 °C")
	page := b.page("/units/lakeside-fridge", "drawn from the quarter-hour log", "Too warm", "2 intervals")
	if !strings.Contains(page, "Lowest 3.0 °C (37.4 °F), highest 6.0 °C") {
		t.Error("the drawing is not of the log")
	}
	b.page("/alerts", "its alerts cannot be shown")
	b.page("/lots", "LOT-LAKESIDE")
	if r := b.post("/alerts/a1/acknowledge", nil); r.status != 303 {
		t.Errorf("%d", r.status)
	}
	b.page("/units", "The alert is still open")
}

func TestLive(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("nurse")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/live", nil)
	s.must(err)
	res, err := b.Do(r)
	s.must(err)
	defer func() { _ = res.Body.Close() }() // cut off on purpose
	s.fake.events <- coldkeep.LiveEvent{Type: "status", Site: "northgate", Appliance: "northgate-fridge"}
	s.fake.events <- coldkeep.LiveEvent{Type: "alert", Site: "lakeside", Appliance: "lakeside-fridge"}
	got, buf := "", make([]byte, 512)
	for !strings.Contains(got, "data: ") {
		n, err := res.Body.Read(buf)
		s.must(err)
		got += string(buf[:n])
	}
	if strings.Contains(got, "northgate") || !strings.Contains(got, `"lakeside-fridge"`) || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%s", got)
	}
	cancel()
}

func TestStaticFiles(t *testing.T) {
	s := serve(t)
	b := s.browser()
	a, err := newAssets()
	s.must(err)
	for _, name := range []string{"app.css", "live.js", "chart.js", "icon.svg"} {
		r := b.get(a.url(name))
		if r.status != 200 || !strings.Contains(r.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %s", name, r.status, r.header.Get("Cache-Control"))
		}
	}
	for _, path := range []string{"/static/nothing.js", "/static/../web.go", "/static/"} {
		if r := b.get(path); r.status == 200 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

// Many open alerts leave room for the page: a few units with their worst alert, and
// a count of the rest. All of a unit's alerts can be answered at once, but only
// those that the person has seen.
func TestManyAlerts(t *testing.T) {
	s := serve(t)
	s.furnish()
	now := time.Now().UTC().Truncate(time.Second)
	s.fake.alerts = nil
	for i := range 5 {
		unit := coldkeep.ApplianceID(fmt.Sprintf("fridge-%d", i))
		s.must(s.log.AddAppliance(t.Context(), system, coldkeep.Appliance{ID: unit, Site: "lakeside", Name: fmt.Sprintf("Fridge no. %d", i), Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true}))
		for j := range 3 {
			start := now.Add(-time.Duration(10*i+j+1) * time.Hour)
			end := start.Add(time.Minute)
			x := coldkeep.Excursion{ID: fmt.Sprintf("x%d-%d", i, j), Appliance: unit, Kind: coldkeep.TooWarm, Extreme: coldkeep.Temperature(9000 + 100*j), Start: start, End: &end, State: coldkeep.ExcursionClosed}
			if i == 4 && j == 0 {
				x.End, x.State = nil, coldkeep.ExcursionOpen
			}
			s.fake.alerts = append(s.fake.alerts, coldkeep.Alert{ID: fmt.Sprintf("a%d-%d", i, j), Site: "lakeside", Appliance: unit, Excursion: x, State: coldkeep.AlertOpen, RaisedAt: start})
		}
	}
	b := s.as("nurse")
	page := b.page("/lots", "Fridge no. 4 : Too warm, 9.0 °C", "and 2 earlier", "Fridge no. 0 : Too warm, 9.2 °C", "and 2 more", "6 more alerts", "!Fridge no. 2 :", "!Fridge no. 3 :")
	if strings.Index(page, ">Fridge no. 4</a>") > strings.Index(page, ">Fridge no. 0</a>") {
		t.Error("the unit that is still out is not the first")
	}
	b.page("/alerts", "Fridge no. 3 : 3 open alerts")
	b.page("/units/fridge-3", "Acknowledge all of this unit")
	seen := url.Values{"alert": {"a3-0", "a3-1", "a0-0", "nothing"}, "note": {"Door"}, "back": {"/alerts"}}
	if r := s.as("view-only").post("/units/fridge-3/acknowledge", seen); r.status != http.StatusForbidden {
		t.Errorf("by one who may only view: %d", r.status)
	}
	if r := b.post("/units/northgate-fridge/acknowledge", seen); r.status != http.StatusNotFound {
		t.Errorf("another clinic's: %d", r.status)
	}
	if r := b.post("/units/fridge-3/acknowledge", seen); r.status != 303 || r.header.Get("Location") != "/alerts" {
		t.Errorf("%d %s", r.status, r.header.Get("Location"))
	}
	b.page("/alerts", "2 alerts acknowledged by The nurse.", "!Fridge no. 3 : 3 open", "Fridge no. 0 : 3 open alerts")
	for _, a := range s.fake.alerts {
		if answered := a.State == coldkeep.AlertAcknowledged; answered != (a.ID == "a3-0" || a.ID == "a3-1") {
			t.Errorf("%s: answered %v", a.ID, answered)
		}
	}
	b.post("/units/fridge-3/acknowledge", seen)
	b.page("/alerts", "acknowledged already")
	trail := s.as("practice-manager").page("/trail")
	if n := strings.Count(trail, "alert.acknowledge"); n != 2 {
		t.Errorf("%d entries in the trail", n)
	}
}

func TestReasonInPlainWords(t *testing.T) {
	for text, want := range map[string]string{
		"too-warm by the consecutive rule of cdc@1, extreme 12.6 °C":         "Too warm for too long in a row.",
		"Earlier. too-cold by the instant rule of my-own@2, extreme -0.7 °C": "Earlier. Too cold, however short.",
		"The power was cut": "The power was cut",
	} {
		if got := plainReason(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
