package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/coldkeep/coldkeep/registry"
)

// TestExchangeScreens is a practice's manager and the state at what came in from an EHR: axe
// finds nothing, the pages fit on a desk's screen and a telephone's, and a file is uploaded
// and its findings read.
func TestExchangeScreens(t *testing.T) {
	d := startDemo(t)
	for _, screen := range screens {
		t.Run(screen.name, func(t *testing.T) {
			ctx := chromium(t, screen.width, screen.height)
			d.enter(t, ctx, "dana")
			for _, path := range []string{"/exchange", "/exchange?outcome=AR", "/exchange/files", "/exchange/senders"} {
				do(t, ctx, path, chromedp.Navigate(d.URL+path), chromedp.WaitVisible(`main h1`))
				look(t, ctx, path)
			}
			do(t, ctx, "a sender", chromedp.Click(`main tbody a`), chromedp.WaitVisible(`#h-agreed`))
			look(t, ctx, "a sender")
			shot(t, ctx, shots(t, "sender"))
			do(t, ctx, "a message with errors", chromedp.Navigate(d.URL+"/exchange?outcome=AE"), chromedp.WaitVisible(`main tbody a`))
			shot(t, ctx, shots(t, "messages"))
			do(t, ctx, "a message with errors", chromedp.Click(`main tbody a`), chromedp.WaitVisible(`ol.segments .found`))
			look(t, ctx, "a message")
			shot(t, ctx, shots(t, "message"))

			file := filepath.Join(t.TempDir(), "week.hl7")
			body := "MSH|^~\\&|EHR|lakeside|||20260101000000-0600||VXU^V04^VXU_V04|" + screen.name + "|P|2.5.1|||ER|AL|||||Z22^CDCPHINVS\rPID|1||W-" + screen.name + "^^^lakeside^MR||Week^" + screen.name + "^^^^^L||20210101|F\r" +
				"MSH|^~\\&|EHR|lakeside|||20260101000000-0600||VXU^V04^VXU_V04|" + screen.name + "-2|P|2.5.1|||ER|AL|||||Z22^CDCPHINVS\rPID|1||W2-" + screen.name + "^^^lakeside^MR||||20210101|F\r"
			if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
			do(t, ctx, "upload", chromedp.Navigate(d.URL+"/exchange/files"), chromedp.WaitVisible(`input[name=file]`))
			do(t, ctx, "upload", chromedp.SetUploadFiles(`input[name=file]`, []string{file}), chromedp.Click(`form[enctype] button`), chromedp.WaitVisible(`dl.facts`))
			do(t, ctx, "the file's end", chromedp.WaitVisible(`a[href$="/answers"]`), chromedp.WaitVisible(`main tbody a`))
			look(t, ctx, "a file")
			shot(t, ctx, shots(t, "file"))
			d.enter(t, ctx, "sam")
			for _, path := range []string{"/exchange", "/exchange/files", "/exchange/senders"} {
				do(t, ctx, path, chromedp.Navigate(d.URL+path), chromedp.WaitVisible(`main h1`))
				look(t, ctx, "sam at "+path)
			}
		})
	}
}

