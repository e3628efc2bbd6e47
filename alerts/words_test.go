package alerts_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
	"github.com/coldkeep/coldkeep/alerts/channel/channeltest"
)

var update = flag.Bool("update", false, "write the golden files")

// What people read at each turn of an alert, in one file to be read by people.
func TestWords(t *testing.T) {
	answered := func(m *alerts.Message) {
		at := m.At
		m.Alert.State, m.Alert.AcknowledgedBy, m.Alert.Note, m.Alert.AcknowledgedAt = coldkeep.AlertAcknowledged, "Anna Berg", "Moved to freezer 2.", &at
	}
	over := func(m *alerts.Message) {
		end := m.Alert.Excursion.Start.Add(23 * time.Hour)
		m.Alert.Excursion.State, m.Alert.Excursion.End, m.Alert.Excursion.MinutesOut = coldkeep.ExcursionClosed, &end, 23*60
	}
	// silent has an alert of a kind that is no temperature.
	silent := func(kind coldkeep.Kind, reason string) func(*alerts.Message) {
		return func(m *alerts.Message) {
			x := &m.Alert.Excursion
			x.Kind, x.Reason, x.Rule, x.Extreme, x.MinutesOut, x.PeakAt = kind, reason, "", coldkeep.NoTemperature, 0, x.Start
			x.Actions = []coldkeep.Action{coldkeep.ActionLog, coldkeep.ActionAlert}
			if kind == coldkeep.DeviceFault {
				x.Appliance, x.Probe, m.Alert.Appliance, m.Appliance = "", "north/pi", "", coldkeep.Appliance{}
				m.Link = "https://coldkeep.example" + alerts.Path(m.Alert)
			}
		}
	}
	back := func(m *alerts.Message) {
		end := m.Alert.Excursion.Start.Add(50 * time.Minute)
		m.Alert.Excursion.State, m.Alert.Excursion.End = coldkeep.ExcursionClosed, &end
	}
	gone := func(m *alerts.Message) { m.Alert.Excursion.State = coldkeep.ExcursionWithdrawn }
	also := func(kind coldkeep.Kind) func(*alerts.Message) {
		return func(m *alerts.Message) {
			m.Also = []alerts.Also{{Alert: "01JOTHER", Kind: kind, Start: m.Alert.Excursion.Start.Add(20 * time.Minute)}}
		}
	}
	later := func(m *alerts.Message) { m.At = m.At.Add(72 * time.Hour) }
	full := func(m *alerts.Message) {
		mkt := coldkeep.Temperature(-9_400)
		x := &m.Alert.Excursion
		x.MKT, x.DegreeMinutes = &mkt, 312.5
		x.Witnesses = []coldkeep.Witness{{Probe: "north/pi/T0", Role: coldkeep.RoleVaccine, Out: true, Extreme: -3100}, {Probe: "north/pi/T1", Role: coldkeep.RoleAir, Extreme: -15_500}}
		x.Contexts = []coldkeep.ContextKind{coldkeep.ContextDoorOpen, coldkeep.ContextPowerLost}
	}
	var got strings.Builder
	for _, c := range []struct {
		name  string
		event alerts.Event
		with  []func(*alerts.Message)
	}{
		{"raised", alerts.EventRaised, nil},
		{"raised when it was over already", alerts.EventRaised, []func(*alerts.Message){over}},
		{"too cold, with no names known", alerts.EventRaised, []func(*alerts.Message){func(m *alerts.Message) {
			m.Site, m.Appliance, m.Link = coldkeep.Site{ID: "north"}, coldkeep.Appliance{ID: "fridge-1"}, ""
			m.Alert.Excursion.Kind, m.Alert.Excursion.Extreme = coldkeep.TooCold, -500
			m.Alert.Excursion.Actions = []coldkeep.Action{coldkeep.ActionAlert}
		}}},
		{"repeated", alerts.EventRepeated, nil},
		{"back in range", alerts.EventResolved, []func(*alerts.Message){over}},
		{"back in range and nobody has answered", alerts.EventRepeated, []func(*alerts.Message){over}},
		{"again", alerts.EventReopened, nil},
		{"withdrawn", alerts.EventWithdrawn, []func(*alerts.Message){func(m *alerts.Message) { m.Alert.Excursion.State = coldkeep.ExcursionWithdrawn }}},
		{"answered", alerts.EventAcknowledged, []func(*alerts.Message){answered}},
		{"answered, then back in range", alerts.EventResolved, []func(*alerts.Message){answered, over}},
		{"too warm, with all that is known", alerts.EventRaised, []func(*alerts.Message){full}},
		{"too warm while another probe is silent", alerts.EventRaised, []func(*alerts.Message){also(coldkeep.NoData)}},
		{"no readings", alerts.EventRaised, []func(*alerts.Message){silent(coldkeep.NoData, "no readings")}},
		{"no readings while it is too warm", alerts.EventRaised, []func(*alerts.Message){silent(coldkeep.NoData, "no readings"), also(coldkeep.TooWarm)}},
		{"no readings for three days, and nobody has answered", alerts.EventRepeated, []func(*alerts.Message){silent(coldkeep.NoData, "no readings"), later}},
		{"readings are back", alerts.EventResolved, []func(*alerts.Message){silent(coldkeep.NoData, "readings are back"), back}},
		{"readings are back and nobody has answered", alerts.EventRepeated, []func(*alerts.Message){silent(coldkeep.NoData, "readings are back"), back}},
		{"no readings, answered", alerts.EventAcknowledged, []func(*alerts.Message){silent(coldkeep.NoData, "no readings"), answered}},
		{"no readings, withdrawn", alerts.EventWithdrawn, []func(*alerts.Message){silent(coldkeep.NoData, "late readings show that it was none"), gone}},
		{"probe fault", alerts.EventRaised, []func(*alerts.Message){silent(coldkeep.SensorFault, "the probe gives no reading that can be believed: open")}},
		{"probe fault of no known kind", alerts.EventReopened, []func(*alerts.Message){silent(coldkeep.SensorFault, "")}},
		{"probe fault is over", alerts.EventResolved, []func(*alerts.Message){silent(coldkeep.SensorFault, ""), back}},
		{"device fault", alerts.EventRaised, []func(*alerts.Message){silent(coldkeep.DeviceFault, "the device's clock is 12m0s ahead of the collector's")}},
		{"device fault is over", alerts.EventResolved, []func(*alerts.Message){silent(coldkeep.DeviceFault, "the device's clock is right again"), back}},
	} {
		m := channeltest.Example()
		m.Event = c.event
		for _, f := range c.with {
			f(&m)
		}
		got.WriteString("=== " + c.name + "\n--- " + m.Title() + "\n" + m.Text() + "\n")
	}
	const golden = "testdata/words.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}
