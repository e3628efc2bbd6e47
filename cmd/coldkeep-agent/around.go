package main

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"periph.io/x/conn/v3/i2c"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware"
	"github.com/coldkeep/coldkeep/firmware/inputs"
	"github.com/coldkeep/coldkeep/firmware/page"
	"github.com/coldkeep/coldkeep/firmware/panel"
	"github.com/coldkeep/coldkeep/firmware/pins"
	"github.com/coldkeep/coldkeep/firmware/watch"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/sensors/board"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// aroundFlags are what people see and press at the device, and what happens around
// the fridge. All of it is optional.
type aroundFlags struct {
	LED     string   `name:"led" help:"Light of the local alarm: a pin such as GPIO17 (!GPIO17: on when low) or an LED such as /sys/class/leds/ACT." placeholder:"PIN" env:"COLDKEEP_LED"`
	Buzzer  string   `help:"Buzzer of the local alarm, as --led." placeholder:"PIN" env:"COLDKEEP_BUZZER"`
	Button  string   `help:"Button between a pin and ground: silences the buzzer, turns the display's page; held for 3 s it resets minima and maxima." placeholder:"PIN" env:"COLDKEEP_BUTTON"`
	Display string   `help:"SSD1306 display of 128 by 64 points at address 0x3c of an I2C bus, such as /dev/i2c-1." placeholder:"BUS" env:"COLDKEEP_DISPLAY"`
	Page    string   `help:"Address of the device's own page, such as 127.0.0.1:8081, or :8081 for the whole local network; none unless given." placeholder:"ADDR" env:"COLDKEEP_PAGE"`
	Door    []string `help:"Door contact: PIN[=PROBE], closed to ground while the door is closed (!PIN: the other way); PROBE says whose door it is, without it that of all appliances. May be given several times." placeholder:"PIN" env:"COLDKEEP_DOORS"`
	Mains   string   `help:"Mains contact: a pin that is low while there is mains power (!PIN: high)." placeholder:"PIN" env:"COLDKEEP_MAINS"`
	Gauge   string   `help:"MAX17048 fuel gauge of a UPS on an I2C bus, such as /dev/i2c-1." placeholder:"BUS" env:"COLDKEEP_GAUGE"`
}

// around opens what is there, and has it run until the returned function is called. The
// contacts begin with the device's log.
func (f *aroundFlags) around(ctx context.Context, cfg *firmware.Config, b *board.Board) (stop func(), err error) {
	cfg.Watch = watch.New(cfg.Clock)
	parts, err := f.parts(cfg, b)
	if err == nil {
		err = f.inputs(cfg, b)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	for _, run := range parts {
		work.Go(func() { run(ctx) })
	}
	return func() { cancel(); work.Wait() }, nil
}

// parts are what shows and what is pressed.
func (f *aroundFlags) parts(cfg *firmware.Config, b *board.Board) (parts []func(context.Context), err error) {
	w, log := cfg.Watch, cfg.Log
	var outs [2]pins.Output
	for i, text := range []string{f.LED, f.Buzzer} {
		if text == "" {
			continue
		}
		if outs[i], err = pins.OpenOutput(text); missing(err, cfg) != nil {
			return nil, asUsage(err)
		}
	}
	if outs[0] != nil || outs[1] != nil {
		parts = append(parts, func(ctx context.Context) { panel.Signals{LED: outs[0], Buzzer: outs[1], Log: log}.Run(ctx, w) })
	}
	turn := func() {}
	if f.Display != "" {
		line, err := i2cLine(b, "--display", f.Display)
		if err != nil {
			return nil, err
		}
		d := panel.NewDisplay(line, log)
		turn = d.Turn
		parts = append(parts, func(ctx context.Context) { d.Run(ctx, w) })
	}
	if f.Button != "" {
		in, err := pins.OpenInput(f.Button)
		if missing(err, cfg) != nil {
			return nil, asUsage(err)
		}
		if in != nil {
			parts = append(parts, func(ctx context.Context) { panel.Button(ctx, in, w, turn, log) })
		}
	}
	if f.Page != "" {
		parts = append(parts, func(ctx context.Context) {
			// A page that cannot be served is no reason not to watch the vaccine.
			if err := page.New(w, log).Run(ctx, f.Page); err != nil {
				log.Error("no local page", "err", err)
			}
		})
	}
	return parts, nil
}

// missing lets a pin pass that is not there, and tells of it: with a lamp that cannot be
// had the vaccine is watched all the same. What is wrong on the command line it gives
// back.
func missing(err error, cfg *firmware.Config) error {
	if err == nil || coldkeep.ErrorCode(err) == coldkeep.EINVALID {
		return err
	}
	cfg.Log.Error("going on without a pin", "err", err)
	return nil
}

// inputs adds contacts and the fuel gauge.
func (f *aroundFlags) inputs(cfg *firmware.Config, b *board.Board) error {
	w, log := cfg.Watch, cfg.Log
	add := func(c *inputs.Contact) {
		cfg.Inputs = append(cfg.Inputs, func(ctx context.Context, tell firmware.Tell) { c.Run(ctx, w, tell, log) })
	}
	for _, text := range f.Door {
		name, probe, of := strings.Cut(text, "=")
		if of && !wire.ValidProbe(probe) {
			return usageError{coldkeep.Errorf(coldkeep.EINVALID, "--door %s: %q is no probe's name", text, probe)}
		}
		in, err := pins.OpenInput(name)
		if missing(err, cfg) != nil {
			return asUsage(err)
		}
		if in != nil {
			add(inputs.Door(in, coldkeep.ProbeID(probe)))
		}
	}
	if f.Mains != "" {
		in, err := pins.OpenInput(f.Mains)
		if missing(err, cfg) != nil {
			return asUsage(err)
		}
		if in != nil {
			add(inputs.Mains(in))
		}
	}
	if f.Gauge != "" {
		line, err := i2cLine(b, "--gauge", f.Gauge)
		if err != nil {
			return err
		}
		cfg.Inputs = append(cfg.Inputs, func(ctx context.Context, tell firmware.Tell) { inputs.Battery(ctx, line, w, tell, log) })
	}
	return nil
}

var busPattern = regexp.MustCompile(`^/dev/i2c-(\d{1,3})$`)

// i2cLine gives the line of a bus, which the probes on it share.
func i2cLine(b *board.Board, flag, text string) (*chip.Line[i2c.Bus], error) {
	m := busPattern.FindStringSubmatch(text)
	if m == nil {
		return nil, usageError{coldkeep.Errorf(coldkeep.EINVALID, "%s %s: want an I2C bus such as /dev/i2c-1", flag, text)}
	}
	n, _ := strconv.Atoi(m[1]) // digits
	return b.Line(n), nil
}
