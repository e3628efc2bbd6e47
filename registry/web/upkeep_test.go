package web

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/inventory"
)

var collectorAccount = auth.Principal{ID: "c", Name: "collector", Scopes: []string{auth.ScopeCollector}}

// Silence and faults are told in words of their own, without a temperature that nobody
// knows, and a device's alert leads to the devices.
func TestAlertsOfEveryKind(t *testing.T) {
	s := serve(t)
	s.furnish()
	start := time.Now().UTC().Add(-3 * time.Hour).Truncate(time.Second)
	end := start.Add(time.Hour)
	alert := func(id string, kind coldkeep.Kind, change func(*coldkeep.Alert)) {
		x := coldkeep.Excursion{ID: "x" + id, Revision: 1, Site: "lakeside", Appliance: "lakeside-fridge", Probe: "lakeside/pi-1/p", Kind: kind, Profile: "cdc@1",
			Start: start, PeakAt: start, Extreme: coldkeep.NoTemperature, Actions: []coldkeep.Action{"log", "alert"}, State: coldkeep.ExcursionOpen}
		a := coldkeep.Alert{ID: id, Site: "lakeside", Appliance: "lakeside-fridge", Excursion: x, State: coldkeep.AlertOpen, RaisedAt: start}
		change(&a)
		s.fake.alerts = append(s.fake.alerts, a)
		if kind != coldkeep.DeviceFault {
			_, err := s.log.PutExcursion(t.Context(), collectorAccount, a.Excursion)
			s.must(err)
		}
	}
	s.fake.alerts = nil
	alert("d", coldkeep.DeviceFault, func(a *coldkeep.Alert) {
		a.Appliance, a.Excursion.Appliance, a.Excursion.Probe, a.Excursion.Reason = "", "", "lakeside/pi-1", "the device's clock is 12m0s ahead of the collector's"
	})
	b := s.as("nurse")
	b.page("/units", "Device pi-1 : Device fault since", "12m0s ahead")
	alert("n", coldkeep.NoData, func(*coldkeep.Alert) {})
	page := b.page("/units", "Device pi-1", "Fridge of lakeside : No readings since", "Check its power, network and probe. Keep the door shut.", "!NaN", "!at worst")
	if !strings.Contains(page, `href="/devices#device-lakeside-pi-1"`) {
		t.Error("the device's alert leads elsewhere")
	}
	alert("s", coldkeep.SensorFault, func(a *coldkeep.Alert) { a.Excursion.End, a.Excursion.State = &end, coldkeep.ExcursionClosed })
	b.page("/alerts", "No readings", "Probe fault", "Device fault: the device's clock", "goes on", "!NaN")
	unit := b.page("/units/lakeside-fridge", "No readings", "Probe fault", "Too warm", "no readings or probe fault", "!NaN")
	if strings.Count(unit, `class="c-unknown"`) != 4 { // two in each drawing
		t.Error("the silence is not in the chart")
	}
	b.page("/units/lakeside-fridge/excursions/xn", "No readings: Fridge of lakeside", "not known meanwhile", "call a person", "!at worst", "!NaN", "!What the other profiles")
	if r := b.post("/alerts/d/acknowledge", url.Values{"note": {"Set by hand"}}); r.status != http.StatusSeeOther {
		t.Errorf("%d", r.status)
	}
	s.as("practice-manager").page("/trail", "device lakeside/pi-1, device fault", "Set by hand")
}

// verdicts answers for the collector.
type verdicts []coldkeep.Verdict

func (v verdicts) Verdicts(_ context.Context, id string) ([]coldkeep.Verdict, error) {
	if id != "x1" {
		return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "no")
	}
	return v, nil
}

