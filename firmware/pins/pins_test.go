package pins

import (
	"os"
	"path/filepath"
	"testing"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"

	"github.com/coldkeep/coldkeep"
)

func TestLevels(t *testing.T) {
	for _, inverted := range []bool{false, true} {
		p := &gpiotest.Pin{N: "GPIO17"}
		out := NewOutput(p, inverted)
		for _, on := range []bool{true, false} {
			if err := out.Set(on); err != nil || bool(p.L) != (on != inverted) {
				t.Errorf("inverted %v, on %v: level %v, %v", inverted, on, p.L, err)
			}
		}
		in := NewInput(p, inverted)
		for _, l := range []gpio.Level{gpio.Low, gpio.High} {
			p.L = l
			if in.On() != (bool(l) == inverted) {
				t.Errorf("inverted %v, level %v: on %v", inverted, l, in.On())
			}
		}
	}
}

func TestLED(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"trigger": "none [mmc0] timer\n", "max_brightness": "255\n", "brightness": "0\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := OpenOutput(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Set(true); err != nil {
		t.Error(err)
	}
	b, _ := os.ReadFile(filepath.Join(dir, "brightness"))
	trigger, _ := os.ReadFile(filepath.Join(dir, "trigger"))
	if string(b) != "255" || string(trigger) != "none" {
		t.Errorf("brightness %q, trigger %q", b, trigger)
	}
}

func TestRefuses(t *testing.T) {
	for text, code := range map[string]string{"": coldkeep.EINVALID, "!": coldkeep.EINVALID, "GPIO 17": coldkeep.EINVALID, "GPIO17,x": coldkeep.EINVALID, "NO-SUCH-LINE": coldkeep.EUNAVAILABLE} {
		if _, err := OpenInput(text); coldkeep.ErrorCode(err) != code {
			t.Errorf("input %q: %v, want %s", text, err, code)
		}
		if _, err := OpenOutput(text); coldkeep.ErrorCode(err) != code {
			t.Errorf("output %q: %v, want %s", text, err, code)
		}
	}
	if _, err := OpenOutput("/sys/class/leds/none"); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Errorf("%v", err)
	}
}
