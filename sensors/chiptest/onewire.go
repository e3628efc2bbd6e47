package chiptest

import (
	"periph.io/x/conn/v3/onewire"

	"github.com/coldkeep/coldkeep"
)

// DS18B20 is a probe on a 1-Wire line.
type DS18B20 struct {
	Serial  uint64 // of the ROM code, 48 bits
	Family  byte   // 0 is 0x28
	Celsius coldkeep.Temperature
	Weak    bool // it has not the power to convert: it restarts
	Half    bool // it has the power to begin: 07FF
	BadCRC  bool
	Gone    bool // pulled off
	EEPROM  int  // how often it was written to

	pad [9]byte
}

// ROM gives its address.
func (d *DS18B20) ROM() onewire.Address {
	family := d.Family
	if family == 0 {
		family = 0x28
	}
	v := d.Serial<<8 | uint64(family)
	var b [7]byte
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	return onewire.Address(v | uint64(onewire.CalcCRC(b[:]))<<56)
}

func (d *DS18B20) reset() { d.set(0x0550, 0x0c) }

func (d *DS18B20) set(raw uint16, six byte) {
	d.pad = [9]byte{byte(raw), byte(raw >> 8), 0x4b, 0x46, 0x7f, 0xff, six, 0x10}
	d.pad[8] = onewire.CalcCRC(d.pad[:8])
}

func (d *DS18B20) convert() {
	switch raw := uint16(sixteenths(d.Celsius)); {
	case d.Weak:
		d.reset()
	case d.Half:
		d.set(0x07ff, 0x01)
	default:
		d.set(raw, 0x10-byte(raw&0x0f))
	}
}

// DS2482 is a DS2482-100 with a 1-Wire line.
type DS2482 struct {
	Probes []*DS18B20
	Short  bool // the line is at ground
	Low    bool // a probe holds the line low after its presence pulse: zeros are read
	Busy   bool // a 1-Wire cycle never ends

	config, status, data, pointer byte
	sent                          []byte // since the 1-Wire reset
	read                          int    // bytes of the scratchpad read
	search                        []*DS18B20
	bit                           int
}

// The status bits.
const (
	sBusy, sPresence, sShort, sLevel, sReset, sSingle, sSecond, sDir = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80
)

// Tx takes a command and reads the register it leaves the pointer at.
func (c *DS2482) Tx(w, r []byte) error {
	if len(w) > 0 {
		if err := c.command(w); err != nil {
			return err
		}
	}
	for i := range r {
		switch c.pointer {
		case 0xf0:
			r[i] = c.status
		case 0xe1:
			r[i] = c.data
		case 0xc3:
			r[i] = c.config
		}
	}
	return nil
}

func (c *DS2482) command(w []byte) error {
	arg := w[len(w)-1]
	switch w[0] {
	case 0xf0:
		c.config, c.pointer, c.status = 0, 0xf0, sReset|sLevel
		if c.Short {
			c.status = sReset
		}
		return nil
	case 0xe1:
		if arg != 0xf0 && arg != 0xe1 && arg != 0xc3 {
			return ErrNoAck // registers of the DS2483 and the DS2482-800
		}
		c.pointer = arg
		return nil
	case 0xd2:
		if arg>>4 != ^arg&0x0f {
			return ErrNoAck
		}
		c.config, c.pointer = arg&0x0f, 0xc3
		c.status &^= sReset
		return nil
	}
	c.pointer = 0xf0
	c.status &^= sBusy
	switch w[0] {
	case 0xb4:
		c.reset()
	case 0xa5:
		c.write(arg)
	case 0x96:
		c.data = c.next()
	case 0x78:
		c.triplet(arg >> 7)
	default:
		return ErrNoAck
	}
	if c.Busy {
		c.status |= sBusy
	}
	return nil
}

func (c *DS2482) there() (out []*DS18B20) {
	for _, p := range c.Probes {
		if !p.Gone {
			out = append(out, p)
		}
	}
	return out
}

func (c *DS2482) reset() {
	c.status &^= sPresence | sShort
	c.sent, c.read, c.search, c.bit = nil, 0, nil, 0
	if c.Short {
		c.status |= sShort
	} else if len(c.there()) > 0 {
		c.status |= sPresence
	}
}

func (c *DS2482) write(b byte) {
	c.sent = append(c.sent, b)
	switch {
	case len(c.sent) == 1 && b == 0xf0:
		c.search = c.there()
	case len(c.sent) > 1:
		for _, p := range c.selected() {
			switch b {
			case 0x44:
				p.convert()
			case 0x4e, 0x48:
				p.EEPROM++
			}
		}
	}
}

// selected are the probes that the function command in sent is for: none unless
// its last byte is one.
func (c *DS2482) selected() []*DS18B20 {
	switch {
	case c.sent[0] == 0xcc && len(c.sent) == 2:
		return c.there()
	case c.sent[0] == 0x55 && len(c.sent) == 10:
		var a uint64
		for i, b := range c.sent[1:9] {
			a |= uint64(b) << (8 * i)
		}
		for _, p := range c.there() {
			if uint64(p.ROM()) == a {
				return []*DS18B20{p}
			}
		}
	}
	return nil
}

func (c *DS2482) next() byte {
	if c.Low {
		return 0
	}
	out := byte(0xff) // nobody pulls the line down
	if len(c.sent) > 1 && c.sent[len(c.sent)-1] == 0xbe && c.read < 9 {
		for _, p := range c.selected() {
			if p.pad == [9]byte{} {
				p.reset()
			}
			b := p.pad[c.read]
			if p.BadCRC && c.read == 0 {
				b ^= 0x10
			}
			out &= b
		}
	}
	c.read++
	return out
}

func (c *DS2482) triplet(dir byte) {
	zero, one := false, false
	for _, p := range c.search {
		if uint64(p.ROM())>>c.bit&1 == 0 {
			zero = true
		} else {
			one = true
		}
	}
	switch {
	case zero && !one:
		dir = 0
	case one && !zero, !zero && !one:
		dir = 1
	}
	var left []*DS18B20
	for _, p := range c.search {
		if byte(uint64(p.ROM())>>c.bit&1) == dir {
			left = append(left, p)
		}
	}
	c.search = left
	c.bit++
	c.status &^= sSingle | sSecond | sDir
	if !zero {
		c.status |= sSingle
	}
	if !one {
		c.status |= sSecond
	}
	c.status |= dir << 7
}
