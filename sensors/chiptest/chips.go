package chiptest

import (
	"sync"

	"github.com/coldkeep/coldkeep"
)

// words is a chip with sixteen-bit registers behind a pointer.
type words struct {
	reg     map[byte]uint16
	pointer byte
	written func(reg byte, v uint16)
	reading func(reg byte)
}

// Tx sets the pointer, writes a register or reads one.
func (c *words) Tx(w, r []byte) error {
	if len(w) > 0 {
		c.pointer = w[0]
	}
	switch {
	case len(w) == 2: // a register of one byte
		c.written(c.pointer, uint16(w[1]))
	case len(w) > 2:
		c.written(c.pointer, uint16(w[1])<<8|uint16(w[2]))
	}
	if len(r) > 0 && c.reading != nil {
		c.reading(c.pointer)
	}
	for i := range r {
		r[i] = byte(c.reg[c.pointer] >> (8 * (1 - i&1)))
	}
	return nil
}

// sixteenths gives a temperature in steps of 0.0625 °C.
func sixteenths(t coldkeep.Temperature) int32 { return int32(int64(t) * 16 / 1000) }

// TMP117 is a chip after power-on.
type TMP117 struct {
	words
	Celsius coldkeep.Temperature
	Never   bool // no conversion ends
	Restart bool // it restarts during each conversion
}

// NewTMP117 makes one at a temperature.
func NewTMP117(t coldkeep.Temperature) *TMP117 {
	c := &TMP117{Celsius: t}
	c.reg = map[byte]uint16{0x00: 0x8000, 0x01: 0x0220, 0x0f: 0x0117}
	c.written = func(reg byte, v uint16) {
		if reg != 0x01 {
			return
		}
		c.reg[0x01] = v &^ 0x3000
		if c.Never {
			return
		}
		c.reg[0x01] |= 0x2000
		c.reg[0x00] = uint16(int16(int64(c.Celsius) * 10000 / 78125))
		if c.Restart {
			c.reg[0x00] = 0x8000
		}
	}
	return c
}

// MCP9808 is a chip after power-on: its temperature register is 0 until the first
// conversion has ended, here at the second reading.
type MCP9808 struct {
	words
	Celsius coldkeep.Temperature
	Cold    bool // just powered on
}

// NewMCP9808 makes one at a temperature.
func NewMCP9808(t coldkeep.Temperature) *MCP9808 {
	c := &MCP9808{Celsius: t, Cold: true}
	c.reg = map[byte]uint16{0x01: 0, 0x05: 0, 0x06: 0x0054, 0x07: 0x0400, 0x08: 0x0300}
	c.written = func(reg byte, v uint16) {
		if reg == 0x08 {
			v <<= 8
		}
		c.reg[reg] = v
	}
	c.reading = func(reg byte) {
		if reg != 0x05 {
			return
		}
		c.reg[0x05] = uint16(sixteenths(c.Celsius)) & 0x1fff
		if c.Cold {
			c.reg[0x05], c.Cold = 0, false
		}
	}
	return c
}

// TMP102 is a chip after power-on, with the power-on rate.
type TMP102 struct {
	words
	Celsius coldkeep.Temperature
	Restart bool // it restarts before each reading of the temperature
}

// NewTMP102 makes one at a temperature.
func NewTMP102(t coldkeep.Temperature) *TMP102 {
	c := &TMP102{Celsius: t}
	c.reg = map[byte]uint16{0x00: 0, 0x01: 0x60a0}
	c.written = func(reg byte, v uint16) {
		if reg == 0x01 {
			v = v&^0x6000 | 0x6000
		}
		c.reg[reg] = v
	}
	c.reading = func(reg byte) {
		if reg != 0x00 {
			return
		}
		c.reg[0x00] = uint16(sixteenths(c.Celsius)) << 4
		if c.Restart {
			c.reg[0x00], c.reg[0x01] = 0, 0x60a0
		}
	}
	return c
}

// TMP105 is a chip after power-on, at 9 bits.
type TMP105 struct {
	Celsius coldkeep.Temperature
	Deaf    bool // it does not take its configuration

	pointer, config byte
}

// Tx sets the pointer, writes the configuration or reads.
func (c *TMP105) Tx(w, r []byte) error {
	if len(w) > 0 {
		c.pointer = w[0]
	}
	if len(w) == 2 && c.pointer == 1 && !c.Deaf {
		c.config = w[1]
	}
	raw := uint16(sixteenths(c.Celsius)) << 4 &^ (0x80>>(c.config>>5&3) - 1)
	for i := range r {
		r[i] = byte(raw >> (8 * (1 - i&1)))
		if c.pointer == 1 {
			r[i] = c.config
		}
	}
	return nil
}

