// Package tmp102 reads the Texas Instruments TMP102 digital thermometer over I2C,
// by periph's driver: ±0.5 °C from -25 to +85 °C, for the air of the room. See the
// data sheet SBOS397.
package tmp102

import (
	"context"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/tmp102"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// Kind names the chip in a probe's Info.
const Kind = "tmp102"

// Traits of the chip: 0.0625 °C a step (data sheet, section 6.5.2).
var Traits = sensors.Traits{Step: 63}

// The configuration register (section 6.5.3) has bits that are the same in any
// TMP102 as periph runs it, the chip's only identity: R1 and R0 are always 1, and
// shutdown, extended mode and the unused bits are 0.
const (
	regConfig  = 0x01
	fixed      = 0x6000 // R1, R0
	clear      = 0x011f // SD, EM and the unused
	oneHertz   = 0x0040
	rate       = 0x00c0 // CR1, CR0; 10b after power-on
	conversion = 40 * time.Millisecond
)

// The limits of the chip, in thousandths of °C (section 5.3). A conversion takes
// 26 ms, at most 35 (section 5.5); above, conversion has a little room.
const (
	lowest  = -40_000
	highest = 125_000
)

// Reader reads the chip at an address, 0x48 to 0x4B. Faults:
//
//   - zeros, missing: the configuration reads as nothing but zeros or ones;
//   - error: its fixed bits are not those of a TMP102 in normal mode;
//   - timeout: it restarted and has not measured yet;
//   - range: beyond -40 °C to +125 °C.
//
// periph's driver takes a failed reading of the configuration for an empty one, so
// it is read here before. The chip is run at one conversion a second, which is not
// its power-on rate: after a restart it holds 0 °C and the other rate. It is read
// once more a conversion later, then.
func Reader(addr uint16) chip.Read[i2c.Bus] {
	return func(ctx context.Context, bus i2c.Bus) (coldkeep.Temperature, coldkeep.Quality, error) {
		const none = coldkeep.NoTemperature
		for range 2 {
			config, q, err := identify(bus, addr)
			if err != nil || q != coldkeep.QualityGood {
				return none, q, err
			}
			dev, err := tmp102.NewI2C(bus, addr, &tmp102.Opts{SampleRate: tmp102.RateOneHertz})
			if err != nil {
				return none, "", err
			}
			if config&rate != oneHertz { // restarted, or never ours
				if err := chip.Wait(ctx, conversion); err != nil {
					return none, "", err
				}
			}
			var env physic.Env
			if err := dev.Sense(&env); err != nil {
				return none, "", err
			}
			config, q, err = identify(bus, addr)
			if err != nil || q != coldkeep.QualityGood {
				return none, q, err
			}
			if config&rate == oneHertz {
				value, q := chip.Within(chip.Milli(env.Temperature), lowest, highest)
				return value, q, nil
			}
		}
		return none, coldkeep.QualityTimeout, nil
	}
}

// Identify reads the configuration; "" is what a TMP102 has there.
func Identify(bus i2c.Bus, addr uint16) (coldkeep.Quality, error) {
	_, q, err := identify(bus, addr)
	return q, err
}

func identify(bus i2c.Bus, addr uint16) (uint16, coldkeep.Quality, error) {
	b, err := chip.Register(bus, addr, regConfig, 2)
	if err != nil {
		return 0, "", err
	}
	config := uint16(b[0])<<8 | uint16(b[1])
	if config&(fixed|clear) != fixed {
		return config, chip.Dead(b...), nil
	}
	return config, coldkeep.QualityGood, nil
}
