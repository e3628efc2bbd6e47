package board

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/i2c"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
	"github.com/coldkeep/coldkeep/sensors/chiptest"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{ // name, or what the error says
		"tmp117@/dev/i2c-1:0x48":                              "tmp117-1-48",
		"mcp9808@/dev/i2c-1:0x70.3:0x18":                      "mcp9808-1-70.3-18",
		"sht4x@/dev/i2c-10:0x44,name=room":                    "room",
		"ds18b20@/dev/i2c-1:0x1b":                             "ds18b20-1-1b",
		"max31865@/dev/spidev0.1":                             "max31865-0.1",
		"max31865@/dev/spidev0.0,rtd=pt1000,wires=4":          "max31865-0.0",
		"max31865@/dev/spidev0.0,ref=400,mains=50,name=ult:1": "ult:1",
		"tmp117":                                                 "want CHIP@BUS",
		"tmp117@/dev/i2c-1":                                      "want a bus and an address",
		"tmp117@/dev/i2c-1:0x18":                                 "0x48 to 0x4b",
		"tmp117@/dev/i2c-1:0x60.1:0x48":                          "0x70 to 0x77",
		"bmx280@/dev/i2c-1:0x76.1:0x76":                          "one address",
		"lm75@/dev/i2c-1:0x48":                                   `chip "lm75"`,
		"max31865@/dev/i2c-1:0x48":                               "SPI",
		"max31865@/dev/spidev0.0,wires=5":                        "wires",
		"max31865@/dev/spidev0.0,ref=lots":                       "not a number",
		"max31865@/dev/spidev0.0,ref=NaN":                        "ref",
		"tmp117@/dev/i2c-1:0x48,rtd=pt100":                       "no option",
		"tmp117@/dev/i2c-1:0x48,name=":                           "name",
		"tmp117@/dev/i2c-1:0x48,name=a b":                        "name",
		"ds18b20@/dev/i2c-1:0x18,name=mine":                      "no option",
		"tmp117@/dev/i2c-1:0x48,name=" + strings.Repeat("n", 65): "name",
	} {
		s, err := Parse(text)
		if err != nil {
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", text, err, want)
			}
			continue
		}
		if string(s.Name) != want {
			t.Errorf("%s: %q, want %q", text, s.Name, want)
		}
		if s.String() != text {
			t.Errorf("%s is written %s", text, s)
		}
	}
}

// What is read is written so that it reads the same.
func FuzzParse(f *testing.F) {
	f.Add("tmp117@/dev/i2c-1:0x48")
	f.Add("max31865@/dev/spidev0.0,rtd=pt1000,ref=4000,wires=2,mains=50,name=a")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.String())
		if err != nil || again != s {
			t.Errorf("%q is %+v, written %q, which is %+v, %v", text, s, s, again, err)
		}
	})
}

