// Package ds18b20 reads 1-Wire thermometers behind a DS2482 bridge on an I2C bus,
// by periph's ds248x and ds18b20: the DS18B20 and its family, ±0.5 °C from -10 to
// +85 °C. See the data sheets DS18B20, 19-7487, and DS2482-100, 19-4930. Probes on
// a GPIO of the board are the kernel's, package w1.
//
// Of periph's ds18b20 only the conversion of all probes is used. Its New writes to
// the probe's EEPROM, which bears 50,000 writes, whenever the resolution it reads
// is not the one it is given; its LastTemp takes an all-zero scratchpad for 0 °C
// and the power-on value for 85 °C. Scratchpads are read and decoded here.
package ds18b20

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/onewire"
	"periph.io/x/devices/v3/ds18b20"
	"periph.io/x/devices/v3/ds248x"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// Family is the first byte of a probe's ROM code.
type Family byte

// The families that measure -55 °C to +125 °C. Others are no thermometers, or
// noise: the CRC of a ROM code of zeros is valid.
const (
	DS18S20  Family = 0x10
	DS1822   Family = 0x22
	DS18B20  Family = 0x28
	DS28EA00 Family = 0x42
)

var kinds = map[Family]string{DS18S20: "ds18s20", DS1822: "ds1822", DS18B20: "ds18b20", DS28EA00: "ds28ea00"}

const (
	readScratchpad = 0xbe // data sheet, table 3
	// fresh is for how long the values of a conversion of all probes are theirs.
	fresh = 2 * time.Second
)

// Bridge is a DS2482 and the probes behind it. One conversion serves them all: it
// is started for the first of a round, and the others' values are read out.
type Bridge struct {
	line *chip.Line[i2c.Bus]
	mux  chip.Mux
	addr uint16

	// These belong to who holds the line.
	converted time.Time
	read      map[onewire.Address]bool // since then
}

// NewBridge makes a Bridge at an address, 0x18 to 0x1B by its pins (DS2482-100 data
// sheet, "I2C slave address"); any other is EINVALID.
func NewBridge(line *chip.Line[i2c.Bus], mux chip.Mux, addr uint16) (*Bridge, error) {
	if addr < 0x18 || addr > 0x1b {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "DS2482 at 0x%02x: want 0x18 to 0x1b", addr)
	}
	return &Bridge{line: line, mux: mux, addr: addr, read: make(map[onewire.Address]bool)}, nil
}

// Search finds the probes. It returns those it found together with the error that
// ended the search, and false when the line is in use.
func (b *Bridge) Search(ctx context.Context) (found []sensors.Probe, free bool, err error) {
	free, err = b.line.TryDo(func(bus i2c.Bus) error {
		return b.mux.Do(ctx, bus, func(bus i2c.Bus) error {
			one, q, err := b.open(bus)
			if err != nil || q != coldkeep.QualityGood {
				return errors.Join(err, notGood(q))
			}
			addrs, err := one.Search(false)
			for _, a := range addrs {
				if _, ok := kinds[Family(a)]; ok {
					found = append(found, b.probe(one, a))
				}
			}
			return err
		})
	})
	return found, free, err
}

func notGood(q coldkeep.Quality) error {
	if q == coldkeep.QualityGood {
		return nil
	}
	return fmt.Errorf("1-Wire line: %s", q)
}

// probe makes the Probe of a ROM code, and looks at its resolution.
func (b *Bridge) probe(one onewire.Bus, a onewire.Address) sensors.Probe {
	info := sensors.Info{Probe: Name(a), Kind: kinds[Family(a)]}
	if pad, err := scratchpad(one, a); err == nil && onewire.CheckCRC(pad[:]) && chip.Dead(pad[:]...) == coldkeep.QualityError && Family(a) != DS18S20 {
		info.Traits.Step = 500 >> pad.resolution()
		if pad.resolution() == 3 {
			info.Traits.Step = 63 // 62.5, rounded up
		}
	}
	return chip.NewProbe(b.line, info, chip.Over(b.mux, b.reader(a)))
}

// Name gives a ROM code as the kernel does, "28-000005e2fdc3": a probe that moves
// from a GPIO to a bridge stays the same probe.
func Name(a onewire.Address) coldkeep.ProbeID {
	return coldkeep.ProbeID(fmt.Sprintf("%02x-%012x", byte(a), uint64(a)>>8&(1<<48-1)))
}

