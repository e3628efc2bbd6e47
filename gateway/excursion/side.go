package excursion

import (
	"math"
	"slices"

	"github.com/coldkeep/coldkeep"
)

// said is one thing that a voice says in one direction.
type said struct {
	at    int64
	t     coldkeep.Temperature
	probe int
	dt    int64 // ms that what was said before held until now; 0 when that is not known
	gap   bool  // it is not known
}

// step judges one direction. It returns the excursion that this ends.
func (st *sideState) step(s *State, r *Rules, sd *side, air bool, in said) *Finding {
	out := sd.beyond(sd.limit, in.t)
	ep := st.Episode
	if !out && ep == nil {
		st.forget(in.at, sd)
		st.T = in.t
		return nil // the common case: in range, nothing open
	}
	if ep != nil {
		ep.pass(st, sd, in.dt)
	}
	st.Out, st.T = out, in.t
	switch {
	case !out:
		if ep.Back == 0 {
			ep.Back = in.at
		}
	case ep == nil:
		ep = &episode{Start: in.at, PeakAt: in.at, Extreme: in.t, Probe: in.probe, Rule: -1}
		if p := s.probe(in.probe); p != nil {
			ep.FromStart = !p.Settled
		}
		ep.call(s, r, sd, in.at)
		st.Episode = ep
	default:
		ep.Back = 0
		ep.Heat.join(&ep.Tail)
		if in.t != ep.Extreme && sd.beyond(ep.Extreme, in.t) {
			ep.Extreme, ep.PeakAt, ep.Probe = in.t, in.at, in.probe
		}
	}
	st.count(sd, ep, air, &in)
	if !out && in.at-ep.Back >= r.closeAfter {
		st.Episode = nil
		f := ep.finding(sd, air)
		f.End = ep.Back
		f.MKT = ep.mkt(sd, false)
		return &f
	}
	return nil
}

// pass lets the excursion grow by the time that what was said before has held.
func (e *episode) pass(st *sideState, sd *side, dt int64) {
	if dt == 0 {
		return
	}
	if st.Out {
		e.OutMS += dt
		by := int64(st.T) - int64(sd.edge)
		if sd.kind == coldkeep.TooCold {
			by = -by
		}
		// A rule stricter than the range is met within it: there is no area then. An
		// area that no appliance could reach stays at the largest there is.
		if by > 0 {
			e.AreaMS += min(by*dt, math.MaxInt64-e.AreaMS)
		}
	}
	if sd.kind == coldkeep.TooWarm {
		if st.rated != st.T || st.rate == 0 {
			st.rated, st.rate = st.T, rate(st.T)
		}
		if e.Back == 0 {
			e.Heat.add(st.rate, dt)
		} else {
			e.Tail.add(st.rate, dt)
		}
	}
}

// count lets every rule of the direction see what is said while an excursion is open.
func (st *sideState) count(sd *side, ep *episode, air bool, in *said) {
	if st.Counters == nil {
		st.Counters = make([]ruleState, len(sd.rules))
	}
	for i := range sd.rules {
		ru, c := &sd.rules[i], &st.Counters[i]
		beyond := sd.beyond(ru.limit, in.t)
		met := false
		switch ru.typ {
		case coldkeep.Instant:
			met = beyond
		case coldkeep.Consecutive:
			// A gap breaks the run: what happened in it is not known.
			switch {
			case !beyond:
				c.Since = 0
			case c.Since == 0 || in.gap:
				c.Since = in.at
			}
			met = beyond && in.at-c.Since >= ru.need
		case coldkeep.Cumulative:
			if c.Beyond && in.dt > 0 {
				c.add(in.at-in.dt, in.at)
			}
			c.Beyond = beyond
			met = c.within(in.at-ru.window) >= ru.need
		}
		if !met {
			continue
		}
		asks := ru.actions.capped(air)
		ep.Actions |= asks
		if ep.Rule < 0 {
			ep.Rule = i
			continue
		}
		if was := sd.rules[ep.Rule].actions.capped(air); asks.rank() > was.rank() || asks.rank() == was.rank() && i < ep.Rule {
			ep.Rule = i
		}
	}
}

// rank is that of the strongest action in the set.
func (a actions) rank() int {
	for i := len(allActions); i > 0; i-- {
		if a&(1<<(i-1)) != 0 {
			return i
		}
	}
	return 0
}

