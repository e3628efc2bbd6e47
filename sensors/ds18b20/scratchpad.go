package ds18b20

import (
	"periph.io/x/conn/v3/onewire"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors/chip"
)

// The limits of the family, in thousandths of °C (data sheet, "Features"). Raw
// 07FF, 127.9375 °C, is what a conversion gives that never had the power to run.
const (
	lowest  = -55_000
	highest = 125_000
)

// Scratchpad is a probe's memory: temperature, alarm limits, configuration, three
// reserved bytes, and the CRC of all (data sheet, figure 9).
type Scratchpad [9]byte

// Decode gives the temperature in a scratchpad, as the kernel's w1_therm does:
// sixteenths of a degree, truncated to thousandths toward zero. Or why there is
// none:
//
//   - zeros: all bytes are zero, whose CRC is valid; a line held low reads so;
//   - missing: all bytes are ones; nobody drives the line;
//   - crc: the CRC is wrong;
//   - reset85: 50 05 with byte 6 = 0c, the power-on content (table 1). Byte 6 alone
//     proves nothing: a true 15.25 °C has it too;
//   - range: beyond -55 °C to +125 °C.
func Decode(f Family, pad Scratchpad) (coldkeep.Temperature, coldkeep.Quality) {
	const none = coldkeep.NoTemperature
	if q := chip.Dead(pad[:]...); q != coldkeep.QualityError {
		return none, q
	}
	if !onewire.CheckCRC(pad[:]) {
		return none, coldkeep.QualityCRC
	}
	raw := int32(int16(uint16(pad[1])<<8 | uint16(pad[0])))
	if f == DS18S20 {
		return decodeS(raw, pad)
	}
	if raw == 0x0550 && pad[6] == 0x0c {
		return none, coldkeep.QualityReset85
	}
	raw &^= 1<<(3-pad.resolution()) - 1 // bits that the resolution leaves undefined
	return chip.Within(coldkeep.Temperature(raw*1000/16), lowest, highest)
}

// decodeS is Decode for the DS18S20, whose raw value is half degrees: TEMP_READ -
// 0.25 + (COUNT_PER_C - COUNT_REMAIN) / COUNT_PER_C (DS18S20 data sheet, section
// "Operation—Measuring Temperature"). 00AA with COUNT_REMAIN 0c is its power-on
// content.
func decodeS(raw int32, pad Scratchpad) (coldkeep.Temperature, coldkeep.Quality) {
	if raw == 0x00aa && pad[6] == 0x0c {
		return coldkeep.NoTemperature, coldkeep.QualityReset85
	}
	per := int32(pad[7])
	if per == 0 {
		return coldkeep.NoTemperature, coldkeep.QualityError
	}
	t := (raw>>1)*1000 - 250 + 1000*(per-int32(pad[6]))/per
	return chip.Within(coldkeep.Temperature(t), lowest, highest)
}

// resolution gives bits 6:5 of the configuration: 0 for 9 bits to 3 for 12.
func (p Scratchpad) resolution() uint { return uint(p[4]>>5) & 3 }
