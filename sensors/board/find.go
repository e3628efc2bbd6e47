package board

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"periph.io/x/conn/v3/i2c"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors/bmx280"
	"github.com/coldkeep/coldkeep/sensors/chip"
	"github.com/coldkeep/coldkeep/sensors/mcp9808"
	"github.com/coldkeep/coldkeep/sensors/sht4x"
	"github.com/coldkeep/coldkeep/sensors/tmp102"
	"github.com/coldkeep/coldkeep/sensors/tmp117"
)

// Buses lists the numbers of the machine's I2C buses.
func Buses() []int {
	names, _ := filepath.Glob("/dev/i2c-*") // the pattern is a good one
	var out []int
	for _, n := range names {
		if i, err := strconv.Atoi(strings.TrimPrefix(n, "/dev/i2c-")); err == nil {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return out
}

// Find looks for chips that this package drives on an I2C bus and behind its
// PCA9548 switches, and gives their Specs. Only addresses at which such a chip can
// be are touched, and a chip is believed by its identity register; a TMP105 has
// nothing like it and is not found. An SPI port cannot be searched: nothing there
// acknowledges. The error is that of a bus that
// cannot be opened.
func (b *Board) Find(ctx context.Context, bus int) ([]Spec, error) {
	var found []Spec
	err := b.line(bus).Do(ctx, func(c i2c.Bus) error {
		f := finder{ctx: ctx, bus: bus}
		// The switches first: who was here before may have left their channels on.
		var switches []uint16
		for addr := uint16(0x70); addr <= 0x77; addr++ {
			if !f.identify(c, bmx280.Kind, addr) && isMux(c, addr) {
				switches = append(switches, addr)
			}
		}
		f.look(c, chip.Mux{})
		near := slices.Clone(f.found) // they answer behind every switch, too
		for _, addr := range switches {
			for ch := range uint8(8) {
				m := chip.Mux{Addr: addr, Channel: ch}
				_ = m.Do(ctx, c, func(c i2c.Bus) error { // a channel that fails has nothing to list
					f.skip = near
					f.look(c, m)
					return nil
				})
			}
		}
		found = f.found
		return ctx.Err()
	})
	for i := range found {
		found[i].Name = found[i].place()
	}
	return found, err
}

type finder struct {
	ctx   context.Context
	bus   int
	skip  []Spec
	found []Spec
}

func (f *finder) has(specs []Spec, addr uint16) bool {
	return slices.ContainsFunc(specs, func(s Spec) bool { return s.Addr == addr })
}

// look asks each address for the chips that can be there, the most certain
// identity first.
func (f *finder) look(c i2c.Bus, m chip.Mux) {
	for _, kind := range []string{tmp117.Kind, tmp102.Kind, mcp9808.Kind, bmx280.Kind, sht4x.Kind, bridge} {
		for addr := addresses[kind][0]; addr <= addresses[kind][1]; addr++ {
			if f.has(f.skip, addr) || slices.ContainsFunc(f.found, func(s Spec) bool { return s.Addr == addr && s.Mux == m }) {
				continue
			}
			if f.identify(c, kind, addr) {
				f.found = append(f.found, Spec{Chip: kind, Bus: f.bus, Mux: m, Addr: addr})
			}
		}
	}
}

func (f *finder) identify(c i2c.Bus, kind string, addr uint16) bool {
	var q coldkeep.Quality
	err := errors.ErrUnsupported
	switch kind {
	case tmp117.Kind:
		q, err = tmp117.Identify(c, addr)
	case tmp102.Kind:
		q, err = tmp102.Identify(c, addr)
	case mcp9808.Kind:
		q, err = mcp9808.Identify(c, addr)
	case bmx280.Kind:
		q, err = bmx280.Identify(c, addr)
	case sht4x.Kind:
		q, err = sht4x.Identify(f.ctx, c, addr)
	case bridge:
		q, err = identifyBridge(c, addr)
	}
	return err == nil && q == coldkeep.QualityGood
}

// identifyBridge resets what may be a DS2482, which leaves its read pointer at the
// status: RST is set, and of the rest only the line's level may be (DS2482-100 data
// sheet, "Device Reset").
func identifyBridge(c i2c.Bus, addr uint16) (coldkeep.Quality, error) {
	status, err := chip.Register(c, addr, 0xf0, 1)
	if err == nil && status[0]&^0x08 != 0x10 {
		return coldkeep.QualityError, nil
	}
	return coldkeep.QualityGood, err
}

// isMux reports whether an address has a register of one byte that keeps what is
// written: the channels of a PCA9548. They are off afterwards.
func isMux(c i2c.Bus, addr uint16) bool {
	var got [1]byte
	for _, want := range []byte{0x01, 0x80, 0x00} {
		if c.Tx(addr, []byte{want}, nil) != nil || c.Tx(addr, nil, got[:]) != nil || got[0] != want {
			return false
		}
	}
	return true
}
