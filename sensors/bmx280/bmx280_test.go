package bmx280

import (
	"testing"
	"testing/synctest"

	"periph.io/x/conn/v3/i2c/i2ctest"

	"github.com/coldkeep/coldkeep"
)

// read plays one sample of a BMP280 with the calibration of its data sheet's
// example, section 3.12.
func read(t *testing.T, raw [3]byte) (value coldkeep.Temperature, q coldkeep.Quality) {
	t.Helper()
	calibration := make([]byte, 26)
	copy(calibration, []byte{0x70, 0x6b, 0x43, 0x67, 0x18, 0xfc})
	synctest.Test(t, func(t *testing.T) {
		bus := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
			{Addr: 0x76, W: []byte{0xd0}, R: []byte{0x58}},
			{Addr: 0x76, W: []byte{0xf3}, R: []byte{0x00}},
			{Addr: 0x76, W: []byte{0x88}, R: calibration[:6]},
			{Addr: 0x76, W: []byte{0xd0}, R: []byte{0x58}},
			{Addr: 0x76, W: []byte{0x88}, R: calibration},
			{Addr: 0x76, W: []byte{0xf4, 0x60, 0xf5, 0xa0, 0xf4, 0x60}},
			{Addr: 0x76, W: []byte{0xf4, 0x61}},
			{Addr: 0x76, W: []byte{0xf3}, R: []byte{0x08}}, // still measuring
			{Addr: 0x76, W: []byte{0xf3}, R: []byte{0x00}},
			{Addr: 0x76, W: []byte{0xf7}, R: []byte{0x80, 0, 0, raw[0], raw[1], raw[2]}},
			{Addr: 0x76, W: []byte{0xfa}, R: raw[:]},
		}}
		var err error
		value, q, err = Reader(0x76)(t.Context(), bus)
		if err != nil {
			t.Error(err)
		}
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	})
	return value, q
}

func TestReading(t *testing.T) {
	for raw, want := range map[[3]byte]struct {
		value coldkeep.Temperature
		q     coldkeep.Quality
	}{
		{0x7e, 0xed, 0x00}: {25080, ""}, // the data sheet's example
		{0x80, 0x00, 0x00}: {coldkeep.NoTemperature, "timeout"},
		{0x00, 0x00, 0x00}: {coldkeep.NoTemperature, "zeros"},
		{0xff, 0xff, 0xff}: {coldkeep.NoTemperature, "missing"},
		{0xc0, 0x00, 0x00}: {coldkeep.NoTemperature, "range"},
	} {
		if value, q := read(t, raw); value != want.value || q != want.q {
			t.Errorf("% x: %v %q, want %v %q", raw, value, q, want.value, want.q)
		}
	}
}

// Any content of the temperature register is a value within the chip's range or a
// quality.
func FuzzReading(f *testing.F) {
	f.Add(byte(0x7e), byte(0xed), byte(0x00))
	f.Fuzz(func(t *testing.T, a, b, c byte) {
		value, q := read(t, [3]byte{a, b, c})
		if value.Known() == q.NoValue() || value.Known() && (value < lowest || value > highest) {
			t.Errorf("%02x%02x%02x: %v %q", a, b, c, value, q)
		}
	})
}
