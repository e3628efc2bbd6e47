package tmp105

import (
	"testing"
	"testing/synctest"

	"periph.io/x/conn/v3/i2c/i2ctest"

	"github.com/coldkeep/coldkeep"
)

// The codes of the data sheet, table 4.
func TestDecode(t *testing.T) {
	for code, want := range map[[2]byte]coldkeep.Temperature{
		{0x64, 0}: 100000, {0x4b, 0}: 75000, {0x00, 0x40}: 250, {0, 0}: 0, {0xff, 0xc0}: -250, {0xe7, 0}: -25000, {0xc9, 0}: -55000,
		{0x7f, 0xf0}: coldkeep.NoTemperature, {0x80, 0}: coldkeep.NoTemperature,
	} {
		if value, q := Decode(code); value != want || value.Known() == q.NoValue() {
			t.Errorf("% x: %v %q, want %v", code, value, q, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(byte(0x19), byte(0))
	f.Fuzz(func(t *testing.T, hi, lo byte) {
		value, q := Decode([2]byte{hi, lo})
		if value.Known() == q.NoValue() || value.Known() && (value < lowest || value > highest) {
			t.Errorf("%02x%02x: %v %q", hi, lo, value, q)
		}
	})
}

// The first sample after power-on, as it goes over the bus.
func TestReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
			{Addr: 0x48, W: []byte{0x01}, R: []byte{0x00}},
			{Addr: 0x48, W: []byte{0x01, 0x60}},
			{Addr: 0x48, W: []byte{0x00}, R: []byte{0x04, 0x40}},
			{Addr: 0x48, W: []byte{0x01}, R: []byte{0x60}},
		}}
		value, q, err := Reader(0x48)(t.Context(), bus)
		if value != 4250 || q != "" || err != nil {
			t.Errorf("%v %q %v", value, q, err)
		}
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	})
}
