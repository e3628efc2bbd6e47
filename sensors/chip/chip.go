// Package chip is what the drivers of single chips share: a Line, which is an I2C
// bus or SPI port that is opened when first needed and opened anew after faults;
// the Probe around a driver's reading; and the names of what goes wrong on a bus.
//
// A driver is a Read function over a periph connection. It is called with a line
// that no one else uses meanwhile, and it sets its chip up from scratch whenever it
// cannot be sure that the chip still is as it was left: a chip on a long cable
// loses its power and is back with its power-on values before anyone looks.
package chip

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"time"

	"periph.io/x/conn/v3/physic"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

// Read takes one value, in thousandths of a degree Celsius, over a connection C,
// an i2c.Bus or an spi.Conn. A fault that the chip names comes as a quality and no
// error; a fault of the bus as the connection's error.
type Read[C any] func(ctx context.Context, conn C) (coldkeep.Temperature, coldkeep.Quality, error)

// Probe is one chip on a line. It is safe for concurrent use; calls wait for each
// other.
type Probe[C any] struct {
	info sensors.Info
	line *Line[C]
	read Read[C]
}

var (
	_ sensors.Probe    = (*Probe[any])(nil)
	_ sensors.Informer = (*Probe[any])(nil)
)

// NewProbe makes the Probe of a driver. The bus of info is the line's.
func NewProbe[C any](line *Line[C], info sensors.Info, read Read[C]) *Probe[C] {
	info.Bus = line.String()
	return &Probe[C]{info: info, line: line, read: read}
}

// String returns the probe's name.
func (p *Probe[C]) String() string { return string(p.info.Probe) }

// Info tells chip, bus and traits.
func (p *Probe[C]) Info() sensors.Info { return p.info }

// Sample reads the chip once. A chip that does not acknowledge is "missing" and a
// bus that timed out is "timeout"; any other error of the bus is returned, with
// EUNAVAILABLE and a sample without a value.
func (p *Probe[C]) Sample(ctx context.Context) (sensors.Sample, error) {
	var value coldkeep.Temperature
	var quality coldkeep.Quality
	err := p.line.Do(ctx, func(c C) (err error) {
		value, quality, err = p.read(ctx, c)
		return err
	})
	if err != nil {
		q := Fault(err)
		if ctx.Err() != nil {
			return sensors.Failed(p.info.Probe, coldkeep.QualityTimeout), ctx.Err()
		}
		if q == coldkeep.QualityError {
			return sensors.Failed(p.info.Probe, q),
				coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "chip.Probe.Sample", "%s on %s cannot be read", p.info.Kind, p.line)
		}
		return sensors.Failed(p.info.Probe, q), nil
	}
	if quality.NoValue() {
		value = coldkeep.NoTemperature
	} else if !value.Known() {
		quality = coldkeep.QualityError // a driver that gave neither
	}
	return sensors.Sample{Probe: p.info.Probe, Raw: value, Quality: quality}, nil
}

// Halt closes the line, unless it is in use: a transaction that the kernel does not
// give back must not keep the program from ending.
func (p *Probe[C]) Halt() error { return p.line.Close() }

// noAnswer are the kernel's words for an address that nobody acknowledges. They
// differ by bus driver (Documentation/i2c/fault-codes.rst: ENXIO, and EREMOTEIO of
// the Raspberry Pi's i2c-bcm2835), and periph hands on the words, not the number.
var noAnswer = []syscall.Errno{syscall.ENXIO, syscall.EREMOTEIO, syscall.ENODEV}

// Fault names what an error of a bus means: "missing", "timeout", "short" or, for
// all else, "error". A nil error is "".
func Fault(err error) coldkeep.Quality {
	if err == nil {
		return coldkeep.QualityGood
	}
	var shorted interface{ IsShorted() bool }
	if errors.As(err, &shorted) && shorted.IsShorted() {
		return coldkeep.QualityShort
	}
	if errors.Is(err, context.DeadlineExceeded) || is(err, syscall.ETIMEDOUT) {
		return coldkeep.QualityTimeout
	}
	for _, no := range noAnswer {
		if is(err, no) {
			return coldkeep.QualityMissing
		}
	}
	return coldkeep.QualityError
}

func is(err error, no syscall.Errno) bool {
	return errors.Is(err, no) || strings.HasSuffix(err.Error(), no.Error())
}

// Wait waits for a conversion, and returns ctx.Err() when ctx ends first.
func Wait(ctx context.Context, d time.Duration) error { return coldkeep.RealClock{}.Sleep(ctx, d) }

// Milli gives a periph temperature, nanokelvin, in thousandths of a degree Celsius,
// halves away from zero.
func Milli(t physic.Temperature) coldkeep.Temperature {
	const unit, half = int64(physic.MilliKelvin), int64(physic.MilliKelvin) / 2
	n := int64(t - physic.ZeroCelsius)
	if n < 0 {
		n -= half
	} else {
		n += half
	}
	return coldkeep.Temperature(n / unit)
}

// Within gives the value when it is between lowest and highest, and "range" when
// it is not.
func Within(value, lowest, highest coldkeep.Temperature) (coldkeep.Temperature, coldkeep.Quality) {
	if value < lowest || value > highest {
		return coldkeep.NoTemperature, coldkeep.QualityRange
	}
	return value, coldkeep.QualityGood
}

// Dead names what a register that cannot be empty means when it reads as nothing
// but zeros, "zeros" (the data line is held low; the address seems acknowledged),
// or nothing but ones, "missing" (nobody drives the line). Any other content that
// is not what the chip must hold is "error": another chip is there.
func Dead(register ...byte) coldkeep.Quality {
	low, high := true, true
	for _, b := range register {
		low, high = low && b == 0x00, high && b == 0xff
	}
	switch {
	case low:
		return coldkeep.QualityZeros
	case high:
		return coldkeep.QualityMissing
	}
	return coldkeep.QualityError
}
