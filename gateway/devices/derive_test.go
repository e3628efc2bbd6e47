package devices

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

var dawn = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func hour(h int) time.Time    { return dawn.Add(time.Duration(h) * time.Hour) }
func hourAt(h int) *time.Time { t := hour(h); return &t }
func threshold(s string) (t coldkeep.Threshold) {
	if err := t.UnmarshalText([]byte(s)); err != nil {
		panic(err)
	}
	return t
}

func series(site, agent, probe string) coldkeep.Series {
	return coldkeep.Series{Site: coldkeep.SiteID(site), Agent: coldkeep.AgentID(agent), Probe: coldkeep.ProbeID(probe)}
}

// clinic is a mirror with a bit of everything.
func clinic() *coldkeep.Mirror {
	return &coldkeep.Mirror{Revision: 1,
		Appliances: []coldkeep.Appliance{
			{ID: "fridge", Site: "lakeside", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true},
			{ID: "own", Site: "lakeside", Unit: coldkeep.Refrigerator, Profile: "cdc", InService: true,
				Limits: &coldkeep.Limits{Low: threshold("36F"), High: threshold("46F")}},
			{ID: "freezer", Site: "lakeside", Unit: coldkeep.Freezer, Profile: "cdc", InService: false},
			{ID: "odd", Site: "lakeside", Unit: coldkeep.Freezer, Profile: "nobody's", InService: true},
		},
		Assignments: []coldkeep.Assignment{
			{Series: series("lakeside", "pi-1", "b"), Appliance: "own", From: hour(0)},
			{Series: series("lakeside", "pi-1", "a"), Appliance: "freezer", From: hour(-9), To: hourAt(-1)},
			{Series: series("lakeside", "pi-1", "a"), Appliance: "fridge", From: hour(-1)},
			{Series: series("lakeside", "pi-1", "late"), Appliance: "fridge", From: hour(5), To: hourAt(7)},
			{Series: series("lakeside", "pi-1", "c"), Appliance: "freezer", From: hour(0)},
			{Series: series("lakeside", "pi-1", "air"), Appliance: "fridge", Role: coldkeep.RoleAir, From: hour(0)},
			{Series: series("lakeside", "pi-1", "odd"), Appliance: "odd", From: hour(0)},
			{Series: series("lakeside", "pi-1", "a name for people"), Appliance: "fridge", From: hour(0)},
			{Series: series("lakeside", "gone", "x"), Appliance: "fridge", From: hour(0)},
			{Series: series("lakeside", "+", "x"), Appliance: "fridge", From: hour(0)},
			{Series: series("lakeside", "unlisted", "x"), Appliance: "nowhere", From: hour(0)},
		},
		Devices: []coldkeep.Device{{Site: "lakeside", Agent: "pi-1"}, {Site: "lakeside", Agent: "new"}, {Site: "lakeside", Agent: "gone", Revoked: true}},
		Calibrations: []coldkeep.Calibration{
			{Series: series("lakeside", "pi-1", "a"), Offset: 50},
			{Series: series("lakeside", "pi-1", "a"), Offset: -120, Certificate: "C-17", Expires: "2027-03-01"},
			{Series: series("lakeside", "pi-1", "b"), Offset: 7, Table: [][2]coldkeep.Temperature{{0, -120}, {5000, -90}}},
			{Series: series("lakeside", "pi-1", "c"), Offset: 99_000, Certificate: "C-18", Expires: "2027-03-01"},
		},
	}
}

