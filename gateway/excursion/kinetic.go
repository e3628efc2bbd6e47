package excursion

import (
	"math"

	"github.com/coldkeep/coldkeep"
)

// activation is ΔH/R of the mean kinetic temperature in kelvin: USP <1160> takes
// ΔH = 83.144 kJ/mol and R = 8.3144 J/(mol·K).
const activation = 10_000.0

const zeroCelsius = 273.15 // kelvin

// kinetic is a mean kinetic temperature in the making: the time, and the integral
// of exp(-ΔH/RT) over it. Readings are weighted by their time, for they do not come
// at equal intervals.
type kinetic struct {
	Sum float64 `json:"sum,omitempty"`
	MS  int64   `json:"ms,omitempty"`
}

// rate is exp(-ΔH/RT).
func rate(t coldkeep.Temperature) float64 {
	if kelvin := t.Celsius() + zeroCelsius; kelvin > 0 {
		return math.Exp(-activation / kelvin)
	}
	return 0
}

// add lets a temperature of such a rate act for a time.
func (k *kinetic) add(rate float64, ms int64) {
	k.MS += ms
	k.Sum += float64(rate * float64(ms)) // rounded here, so that every machine adds the same
}

// join adds what o has and empties it.
func (k *kinetic) join(o *kinetic) {
	k.Sum, k.MS = k.Sum+o.Sum, k.MS+o.MS
	*o = kinetic{}
}

// mean gives the mean kinetic temperature, NoTemperature when no time has passed.
func (k *kinetic) mean() coldkeep.Temperature {
	if k.MS == 0 {
		return coldkeep.NoTemperature
	}
	return coldkeep.FromCelsius(activation/-math.Log(k.Sum/float64(k.MS)) - zeroCelsius)
}