func TestExcursionPage(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("nurse")
	b.page("/units/lakeside-fridge/excursions/x1", "!What the other profiles")
	x, err := s.store.Excursion(t.Context(), "x1")
	s.must(err)
	mkt := coldkeep.Temperature(9_300)
	x.Revision, x.DegreeMinutes, x.MKT, x.Reason = 2, 184.5, &mkt, "the extreme has grown"
	x.Witnesses = []coldkeep.Witness{{Probe: "lakeside/pi-1/p", Role: coldkeep.RoleVaccine, Out: true, Extreme: 12_600}, {Probe: "lakeside/pi-1/q", Role: coldkeep.RoleAir, Extreme: 7_100}}
	x.Contexts = []coldkeep.ContextKind{coldkeep.ContextDoorOpen}
	_, err = s.log.PutExcursion(t.Context(), collectorAccount, x)
	s.must(err)
	s.cfg.Verdicts = verdicts{{Profile: "cdc@1", Excursions: []coldkeep.Excursion{x}}, {Profile: "who-pqs@1", Excursions: []coldkeep.Excursion{}}}
	s.again()
	b = s.as("nurse")
	b.page("/units/lakeside-fridge/excursions/x1", "Too warm: Fridge of lakeside", "12.6 °C (54.7 °F)", "184.5 °C·min", "9.3 °C", "for information", "Door open", "What each probe saw", "lakeside/pi-1/q air no 7.1 °C",
		"What the other profiles would have said", "cdc@1 judged it Too warm", "who-pqs@1 nothing", "call a person, hold the lots", "the extreme has grown", "Held since")
	b.page("/units/lakeside-fridge", "Door open")
	for path, status := range map[string]int{"/units/lakeside-fridge/excursions/nothing": 404, "/units/northgate-fridge/excursions/x1": 404} {
		if r := b.get(path); r.status != status {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

// health answers for the collector.
type health map[coldkeep.SiteID][]coldkeep.DeviceHealth

func (h health) Devices(_ context.Context, site coldkeep.SiteID) ([]coldkeep.DeviceHealth, error) {
	return h[site], nil
}

func (h health) Latest(_ context.Context, p coldkeep.Series) (coldkeep.Reading, error) {
	if p.Probe != "28-1" {
		return coldkeep.Reading{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "none")
	}
	return coldkeep.Reading{Series: p, At: time.Now().UnixMilli(), Celsius: 4_312}, nil
}

func (h health) Channels(context.Context) ([]string, error) { return []string{"webhook"}, nil }

// A technician lets a device in by its code, sees its probes with their values, assigns
// one, and is done.
func TestDevices(t *testing.T) {
	s := serve(t)
	s.furnish()
	heard := time.Now().Add(-time.Minute)
	h := health{"lakeside": {{Site: "lakeside", Agent: "pi-9", Online: true, LastHeard: &heard, ClockSkewMS: -125_000, Clock: "rtc", Version: "1.2", Config: 3, WantConfig: 4,
		Probes: []coldkeep.ProbeID{"28-1", "28-2"}, Unassigned: []coldkeep.ProbeID{"28-1", "28-2"}, Faults: []string{"the device's clock is 2m5s behind the collector's"}}}}
	s.cfg.Devices, s.cfg.Latest = h, h
	s.again()
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32)))
	secret := auth.SHA256("secret-of-the-device")
	_, err := s.auth.Claim(t.Context(), auth.NewClaim{V: 1, Code: "ABCD-2345", PublicKey: base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey)), SecretSHA256: secret,
		Model: "Raspberry Pi 4", Signature: base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte("coldkeep/claim/1|ABCD-2345|"+secret)))})
	s.must(err)
	s.as("nurse").page("/devices", "pi-9", "Online", "!Let a new device in", "!Assign")
	s.as("state-admin").page("/devices", "ABCD-2345", "Raspberry Pi 4") // sees who waits
	b := s.as("practice-manager")
	b.page("/devices", "Let a new device in", "!ABCD-2345") // has the code in hand
	b.page("/devices?code=XXXX-9999", "There is no device with this code")
	b.page("/devices?code=abc", "want eight letters")
	b.page("/devices?code=abcd2345", "Raspberry Pi 4", "Let it in")
	bad := url.Values{"code": {"abcd 2345"}, "site": {"lakeside"}, "agent": {"Pi Nine"}}
	r := b.post("/devices/claims/accept", bad)
	if r.status != 303 || r.header.Get("Location") != "/devices?code=ABCD-2345" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	b.page("/devices?code=ABCD-2345", "Device: want letters")
	if r := b.post("/devices/claims/accept", url.Values{"code": {"ABCD-2345"}, "site": {"northgate"}, "agent": {"pi-9"}}); r.status != http.StatusForbidden {
		t.Errorf("into another's clinic: %d", r.status)
	}
	r = b.post("/devices/claims/accept", url.Values{"code": {"ABCD-2345"}, "site": {"lakeside"}, "agent": {"pi-9"}})
	if r.status != 303 || r.header.Get("Location") != "/devices#device-lakeside-pi-9" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	b.page("/devices", "pi-9", "Online", "2m5s behind, its own clock", "revision 4 is on its way", "2 in no unit", "28-1 4.3 °C (39.8 °F)", "28-2 no value yet", "the device's clock is 2m5s behind")
	b.page("/devices?code=ABCD-2345", "has let it in as lakeside/pi-9")
	r = b.post("/admin/sites/lakeside/probes", url.Values{"agent": {"pi-9"}, "probe": {"28-1"}, "unit": {"lakeside-fridge"}, "role": {"air"}, "back": {"/devices#device-lakeside-pi-9"}})
	if r.status != 303 || r.header.Get("Location") != "/devices#device-lakeside-pi-9" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	b.page("/units/lakeside-fridge", "lakeside/pi-9/28-1 air")
	b.post("/devices/claims/refuse", url.Values{"code": {"ABCD-2345"}})
	b.page("/devices", "has decided already: accepted")
	b.page("/trail", "device.accept")

	// The Pi dies. Another one takes its place, and with the name left empty its name.
	next := auth.SHA256("secret-of-the-next-device")
	_, err = s.auth.Claim(t.Context(), auth.NewClaim{V: 1, Code: "WXYZ-6789", PublicKey: base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey)), SecretSHA256: next,
		Signature: base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte("coldkeep/claim/1|WXYZ-6789|"+next)))})
	s.must(err)
	b.page("/devices?code=WXYZ-6789", "In the place of", "pi-9")
	r = b.post("/devices/claims/accept", url.Values{"code": {"WXYZ-6789"}, "site": {"lakeside"}, "agent": {""}, "replaces": {"pi-9"}})
	if r.status != 303 || r.header.Get("Location") != "/devices#device-lakeside-pi-9" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	b.page("/trail", "device.replace")
	b.page("/units/lakeside-fridge", "lakeside/pi-9/28-1 air")
}

