package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestFormsScreens is the way of a printed form: the nurse gives a dose with its statement,
// prints the child's history, and somebody who holds it has it verified; a school sees what
// is missing. axe finds nothing on the way, and the screens fit a desk's and a telephone's.
func TestFormsScreens(t *testing.T) {
	d := startDemo(t)
	nurse := signIn(t, d.URL, "marcus", d.password(t, "marcus"))
	diego := d.child(t, nurse, "1005", "Garcia Lopez", "Diego")
	for _, screen := range screens {
		t.Run(screen.name, func(t *testing.T) {
			ctx := chromium(t, screen.width, screen.height)
			open := func(what, path string) {
				t.Helper()
				do(t, ctx, what, chromedp.Navigate(d.URL+path), chromedp.WaitVisible(`main h1`))
				if title := source(t, ctx); strings.Contains(title, "Not allowed ·") || strings.Contains(title, "That did not work ·") {
					t.Errorf("%s: not at %s", what, path)
				}
				look(t, ctx, what)
				shot(t, ctx, shots(t, strings.ReplaceAll(what, " ", "-")))
			}
			d.enter(t, ctx, "marcus")
			open("statements", "/vis?language=eng")
			do(t, ctx, "one statement", chromedp.Click(`main tbody th a`), chromedp.WaitVisible(`#h-texts`))
			look(t, ctx, "one statement")
			shot(t, ctx, shots(t, "statement"))
			open("blank forms", "/forms")
			open("pick a lot", diego.path+"/doses/new")
			do(t, ctx, "a lot", chromedp.Click(`section[aria-labelledby=h-pick] tbody a.button`), chromedp.WaitVisible(`input[name=vis_scan]`), chromedp.ScrollIntoView(`input[name=vis_scan]`))
			look(t, ctx, "a dose with its statements")
			shot(t, ctx, shots(t, "dose"))
			open("a historical dose", diego.path+"/doses/new?kind=historical")
			open("handed over", diego.path+"/statements")
			open("forms of a patient", diego.path+"/forms")
			open("certificate", diego.path+"/forms/certificate?grade=child-care")
			open("history", diego.path+"/forms/history")
			code := regexp.MustCompile(`[0-9A-Z]{4}(-[0-9A-Z]{4}){3}`).FindString(source(t, ctx))
			open("status", diego.path+"/status?grade=child-care")
			do(t, ctx, "sign out", chromedp.Click(`form.who button`), chromedp.WaitVisible(`input[name=username]`))
			open("verify", "/verify")
			do(t, ctx, "verify", set(`input[name=code]`, strings.ToLower(code)), set(`input[name=birth]`, diego.birth), chromedp.Click(`main form button`), chromedp.WaitVisible(`.notice`))
			visible(t, ctx, "verified", "main", "The registry printed this")
			look(t, ctx, "verified")
			shot(t, ctx, shots(t, "verified"))
			d.enter(t, ctx, "grace")
			search(t, ctx, d, diego.family, diego.given, diego.birth)
			open("status for a school", diego.path+"/status")
			open("forms for a school", diego.path+"/forms")
			d.enter(t, ctx, "dana")
			open("report", "/vis/report")
			d.enter(t, ctx, "sam")
			open("statements of the state", "/vis")
			open("report of a practice", "/vis/report?site=lakeside")
		})
	}
}
