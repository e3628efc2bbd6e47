package inputs

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"
	"periph.io/x/conn/v3/i2c"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/pins"
	"github.com/coldkeep/coldkeep/firmware/watch"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors/chip"
	"github.com/coldkeep/coldkeep/sensors/chiptest"
)

var quiet = slog.New(slog.DiscardHandler)

// log is a recorder's end: it keeps events and hands them to the watch.
type log struct {
	w *watch.Watch

	mu   sync.Mutex
	text []string
	fail int
}

func (l *log) tell(_ context.Context, p coldkeep.ProbeID, event, detail string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail > 0 {
		l.fail--
		return errors.New("disk full")
	}
	l.text = append(l.text, strings.TrimSpace(string(p)+" "+event+" "+detail))
	l.w.Event(wire.Record{Probe: p, Event: event, Detail: detail})
	return nil
}

func (l *log) is(t *testing.T, when string, want ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := strings.Join(l.text, "; "); got != strings.Join(want, "; ") {
		t.Errorf("%s: %q, want %q", when, got, want)
	}
	l.text = nil
}

// contact gives a contact's pin and the switch of it.
func contact(high bool) (pins.Input, func(gpio.Level)) {
	p := &gpiotest.Pin{N: "GPIO17", L: gpio.Low}
	return pins.NewInput(p, high), func(l gpio.Level) {
		p.Lock()
		p.L = l
		p.Unlock()
	}
}

func TestDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, set := contact(false) // low: closed
		w := watch.New(nil)
		l := &log{w: w}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go Door(in, "a").Run(ctx, w, l.tell, quiet)
		time.Sleep(time.Second)
		l.is(t, "closed from the first")
		if w.Snapshot().Doors["a"] != watch.Closed {
			t.Error("it is not shown as closed")
		}
		for range 50 { // a contact that chatters says nothing
			set(gpio.High)
			time.Sleep(100 * time.Millisecond)
			set(gpio.Low)
			time.Sleep(100 * time.Millisecond)
		}
		l.is(t, "chatter")
		set(gpio.High)
		time.Sleep(time.Second)
		l.is(t, "opened", "a door-open")
		l.mu.Lock()
		l.fail = 3
		l.mu.Unlock()
		set(gpio.Low)
		time.Sleep(500 * time.Millisecond)
		l.is(t, "closed, disk full")
		time.Sleep(5 * time.Second)
		l.is(t, "closed", "a door-closed")
	})
}

// What happened while the device was off is told at its start.
func TestContactsAfterARestart(t *testing.T) {
	for name, c := range map[string]struct {
		mains  bool
		before string // event before the restart
		level  gpio.Level
		want   []string
	}{
		"the door was opened":              {false, wire.EventDoorClosed, gpio.High, []string{"door-open"}},
		"it is still open":                 {false, wire.EventDoorOpen, gpio.High, nil},
		"it was closed":                    {false, wire.EventDoorOpen, gpio.Low, []string{"door-closed"}},
		"the first start, with it open":    {false, "", gpio.High, []string{"door-open"}},
		"power is back":                    {true, wire.EventPowerLost, gpio.High, []string{"power-back"}},
		"power is still lost":              {true, wire.EventPowerLost, gpio.Low, nil},
		"the first start, without power":   {true, "", gpio.Low, []string{"power-lost"}},
		"the first start, with all well":   {true, "", gpio.High, nil},
		"power was lost while it was down": {true, wire.EventPowerBack, gpio.Low, []string{"power-lost"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, set := contact(c.mains)
				set(c.level)
				w := watch.New(nil)
				w.Event(wire.Record{Event: c.before})
				l := &log{w: w}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				on := Door(in, "")
				if c.mains {
					on = Mains(in)
				}
				go on.Run(ctx, w, l.tell, quiet)
				time.Sleep(10 * time.Second)
				l.is(t, name, c.want...)
			})
		})
	}
}

func TestPower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, set := contact(true) // high: mains
		set(gpio.High)
		model := chiptest.NewMAX17048(90, 4.1)
		bus := chiptest.NewBus(map[uint16]chiptest.Chip{0x36: model})
		line := chip.NewLine("i2c-1", func() (i2c.Bus, func() error, error) { return bus, bus.Close, nil })
		w := watch.New(nil)
		l := &log{w: w}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go Mains(in).Run(ctx, w, l.tell, quiet)
		go Battery(ctx, line, w, l.tell, quiet)
		time.Sleep(time.Minute)
		if s := w.Snapshot(); s.Mains != watch.Present || !s.Battery.Known || s.Battery.Percent != 90 {
			t.Errorf("%+v", s)
		}
		set(gpio.Low)
		time.Sleep(time.Second)
		set(gpio.High) // a dip
		time.Sleep(time.Minute)
		l.is(t, "a dip")
		set(gpio.Low)
		time.Sleep(time.Minute)
		l.is(t, "a cut", "power-lost ups 90%")
		model.Set(20, 3.5)
		time.Sleep(5 * time.Minute)
		l.is(t, "low", "battery-low ups 20%, 3.50 V")
		model.Set(22, 3.6)
		time.Sleep(time.Minute)
		model.Set(19, 3.4)
		time.Sleep(time.Minute)
		l.is(t, "around low")
		bus.SetFault(func(int, uint16, []byte, []byte, error) error { return syscall.EREMOTEIO })
		time.Sleep(time.Minute)
		set(gpio.High)
		time.Sleep(time.Minute)
		l.is(t, "back, and the gauge is off", "power-back")
		if w.Snapshot().Battery.Known {
			t.Error("a charge from a gauge that is off")
		}
		bus.SetFault(nil)
		model.Set(60, 3.9)
		time.Sleep(time.Minute)
		model.Set(10, 3.3)
		time.Sleep(time.Minute)
		l.is(t, "low again", "battery-low ups 10%, 3.30 V")
	})
}
