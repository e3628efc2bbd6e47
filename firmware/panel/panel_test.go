package panel

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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

var update = flag.Bool("update", false, "write testdata anew")

// recorded is a pin that remembers how it was switched.
type recorded struct {
	gpiotest.Pin
	mu    sync.Mutex
	begin time.Time
	log   strings.Builder
	was   gpio.Level
}

func (r *recorded) Out(l gpio.Level) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l != r.was {
		fmt.Fprintf(&r.log, "%v:%v ", time.Since(r.begin), map[gpio.Level]int{true: 1}[l])
	}
	r.was = l
	return nil
}

func (r *recorded) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.log.String()
	r.log.Reset()
	r.begin = time.Now()
	return s
}

// warm is a watch of a fridge that alarms at once beyond 8 °C.
func warm() *watch.Watch {
	w := watch.New(nil)
	w.Configure(wire.Config{Probes: []wire.ProbeConfig{{Probe: "a", Appliance: "fridge-1", Local: &wire.LocalAlarm{Low: 2000, High: 8000}}}})
	return w
}

func TestSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		led, buzzer := &recorded{begin: time.Now()}, &recorded{begin: time.Now()}
		w := warm()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			Signals{LED: pins.NewOutput(led, false), Buzzer: pins.NewOutput(buzzer, false)}.Run(ctx, w)
		}()
		time.Sleep(10 * time.Second)
		is := func(when, light, sound string) {
			t.Helper()
			synctest.Wait()
			if l, s := led.take(), buzzer.take(); l != light || s != sound {
				t.Errorf("%s: light %q, sound %q; want %q, %q", when, l, s, light, sound)
			}
		}
		is("all well", "", "")
		w.Look("a", time.Now(), 9000, "")
		time.Sleep(3*time.Second - 1)
		is("an alarm", "0s:1 500ms:0 1s:1 1.5s:0 2s:1 2.5s:0 ", "0s:1 500ms:0 2s:1 2.5s:0 ")
		w.Hush()
		time.Sleep(watch.HushFor)
		led.take()
		buzzer.take()
		time.Sleep(recheck + 1)
		if l, s := led.take(), buzzer.take(); !strings.Contains(l, ":1") || !strings.Contains(s, ":1") {
			t.Errorf("after a hush: light %q, sound %q", l, s)
		}
		w.Hush()
		time.Sleep(time.Minute)
		led.take()
		buzzer.take()
		time.Sleep(time.Minute)
		is("hushed", "", "")
		if led.was != gpio.High {
			t.Error("the light is off in a hushed alarm")
		}
		w.Look("a", time.Now(), 4000, "")
		is("over", "0s:0 ", "")
		w.Identify()
		time.Sleep(2*time.Second - 1)
		is("which one", "0s:1 500ms:0 1s:1 1.5s:0 ", "")
		time.Sleep(watch.IdentifyFor + recheck)
		led.take()
		time.Sleep(time.Minute)
		is("found", "", "")
		w.Look("a", time.Now(), 9000, "")
		synctest.Wait()
		cancel()
		<-done
		if led.was != gpio.Low || buzzer.was != gpio.Low {
			t.Error("something is on after the end")
		}
	})
}

func TestButton(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pin := &gpiotest.Pin{N: "GPIO5", L: gpio.High}
		press := func(d time.Duration) {
			pin.Lock()
			pin.L = gpio.Low
			pin.Unlock()
			time.Sleep(d)
			pin.Lock()
			pin.L = gpio.High
			pin.Unlock()
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
		}
		w := warm()
		var resets []string
		w.Connect(func(_ context.Context, p coldkeep.ProbeID, by string) error {
			resets = append(resets, by+string(p))
			return nil
		}, nil)
		turns := 0
		ctx, cancel := context.WithCancel(t.Context())
		go Button(ctx, pins.NewInput(pin, false), w, func() { turns++ }, slog.New(slog.DiscardHandler))
		aloud := func() bool { _, a := w.Alarming(); return a }
		press(5 * time.Millisecond) // a bounce, or a spark
		press(300 * time.Millisecond)
		if turns != 1 || len(resets) != 0 {
			t.Errorf("%d turns, resets %v", turns, resets)
		}
		w.Look("a", time.Now(), 9000, "")
		if press(300 * time.Millisecond); turns != 2 || aloud() {
			t.Errorf("%d turns; aloud %v", turns, aloud())
		}
		if press(5 * time.Second); turns != 2 || fmt.Sprint(resets) != "[button]" {
			t.Errorf("%d turns, resets %v", turns, resets)
		}
		cancel()
		synctest.Wait()
	})
}

