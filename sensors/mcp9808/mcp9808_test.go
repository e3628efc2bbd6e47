package mcp9808

import (
	"testing"
	"testing/synctest"

	"periph.io/x/conn/v3/i2c/i2ctest"

	"github.com/coldkeep/coldkeep"
)

// read plays one sample whose temperature register reads as given, in turn.
func read(t *testing.T, registers ...[]byte) (value coldkeep.Temperature, q coldkeep.Quality) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		bus := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
			{Addr: 0x1f, W: []byte{0x06}, R: []byte{0x00, 0x54}},
			{Addr: 0x1f, W: []byte{0x07}, R: []byte{0x04, 0x00}},
			{Addr: 0x1f, W: []byte{0x08, 0x03}},
			{Addr: 0x1f, W: []byte{0x01, 0x00, 0x00}},
		}}
		for _, r := range registers {
			bus.Ops = append(bus.Ops, i2ctest.IO{Addr: 0x1f, W: []byte{0x05}, R: r})
		}
		var err error
		value, q, err = Reader(0x1f)(t.Context(), bus)
		if err != nil {
			t.Error(err)
		}
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	})
	return value, q
}

// The alarm flags above bit 12 are no part of the value; the first reading after
// power-on is 0 and is read again.
func TestReading(t *testing.T) {
	for _, c := range []struct {
		registers [][]byte
		value     coldkeep.Temperature
		q         coldkeep.Quality
	}{
		{[][]byte{{0xc1, 0x94}}, 25250, ""},
		{[][]byte{{0x1e, 0xc0}}, -20000, ""},
		{[][]byte{{0x00, 0x00}, {0x00, 0x40}}, 4000, ""},
		{[][]byte{{0x1d, 0x7f}}, coldkeep.NoTemperature, "range"},
		{[][]byte{{0x07, 0xd1}}, coldkeep.NoTemperature, "range"},
	} {
		if value, q := read(t, c.registers...); value != c.value || q != c.q {
			t.Errorf("% x: %v %q, want %v %q", c.registers, value, q, c.value, c.q)
		}
	}
}

// Any content of the temperature register is a value within the chip's range or a
// quality.
func FuzzReading(f *testing.F) {
	f.Add(byte(0xc1), byte(0x94))
	f.Fuzz(func(t *testing.T, hi, lo byte) {
		if hi&0x1f == 0 && lo == 0 || hi&0x1f == 0x1f && lo == 0xff {
			return // asked again
		}
		value, q := read(t, []byte{hi, lo})
		if value.Known() == q.NoValue() || value.Known() && (value < lowest || value > highest) {
			t.Errorf("%02x%02x: %v %q", hi, lo, value, q)
		}
	})
}
