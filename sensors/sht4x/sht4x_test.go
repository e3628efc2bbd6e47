package sht4x

import (
	"testing"
	"testing/synctest"

	"periph.io/x/conn/v3/i2c/i2ctest"

	"github.com/coldkeep/coldkeep"
)

const none = coldkeep.NoTemperature

// reply makes the six bytes of a measurement.
func reply(raw uint16) [6]byte {
	hi, lo := byte(raw>>8), byte(raw)
	return [6]byte{hi, lo, crc8(hi, lo), 0x80, 0x00, crc8(0x80, 0x00)}
}

// The data sheet's example, table 7: the checksum of BEEF is 92.
func TestCRC8(t *testing.T) {
	if got := crc8(0xbe, 0xef); got != 0x92 {
		t.Errorf("%02x, want 92", got)
	}
}

func TestDecode(t *testing.T) {
	flipped := reply(0x6666)
	flipped[1] ^= 1
	humidity := reply(0x6666)
	humidity[4] ^= 1
	for name, c := range map[string]struct {
		b     [6]byte
		value coldkeep.Temperature
		q     coldkeep.Quality
	}{
		"25 °C":                 {reply(0x6666), 25000, ""}, // 0.4 of the scale
		"beyond the chip":       {reply(0xffff), none, "range"},
		"below the chip":        {reply(0x0000), none, "range"},
		"a bit flipped":         {flipped, none, "crc"},
		"in the humidity":       {humidity, none, "crc"},
		"line held low":         {[6]byte{}, none, "zeros"},
		"nobody drives":         {[6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, none, "missing"},
		"words without any CRC": {[6]byte{0x66, 0x66, 0, 0x80, 0, 0}, none, "crc"},
	} {
		if value, q := Decode(c.b); value != c.value || q != c.q {
			t.Errorf("%s: %v %q, want %v %q", name, value, q, c.value, c.q)
		}
	}
}

func FuzzDecode(f *testing.F) {
	b := reply(0x6666)
	f.Add(b[:])
	f.Fuzz(func(t *testing.T, text []byte) {
		var b [6]byte
		copy(b[:], text)
		value, q := Decode(b)
		if value.Known() == q.NoValue() || value.Known() && (value < lowest || value > highest) {
			t.Errorf("% x: %v %q", b, value, q)
		}
	})
}

// One sample as it goes over the bus.
func TestReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
			{Addr: 0x44, W: []byte{0xfd}},
			{Addr: 0x44, R: []byte{0xbe, 0xef, 0x92, 0xbe, 0xef, 0x92}},
		}}
		value, q, err := Reader(0x44)(t.Context(), bus)
		if value != 85523 || q != "" || err != nil { // -45 + 175 · 48879 / 65535
			t.Errorf("%v %q %v", value, q, err)
		}
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	})
}
