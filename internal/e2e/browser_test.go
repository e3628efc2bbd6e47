package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// demo is a `coldkeep up --demo` of its own.
type demo struct {
	URL    string `json:"http"`
	MQTT   string `json:"mqtt"`
	Data   string `json:"data"`
	People []struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Role     string `json:"role"`
	} `json:"people"`

	process *process
}

func startDemo(t *testing.T, args ...string) demo {
	t.Helper()
	p := newProcess(t, "demo", append([]string{filepath.Join(bin, "coldkeep"), "up", "--demo", "--data", t.TempDir(), "--http", freeAddr(t), "--mqtt", freeAddr(t), "--sftp", freeAddr(t)}, args...)...)
	p.start()
	var line string
	eventually(t, time.Minute, "the demo is up", func() error {
		for l := range strings.Lines(p.Log().Tail(20_000)) {
			if strings.HasPrefix(l, `{"event":"ready"`) && strings.HasSuffix(l, "\n") {
				line = l
				return nil
			}
		}
		return errors.New("it has not said so")
	})
	var d demo
	if err := json.Unmarshal([]byte(line), &d); err != nil {
		t.Fatalf("the demo said %q: %v", line, err)
	}
	d.process = p
	return d
}

func (d demo) password(t *testing.T, username string) string {
	t.Helper()
	for _, p := range d.People {
		if p.Username == username {
			return p.Password
		}
	}
	t.Fatalf("the demo has nobody called %s", username)
	return ""
}

