// Package chiptest holds register models of the chips that Coldkeep drives, on a
// model of their bus. Faults are put in where they happen in the world: in a
// register, on a wire, in the kernel's answer. They are for tests of drivers, and
// for trying the agent without hardware.
package chiptest

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"periph.io/x/conn/v3/physic"
)

// Chip is a chip on an I2C bus. Tx gets what is written in one transaction, and
// fills what is read after it; an error stands for "not acknowledged".
type Chip interface {
	Tx(w, r []byte) error
}

// ErrNoAck is what a chip gives that does not acknowledge.
const ErrNoAck = syscall.EREMOTEIO

// Bus is an I2C bus, as the kernel shows it through periph: errors carry the words
// of the kernel, not its number. It implements i2c.BusCloser.
type Bus struct {
	mu     sync.Mutex
	chips  map[uint16]Chip
	closed int

	// Fault, when set, comes after each transaction: n counts them from 0, r is what
	// was read and may be changed, err is what the chip gave.
	Fault func(n int, addr uint16, w, r []byte, err error) error
	n     int
}

// NewBus makes a bus with chips on it.
func NewBus(chips map[uint16]Chip) *Bus { return &Bus{chips: chips} }

// SetFault sets or, with nil, clears the fault, and counts transactions from 0.
func (b *Bus) SetFault(f func(n int, addr uint16, w, r []byte, err error) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Fault, b.n = f, 0
}

// Count tells the transactions since SetFault.
func (b *Bus) Count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// Closed tells how often the bus was closed.
func (b *Bus) Closed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// String names the bus.
func (b *Bus) String() string { return "model" }

// Tx does one transaction, which takes the time it takes at 100 kHz: nine clocks a
// byte.
func (b *Bus) Tx(addr uint16, w, r []byte) error {
	time.Sleep(time.Duration(1+len(w)+len(r)) * 90 * time.Microsecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.tx(addr, w, r)
	if b.Fault != nil {
		err = b.Fault(b.n, addr, w, r, err)
	}
	b.n++
	if err != nil {
		return fmt.Errorf("sysfs-i2c: %v", err)
	}
	return nil
}

func (b *Bus) tx(addr uint16, w, r []byte) error {
	if c, ok := b.chips[addr]; ok {
		return c.Tx(w, r)
	}
	for _, c := range b.chips { // behind a switch that lets it through
		if m, ok := c.(*PCA9548); ok {
			if c := m.through(addr); c != nil {
				return c.Tx(w, r)
			}
		}
	}
	return ErrNoAck
}

// SetSpeed is not supported.
func (b *Bus) SetSpeed(physic.Frequency) error { return syscall.EOPNOTSUPP }

// Close counts.
func (b *Bus) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

// PCA9548 is a switch with chips behind its channels.
type PCA9548 struct {
	On       byte // the channels that are on
	Channels [8]map[uint16]Chip
	Wedged   bool // it does not take a channel
}

// Tx writes or reads the control register.
func (m *PCA9548) Tx(w, r []byte) error {
	if len(w) > 0 && !m.Wedged {
		m.On = w[len(w)-1]
	}
	for i := range r {
		r[i] = m.On
	}
	return nil
}

func (m *PCA9548) through(addr uint16) Chip {
	for i, chips := range m.Channels {
		if c, ok := chips[addr]; ok && m.On>>i&1 == 1 {
			return c
		}
	}
	return nil
}
