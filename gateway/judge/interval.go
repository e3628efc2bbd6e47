package judge

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/ledger"
)

const quarter = coldkeep.IntervalLength

// settle is how long after its end a quarter hour is told, so that the readings
// of its last minute have come. Later ones make a revision.
const settle = 2 * time.Minute

// quartersAtOnce and quartersRead bound the work of one round: those that are looked
// at, and of them those that must be read from the store.
const (
	quartersAtOnce = 20_000
	quartersRead   = 1000
)

// logIntervals makes the temperature log of the quarter hours that are over, at
// most quartersAtOnce of them: judging comes first.
func (j *Judge) logIntervals(ctx context.Context) error {
	j.mu.Lock()
	mirrored := j.mirrored
	var sites []coldkeep.SiteID
	if j.held != nil {
		sites = []coldkeep.SiteID{}
		for _, s := range j.mirror.Sites {
			if j.holds(s.ID) {
				sites = append(sites, s.ID)
			}
		}
	}
	j.mu.Unlock()
	if !mirrored || sites != nil && len(sites) == 0 {
		return nil // whose they are is not known yet
	}
	before := j.clock.Now().Add(-quarter - settle).UnixMilli()
	us, err := j.ledger.Unlogged(ctx, before, sites, quartersAtOnce)
	if err != nil {
		return err
	}
	var read []ledger.Unlogged
	for start := 0; start < len(us); start += linesTogether {
		var told []ledger.Unlogged
		var lines []coldkeep.Interval
		for i := start; i < min(start+linesTogether, len(us)); i++ {
			switch in, ok, later := j.folded(&us[i]); {
			case ok:
				told, lines = append(told, us[i]), append(lines, in...)
			case !later && len(read) < quartersRead:
				read = append(read, us[i])
			}
		}
		if len(told) > 0 {
			if err := j.ledger.SaveIntervals(ctx, j.clock.Now(), told, lines); err != nil {
				return err
			}
		}
	}
	us = read
	for start := 0; start < len(us); {
		// A run of neighbouring quarter hours of one series is read at once.
		end := start + 1
		for end < len(us) && us[end].Series == us[start].Series && us[end].From-us[end-1].From <= 4*quarter.Milliseconds() {
			end++
		}
		if err := j.logRun(ctx, us[start:end]); err != nil {
			return err
		}
		start = end
	}
	return nil
}

// linesTogether is how many lines of the log one transaction carries.
const linesTogether = 250

func (j *Judge) logRun(ctx context.Context, us []ledger.Unlogged) error {
	j.mu.Lock()
	stints := j.stints(us[0].Series)
	j.mu.Unlock()
	var out []coldkeep.Interval
	for _, t := range stints {
		maxGap := t.rules.MaxGap().Milliseconds()
		builders := make([]intervalBuilder, 0, len(us))
		for _, u := range us {
			at := utc(u.From)
			if t.assignment.Covers(at) || t.assignment.Covers(at.Add(quarter-1)) {
				builders = append(builders, newIntervalBuilder(&t, u.From, maxGap))
			}
		}
		if len(builders) == 0 {
			continue
		}
		lo, hi := builders[0].from-maxGap, builders[len(builders)-1].to+maxGap
		// Records a gap's length around the run tell whether silence at its edges
		// belongs to a gap.
		err := j.store.Range(ctx, us[0].Series, lo, hi+1, func(r *coldkeep.Reading) error {
			if !t.assignment.Covers(r.Time()) {
				return nil
			}
			for i := range builders {
				builders[i].add(r)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i := range builders {
			out = append(out, builders[i].done(j.clock.Now().UnixMilli()))
		}
	}
	return j.ledger.SaveIntervals(ctx, j.clock.Now(), us, out)
}

// stint is one probe's stay in one appliance.
type stint struct {
	assignment coldkeep.Assignment
	rules      *excursion.Rules
}

// stints are the stays of a series. The caller holds Judge.mu.
func (j *Judge) stints(s coldkeep.Series) []stint {
	var out []stint
	for _, seat := range j.seats[s] {
		for _, as := range seat.track.past.stays {
			if as.Series == s {
				out = append(out, stint{as, seat.track.rules})
			}
		}
	}
	return out
}

// intervalBuilder folds the records around one quarter hour into its log line.
type intervalBuilder struct {
	from, to, maxGap int64
	prev             int64 // time of the record before, or where looking began
	prevFault        bool
	seen             bool
	sum              int64
	gap, fault       int64 // ms
	closed           bool
	in               coldkeep.Interval
}

func newIntervalBuilder(t *stint, from, maxGap int64) intervalBuilder {
	to := from + quarter.Milliseconds()
	return intervalBuilder{from: from, to: to, maxGap: maxGap, prev: max(from-maxGap, t.assignment.From.UnixMilli()) - 1,
		in: coldkeep.Interval{Appliance: t.assignment.Appliance, Probe: t.assignment.Series.String(), From: utc(from), To: utc(to),
			Min: coldkeep.NoTemperature, Max: coldkeep.NoTemperature, Mean: coldkeep.NoTemperature}}
}

// add takes the next record in time, also those up to a gap's length around the
// quarter hour.
func (b *intervalBuilder) add(r *coldkeep.Reading) {
	if b.closed || r.At < b.from-b.maxGap {
		return
	}
	b.span(b.prev, r.At)
	b.prev, b.prevFault, b.seen = r.At, !r.Celsius.Known(), true
	if r.At >= b.to {
		b.closed = true
		return
	}
	if r.At < b.from || !r.Celsius.Known() {
		return
	}
	at := r.Time()
	if !b.in.Min.Known() || r.Celsius < b.in.Min {
		b.in.Min, b.in.MinAt = r.Celsius, &at
	}
	if !b.in.Max.Known() || r.Celsius > b.in.Max {
		b.in.Max, b.in.MaxAt = r.Celsius, &at
	}
	b.sum += int64(r.Celsius)
	b.in.Readings++
}

// span accounts for the time between two records, as far as it is in the quarter.
func (b *intervalBuilder) span(from, to int64) {
	inside := min(to, b.to) - max(from, b.from)
	switch {
	case inside <= 0:
	case to-from > b.maxGap:
		b.gap += inside
	case b.seen && b.prevFault:
		b.fault += inside
	}
}

func (b *intervalBuilder) done(now int64) coldkeep.Interval {
	if !b.closed {
		// Nothing came within a gap's length after the quarter, or that is still to be
		// seen: silence counts up to what has passed.
		b.span(b.prev, min(now, b.to+b.maxGap))
	}
	if b.in.Readings > 0 {
		b.in.Mean = coldkeep.Temperature(b.sum / int64(b.in.Readings))
	}
	b.in.GapSec, b.in.FaultSec = int(b.gap/1000), int(b.fault/1000)
	return b.in
}
