// Package channeltest is the suite that every alert channel passes.
package channeltest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/alerts"
)

// Rig is a channel and the fake of the party at its other end, which misbehaves
// when told to.
type Rig struct {
	Channel alerts.Channel
	To      string                  // a target that works
	Bad     []string                // targets that never can
	Got     func() []Receipt        // what the other side was given, in order
	Away    func()                  // the other side is gone
	Back    func()                  // and is there again
	Busy    func()                  // it answers the next message by "later"
	Refuse  func()                  // it answers the next message by "never"
	Hang    func() (release func()) // it answers nothing to the next message
	Lose    func()                  // it takes the next message, and its receipt gets lost
}

// Receipt is what the other side was given.
type Receipt struct {
	ID   string // of the delivery, by the means of the channel
	Text string // all of the message that a person reads
}

// Example is a message with everything in it.
func Example() alerts.Message {
	start := time.Date(2026, 8, 17, 19, 58, 27, 0, time.UTC)
	return alerts.Message{
		ID: "01JDELIVERY", Event: alerts.EventRaised, Telling: 1, At: start.Add(time.Hour), Repeat: 900,
		Site:      coldkeep.Site{ID: "north", Name: "North Clinic", TimeZone: "America/New_York"},
		Appliance: coldkeep.Appliance{ID: "freezer-1", Site: "north", Name: "Varicella freezer", Unit: coldkeep.Freezer},
		Link:      "https://coldkeep.example/units/freezer-1",
		Alert: coldkeep.Alert{
			ID: "01JALERT", Site: "north", Appliance: "freezer-1", State: coldkeep.AlertOpen, RaisedAt: start.Add(time.Hour),
			Excursion: coldkeep.Excursion{
				ID: "x1", Revision: 1, Site: "north", Appliance: "freezer-1", Probe: "north/pi/T0", Kind: coldkeep.TooWarm,
				Rule: coldkeep.Consecutive, Profile: "cdc@1", Start: start, PeakAt: start.Add(50 * time.Minute),
				Extreme: -3100, MinutesOut: 61, Actions: []coldkeep.Action{coldkeep.ActionLog, coldkeep.ActionAlert, coldkeep.ActionHold},
				State: coldkeep.ExcursionOpen,
			},
		},
	}
}

// Run runs the suite; rig makes a fresh rig for each test.
func Run(t *testing.T, rig func(t *testing.T) Rig) {
	send := func(t *testing.T, r Rig, id string) (bool, error) {
		t.Helper()
		m := Example()
		m.ID, m.To = id, r.To
		return r.Channel.Send(t.Context(), m)
	}
	ids := func(r Rig) (out []string) {
		for _, g := range r.Got() {
			out = append(out, g.ID)
		}
		return out
	}

	t.Run("delivers what a person needs to know", func(t *testing.T) {
		r := rig(t)
		if r.Channel.Name() == "" {
			t.Error("the channel has no name")
		}
		if _, err := send(t, r, "d1"); err != nil {
			t.Fatal(err)
		}
		got := r.Got()
		if len(got) != 1 || got[0].ID != "d1" {
			t.Fatalf("got %+v", got)
		}
		for _, want := range []string{"Varicella freezer", "North Clinic", "-3.1 °C", "26.4 °F", "Mon 17 Aug 2026 15:58 EDT", "DO NOT USE", "https://coldkeep.example/units/freezer-1"} {
			if !strings.Contains(got[0].Text, want) {
				t.Errorf("%q is not in\n%s", want, got[0].Text)
			}
		}
	})
	t.Run("a lost receipt leads to the same id again", func(t *testing.T) {
		r := rig(t)
		r.Lose()
		if retryable, err := send(t, r, "d1"); err == nil || !retryable {
			t.Fatalf("retryable %v, %v", retryable, err)
		}
		if _, err := send(t, r, "d1"); err != nil {
			t.Fatal(err)
		}
		if got := ids(r); !slices.Equal(got, []string{"d1", "d1"}) {
			t.Fatalf("got %v", got)
		}
	})
	t.Run("away is retryable", func(t *testing.T) {
		r := rig(t)
		r.Away()
		retryable, err := send(t, r, "d1")
		if err == nil || !retryable {
			t.Fatalf("retryable %v, %v", retryable, err)
		}
		if strings.Contains(err.Error(), r.To) {
			t.Errorf("the error shows the target: %v", err)
		}
		r.Back()
		if _, err := send(t, r, "d2"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("later is retryable", func(t *testing.T) {
		r := rig(t)
		r.Busy()
		if retryable, err := send(t, r, "d1"); err == nil || !retryable {
			t.Fatalf("retryable %v, %v", retryable, err)
		}
	})
	t.Run("never is not", func(t *testing.T) {
		r := rig(t)
		r.Refuse()
		retryable, err := send(t, r, "d1")
		if err == nil || retryable {
			t.Fatalf("retryable %v, %v", retryable, err)
		}
		if strings.Contains(err.Error(), r.To) {
			t.Errorf("the error shows the target: %v", err)
		}
	})
	t.Run("a target that cannot be is not", func(t *testing.T) {
		r := rig(t)
		for _, bad := range append([]string{""}, r.Bad...) {
			m := Example()
			m.To = bad
			retryable, err := r.Channel.Send(t.Context(), m)
			if err == nil || retryable {
				t.Errorf("target %q: retryable %v, %v", bad, retryable, err)
			}
		}
		if got := r.Got(); len(got) != 0 {
			t.Errorf("something was sent: %v", got)
		}
	})
	t.Run("a silent other side ends with the context", func(t *testing.T) {
		r := rig(t)
		defer r.Hang()()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		m := Example()
		m.To = r.To
		began := time.Now()
		retryable, err := r.Channel.Send(ctx, m)
		if err == nil || !retryable {
			t.Fatalf("retryable %v, %v", retryable, err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Fatalf("it took %v", took)
		}
	})
	t.Run("many at once", func(t *testing.T) {
		r := rig(t)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if _, err := send(t, r, fmt.Sprintf("d%d", i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got := ids(r)
		slices.Sort(got)
		if !slices.Equal(got, []string{"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"}) {
			t.Fatalf("got %v", got)
		}
	})
}
