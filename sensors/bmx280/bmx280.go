// Package bmx280 reads the Bosch BME280 and BMP280 over I2C, by periph's driver:
// ±1 °C, for the air of the room. See the data sheets BST-BME280-DS002 and
// BST-BMP280-DS001.
package bmx280

import (
	"context"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/bmxx80"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// Kind names the chip in a probe's Info.
const Kind = "bmx280"

// Traits of the chip: 0.01 °C a step (BME280 data sheet, table 3); the noise with
// four samples a reading is below it, but air is never that still.
var Traits = sensors.Traits{Step: 10}

// The registers (section 5.3 of the BME280's data sheet, 4.2 of the BMP280's).
const (
	regCalibration = 0x88 // dig_T1, dig_T2, dig_T3
	regID          = 0xd0
	regStatus      = 0xf3
	regTemperature = 0xfa

	idBMP280 = 0x58
	idBME280 = 0x60
	copying  = 0x01 // im_update: the calibration is being copied from its memory

	// skipped is the content of the temperature register after a reset and when
	// nothing was measured. With the usual calibration it looks like 22 °C.
	skipped = 0x80000
)

// The calibration is there 2 ms after power-on (start-up time, table 1).
const startUp = 5 * time.Millisecond

// The limits of the chip, in thousandths of °C (table 1).
const (
	lowest  = -40_000
	highest = 85_000
)

// Reader reads the chip at an address, 0x76 or 0x77. Identity and calibration are
// read anew for each value: a chip that was exchanged has others. Faults:
//
//   - zeros, missing: identity, calibration or value reads as nothing but zeros or
//     ones;
//   - error: another chip answers;
//   - timeout: it restarted and has no calibration or has not measured;
//   - range: beyond -40 °C to +85 °C.
func Reader(addr uint16) chip.Read[i2c.Bus] {
	return func(ctx context.Context, bus i2c.Bus) (coldkeep.Temperature, coldkeep.Quality, error) {
		const none = coldkeep.NoTemperature
		if q, err := ready(ctx, bus, addr); err != nil || q != coldkeep.QualityGood {
			return none, q, err
		}
		// Pressure and humidity stay off: they are not asked for, and warm the chip.
		dev, err := bmxx80.NewI2C(bus, addr, &bmxx80.Opts{Temperature: bmxx80.O4x})
		if err != nil {
			return none, "", err
		}
		var env physic.Env
		if err := dev.Sense(&env); err != nil {
			return none, "", err
		}
		b, err := chip.Register(bus, addr, regTemperature, 3)
		if err != nil {
			return none, "", err
		}
		if q := measured(b); q != coldkeep.QualityGood {
			return none, q, nil
		}
		value, q := chip.Within(chip.Milli(env.Temperature), lowest, highest)
		return value, q, nil
	}
}

// Identify reads the identity register; "" is a BME280 or BMP280.
func Identify(bus i2c.Bus, addr uint16) (coldkeep.Quality, error) {
	id, err := chip.Register(bus, addr, regID, 1)
	if err != nil {
		return "", err
	}
	if id[0] != idBME280 && id[0] != idBMP280 {
		return chip.Dead(id...), nil
	}
	return coldkeep.QualityGood, nil
}

// ready reads what the driver would take as it comes.
func ready(ctx context.Context, bus i2c.Bus, addr uint16) (coldkeep.Quality, error) {
	if q, err := Identify(bus, addr); err != nil || q != coldkeep.QualityGood {
		return q, err
	}
	for try := range 2 {
		status, err := chip.Register(bus, addr, regStatus, 1)
		if err != nil {
			return "", err
		}
		if status[0]&copying == 0 {
			break
		}
		if try == 1 {
			return coldkeep.QualityTimeout, nil
		}
		if err := chip.Wait(ctx, startUp); err != nil {
			return "", err
		}
	}
	b, err := chip.Register(bus, addr, regCalibration, 6)
	if err != nil {
		return "", err
	}
	if q := chip.Dead(b...); q != coldkeep.QualityError {
		return q, nil
	}
	return coldkeep.QualityGood, nil
}

// measured tells whether the temperature register holds a measurement.
func measured(b []byte) coldkeep.Quality {
	if uint32(b[0])<<12|uint32(b[1])<<4|uint32(b[2])>>4 == skipped {
		return coldkeep.QualityTimeout
	}
	if q := chip.Dead(b...); q != coldkeep.QualityError {
		return q
	}
	return coldkeep.QualityGood
}
