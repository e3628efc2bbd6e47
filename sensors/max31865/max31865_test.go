package max31865

import (
	"math"
	"testing"

	"github.com/coldkeep/coldkeep"
)

const none = coldkeep.NoTemperature

// The table of IEC 60751 for 100 Ω, in hundredths.
func TestPlatinum(t *testing.T) {
	for celsius, ohms := range map[float64]float64{
		-200: 18.52, -100: 60.26, -90: 64.30, -80: 68.33, -60: 76.33, -40: 84.27, -20: 92.16, 0: 100, 2: 100.78, 8: 103.12, 25: 109.73, 100: 138.51, 200: 175.86,
	} {
		if got := 100 * Resistance(celsius); math.Abs(got-ohms) > 0.0051 {
			t.Errorf("at %v °C: %v Ω, want %v", celsius, got, ohms)
		}
	}
	for c := -200.0; c <= 200; c += 0.37 {
		if got := Celsius(Resistance(c)); math.Abs(got-c) > 1e-6 {
			t.Errorf("%v °C is %v Ω, which is %v °C", c, 100*Resistance(c), got)
		}
	}
}

func TestDecode(t *testing.T) {
	pt1000 := RTD{Nominal: 1000, Ref: 4300, Wires: 4, Mains: 50}
	if !pt1000.Valid() || !PT100.Valid() || (RTD{}).Valid() {
		t.Error("validity")
	}
	at := func(c float64) [8]byte {
		raw := uint16(math.Round(Resistance(c)*100/430*32768)) << 1
		return [8]byte{0x90, byte(raw >> 8), byte(raw)}
	}
	with := func(b [8]byte, i int, v byte) [8]byte { b[i] |= v; return b }
	for name, c := range map[string]struct {
		reg   [8]byte
		value coldkeep.Temperature
		q     coldkeep.Quality
	}{
		"ultra-cold":            {at(-80), -80000, ""},
		"coldest":               {at(-100), -100000, ""},
		"refrigerator":          {at(5), 5000, ""},
		"open":                  {with(at(5), 7, 0x80), none, "open"},
		"no loop":               {with(at(5), 7, 0xa0), none, "open"},
		"low":                   {with(at(-80), 7, 0x40), none, "short"},
		"lead at ground":        {with(at(-80), 7, 0x18), none, "short"},
		"at ground, and no RTD": {with(at(-80), 7, 0x98), none, "short"},
		"overvoltage":           {with(at(5), 7, 0x04), none, "short"},
		"fault bit alone":       {with(at(5), 2, 0x01), none, "error"},
		"nothing":               {[8]byte{}, none, "short"},
		"full scale":            {[8]byte{0x90, 0xff, 0xfe}, none, "open"},
	} {
		for _, rtd := range []RTD{PT100, pt1000} {
			value, q := Decode(c.reg, rtd)
			if q != c.q || value.Known() != c.value.Known() || max(value-c.value, c.value-value) > 18 { // half a step
				t.Errorf("%s, %v: %v %q, want %v %q", name, rtd.Nominal, value, q, c.value, c.q)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x90, 0x40, 0x00, 0, 0, 0, 0, 0}, 100.0, 430.0)
	f.Fuzz(func(t *testing.T, text []byte, nominal, ref float64) {
		rtd := RTD{Nominal: nominal, Ref: ref, Wires: 3, Mains: 60}
		if !rtd.Valid() {
			return
		}
		var reg [8]byte
		copy(reg[:], text)
		value, q := Decode(reg, rtd)
		if value.Known() == q.NoValue() || value.Known() && (value < lowest || value > highest) {
			t.Errorf("% x: %v %q", reg, value, q)
		}
	})
}
