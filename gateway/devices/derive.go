package devices

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// maxOffset is what a device takes as a correction, in thousandths of °C: a probe
// that is off by more than 10 °C is to be replaced.
const maxOffset coldkeep.Temperature = 10_000

// lapsed is the expiry that a probe gets whose certificate cannot be made sense
// of: its readings are kept and marked uncalibrated.
const lapsed = "1970-01-01"

// name names a device.
type name struct {
	site  coldkeep.SiteID
	agent coldkeep.AgentID
}

// String gives "site/agent".
func (n name) String() string { return string(n.site) + "/" + string(n.agent) }

func compareNames(a, b name) int {
	return cmp.Or(cmp.Compare(a.site, b.site), cmp.Compare(a.agent, b.agent))
}

// plan is what the registry's truth means for the devices at a time.
type plan struct {
	configs map[name]wire.Config // revision 0; of every device that belongs to us
	bodies  map[name]string      // configs as JSON
	wrong   map[name][]string    // what of it a device cannot be told
	until   time.Time            // when it changes by itself; zero is never
}

// derive makes the plan of a mirror at now. It depends on nothing else, and not on
// the order of what the mirror lists, but where two lines speak of the same: then
// of two stays the later begun counts, and of two calibrations the later line.
//
// What a device would refuse is left out, so that one wrong line of the registry
// costs one probe its calibration and not the device its whole configuration.
func derive(m *coldkeep.Mirror, now time.Time, interval time.Duration) plan {
	p := plan{configs: map[name]wire.Config{}, wrong: map[name][]string{}}
	revoked := map[name]bool{}
	add := func(n name) bool {
		if revoked[n] || !wire.ValidName(string(n.site)) || !wire.ValidName(string(n.agent)) {
			return false
		}
		if _, ok := p.configs[n]; !ok {
			p.configs[n] = wire.Config{V: wire.Version, Interval: int(interval / time.Second), Probes: []wire.ProbeConfig{}}
		}
		return true
	}
	for _, d := range m.Devices {
		if d.Revoked {
			revoked[name{d.Site, d.Agent}] = true
		}
	}
	for _, d := range m.Devices {
		add(name{d.Site, d.Agent})
	}
	calibrations := make(map[coldkeep.Series]*coldkeep.Calibration, len(m.Calibrations))
	for i := range m.Calibrations {
		calibrations[m.Calibrations[i].Series] = &m.Calibrations[i]
	}
	resting := p.resting(m.Contexts, now)
	for s, a := range p.standing(m.Assignments, now) {
		n := name{s.Site, s.Agent}
		switch {
		case !add(n):
			continue
		case !wire.ValidProbe(string(s.Probe)):
			p.wrong[n] = append(p.wrong[n], fmt.Sprintf("probe %.64q has a name that no device can have", s.Probe))
			continue
		}
		pc := wire.ProbeConfig{Probe: s.Probe, Appliance: a.Appliance}
		ap, ok := m.Appliance(a.Appliance)
		if !ok {
			p.wrong[n] = append(p.wrong[n], fmt.Sprintf("probe %s stands in appliance %s, which is not known", s.Probe, a.Appliance))
		} else {
			pc.Unit = ap.Unit
		}
		if ok && ap.InService && !resting[ap.ID] && a.Role != coldkeep.RoleAir {
			var err error
			if pc.Local, err = localAlarm(&ap); err != nil {
				p.wrong[n] = append(p.wrong[n], fmt.Sprintf("appliance %s has no local alarm: %s", ap.ID, coldkeep.ErrorMessage(err)))
			}
		}
		if c, ok := calibrations[s]; ok {
			if err := calibrate(&pc, c); err != nil {
				p.wrong[n] = append(p.wrong[n], fmt.Sprintf("calibration of probe %s cannot be used: %s", s.Probe, coldkeep.ErrorMessage(err)))
			}
		}
		c := p.configs[n]
		c.Probes = append(c.Probes, pc)
		p.configs[n] = c
	}
	for n, c := range p.configs {
		c.Holds = holds(m.LotsOnHold, c.Probes)
		p.configs[n] = c
		slices.SortFunc(c.Probes, func(a, b wire.ProbeConfig) int { return cmp.Compare(a.Probe, b.Probe) })
		slices.Sort(p.wrong[n])
	}
	return p
}

// holds are the lots on hold in the appliances of a device's probes, for it to show.
func holds(all []coldkeep.LotOnHold, probes []wire.ProbeConfig) (out []wire.Hold) {
	for _, l := range all {
		if slices.ContainsFunc(probes, func(p wire.ProbeConfig) bool { return p.Appliance == l.Appliance }) {
			out = append(out, wire.Hold{Appliance: l.Appliance, Lot: l.Lot, Product: l.Product, Since: l.Since.UTC().Format(time.RFC3339)})
		}
	}
	slices.SortFunc(out, func(a, b wire.Hold) int {
		return cmp.Or(cmp.Compare(a.Appliance, b.Appliance), cmp.Compare(a.Lot, b.Lot), cmp.Compare(a.Product, b.Product), cmp.Compare(a.Since, b.Since))
	})
	return out[:min(len(out), wire.MaxHolds)]
}