func specs(t *testing.T, texts ...string) (out []Spec) {
	t.Helper()
	for _, x := range texts {
		s, err := Parse(x)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func TestNewRefusesTwins(t *testing.T) {
	for _, texts := range [][]string{
		{"tmp117@/dev/i2c-1:0x48", "tmp102@/dev/i2c-1:0x48"},
		{"tmp117@/dev/i2c-1:0x48,name=a", "tmp117@/dev/i2c-1:0x49,name=a"},
	} {
		if _, err := New(Config{Specs: specs(t, texts...)}); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%v: %v", texts, err)
		}
	}
}

// crowded is a bus with a chip of each kind, two switches, and chips of one address
// behind different channels.
func crowded() *chiptest.Bus {
	near, far := chiptest.NewTMP117(3000), chiptest.NewTMP117(-20000)
	one, two := &chiptest.PCA9548{}, &chiptest.PCA9548{On: 0xff} // left on by who was here before
	one.Channels[0] = map[uint16]chiptest.Chip{0x48: near}
	one.Channels[7] = map[uint16]chiptest.Chip{0x48: far, 0x18: chiptest.NewMCP9808(5000)}
	two.Channels[2] = map[uint16]chiptest.Chip{0x19: &chiptest.DS2482{}}
	return chiptest.NewBus(map[uint16]chiptest.Chip{
		0x44: &chiptest.SHT4x{Celsius: 21000},
		0x49: chiptest.NewTMP102(22000),
		0x4b: chiptest.Other(0x42),
		0x77: chiptest.NewBMX280(23000),
		0x70: one, 0x71: two,
	})
}

func on(t *testing.T, bus i2c.BusCloser, texts ...string) *Board {
	t.Helper()
	b, err := New(Config{Specs: specs(t, texts...), OpenI2C: func(n int) (i2c.BusCloser, error) {
		if n != 1 {
			return nil, fmt.Errorf("no bus %d", n)
		}
		return bus, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := on(t, crowded())
		found, err := b.Find(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range found {
			if _, err := Parse(s.String()); err != nil {
				t.Error(err)
			}
			got = append(got, s.String())
		}
		slices.Sort(got)
		want := []string{
			"bmx280@/dev/i2c-1:0x77",
			"ds18b20@/dev/i2c-1:0x71.2:0x19",
			"mcp9808@/dev/i2c-1:0x70.7:0x18",
			"sht4x@/dev/i2c-1:0x44",
			"tmp102@/dev/i2c-1:0x49",
			"tmp117@/dev/i2c-1:0x70.0:0x48",
			"tmp117@/dev/i2c-1:0x70.7:0x48",
		}
		if !slices.Equal(got, want) {
			t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if _, err := b.Find(t.Context(), 2); err == nil {
			t.Error("a bus that is not there was searched")
		}
	})
}

// Chips of one address behind two channels each give their own temperature, and a
// switch that does not switch gives none.
func TestSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := crowded()
		b := on(t, bus, "tmp117@/dev/i2c-1:0x70.0:0x48,name=near", "tmp117@/dev/i2c-1:0x70.7:0x48,name=far", "tmp117@/dev/i2c-1:0x72.0:0x48,name=none")
		probes, _ := b.Scan(t.Context())
		for range 3 {
			for i, want := range []string{"3", "-20", "missing"} {
				s, err := probes[i].Sample(t.Context())
				if got := s.Raw.String() + string(s.Quality); got != want || err != nil {
					t.Errorf("%s: %s, %v, want %s", probes[i], got, err, want)
				}
			}
		}
		wedged := &chiptest.PCA9548{Wedged: true, On: 0x80}
		wedged.Channels[7] = map[uint16]chiptest.Chip{0x48: chiptest.NewTMP117(-20000)}
		b = on(t, chiptest.NewBus(map[uint16]chiptest.Chip{0x70: wedged}), "tmp117@/dev/i2c-1:0x70.0:0x48")
		probes, _ = b.Scan(t.Context())
		if s, err := probes[0].Sample(t.Context()); err == nil || s.Raw.Known() {
			t.Errorf("through a switch on another channel came %+v", s)
		}
	})
}

// Probes behind a bridge appear by their ROM codes, share one conversion, and stay
// known when they are pulled off. Nothing is ever written to their EEPROM.
func TestBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := &chiptest.DS2482{}
		for i := range 8 {
			line.Probes = append(line.Probes, &chiptest.DS18B20{Serial: 0x5e2fdc0 + uint64(i), Celsius: coldkeep.Temperature(1000 * i)})
		}
		line.Probes = append(line.Probes, &chiptest.DS18B20{Serial: 9, Family: 0x01}) // an iButton
		b := on(t, chiptest.NewBus(map[uint16]chiptest.Chip{0x18: line}), "ds18b20@/dev/i2c-1:0x18")
		probes, err := b.Scan(t.Context())
		if err != nil || len(probes) != 8 {
			t.Fatalf("found %v, %v", probes, err)
		}
		for round := range 2 {
			began := time.Now()
			for _, p := range probes {
				s, err := p.Sample(t.Context())
				want := coldkeep.Temperature(1000 * int(p.String()[len(p.String())-1]-'0'))
				if err != nil || s.Raw != want || s.Traits != (sensors.Traits{}) {
					t.Errorf("round %d, %s: %+v, %v, want %v", round, p, s, err, want)
				}
				if info := sensors.Describe(p); info.Kind != "ds18b20" || info.Bus != "i2c-1" || info.Traits.Step != 63 {
					t.Errorf("%+v", info)
				}
			}
			if took := time.Since(began); took > 1500*time.Millisecond {
				t.Errorf("eight probes took %v", took)
			}
		}
		if !slices.ContainsFunc(probes, func(p sensors.Probe) bool { return p.String() == "28-000005e2fdc3" }) {
			t.Errorf("names %v", probes)
		}
		line.Probes[0].Gone = true
		time.Sleep(searchEvery)
		if probes, err := b.Scan(t.Context()); err != nil || len(probes) != 8 {
			t.Errorf("after one was pulled off: %v, %v", probes, err)
		}
		for _, p := range line.Probes {
			if p.EEPROM != 0 {
				t.Errorf("EEPROM of %x was written %d times", p.Serial, p.EEPROM)
			}
		}
	})
}

// hung is a bus whose transactions do not come back.
type hung struct {
	*chiptest.Bus
	free chan struct{}
}

func (h *hung) Tx(uint16, []byte, []byte) error {
	<-h.free
	return errors.New("too late")
}

// A bridge on a bus that hangs holds a scan up once, not every time.
func TestScanOnHungBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hung{free: make(chan struct{})}
		b := on(t, h, "ds18b20@/dev/i2c-1:0x18", "tmp117@/dev/i2c-1:0x48")
		began := time.Now()
		for range 10 {
			if probes, err := b.Scan(t.Context()); err != nil || len(probes) != 1 {
				t.Errorf("%v, %v", probes, err)
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("ten scans took %v", took)
		}
		probes, _ := b.Scan(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if s, err := probes[0].Sample(ctx); !errors.Is(err, context.DeadlineExceeded) || s.Quality != coldkeep.QualityTimeout {
			t.Errorf("%+v, %v", s, err)
		}
		if err := probes[0].Halt(); err != nil { // returns, though the bus does not
			t.Error(err)
		}
		close(h.free)
	})
}

// A bus that is not there, or has gone, is opened again by itself.
func TestReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model := chiptest.NewBus(map[uint16]chiptest.Chip{0x48: chiptest.NewTMP117(4000)})
		there := false
		b, err := New(Config{Specs: specs(t, "tmp117@/dev/i2c-1:0x48"), OpenI2C: func(int) (i2c.BusCloser, error) {
			if !there {
				return nil, errors.New("sysfs-i2c: bus #1 is not configured")
			}
			return model, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		probes, _ := b.Scan(t.Context())
		if s, err := probes[0].Sample(t.Context()); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE || s.Raw.Known() {
			t.Errorf("%+v, %v", s, err)
		}
		there = true
		if s, err := probes[0].Sample(t.Context()); err != nil || s.Raw != 4000 {
			t.Errorf("%+v, %v", s, err)
		}
		model.SetFault(func(int, uint16, []byte, []byte, error) error { return errors.New("input/output error") })
		for range 3 {
			_, _ = probes[0].Sample(t.Context())
		}
		if model.Closed() != 1 {
			t.Errorf("after three failures the bus was closed %d times", model.Closed())
		}
		model.SetFault(nil)
		if s, err := probes[0].Sample(t.Context()); err != nil || s.Raw != 4000 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}
