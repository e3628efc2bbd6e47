package excursion

import (
	"cmp"
	"slices"

	"github.com/coldkeep/coldkeep"
)

// Step judges the next sample, which must not be before the latest one, and hands
// each finding that it ends to closed. Findings that go on are in Open.
func (s *State) Step(r *Rules, in Sample, closed func(Finding)) {
	if s.At != 0 && in.At-s.At > r.maxGap {
		closed(Finding{Kind: coldkeep.NoData, Start: s.At, End: in.At})
	}
	s.At, s.Seq = in.At, in.Seq
	if !in.Celsius.Known() {
		// A sensor fault is not a temperature: it neither opens nor closes an
		// excursion, and the time it lasts is judged by the readings around it.
		if s.fault == nil {
			s.fault = &faultRun{Start: in.At, Reason: in.Quality}
		}
		return
	}
	if s.fault != nil {
		closed(Finding{Kind: coldkeep.SensorFault, Start: s.fault.Start, End: in.At, Reason: s.fault.Reason})
		s.fault = nil
	}
	// The time since the previous believed reading belongs to that reading's side
	// of the line, unless it is a gap: then it is neither out nor in.
	var dt int64
	gap := s.goodAt == 0 || in.At-s.goodAt > r.maxGap
	if !gap {
		dt = in.At - s.goodAt
	}
	s.goodAt = in.At
	for i := range s.sides {
		if f := s.sides[i].step(r, r.side(i), in.At, in.Celsius, dt, gap); f != nil {
			closed(*f)
		}
	}
}

// step judges one direction. dt is the time to credit to the previous reading.
func (st *sideState) step(r *Rules, sd *side, at int64, t coldkeep.Temperature, dt int64, gap bool) *Finding {
	out := sd.beyond(sd.limit, t)
	ep := st.Episode
	if !out && ep == nil {
		st.forget(at, sd)
		return nil // the common case: in range, nothing open
	}
	if ep != nil && st.Out {
		ep.OutMS += dt
	}
	st.Out = out
	if out && ep == nil {
		ep = &episode{Start: at, PeakAt: at, Extreme: t, Rule: -1}
		st.Episode = ep
	}
	if out {
		ep.Back = 0
		if t != ep.Extreme && sd.beyond(ep.Extreme, t) {
			ep.Extreme, ep.PeakAt = t, at
		}
	} else if ep.Back == 0 {
		ep.Back = at
	}
	st.count(sd, ep, at, t, dt, gap)
	if !out && at-ep.Back >= r.closeAfter {
		st.Episode = nil
		f := ep.finding(sd)
		f.End = ep.Back
		return &f
	}
	return nil
}

// count lets every rule of the direction see a reading while an excursion is open.
func (st *sideState) count(sd *side, ep *episode, at int64, t coldkeep.Temperature, dt int64, gap bool) {
	if st.Counters == nil {
		st.Counters = make([]ruleState, len(sd.rules))
	}
	for i := range sd.rules {
		ru, c := &sd.rules[i], &st.Counters[i]
		beyond := sd.beyond(ru.limit, t)
		met := false
		switch ru.typ {
		case coldkeep.Instant:
			met = beyond
		case coldkeep.Consecutive:
			// A gap breaks the run: what happened in it is not known.
			switch {
			case !beyond:
				c.Since = 0
			case c.Since == 0 || gap:
				c.Since = at
			}
			met = beyond && at-c.Since >= ru.need
		case coldkeep.Cumulative:
			if c.Beyond && dt > 0 {
				c.add(at-dt, at)
			}
			c.Beyond = beyond
			met = c.within(at-ru.window) >= ru.need
		}
		if !met {
			continue
		}
		ep.Actions |= ru.actions
		if ep.Rule < 0 || ru.rank > sd.rules[ep.Rule].rank || ru.rank == sd.rules[ep.Rule].rank && i < ep.Rule {
			ep.Rule = i
		}
	}
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

func (e *episode) finding(sd *side) Finding {
	f := Finding{Kind: sd.kind, Start: e.Start, PeakAt: e.PeakAt, Extreme: e.Extreme, OutMS: e.OutMS, Actions: e.Actions.list()}
	if e.Rule >= 0 {
		f.Rule = sd.rules[e.Rule].typ
	}
	return f
}

// Open returns the findings that go on at the latest sample.
func (s *State) Open(r *Rules) []Finding {
	var out []Finding
	if s.fault != nil {
		out = append(out, Finding{Kind: coldkeep.SensorFault, Start: s.fault.Start, Reason: s.fault.Reason})
	}
	for i := range s.sides {
		if e := s.sides[i].Episode; e != nil {
			out = append(out, e.finding(r.side(i)))
		}
	}
	return out
}

// Clone returns a copy that shares nothing.
func (s *State) Clone() *State {
	c := *s
	if s.fault != nil {
		f := *s.fault
		c.fault = &f
	}
	for i := range c.sides {
		if e := c.sides[i].Episode; e != nil {
			copied := *e
			c.sides[i].Episode = &copied
		}
		c.sides[i].Counters = slices.Clone(c.sides[i].Counters)
		for j := range c.sides[i].Counters {
			c.sides[i].Counters[j].Spans = slices.Clone(c.sides[i].Counters[j].Spans)
		}
	}
	return &c
}

// Judge judges a whole record, which it sorts, and returns all findings by start
// and kind; those that go on at its end have End 0.
func Judge(r *Rules, samples []Sample) []Finding {
	slices.SortStableFunc(samples, Compare)
	var s State
	var out []Finding
	for _, in := range samples {
		s.Step(r, in, func(f Finding) { out = append(out, f) })
	}
	out = append(out, s.Open(r)...)
	slices.SortStableFunc(out, func(a, b Finding) int {
		if a.Start != b.Start {
			return cmp.Compare(a.Start, b.Start)
		}
		return cmp.Compare(a.Kind, b.Kind)
	})
	return out
}

// Compare orders samples by event time, then seq, then by what they say, so that
// samples of one moment without a seq are judged in one order wherever they came
// from.
func Compare(a, b Sample) int {
	switch {
	case a.At != b.At:
		return cmp.Compare(a.At, b.At)
	case a.Seq != b.Seq:
		return cmp.Compare(a.Seq, b.Seq)
	case a.Celsius != b.Celsius:
		return cmp.Compare(a.Celsius, b.Celsius)
	}
	return cmp.Compare(a.Quality, b.Quality)
}
