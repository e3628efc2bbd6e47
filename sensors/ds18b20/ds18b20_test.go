package ds18b20

import (
	"testing"

	"periph.io/x/conn/v3/onewire"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

const none = coldkeep.NoTemperature

// pad makes a scratchpad with its CRC.
func pad(raw uint16, config, six byte) Scratchpad {
	p := Scratchpad{byte(raw), byte(raw >> 8), 0x4b, 0x46, config, 0xff, six, 0x10}
	p[8] = onewire.CalcCRC(p[:8])
	return p
}

func TestDecode(t *testing.T) {
	broken := pad(0x0045, 0x7f, 0x0b)
	broken[0] ^= 2
	for name, c := range map[string]struct {
		family Family
		pad    Scratchpad
		value  coldkeep.Temperature
		q      coldkeep.Quality
	}{
		// The codes of the data sheet, table 1.
		"125":              {DS18B20, pad(0x07d0, 0x7f, 0x10), 125000, ""},
		"25.0625":          {DS18B20, pad(0x0191, 0x7f, 0x0f), 25062, ""},
		"0":                {DS18B20, pad(0x0000, 0x7f, 0x10), 0, ""}, // not an empty scratchpad
		"-0.5":             {DS18B20, pad(0xfff8, 0x7f, 0x08), -500, ""},
		"-25.0625":         {DS18B20, pad(0xfe6f, 0x7f, 0x01), -25062, ""},
		"-55":              {DS1822, pad(0xfc90, 0x7f, 0x10), -55000, ""},
		"power-on":         {DS18B20, pad(0x0550, 0x7f, 0x0c), none, "reset85"},
		"85 measured":      {DS28EA00, pad(0x0550, 0x7f, 0x10), 85000, ""}, // for the gate to judge
		"15.25, byte 6 0c": {DS18B20, pad(0x00f4, 0x7f, 0x0c), 15250, ""},
		"9 bits":           {DS18B20, pad(0x004f, 0x1f, 0x01), 4500, ""}, // three undefined bits
		"no conversion":    {DS18B20, pad(0x07ff, 0x7f, 0x01), none, "range"},
		"below":            {DS18B20, pad(0xfc8f, 0x7f, 0x01), none, "range"},
		"line held low":    {DS18B20, Scratchpad{}, none, "zeros"},
		"nobody":           {DS18B20, Scratchpad{255, 255, 255, 255, 255, 255, 255, 255, 255}, none, "missing"},
		"a bit flipped":    {DS18B20, broken, none, "crc"},
		// The DS18S20 counts half degrees, and what remains in byte 6.
		"S, 18.4375":     {DS18S20, pad(0x0025, 0xff, 0x05), 18437, ""},
		"S, -0.25 + 1/4": {DS18S20, pad(0x0000, 0xff, 0x0c), 0, ""},
		"S, -10":         {DS18S20, pad(0xffec, 0xff, 0x0c), -10000, ""},
		"S, power-on":    {DS18S20, pad(0x00aa, 0xff, 0x0c), none, "reset85"},
	} {
		if value, q := Decode(c.family, c.pad); value != c.value || q != c.q {
			t.Errorf("%s: %v %q, want %v %q", name, value, q, c.value, c.q)
		}
	}
}

func FuzzDecode(f *testing.F) {
	good := pad(0x0191, 0x7f, 0x0f)
	f.Add(byte(DS18B20), good[:8])
	f.Fuzz(func(t *testing.T, family byte, text []byte) {
		var p Scratchpad
		copy(p[:8], text)
		p[8] = onewire.CalcCRC(p[:8]) // the CRC alone would refuse nearly all
		value, q := Decode(Family(family), p)
		if value.Known() == q.NoValue() || value.Known() && (value < lowest || value > highest) {
			t.Errorf("% x: %v %q", p, value, q)
		}
	})
}

func TestNames(t *testing.T) {
	if got := Name(0x7a000005e2fdc328); got != "28-000005e2fdc3" {
		t.Error(got)
	}
	if _, err := NewBridge(nil, chip.Mux{}, 0x20); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("a bridge at 0x20: %v", err)
	}
}
