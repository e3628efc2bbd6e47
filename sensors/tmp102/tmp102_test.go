package tmp102

import (
	"testing"
	"testing/synctest"

	"periph.io/x/conn/v3/i2c/i2ctest"

	"github.com/coldkeep/coldkeep"
)

// read plays one sample of a chip that has just been switched on.
func read(t *testing.T, hi, lo byte) (value coldkeep.Temperature, q coldkeep.Quality) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config := i2ctest.IO{Addr: 0x48, W: []byte{0x01}, R: []byte{0x60, 0xa0}}
		bus := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
			config, config,
			{Addr: 0x48, W: []byte{0x01, 0x60, 0x60}},
			{Addr: 0x48, W: []byte{0x00}, R: []byte{hi, lo}},
			{Addr: 0x48, W: []byte{0x01}, R: []byte{0x60, 0x60}},
		}}
		var err error
		value, q, err = Reader(0x48)(t.Context(), bus)
		if err != nil {
			t.Error(err)
		}
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	})
	return value, q
}

// The codes of the data sheet, table 6-2.
func TestReading(t *testing.T) {
	for code, want := range map[uint16]coldkeep.Temperature{
		0x64 << 8: 100000, 0x50 << 8: 80000, 0x19 << 8: 25000, 0x0040: 250, 0xffc0: -250, 0xe7 << 8: -25000, 0xc9 << 8: coldkeep.NoTemperature,
	} {
		if value, _ := read(t, byte(code>>8), byte(code)); value != want {
			t.Errorf("%04x: %v, want %v", code, value, want)
		}
	}
}

// Any content of the temperature register is a value within the chip's range or a
// quality.
func FuzzReading(f *testing.F) {
	f.Add(byte(0x19), byte(0x00))
	f.Fuzz(func(t *testing.T, hi, lo byte) {
		value, q := read(t, hi, lo)
		if value.Known() == q.NoValue() || value.Known() && (value < lowest || value > highest) {
			t.Errorf("%02x%02x: %v %q", hi, lo, value, q)
		}
	})
}
