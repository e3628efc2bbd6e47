package sim

import (
	"math"
	"time"

	"github.com/coldkeep/coldkeep"
)

// step is the model's time step. The fastest mass, air with the door open,
// follows with a time constant of 27 s or more, so that explicit Euler is stable.
const step = 10 * time.Second

// physics are the figures of an appliance. The contents are what a buffered probe
// stands in: 15 kJ/K (about 3.6 kg of water) behind 0.12 K/W of still air, a time
// constant of half an hour, as published cold-chain equipment simulators have it.
// The others are chosen so that the appliance cycles as units of its type do.
type physics struct {
	contentsR float64 // K/W, air to contents
	contentsC float64 // J/K
	wallR     float64 // K/W, room to air
	doorR     float64 // K/W, room to air while the door is open, beside the wall
	airC      float64 // J/K, air with shelves and liner
	cooling   float64 // W, while the compressor runs
	heater    float64 // W, while a defrost lasts
	on, off   float64 // °C of the air at which the thermostat switches
	grain     float64 // °C, the probe's resolution
}

func physicsOf(u coldkeep.Unit) physics {
	// The heater brings the contents up by about 3 °C in 20 minutes.
	p := physics{contentsR: 0.12, contentsC: 15_000, airC: 2_500, heater: 45}
	switch u {
	case coldkeep.Freezer:
		p.wallR, p.doorR, p.cooling, p.on, p.off, p.grain = 1.2, 0.03, 80, -16.5, -24, 1.0/16
	case coldkeep.UltraCold: // inner doors; a PT100 in steps of 1/128 °C
		p.wallR, p.doorR, p.cooling, p.on, p.off, p.grain = 2, 0.06, 100, -70.5, -79.5, 1.0/128
	default: // refrigerator; DS18B20 steps of 1/16 °C
		p.wallR, p.doorR, p.cooling, p.on, p.off, p.grain = 1, 0.01, 45, 7.0, 2.0, 1.0/16
	}
	return p
}

// The limits of what may be asked for: beyond them the thermostat's two ends would
// meet, and Euler's steps would be too long.
const (
	maxSpread = 0.6
	maxPerDay = 24.0
)

// spread makes a unit of its own out of its type: by the seed, wall, cooling and
// heater up to a half of part more or less, contents down by a half of part or up
// to three times part more (a full unit is heavier than an empty one is lighter),
// and the thermostat's band moved by up to a quarter of its width times part.
func (p *physics) spread(part float64, seed uint64) {
	if part == 0 {
		return
	}
	u := func(n uint64) float64 { return 2*unitInterval(mix(seed, n<<32|5)) - 1 } // -1 to 1
	p.wallR *= 1 + part/2*u(1)
	p.cooling *= 1 + part/2*u(2)
	p.heater *= 1 + part/2*u(3)
	if c := u(4); c < 0 {
		p.contentsC *= 1 + part/2*c
		p.heater *= 1 + part/2*c
	} else {
		p.contentsC *= 1 + 3*part*c
		p.heater *= 1 + 3*part*c
	}
	shift := (p.on - p.off) / 4 * part * u(5)
	p.on, p.off = p.on+shift, p.off+shift
	// Whatever else: it can cool. Its duty is 0.8 at most, in a room of 23.5 °C.
	p.cooling = max(p.cooling, (23.5-p.off)/p.wallR/0.8)
}

// model is the state of one appliance. It is a function of its seed, its faults
// and the time at which it was set going.
type model struct {
	physics
	seed     uint64
	faults   []Fault
	spans    [][2]int64 // of the faults, in seconds since 1970
	at       time.Time
	air      float64 // °C
	contents float64 // °C
	running  bool    // the compressor
}

// newModel sets an appliance going at a time, in the middle of its cycle.
func newModel(a *Appliance, at time.Time) *model {
	m := &model{physics: physicsOf(a.Unit), seed: a.Seed, at: at.Truncate(step)}
	m.spread(a.Spread, a.Seed)
	m.setFaults(a.Faults)
	// Spread by the seed, so that the units of a clinic do not cycle in step.
	part := unitInterval(mix(m.seed, 1))
	m.air = m.off + (m.on-m.off)*part
	m.contents = (m.on + m.off) / 2
	m.running = mix(m.seed, 2)&1 == 0
	return m
}

// advance brings the model to at.
func (m *model) advance(at time.Time) {
	for end := at.Truncate(step); m.at.Before(end); m.at = m.at.Add(step) {
		m.tick()
	}
}

