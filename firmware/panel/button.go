package panel

import (
	"context"
	"log/slog"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/pins"
	"github.com/coldkeep/coldkeep/firmware/watch"
)

// The button is looked at every 50 ms, which is longer than a contact bounces and
// shorter than a finger; held for three seconds it means the other thing.
const (
	pressPoll = 50 * time.Millisecond
	longPress = 3 * time.Second
)

// Button runs a button until ctx ends: a short press silences the buzzer for
// watch.HushFor, and turns the display's page; one of three seconds resets the
// extremes, which is recorded.
func Button(ctx context.Context, in pins.Input, w *watch.Watch, turn func(), log *slog.Logger) {
	var held time.Duration
	for was := false; ; {
		if (coldkeep.RealClock{}).Sleep(ctx, pressPoll) != nil {
			return
		}
		on := in.On()
		switch {
		case on && was:
			if held += pressPoll; held == longPress {
				if err := w.Reset(ctx, "", "button"); err != nil {
					log.Warn("minimum and maximum cannot be reset", "err", err)
				} else {
					log.Info("minimum and maximum were reset by the button")
				}
			}
		case !on && was && held > 0 && held < longPress: // held at two looks
			if alarm, _ := w.Alarming(); alarm {
				log.Info("alarm hushed by the button", "for", watch.HushFor)
				w.Hush()
			}
			turn()
		}
		if !on {
			held = 0
		}
		was = on
	}
}
