package retention

import (
	"context"
	"math"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
)

// letGo finds what of a device may go, and enters it.
func (k *Keeper) letGo(ctx context.Context, now time.Time, m *coldkeep.Mirror, d ledger.Device) error {
	years, lines, ok := k.rules(m, d)
	if !ok {
		return nil // who knows for how long
	}
	cut := now.AddDate(-years, 0, 0).Add(-margin)
	was, err := k.Ledger.LetGo(ctx, d.Site, d.Agent)
	if err != nil || cut.UnixMilli() < was.Before+leastStep.Milliseconds() {
		return err
	}
	ends, err := k.ends(ctx, d, cut)
	if err != nil || len(ends) == 0 {
		return err
	}
	found, err := k.scan(ctx, d, cut.UnixMilli(), ends)
	if err != nil {
		return err
	}
	before, err := k.clear(ctx, found.stays, lines)
	if err != nil {
		return err
	}
	before = coldkeep.IntervalStart(before)
	g := ledger.LetGo{Device: d, Before: before, NotedAt: now, Epochs: map[string]int64{}}
	for epoch, e := range ends {
		if e.last > before+evidence.LetGoSlack.Milliseconds() {
			// A clock went wrong, or an excursion lasted long: when all of it is old enough, it
			// goes together.
			return nil
		}
		if e.seq > 0 {
			g.Epochs[epoch] = e.seq
		}
	}
	if before < was.Before+leastStep.Milliseconds() {
		return nil
	}
	return k.Ledger.NoteLetGo(ctx, g, lines, k.Fence)
}

// end is where that ends which goes of an epoch.
type end struct {
	seq  int64 // the last record that may go; 0 for none
	last int64 // time of the latest reading or seal among those that may go, ms
}

// ends finds, for each epoch of a device, up to which record everything had come
// before a time and can go without leaving a proof hanging: up to a seal, or, of an
// epoch that was never sealed or has ended, to where it had come.
func (k *Keeper) ends(ctx context.Context, d ledger.Device, cut time.Time) (map[string]*end, error) {
	epochs, err := k.Ledger.Epochs(ctx, d.Site, d.Agent)
	if err != nil {
		return nil, err
	}
	out, any := map[string]*end{}, false
	v := evidence.Verifier{Ledger: k.Ledger, Readings: k.Store}
	for _, e := range epochs {
		x := &end{last: math.MinInt64}
		out[e.Epoch] = x
		come, err := k.Ledger.Arrived(ctx, e, cut)
		if err != nil {
			return nil, err
		}
		if come == 0 {
			continue
		}
		ranges, err := k.Ledger.Ranges(ctx, e)
		if err != nil {
			return nil, err
		}
		sealed, at, err := v.AnchorAt(ctx, e, come)
		if err != nil {
			return nil, err
		}
		if sealed > 0 {
			x.last = at
		}
		seals, err := k.Ledger.SealsBefore(ctx, e, math.MaxInt64, 1)
		if err != nil {
			return nil, err
		}
		if x.seq = sealed; len(seals) == 0 || come == ranges[len(ranges)-1][1] {
			x.seq = come
		}
		any = any || x.seq > 0
	}
	if !any {
		return nil, nil
	}
	return out, nil
}

// span is what was found of a device's readings.
type span struct {
	first int64 // time of the first reading that may go, ms; math.MaxInt64 for none
	stays int64 // time of the first that must stay, at most where looking ended
}

// scan looks at a device's readings before a time (ms), and notes with each epoch's end
// the latest that may go.
func (k *Keeper) scan(ctx context.Context, d ledger.Device, until int64, ends map[string]*end) (span, error) {
	found := span{first: math.MaxInt64, stays: until}
	series, err := k.Store.Series(ctx, d.Site, d.Agent)
	for _, s := range series {
		if err != nil {
			break
		}
		err = k.Store.Scan(ctx, s, math.MinInt64, until, func(r *coldkeep.Reading) error {
			if e := ends[r.Epoch]; e == nil || r.Seq > e.seq {
				found.stays = min(found.stays, r.At)
			} else {
				found.first, e.last = min(found.first, r.At), max(e.last, r.At)
			}
			return nil
		})
	}
	return found, err
}

// clear moves a time (ms) to where no excursion of some appliances is.
func (k *Keeper) clear(ctx context.Context, before int64, lines []ledger.Line) (int64, error) {
	for moved := true; moved; {
		moved = false
		for _, l := range lines {
			xs, err := k.Ledger.Excursions(ctx, l.Appliance, before-around.Milliseconds())
			if err != nil {
				return 0, err
			}
			for i := range xs {
				if start := xs[i].Start.Add(-around).UnixMilli(); start < before {
					before, moved = start, true
				}
			}
		}
	}
	return before, nil
}