// forget drops, between excursions, the stretches that no window reaches any more.
func (st *sideState) forget(at int64, sd *side) {
	st.Out = false
	for i := range st.Counters {
		c := &st.Counters[i]
		c.Since, c.Beyond = 0, false
		if len(c.Spans) > 0 {
			c.within(at - sd.rules[i].window)
		}
	}
}

// end closes what is open because the voice falls silent at a time for good: the
// probes left or the appliance went out of service. dt is the time that what was
// said last has held until then. What was counted stays in the windows.
func (st *sideState) end(s *State, r *Rules, sd *side, air bool, last said, why Ended) *Finding {
	ep := st.Episode
	if ep == nil {
		st.forget(last.at, sd)
		return nil
	}
	if !last.gap {
		last.t = st.T
		if f := st.step(s, r, sd, air, last); f != nil {
			return f // it had been over by then
		}
	}
	st.Episode = nil
	st.forget(last.at, sd)
	f := ep.finding(sd, air)
	f.End, f.Ended = last.at, why
	f.MKT = ep.mkt(sd, true)
	return &f
}

// add appends a stretch beyond the limit, joined to the last one if it goes on.
func (c *ruleState) add(from, to int64) {
	c.Sum += to - from
	if n := len(c.Spans); n > 0 && c.Spans[n-1][1] == from {
		c.Spans[n-1][1] = to
		return
	}
	c.Spans = append(c.Spans, [2]int64{from, to})
}

// within drops what ended before cutoff and returns the total after it, in ms.
func (c *ruleState) within(cutoff int64) int64 {
	drop := 0
	for drop < len(c.Spans) && c.Spans[drop][1] <= cutoff {
		c.Sum -= c.Spans[drop][1] - c.Spans[drop][0]
		drop++
	}
	if drop > 0 {
		c.Spans = slices.Delete(c.Spans, 0, drop)
	}
	if len(c.Spans) > 0 && c.Spans[0][0] < cutoff {
		return c.Sum - (cutoff - c.Spans[0][0])
	}
	return c.Sum
}

// call names the probes that stand in the appliance as witnesses, with what they
// say at the time.
func (e *episode) call(s *State, r *Rules, sd *side, at int64) {
	for i := range s.Probes {
		p := &s.Probes[i]
		e.join(p)
		if p.speaks(r, at) {
			e.note(sd, p, p.Celsius)
		}
	}
}

// join makes a probe a witness.
func (e *episode) join(p *probe) *Witness {
	for i := range e.Witnesses {
		if w := &e.Witnesses[i]; w.Probe == p.Probe && w.Role == role(p.Air) {
			return w
		}
	}
	e.Witnesses = append(e.Witnesses, Witness{Probe: p.Probe, Role: role(p.Air), Extreme: coldkeep.NoTemperature})
	return &e.Witnesses[len(e.Witnesses)-1]
}

// note enters what a witness says.
func (e *episode) note(sd *side, p *probe, t coldkeep.Temperature) {
	w := e.join(p)
	if !w.Extreme.Known() || sd.beyond(w.Extreme, t) {
		w.Extreme = t
	}
	w.Out = w.Out || sd.beyond(sd.limit, t)
}

func (e *episode) finding(sd *side, air bool) Finding {
	f := Finding{Kind: sd.kind, Role: role(air), Probe: e.Probe, Start: e.Start, PeakAt: e.PeakAt, Extreme: e.Extreme, OutMS: e.OutMS, AreaMS: e.AreaMS,
		Actions: e.Actions.list(), FromStart: e.FromStart, MKT: e.mkt(sd, true), Witnesses: slices.Clone(e.Witnesses)}
	slices.SortFunc(f.Witnesses, compareWitnesses)
	if e.Rule >= 0 {
		f.Rule = sd.rules[e.Rule].typ
	}
	return f
}

// mkt is the mean kinetic temperature from the start, with or without the time
// since the excursion came back into range.
func (e *episode) mkt(sd *side, tail bool) coldkeep.Temperature {
	if sd.kind != coldkeep.TooWarm {
		return coldkeep.NoTemperature // freezing is never averaged
	}
	k := e.Heat
	if tail {
		since := e.Tail
		k.join(&since)
	}
	return k.mean()
}
