package watch

import (
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// Snapshot is what the Watch shows at one time.
type Snapshot struct {
	At      time.Time
	Place   string // "site/agent", "" before it is known
	Code    string // by which the device is claimed, "" for none
	Probes  []Probe
	Mains   State
	Battery Battery
	Doors   map[coldkeep.ProbeID]State
	Holds   []wire.Hold
	Config  int64 // revision of the configuration, from which limits and holds are
	On      bool  // a local alarm is on
	Hushed  bool  // and silenced
	Named   bool  // the device is to show which it is
}

// Probe is one probe in a Snapshot.
type Probe struct {
	Probe     coldkeep.ProbeID
	Appliance coldkeep.ApplianceID
	Unit      coldkeep.Unit
	Limits    *wire.LocalAlarm

	At      time.Time // of the latest sample, zero for none
	Value   coldkeep.Temperature
	Quality coldkeep.Quality

	Lo, Hi     coldkeep.Temperature // since the reset
	LoAt, HiAt time.Time
	Since      time.Time

	Alarm bool
	// Out is since when it is out of range, zero when it is not.
	Out time.Time

	// History is the last day by Slot, the oldest first; without a value where there
	// was none.
	History []Span
}

// Span is the coldest and the warmest of one Slot.
type Span struct{ Lo, Hi coldkeep.Temperature }

// Snapshot tells what there is now.
func (w *Watch) Snapshot() Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	s := Snapshot{At: now, Place: w.place, Code: w.code, Mains: w.mains, Battery: w.battery, Holds: w.config.Holds, Config: w.config.Revision,
		Doors: make(map[coldkeep.ProbeID]State, len(w.doors))}
	for p, state := range w.doors {
		s.Doors[p] = state
	}
	first := now.UnixMilli()/Slot.Milliseconds() - Slots + 1
	for _, p := range w.sorted() {
		v := Probe{Probe: p.config.Probe, Appliance: p.config.Appliance, Unit: p.config.Unit, Limits: p.config.Local,
			At: p.at, Value: p.value, Quality: p.quality, Lo: p.lo, Hi: p.hi, LoAt: p.loAt, HiAt: p.hiAt, Since: p.since,
			Alarm: p.alarm.on, Out: p.alarm.since, History: make([]Span, Slots)}
		for i := range v.History {
			n := first + int64(i)
			v.History[i] = Span{coldkeep.NoTemperature, coldkeep.NoTemperature}
			if slot := &p.slots[(n%Slots+Slots)%Slots]; slot.n == n && slot.used {
				v.History[i] = Span{slot.lo, slot.hi}
			}
		}
		s.On = s.On || v.Alarm
		s.Probes = append(s.Probes, v)
	}
	s.Hushed = s.On && now.Before(w.hushed)
	s.Named = now.Before(w.named)
	return s
}

// Extreme is what the outbox knows of a probe's extremes.
type Extreme struct {
	Lo, Hi            coldkeep.Temperature
	LoAt, HiAt, Since time.Time
}

// Recall fills a Watch after a restart: with the latest event of each kind, with the
// records of the last day, which day calls each for in their order, and with the
// extremes. It is called after Configure and before the first Look.
func (w *Watch) Recall(latest []wire.Record, extremes map[coldkeep.ProbeID]Extreme, day func(each func(wire.Record) error) error) error {
	for _, r := range latest {
		if r.Event != wire.EventMinMaxReset {
			w.Event(r)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	err := day(func(r wire.Record) error {
		if !r.IsEvent() {
			w.recall(r)
		}
		return nil
	})
	const none = coldkeep.NoTemperature
	for _, p := range w.probes {
		// What was told is what was recorded, whatever limits say now; what was not is told
		// by the next sample.
		p.alarm.on = false
		p.lo, p.hi, p.since = none, none, time.Time{}
	}
	for _, r := range latest {
		if r.Event == wire.EventAlarmLocal {
			w.probe(r.Probe).alarm.resume(r.Detail)
		}
	}
	for id, e := range extremes {
		p := w.probe(id)
		p.lo, p.hi, p.loAt, p.hiAt, p.since = e.Lo, e.Hi, e.LoAt, e.HiAt, e.Since
	}
	w.notify()
	return err
}

func (w *Watch) recall(r wire.Record) {
	p, at := w.probe(r.Probe), time.UnixMilli(r.At).UTC()
	p.at, p.value, p.quality = at, r.Celsius, r.Quality
	for _, c := range [...]coldkeep.Temperature{r.Celsius, r.Lo, r.Hi} {
		p.widen(at, c)
	}
	p.alarm.look(p.config.Local, at, r.Celsius) // for since when it is out of range
}
