// Package watch is what a device itself knows and shows of what it watches, without
// the network: the current value of each probe, its extremes since they were reset,
// the last day, door, mains and battery, the lots on hold as last known; and the
// local alarm.
//
//	recorder ──► Watch ──► display, page, LED, buzzer
//	button, page ──► Hush, Reset
//
// It keeps nothing of its own: after a restart it is filled from the outbox and from
// the configuration that is kept there.
package watch

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// HushFor is how long the buzzer is silent after somebody has asked for it. The light
// stays on, and an alarm that begins meanwhile sounds.
const HushFor = 15 * time.Minute

// IdentifyFor is how long the device shows which it is: long enough to walk along a row
// of fridges.
const IdentifyFor = 30 * time.Second

// The history is the coldest and the warmest of each five minutes of a day.
const (
	Slot  = 5 * time.Minute
	Slots = 288
)

// Identify has the device show which it is for IdentifyFor.
func (w *Watch) Identify() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.named = w.clock.Now().Add(IdentifyFor)
	w.notify()
}

// Identifying reports whether the device is to show which it is.
func (w *Watch) Identifying() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock.Now().Before(w.named)
}

// late is how far behind the clock a sample that is older than the one before is, to be
// one that came late; one that is not is of a clock that was set back.
const late = time.Minute

// Reset has the extremes of a probe, or with "" of all, reset and the event recorded.
// by says who asked, such as "button".
type Reset func(ctx context.Context, probe coldkeep.ProbeID, by string) error

// Book is where records can be read back.
type Book interface {
	// Since calls each for every record that was written at a time or later, in their
	// order, and ends with its error.
	Since(ctx context.Context, at time.Time, each func(wire.Record) error) error
}

// Watch is the device's own view. It is safe for concurrent use.
type Watch struct {
	clock coldkeep.Clock

	mu      sync.Mutex
	changed chan struct{}
	probes  map[coldkeep.ProbeID]*probe
	config  wire.Config
	code    string
	place   string
	hushed  time.Time // until when
	named   time.Time // until when it shows which it is
	mains   State
	doors   map[coldkeep.ProbeID]State
	battery Battery
	reset   Reset
	book    Book
}

// State is that of a contact.
type State string

// The states of mains and doors.
const (
	Unknown State = ""
	Present State = "on mains"
	Lost    State = "on battery"
	Open    State = "open"
	Closed  State = "closed"
)

// Battery is what the fuel gauge says.
type Battery struct {
	Known   bool
	Percent float64
	Volts   float64
}

// probe is what is known of one probe.
type probe struct {
	config wire.ProbeConfig
	listed bool // in the configuration

	at      time.Time // of the latest sample; zero for none
	value   coldkeep.Temperature
	quality coldkeep.Quality

	lo, hi     coldkeep.Temperature // since the reset
	loAt, hiAt time.Time
	since      time.Time

	alarm alarm

	slots [Slots]slot
}

// slot is one of the history.
type slot struct {
	n      int64 // of the five minutes since 1970
	used   bool
	lo, hi coldkeep.Temperature
}

// New makes a Watch on a clock, nil for the machine's.
func New(clock coldkeep.Clock) *Watch {
	if clock == nil {
		clock = coldkeep.RealClock{}
	}
	return &Watch{clock: clock, changed: make(chan struct{}), probes: make(map[coldkeep.ProbeID]*probe), doors: make(map[coldkeep.ProbeID]State)}
}

// Connect tells the Watch who records a reset and where the records are.
func (w *Watch) Connect(reset Reset, book Book) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reset, w.book = reset, book
}

// Changed returns a channel that is closed at the next change. Take it before
// looking.
func (w *Watch) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// notify wakes those who hold the channel of Changed; w.mu is held.
func (w *Watch) notify() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Watch) probe(id coldkeep.ProbeID) *probe {
	p, ok := w.probes[id]
	if !ok {
		const none = coldkeep.NoTemperature
		p = &probe{config: wire.ProbeConfig{Probe: id}, value: none, lo: none, hi: none}
		w.probes[id] = p
	}
	return p
}

// Configure takes names, limits and holds. What is out of range by limits that
// change begins to be so anew.
func (w *Watch) Configure(c wire.Config) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.config = c
	for _, p := range w.probes {
		p.listed = false
	}
	for _, pc := range c.Probes {
		p := w.probe(pc.Probe)
		p.config, p.listed = pc, true
	}
	for id, p := range w.probes {
		if !p.listed {
			p.config = wire.ProbeConfig{Probe: id}
		}
	}
	w.notify()
}

