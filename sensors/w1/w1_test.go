package w1

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors/sensorstest"
)

const none = coldkeep.NoTemperature

// slave writes w1_slave as the kernel does, for eight scratchpad bytes.
func slave(pad [8]byte, t int) string {
	var hex []string
	for _, b := range pad {
		hex = append(hex, fmt.Sprintf("%02x", b))
	}
	crc := crc8(pad[:])
	line := strings.Join(append(hex, fmt.Sprintf("%02x", crc)), " ")
	return fmt.Sprintf("%s : crc=%02x YES\n%s t=%d\n", line, crc, line, t)
}

// pad is a DS18B20's scratchpad at 12 bits for a raw value in sixteenths of °C;
// byte 6 is what genuine parts count.
func pad(raw int16, six byte) [8]byte {
	return [8]byte{byte(raw), byte(raw >> 8), 0x4b, 0x46, 0x7f, 0xff, six, 0x10}
}

func TestParseSlave(t *testing.T) {
	fridge := slave(pad(69, 11), 4312)
	for name, c := range map[string]struct {
		text  string
		value coldkeep.Temperature
		q     coldkeep.Quality
	}{
		"fridge":                 {fridge, 4312, ""},
		"freezer":                {slave(pad(-310, 6), -19375), -19375, ""},
		"no line end":            {strings.TrimSpace(fridge), 4312, ""},
		"true zero":              {slave(pad(0, 16), 0), 0, ""}, // not an empty scratchpad
		"15.25 has byte 6 of 0c": {slave(pad(244, 12), 15250), 15250, ""},
		"power-on value":         {slave(pad(1360, 12), 85000), none, "reset85"},
		"85 with another byte 6": {slave(pad(1360, 16), 85000), 85000, ""}, // for the gate to judge
		"a failed conversion":    {slave(pad(0x07ff, 1), 127937), none, "range"},
		"below the chip":         {slave(pad(-881, 1), -55062), none, "range"},
		"wire held low":          {slave([8]byte{}, 0), none, "zeros"},
		"zeros, NO":              {strings.Replace(slave([8]byte{}, 0), "YES", "NO", 1), none, "crc"},
		"NO with a stale t":      {strings.Replace(fridge, "YES", "NO", 1), none, "crc"},
		"YES, wrong CRC":         {strings.Replace(fridge, "45 00", "46 00", 1), none, "crc"},
		"bus without a probe":    {"ff ff ff ff ff ff ff ff ff : crc=c9 NO\nff ff ff ff ff ff ff ff ff t=-62\n", none, "crc"},
		"empty":                  {"", none, "crc"},
		"a line end alone":       {"\n", none, "crc"},
		"no t":                   {strings.Split(fridge, " t=")[0] + "\n", none, "error"},
		"no second line":         {strings.Split(fridge, "\n")[0], none, "error"},
		"t is a word":            {strings.Replace(fridge, "t=4312", "t=cold", 1), none, "error"},
		"t is huge":              {strings.Replace(fridge, "t=4312", "t=99999999999", 1), none, "error"},
		"another file":           {"w1_bus_master1\n", none, "error"},
	} {
		if value, q := ParseSlave([]byte(c.text)); value != c.value || q != c.q {
			t.Errorf("%s: %v %q, want %v %q", name, value, q, c.value, c.q)
		}
	}
}

// Application note 27's own example: ROM 02 1c b8 01 00 00 00 has CRC a2.
func TestCRC8(t *testing.T) {
	if got := crc8([]byte{0x02, 0x1c, 0xb8, 0x01, 0, 0, 0}); got != 0xa2 {
		t.Errorf("%02x, want a2", got)
	}
}

