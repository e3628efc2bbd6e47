// Package inputs watches what happens around the appliance: contacts of doors and
// mains, and the fuel gauge of a UPS. What happens becomes events of the device's log.
package inputs

import (
	"context"
	"log/slog"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware"
	"github.com/coldkeep/coldkeep/firmware/pins"
	"github.com/coldkeep/coldkeep/firmware/watch"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// How often a contact is looked at, and for how long it must be the same to be
// believed. A reed contact bounces for milliseconds, a door that falls shut rebounds;
// a compressor's start may pull the mains down for a second, and a UPS stays on its
// battery until the mains are steady.
const (
	poll        = 50 * time.Millisecond
	doorSteady  = 300 * time.Millisecond
	mainsSteady = 2 * time.Second
)

// tellAgain is how long after a failure an event is told again.
const tellAgain = time.Second

// Contact is a wire that is on or off.
type Contact struct {
	in     pins.Input
	probe  coldkeep.ProbeID
	steady time.Duration
	on     mode
	off    mode
	isMain bool
}

// mode is one of a contact's two states, and the event of coming into it.
type mode struct {
	state watch.State
	event string
}

// Door is a contact that is on while the door is closed. probe says by a probe which
// appliance's door it is; "" is that of all appliances of the device.
func Door(in pins.Input, probe coldkeep.ProbeID) *Contact {
	return &Contact{in: in, probe: probe, steady: doorSteady,
		on: mode{watch.Closed, wire.EventDoorClosed}, off: mode{watch.Open, wire.EventDoorOpen}}
}

// Mains is a contact that is on while there is mains power.
func Mains(in pins.Input) *Contact {
	return &Contact{in: in, steady: mainsSteady, isMain: true,
		on: mode{watch.Present, wire.EventPowerBack}, off: mode{watch.Lost, wire.EventPowerLost}}
}

// Run tells of changes until ctx ends. At the start it compares with what w knows from
// before, so that a door that was opened and a power cut that ended while the device
// was off are told; a door that is closed, or mains that are there, for the first time
// is none.
func (c *Contact) Run(ctx context.Context, w *watch.Watch, tell firmware.Tell, log *slog.Logger) {
	last := c.known(w)
	var candidate mode
	var since time.Duration // for how long it has been the same
	for {
		if (coldkeep.RealClock{}).Sleep(ctx, poll) != nil {
			return
		}
		now := c.off
		if c.in.On() {
			now = c.on
		}
		if now != candidate {
			candidate, since = now, 0
			continue
		}
		if since += poll; since < c.steady || now.state == last {
			continue
		}
		if last == watch.Unknown && now == c.on {
			last = now.state
			w.Contact(now.state, c.probe)
			continue
		}
		log.Info("contact", "pin", c.in.String(), "probe", c.probe, "event", now.event)
		if err := tell(ctx, c.probe, now.event, c.detail(w)); err != nil {
			if ctx.Err() == nil {
				log.Error("event of a contact cannot be recorded; trying again", "event", now.event, "err", err)
			}
			_ = coldkeep.RealClock{}.Sleep(ctx, tellAgain) // the loop sees an end
			continue
		}
		last = now.state
	}
}

// known is the state that w has from before.
func (c *Contact) known(w *watch.Watch) watch.State {
	s := w.Snapshot()
	if c.isMain {
		return s.Mains
	}
	return s.Doors[c.probe]
}

// detail is what an event of the mains says of the battery.
func (c *Contact) detail(w *watch.Watch) string {
	if !c.isMain {
		return ""
	}
	return charge(w.Snapshot().Battery)
}