// What a form was refused for is put right in the form as it was filled in, wherever it
// is folded away; what is secret is typed again.
func TestRefusedFormsKeepTheirInput(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("practice-manager")
	lot := s.lotID("LOT-LAKESIDE")
	for path, row := range map[string]struct {
		back string
		form url.Values
		want []string
	}{
		"/lots": {"/lots", url.Values{"product": {"Menveo <II>"}, "number": {"A1"}, "cvx": {"X"}, "ndc": {"1"}, "mvx": {"SKB"}, "expires": {"2031-01-31"}, "funding": {"private"}, "doses": {"7"}, "unit": {"lakeside-fridge"}},
			[]string{`value="Menveo &lt;II&gt;"`, `value="A1"`, `value="2031-01-31"`, `<option value="private" selected="">`}},
		"/lots/" + lot + "/doses":                            {"/lots", url.Values{"doses": {"-1"}, "reason": {"Counted twice"}}, []string{`value="Counted twice"`, `<details id="c-` + lot + `" open="">`}},
		"/holds/h1/lots/" + lot:                              {"/lots", url.Values{"outcome": {"burnt"}, "reason": {"Letter 17"}}, []string{`value="Letter 17"`, `<details id="d-h1-` + lot + `" open="">`}},
		"/admin/people":                                      {"/admin/people", url.Values{"name": {"Nora"}, "username": {"no ra"}, "password": {password}, "role": {"nurse"}, "site": {"lakeside"}}, []string{`value="Nora"`, `value="no ra"`}},
		"/admin/sites/lakeside/on-call":                      {"/admin/sites/lakeside", url.Values{"emails": {"a@b.example\r\nnobody"}, "repeat": {"5"}}, []string{"a@b.example\nnobody</textarea>"}},
		"/units/lakeside-fridge/contexts":                    {"/units/lakeside-fridge", url.Values{"kind": {"transport"}, "from": {"2031-01-01T08:00"}, "note": {"To the other clinic"}}, []string{`value="To the other clinic"`, `<option value="transport" selected="">`}},
		"/admin/sites/lakeside/calibrations":                 {"/admin/sites/lakeside", url.Values{"agent": {"pi-1"}, "probe": {"p"}, "correction": {"0 -0.1\n5 warm"}, "certificate": {"K 17"}}, []string{}},
		"/lots/" + lot + "/budget":                           {"/lots/" + lot, url.Values{"warm": {"120"}}, []string{`value="120"`}},
		"/admin/sites/lakeside/units/lakeside-fridge/limits": {"/admin/sites/lakeside/units/lakeside-fridge", url.Values{"low": {"36"}, "high": {"50"}, "scale": {"F"}, "reason": {"x"}}, []string{}},
	} {
		r := b.post(path, row.form)
		if r.status == http.StatusForbidden { // a page of its own
			continue
		}
		if r.status != 303 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
			continue
		}
		page := b.page(row.back)
		if !strings.Contains(page, "flash-error") || strings.Contains(page, password) {
			t.Errorf("%s: %s", path, page)
		}
		for _, want := range row.want {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %s", path, want)
			}
		}
		if again := b.page(row.back); strings.Contains(again, "flash-error") || len(row.want) > 0 && strings.Contains(again, row.want[0]) {
			t.Errorf("%s: still there on the next page", path)
		}
	}
}

