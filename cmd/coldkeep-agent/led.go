package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/coldkeep/coldkeep"
)

// blinkFor is long enough to walk along a row of fridges.
const blinkFor = 30 * time.Second

// current is how the kernel marks the trigger in force: "none [mmc0] timer".
var current = regexp.MustCompile(`\[([^\]]+)\]`)

// blink has an LED of the kernel's LED class blink for a while, and then gives it
// back to the trigger it had (Documentation/leds/leds-class.rst).
func blink(ctx context.Context, log *slog.Logger, dir string) {
	trigger := filepath.Join(dir, "trigger")
	was, err := os.ReadFile(trigger)
	if err == nil {
		err = os.WriteFile(trigger, []byte("timer"), 0)
	}
	if err != nil {
		log.Warn("LED cannot blink", "led", dir, "err", err)
		return
	}
	_ = coldkeep.RealClock{}.Sleep(ctx, blinkFor) // cut short when the agent stops
	before := "none"
	if m := current.FindSubmatch(was); m != nil && string(m[1]) != "timer" {
		before = string(m[1])
	}
	if err := os.WriteFile(trigger, []byte(before), 0); err != nil {
		log.Warn("LED cannot be given back", "led", dir, "err", err)
	}
}
