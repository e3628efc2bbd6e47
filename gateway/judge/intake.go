package judge

import (
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
)

// seat is a series' place in an appliance.
type seat struct {
	track *track
	probe int
}

// ticket holds the samples of one commit until it is known to be durable.
type ticket struct {
	parts []part
}

type part struct {
	track    *track
	samples  []excursion.Sample
	earliest int64
	late     bool // there are entries to be dealt with
}

// Expect is told of new readings before they are stored. It returns the series of
// which some may be older than a checkpoint: they must be entered as unjudged from
// that time (ms) on, in the commit that makes them durable. done must be called
// once, with whether they are.
//
// A reading that is newer than every checkpoint of its appliances needs no entry: a
// restart reads on from the checkpoint and finds it. That no checkpoint passes it
// meanwhile is held by mayCheckpoint.
func (j *Judge) Expect(rs []coldkeep.Reading) (late map[coldkeep.Series]int64, done func(stored bool)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	tk := &ticket{}
	if n := len(j.free); n > 0 {
		tk, j.free = j.free[n-1], j.free[:n-1]
	}
	old := func(r *coldkeep.Reading) {
		if late == nil {
			late = map[coldkeep.Series]int64{}
		}
		if at, ok := late[r.Series]; !ok || r.At < at {
			late[r.Series] = r.At
		}
	}
	var last *coldkeep.Reading
	var seats []seat
	var unknown bool
	for i := range rs {
		r := &rs[i]
		if last == nil || r.Series != last.Series {
			seats = j.seats[r.Series]
			// Without a mirror, or rules, there may be checkpoints that nobody has seen yet.
			unknown = j.unknown(r.Series, seats)
		}
		last = r
		if unknown {
			old(r)
		}
		for _, s := range seats {
			tk.add(s, r)
		}
		for _, s := range seats {
			if r.At <= s.track.savedAt {
				old(r)
				for _, s := range seats { // all have to deal with the entry
					if s.track.at >= 0 {
						tk.parts[s.track.at].late = true
					}
				}
			}
		}
	}
	for i := range tk.parts {
		p := &tk.parts[i]
		p.track.at = -1
		p.track.tickets = append(p.track.tickets, tk)
	}
	return late, func(stored bool) { j.done(tk, stored) }
}

// unknown reports whether there may be checkpoints of a series' appliance that nobody
// here has seen yet: without a mirror, or rules, and of a site that has just come or
// come back, until Run takes that up. The caller holds j.mu.
func (j *Judge) unknown(s coldkeep.Series, seats []seat) bool {
	if len(seats) == 0 {
		return !j.mirrored || j.next != nil || !j.holds(s.Site) || j.unruled[s]
	}
	return !j.holds(s.Site) || j.held != nil && slices.ContainsFunc(seats, func(x seat) bool { return x.track.generation != j.held[s.Site] })
}

func (tk *ticket) add(s seat, r *coldkeep.Reading) {
	i := s.track.at
	if i < 0 {
		i = len(tk.parts)
		s.track.at = i
		if i < cap(tk.parts) { // with the room of an earlier use
			tk.parts = tk.parts[:i+1]
			tk.parts[i] = part{track: s.track, samples: tk.parts[i].samples[:0], earliest: r.At}
		} else {
			tk.parts = append(tk.parts, part{track: s.track, earliest: r.At})
		}
	}
	p := &tk.parts[i]
	p.earliest = min(p.earliest, r.At)
	p.samples = append(p.samples, excursion.Sample{At: r.At, Seq: r.Seq, Probe: s.probe, Celsius: r.Celsius, Quality: r.Quality})
}

// done hands the samples of a ticket to their appliances, or forgets them.
func (j *Judge) done(tk *ticket, stored bool) {
	j.mu.Lock()
	for i := range tk.parts {
		p := &tk.parts[i]
		t := p.track
		for k, other := range t.tickets {
			if other == tk {
				t.tickets = append(t.tickets[:k], t.tickets[k+1:]...)
				break
			}
		}
		if !stored {
			// Perhaps it is durable all the same, and only the answer was lost.
			t.letGo(p.samples)
			t.reload = true
			j.due[t] = struct{}{}
			continue
		}
		if p.late {
			t.reload = true
		}
		if t.gone { // the appliance is known otherwise now
			if t = j.tracks[t.appliance.ID]; t != nil {
				t.reload = true
			}
		} else if t.pending = append(t.pending, p.samples...); len(t.pending) > most {
			t.letGo(t.pending)
			t.pending, t.reload = nil, true
		}
		if t != nil {
			j.due[t] = struct{}{}
		}
	}
	tk.parts = tk.parts[:0]
	if len(j.free) < 16 {
		j.free = append(j.free, tk)
	}
	j.mu.Unlock()
	if stored {
		j.nudge()
	}
}

// letGo notes samples that are not judged from memory. The caller holds Judge.mu.
func (t *track) letGo(samples []excursion.Sample) {
	for i := range samples {
		t.behind = min(t.behind, samples[i].At)
	}
}

// mayCheckpoint says whether a state after all samples up to at (ms) may be saved:
// not while a sample up to then is on its way that no ledger entry would bring back
// after a crash.
func (j *Judge) mayCheckpoint(t *track, at int64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, tk := range t.tickets {
		for i := range tk.parts {
			if tk.parts[i].track == t && tk.parts[i].earliest <= at {
				return false
			}
		}
	}
	for i := range t.pending {
		if t.pending[i].At <= at {
			return false
		}
	}
	if t.behind <= at {
		return false
	}
	t.savedAt = max(t.savedAt, at)
	return true
}

// takePending takes the samples that wait.
func (j *Judge) takePending(t *track) (samples []excursion.Sample, reload bool) {
	now := j.clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	samples, reload = t.pending, t.reload
	t.pending, t.spare = t.spare[:0], nil
	t.nextLook = now.Add(lookEvery).UnixMilli()
	return samples, reload
}