// TestStockScreens is a nurse at the doses that her practice's EHR has sent and that could not
// be taken off its stock: she comes there from the page that her day begins with, tries in
// vain, receives the lot that was missing, takes the dose off, and settles another.
func TestStockScreens(t *testing.T) {
	d := startDemo(t)
	nurse := signIn(t, d.URL, "marcus", d.password(t, "marcus"))
	for _, screen := range screens {
		t.Run(screen.name, func(t *testing.T) {
			lot := "E2E" + strings.ToUpper(screen.name)
			d.sendDoses(t, screen.name, lot)
			ctx := chromium(t, screen.width, screen.height)
			d.enter(t, ctx, "marcus")
			const note = `.notes a[href="/lots/not-deducted"]`
			do(t, ctx, "the day begins", chromedp.Navigate(d.URL+"/units"), chromedp.WaitVisible(note))
			look(t, ctx, "the units with a note")
			do(t, ctx, "what waits", chromedp.Click(note), chromedp.WaitVisible(`#h-waiting`))
			look(t, ctx, "what waits")
			shot(t, ctx, shots(t, "not-deducted"))

			row := func(words string) string {
				id, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf(`Array.from(document.querySelectorAll("main tbody tr")).find(e => e.innerText.includes(%q)).id`, words)))
				if err != nil {
					t.Fatalf("the row with %q: %v", words, err)
				}
				return "#" + id
			}
			dose := row(lot)
			do(t, ctx, "tried in vain", chromedp.Click(dose+` form[action$="/deduct"] button`), chromedp.WaitVisible(dose+` .state-warning`))
			look(t, ctx, "tried in vain")
			shot(t, ctx, shots(t, "not-deducted-tried"))

			do(t, ctx, "to the lots", chromedp.Click(dose+` a[href="/lots#stock"]`), chromedp.WaitVisible(`#undeducted`))
			look(t, ctx, "the lots with a note")
			nurse.post("/lots", url.Values{"unit": {unitOf(t, nurse)}, "number": {lot}, "product": {"Varivax"}, "cvx": {"21"}, "ndc": {"00006-4827-00"}, "mvx": {"MSD"}, "expires": {"2031-06-30"}, "funding": {"public"}, "doses": {"5"}})
			do(t, ctx, "back to what waits", chromedp.Click(`#undeducted a`), chromedp.WaitVisible(dose))
			do(t, ctx, "taken off", chromedp.Click(dose+` form[action$="/deduct"] button`), chromedp.WaitVisible(`.flash:not(.flash-error)`))
			visible(t, ctx, "it is taken off", ".flash", "has been taken off the stock")

			dose = row("DTaP")
			do(t, ctx, "settle", chromedp.Click(dose+` summary`), chromedp.WaitVisible(dose+` input[name=why]`))
			look(t, ctx, "the form to settle one")
			shot(t, ctx, shots(t, "not-deducted-settle"))
			do(t, ctx, "settle", set(dose+` input[name=why]`, "counted off on Monday"), chromedp.Click(dose+` form[action$="/settle"] button`), chromedp.WaitNotPresent(dose), chromedp.WaitVisible(`.flash`))
			visible(t, ctx, "it is settled", ".flash", "has been settled")
			look(t, ctx, "what waits afterwards")
		})
	}
	// When the last is settled, the page says so.
	for _, form := range find(nurse.get("/lots/not-deducted"), "form", "stack") {
		for _, a := range form.Attr {
			if a.Key == "action" {
				nurse.post(a.Val, url.Values{"why": {"counted off on Monday"}})
			}
		}
	}
	ctx := chromium(t, screens[1].width, screens[1].height)
	d.enter(t, ctx, "marcus")
	do(t, ctx, "nothing waits", chromedp.Navigate(d.URL+"/lots/not-deducted"), chromedp.WaitVisible(`main .empty`))
	look(t, ctx, "nothing waits")
	shot(t, ctx, "not-deducted-empty-phone")
}

// sendDoses has the demo's EHR tell of two doses of a child: one from a lot that the practice's
// stock does not have, one without a lot number.
func (d demo) sendDoses(t *testing.T, name, lot string) {
	t.Helper()
	day := time.Now().AddDate(0, 0, -20).Format("20060102")
	dose := func(n, cvx, lot string) []string {
		return []string{"ORC|RE||STOCK-" + name + n + "^lakeside", "RXA|0|1|" + day + "||" + cvx + "^Vaccine^CVX|0.5|mL^milliliter^UCUM||00^New immunization record^NIP001||^^^lakeside||||" + lot + "|20310630|MSD^Merck and Co., Inc.^MVX|||CP|A",
			"OBX|1|CE|64994-7^Eligibility^LN|1|V02^VFC eligible^HL70064||||||F|||" + day}
	}
	text := strings.Join(slices.Concat([]string{"MSH|^~\\&|SAMPLE EHR|lakeside|COLDKEEP|IIS|" + time.Now().UTC().Format("20060102150405") + "+0000||VXU^V04^VXU_V04|STOCK-" + name + "|P|2.5.1|||ER|AL|||||Z22^CDCPHINVS",
		"PID|1||STOCK-" + name + "^^^lakeside^MR||Stockton-" + name + "^Sara^^^^^L|Quill^Nina^^^^^M|20230101|F"}, dose("1", "21", lot), dose("2", "20", "")), "\r") + "\r"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL+"/hl7", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+registry.DemoSenderToken)
	r.Header.Set("Content-Type", "application/hl7-v2")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if b, err := io.ReadAll(res.Body); err != nil || strings.Count(string(b), "not taken off the stock") != 2 {
		t.Fatalf("%d %s %v", res.StatusCode, b, err)
	}
}

// unitOf is a unit into which a nurse may receive a lot.
func unitOf(t *testing.T, nurse *browser) string {
	t.Helper()
	for _, list := range find(nurse.get("/lots"), "select", "") {
		for _, o := range find(list, "option", "") {
			for _, a := range o.Attr {
				if a.Key == "value" && strings.HasPrefix(a.Val, "lakeside-") {
					return a.Val
				}
			}
		}
	}
	t.Fatal("no unit to receive a lot into")
	return ""
}
