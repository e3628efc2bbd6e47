// Package panel is what people see, hear and press at the device: a light, a buzzer,
// a button and a small display. It shows what a watch.Watch knows.
package panel

import (
	"context"
	"log/slog"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/pins"
	"github.com/coldkeep/coldkeep/firmware/watch"
)

// The beat of an alarm: the light blinks at every step, the buzzer sounds for one of
// four, which carries through a door and leaves a person room to think.
const (
	beat    = 500 * time.Millisecond
	buzzOne = 4
)

// recheck is how often the signals are looked at anew when nothing changes: a hush
// ends by time alone.
const recheck = 5 * time.Second

// Signals are a light and a buzzer; either may be nil.
type Signals struct {
	LED, Buzzer pins.Output
	Log         *slog.Logger
}

// Run shows and sounds the local alarm until ctx ends, and leaves both off. While an
// alarm is hushed the light stays on; it blinks also to show which device this is.
func (s Signals) Run(ctx context.Context, w *watch.Watch) {
	told := make(map[string]bool)
	set := func(led, buzzer bool) { s.set(told, led, buzzer) }
	defer set(false, false)
	for step := 0; ; step++ {
		changed := w.Changed()
		on, aloud := w.Alarming()
		switch named := w.Identifying(); {
		case !on && !named:
			set(false, false)
			step = -1
		case aloud || named:
			set(step%2 == 0, aloud && step%buzzOne == 0)
			if (coldkeep.RealClock{}).Sleep(ctx, beat) != nil {
				return
			}
			continue
		default:
			set(true, false)
		}
		wait := time.NewTimer(recheck)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-changed:
		case <-wait.C:
		}
		wait.Stop()
	}
}

// set switches both. What cannot be switched is told once and tried again.
func (s Signals) set(told map[string]bool, led, buzzer bool) {
	for _, o := range []struct {
		pins.Output
		on bool
	}{{s.LED, led}, {s.Buzzer, buzzer}} {
		if o.Output == nil {
			continue
		}
		err := o.Set(o.on)
		if err != nil && !told[o.String()] && s.Log != nil {
			s.Log.Warn("signal cannot be switched", "pin", o.String(), "err", err)
		}
		told[o.String()] = err != nil
	}
}
