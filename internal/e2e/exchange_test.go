package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
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
