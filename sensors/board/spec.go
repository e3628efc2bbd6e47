package board

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors/bmx280"
	"github.com/coldkeep/coldkeep/sensors/chip"
	"github.com/coldkeep/coldkeep/sensors/max31865"
	"github.com/coldkeep/coldkeep/sensors/mcp9808"
	"github.com/coldkeep/coldkeep/sensors/sht4x"
	"github.com/coldkeep/coldkeep/sensors/tmp102"
	"github.com/coldkeep/coldkeep/sensors/tmp105"
	"github.com/coldkeep/coldkeep/sensors/tmp117"
)

// bridge is the chip name of DS18B20 behind a DS2482; the others' are their Kinds.
const bridge = "ds18b20"

// Spec says where one chip is wired and what it is. Its text form is
//
//	CHIP@/dev/i2c-N[:MUX.CHANNEL]:ADDRESS[,name=NAME]
//	max31865@/dev/spidevN.M[,rtd=pt100|pt1000][,ref=OHMS][,wires=2|3|4][,mains=50|60][,name=NAME]
//
// such as "tmp117@/dev/i2c-1:0x48" or, behind channel 3 of a PCA9548 at 0x70,
// "mcp9808@/dev/i2c-1:0x70.3:0x18". The chip ds18b20 is every probe behind the
// DS2482 bridge at the address; they carry the names of their ROM codes.
type Spec struct {
	Chip string
	Bus  int // N
	Mux  chip.Mux
	Addr uint16       // on I2C
	CS   int          // M, the chip select on SPI
	RTD  max31865.RTD // of a MAX31865
	Name coldkeep.ProbeID
}

// addresses are those that each chip can be strapped to, by its data sheet.
var addresses = map[string][2]uint16{
	tmp117.Kind:  {0x48, 0x4b},
	tmp102.Kind:  {0x48, 0x4b},
	tmp105.Kind:  {0x48, 0x4f},
	mcp9808.Kind: {0x18, 0x1f},
	bmx280.Kind:  {0x76, 0x77},
	sht4x.Kind:   {0x44, 0x46},
	bridge:       {0x18, 0x1b},
}

