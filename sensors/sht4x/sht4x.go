// Package sht4x reads the Sensirion SHT40, SHT41 and SHT45 over I2C: ±0.2 °C, for
// the air of the room. Air sensors are no vaccine probes; this one tells what the
// appliance has to work against. See the data sheet "SHT4x", version 6.
package sht4x

import (
	"context"
	"time"

	"periph.io/x/conn/v3/i2c"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// Kind names the chip in a probe's Info.
const Kind = "sht4x"

// Traits of the chip: a step is 175 °C / 65535 (data sheet, section 4.6), and the
// repeatability, 0.04 °C, is many steps (table 2).
var Traits = sensors.Traits{Step: 3}

// The commands (section 4.5, table 8) and how long they take (table 5: 8.3 ms at
// most for a measurement, 1 ms for the power-up that precedes any command).
const (
	measure    = 0xfd // high precision, no heater
	serial     = 0x89
	conversion = 10 * time.Millisecond
	answer     = time.Millisecond
)

// The limits of the chip, in thousandths of °C (table 2).
const (
	lowest  = -40_000
	highest = 125_000
)

// Reader reads the chip at an address: 0x44, 0x45 or 0x46, by its part number.
// Faults:
//
//   - missing: it does not acknowledge, or nobody drives the line;
//   - zeros: the line is held low;
//   - crc: one of the two checksums is wrong;
//   - range: beyond -40 °C to +125 °C.
func Reader(addr uint16) chip.Read[i2c.Bus] {
	return func(ctx context.Context, bus i2c.Bus) (coldkeep.Temperature, coldkeep.Quality, error) {
		b, err := command(ctx, bus, addr, measure, conversion)
		if err != nil {
			return coldkeep.NoTemperature, "", err
		}
		value, q := Decode(b)
		return value, q, nil
	}
}

// Identify reads the serial number; "" is a number with good checksums.
func Identify(ctx context.Context, bus i2c.Bus, addr uint16) (coldkeep.Quality, error) {
	b, err := command(ctx, bus, addr, serial, answer)
	if err != nil {
		return "", err
	}
	return check(b), nil
}

// command writes a command and reads its answer: two words, each with its CRC. The
// chip does not acknowledge a read before it has the answer (section 4.4).
func command(ctx context.Context, bus i2c.Bus, addr uint16, cmd byte, takes time.Duration) (b [6]byte, err error) {
	if err := bus.Tx(addr, []byte{cmd}, nil); err != nil {
		return b, err
	}
	if err := chip.Wait(ctx, takes); err != nil {
		return b, err
	}
	err = bus.Tx(addr, nil, b[:])
	return b, err
}

// Decode gives the answer of a measurement: temperature, its CRC, humidity, its
// CRC. The temperature is -45 °C + 175 °C · word / 65535 (section 4.6).
func Decode(b [6]byte) (coldkeep.Temperature, coldkeep.Quality) {
	if q := check(b); q != coldkeep.QualityGood {
		return coldkeep.NoTemperature, q
	}
	raw := int64(b[0])<<8 | int64(b[1])
	return chip.Within(coldkeep.Temperature((175_000*raw+32_767)/65_535-45_000), lowest, highest)
}

func check(b [6]byte) coldkeep.Quality {
	if crc8(b[0], b[1]) == b[2] && crc8(b[3], b[4]) == b[5] {
		return coldkeep.QualityGood
	}
	if q := chip.Dead(b[:]...); q != coldkeep.QualityError {
		return q
	}
	return coldkeep.QualityCRC
}

// crc8 is the checksum of a word: x⁸+x⁵+x⁴+1, begun at FF (section 4.4, table 7).
func crc8(word ...byte) byte {
	crc := byte(0xff)
	for _, b := range word {
		crc ^= b
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ 0x31
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