// reader reads one probe. Faults beside those of Decode:
//
//   - missing: no probe gives a presence pulse, or the bridge does not acknowledge;
//   - short: the 1-Wire line is shorted to ground;
//   - timeout: the bridge did not finish a 1-Wire cycle within 3 ms, twice;
//   - zeros, error: the bridge's registers do not read as a bridge's.
func (b *Bridge) reader(a onewire.Address) chip.Read[i2c.Bus] {
	return func(ctx context.Context, bus i2c.Bus) (coldkeep.Temperature, coldkeep.Quality, error) {
		pad, q, err := b.sample(bus, a)
		if err != nil && !ofLine(err) && ctx.Err() == nil {
			// A fresh start of the bridge, once: periph waits 3 ms for it, which a busy
			// machine may miss.
			pad, q, err = b.sample(bus, a)
		}
		const none = coldkeep.NoTemperature
		switch {
		case err != nil && chip.Fault(err) == coldkeep.QualityShort:
			return none, coldkeep.QualityShort, nil
		case err != nil && ofLine(err):
			return none, coldkeep.QualityMissing, nil
		case err != nil && strings.Contains(err.Error(), "timeout waiting for bus cycle"):
			return none, coldkeep.QualityTimeout, nil
		case err != nil || q != coldkeep.QualityGood:
			return none, q, err
		}
		value, q := Decode(Family(a), pad)
		return value, q, nil
	}
}

// ofLine reports whether an error is of the 1-Wire line, not of the bridge.
func ofLine(err error) bool {
	var line onewire.BusError
	return errors.As(err, &line) && line.BusError()
}

func (b *Bridge) sample(bus i2c.Bus, a onewire.Address) (pad Scratchpad, q coldkeep.Quality, err error) {
	one, q, err := b.open(bus)
	if err != nil || q != coldkeep.QualityGood {
		return pad, q, err
	}
	if b.read[a] || time.Since(b.converted) > fresh {
		clear(b.read)
		b.converted = time.Time{}
		if err := ds18b20.ConvertAll(one, 12); err != nil {
			return pad, "", err
		}
		b.converted = time.Now()
	}
	b.read[a] = true
	pad, err = scratchpad(one, a)
	return pad, coldkeep.QualityGood, err
}

func scratchpad(one onewire.Bus, a onewire.Address) (pad Scratchpad, err error) {
	err = (&onewire.Dev{Bus: one, Addr: a}).Tx([]byte{readScratchpad}, pad[:])
	return pad, err
}

// The bridge's status (DS2482-100 data sheet, "Status register").
const (
	setReadPointer = 0xe1
	statusRegister = 0xf0
	deviceReset    = 0x10
	lineHigh       = 0x08
)

// open makes a fresh device of the bridge. periph's remembers any error for ever,
// so none is kept from one reading to the next. It also takes a line held low for
// an unknown chip; the status register knows better.
func (b *Bridge) open(bus i2c.Bus) (*ds248x.Dev, coldkeep.Quality, error) {
	addr := b.addr
	if addr >= 0x1a {
		// periph knows the addresses 0x18, 0x19, 0x20 and 0x21; the chip has 0x18 to 0x1B.
		addr += 6
		bus = &moved{Bus: bus, from: addr, to: b.addr}
	}
	opts := ds248x.DefaultOpts
	dev, err := ds248x.New(bus, addr, &opts)
	if err == nil {
		return dev, coldkeep.QualityGood, nil
	}
	var status [1]byte
	if bus.Tx(addr, []byte{setReadPointer, statusRegister}, status[:]) != nil {
		return nil, "", err
	}
	switch {
	case status[0]&(deviceReset|lineHigh) == deviceReset:
		return nil, coldkeep.QualityShort, nil
	case chip.Dead(status[0]) != coldkeep.QualityError:
		return nil, chip.Dead(status[0]), nil
	}
	return nil, "", err
}

// moved is a bus on which one address stands for another.
type moved struct {
	i2c.Bus
	from, to uint16
}

// Tx does one transaction.
func (m *moved) Tx(addr uint16, w, r []byte) error {
	if addr == m.from {
		addr = m.to
	}
	return m.Bus.Tx(addr, w, r)
}
