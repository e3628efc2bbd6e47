package coldkeep_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
)

func TestTemperatureText(t *testing.T) {
	for m, want := range map[coldkeep.Temperature]string{0: "0", 4312: "4.312", -15_000: "-15", -250: "-0.25", 8_100: "8.1", 1: "0.001", -1: "-0.001", coldkeep.NoTemperature: ""} {
		if got := m.String(); got != want {
			t.Errorf("%d prints %q, want %q", int32(m), got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		m := coldkeep.Temperature(rapid.Int32Range(math.MinInt32+1, math.MaxInt32).Draw(t, "m"))
		got, err := coldkeep.ParseTemperature(m.String())
		if err != nil || got != m {
			t.Fatalf("%d prints %q and reads %d, %v", int32(m), m.String(), int32(got), err)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &got); err != nil || got != m {
			t.Fatalf("%s reads %d, %v", b, int32(got), err)
		}
	})
	for _, bad := range []string{"", "warm", "NaN", "Inf", "1e9", "4,3"} {
		if v, err := coldkeep.ParseTemperature(bad); coldkeep.ErrorCode(err) != coldkeep.EINVALID || v.Known() {
			t.Errorf("%q reads %v, %v", bad, v, err)
		}
	}
}

// A limit published in °F is compared exactly, never converted first.
func TestThresholdIsExact(t *testing.T) {
	for _, c := range []struct {
		limit string
		at    coldkeep.Temperature
		want  int
	}{
		{"8C", 8000, 0}, {"8C", 8001, 1}, {"8C", 7999, -1}, {"-15C", -15_000, 0},
		{"46F", 7777, -1}, {"46F", 7778, 1}, // 46 °F is 7.777… °C
		{"36F", 2222, -1}, {"36F", 2223, 1},
		{"32F", 0, 0}, {"5F", -15_000, 0}, {"-58F", -50_000, 0}, {"-40F", -40_000, 0},
	} {
		var th coldkeep.Threshold
		if err := th.UnmarshalText([]byte(c.limit)); err != nil {
			t.Fatal(err)
		}
		if got := th.Compare(c.at); got != c.want {
			t.Errorf("%v against %s is %d, want %d", c.at, c.limit, got, c.want)
		}
		if b, err := th.MarshalText(); err != nil || string(b) != c.limit {
			t.Errorf("%s is written %s, %v", c.limit, b, err)
		}
	}
	for _, bad := range []string{"", "8", "C", "8K", "NaNC", "1e9C"} {
		if err := new(coldkeep.Threshold).UnmarshalText([]byte(bad)); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestProfiles(t *testing.T) {
	names := coldkeep.ProfileNames()
	if len(names) == 0 {
		t.Fatal("no built-in profiles")
	}
	for _, name := range names {
		p, err := coldkeep.FindProfile(name)
		if err != nil || p.Name != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := coldkeep.FindProfile("nowhere"); coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(err.Error(), "cdc") {
		t.Errorf("an unknown profile: %v", err)
	}
}

// A wrong profile is refused with the place and the reason.
func TestWrongProfiles(t *testing.T) {
	const good = `{"name":"x","version":1,"title":"X","retention_years":3,"units":{"refrigerator":{"low":"2C","high":"8C","range_source":"s","close_after_min":10,"max_gap_min":30,"no_data_alert_min":60,
		"rules":[{"kind":"too-warm","type":"consecutive","beyond":"8C","minutes":30,"actions":["log"],"source":"s"}]}}}`
	if _, err := coldkeep.ParseProfile([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{
		{`"version":1`, `"version":0`, "version"},
		{`"retention_years":3`, `"retention_years":2`, "three years"},
		{`"refrigerator"`, `"fridge"`, "fridge"},
		{`"high":"8C"`, `"high":"46F"`, "one unit"},
		{`"low":"2C"`, `"low":"9C"`, "low below high"},
		{`"max_gap_min":30`, `"max_gap_min":0`, "max_gap_min"},
		{`"kind":"too-warm"`, `"kind":"warm"`, "rule 1"},
		{`"type":"consecutive"`, `"type":"sometimes"`, "sometimes"},
		{`"type":"consecutive"`, `"type":"instant"`, "instant"},
		{`"minutes":30`, `"minutes":0`, "consecutive"},
		{`"actions":["log"]`, `"actions":["shout"]`, "shout"},
		{`"actions":["log"]`, `"actions":[]`, "no actions"},
		{`"source":"s"}]`, `"source":""}]`, "no source"},
		{`"title"`, `"titel"`, "titel"},
	} {
		bad := strings.Replace(good, c[0], c[1], 1)
		if _, err := coldkeep.ParseProfile([]byte(bad)); coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s: %v", c[1], err)
		}
	}
}

func TestScaledClock(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c, err := coldkeep.NewScaledClock(start, 36_000)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := c.Sleep(t.Context(), time.Hour); err != nil { // a tenth of a second
		t.Fatal(err)
	}
	real, scaled := time.Since(began), c.Now().Sub(start)
	if scaled < time.Hour || scaled > time.Duration(float64(real)*36_000)+time.Hour {
		t.Fatalf("%v went by on the clock in %v", scaled, real)
	}
	for _, bad := range []float64{0, -1, math.NaN(), math.Inf(1), 1e9} {
		if _, err := coldkeep.NewScaledClock(start, bad); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("speed %v: %v", bad, err)
		}
	}
}

func TestErrorsShowNoInsides(t *testing.T) {
	inner := json.Unmarshal([]byte("{"), &struct{}{})
	err := coldkeep.Wrap(inner, coldkeep.EINTERNAL, "op", "secret detail")
	if msg := coldkeep.ErrorMessage(err); strings.Contains(msg, "secret") || strings.Contains(msg, "JSON") {
		t.Errorf("a person is shown %q", msg)
	}
	if coldkeep.ErrorCode(inner) != coldkeep.EINTERNAL || coldkeep.ErrorCode(nil) != "" || coldkeep.Wrap(nil, "x", "", "") != nil {
		t.Error("codes of foreign and nil errors")
	}
}
