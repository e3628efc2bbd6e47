package chip

import (
	"context"
	"errors"
	"fmt"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"

	"github.com/coldkeep/coldkeep"
)

// Mux is a channel of a PCA9548 I2C switch before a chip (TI SCPS207, section
// 7.6). The zero Mux is no switch.
type Mux struct {
	Addr    uint16 // 0x70 to 0x77; 0 is no switch
	Channel uint8  // 0 to 7
}

// String gives "0x70.3", "" for no switch.
func (m Mux) String() string {
	if m.Addr == 0 {
		return ""
	}
	return fmt.Sprintf("0x%02x.%d", m.Addr, m.Channel)
}

// Over gives a driver's reading as it goes through a switch: the channel is chosen
// and read back before the reading, and all channels are let go of after it, so
// that chips of one address on two switches do not answer together. periph's
// pca9548 is not used: it remembers the channel, and a switch that restarted has
// none.
//
// With or without a switch no transaction begins once ctx has ended, which also
// ends the loops of drivers that wait for a chip without bound.
func Over(m Mux, read Read[i2c.Bus]) Read[i2c.Bus] {
	return func(ctx context.Context, bus i2c.Bus) (coldkeep.Temperature, coldkeep.Quality, error) {
		var value coldkeep.Temperature
		var quality coldkeep.Quality
		err := m.Do(ctx, bus, func(bus i2c.Bus) (err error) {
			value, quality, err = read(ctx, bus)
			return err
		})
		return value, quality, err
	}
}

// Do calls f with the bus behind the switch.
func (m Mux) Do(ctx context.Context, bus i2c.Bus, f func(i2c.Bus) error) error {
	g := &guard{ctx: ctx, Bus: bus}
	if m.Addr == 0 {
		return g.cause(f(g))
	}
	want := byte(1) << m.Channel
	var got [1]byte
	if err := g.Tx(m.Addr, []byte{want}, nil); err != nil {
		return fmt.Errorf("switch %v: %w", m, err)
	}
	if err := g.Tx(m.Addr, nil, got[:]); err != nil {
		return fmt.Errorf("switch %v: %w", m, err)
	}
	if got[0] != want {
		return fmt.Errorf("switch %v: channels %08b are on, want %08b", m, got[0], want)
	}
	err := g.cause(f(g))
	off := bus.Tx(m.Addr, []byte{0}, nil) // also when ctx has ended
	if err == nil && off != nil {
		err = fmt.Errorf("switch %v: %w", m, off)
	}
	return err
}

// guard is a bus on which no transaction begins once its context has ended.
type guard struct {
	ctx context.Context
	i2c.Bus
	last error // of the latest transaction
}

// Tx does one transaction.
func (g *guard) Tx(addr uint16, w, r []byte) error {
	if g.last = g.ctx.Err(); g.last == nil {
		g.last = g.Bus.Tx(addr, w, r)
	}
	return g.last
}

// cause adds to a driver's error that of the bus, which periph's drivers leave out.
func (g *guard) cause(err error) error {
	if err == nil || g.last == nil || errors.Is(err, g.last) {
		return err
	}
	return fmt.Errorf("%v: %w", err, g.last)
}

// SetSpeed is refused: the speed of a bus is that of its slowest chip, and a
// matter of the device tree.
func (g *guard) SetSpeed(physic.Frequency) error {
	return fmt.Errorf("the speed of %v is set in the device tree", g.Bus)
}

// Register reads n bytes of a register.
func Register(bus i2c.Bus, addr uint16, reg byte, n int) ([]byte, error) {
	b := make([]byte, n)
	if err := bus.Tx(addr, []byte{reg}, b); err != nil {
		return nil, err
	}
	return b, nil
}
