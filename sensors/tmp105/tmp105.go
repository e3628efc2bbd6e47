// Package tmp105 reads the Texas Instruments TMP105 digital thermometer over I2C:
// ±2 °C from -25 to +85 °C, for the air of the room. It is also the thermometer
// that QEMU has a model of, by which the whole agent runs on an emulated board. See
// the data sheet SBOS285.
package tmp105

import (
	"context"
	"time"

	"periph.io/x/conn/v3/i2c"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// Kind names the chip in a probe's Info.
const Kind = "tmp105"

// Traits of the chip: 0.0625 °C a step at 12 bits (data sheet, table 5).
var Traits = sensors.Traits{Step: 63}

// The registers (table 1) and the configuration that this driver writes (table 6):
// R1 and R0, 12 bits, and all else 0. After power-on it is 00h, 9 bits.
const (
	regTemperature = 0x00
	regConfig      = 0x01
	twelveBits     = 0x60
)

// conversion is what 12 bits take, 220 ms and at most 300 (electrical
// characteristics).
const conversion = 320 * time.Millisecond

// The limits of the chip, in thousandths of °C (absolute maximum ratings).
const (
	lowest  = -55_000
	highest = 127_000
)

// Reader reads the chip at an address, 0x48 to 0x4F by its pins. It has no identity
// but the configuration that it was given; when that is lost, it is given again and
// a conversion waited for. Faults:
//
//   - zeros, missing: the configuration reads as nothing but zeros or ones;
//   - error: it reads as anything else that was not written;
//   - range: beyond -55 °C to +127 °C.
func Reader(addr uint16) chip.Read[i2c.Bus] {
	return func(ctx context.Context, bus i2c.Bus) (coldkeep.Temperature, coldkeep.Quality, error) {
		const none = coldkeep.NoTemperature
		config, err := chip.Register(bus, addr, regConfig, 1)
		if err != nil {
			return none, "", err
		}
		if config[0] != twelveBits {
			if err := bus.Tx(addr, []byte{regConfig, twelveBits}, nil); err != nil {
				return none, "", err
			}
			if err := chip.Wait(ctx, conversion); err != nil {
				return none, "", err
			}
		}
		b, err := chip.Register(bus, addr, regTemperature, 2)
		if err != nil {
			return none, "", err
		}
		if config, err = chip.Register(bus, addr, regConfig, 1); err != nil {
			return none, "", err
		}
		if config[0] != twelveBits {
			return none, chip.Dead(config...), nil
		}
		value, q := Decode([2]byte(b))
		return value, q, nil
	}
}

// Decode gives the temperature register: sixteenths of a degree in the upper twelve
// bits, two's complement (table 4), truncated to thousandths toward zero.
func Decode(b [2]byte) (coldkeep.Temperature, coldkeep.Quality) {
	raw := int32(int16(uint16(b[0])<<8|uint16(b[1]))) >> 4
	return chip.Within(coldkeep.Temperature(raw*1000/16), lowest, highest)
}
