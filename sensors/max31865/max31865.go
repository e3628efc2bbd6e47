// Package max31865 reads platinum resistance thermometers, PT100 and PT1000, by
// the Analog Devices MAX31865 over SPI. They are the probes for ultra-cold storage:
// no digital thermometer measures below -55 °C. See the chip's data sheet, 19-6478,
// and IEC 60751 for platinum.
package max31865

import (
	"context"
	"time"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// Kind names the chip in a probe's Info.
const Kind = "max31865"

// Traits of the chip: with the usual reference resistor a step of 1/32768 is
// 0.034 °C.
var Traits = sensors.Traits{Step: 34}

// Speed and Mode of the SPI connection: the data sheet allows 5 MHz (timing
// characteristics), long cables do not; SPI modes 1 and 3 (section "Serial
// interface").
const (
	Speed = 500 * physic.KiloHertz
	Mode  = spi.Mode1
)

// RTD says what hangs on the chip.
type RTD struct {
	Nominal float64 // ohms at 0 °C: 100 or 1000
	Ref     float64 // ohms of the reference resistor: 430 or 4300 on most boards
	Wires   int     // 2, 3 or 4
	Mains   int     // 50 or 60 Hz, the hum to be filtered out
}

// PT100 is what most boards carry.
var PT100 = RTD{Nominal: 100, Ref: 430, Wires: 3, Mains: 60}

// Valid reports whether the numbers are those of an RTD that the chip can measure.
func (r RTD) Valid() bool {
	return r.Nominal >= 50 && r.Nominal <= 2000 && r.Ref >= 2*r.Nominal && r.Ref <= 10*r.Nominal &&
		(r.Wires == 2 || r.Wires == 3 || r.Wires == 4) && (r.Mains == 50 || r.Mains == 60)
}

// The registers (table 1) and the bits of the configuration (table 2).
const (
	regConfig    = 0x00
	regThreshold = 0x03 // high fault threshold, then low, two bytes each
	registers    = 8
	write        = 0x80

	bias       = 0x80
	oneShot    = 0x20
	threeWire  = 0x10
	faultCycle = 0x04 // automatic delay
	faultBits  = 0x0c // both are 0 when the cycle is over
	faultClear = 0x02
	fifty      = 0x01
)

// The fault register (table 7). With FORCE- switched off all of the loop is pulled
// up to the bias; what stays below is shorted to ground. With it on the current
// pulls REFIN- down; when it stays up there is none.
const (
	faultHigh     = 0x80 // resistance above the high threshold
	faultLow      = 0x40 // below the low threshold
	faultNoLoop   = 0x20 // REFIN- above 0.85 of the bias
	faultRefShort = 0x10 // REFIN- below 0.85 of the bias, FORCE- off
	faultInShort  = 0x08 // RTDIN- below 0.85 of the bias, FORCE- off
	faultVoltage  = 0x04 // an input beyond the supply
)

// How long things take: the filters before the inputs, about ten of their time
// constants and a millisecond (section "Configuration register"); a fault cycle,
// about 550 µs; a one-shot conversion, at most 55 ms with the 60 Hz filter and 66
// with the 50 Hz one (electrical characteristics).
const (
	settling     = 12 * time.Millisecond
	cycle        = time.Millisecond
	conversion60 = 58 * time.Millisecond
	conversion50 = 70 * time.Millisecond
	polls        = 10
)

// The limits, in thousandths of °C: what IEC 60751 begins with, and far above
// anything that stores vaccine. Resistances beyond them are an open or a short.
const (
	lowest  = -200_000
	highest = 200_000
)

// Reader reads the chip. Each reading clears the faults, runs a fault cycle and
// makes one conversion; in between the bias is off, so that the current does not
// warm the probe. Faults:
//
//   - open: no current flows, or the resistance is above that of +200 °C;
//   - short: the resistance is below that of -200 °C, or a lead is at ground or at
//     the supply;
//   - zeros, missing: the registers read as nothing but zeros or ones. SPI has no
//     acknowledgement: they are read back before any value is believed;
//   - error: the registers do not hold what was written;
//   - timeout: fault cycle or conversion did not end.
func Reader(rtd RTD) chip.Read[spi.Conn] {
	base := byte(bias)
	conversion := conversion60
	if rtd.Wires == 3 {
		base |= threeWire
	}
	if rtd.Mains == 50 {
		base |= fifty
		conversion = conversion50
	}
	high, low := ratio(rtd, highest), ratio(rtd, lowest)
	threshold := []byte{byte(high >> 7), byte(high << 1), byte(low >> 7), byte(low << 1)}
	return func(ctx context.Context, c spi.Conn) (value coldkeep.Temperature, q coldkeep.Quality, err error) {
		defer func() {
			if off := set(c, base&^bias); err == nil {
				err = off
			}
		}()
		const none = coldkeep.NoTemperature
		if err := set(c, base|faultClear); err != nil {
			return none, "", err
		}
		if err := c.Tx(append([]byte{write | regThreshold}, threshold...), make([]byte, 5)); err != nil {
			return none, "", err
		}
		reg, err := get(c)
		if err != nil {
			return none, "", err
		}
		if reg[regConfig] != base || [4]byte(reg[regThreshold:]) != [4]byte(threshold) {
			return none, chip.Dead(reg[:]...), nil
		}
		if err := chip.Wait(ctx, settling); err != nil {
			return none, "", err
		}
		reg, q, err = step(ctx, c, base|faultCycle, faultBits, cycle)
		if err != nil || q != coldkeep.QualityGood {
			return none, q, err
		}
		if q := fault(reg[7]); q != coldkeep.QualityGood {
			return none, q, nil
		}
		reg, q, err = step(ctx, c, base|oneShot, oneShot, conversion)
		if err != nil || q != coldkeep.QualityGood {
			return none, q, err
		}
		if reg[regConfig] != base || [4]byte(reg[regThreshold:]) != [4]byte(threshold) {
			return none, chip.Dead(reg[:]...), nil
		}
		value, q = Decode(reg, rtd)
		return value, q, nil
	}
}

// step writes the configuration and waits until the bits of it that end with the
// work are 0.
func step(ctx context.Context, c spi.Conn, config, busy byte, takes time.Duration) (reg [registers]byte, q coldkeep.Quality, err error) {
	if err := set(c, config); err != nil {
		return reg, "", err
	}
	for range polls {
		if err := chip.Wait(ctx, takes); err != nil {
			return reg, "", err
		}
		if reg, err = get(c); err != nil {
			return reg, "", err
		}
		if reg[regConfig]&busy == 0 {
			return reg, coldkeep.QualityGood, nil
		}
		takes = 5 * time.Millisecond
	}
	if q := chip.Dead(reg[:]...); q != coldkeep.QualityError {
		return reg, q, nil
	}
	return reg, coldkeep.QualityTimeout, nil
}

func set(c spi.Conn, config byte) error {
	return c.Tx([]byte{write | regConfig, config}, make([]byte, 2))
}

// get reads all registers at once.
func get(c spi.Conn) (reg [registers]byte, err error) {
	var r [1 + registers]byte
	err = c.Tx(make([]byte, len(r)), r[:]) // address 0, and it counts up
	copy(reg[:], r[1:])
	return reg, err
}

// fault names what the fault register says.
func fault(f byte) coldkeep.Quality {
	switch {
	case f&(faultLow|faultRefShort|faultInShort) != 0:
		return coldkeep.QualityShort
	case f&(faultHigh|faultNoLoop) != 0:
		return coldkeep.QualityOpen
	case f&faultVoltage != 0:
		return coldkeep.QualityShort
	}
	return coldkeep.QualityGood
}

// Decode gives the value that the eight registers hold. The RTD register is the
// resistance as 15 bits of the reference resistor, and a fault bit (section
// "RTD resistance registers").
func Decode(reg [registers]byte, rtd RTD) (coldkeep.Temperature, coldkeep.Quality) {
	const none = coldkeep.NoTemperature
	if q := fault(reg[7]); q != coldkeep.QualityGood {
		return none, q
	}
	if reg[2]&1 != 0 {
		return none, coldkeep.QualityError // the fault bit, and a fault register without one
	}
	raw := uint16(reg[1])<<7 | uint16(reg[2])>>1
	switch {
	case raw <= ratio(rtd, lowest):
		return none, coldkeep.QualityShort
	case raw >= ratio(rtd, highest):
		return none, coldkeep.QualityOpen
	}
	celsius := Celsius(float64(raw) / 32768 * rtd.Ref / rtd.Nominal)
	return chip.Within(coldkeep.FromCelsius(celsius), lowest, highest)
}

// ratio is the RTD register at a temperature in thousandths of °C.
func ratio(rtd RTD, t coldkeep.Temperature) uint16 {
	return uint16(min(32767, Resistance(t.Celsius())*rtd.Nominal/rtd.Ref*32768))
}
