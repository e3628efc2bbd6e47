package tmp117

import (
	"testing"
	"testing/synctest"

	"periph.io/x/conn/v3/i2c/i2ctest"

	"github.com/coldkeep/coldkeep"
)

const none = coldkeep.NoTemperature

// The codes of the data sheet, table 7-2.
func TestDecode(t *testing.T) {
	for raw, want := range map[uint16]struct {
		value coldkeep.Temperature
		q     coldkeep.Quality
	}{
		0x0c80: {25000, ""},
		0x3200: {100000, ""},
		0x0001: {7, ""},
		0x0000: {0, ""},
		0xffff: {-7, ""},
		0xf380: {-25000, ""},
		0xe480: {-55000, ""},
		0x3e80: {125000, ""},
		0xe47f: {none, "range"},
		0x3e81: {none, "range"},
		0x8000: {none, "timeout"}, // power-on
		0x7fff: {none, "range"},
	} {
		if value, q := Decode(raw); value != want.value || q != want.q {
			t.Errorf("%04x: %v %q, want %v %q", raw, value, q, want.value, want.q)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(uint16(0x0c80))
	f.Fuzz(func(t *testing.T, raw uint16) {
		value, q := Decode(raw)
		if value.Known() == q.NoValue() || value.Known() && (value < lowest || value > highest) {
			t.Errorf("%04x: %v %q", raw, value, q)
		}
	})
}

// One sample as it goes over the bus; ready at the second look.
func TestReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
			{Addr: 0x4a, W: []byte{0x0f}, R: []byte{0x01, 0x17}},
			{Addr: 0x4a, W: []byte{0x01, 0x0c, 0x20}},
			{Addr: 0x4a, W: []byte{0x01}, R: []byte{0x0c, 0x20}},
			{Addr: 0x4a, W: []byte{0x01}, R: []byte{0x24, 0x20}},
			{Addr: 0x4a, W: []byte{0x00}, R: []byte{0x02, 0x80}},
		}}
		value, q, err := Reader(0x4a)(t.Context(), bus)
		if value != 5000 || q != "" || err != nil {
			t.Errorf("%v %q %v", value, q, err)
		}
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	})
}