// setFaults says what goes wrong from now on.
func (m *model) setFaults(faults []Fault) {
	m.faults = faults
	m.spans = make([][2]int64, len(faults))
	for i, f := range faults {
		m.spans[i] = [2]int64{f.From.Unix(), math.MaxInt64}
		if f.From.Nanosecond() > 0 {
			m.spans[i][0]++ // steps lie on whole seconds
		}
		if !f.To.IsZero() {
			m.spans[i][1] = f.To.Unix()
			if f.To.Nanosecond() > 0 {
				m.spans[i][1]++
			}
		}
	}
}

func (m *model) tick() {
	active, gap, drift := m.active()
	switch {
	case m.air >= m.on+drift:
		m.running = true
	case m.air <= m.off+drift:
		m.running = false
	}
	wall := 1 / m.wallR
	if active&DoorOpen.bit() != 0 || m.vial() {
		wall += 1 / m.doorR
	} else {
		wall += gap / m.doorR
	}
	flow := (m.contents - m.air) / m.contentsR // W, contents to air
	heat := (m.room()-m.air)*wall + flow
	powered := active&PowerLost.bit() == 0
	switch {
	case powered && active&Defrost.bit() != 0:
		heat += m.heater
	case powered && m.running && active&CompressorFailure.bit() == 0:
		heat -= m.cooling
	}
	dt := step.Seconds()
	m.air += heat / m.airC * dt
	m.contents -= flow / m.contentsC * dt
}

// room is the temperature around the appliance: 22 °C, warmest at 15:00 UTC.
func (m *model) room() float64 {
	return 22 + 1.5*math.Sin(2*math.Pi*(hours(m.at)-9)/24)
}

// vial is true for one step in about two hours of three, when somebody opens the
// door and takes one.
func (m *model) vial() bool {
	const perHour = uint64(time.Hour / step)
	now := uint64(m.at.Unix()) / uint64(step/time.Second)
	dice := mix(m.seed, now/perHour)
	return dice%3 < 2 && now%perHour == dice>>32%perHour
}

var kinds = []FaultKind{CompressorFailure, DoorOpen, ProbeFault, DoorAjar, PowerLost, Defrost, ThermostatDrift, ProbeInAir}

// bit gives each kind a bit of its own, and 0 to a word that is none.
func (k FaultKind) bit() uint {
	for i, known := range kinds {
		if k == known {
			return 1 << i
		}
	}
	return 0
}

// active returns the kinds that go on now as their bits, the gap of the door as a
// part of it, and by how many °C the thermostat has drifted. What drifted stays.
func (m *model) active() (bits uint, gap, drift float64) {
	now := m.at.Unix()
	for i, s := range m.spans {
		if now < s[0] {
			continue
		}
		f := &m.faults[i]
		if f.Kind == ThermostatDrift {
			drift += f.PerDay * float64(min(now, s[1])-s[0]) / (24 * 3600)
		}
		if now >= s[1] {
			continue
		}
		bits |= f.Kind.bit()
		if f.Kind == DoorAjar {
			part := f.Part
			if part == 0 {
				part = 0.05
			}
			gap = max(gap, part)
		}
	}
	return bits, gap, drift
}

func (m *model) has(k FaultKind) bool {
	for i := range m.faults {
		if m.faults[i].Kind == k && m.faults[i].covers(m.at) {
			return true
		}
	}
	return false
}

// reading is what the buffered probe shows: the contents, within ±0.02 °C of
// noise, in steps of the probe's resolution. Beside its buffer it shows the air,
// which moves about: ±0.15 °C.
func (m *model) reading(at time.Time) coldkeep.Temperature {
	noise := (unitInterval(mix(m.seed, uint64(at.UnixMilli()))) - 0.5) * 0.04
	t := m.contents + noise
	if m.has(ProbeInAir) {
		t = m.air + 7.5*noise
	}
	return coldkeep.FromCelsius(math.Round(t/m.grain) * m.grain)
}

// unitInterval makes a number from 0 to 1 of random bits.
func unitInterval(bits uint64) float64 { return float64(bits>>11) / (1 << 53) }

func hours(t time.Time) float64 {
	h, mi, s := t.UTC().Clock()
	return float64(h) + float64(mi)/60 + float64(s)/3600
}

// mix is splitmix64 (Steele, Lea, Flood, OOPSLA 2014) of two numbers: noise that
// depends on the seed and the time alone, so that a restart does not change it.
func mix(seed, n uint64) uint64 {
	z := seed*0xbf58476d1ce4e5b9 + n*0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
