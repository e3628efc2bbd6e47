package w1

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/sensors"
)

func TestParseTemperature(t *testing.T) {
	for text, want := range map[string]struct {
		value coldkeep.Temperature
		q     coldkeep.Quality
	}{
		"4312\n":   {4312, ""},
		"-19375\n": {-19375, ""},
		"85000\n":  {85000, ""}, // for the gate to judge
		"":         {none, "crc"},
		"0\n":      {none, "zeros"},
		"127937\n": {none, "range"},
		"-55001\n": {none, "range"},
		"cold\n":   {none, "error"},
		"4.3\n":    {none, "error"},
	} {
		if value, q := ParseTemperature([]byte(text)); value != want.value || q != want.q {
			t.Errorf("%q: %v %q, want %v %q", text, value, q, want.value, want.q)
		}
	}
}

func FuzzParseTemperature(f *testing.F) {
	f.Add([]byte("4312\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		value, q := ParseTemperature(text)
		if value.Known() == q.NoValue() || value.Known() && (value < lowest || value > highest) {
			t.Errorf("%q: %v %q", text, value, q)
		}
	})
}

// Where there is no w1_slave the temperature file is read.
func TestTemperatureFile(t *testing.T) {
	root := tree(t, map[string]string{"28-000005e2fdc3": ""})
	dir := filepath.Join(root, "28-000005e2fdc3")
	if err := errors.Join(os.Remove(filepath.Join(dir, "w1_slave")), os.WriteFile(filepath.Join(dir, "temperature"), []byte("-18500\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	found, err := New(root).Scan(t.Context())
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if s, err := found[0].Sample(t.Context()); err != nil || s.Raw != -18500 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestTraitsAndNote(t *testing.T) {
	root := tree(t, map[string]string{"28-000000000001": "", "28-000000000002": "", "28-000000000003": "", "10-000000000004": ""})
	for name, files := range map[string]map[string]string{
		"28-000000000001": {"resolution": "12\n", "ext_power": "1\n"},
		"28-000000000002": {"resolution": "9\n", "ext_power": "0\n"},
		"28-000000000003": {"resolution": "-19\n", "ext_power": "-19\n"}, // how the kernel tells an error
	} {
		for file, text := range files {
			if err := os.WriteFile(filepath.Join(root, name, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	bus := New(root)
	found, err := bus.Scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		step coldkeep.Temperature
		note bool
	}{{63, false}, {63, false}, {500, true}, {0, false}} // 10-… comes first
	for i, p := range found {
		if info := sensors.Describe(p); info.Traits.Step != want[i].step || (info.Note != "") != want[i].note {
			t.Errorf("%+v, want %+v", info, want[i])
		}
	}
	again, err := bus.Scan(t.Context())
	if err != nil || again[0] != found[0] {
		t.Errorf("a second scan made new probes, %v", err)
	}
}

// The probes of a master are converted together: one trigger a round, and one more
// when a probe is asked twice.
func TestBulkConversion(t *testing.T) {
	devices := make(map[string]string)
	for i := range 3 {
		devices[fmt.Sprintf("28-00000000000%d", i)] = slave(pad(int16(64+16*i), 0), 4000+1000*i)
	}
	root := tree(t, devices)
	file := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(root))), "devices", "w1_bus_master1", "therm_bulk_read")
	triggers := func() int {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if string(text) == "trigger\n" {
			n = 1
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		found, err := New(root).Scan(t.Context())
		if err != nil || len(found) != 3 {
			t.Fatal(found, err)
		}
		for round := range 2 {
			for i, p := range found {
				s, err := p.Sample(t.Context())
				if err != nil || s.Raw != coldkeep.Temperature(4000+1000*i) {
					t.Errorf("%+v, %v", s, err)
				}
				if got, want := triggers(), map[bool]int{true: 1}[i == 0]; got != want {
					t.Errorf("round %d, probe %d: %d triggers, want %d", round, i, got, want)
				}
			}
			time.Sleep(time.Minute)
		}
		_, _ = found[0].Sample(t.Context())
		triggers()
		time.Sleep(fresh)
		if _, _ = found[1].Sample(t.Context()); triggers() != 1 {
			t.Error("a conversion of long ago was taken")
		}
		// Never ready: the reading comes all the same, the probe's file decides.
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if s, err := found[1].Sample(t.Context()); err != nil || s.Raw != 5000 {
			t.Errorf("without therm_bulk_read: %+v, %v", s, err)
		}
	})
}
