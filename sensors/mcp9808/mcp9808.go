// Package mcp9808 reads the Microchip MCP9808 digital thermometer over I2C, by
// periph's driver: ±0.5 °C at most from -20 to +100 °C, for refrigerators; not
// below -40 °C. See the data sheet DS25095.
package mcp9808

import (
	"context"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/mcp9808"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// Kind names the chip in a probe's Info.
const Kind = "mcp9808"

// Traits of the chip: 0.0625 °C a step (data sheet, section 5.1.3).
var Traits = sensors.Traits{Step: 63}

// The identity registers (sections 5.1.5 and 5.1.6).
const (
	regManufacturer = 0x06
	regDevice       = 0x07
	manufacturer    = 0x0054
	device          = 0x04 // the upper byte; the lower is the revision
)

// conversion is what a conversion takes at the finest resolution, 250 ms typical
// (section 5.2.4), with room for the parts that are slower.
const conversion = 350 * time.Millisecond

// allOnes is what a temperature register of nothing but ones is taken for, -0.0625 °C.
const allOnes = -63

// The limits of the chip, in thousandths of °C (section 1.0).
const (
	lowest  = -40_000
	highest = 125_000
)

// Reader reads the chip at an address, 0x18 to 0x1F. Faults:
//
//   - zeros, missing: an identity register reads as nothing but zeros or ones;
//   - error: another chip answers;
//   - range: beyond -40 °C to +125 °C.
//
// periph's New does not look at the identity registers, so this does, at each
// reading. Its Sense leaves -273.15 °C beside an error and its SenseContinuous
// sends that; the one's value is read without an error only, and the other is not
// used. The first value after New and after a fault waits for a conversion. After a
// power-on the register holds 0 °C until the first conversion has ended, and
// nothing tells; exactly 0 °C is therefore read again, a conversion later.
func Reader(addr uint16) chip.Read[i2c.Bus] {
	settled := false
	return func(ctx context.Context, bus i2c.Bus) (coldkeep.Temperature, coldkeep.Quality, error) {
		const none = coldkeep.NoTemperature
		was := settled
		settled = false // until this reading has gone well
		if q, err := Identify(bus, addr); err != nil || q != coldkeep.QualityGood {
			return none, q, err
		}
		dev, err := mcp9808.New(bus, &mcp9808.Opts{Addr: int(addr), Res: mcp9808.Maximum})
		if err != nil {
			return none, "", err
		}
		value := coldkeep.Temperature(0)
		for try := 0; try < 2 && value == 0; try++ {
			if !was || try > 0 {
				if err := chip.Wait(ctx, conversion); err != nil {
					return none, "", err
				}
			}
			var env physic.Env
			if err := dev.Sense(&env); err != nil {
				return none, "", err
			}
			value = chip.Milli(env.Temperature)
		}
		if value == 0 || value == allOnes { // true, or a dead line
			if q, err := Identify(bus, addr); err != nil || q != coldkeep.QualityGood {
				return none, q, err
			}
		}
		settled = true
		value, q := chip.Within(value, lowest, highest)
		return value, q, nil
	}
}

// Identify reads the identity registers; "" is an MCP9808.
func Identify(bus i2c.Bus, addr uint16) (coldkeep.Quality, error) {
	m, err := chip.Register(bus, addr, regManufacturer, 2)
	if err != nil {
		return "", err
	}
	if uint16(m[0])<<8|uint16(m[1]) != manufacturer {
		return chip.Dead(m...), nil
	}
	d, err := chip.Register(bus, addr, regDevice, 2)
	if err != nil {
		return "", err
	}
	if d[0] != device {
		return chip.Dead(d...), nil
	}
	return coldkeep.QualityGood, nil
}
