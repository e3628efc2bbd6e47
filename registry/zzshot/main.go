package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/chromedp/chromedp"
)

// zzshot dark|light mobile? then triples: name url width height [full]
func main() {
	opts := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	opts = append(opts, chromedp.NoSandbox, chromedp.Flag("disable-background-networking", true))
	if os.Args[1] == "dark" {
		opts = append(opts, chromedp.Flag("blink-settings", "preferredColorScheme=0"))
	}
	if os.Getenv("NOJS") != "" {
		opts = append(opts, chromedp.Flag("blink-settings", "scriptEnabled=false"))
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		panic(err)
	}
	go func() {
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return
			}
			fmt.Println("CONSOLE", m.String())
		}
	}()
	a := os.Args[2:]
	for len(a) >= 4 {
		w, _ := strconv.ParseInt(a[2], 10, 64)
		h, _ := strconv.ParseInt(a[3], 10, 64)
		vp := chromedp.EmulateViewport(w, h)
		if w < 500 {
			vp = chromedp.EmulateViewport(w, h, chromedp.EmulateMobile, chromedp.EmulateScale(2))
		}
		if err := chromedp.Do(ctx, vp, chromedp.Navigate(a[1]), chromedp.Sleep(1200*time.Millisecond)); err != nil {
			panic(err)
		}
		over, err := chromedp.Run(ctx, chromedp.Evaluate[float64]("document.documentElement.scrollWidth - innerWidth"))
		fmt.Println(a[0], "overflow", over, err)
		if js := os.Getenv("JS"); js != "" {
			v, err := chromedp.Run(ctx, chromedp.Evaluate[string](js))
			fmt.Println("JS:", v, err)
			_ = chromedp.Do(ctx, chromedp.Sleep(2500*time.Millisecond))
		}
		b, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			panic(err)
		}
		_ = os.WriteFile("/tmp/shots/"+a[0]+".png", b, 0o644)
		a = a[4:]
	}
}
