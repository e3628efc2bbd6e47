package foresight

import (
	_ "embed" // the measurement
	"encoding/json"
	"sync"

	"github.com/coldkeep/coldkeep"
)

// Measured is what bench/foresight found of one cause on one type of unit.
type Measured struct {
	Unit   coldkeep.Unit `json:"unit"`
	Cause  Cause         `json:"cause"`
	Device bool          `json:"device"` // the device tells of the door or the mains

	// On simulated units.
	Faults        int     `json:"faults"`          // that ended in an excursion
	Foretold      float64 `json:"foretold"`        // share of them that was warned of before, by whatever word
	LeadP10       float64 `json:"lead_p10_min"`    // from the warning to the excursion
	LeadMedian    float64 `json:"lead_median_min"` // likewise
	FalsePerMonth float64 `json:"false_per_month"`
	Precision     float64 `json:"precision"`   // share of the warnings with this word that came true
	CauseRight    float64 `json:"cause_right"` // share of the true ones that named the cause

	// On recordings of real units, the halves that nothing was set on.
	RealDays  float64 `json:"real_days"`
	RealTrue  int     `json:"real_true"`
	RealFalse int     `json:"real_false"`
}

// The bar that a cause must clear to be told by default.
const (
	leastPrecision = 0.8
	mostFalse      = 1.0 // a month, simulated and real
	leastForetold  = 0.5
	leastFaults    = 10
)

// On reports whether the cause is told by default. A defrost never is: it is what
// the unit does.
func (m *Measured) On() bool {
	return m.Cause != Defrost && m.Faults >= leastFaults && m.Foretold >= leastForetold &&
		m.Precision >= leastPrecision && m.FalsePerMonth <= mostFalse &&
		float64(m.RealFalse) <= mostFalse*m.RealDays/30
}

//go:embed measured.json
var measuredJSON []byte

var measured = sync.OnceValue(func() []Measured {
	var m []Measured
	if err := json.Unmarshal(measuredJSON, &m); err != nil {
		panic("foresight: measured.json: " + err.Error()) // ours, and tested
	}
	return m
})

// Measurements returns the measurement that the defaults rest on.
func Measurements() []Measured { return append([]Measured(nil), measured()...) }

func lookUp(u coldkeep.Unit, c Cause, device bool) *Measured {
	all := measured()
	for i := range all {
		if m := &all[i]; m.Unit == u && m.Cause == c && m.Device == device {
			return m
		}
	}
	return nil
}

func byDefault(u coldkeep.Unit, c Cause, device bool) bool {
	m := lookUp(u, c, device)
	return m != nil && m.On()
}

func shares(u coldkeep.Unit, c Cause, device bool) (precision, causeRight float64) {
	if m := lookUp(u, c, device); m != nil {
		return m.Precision, m.CauseRight
	}
	return 0, 0
}