// Look takes a sample that was judged and calibrated, and returns what it did to the
// probe's local alarm: the detail of an alarm-local event, "" for nothing.
func (w *Watch) Look(id coldkeep.ProbeID, at time.Time, value coldkeep.Temperature, q coldkeep.Quality) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.probe(id)
	if at.Before(p.at) && w.clock.Now().Sub(at) > late {
		p.widen(at, value) // a past value that came late
		return ""
	}
	p.at, p.value, p.quality = at, value, q
	p.widen(at, value)
	detail := p.alarm.look(p.config.Local, at, value)
	if detail != "" && p.alarm.on {
		w.hushed = time.Time{} // this one has not been heard yet
	}
	w.notify()
	return detail
}

// widen notes a value in extremes and history.
func (p *probe) widen(at time.Time, value coldkeep.Temperature) {
	if !value.Known() {
		return
	}
	if !p.lo.Known() {
		p.since = at
	}
	if value < p.lo || !p.lo.Known() {
		p.lo, p.loAt = value, at
	}
	if value > p.hi || !p.hi.Known() {
		p.hi, p.hiAt = value, at
	}
	n := at.UnixMilli() / Slot.Milliseconds()
	s := &p.slots[(n%Slots+Slots)%Slots]
	if s.n != n || !s.used {
		*s = slot{n: n, used: true, lo: value, hi: value}
		return
	}
	s.lo, s.hi = min(s.lo, value), max(s.hi, value)
}

// Event takes an event that was recorded: of door, mains, or a reset.
func (w *Watch) Event(r wire.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch r.Event {
	case wire.EventPowerLost:
		w.mains = Lost
	case wire.EventPowerBack:
		w.mains = Present
	case wire.EventDoorOpen:
		w.doors[r.Probe] = Open
	case wire.EventDoorClosed:
		w.doors[r.Probe] = Closed
	case wire.EventMinMaxReset:
		for id, p := range w.probes {
			if r.Probe == "" || r.Probe == id {
				p.lo, p.hi = coldkeep.NoTemperature, coldkeep.NoTemperature
			}
		}
	default:
		return
	}
	w.notify()
}

// Contact takes what a contact shows without anything having happened, such as at
// the start: a door's state when closes is true, that of the mains otherwise.
func (w *Watch) Contact(s State, probe coldkeep.ProbeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s {
	case Present, Lost:
		w.mains = s
	case Open, Closed:
		w.doors[probe] = s
	}
	w.notify()
}

// SetBattery takes what the fuel gauge says.
func (w *Watch) SetBattery(b Battery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.battery = b
	w.notify()
}

// ShowCode shows the code by which the device is claimed; "" is none any more.
func (w *Watch) ShowCode(code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.code = code
	w.notify()
}

// SetPlace tells where the device is: "site/agent".
func (w *Watch) SetPlace(place string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.place = place
	w.notify()
}

// Hush silences the buzzer for HushFor.
func (w *Watch) Hush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hushed = w.clock.Now().Add(HushFor)
	w.notify()
}

// Reset has the extremes of a probe, or with "" of all, reset and that recorded. A
// probe that is not known is ENOTFOUND, a device that records nothing yet
// EUNAVAILABLE.
func (w *Watch) Reset(ctx context.Context, id coldkeep.ProbeID, by string) error {
	w.mu.Lock()
	reset := w.reset
	_, known := w.probes[id]
	w.mu.Unlock()
	switch {
	case reset == nil:
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the device records nothing yet")
	case id != "" && !known:
		return coldkeep.Errorf(coldkeep.ENOTFOUND, "probe %.64q is not known here", id)
	}
	return reset(ctx, id, by)
}

// Since reads the records back; see Book. EUNAVAILABLE when there are none yet.
func (w *Watch) Since(ctx context.Context, at time.Time, each func(wire.Record) error) error {
	w.mu.Lock()
	book := w.book
	w.mu.Unlock()
	if book == nil {
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the device records nothing yet")
	}
	return book.Since(ctx, at, each)
}

// Alarming reports whether a local alarm is on, and whether it is to be heard.
func (w *Watch) Alarming() (on, aloud bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.probes {
		on = on || p.alarm.on
	}
	return on, on && !w.clock.Now().Before(w.hushed)
}

// sorted gives the probes: those of the configuration by appliance, then the others.
func (w *Watch) sorted() []*probe {
	out := make([]*probe, 0, len(w.probes))
	for _, p := range w.probes {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *probe) int {
		if a.listed != b.listed {
			if a.listed {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.config.Appliance, b.config.Appliance), cmp.Compare(a.config.Probe, b.config.Probe))
	})
	return out
}
