// Package tmp117 reads the Texas Instruments TMP117 digital thermometer over I2C:
// ±0.1 °C from -20 to +50 °C, ±0.25 °C from -55 to +125 °C, which makes it the
// digital probe for refrigerator and freezer. See the data sheet SNOSD82.
package tmp117

import (
	"context"
	"time"

	"periph.io/x/conn/v3/i2c"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// Kind names the chip in a probe's Info.
const Kind = "tmp117"

// Traits of the chip: a step is 7.8125 thousandths of °C (data sheet, section
// 7.6.2), and the noise after eight averages is about one step (section 6.5).
var Traits = sensors.Traits{Step: 8}

// The registers (section 7.6) and what they hold.
const (
	regTemperature = 0x00
	regConfig      = 0x01
	regID          = 0x0f

	id     = 0x0117 // of register 0Fh, bits 11:0; above them is the revision
	idMask = 0x0fff

	// oneShot is MOD 11b, one conversion and then shutdown, and AVG 01b, eight
	// averages (table 7-7): the chip does not warm itself between samples.
	oneShot   = 0x0c00 | 0x0020
	dataReady = 0x2000 // bit 13

	// notYet is the power-on content of the temperature register, -256 °C, until the
	// first conversion ends (section 7.6.2).
	notYet = 0x8000
)

// Eight averages take 125 ms, at most 140 (section 6.5); a conversion that has not
// ended after a second never will.
const (
	conversion = 140 * time.Millisecond
	poll       = 20 * time.Millisecond
	polls      = 43
)

// The limits of the chip, in thousandths of °C (section 6.3).
const (
	lowest  = -55_000
	highest = 125_000
)

// Reader reads the chip at an address, 0x48 to 0x4B by its ADD0 pin (table 7-1).
// Each reading is a conversion of its own. Faults:
//
//   - timeout: no conversion ended, or the register still holds its power-on value;
//   - zeros, missing: the identity register reads as nothing but zeros or ones;
//   - error: another chip answers;
//   - range: beyond -55 °C to +125 °C.
func Reader(addr uint16) chip.Read[i2c.Bus] {
	return func(ctx context.Context, bus i2c.Bus) (coldkeep.Temperature, coldkeep.Quality, error) {
		const none = coldkeep.NoTemperature
		if q, err := Identify(bus, addr); err != nil || q != coldkeep.QualityGood {
			return none, q, err
		}
		if err := bus.Tx(addr, []byte{regConfig, oneShot >> 8, oneShot & 0xff}, nil); err != nil {
			return none, "", err
		}
		wait := conversion
		for range polls {
			if err := chip.Wait(ctx, wait); err != nil {
				return none, "", err
			}
			config, err := chip.Register(bus, addr, regConfig, 2)
			if err != nil {
				return none, "", err
			}
			if word(config)&dataReady != 0 && word(config) != 0xffff {
				b, err := chip.Register(bus, addr, regTemperature, 2)
				if err != nil {
					return none, "", err
				}
				value, q := Decode(word(b))
				if chip.Dead(b...) != coldkeep.QualityError { // a true 0 °C, or a dead line
					if q, err := Identify(bus, addr); err != nil || q != coldkeep.QualityGood {
						return none, q, err
					}
				}
				return value, q, nil
			}
			wait = poll
		}
		return none, coldkeep.QualityTimeout, nil
	}
}

// Identify reads the identity register; "" is a TMP117.
func Identify(bus i2c.Bus, addr uint16) (coldkeep.Quality, error) {
	b, err := chip.Register(bus, addr, regID, 2)
	if err != nil {
		return "", err
	}
	if word(b)&idMask != id {
		return chip.Dead(b...), nil
	}
	return coldkeep.QualityGood, nil
}

// Decode gives the content of the temperature register, 7.8125 thousandths of °C a
// bit, two's complement (section 7.6.2), truncated toward zero.
func Decode(raw uint16) (coldkeep.Temperature, coldkeep.Quality) {
	if raw == notYet {
		return coldkeep.NoTemperature, coldkeep.QualityTimeout
	}
	return chip.Within(coldkeep.Temperature(int32(int16(raw))*78125/10000), lowest, highest)
}

func word(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }
