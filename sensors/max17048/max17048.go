// Package max17048 reads the fuel gauge of a UPS board over I2C: the Analog Devices
// (Maxim) MAX17048 beside a lithium cell. See the data sheet 19-6171, rev 7. It is no
// thermometer, and no sensors.Probe.
package max17048

import (
	"fmt"

	"periph.io/x/conn/v3/i2c"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// Addr is the chip's only address (section "I2C Bus System").
const Addr = 0x36

// The registers (table 2).
const (
	regVoltage = 0x02 // 78.125 µV a bit
	regCharge  = 0x04 // 1/256 % a bit
	regVersion = 0x08 // 0x001x
)

// What a cell cannot be: the chip itself works from 2.5 V to 4.5 V a cell (table
// "Electrical Characteristics"). The charge is reckoned by a model and may run past
// 100 %.
const (
	lowest   = 2.0
	highest  = 5.0
	mostFull = 150.0
)

// Reading is what the gauge says.
type Reading struct {
	Percent float64 // of its charge, 0 to 100
	Volts   float64 // of the cell
}

// Read reads the gauge. Faults of the chip come as a quality and no number, those of
// the bus as its error; see chip.Fault:
//
//   - zeros, missing: the version reads as nothing but zeros or ones;
//   - error: another chip answers;
//   - range: a voltage or a charge that no cell has.
func Read(bus i2c.Bus) (Reading, coldkeep.Quality, error) {
	if q, err := Identify(bus); err != nil || q != coldkeep.QualityGood {
		return Reading{}, q, err
	}
	v, err := word(bus, regVoltage)
	if err != nil {
		return Reading{}, "", err
	}
	c, err := word(bus, regCharge)
	if err != nil {
		return Reading{}, "", err
	}
	r, q := Decode(v, c)
	if q != coldkeep.QualityGood || c == 0 {
		// A line that went dead in between reads as zeros or ones, an empty cell as zero.
		if q, err := Identify(bus); err != nil || q != coldkeep.QualityGood {
			return Reading{}, q, err
		}
	}
	return r, q, nil
}

// Identify reads the version; "" is a MAX17048.
func Identify(bus i2c.Bus) (coldkeep.Quality, error) {
	b, err := chip.Register(bus, Addr, regVersion, 2)
	if err != nil {
		return "", err
	}
	if b[0] != 0x00 || b[1]&0xf0 != 0x10 {
		return chip.Dead(b...), nil
	}
	return coldkeep.QualityGood, nil
}

// Decode gives the contents of the registers of voltage and charge.
func Decode(voltage, charge uint16) (Reading, coldkeep.Quality) {
	r := Reading{Percent: float64(charge) / 256, Volts: float64(voltage) * 78.125e-6}
	if r.Volts < lowest || r.Volts > highest || r.Percent > mostFull {
		return Reading{}, coldkeep.QualityRange
	}
	r.Percent = min(r.Percent, 100)
	return r, coldkeep.QualityGood
}

func word(bus i2c.Bus, reg byte) (uint16, error) {
	b, err := chip.Register(bus, Addr, reg, 2)
	if err != nil {
		return 0, err
	}
	return uint16(b[0])<<8 | uint16(b[1]), nil
}

// String gives "87 % (3.95 V)".
func (r Reading) String() string { return fmt.Sprintf("%.0f %% (%.2f V)", r.Percent, r.Volts) }
