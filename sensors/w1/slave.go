package w1

import (
	"bytes"
	"encoding/hex"
	"strconv"

	"github.com/coldkeep/coldkeep"
)

// The limits of the DS18B20 and its family (data sheet, "Features": -55 °C to
// +125 °C). 127.937 °C, raw 07FF, is what a conversion gives that never ran.
const (
	lowest  = -55_000
	highest = 125_000
)

// scratchpadLen is the length of a probe's scratchpad: eight bytes and their CRC.
const scratchpadLen = 9

// ParseSlave reads the text of the kernel's w1_slave file: two lines of the nine
// scratchpad bytes, the first with "crc=xx YES" or "NO", the second with "t=" in
// thousandths of a degree Celsius. It gives a value, or the quality that says why
// there is none:
//
//   - crc: the file is empty (which is how w1_therm.c reports a failed read), says
//     NO, or its bytes do not match their CRC;
//   - zeros: all bytes are zero; their CRC is valid, a wire held low reads so;
//   - reset85: 50 05 with byte 6 = 0c, the power-on scratchpad. Byte 6 alone proves
//     nothing: a true 15.25 °C has it too;
//   - range: beyond the data sheet's -55 °C to +125 °C;
//   - error: the text is not of that form, or has no t=.
//
// The second line repeats the last good bytes and is not trusted unless the first
// says YES.
func ParseSlave(text []byte) (coldkeep.Temperature, coldkeep.Quality) {
	const none = coldkeep.NoTemperature
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return none, coldkeep.QualityCRC
	}
	first, second, _ := bytes.Cut(text, []byte("\n"))
	pad, verdict, ok := scratchpad(first)
	switch {
	case !ok:
		return none, coldkeep.QualityError
	case verdict == "NO":
		return none, coldkeep.QualityCRC
	case verdict != "YES":
		return none, coldkeep.QualityError
	case pad == [scratchpadLen]byte{}:
		return none, coldkeep.QualityZeros
	case crc8(pad[:8]) != pad[8]:
		return none, coldkeep.QualityCRC
	case pad[0] == 0x50 && pad[1] == 0x05 && pad[6] == 0x0c:
		return none, coldkeep.QualityReset85
	}
	_, digits, ok := bytes.Cut(second, []byte("t="))
	if !ok {
		return none, coldkeep.QualityError
	}
	t, err := strconv.ParseInt(string(bytes.TrimSpace(digits)), 10, 32)
	switch {
	case err != nil:
		return none, coldkeep.QualityError
	case t < lowest || t > highest:
		return none, coldkeep.QualityRange
	}
	return coldkeep.Temperature(t), coldkeep.QualityGood
}

// ParseTemperature reads the text of the kernel's temperature file, thousandths of
// a degree Celsius alone. It is empty on any error: "crc". Of the probe's memory it
// shows nothing, so that exactly 0, which a wire held low also reads as, is
// "zeros"; a probe that freezes is not at 0.000 °C for long. 85000 is left to the
// gate.
func ParseTemperature(text []byte) (coldkeep.Temperature, coldkeep.Quality) {
	const none = coldkeep.NoTemperature
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return none, coldkeep.QualityCRC
	}
	t, err := strconv.ParseInt(string(text), 10, 32)
	switch {
	case err != nil:
		return none, coldkeep.QualityError
	case t == 0:
		return none, coldkeep.QualityZeros
	case t < lowest || t > highest:
		return none, coldkeep.QualityRange
	}
	return coldkeep.Temperature(t), coldkeep.QualityGood
}

// scratchpad reads "50 05 4b 46 7f ff 0c 10 1c : crc=1c YES".
func scratchpad(line []byte) (pad [scratchpadLen]byte, verdict string, ok bool) {
	fields := bytes.Fields(line)
	if len(fields) != scratchpadLen+3 || string(fields[scratchpadLen]) != ":" {
		return pad, "", false
	}
	for i := range pad {
		if len(fields[i]) != 2 {
			return pad, "", false
		}
		if _, err := hex.Decode(pad[i:i+1], fields[i]); err != nil {
			return pad, "", false
		}
	}
	return pad, string(fields[scratchpadLen+2]), true
}

// crc8 is the 1-Wire CRC, x⁸+x⁵+x⁴+1 reflected (Maxim application note 27).
func crc8(b []byte) byte {
	var crc byte
	for _, v := range b {
		crc ^= v
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x8c
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}