// chromium starts a headless browser with a profile of its own.
func chromium(t *testing.T, width, height int64) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no Chromium")
		}
		t.Skip("no Chromium (the test command in the README installs it)")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancelTab := chromedp.NewContext(ctx)
	t.Cleanup(cancelTab)
	ctx, cancelTime := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancelTime)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func do(t *testing.T, ctx context.Context, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// shot keeps a screenshot: in the folder that COLDKEEP_SCREENSHOTS names, or with
// the test's artifacts.
func shot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("COLDKEEP_SCREENSHOTS")
	if dir == "" {
		dir = t.ArtifactDir()
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// accessible runs axe on the page and fails the test for each finding.
func accessible(t *testing.T, ctx context.Context, page string) {
	t.Helper()
	axe, err := os.ReadFile("axe/node_modules/axe-core/axe.min.js")
	if errors.Is(err, os.ErrNotExist) {
		if os.Getenv("CI") != "" {
			t.Fatal("axe is not there: npm ci in internal/e2e/axe")
		}
		t.Log("axe is not there, so the page is not checked (the test command in the README fetches it)")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[any](string(axe)+";0")); err != nil {
		t.Fatal(err)
	}
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r =>
		r.violations.map(v => v.id + ": " + v.help + " at " + v.nodes.map(n => n.target.join(" ")).slice(0, 4).join(", ")))`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("%s is not accessible: %s", page, f)
	}
}

// visible waits for text within an element that is shown.
func visible(t *testing.T, ctx context.Context, what, selector, text string) {
	t.Helper()
	js := fmt.Sprintf(`Array.from(document.querySelectorAll(%q)).some(e => e.checkVisibility() && e.innerText.includes(%q))`, selector, text)
	eventually(t, 90*time.Second, what, func() error {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](js))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("no %s with %q", selector, text)
		}
		return nil
	})
}

// TestBrowserStory is the demo as its user sees it: sign in, see a unit turn red
// without touching anything, open the excursion, acknowledge, see the lots held.
func TestBrowserStory(t *testing.T) {
	d := startDemo(t)
	ctx := chromium(t, 1024, 768)
	do(t, ctx, "the first page", chromedp.Navigate(d.URL), chromedp.WaitVisible(`input[name=username]`))
	accessible(t, ctx, "sign-in")
	shot(t, ctx, "1-sign-in")
	do(t, ctx, "sign in", chromedp.SendKeys(`input[name=username]`, "dana"), chromedp.SendKeys(`input[name=password]`, d.password(t, "dana")),
		chromedp.Click(`main button`), chromedp.WaitVisible(`#units`))
	accessible(t, ctx, "units")
	shot(t, ctx, "2-units-at-first")
	// Nobody clicks: the page itself turns.
	visible(t, ctx, "the unit turns red", ".card-excursion", "Refrigerator 2")
	visible(t, ctx, "the alert is on screen", ".banner", "Refrigerator 2")
	accessible(t, ctx, "units with an alert")
	shot(t, ctx, "3-units-excursion")
	do(t, ctx, "open the unit", chromedp.Click(`#unit-lakeside-fridge-2`), chromedp.WaitVisible(`#excursions table`))
	visible(t, ctx, "the excursion is in the table", "#excursions tbody", "still out")
	accessible(t, ctx, "unit")
	shot(t, ctx, "4-unit")
	do(t, ctx, "acknowledge", chromedp.SendKeys(`form.ack input[name=note]`, "Moving the vaccine to Refrigerator 1"), chromedp.Click(`form.ack button`))
	visible(t, ctx, "who answered is shown", "#excursions", "Dana Whitfield")
	visible(t, ctx, "the unit is still red", ".unit-state", "Excursion")
	shot(t, ctx, "5-acknowledged")
	do(t, ctx, "lots", chromedp.Navigate(d.URL+"/lots"), chromedp.WaitVisible(`article.hold`))
	visible(t, ctx, "the lots are held", "article.hold", "Refrigerator 2")
	accessible(t, ctx, "lots")
	shot(t, ctx, "6-lots-held")
	do(t, ctx, "alerts", chromedp.Navigate(d.URL+"/alerts"), chromedp.WaitVisible(`main h1`))
	visible(t, ctx, "the inbox has the answer", "main", "Moving the vaccine")
	accessible(t, ctx, "alerts")
	shot(t, ctx, "7-alerts")

	phone := chromium(t, 390, 844)
	do(t, phone, "sign in on a phone", chromedp.Navigate(d.URL), chromedp.WaitVisible(`input[name=username]`), chromedp.SendKeys(`input[name=username]`, "dana"),
		chromedp.SendKeys(`input[name=password]`, d.password(t, "dana")), chromedp.Click(`main button`), chromedp.WaitVisible(`#units`))
	for name, path := range map[string]string{"8-phone-units": "/units", "9-phone-unit": "/units/lakeside-fridge-2", "10-phone-lots": "/lots", "11-phone-alerts": "/alerts"} {
		do(t, phone, path, chromedp.Navigate(d.URL+path), chromedp.WaitVisible(`main h1`))
		wide, err := chromedp.Run(phone, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > document.documentElement.clientWidth`))
		if err != nil {
			t.Fatal(err)
		}
		if wide {
			t.Errorf("%s is wider than a phone", path)
		}
		accessible(t, phone, path+" on a phone")
		shot(t, phone, name)
	}
}

// TestBrowserNoticesADeadServer kills the server under an open page: the page says
// that what it shows is old, and is well again when the server is back.
func TestBrowserNoticesADeadServer(t *testing.T) {
	d := startDemo(t, "--speed", "1")
	ctx := chromium(t, 1024, 768)
	do(t, ctx, "sign in", chromedp.Navigate(d.URL), chromedp.WaitVisible(`input[name=username]`), chromedp.SendKeys(`input[name=username]`, "dana"),
		chromedp.SendKeys(`input[name=password]`, d.password(t, "dana")), chromedp.Click(`main button`), chromedp.WaitVisible(`#units`))
	visible(t, ctx, "the units have readings", "#units", "In range")
	d.process.Kill()
	visible(t, ctx, "the page says that it is old", "[role=status]", "Not connected")
	accessible(t, ctx, "units without a server")
	shot(t, ctx, "12-not-connected")
	d.process.start()
	eventually(t, time.Minute, "the page is well again", func() error {
		there, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`Array.from(document.querySelectorAll("[role=status]")).some(e => e.checkVisibility() && e.innerText.includes("Not connected"))`))
		if err == nil && there {
			err = errors.New("it still says that it is not connected")
		}
		return err
	})
	// The restarted demo reads all that it had kept before its units have readings again.
	eventually(t, 4*time.Minute, "the units are shown", func() error {
		there, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(document.querySelector("#units")?.innerText ?? "").includes("In range")`))
		if err == nil && !there {
			err = errors.New("no unit is in range")
		}
		return err
	})
}

// TestRecordedLogOnScreen plays the real log of a home freezer through the agent
// into the demo and finds its great excursion on the screen, with lots on hold.
func TestRecordedLogOnScreen(t *testing.T) {
	log := filepath.Join("..", "..", "..", "shared", "data", "traces", "home_fridge_freezer_5probe_60s.csv")
	if _, err := os.Stat(log); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("the recorded log is not there: %v", err)
	}
	d := startDemo(t)
	agent := newProcess(t, "agent", filepath.Join(bin, "coldkeep-agent"), "--site", "lakeside", "--agent", "recorder", "--broker", d.MQTT,
		"--password-file", filepath.Join(d.Data, "devices", "lakeside_recorder.password"), "--data", t.TempDir(),
		"--driver", "trace", "--trace", log, "--trace-speed", "0", "--exit-when-done")
	agent.start()
	select {
	case <-agent.Done():
	case <-time.After(3 * time.Minute):
		t.Fatal("the log is not delivered")
	}
	person := signIn(t, d.URL, "dana", d.password(t, "dana"))
	eventually(t, time.Minute, "the excursion on the screen", func() error {
		page := text(person.get("/units/lakeside-recorded?range=30d&at=2026-08-18T12:00:00Z"))
		// The clinic's times are Chicago's: out of range from 19:58:27 UTC, the peak at
		// 01:02:02 UTC, back at 19:20:55 UTC of the next day.
		for _, want := range []string{"18.2 °C", "Aug 17, 2026, 2:58 PM", "Aug 17, 2026, 8:02 PM", "Aug 18, 2026, 2:20 PM", "23 h 2"} {
			if !strings.Contains(page, want) {
				return fmt.Errorf("no %q on the page", want)
			}
		}
		return nil
	})
	eventually(t, time.Minute, "its lots on hold", func() error {
		holds := person.holds("Recorded freezer")
		if len(holds) == 0 || len(holds[0].lots) == 0 {
			return fmt.Errorf("holds %+v", holds)
		}
		return nil
	})
}
