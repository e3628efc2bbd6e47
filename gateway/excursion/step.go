package excursion

import (
	"github.com/coldkeep/coldkeep"
)

// Step judges the next sample, which must not be before the latest one in the order
// of Compare, and hands each finding that has ended to closed. Findings that go on
// are in Open. A sample outside of its probe's stays, or while the appliance is out
// of service, only lets the time pass.
func (s *State) Step(r *Rules, h *History, in Sample, closed func(Finding)) {
	s.advance(r, h, in.At, closed)
	s.At, s.Seq, s.Probe = in.At, in.Seq, in.Probe
	p := s.probe(in.Probe)
	if p == nil {
		return
	}
	s.record(r, p, in.At, closed)
	if !in.Celsius.Known() {
		// A sensor fault is not a temperature: it neither opens nor closes an
		// excursion, and the time it lasts is judged by the readings around it.
		if p.Fault == nil {
			p.Fault = &faultRun{Start: in.At, Reason: in.Quality}
		}
		return
	}
	if p.Fault != nil {
		f := p.fault()
		f.End = in.At
		closed(f)
		p.Fault = nil
	}
	s.believe(r, p, in.At, in.Celsius, closed)
}

// believe judges a reading that can be believed.
func (s *State) believe(r *Rules, p *probe, at int64, t coldkeep.Temperature, closed func(Finding)) {
	p.Good, p.Celsius = at, t
	v := s.voice(p.Air)
	// The time since the voice spoke before belongs to what it said then, unless it is
	// a gap: then it is neither out nor in.
	in := said{at: at, probe: p.Probe, gap: true}
	if v.Good != 0 && at-v.Good <= r.maxGap {
		in.dt, in.gap = at-v.Good, false
	}
	v.Good = at
	warmest, coldest := t, t
	if len(s.Probes) > 1 {
		for i := range s.Probes {
			if q := &s.Probes[i]; q.Air == p.Air && q.speaks(r, at) {
				warmest, coldest = max(warmest, q.Celsius), min(coldest, q.Celsius)
			}
		}
	}
	s.witness(r, p, t)
	in.t = warmest
	if f := v.Sides[0].step(s, r, &r.warm, p.Air, in); f != nil {
		closed(*f)
	}
	in.t = coldest
	if f := v.Sides[1].step(s, r, &r.cold, p.Air, in); f != nil {
		closed(*f)
	}
	if !p.Settled {
		p.Settled = !r.warm.beyond(r.warm.limit, t) && !r.cold.beyond(r.cold.limit, t)
	}
}

// witness enters a reading with all excursions that are open.
func (s *State) witness(r *Rules, p *probe, t coldkeep.Temperature) {
	for i := range s.Vaccine.Sides {
		if e := s.Vaccine.Sides[i].Episode; e != nil {
			e.note(r.side(i), p, t)
		}
	}
	if s.Air == nil {
		return
	}
	for i := range s.Air.Sides {
		if e := s.Air.Sides[i].Episode; e != nil {
			e.note(r.side(i), p, t)
		}
	}
}

// record notes that a probe gave a record, good or faulty, and ends the silence
// before it.
func (s *State) record(r *Rules, p *probe, at int64, closed func(Finding)) {
	if !p.Air {
		if longer(s.Vaccine.Heard, at, r.maxGap) {
			if f, ok := s.silence(r, at); ok {
				f.End = at
				closed(f)
				s.excuse(at)
			}
		}
		s.Vaccine.Heard = at
		if len(s.Probes) > 1 {
			for i := range s.Probes {
				if q := &s.Probes[i]; q != p && !q.Silent && longer(q.Heard, at, r.maxGap) {
					q.Silent = true
				}
			}
		}
	}
	if p.Silent || p.Air {
		if f, ok := s.silenceOf(r, p, at); ok {
			f.End = at
			closed(f)
		}
	}
	p.Heard, p.Silent = at, false
}

// excuse lets each probe be silent alone only from the end of a silence of the
// appliance on: what all missed is told once.
func (s *State) excuse(at int64) {
	for i := range s.Probes {
		if p := &s.Probes[i]; !p.Silent {
			p.Heard = at
		}
	}
}