// BMX280 is a BME280 with the calibration of the example in the BMP280's data
// sheet, section 3.12.
type BMX280 struct {
	Memory  [256]byte
	pointer byte
	Celsius coldkeep.Temperature
	Skips   bool // it never measures
}

// NewBMX280 makes one at a temperature.
func NewBMX280(t coldkeep.Temperature) *BMX280 {
	c := &BMX280{Celsius: t}
	c.Memory[0xd0] = 0x60
	copy(c.Memory[0x88:], []byte{0x70, 0x6b, 0x43, 0x67, 0x18, 0xfc}) // 27504, 26435, -1000
	copy(c.Memory[0xf7:], []byte{0x80, 0, 0, 0x80, 0, 0, 0x80, 0})
	return c
}

// Tx writes pairs of register and value, or reads from a register on.
func (c *BMX280) Tx(w, r []byte) error {
	if len(w) == 1 {
		c.pointer = w[0]
	}
	for i := 0; i+1 < len(w); i += 2 {
		c.Memory[w[i]] = w[i+1]
		if w[i] == 0xf4 && w[i+1]&3 == 1 && !c.Skips { // forced mode
			raw := c.raw()
			c.Memory[0xfa], c.Memory[0xfb], c.Memory[0xfc] = byte(raw>>12), byte(raw>>4), byte(raw<<4)
		}
	}
	for i := range r {
		r[i] = c.Memory[c.pointer+byte(i)]
	}
	return nil
}

// raw finds the value whose compensation, in floating point (data sheet, section
// 8.1), gives the temperature.
func (c *BMX280) raw() uint32 {
	lo, hi := uint32(0), uint32(1<<20-1)
	for lo < hi {
		mid := (lo + hi) / 2
		x := (float64(mid)/16384 - 27504.0/1024) * 26435
		y := float64(mid)/131072 - 27504.0/8192
		if (x+y*y*-1000)/5120 < c.Celsius.Celsius() {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// SHT4x is the chip with its two commands.
type SHT4x struct {
	Celsius coldkeep.Temperature
	Flip    bool // one bit of the temperature is wrong
	answer  []byte
}

// Tx takes a command, or gives its answer once.
func (c *SHT4x) Tx(w, r []byte) error {
	if len(w) > 0 {
		switch w[0] {
		case 0xfd:
			raw := (int64(c.Celsius) + 45_000) * 65_535 / 175_000
			c.answer = append(sensirion(byte(raw>>8), byte(raw)), sensirion(0x80, 0x00)...)
			if c.Flip {
				c.answer[0] ^= 0x04
			}
		case 0x89:
			c.answer = append(sensirion(0x0f, 0x1e), sensirion(0x2d, 0x3c)...)
		default:
			return ErrNoAck
		}
	}
	if len(r) > 0 && c.answer == nil {
		return ErrNoAck
	}
	if len(r) > 0 {
		copy(r, c.answer)
		c.answer = nil
	}
	return nil
}

// sensirion appends the CRC of a word, by the table-free form of the data sheet.
func sensirion(hi, lo byte) []byte {
	crc := uint32(0xff)<<8 ^ (uint32(hi)<<8 | uint32(lo))
	crc <<= 8
	for bit := 23; bit >= 8; bit-- {
		if crc>>bit&1 == 1 {
			crc ^= 0x131 << (bit - 8)
		}
	}
	return []byte{hi, lo, byte(crc)}
}

// Other is a chip that answers any register with bytes of its own.
type Other byte

// Tx gives the byte.
func (o Other) Tx(_, r []byte) error {
	for i := range r {
		r[i] = byte(o)
	}
	return nil
}

// NewMAX17048 makes a fuel gauge with a charge in percent and a cell's voltage.
func NewMAX17048(percent, volts float64) *MAX17048 {
	c := &MAX17048{}
	c.reg = map[byte]uint16{0x08: 0x0012}
	c.written = func(byte, uint16) {}
	c.Set(percent, volts)
	return c
}

// MAX17048 is a fuel gauge. It may be set while it is asked.
type MAX17048 struct {
	words
	mu sync.Mutex
}

// Tx sets the pointer or reads a register.
func (c *MAX17048) Tx(w, r []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.words.Tx(w, r)
}

// Set sets charge and voltage.
func (c *MAX17048) Set(percent, volts float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reg[0x02], c.reg[0x04] = uint16(volts/78.125e-6), uint16(percent*256)
}
