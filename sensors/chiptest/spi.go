package chiptest

import (
	"errors"
	"sync"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// MAX31865 is the chip with a resistor on it. It implements spi.PortCloser and
// spi.Conn.
type MAX31865 struct {
	Ohms, Ref float64
	Lost      bool // the chip select is not connected: the line floats high
	Low       bool // the data line is at ground
	Open      bool // no current flows
	Ground    bool // a lead is at ground
	Over      bool // a lead is beyond the supply
	Never     bool // no conversion ends
	Deaf      bool // it does not take what is written

	mu    sync.Mutex
	reg   [8]byte
	n     int
	fault func(n int, w, r []byte) error
}

// SetFault sets or clears what comes after each transaction, counted from 0.
func (c *MAX31865) SetFault(f func(n int, w, r []byte) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault, c.n = f, 0
}

// Count tells the transactions since SetFault.
func (c *MAX31865) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// String names the port.
func (c *MAX31865) String() string { return "model" }

// Close does nothing.
func (c *MAX31865) Close() error { return nil }

// LimitSpeed does nothing.
func (c *MAX31865) LimitSpeed(physic.Frequency) error { return nil }

// Connect checks speed and mode against the data sheet.
func (c *MAX31865) Connect(f physic.Frequency, mode spi.Mode, bits int) (spi.Conn, error) {
	if f > 5*physic.MegaHertz || mode != spi.Mode1 && mode != spi.Mode3 || bits != 8 {
		return nil, errors.New("model: not a connection that the MAX31865 takes")
	}
	return c, nil
}

// Duplex is full.
func (c *MAX31865) Duplex() conn.Duplex { return conn.Full }

// TxPackets is not used.
func (c *MAX31865) TxPackets([]spi.Packet) error { return errors.ErrUnsupported }

// Tx writes or reads registers from an address on.
func (c *MAX31865) Tx(w, r []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(w) != len(r) {
		return errors.New("model: a full duplex transfer is as long both ways")
	}
	for i, b := range w[1:] {
		at := (w[0]&0x7f + byte(i)) & 7
		if w[0]&0x80 != 0 && !c.Deaf && !c.Lost {
			c.set(at, b)
		}
		r[i+1] = c.reg[at]
		if c.Lost {
			r[i+1] = 0xff
		}
		if c.Low {
			r[i+1] = 0
		}
	}
	var err error
	if c.fault != nil {
		err = c.fault(c.n, w, r)
	}
	c.n++
	return err
}

func (c *MAX31865) set(at, b byte) {
	if at == 0 {
		if b&0x02 != 0 && b&0x2c == 0 {
			c.reg[7] = 0
		}
		b &^= 0x02
		if b&0x0c != 0 && b&0x80 != 0 {
			c.detect()
			if !c.Never {
				b &^= 0x0c
			}
		}
		if b&0x20 != 0 {
			c.convert()
			if !c.Never {
				b &^= 0x20
			}
		}
	}
	if at == 0 || at >= 3 && at <= 6 {
		c.reg[at] = b
	}
}

func (c *MAX31865) detect() {
	if c.Open {
		c.reg[7] |= 0x20
	}
	if c.Ground {
		c.reg[7] |= 0x18
	}
	if c.Over {
		c.reg[7] |= 0x04
	}
}

func (c *MAX31865) convert() {
	ratio := c.Ohms / c.Ref * 32768
	if c.Open {
		ratio = 32767
	}
	raw := uint16(min(32767, ratio)) << 1
	high, low := uint16(c.reg[3])<<8|uint16(c.reg[4]), uint16(c.reg[5])<<8|uint16(c.reg[6])
	if raw >= high {
		c.reg[7] |= 0x80
	}
	if raw <= low {
		c.reg[7] |= 0x40
	}
	if c.reg[7] != 0 {
		raw |= 1
	}
	c.reg[1], c.reg[2] = byte(raw>>8), byte(raw)
}