func hasAttribute(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// Whatever is typed comes back as it was typed.
func TestRefillProperty(t *testing.T) {
	page := []byte(`<!doctype html><html><head><title>x</title></head><body><form action="/a"><input name="other"></form><details><form action="/a"><input type="hidden" name="id" value="1"><input name="text"><textarea name="long">old</textarea><select name="one"><option value="a" selected>A</option><option value="b">B</option></select></form></details></body></html>`)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ -~äß<>&"']*`).Draw(t, "text")
		long := rapid.StringMatching(`[ -~\n<>&]*`).Draw(t, "long")
		one := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "one")
		out, err := refill(page, &sentForm{Action: "/a", Values: url.Values{"id": {"1"}, "text": {text}, "long": {long}, "one": {one}}})
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		root, err := html.Parse(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			switch n.Data {
			case "input":
				if attribute(n, "name") == "text" && attribute(n, "value") == text {
					seen++
				}
				if attribute(n, "name") == "other" && attribute(n, "value") != "" {
					t.Fatal("another form was filled in")
				}
			case "textarea":
				got := ""
				if n.FirstChild != nil {
					got = n.FirstChild.Data
				}
				if got == long {
					seen++
				}
			case "option":
				if selected := hasAttribute(n, "selected"); selected == (attribute(n, "value") == one) {
					seen++
				}
			case "details":
				if hasAttribute(n, "open") {
					seen++
				}
			}
		}
		if seen != 5 {
			t.Fatalf("%d of 5 in %s", seen, out)
		}
	})
}

func TestNobodyIsTold(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("practice-manager")
	warned := "Nobody is told about alarms"
	b.page("/lots", warned, "nobody is on call", "Say whom alarms call")
	s.as("nurse").page("/units", warned, "!Say whom alarms call")
	s.must(s.log.SetOnCall(t.Context(), system, coldkeep.OnCall{Site: "lakeside", Emails: []string{"a@b.example"}, RepeatAfter: 600}))
	b.page("/lots", "!"+warned) // it is not known that mail does not work
	s.cfg.Channels = health{}
	s.again()
	b = s.as("practice-manager")
	b.page("/lots", warned, "no mail server is set up")
	b.page("/admin/sites/lakeside", "As it is now, nobody is told: no mail server is set up. Whoever runs the collector")
	s.must(s.log.SetOnCall(t.Context(), system, coldkeep.OnCall{Site: "lakeside", Emails: []string{"a@b.example"}, Webhooks: []string{"https://hook.example"}, RepeatAfter: 600}))
	b.page("/lots", "!"+warned)
	s.as("state-admin").page("/lots", "Nobody is told about alarms of Clinic northgate", "!Nobody is told about alarms of Clinic lakeside")
}

