package sensors

import (
	"fmt"
	"time"

	"github.com/coldkeep/coldkeep"
)

// When two probes of one appliance disagree. Shelves of a household refrigerator
// are up to four degrees apart, in a freezer's door more, and the probes'
// tolerances add one; half an hour is longer than a door stands open or a
// defrost cycle lasts.
const (
	apart      coldkeep.Temperature = 5_000
	again      coldkeep.Temperature = 4_000 // together again below this
	apartFor                        = 30 * time.Minute
	comparable                      = 5 * time.Minute // samples further apart in time are not compared
)

// Disagreement is a change in how the probes of one appliance compare.
type Disagreement struct {
	Appliance coldkeep.ApplianceID
	A, B      coldkeep.ProbeID
	At        time.Time
	// Over says that they agree again.
	Over bool
	// Apart is how far they are from each other, in thousandths of °C.
	Apart coldkeep.Temperature
}

// String gives the detail of an event: "a and b are 6.2 °C apart".
func (d Disagreement) String() string {
	if d.Over {
		return fmt.Sprintf("%s and %s agree again", d.A, d.B)
	}
	return fmt.Sprintf("%s and %s are %s °C apart", d.A, d.B, d.Apart)
}

// Pairs compares the probes of each appliance: those more than 5 °C apart for half
// an hour disagree, until they are less than 4 °C apart. It changes no value;
// which of the two is wrong is for a person to find out. It is to be given judged
// and calibrated samples, in the order of their times.
//
// The zero Pairs is ready for use and compares nothing until Assign. It is not safe
// for concurrent use.
type Pairs struct {
	of     map[coldkeep.ProbeID]coldkeep.ApplianceID
	latest map[coldkeep.ProbeID]good
	state  map[[2]coldkeep.ProbeID]pair
}

type pair struct {
	since time.Time // when they came apart; zero when together
	told  bool
}

// Assign says which probe measures which appliance. What was seen of other probes
// is forgotten.
func (p *Pairs) Assign(of map[coldkeep.ProbeID]coldkeep.ApplianceID) {
	p.of, p.latest, p.state = of, make(map[coldkeep.ProbeID]good), make(map[[2]coldkeep.ProbeID]pair)
}

// Look takes a sample and returns what it changed. A sample without a value, or of
// a probe without an appliance, changes nothing.
func (p *Pairs) Look(s Sample) []Disagreement {
	a, ok := p.of[s.Probe]
	if !ok || a == "" || !s.Raw.Known() {
		return nil
	}
	p.latest[s.Probe] = good{at: s.At, value: s.Raw}
	var out []Disagreement
	for other, l := range p.latest {
		gap := s.At.Sub(l.at)
		if other == s.Probe || p.of[other] != a || max(gap, -gap) > comparable {
			continue
		}
		if d, changed := p.compare(s, other, l.value); changed {
			d.Appliance = a
			out = append(out, d)
		}
	}
	return out
}

func (p *Pairs) compare(s Sample, other coldkeep.ProbeID, value coldkeep.Temperature) (Disagreement, bool) {
	key := [2]coldkeep.ProbeID{min(s.Probe, other), max(s.Probe, other)}
	far := max(s.Raw-value, value-s.Raw)
	st := p.state[key]
	d := Disagreement{A: key[0], B: key[1], At: s.At, Apart: far}
	switch {
	case far > apart && st.since.IsZero():
		st.since = s.At
	case far > apart && !st.told && s.At.Sub(st.since) >= apartFor:
		st.told = true
		p.state[key] = st
		return d, true
	case far < again:
		delete(p.state, key)
		d.Over = true
		return d, st.told
	case far <= apart && !st.told:
		delete(p.state, key) // it has to last
		return d, false
	}
	p.state[key] = st
	return d, false
}
