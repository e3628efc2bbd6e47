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