// board is a display on a bus, as the agent wires it.
func board(c *chiptest.SSD1306) (*chip.Line[i2c.Bus], *chiptest.Bus) {
	bus := chiptest.NewBus(map[uint16]chiptest.Chip{0x3c: c})
	return chip.NewLine("i2c-1", func() (i2c.Bus, func() error, error) { return bus, bus.Close, nil }), bus
}

// What the display shows, point for point, is what testdata holds.
func TestPages(t *testing.T) {
	limits := &wire.LocalAlarm{Low: 2000, High: 8000}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	fridge := watch.Probe{Probe: "28-000005e2fdc3", Appliance: "fridge-1", Limits: limits, At: now, Value: 4312, Lo: 2100, Hi: 7960}
	alarm := fridge
	alarm.Value, alarm.Alarm = 9300, true
	broken := watch.Probe{Probe: "28-000005e2fdc3", At: now, Value: coldkeep.NoTemperature, Quality: coldkeep.QualityMissing, Lo: coldkeep.NoTemperature}
	cold := fridge
	cold.Appliance, cold.Value, cold.Lo, cold.Hi = "ultra-cold-2", -78200, -81500, -70100
	on := func(p watch.Probe) watch.Snapshot {
		return watch.Snapshot{Probes: []watch.Probe{p}, Mains: watch.Present, Battery: watch.Battery{Known: true, Percent: 87.4}}
	}
	hushed, door, held := on(alarm), on(fridge), on(fridge)
	hushed.Hushed = true
	door.Doors = map[coldkeep.ProbeID]watch.State{fridge.Probe: watch.Open}
	held.Holds = []wire.Hold{{Lot: "EK9231"}, {Lot: "A-0017"}, {Lot: "0998X"}}
	lost := on(fridge)
	lost.Mains = watch.Lost
	for name, c := range map[string]struct {
		s    watch.Snapshot
		page int
	}{
		"claim": {watch.Snapshot{Code: "ABCD-2345"}, 0}, "which": {watch.Snapshot{Place: "clinic/pi", Named: true, Probes: []watch.Probe{fridge}}, 0}, "none": {watch.Snapshot{Place: "clinic/pi"}, 3},
		"fridge": {on(fridge), 0}, "alarm": {on(alarm), 0}, "hushed": {hushed, 0}, "missing": {on(broken), 0},
		"ultra-cold": {on(cold), 0}, "door": {door, 0}, "battery": {lost, 5}, "holds": {held, 1},
	} {
		t.Run(name, func(t *testing.T) {
			model := &chiptest.SSD1306{}
			line, _ := board(model)
			d := NewDisplay(line, slog.New(slog.DiscardHandler))
			d.show(t.Context(), Text{Head: "before", Large: "before"})
			d.show(t.Context(), Page(c.s, c.page))
			got := model.Picture()
			if !model.On || model.Contrast != contrast || model.Inverted != (name == "alarm" || name == "hushed" || name == "which") {
				t.Errorf("on %v, contrast %v, inverted %v", model.On, model.Contrast, model.Inverted)
			}
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || string(want) != got {
				t.Errorf("%v; %s differs; run with -update when that is meant. Now:\n%s", err, file, got)
			}
		})
	}
}

// A display that is pulled off and put back, with its memory lost, is set up anew; the
// probes on its bus are not held up by it.
func TestDisplayComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model := &chiptest.SSD1306{}
		line, bus := board(model)
		d := NewDisplay(line, slog.New(slog.DiscardHandler))
		w := warm()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); d.Run(ctx, w) }()
		w.Look("a", time.Now(), 4300, "")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		before := model.Picture()
		bus.SetFault(func(int, uint16, []byte, []byte, error) error { return syscall.EREMOTEIO })
		time.Sleep(30 * time.Second)
		synctest.Wait()
		free, err := line.TryDo(func(i2c.Bus) error { return nil })
		if !free || err != nil {
			t.Errorf("the bus is held: %v, %v", free, err)
		}
		*model = chiptest.SSD1306{}
		bus.SetFault(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := model.Picture(); !model.On || got != before {
			t.Errorf("after it came back:\n%s\nbefore:\n%s", got, before)
		}
		cancel()
		<-done
		if model.On {
			t.Error("on after the end")
		}
	})
}
