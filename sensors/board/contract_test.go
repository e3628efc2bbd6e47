package board

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/spi"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/chip"
	"github.com/coldkeep/coldkeep/sensors/chiptest"
	"github.com/coldkeep/coldkeep/sensors/max31865"
	"github.com/coldkeep/coldkeep/sensors/sensorstest"
)

// rig is one chip on its bus, wired as the agent wires it: from the text of a
// --probe down to the registers.
type rig struct {
	spec  string
	model any
	set   func(coldkeep.Temperature)
	bus   *chiptest.Bus      // or
	spi   *chiptest.MAX31865 // not both
	probe sensors.Probe
}

// fault is something that goes wrong in a chip or on its wires, and what it has to
// end as.
type fault struct {
	name  string
	begin func(*rig)
	want  coldkeep.Quality
}

// driver is a row of the contract.
type driver struct {
	make   func() *rig
	temps  []coldkeep.Temperature
	within coldkeep.Temperature // the chip's step, and rounding
	faults []fault
	// wrong is what a chip of another kind at its address ends as.
	wrong coldkeep.Quality
}

func onI2C(spec string, addr uint16, c chiptest.Chip, set func(coldkeep.Temperature)) *rig {
	return &rig{spec: spec, model: c, set: set, bus: chiptest.NewBus(map[uint16]chiptest.Chip{addr: c})}
}