func TestDerive(t *testing.T) {
	p := derive(clinic(), hour(1), time.Minute)
	got, err := json.Marshal(p.configs[name{"lakeside", "pi-1"}])
	if err != nil {
		t.Fatal(err)
	}
	// 46 °F is 7777.7 thousandths of °C, and 36 °F 2222.2: a probe that says 7.777 is
	// in range and one that says 7.778 is not.
	want := `{"v":1,"cfg":0,"interval_s":60,"probes":[` +
		`{"p":"a","appliance":"fridge","unit":"refrigerator","offset_mc":-120,"certificate":"C-17","expires":"2027-03-01","local":{"low_mc":2000,"high_mc":8000,"after_s":900}},` +
		`{"p":"air","appliance":"fridge","unit":"refrigerator"},` +
		`{"p":"b","appliance":"own","unit":"refrigerator","table":[[0,-120],[5000,-90]],"local":{"low_mc":2223,"high_mc":7777,"after_s":900}},` +
		`{"p":"c","appliance":"freezer","unit":"freezer","certificate":"C-18","expires":"1970-01-01"},` +
		`{"p":"odd","appliance":"odd","unit":"freezer"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if c := p.configs[name{"lakeside", "new"}]; c.Probes == nil || len(c.Probes) != 0 || c.Interval != 60 {
		t.Errorf("a device without probes is told %+v", c)
	}
	if c := p.configs[name{"lakeside", "unlisted"}]; len(c.Probes) != 1 || c.Probes[0].Local != nil {
		t.Errorf("a device that has no account here is told %+v", c)
	}
	if len(p.configs) != 3 {
		t.Errorf("%d devices are told something, want 3", len(p.configs))
	}
	wrong := strings.Join(p.wrong[name{"lakeside", "pi-1"}], "\n")
	for _, w := range []string{"appliance odd has no local alarm", "calibration of probe c", "a name for people"} {
		if !strings.Contains(wrong, w) {
			t.Errorf("it is not said that %q:\n%s", w, wrong)
		}
	}
	if !p.until.Equal(hour(5)) {
		t.Errorf("the plan holds until %v, want %v", p.until, hour(5))
	}
	if p := derive(clinic(), hour(6), time.Minute); len(p.configs[name{"lakeside", "pi-1"}].Probes) != 6 || !p.until.Equal(hour(7)) {
		t.Errorf("at 6: %+v until %v", p.configs, p.until)
	}
	if p := derive(clinic(), hour(7), time.Minute); !p.until.IsZero() {
		t.Errorf("after the last change the plan ends at %v", p.until)
	}
}

// A unit that is noted as out of service has no alarm meanwhile.
func TestOutOfService(t *testing.T) {
	m := clinic()
	m.Contexts = []coldkeep.Context{
		{Appliance: "fridge", Kind: coldkeep.ContextOutOfService, From: hour(2), To: hourAt(3)},
		{Appliance: "own", Kind: coldkeep.ContextDefrost, From: hour(2)},
	}
	for h, alarm := range map[int]bool{1: true, 2: false, 3: true} {
		p := derive(m, hour(h), time.Minute)
		c := p.configs[name{"lakeside", "pi-1"}]
		if (c.Probes[0].Local != nil) != alarm || c.Probes[2].Local == nil {
			t.Errorf("at %d: %+v", h, c.Probes)
		}
	}
	if p := derive(m, hour(1), time.Minute); !p.until.Equal(hour(2)) {
		t.Errorf("the plan holds until %v, want %v", p.until, hour(2))
	}
}

// What a device is told never depends on the order in which the registry lists
// things.
func TestDeriveIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := clinic()
		m.Calibrations = m.Calibrations[1:] // of two of one probe the later line counts
		at := hour(rapid.IntRange(-10, 10).Draw(t, "hour"))
		want := text(derive(m, at, time.Minute))
		m.Appliances = rapid.Permutation(m.Appliances).Draw(t, "appliances")
		m.Assignments = rapid.Permutation(m.Assignments).Draw(t, "assignments")
		m.Devices = rapid.Permutation(m.Devices).Draw(t, "devices")
		m.Calibrations = rapid.Permutation(m.Calibrations).Draw(t, "calibrations")
		if got := text(derive(m, at, time.Minute)); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

func text(p plan) string {
	flat := map[string]any{"until": p.until}
	for n, c := range p.configs {
		flat[n.String()] = c
	}
	for n, w := range p.wrong {
		flat["wrong "+n.String()] = w
	}
	b, err := json.Marshal(flat)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// The device compares whole thousandths with whole thousandths, and finds out of
// range what the profile does.
func TestLocalLimitsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th := coldkeep.Threshold{Milli: rapid.Int64Range(-200_000, 200_000).Draw(t, "limit"), Scale: rapid.SampledFrom([]coldkeep.Scale{coldkeep.ScaleCelsius, coldkeep.ScaleFahrenheit}).Draw(t, "scale")}
		near := int64(th.Celsius() * 1000)
		c := coldkeep.Temperature(near + rapid.Int64Range(-3, 3).Draw(t, "off"))
		if above := th.Compare(c) > 0; above != (int64(c) > highest(th)) {
			t.Fatalf("%v above %v is %v, but highest is %d", c, th, above, highest(th))
		}
		if below := th.Compare(c) < 0; below != (int64(c) < lowest(th)) {
			t.Fatalf("%v below %v is %v, but lowest is %d", c, th, below, lowest(th))
		}
	})
}

// A device is told of the lots on hold in its own appliances, in a steady order, and
// of no more than it takes.
func TestHoldsOfADevice(t *testing.T) {
	since := time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)
	m := coldkeep.Mirror{Revision: 1, Devices: []coldkeep.Device{{Site: "clinic", Agent: "pi"}},
		Assignments: []coldkeep.Assignment{{Series: coldkeep.Series{Site: "clinic", Agent: "pi", Probe: "a"}, Appliance: "fridge"}},
		LotsOnHold:  []coldkeep.LotOnHold{{Appliance: "fridge", Lot: "B", Product: "MMR II", Since: since}, {Appliance: "freezer", Lot: "C", Since: since}, {Appliance: "fridge", Lot: "A", Since: since}}}
	p := derive(&m, since, time.Minute)
	want := []wire.Hold{{Appliance: "fridge", Lot: "A", Since: "2026-03-01T06:00:00Z"}, {Appliance: "fridge", Lot: "B", Product: "MMR II", Since: "2026-03-01T06:00:00Z"}}
	if got := p.configs[name{"clinic", "pi"}].Holds; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for i := range 2 * wire.MaxHolds {
		m.LotsOnHold = append(m.LotsOnHold, coldkeep.LotOnHold{Appliance: "fridge", Lot: fmt.Sprint(i), Since: since})
	}
	if got := derive(&m, since, time.Minute).configs[name{"clinic", "pi"}].Holds; len(got) != wire.MaxHolds {
		t.Errorf("%d holds", len(got))
	}
}
