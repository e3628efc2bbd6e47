package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestByKeyboard is the two walks that are walked most, without a mouse: the front desk
// finds a child and opens the record, and a nurse records a dose and reads a warning. What
// comes next has the focus, so that nobody tabs through the menu each time.
func TestByKeyboard(t *testing.T) {
	d := startDemo(t)
	diego := d.child(t, signIn(t, d.URL, "marcus", d.password(t, "marcus")), "1005", "Garcia Lopez", "Diego")
	ctx := chromium(t, screens[0].width, screens[0].height)

	d.enter(t, ctx, "joan")
	do(t, ctx, "a wrong name", chromedp.Navigate(d.URL+"/patients"), chromedp.WaitVisible(`form.search`))
	focused(t, ctx, "the search's first field", `form.search input[name=family]`)
	do(t, ctx, "search for nobody", chromedp.KeyEvent("Nobody"), chromedp.KeyEvent("\t"), chromedp.KeyEvent("Here"), set(`form.search input[name=birth]`, "2001-01-01"),
		chromedp.KeyEvent("\r"), chromedp.WaitVisible(`#h-found`))
	focused(t, ctx, "the field to correct", `form.search input[name=family]`)
	search(t, ctx, d, diego.family, diego.given, diego.birth)
	focused(t, ctx, "who was found", `main tbody th a`)
	do(t, ctx, "open the record", chromedp.KeyEvent("\r"), chromedp.WaitVisible(`.due-list`))
	if at := address(t, ctx); at != diego.path {
		t.Errorf("the record is at %s", at)
	}

	d.enter(t, ctx, "marcus")
	search(t, ctx, d, diego.family, diego.given, diego.birth)
	do(t, ctx, "choose the lot", chromedp.Navigate(d.URL+diego.path+"/doses/new"), chromedp.WaitVisible(`#h-pick`))
	focused(t, ctx, "the barcode", `input[name=barcode]`)
	do(t, ctx, "a lot", chromedp.Navigate(d.URL+diego.path+"/doses/new?group=MMR"), chromedp.WaitVisible(`#h-pick`), chromedp.Click(`main tbody a.button`), chromedp.WaitVisible(`select[name=eligibility]`))
	focused(t, ctx, "what has to be answered", `select[name=eligibility]`)

	// A dose from elsewhere: the warning is on the screen and has the focus, and the lots
	// that were not chosen are out of its way.
	elsewhere := `main details `
	do(t, ctx, "a dose from elsewhere", chromedp.Navigate(d.URL+diego.path+"/doses/new"), chromedp.WaitVisible(`#h-pick`), chromedp.Click(elsewhere+`summary`), chromedp.WaitVisible(elsewhere+`input[name=number]`),
		set(elsewhere+`select[name=cvx]`, "83"), set(elsewhere+`input[name=mvx]`, "MSD"), set(elsewhere+`input[name=number]`, "BORROWED1"), set(elsewhere+`select[name=eligibility]`, "V02"),
		chromedp.Click(elsewhere+`button.strong`), chromedp.WaitVisible(`#warnings`))
	focused(t, ctx, "that the warning was read", `#warnings input[name=confirm]`)
	for _, gone := range []string{`#h-pick`, `input[name=barcode]`} {
		if n, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll("`+gone+`").length`)); err != nil || n != 0 {
			t.Errorf("%s stands beside the warning (%d): %v", gone, n, err)
		}
	}
	look(t, ctx, "the warning about a dose from elsewhere")
	do(t, ctx, "record it", chromedp.KeyEvent(" "), chromedp.KeyEvent("\r"), chromedp.WaitVisible(`.flash`))
	visible(t, ctx, "it is on the record", ".flash", "The dose is on the record")
}

// focused fails the test unless an element of the page has the focus, which a browser
// gives to what asks for it once the page is there.
func focused(t *testing.T, ctx context.Context, what, selector string) {
	t.Helper()
	eventually(t, 10*time.Second, what+" has the focus", func() error {
		on, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.activeElement === document.querySelector("`+selector+`")`))
		if err == nil && !on {
			err = errors.New("it has not")
		}
		return err
	})
}