var drivers = map[string]driver{
	"tmp117": {
		make: func() *rig {
			c := chiptest.NewTMP117(4000)
			return onI2C("tmp117@/dev/i2c-1:0x48", 0x48, c, func(t coldkeep.Temperature) { c.Celsius = t })
		},
		temps: []coldkeep.Temperature{5000, 0, -20000, -54900, 124900}, within: 9, wrong: "error",
		faults: []fault{
			{"no conversion ends", func(r *rig) { r.model.(*chiptest.TMP117).Never = true }, "timeout"},
			{"restarts while converting", func(r *rig) { r.model.(*chiptest.TMP117).Restart = true }, "timeout"},
			{"beyond its range", func(r *rig) { r.set(126_000) }, "range"},
		},
	},
	"mcp9808": {
		make: func() *rig {
			c := chiptest.NewMCP9808(4000)
			return onI2C("mcp9808@/dev/i2c-1:0x18", 0x18, c, func(t coldkeep.Temperature) { c.Celsius = t })
		},
		temps: []coldkeep.Temperature{5000, 0, -250, -39900, 124900}, within: 63, wrong: "error",
		faults: []fault{{"beyond its range", func(r *rig) { r.set(-41_000) }, "range"}},
	},
	"tmp102": {
		make: func() *rig {
			c := chiptest.NewTMP102(4000)
			return onI2C("tmp102@/dev/i2c-1:0x49", 0x49, c, func(t coldkeep.Temperature) { c.Celsius = t })
		},
		temps: []coldkeep.Temperature{5000, 0, -250, -39900, 124900}, within: 63, wrong: "error",
		faults: []fault{{"restarts again and again", func(r *rig) { r.model.(*chiptest.TMP102).Restart = true }, "timeout"}},
	},
	"tmp105": {
		make: func() *rig {
			c := &chiptest.TMP105{Celsius: 4000}
			return onI2C("tmp105@/dev/i2c-1:0x4f", 0x4f, c, func(t coldkeep.Temperature) { c.Celsius = t })
		},
		temps: []coldkeep.Temperature{4250, 0, -250, -54900, 124900}, within: 63, wrong: "error",
		faults: []fault{{"beyond its range", func(r *rig) { r.set(-56_000) }, "range"}},
	},
	"bmx280": {
		make: func() *rig {
			c := chiptest.NewBMX280(4000)
			return onI2C("bmx280@/dev/i2c-1:0x76", 0x76, c, func(t coldkeep.Temperature) { c.Celsius = t })
		},
		temps: []coldkeep.Temperature{21500, 0, -30000, 60000}, within: 20, wrong: "error",
		faults: []fault{
			{"restarts and does not measure", func(r *rig) {
				c := r.model.(*chiptest.BMX280)
				c.Skips = true
				copy(c.Memory[0xfa:], []byte{0x80, 0, 0})
			}, "timeout"},
			{"has no calibration", func(r *rig) { clear(r.model.(*chiptest.BMX280).Memory[0x88:0xa1]) }, "zeros"},
			{"never ends copying its calibration", func(r *rig) { r.model.(*chiptest.BMX280).Memory[0xf3] = 1 }, "timeout"},
			{"never ends measuring", func(r *rig) { r.model.(*chiptest.BMX280).Memory[0xf3] = 8 }, "timeout"},
			{"beyond its range", func(r *rig) { r.set(86_000) }, "range"},
		},
	},
	"sht4x": {
		make: func() *rig {
			c := &chiptest.SHT4x{Celsius: 4000}
			return onI2C("sht4x@/dev/i2c-1:0x44", 0x44, c, func(t coldkeep.Temperature) { c.Celsius = t })
		},
		temps: []coldkeep.Temperature{21500, 0, -39900, 124900}, within: 4, wrong: "crc",
		faults: []fault{
			{"a bit flips", func(r *rig) { r.model.(*chiptest.SHT4x).Flip = true }, "crc"},
			{"beyond its range", func(r *rig) { r.set(-44_000) }, "range"},
		},
	},
	"ds18b20": {
		make: func() *rig {
			p := &chiptest.DS18B20{Serial: 0x5e2fdc3, Celsius: 4000}
			return onI2C("ds18b20@/dev/i2c-1:0x1a", 0x1a, &chiptest.DS2482{Probes: []*chiptest.DS18B20{p}}, func(t coldkeep.Temperature) { p.Celsius = t })
		},
		temps: []coldkeep.Temperature{5000, 0, 15250, 85000, -20000, -54900, 124900}, within: 63, wrong: "error",
		faults: []fault{
			{"line held low after presence", func(r *rig) { bridgeOf(r).Low = true }, "zeros"},
			{"line shorted", func(r *rig) { bridgeOf(r).Short = true }, "short"},
			{"bridge stays busy", func(r *rig) { bridgeOf(r).Busy = true }, "timeout"},
			{"pulled off, alone", func(r *rig) { bridgeOf(r).Probes[0].Gone = true }, "missing"},
			{"pulled off, beside another", func(r *rig) {
				bridgeOf(r).Probes = append(bridgeOf(r).Probes, &chiptest.DS18B20{Serial: 7})
				bridgeOf(r).Probes[0].Gone = true
			}, "missing"},
			{"no power to convert", func(r *rig) { bridgeOf(r).Probes[0].Weak = true }, "reset85"},
			{"conversion breaks off", func(r *rig) { bridgeOf(r).Probes[0].Half = true }, "range"},
			{"wrong CRC", func(r *rig) { bridgeOf(r).Probes[0].BadCRC = true }, "crc"},
		},
	},
	"max31865": {
		make: func() *rig {
			c := &chiptest.MAX31865{Ref: 430}
			return &rig{spec: "max31865@/dev/spidev0.0", model: c, spi: c, set: func(t coldkeep.Temperature) { c.Ohms = 100 * max31865.Resistance(t.Celsius()) }}
		},
		temps: []coldkeep.Temperature{5000, 0, -20000, -80000, -100000, 60000}, within: 40,
		faults: []fault{
			{"nobody drives the line", func(r *rig) { r.spi.Lost = true }, "missing"},
			{"data line at ground", func(r *rig) { r.spi.Low = true }, "zeros"},
			{"does not take what is written", func(r *rig) { r.spi.Deaf = true }, "error"},
			{"element open", func(r *rig) { r.spi.Open = true }, "open"},
			{"very large resistance", func(r *rig) { r.spi.Ohms = 400 }, "open"},
			{"lead at ground", func(r *rig) { r.spi.Ground = true }, "short"},
			{"element shorted", func(r *rig) { r.spi.Ohms = 0.2 }, "short"},
			{"beyond the supply", func(r *rig) { r.spi.Over = true }, "short"},
			{"no conversion ends", func(r *rig) { r.spi.Never = true }, "timeout"},
		},
	},
}