// Everything about a unit that a manager may set is set on the pages.
func TestUpkeepOnThePages(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("practice-manager")
	unit := "/admin/sites/lakeside/units/lakeside-fridge"
	post := func(b *browser, path string, form url.Values, back string, texts ...string) {
		t.Helper()
		if r := b.post(path, form); r.status != 303 {
			t.Fatalf("%s: %d %s", path, r.status, r.body)
		}
		b.page(back, texts...)
	}
	post(b, unit+"/service", url.Values{"in_service": {"no"}}, unit, "1 lot stands in the unit. Move the vaccine first", "In service")
	post(b, unit+"/limits", url.Values{"low": {"37"}, "high": {"45"}, "scale": {"F"}}, unit, "This unit has its own: 37 °F to 45 °F")
	b.page("/units/lakeside-fridge", "range 37 °F to 45 °F (the site’s own)")
	if r := b.post(unit+"/limits", url.Values{"low": {"37"}, "high": {"50"}, "scale": {"F"}, "reason": {"x"}}); r.status != http.StatusForbidden {
		t.Errorf("a manager loosens: %d", r.status)
	}
	post(s.as("vfc-coordinator"), unit+"/limits", url.Values{"low": {"37"}, "high": {"50"}, "scale": {"F"}}, unit, "beyond the profile's. Please say why")
	post(s.as("vfc-coordinator"), unit+"/limits", url.Values{"low": {"37"}, "high": {"50"}, "scale": {"F"}, "reason": {"Maker's letter"}}, unit, "37 °F to 50 °F", "Maker's letter")
	post(b, unit+"/limits", url.Values{"whose": {"profile"}}, unit, "!This unit has its own")
	post(b, unit+"/profile", url.Values{"profile": {"cdc"}, "reason": {""}}, unit, "please say why")
	for path, status := range map[string]int{"/admin/sites/northgate/units/northgate-fridge": 404, "/admin/sites/northgate/units/lakeside-fridge": 404, unit: 200} {
		if r := b.get(path); r.status != status {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	if r := s.as("nurse").get(unit); r.status != http.StatusForbidden {
		t.Errorf("a nurse's set-up: %d", r.status)
	}
	s.must(s.log.Assign(t.Context(), system, coldkeep.Assignment{Series: coldkeep.Series{Site: "lakeside", Agent: "pi-1", Probe: "p"}, Appliance: "lakeside-fridge", From: time.Now().Add(-time.Hour)}))
	soon := time.Now().AddDate(0, 0, 5).Format(time.DateOnly)
	site := "/admin/sites/lakeside"
	post(b, site+"/calibrations", url.Values{"agent": {"pi-1"}, "probe": {"p"}, "correction": {"−0,12"}, "certificate": {"K 17"}, "expires": {"2020-01-01"}}, site, "−0.12 °C", "K 17", "expired")
	b.page("/units", "Certificate of probe pi-1/p in Fridge of lakeside ended on Jan 1, 2020")
	post(b, site+"/calibrations", url.Values{"agent": {"pi-1"}, "probe": {"p"}, "correction": {"0 -0.12\n5 -0.09"}, "certificate": {"K 18"}, "expires": {soon}}, site, "0: −0.12, 5: −0.09", "K 18", "days left", "1 before", "K 17")
	b.page("/units", "Certificate of probe pi-1/p in Fridge of lakeside ends on")
	s.as("nurse").page("/units", "!Certificate of probe")
	nurse := s.as("nurse")
	post(nurse, "/units/lakeside-fridge/contexts", url.Values{"kind": {"defrost"}, "note": {"Planned"}}, "/units/lakeside-fridge", "Defrost", "Planned", "It is over")
	all, err := s.store.ContextsOf(t.Context(), "lakeside-fridge")
	s.must(err)
	post(nurse, "/units/lakeside-fridge/contexts/"+all[0].ID+"/end", nil, "/units/lakeside-fridge", "!It is over")
	s.as("view-only").page("/units/lakeside-fridge", "Defrost", "!Note something")
}

func TestLotBudget(t *testing.T) {
	s := serve(t)
	s.furnish()
	lot := "/lots/" + s.lotID("LOT-LAKESIDE")
	b := s.as("nurse")
	b.page(lot, "M-M-R II LOT-LAKESIDE", "On hold: do not use", "2 h too warm", "What it stood through", "Not recorded")
	if r := b.post(lot+"/budget", url.Values{"warm": {"120"}, "source": {"Package insert"}}); r.status != 303 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	b.page(lot, "2 h of 120 h too warm", "Package insert", "!more than its maker allows")
	b.page("/lots", "out of range so far: 2 h of 120 h too warm", "On hold")
	b.post(lot+"/budget", url.Values{"warm": {"1.5"}, "source": {"Package insert"}})
	b.page(lot, "2 h of 1 h 30 min too warm", "more than its maker allows", "On hold: do not use")
	b.post(lot+"/budget", url.Values{"warm": {"many"}, "source": {"x"}})
	b.page(lot, "Hours too warm: \"many\" is not a number")
	s.as("view-only").page(lot, "!Who says so")
	if r := s.as("nurse").get("/lots/" + s.lotID("LOT-NORTHGATE")); r.status != 404 {
		t.Errorf("another clinic's lot: %d", r.status)
	}
}

// The trail speaks of things by name.
func TestTrailNames(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("practice-manager")
	b.post("/lots/"+s.lotID("LOT-LAKESIDE")+"/doses", url.Values{"doses": {"7"}, "reason": {"Counted"}})
	s.must(s.stock.Decide(t.Context(), auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}, "h1", s.lotID("LOT-LAKESIDE"), inventory.Released, "Letter 17"))
	page := b.page("/trail", "Lot LOT-LAKESIDE, M-M-R II", "hold of Fridge of lakeside since", "into Fridge of lakeside", "!hold h1")
	if id := regexp.MustCompile(`>[^<]*\b01[0-9A-HJKMNP-TV-Z]{24}\b[^<]*<`).FindString(page); id != "" {
		t.Errorf("the trail shows %s", id)
	}
	_, err := s.auth.AddPerson(t.Context(), system, auth.NewPerson{Name: "Ada Auditor", Username: "auditor", Password: password, Role: auth.Auditor})
	s.must(err)
	// An auditor, who may see neither units nor accounts, reads the same words without the pages.
	page = s.as(string(auth.Auditor)).page("/trail", "Lot LOT-LAKESIDE, M-M-R II", "hold of Fridge of lakeside since", "into Fridge of lakeside", "Ada Auditor", "!hold h1")
	if strings.Contains(page, `href="/lots/`) || strings.Contains(page, ">Person<") {
		t.Error("the auditor is shown pages that do not open, or a person without a name")
	}
}

func TestCorrection(t *testing.T) {
	for text, want := range map[string]string{
		"-0.12": "-0.12 []", " −0,12 \n": "-0.12 []", "0 -0.12\n5 -0.09": "0 [[0 -0.12] [5 -0.09]]", "-20; 0.15\r\n5\t-0.09\r\n\r\n": "0 [[-20 0.15] [5 -0.09]]",
		"": "?", "warm": "?", "1 2 3": "?", "1 2\n3": "?", "1\n2": "?",
	} {
		offset, table, err := formCorrection(text)
		got := "?"
		if err == nil {
			got = fmt.Sprint(offset, table)
		}
		if got != want {
			t.Errorf("%q: %s, want %s; %v", text, got, want, err)
		}
	}
}

func FuzzCorrection(f *testing.F) {
	for _, s := range []string{"-0.12", "0 -0.12\n5 -0.09", "−1,5", "NaN", "1e9 1", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		offset, table, err := formCorrection(s)
		if err != nil {
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
				t.Fatal(err)
			}
			return
		}
		if !offset.Known() {
			t.Fatalf("%q gives no offset", s)
		}
		for _, p := range table {
			if !p[0].Known() || !p[1].Known() {
				t.Fatalf("%q gives %v", s, table)
			}
		}
	})
}