// standing finds where each probe stands now.
func (p *plan) standing(all []coldkeep.Assignment, now time.Time) map[coldkeep.Series]*coldkeep.Assignment {
	out := map[coldkeep.Series]*coldkeep.Assignment{}
	for i := range all {
		a := &all[i]
		p.span(a.From, a.To, now)
		if !a.Covers(now) {
			continue
		}
		if b := out[a.Series]; b == nil || a.From.After(b.From) || a.From.Equal(b.From) && a.Appliance < b.Appliance {
			out[a.Series] = a
		}
	}
	return out
}

// resting finds the appliances that are out of service now, as people have noted.
func (p *plan) resting(all []coldkeep.Context, now time.Time) map[coldkeep.ApplianceID]bool {
	out := map[coldkeep.ApplianceID]bool{}
	for _, c := range all {
		if c.Kind != coldkeep.ContextOutOfService {
			continue
		}
		p.span(c.From, c.To, now)
		if !now.Before(c.From) && (c.To == nil || now.Before(*c.To)) {
			out[c.Appliance] = true
		}
	}
	return out
}

// span has the plan end where a span of time begins or ends.
func (p *plan) span(from time.Time, to *time.Time, now time.Time) {
	edges := []time.Time{from}
	if to != nil {
		edges = append(edges, *to)
	}
	for _, at := range edges {
		if at.After(now) && (p.until.IsZero() || at.Before(p.until)) {
			p.until = at
		}
	}
}

// calibrate puts what a certificate says into a probe's configuration. What cannot
// be so is EINVALID, and then the certificate counts as expired.
func calibrate(pc *wire.ProbeConfig, c *coldkeep.Calibration) (err error) {
	pc.Certificate = c.Certificate
	defer func() {
		if err != nil {
			pc.Offset, pc.Table, pc.Expires = 0, nil, lapsed
		}
	}()
	if c.Expires != "" {
		if _, err := time.Parse(time.DateOnly, c.Expires); err != nil {
			return coldkeep.Errorf(coldkeep.EINVALID, "expiry %.40q is not a date such as 2027-03-01", c.Expires)
		}
	}
	pc.Expires = c.Expires
	for i, line := range c.Table {
		switch {
		case !line[0].Known() || beyond(line[1]):
			return coldkeep.Errorf(coldkeep.EINVALID, "line %d of its table has no temperature, or an offset beyond ±%v °C", i+1, maxOffset)
		case i > 0 && line[0] <= c.Table[i-1][0]:
			return coldkeep.Errorf(coldkeep.EINVALID, "line %d of its table does not rise", i+1)
		}
		pc.Table = append(pc.Table, [2]int32{int32(line[0]), int32(line[1])})
	}
	if len(c.Table) > 0 || !c.Offset.Known() {
		return nil
	}
	if beyond(c.Offset) {
		return coldkeep.Errorf(coldkeep.EINVALID, "offset %v °C is beyond ±%v °C", c.Offset, maxOffset)
	}
	pc.Offset = int32(c.Offset)
	return nil
}

func beyond(offset coldkeep.Temperature) bool { return offset > maxOffset || offset < -maxOffset }

// localAlarm is when the device itself sounds: beyond the range of the site, or of
// the profile when the site has none of its own, for as long as the profile's
// shortest rule that calls a person after minutes in a row; at once when it has no
// such rule. An unknown profile or unit is EINVALID.
func localAlarm(ap *coldkeep.Appliance) (*wire.LocalAlarm, error) {
	profile, err := coldkeep.FindProfile(ap.Profile)
	if err != nil {
		return nil, err
	}
	unit, err := profile.Unit(ap.Unit)
	if err != nil {
		return nil, err
	}
	low, high := unit.Low, unit.High
	if ap.Limits != nil {
		low, high = ap.Limits.Low, ap.Limits.High
	}
	l := &wire.LocalAlarm{Low: int32(lowest(low)), High: int32(highest(high))}
	if l.Low >= l.High {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "range %v to %v: want low below high", low, high)
	}
	for i := range unit.Rules {
		r := &unit.Rules[i]
		if r.Type == coldkeep.Consecutive && slices.Contains(r.Actions, coldkeep.ActionAlert) && (l.After == 0 || r.Minutes*60 < l.After) {
			l.After = r.Minutes * 60
		}
	}
	return l, nil
}

// lowest is the coldest temperature, in thousandths of °C, that is not below a
// limit, and highest the warmest that is not above it: exact, whatever the scale.
func lowest(t coldkeep.Threshold) int64 {
	n, d := celsius(t)
	return -floor(-n, d)
}

func highest(t coldkeep.Threshold) int64 {
	n, d := celsius(t)
	return floor(n, d)
}

// celsius is a limit in thousandths of °C as a fraction.
func celsius(t coldkeep.Threshold) (n, d int64) {
	if t.Scale == coldkeep.ScaleFahrenheit {
		return 5*t.Milli - 160_000, 9
	}
	return t.Milli, 1
}

func floor(n, d int64) int64 {
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
}
