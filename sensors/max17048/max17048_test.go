package max17048

import (
	"fmt"
	"syscall"
	"testing"

	"periph.io/x/conn/v3/i2c/i2ctest"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors/chip"
	"github.com/coldkeep/coldkeep/sensors/chiptest"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		voltage, charge uint16
		want            string
		q               coldkeep.Quality
	}{
		{0xc580, 0x5700, "87 % (3.95 V)", ""},
		{0xd200, 0x6480, "100 % (4.20 V)", ""}, // the model runs past 100 %
		{0xa000, 0x0000, "0 % (3.20 V)", ""},
		{0x0000, 0x0000, "", "range"},
		{0xffff, 0xffff, "", "range"},
		{0xc580, 0x9601, "", "range"},
	} {
		r, q := Decode(c.voltage, c.charge)
		if q != c.q || q == "" && r.String() != c.want || q != "" && r != (Reading{}) {
			t.Errorf("%04x %04x: %v %q, want %s %q", c.voltage, c.charge, r, q, c.want, c.q)
		}
	}
}

// One reading as it goes over the bus.
func TestReading(t *testing.T) {
	bus := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
		{Addr: 0x36, W: []byte{0x08}, R: []byte{0x00, 0x12}},
		{Addr: 0x36, W: []byte{0x02}, R: []byte{0xc5, 0x80}},
		{Addr: 0x36, W: []byte{0x04}, R: []byte{0x57, 0x00}},
	}}
	r, q, err := Read(bus)
	if r.String() != "87 % (3.95 V)" || q != "" || err != nil {
		t.Errorf("%v %q %v", r, q, err)
	}
	if err := bus.Close(); err != nil {
		t.Error(err)
	}
}

// Each fault of chip and bus ends as its quality, at whichever transaction it begins,
// and none as a number.
func TestFaults(t *testing.T) {
	fill := func(b byte) func(r []byte) error {
		return func(r []byte) error {
			for i := range r {
				r[i] = b
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		fault func(r []byte) error
		want  coldkeep.Quality
	}{
		"no acknowledgement":           {func([]byte) error { return syscall.EREMOTEIO }, "missing"},
		"clock held low":               {func([]byte) error { return syscall.ETIMEDOUT }, "timeout"},
		"input/output error":           {func([]byte) error { return syscall.EIO }, "error"},
		"data line held low":           {fill(0), "zeros"},
		"nobody drives the data line":  {fill(0xff), "missing"},
		"another chip is at its place": {fill(0x5a), "error"},
	} {
		for from := range 3 {
			bus := chiptest.NewBus(map[uint16]chiptest.Chip{Addr: chiptest.NewMAX17048(87, 3.95)})
			bus.SetFault(func(n int, _ uint16, _, r []byte, err error) error {
				if n < from {
					return err
				}
				return c.fault(r)
			})
			r, q, err := Read(bus)
			if err != nil {
				q = chip.Fault(err)
			}
			what := fmt.Sprintf("%s from transaction %d on", name, from)
			if c.want == "error" && from > 0 && err == nil && q == "" {
				continue // two plausible registers of another chip: its version was asked before
			}
			if q != c.want || r != (Reading{}) {
				t.Errorf("%s: %v %q, want %q", what, r, q, c.want)
			}
			bus.SetFault(nil)
			if r, q, err := Read(bus); err != nil || q != "" || r.Percent != 87 {
				t.Errorf("after %s: %v %q %v", what, r, q, err)
			}
		}
	}
}