var (
	i2cPattern  = regexp.MustCompile(`^/dev/i2c-(\d{1,3})(?::(0x[0-9a-fA-F]{2})\.([0-7]))?:(0x[0-9a-fA-F]{2})$`)
	spiPattern  = regexp.MustCompile(`^/dev/spidev(\d{1,3})\.(\d{1,2})$`)
	namePattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`) // what the wire contract carries
)

// Parse reads the text form. What is wrong with it is EINVALID.
func Parse(text string) (Spec, error) {
	fail := func(format string, args ...any) (Spec, error) {
		return Spec{}, coldkeep.Errorf(coldkeep.EINVALID, "probe %q: %s", text, fmt.Sprintf(format, args...))
	}
	place, options, _ := strings.Cut(text, ",")
	name, bus, ok := strings.Cut(place, "@")
	if !ok {
		return fail("want CHIP@BUS, such as tmp117@/dev/i2c-1:0x48")
	}
	s := Spec{Chip: name}
	limits, onI2C := addresses[name]
	switch {
	case onI2C:
		m := i2cPattern.FindStringSubmatch(bus)
		if m == nil {
			return fail("want a bus and an address, such as %s@/dev/i2c-1:0x%02x", name, limits[0])
		}
		s.Bus, s.Addr = number(m[1], 10), uint16(number(m[4], 0))
		if m[2] != "" {
			s.Mux = chip.Mux{Addr: uint16(number(m[2], 0)), Channel: uint8(number(m[3], 10))}
			if s.Mux.Addr < 0x70 || s.Mux.Addr > 0x77 {
				return fail("a PCA9548 is at 0x70 to 0x77")
			}
		}
		if s.Addr < limits[0] || s.Addr > limits[1] {
			return fail("a %s is at 0x%02x to 0x%02x", name, limits[0], limits[1])
		}
		if s.Addr == s.Mux.Addr {
			return fail("chip and switch have one address")
		}
	case name == max31865.Kind:
		m := spiPattern.FindStringSubmatch(bus)
		if m == nil {
			return fail("want an SPI device, such as max31865@/dev/spidev0.0")
		}
		s.Bus, s.CS, s.RTD = number(m[1], 10), number(m[2], 10), max31865.PT100
	default:
		return fail("chip %q is not one of bmx280, ds18b20, max31865, mcp9808, sht4x, tmp102, tmp105, tmp117", name)
	}
	if options != "" {
		for option := range strings.SplitSeq(options, ",") {
			if err := s.set(option); err != nil {
				return fail("%v", err)
			}
		}
	}
	if s.Chip == max31865.Kind && !s.RTD.Valid() {
		return fail("ref wants 2 to 10 times the resistance of the RTD, wires 2, 3 or 4, mains 50 or 60")
	}
	if s.Name == "" {
		s.Name = s.place()
	}
	return s, nil
}

// number reads digits that a pattern has let through.
func number(digits string, base int) int {
	n, _ := strconv.ParseInt(digits, base, 32)
	return int(n)
}

// set takes an option "key=value".
func (s *Spec) set(option string) error {
	key, value, _ := strings.Cut(option, "=")
	rtd := s.Chip == max31865.Kind
	var err error
	switch {
	case key == "name" && s.Chip != bridge:
		if !namePattern.MatchString(value) {
			return fmt.Errorf("name %q is not [A-Za-z0-9._:-], 1 to 64 of them", value)
		}
		s.Name = coldkeep.ProbeID(value)
	case key == "rtd" && rtd && value == "pt100":
		s.RTD.Nominal, s.RTD.Ref = 100, 430
	case key == "rtd" && rtd && value == "pt1000":
		s.RTD.Nominal, s.RTD.Ref = 1000, 4300
	case key == "ref" && rtd:
		s.RTD.Ref, err = strconv.ParseFloat(value, 64)
	case key == "wires" && rtd:
		s.RTD.Wires, err = strconv.Atoi(value)
	case key == "mains" && rtd:
		s.RTD.Mains, err = strconv.Atoi(value)
	default:
		return fmt.Errorf("%s has no option %q", s.Chip, option)
	}
	if err != nil {
		return fmt.Errorf("%s=%q is not a number", key, value)
	}
	return nil
}

// place names a probe by where it is wired: "tmp117-1-48", "mcp9808-1-70.3-18",
// "max31865-0.0".
func (s Spec) place() coldkeep.ProbeID {
	switch {
	case s.Chip == max31865.Kind:
		return coldkeep.ProbeID(fmt.Sprintf("%s-%d.%d", s.Chip, s.Bus, s.CS))
	case s.Mux.Addr != 0:
		return coldkeep.ProbeID(fmt.Sprintf("%s-%d-%02x.%d-%02x", s.Chip, s.Bus, s.Mux.Addr, s.Mux.Channel, s.Addr))
	}
	return coldkeep.ProbeID(fmt.Sprintf("%s-%d-%02x", s.Chip, s.Bus, s.Addr))
}

// String gives the text form, without options that are as they would be anyway.
func (s Spec) String() string {
	var b strings.Builder
	b.WriteString(s.Chip)
	if s.Chip == max31865.Kind {
		fmt.Fprintf(&b, "@/dev/spidev%d.%d", s.Bus, s.CS)
		if s.RTD.Nominal == 1000 {
			b.WriteString(",rtd=pt1000")
		}
		if s.RTD.Ref != 4.3*s.RTD.Nominal {
			fmt.Fprintf(&b, ",ref=%g", s.RTD.Ref)
		}
		if s.RTD.Wires != max31865.PT100.Wires {
			fmt.Fprintf(&b, ",wires=%d", s.RTD.Wires)
		}
		if s.RTD.Mains != max31865.PT100.Mains {
			fmt.Fprintf(&b, ",mains=%d", s.RTD.Mains)
		}
	} else {
		fmt.Fprintf(&b, "@/dev/i2c-%d", s.Bus)
		if s.Mux.Addr != 0 {
			fmt.Fprintf(&b, ":%v", s.Mux)
		}
		fmt.Fprintf(&b, ":0x%02x", s.Addr)
	}
	if s.Name != s.place() {
		fmt.Fprintf(&b, ",name=%s", s.Name)
	}
	return b.String()
}
