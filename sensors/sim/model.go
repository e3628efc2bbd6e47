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
	on, off   float64 // °C of the air at which the thermostat switches
	grain     float64 // °C, the probe's resolution
}

func physicsOf(u coldkeep.Unit) physics {
	p := physics{contentsR: 0.12, contentsC: 15_000, airC: 2_500}
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

// model is the state of one appliance. It is a function of its seed, its faults
// and the time at which it was set going.
type model struct {
	physics
	seed     uint64
	faults   []Fault
	at       time.Time
	air      float64 // °C
	contents float64 // °C
	running  bool    // the compressor
}

// newModel sets an appliance going at a time, in the middle of its cycle.
func newModel(a *Appliance, at time.Time) *model {
	m := &model{physics: physicsOf(a.Unit), seed: a.Seed, faults: a.Faults, at: at.Truncate(step)}
	// Spread by the seed, so that the units of a clinic do not cycle in step.
	part := float64(mix(m.seed, 1)>>11) / (1 << 53)
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

func (m *model) tick() {
	switch {
	case m.air >= m.on:
		m.running = true
	case m.air <= m.off:
		m.running = false
	}
	wall := 1 / m.wallR
	if m.doorOpen() {
		wall += 1 / m.doorR
	}
	flow := (m.contents - m.air) / m.contentsR // W, contents to air
	heat := (m.room()-m.air)*wall + flow
	if m.running && !m.has(CompressorFailure) {
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

// doorOpen is true while a DoorOpen fault lasts, and for one step in about two
// hours of three, when somebody takes a vial.
func (m *model) doorOpen() bool {
	const perHour = uint64(time.Hour / step)
	now := uint64(m.at.Unix()) / uint64(step/time.Second)
	dice := mix(m.seed, now/perHour)
	return m.has(DoorOpen) || dice%3 < 2 && now%perHour == dice>>32%perHour
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
// noise, in steps of the probe's resolution.
func (m *model) reading(at time.Time) coldkeep.Temperature {
	noise := (float64(mix(m.seed, uint64(at.UnixMilli()))>>11)/(1<<53) - 0.5) * 0.04
	return coldkeep.FromCelsius(math.Round((m.contents+noise)/m.grain) * m.grain)
}

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