// longer reports whether from since, which may be unknown, until at more than gap
// went by.
func longer(since, at, gap int64) bool { return since != always && at-since > gap }

// silence is the gap in which no vaccine probe gave a record up to a time.
func (s *State) silence(r *Rules, at int64) (Finding, bool) {
	v := &s.Vaccine
	if !longer(v.Heard, at, r.maxGap) {
		return Finding{}, false
	}
	f := Finding{Kind: coldkeep.NoData, Role: role(false), Probe: -1, Start: v.Heard, MKT: coldkeep.NoTemperature}
	n := 0
	for i := range s.Probes {
		if !s.Probes[i].Air {
			f.Probe = s.Probes[i].Probe
			n++
		}
	}
	if n == 0 {
		return Finding{}, false
	}
	if n > 1 {
		f.Probe = -1
	}
	act := actLog
	if at-v.Heard >= r.noDataAlert {
		act |= actAlert
	}
	f.Actions = act.list()
	return f, true
}

// silenceOf is the gap of one probe that is silent while a vaccine probe gives
// records, or, of an air probe, while there is none.
func (s *State) silenceOf(r *Rules, p *probe, at int64) (Finding, bool) {
	if !p.Silent && (!p.Air || !longer(p.Heard, at, r.maxGap) || s.count(false) > 0) {
		return Finding{}, false
	}
	act := actLog
	if at-p.Heard >= r.noDataAlert {
		act |= actWarn
	}
	return Finding{Kind: coldkeep.NoData, Role: role(p.Air), Probe: p.Probe, Start: p.Heard, Actions: act.list(), MKT: coldkeep.NoTemperature}, true
}

// fault is the finding of the fault that goes on.
func (p *probe) fault() Finding {
	act := actLog
	switch {
	case p.Fault.Alerted:
		act |= actAlert
	case p.Fault.Warned:
		act |= actWarn
	}
	return Finding{Kind: coldkeep.SensorFault, Role: role(p.Air), Probe: p.Probe, Start: p.Fault.Start, Reason: p.Fault.Reason, Actions: act.list(), MKT: coldkeep.NoTemperature}
}

// advance lets the time pass up to a sample or to now: faults grow old, and what
// the history says ends or begins.
func (s *State) advance(r *Rules, h *History, to int64, closed func(Finding)) {
	if s.hist != h {
		s.enter(r, h, closed)
	}
	for s.next <= to {
		at := s.next
		s.age(r, at)
		s.cross(r, h, at, closed)
		s.next = h.after(at)
	}
	s.age(r, to)
}

// enter takes up a history.
func (s *State) enter(r *Rules, h *History, closed func(Finding)) {
	at := s.At
	if !s.Begun {
		at, s.Begun, s.rules = always, true, r.key
	}
	s.hist, s.next = h, h.after(at)
	s.cross(r, h, at, closed)
}

// age notes which faults have lasted as long as the profile allows: a person is
// called if no vaccine probe says anything meanwhile, else it is a warning.
func (s *State) age(r *Rules, at int64) {
	for i := range s.Probes {
		f := s.Probes[i].Fault
		if f == nil || at-f.Start < r.noDataAlert {
			continue
		}
		f.Warned = true
		if !s.Probes[i].Air && !f.Alerted {
			f.Alerted = s.mute(r, at)
		}
	}
}

// mute reports whether the vaccine probes have said nothing that can be believed for
// longer than a gap, or not at all.
func (s *State) mute(r *Rules, at int64) bool {
	v := &s.Vaccine
	return v.Good == 0 || at-v.Good > r.maxGap
}