func bridgeOf(r *rig) *chiptest.DS2482 { return r.model.(*chiptest.DS2482) }

// wire makes the probe of a rig as the agent does.
func wire(t *testing.T, d driver) *rig {
	t.Helper()
	r := d.make()
	r.set(4000)
	s, err := Parse(r.spec)
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Config{Specs: []Spec{s},
		OpenI2C: func(int) (i2c.BusCloser, error) { return r.bus, nil },
		OpenSPI: func(int, int) (spi.PortCloser, error) { return r.spi, nil }})
	if err != nil {
		t.Fatal(err)
	}
	found, err := b.Scan(t.Context())
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	r.probe = found[0]
	return r
}

// calm ends the fault of the bus.
func (r *rig) calm() {
	if r.spi != nil {
		r.spi.SetFault(nil)
	} else {
		r.bus.SetFault(nil)
	}
}

// ask takes a sample with the sampler's deadline.
func ask(t *testing.T, r *rig) sensors.Sample {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5e9)
	defer cancel()
	s, err := r.probe.Sample(ctx)
	if err != nil && (s.Raw.Known() || !s.Quality.NoValue()) {
		t.Errorf("%v %q beside error %v", s.Raw, s.Quality, err)
	}
	return s
}

// is checks a sample against a true temperature.
func (d driver) is(t *testing.T, when string, s sensors.Sample, want coldkeep.Temperature) {
	t.Helper()
	if !s.Raw.Known() || s.Quality != "" || max(s.Raw-want, want-s.Raw) > d.within {
		t.Errorf("%s: %v %q, want %v", when, s.Raw, s.Quality, want)
	}
}

func each(t *testing.T, f func(t *testing.T, d driver)) {
	t.Helper()
	for name, d := range drivers {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, d) }) })
	}
}

func TestProbeContract(t *testing.T) {
	each(t, func(t *testing.T, d driver) { sensorstest.RunProbe(t, wire(t, d).probe) })
}

func TestTemperatures(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		r := wire(t, d)
		for _, want := range d.temps {
			r.set(want)
			d.is(t, fmt.Sprintf("at %v °C", want), ask(t, r), want)
		}
	})
}

// The faults of the chip itself, each as its quality; and back to normal.
func TestFaultsOfTheChip(t *testing.T) {
	for name, d := range drivers {
		for _, f := range d.faults {
			t.Run(name+"/"+f.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := wire(t, d)
					d.is(t, "before", ask(t, r), 4000)
					f.begin(r)
					for range 2 {
						if s := ask(t, r); s.Raw.Known() || s.Quality != f.want {
							t.Errorf("%v %q, want %q", s.Raw, s.Quality, f.want)
						}
					}
				})
			})
		}
	}
}

// busFaults are those of the I2C bus; each fits every chip.
var busFaults = []struct {
	name  string
	fault func(n int, addr uint16, w, r []byte, err error) error
	want  coldkeep.Quality // "wrong" is the driver's
}{
	{"no acknowledgement", func(int, uint16, []byte, []byte, error) error { return syscall.EREMOTEIO }, "missing"},
	{"no such address", func(int, uint16, []byte, []byte, error) error { return syscall.ENXIO }, "missing"},
	{"clock held low", func(int, uint16, []byte, []byte, error) error { return syscall.ETIMEDOUT }, "timeout"},
	{"arbitration lost", func(int, uint16, []byte, []byte, error) error { return syscall.EAGAIN }, "error"},
	{"input/output error", func(int, uint16, []byte, []byte, error) error { return syscall.EIO }, "error"},
	{"data line held low", func(_ int, _ uint16, _, r []byte, _ error) error { return fill(r, 0) }, "zeros"},
	{"nobody drives the data line", func(_ int, _ uint16, _, r []byte, _ error) error { return fill(r, 0xff) }, "missing"},
	{"another chip", func(_ int, _ uint16, _, r []byte, _ error) error { return fill(r, 0x5a) }, "wrong"},
}

