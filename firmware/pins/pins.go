// Package pins is the wires of the board's header that lamps, buzzers, buttons and
// contacts hang on: lines of the kernel's GPIO character device, by their names such
// as GPIO17, or LEDs of its LED class, such as /sys/class/leds/ACT.
package pins

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"

	"github.com/coldkeep/coldkeep"
)

// Input is a contact or a button.
type Input interface {
	// On reports whether the wire is at its active level.
	On() bool
	String() string
}

// Output is a lamp or a buzzer.
type Output interface {
	Set(on bool) error
	String() string
}

// OpenInput opens a pin for reading. Its text is a name such as GPIO17, active when
// the level is low, as with a contact that closes to ground (the pin is pulled up), or
// !GPIO17, active when it is high (pulled down). What is not so is EINVALID; a pin
// that is not there, or in use, EUNAVAILABLE.
func OpenInput(text string) (Input, error) {
	name, high := strings.CutPrefix(text, "!")
	p, err := find(name)
	if err != nil {
		return nil, err
	}
	pull := gpio.PullUp
	if high {
		pull = gpio.PullDown
	}
	if err := p.In(pull, gpio.NoEdge); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "pins.OpenInput", "pin %s cannot be read: %v", name, err)
	}
	return NewInput(p, high), nil
}

// NewInput makes an Input of a pin that is set up.
func NewInput(p gpio.PinIn, high bool) Input { return input{p, high} }

type input struct {
	gpio.PinIn
	high bool
}

// On reads the level.
func (i input) On() bool { return bool(i.Read()) == i.high }

// OpenOutput opens a pin for writing: a name such as GPIO17, on when high, !GPIO17,
// on when low, or the folder of an LED of the kernel's. Errors are as for OpenInput.
// It is off afterwards.
func OpenOutput(text string) (Output, error) {
	if strings.HasPrefix(text, "/") {
		l := led(text)
		if err := l.Set(false); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "pins.OpenOutput", "LED %s cannot be switched: %v", text, err)
		}
		return l, nil
	}
	name, low := strings.CutPrefix(text, "!")
	p, err := find(name)
	if err != nil {
		return nil, err
	}
	o := NewOutput(p, low)
	if err := o.Set(false); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "pins.OpenOutput", "pin %s cannot be switched: %v", name, err)
	}
	return o, nil
}

// NewOutput makes an Output of a pin.
func NewOutput(p gpio.PinOut, low bool) Output { return output{p, low} }

type output struct {
	gpio.PinOut
	low bool
}

// Set writes the level.
func (o output) Set(on bool) error { return o.Out(gpio.Level(on != o.low)) }

// led is an LED of the kernel's LED class (Documentation/leds/leds-class.rst).
type led string

// String gives its folder.
func (l led) String() string { return string(l) }

// Set takes the LED from its trigger and switches it.
func (l led) Set(on bool) error {
	if err := os.WriteFile(filepath.Join(string(l), "trigger"), []byte("none"), 0); err != nil {
		return err
	}
	value := "0"
	if on {
		value = "1" // LEDs that can be dimmed have more; 1 is on for all others, and seen
		if b, err := os.ReadFile(filepath.Join(string(l), "max_brightness")); err == nil {
			value = strings.TrimSpace(string(b))
		}
	}
	return os.WriteFile(filepath.Join(string(l), "brightness"), []byte(value), 0)
}

// load finds the board's GPIO chips, once.
var load = sync.OnceValue(func() error {
	_, err := driverreg.Init()
	return err
})

// find looks a pin up by the name that the device tree gives it.
func find(name string) (gpio.PinIO, error) {
	if name == "" || strings.ContainsAny(name, " /,=") {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "pin %q: want a name such as GPIO17", name)
	}
	if err := load(); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "pins.find", "pin %s: the GPIO chips cannot be listed", name)
	}
	for _, c := range gpioioctl.Chips {
		// The library puts the chip's name before a name that another driver has, too.
		for _, n := range []string{name, fmt.Sprintf("%s-%s", c.Name(), name)} {
			if l := c.ByName(n); l != nil {
				return l, nil
			}
		}
	}
	return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "pin %s is not among the lines of /dev/gpiochip*", name)
}
