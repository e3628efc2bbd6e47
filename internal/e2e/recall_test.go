package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestRecallScreens makes a run from its first step to the letters, and looks after the doses
// of the demo that do not count, on a desk's screen and on a telephone's.
func TestRecallScreens(t *testing.T) {
	d := startDemo(t)
	for _, screen := range screens {
		t.Run(screen.name, func(t *testing.T) {
			ctx := chromium(t, screen.width, screen.height)
			d.enter(t, ctx, "dana")
			go1 := func(what, path, wait string) {
				t.Helper()
				do(t, ctx, what, chromedp.Navigate(d.URL+path), chromedp.WaitVisible(wait))
				look(t, ctx, what)
				shot(t, ctx, screen.name+"-"+strings.ReplaceAll(what, " ", "-"))
			}
			go1("recalls", "/recalls", `#h-cold`)
			go1("texts", "/recalls/texts", `#h-texts`)
			go1("new run", "/recalls/new", `main form.grid`)
			do(t, ctx, "look who it would be", set(`input[name=not_within]`, "0"), chromedp.Click(`main form.grid button.strong`), chromedp.WaitVisible(`#h-how`))
			look(t, ctx, "how")
			shot(t, ctx, screen.name+"-how")
			do(t, ctx, "letters", chromedp.Click(`input[value=letter]`), chromedp.Click(`input[value=phone]`), chromedp.Click(`#h-how ~ form button.strong`), chromedp.WaitVisible(`a[href$="letters.pdf"]`))
			look(t, ctx, "notices")
			shot(t, ctx, screen.name+"-notices")
			do(t, ctx, "the recall of a dose", chromedp.Navigate(d.URL+"/recalls"), chromedp.WaitVisible(`#h-cold`), chromedp.Click(`#h-cold ~ table a`), chromedp.WaitVisible(`#h-people`))
			look(t, ctx, "cold recall")
			shot(t, ctx, screen.name+"-cold")
			do(t, ctx, "the patient", chromedp.Click(`#h-people ~ table th a`), chromedp.WaitVisible(`.notice-warning a[href$="/notices"]`))
			look(t, ctx, "patient with a recall")
			shot(t, ctx, screen.name+"-patient")
			do(t, ctx, "notices of a patient", chromedp.Click(`.notice-warning a[href$="/notices"]`), chromedp.WaitVisible(`#agreements`))
			look(t, ctx, "patient's notices")
			shot(t, ctx, screen.name+"-patient-notices")
			d.calls(t, ctx, screen.name)
		})
	}
}

// calls has the families told by telephone.
func (d demo) calls(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	do(t, ctx, "tell the families", chromedp.Navigate(d.URL+"/recalls"), chromedp.WaitVisible(`#h-cold`), chromedp.Click(`#h-cold ~ table a`), chromedp.WaitVisible(`#h-people`),
		chromedp.Click(`form[action$="/notices"] button`), chromedp.WaitVisible(`#h-how`), chromedp.Click(`input[value=phone]`), chromedp.Click(`#h-how ~ form button.strong`),
		chromedp.WaitVisible(`a[href$="/calls"]`), chromedp.Click(`a[href$="/calls"]`), chromedp.WaitVisible(`main table`))
	look(t, ctx, "calls")
	shot(t, ctx, name+"-calls")
}
