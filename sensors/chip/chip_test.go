package chip

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"periph.io/x/conn/v3/physic"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

type shorted struct{ error }

func (shorted) IsShorted() bool { return true }

func TestFault(t *testing.T) {
	for _, c := range []struct {
		err  error
		want coldkeep.Quality
	}{
		{nil, ""},
		{syscall.ENXIO, "missing"},
		{fmt.Errorf("sysfs-i2c: %v", syscall.EREMOTEIO), "missing"}, // periph keeps the words only
		{fmt.Errorf("sysfs-i2c: %v", syscall.ETIMEDOUT), "timeout"},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), "timeout"},
		{fmt.Errorf("x: %w", shorted{errors.New("held low")}), "short"},
		{syscall.EIO, "error"},
		{errors.New("remote I/O error, it seems"), "error"},
	} {
		if got := Fault(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestMilli(t *testing.T) {
	for nano, want := range map[physic.Temperature]coldkeep.Temperature{
		physic.ZeroCelsius: 0, physic.ZeroCelsius + 62_500*physic.MicroKelvin: 63, physic.ZeroCelsius - 62_500*physic.MicroKelvin: -63,
		physic.ZeroCelsius - 62_400*physic.MicroKelvin: -62, 0: -273_150,
	} {
		if got := Milli(nano); got != want {
			t.Errorf("%d: %v, want %v", nano, got, want)
		}
	}
}

// A driver that gives a number beside a fault, or nothing at all, gives no number.
func TestProbeKeepsTheContract(t *testing.T) {
	for _, c := range []struct {
		value coldkeep.Temperature
		q     coldkeep.Quality
		err   error
		want  coldkeep.Quality
	}{
		{4000, "", nil, ""},
		{4000, "crc", nil, "crc"},
		{coldkeep.NoTemperature, "", nil, "error"},
		{-273_150, "", syscall.EIO, "error"},
		{4000, "", syscall.ENXIO, "missing"},
	} {
		line := NewLine("l", func() (int, func() error, error) { return 0, func() error { return nil }, nil })
		p := NewProbe(line, sensors.Info{Probe: "p"}, func(context.Context, int) (coldkeep.Temperature, coldkeep.Quality, error) {
			return c.value, c.q, c.err
		})
		s, _ := p.Sample(t.Context())
		if s.Quality != c.want || s.Raw.Known() != (c.want == "") || s.Probe != "p" {
			t.Errorf("%+v: %+v", c, s)
		}
	}
}

func TestDead(t *testing.T) {
	for want, b := range map[coldkeep.Quality][]byte{"zeros": {0, 0}, "missing": {0xff}, "error": {0, 0xff}} {
		if got := Dead(b...); got != want {
			t.Errorf("% x: %q, want %q", b, got, want)
		}
	}
}