func fill(r []byte, b byte) error {
	for i := range r {
		r[i] = b
	}
	return nil
}

// A fault of the bus ends as its quality; when it is over the next sample is right,
// with nothing done by anyone.
func TestFaultsOfTheBus(t *testing.T) {
	for name, d := range drivers {
		for _, f := range busFaults {
			if name == "max31865" {
				continue // not on I2C
			}
			t.Run(name+"/"+f.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := wire(t, d)
					want := f.want
					if want == "wrong" {
						want = d.wrong
					}
					for round := range 2 {
						r.bus.SetFault(f.fault)
						for range 4 { // enough for the line to be opened anew
							if s := ask(t, r); s.Raw.Known() || s.Quality != want {
								t.Errorf("%v %q, want %q", s.Raw, s.Quality, want)
							}
						}
						r.bus.SetFault(nil)
						d.is(t, fmt.Sprint("when it is over, round ", round), ask(t, r), 4000)
					}
				})
			})
		}
	}
}

// Whichever transaction fails, and with whatever words, there is no number but the
// right one.
func TestAnyTransactionMayFail(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		for _, e := range []syscall.Errno{syscall.EREMOTEIO, syscall.EIO, syscall.ETIMEDOUT} {
			for at, done := 0, false; !done; at++ {
				r := wire(t, d)
				failed := false
				if r.spi != nil {
					r.spi.SetFault(func(n int, _, _ []byte) error {
						if n == at {
							failed = true
							return e
						}
						return nil
					})
				} else {
					r.bus.SetFault(func(n int, _ uint16, _, _ []byte, err error) error {
						if n == at {
							failed = true
							return e
						}
						return err
					})
				}
				if s := ask(t, r); s.Raw.Known() {
					d.is(t, fmt.Sprintf("transaction %d, %v", at, e), s, 4000)
				} else if want := chip.Fault(e); s.Quality != want {
					t.Errorf("transaction %d, %v: %q, want %q", at, e, s.Quality, want)
				}
				r.calm()
				d.is(t, fmt.Sprintf("after transaction %d, %v", at, e), ask(t, r), 4000)
				done = !failed
			}
		}
	})
}

// A data line that goes dead at any moment, for good, gives no number but the right
// one: 0 °C and the rest of what zeros and ones decode to are never believed.
func TestLineMayDieAtAnyMoment(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		for _, level := range []byte{0x00, 0xff} {
			for at, done := 0, false; !done; at++ {
				r := wire(t, d)
				failed := false
				die := func(n int, read []byte) {
					if n >= at {
						failed = true
						_ = fill(read, level)
					}
				}
				if r.spi != nil {
					r.spi.SetFault(func(n int, _, read []byte) error { die(n, read); return nil })
				} else {
					r.bus.SetFault(func(n int, _ uint16, _, read []byte, err error) error { die(n, read); return err })
				}
				if s := ask(t, r); s.Raw.Known() {
					d.is(t, fmt.Sprintf("dead at %02x from transaction %d on", level, at), s, 4000)
				} else if s.Quality == "range" || s.Quality == "short" || s.Quality == "open" {
					t.Errorf("dead at %02x from transaction %d on: %q, as if it had been measured", level, at, s.Quality)
				}
				done = !failed
			}
		}
	})
}

// A driver that hangs in a loop of its own ends with its context.
func TestNoProbeOutlivesItsContext(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		r := wire(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if s, err := r.probe.Sample(ctx); err == nil || s.Raw.Known() {
			t.Errorf("%+v, %v", s, err)
		}
		d.is(t, "with another", ask(t, r), 4000)
	})
}