// No text makes the parser crash or give a number with a reason against it.
func FuzzParseSlave(f *testing.F) {
	f.Add([]byte(slave(pad(69, 11), 4312)))
	f.Add([]byte(slave([8]byte{}, 0)))
	f.Add([]byte("ff ff ff ff ff ff ff ff ff : crc=c9 NO\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		value, q := ParseSlave(text)
		if value.Known() == q.NoValue() || !q.Valid() {
			t.Errorf("%v beside %q", value, q)
		}
		if value.Known() && (value < lowest || value > highest) {
			t.Errorf("%v is beyond the chip", value)
		}
	})
}

// tree makes a root as the kernel's: links into the folders of bus masters.
func tree(t *testing.T, devices map[string]string) string {
	t.Helper()
	base := t.TempDir()
	root := filepath.Join(base, "bus", "w1", "devices")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range devices {
		dir := filepath.Join(base, "devices", "w1_bus_master1", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "w1_slave"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(dir, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestScan(t *testing.T) {
	root := tree(t, map[string]string{
		"28-000005e2fdc3": slave(pad(69, 11), 4312),
		"28-000005e2f000": "",
		"10-0008021dad2e": slave([8]byte{0x25, 0, 0x4b, 0x46, 0xff, 0xff, 5, 0x10}, 18437),
		"00-278000000000": "", // noise on a floating line
		"w1_bus_master1":  "",
		"28-shortserial":  "",
	})
	found, err := New(root).Scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range found {
		sensorstest.RunProbe(t, p)
		s, err := p.Sample(t.Context())
		if err != nil {
			t.Error(err)
		}
		info := p.(*Probe).Info()
		got = append(got, fmt.Sprintf("%s %s %s %v%s", info.Probe, info.Kind, info.Bus, s.Raw, s.Quality))
	}
	want := []string{
		"10-0008021dad2e ds18s20 w1_bus_master1 18.437",
		"28-000005e2f000 ds18b20 w1_bus_master1 crc",
		"28-000005e2fdc3 ds18b20 w1_bus_master1 4.312",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestProbeVanishes(t *testing.T) {
	root := tree(t, map[string]string{"28-000005e2fdc3": slave(pad(69, 11), 4312)})
	found, err := New(root).Scan(t.Context())
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	dir := filepath.Join(root, "28-000005e2fdc3")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if s, err := found[0].Sample(t.Context()); err != nil || s.Raw.Known() || s.Quality != coldkeep.QualityMissing {
		t.Errorf("a probe that is gone gave %+v, %v", s, err)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if s, err := found[0].Sample(t.Context()); err != nil || s.Raw != 4312 {
		t.Errorf("a probe that is back gave %+v, %v", s, err)
	}
}

func TestProbeThatCannotBeRead(t *testing.T) {
	root := tree(t, map[string]string{"28-000005e2fdc3": ""})
	name := filepath.Join(root, "28-000005e2fdc3", "w1_slave")
	if err := errors.Join(os.Remove(name), os.Mkdir(name, 0o755)); err != nil { // reading a folder fails
		t.Fatal(err)
	}
	found, err := New(root).Scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := found[0].Sample(t.Context()); err == nil || s.Raw.Known() || s.Quality != coldkeep.QualityError {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestNoRoot(t *testing.T) {
	_, err := New(filepath.Join(t.TempDir(), "none")).Scan(context.Background())
	if coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE || !strings.Contains(err.Error(), "w1-gpio") {
		t.Errorf("%v, want EUNAVAILABLE with a hint", err)
	}
}

// A probe that is configured and not there is missing, until it comes back.
func TestExpectedProbe(t *testing.T) {
	root := tree(t, map[string]string{"28-000005e2fdc3": slave(pad(69, 11), 4312)})
	bus := New(root)
	bus.Expect([]coldkeep.ProbeID{"28-000005e2fdc3", "28-000000000001", "z2m:fridge", "00-278000000000"})
	found, err := bus.Scan(t.Context())
	if err != nil || len(found) != 2 {
		t.Fatal(found, err)
	}
	if s, err := found[0].Sample(t.Context()); err != nil || s.Quality != coldkeep.QualityMissing || s.Raw.Known() {
		t.Errorf("%+v, %v", s, err)
	}
}