// cross takes up what the history says from a time on: which probes are listened
// to, and as what.
func (s *State) cross(r *Rules, h *History, at int64, closed func(Finding)) {
	var buf [4]probe
	now := h.standing(buf[:0], at)
	same := len(now) == len(s.Probes)
	for i := range now {
		p := s.probe(now[i].Probe)
		same = same && p != nil && p.Air == now[i].Air
	}
	if same {
		return
	}
	why := EndedLeft
	if !h.inService(at) {
		why = EndedOutOfService
	}
	for _, air := range []bool{false, true} {
		goesOn := false
		for i := range now {
			goesOn = goesOn || now[i].Air == air
		}
		if s.count(air) > 0 && !goesOn {
			s.endVoice(r, air, at, why, closed)
		}
	}
	// An air probe that was silent with no vaccine probe beside it stays so, also if one
	// comes.
	for i := range s.Probes {
		if p := &s.Probes[i]; p.Air {
			_, p.Silent = s.silenceOf(r, p, at)
		}
	}
	had := [2]int{s.count(false), s.count(true)}
	var left []probe
	for i := range s.Probes {
		p := &s.Probes[i]
		stays := false
		for j := range now {
			stays = stays || now[j].Probe == p.Probe && now[j].Air == p.Air
		}
		if stays {
			left = append(left, *p)
			continue
		}
		if f, ok := s.silenceOf(r, p, at); ok {
			f.End, f.Ended = at, why
			closed(f)
		}
		if p.Fault != nil {
			f := p.fault()
			f.End, f.Ended = at, why
			closed(f)
		}
	}
	s.Probes = left
	for _, p := range now {
		if s.probe(p.Probe) != nil {
			continue
		}
		p.Heard, p.Celsius = at, coldkeep.NoTemperature
		s.Probes = append(s.Probes, p)
		s.summon(&p)
	}
	if had[0] == 0 && s.count(false) > 0 {
		s.Vaccine.Heard, s.Vaccine.Good = at, 0
	}
	if had[1] == 0 && s.count(true) > 0 {
		v := s.voice(true)
		v.Heard, v.Good = at, 0
	}
}

// summon makes a probe that comes into the appliance a witness of what is open.
func (s *State) summon(p *probe) {
	for _, v := range []*voice{&s.Vaccine, s.Air} {
		if v == nil {
			continue
		}
		for i := range v.Sides {
			if e := v.Sides[i].Episode; e != nil {
				e.join(p)
			}
		}
	}
}

// endVoice closes what is open of a voice whose last probe is no longer listened to.
func (s *State) endVoice(r *Rules, air bool, at int64, why Ended, closed func(Finding)) {
	v := s.voice(air)
	if !air {
		if f, ok := s.silence(r, at); ok {
			f.End, f.Ended = at, why
			closed(f)
			s.excuse(at)
		}
	}
	// What the voice said last held until it fell silent.
	last := said{at: at, probe: -1, gap: true}
	if v.Good != 0 && at-v.Good <= r.maxGap {
		last.dt, last.gap = at-v.Good, false
	}
	for i := range v.Sides {
		if f := v.Sides[i].end(s, r, r.side(i), air, last, why); f != nil {
			closed(*f)
		}
	}
	v.Heard, v.Good = 0, 0
}

// Open returns what goes on at now (ms, not before the latest sample): excursions as
// of the latest readings, faults, and silence. What a stay or service that was over
// by now closes is among it with its End set; Step gives the same again.
func (s *State) Open(r *Rules, h *History, now int64) []Finding {
	var out []Finding
	c := s.Clone()
	c.advance(r, h, now, func(f Finding) { out = append(out, f) })
	for i := range c.Probes {
		p := &c.Probes[i]
		if p.Fault != nil {
			out = append(out, p.fault())
		}
		if f, ok := c.silenceOf(r, p, now); ok {
			out = append(out, f)
		}
	}
	if f, ok := c.silence(r, now); ok {
		out = append(out, f)
	}
	for i := range c.Vaccine.Sides {
		if e := c.Vaccine.Sides[i].Episode; e != nil {
			out = append(out, e.finding(r.side(i), false))
		}
	}
	if c.Air != nil {
		for i := range c.Air.Sides {
			if e := c.Air.Sides[i].Episode; e != nil {
				out = append(out, e.finding(r.side(i), true))
			}
		}
	}
	return out
}
