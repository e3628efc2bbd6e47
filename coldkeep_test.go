package coldkeep_test

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"slices"
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
	// What each programme asks beside its rules.
	for name, want := range map[string][3]int{ // years of retention, years until recalibration, minutes between readings
		"cdc": {3, 2, 30}, "illinois": {3, 2, 30}, "california": {3, 1, 30}, "maryland": {3, 2, 15}, "alabama": {3, 2, 5}, "texas": {5, 2, 30}, "who-pqs": {3, 0, 15},
	} {
		p, err := coldkeep.FindProfile(name)
		if err != nil || p.Name != name {
			t.Errorf("%s: %v", name, err)
			continue
		}
		u, err := p.Unit(coldkeep.Refrigerator)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := [3]int{p.RetentionYear, p.RecalibrateYears, u.LoggingInterval}; got != want {
			t.Errorf("%s asks %v, want %v", name, got, want)
		}
		// Every number has its source, and a rule at an edge is in the unit of the range.
		for unit, u := range p.Units {
			for i, r := range u.Rules {
				if len(r.Source) < 10 || len(u.RangeSource) < 10 {
					t.Errorf("%s, %s, rule %d: source %q", name, unit, i+1, r.Source)
				}
				if r.Beyond.Scale != u.Low.Scale {
					t.Errorf("%s, %s, rule %d is in °%c, the range in °%c", name, unit, i+1, r.Beyond.Scale, u.Low.Scale)
				}
			}
		}
	}
	if names := coldkeep.ProfileNames(); len(names) != 7 || !slices.IsSorted(names) {
		t.Errorf("profiles %v", names)
	}
	if _, err := coldkeep.FindProfile("nowhere"); coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(err.Error(), "cdc") {
		t.Errorf("an unknown profile: %v", err)
	}
	if p, err := coldkeep.FindProfile("who-pqs"); err != nil {
		t.Error(err)
	} else if _, err := p.Unit(coldkeep.UltraCold); coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(err.Error(), "who-pqs@1") {
		t.Errorf("PQS has an ultra-cold freezer: %v", err)
	}
}

const goodProfile = `{"name":"x","version":1,"title":"X","retention_years":3,"units":{"refrigerator":{"low":"2C","high":"8C","range_source":"s","close_after_min":10,"max_gap_min":30,"no_data_alert_min":60,"logging_interval_min":15,
		"rules":[{"kind":"too-warm","type":"consecutive","beyond":"8C","minutes":30,"actions":["log"],"source":"s"},
			{"kind":"too-cold","type":"cumulative","beyond":"2C","minutes":60,"window_h":24,"actions":["log","hold"],"source":"s"}],
		"events":[{"event":"door-open","minutes":5,"actions":["warn"],"source":"t"}]}}}`

// A wrong profile is refused with the place and the reason.
func TestWrongProfiles(t *testing.T) {
	if _, err := coldkeep.ParseProfile([]byte(goodProfile)); err != nil {
		t.Fatal(err)
	}
	const fridge, rule1, event1 = "x@1, refrigerator", "x@1, refrigerator, rule 1", "x@1, refrigerator, event rule 1"
	for _, c := range [][]string{
		{`"version":1`, `"version":0`, "version"},
		{`"name":"x"`, `"name":"X/1"`, "X/1"},
		{`"name":"x"`, `"name":""`, "name"},
		{`"retention_years":3`, `"retention_years":2`, "three years"},
		{`"retention_years":3`, `"retention_years":3,"recalibrate_years":-1`, "recalibrate_years"},
		{`"refrigerator"`, `"fridge"`, "fridge"},
		{`"high":"8C"`, `"high":"46F"`, "one unit", fridge},
		{`"low":"2C"`, `"low":"9C"`, "low below high", fridge},
		{`"low":"2C",`, ``, "both needed", fridge},
		{`"low":"2C"`, `"low":"cold"`, "cold"},
		{`"range_source":"s",`, ``, "range_source", fridge},
		{`"close_after_min":10`, `"close_after_min":0`, "close_after_min", fridge},
		{`"max_gap_min":30`, `"max_gap_min":0`, "max_gap_min", fridge},
		{`"max_gap_min":30`, `"max_gap_min":1441`, "1440", fridge},
		{`"no_data_alert_min":60`, `"no_data_alert_min":29`, "no_data_alert_min", fridge},
		{`"no_data_alert_min":60`, `"no_data_alert_min":9999999`, "year", fridge},
		{`"logging_interval_min":15`, `"logging_interval_min":31`, "logging_interval_min", fridge},
		{`"kind":"too-warm"`, `"kind":"warm"`, "warm", rule1},
		{`"type":"consecutive"`, `"type":"sometimes"`, "sometimes", rule1},
		{`"type":"consecutive"`, `"type":"instant"`, "instant", rule1},
		{`"minutes":30`, `"minutes":0`, "consecutive", rule1},
		{`"minutes":30`, `"minutes":999999999`, "year", rule1},
		{`"minutes":60`, `"minutes":1441`, "fit", "rule 2"},
		{`"beyond":"8C",`, ``, "beyond", rule1},
		{`"actions":["log"]`, `"actions":["shout"]`, "shout", rule1},
		{`"actions":["log"]`, `"actions":["log","log"]`, "twice", rule1},
		{`"actions":["log"]`, `"actions":[]`, "no actions", rule1},
		{`"source":"s"}]`, `"source":""}]`, "no source", "rule 2"},
		{`"event":"door-open"`, `"event":"defrost"`, "defrost", event1},
		{`"minutes":5`, `"minutes":0`, "minutes", event1},
		{`"source":"t"`, `"source":""`, "no source", event1},
		{`"title"`, `"titel"`, "titel"},
		{`"units":{`, `"units":{"freezer":null,`, "no rules", "x@1, freezer"},
		{`}}}`, `}}} {}`, "more than one"},
	} {
		bad := strings.Replace(goodProfile, c[0], c[1], 1)
		if bad == goodProfile {
			t.Fatalf("%s is not in the profile", c[0])
		}
		_, err := coldkeep.ParseProfile([]byte(bad))
		if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %v", c[1], err)
			continue
		}
		for _, says := range c[2:] {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, without %q", c[1], err, says)
			}
		}
	}
}

// Whatever bytes come, a profile that is read is one that can be judged by: its
// limits are ordered and its rules whole, and it is written and read back the same.
func FuzzParseProfile(f *testing.F) {
	f.Add([]byte(goodProfile))
	for _, name := range []string{"cdc", "maryland", "who-pqs"} {
		b, err := os.ReadFile("profiles/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := coldkeep.ParseProfile(b)
		if err != nil {
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
				t.Fatal(err)
			}
			return
		}
		for unit, u := range p.Units {
			if u.Low.Celsius() >= u.High.Celsius() {
				t.Fatalf("%s: %v to %v", unit, u.Low, u.High)
			}
			if _, err := u.Within(&coldkeep.Limits{Low: u.Low, High: u.High}); err != nil {
				t.Fatalf("its own range is refused: %v", err)
			}
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := coldkeep.ParseProfile(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if !reflect.DeepEqual(normal(p), normal(q)) {
			t.Fatalf("%s reads otherwise", again)
		}
	})
}

// normal makes no difference between an empty list and none.
func normal(p *coldkeep.Profile) *coldkeep.Profile {
	if len(p.Notes) == 0 {
		p.Notes = nil
	}
	for _, u := range p.Units {
		if len(u.Events) == 0 {
			u.Events = nil
		}
		if len(u.Rules) == 0 {
			u.Rules = nil
		}
	}
	return p
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
