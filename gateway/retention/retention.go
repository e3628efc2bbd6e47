// Package retention lets readings go when the time for which they must be kept is
// over, and never before. It is off unless somebody says for how many years they are
// kept; and then what a profile asks for counts when it is longer.
//
// A device's own time proves nothing: a clock that stood at 2001 must not send last
// week's readings away. So a reading goes only when it had come, by the collector's
// clock, that long ago too, for which the ledger has a mark about once a month. A
// device that has no place in the registry, or of which anything does not fit, keeps
// everything.
//
// It goes in two steps. First the ledger says that readings before a time go: proofs
// begin after them, and the judge looks at nothing before them, so that no excursion of
// then is judged anew. A day later, when nobody can be reading them any more, they are
// removed. Excursions, alerts and what people noted stay.
package retention

import (
	"context"
	"database/sql"
	"log/slog"
	"math"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

// Store is a readings store that can forget.
type Store interface {
	evidence.Source
	readings.Pruner
}

// Consumer reads the ledger's feed.
type Consumer interface {
	// Place is the number up to which it has read.
	Place(ctx context.Context) (int64, error)
}

// Keeper does the work.
type Keeper struct {
	Ledger *ledger.Ledger
	Store  Store // nil: one that cannot forget
	Mirror func() coldkeep.Mirror
	// Years is for how long readings are kept at least; 0 is for ever.
	Years     int
	Consumers []Consumer // all who read the feed
	// Fence is asked in the transactions that take something away; nil is no other.
	Fence func(context.Context, *sql.Tx) error
	Clock coldkeep.Clock
	Log   *slog.Logger

	unable bool // the store cannot forget, and that was said
}

const (
	firstAfter = 10 * time.Minute // a collector that starts has better to do
	every      = 24 * time.Hour

	markEvery = 30 * 24 * time.Hour
	// margin is how much longer than the years everything is kept.
	margin = 31 * 24 * time.Hour
	// leastStep keeps what goes from going in crumbs.
	leastStep = 7 * 24 * time.Hour
	// removeAfter is how long after readings were let go they are removed: what was
	// reading them then, such as a proof of years, is through.
	removeAfter = 24 * time.Hour
	// around an excursion nothing goes: it may have been judged by what was before it.
	around = 3 * 24 * time.Hour

	// The feed is kept for people who look into it, checkpoints for going back. Older
	// than checkpointsAll one a week is enough.
	feedKept         = 30 * 24 * time.Hour
	checkpointsAll   = 30 * 24 * time.Hour
	checkpointsApart = 7 * 24 * time.Hour
)

// Run works once a day until ctx ends, and then returns nil. A failure is logged, and
// tried again the next day.
func (k *Keeper) Run(ctx context.Context) error {
	for wait := firstAfter; k.Clock.Sleep(ctx, wait) == nil; wait = every {
		if err := k.Pass(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("what is old could not be looked through; it is kept until tomorrow", "error", err)
		}
	}
	return nil
}

// Pass looks through everything once. EUNAVAILABLE when a store is away.
func (k *Keeper) Pass(ctx context.Context) error {
	now := k.Clock.Now()
	if err := k.Ledger.NoteArrived(ctx, now, markEvery); err != nil {
		return err
	}
	if err := k.trim(ctx, now); err != nil {
		return err
	}
	if k.Years == 0 {
		return nil
	}
	if k.Store == nil {
		k.cannot("this readings store has no such call")
		return nil
	}
	if err := k.remove(ctx, now); err != nil {
		return err
	}
	devices, err := k.Ledger.Devices(ctx)
	if err != nil {
		return err
	}
	m := k.Mirror()
	for _, d := range devices {
		if err := k.letGo(ctx, now, &m, d); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) cannot(why string) {
	if !k.unable {
		k.unable = true
		k.Log.Warn("this readings store cannot remove single series; set the retention of the bucket itself", "reason", why)
	}
}

// trim takes away what nobody needs, at any retention.
func (k *Keeper) trim(ctx context.Context, now time.Time) error {
	read := int64(math.MaxInt64)
	for _, c := range k.Consumers {
		n, err := c.Place(ctx)
		if err != nil {
			return err
		}
		read = min(read, n)
	}
	if len(k.Consumers) > 0 {
		if err := k.Ledger.TrimFeed(ctx, read, now.Add(-feedKept)); err != nil {
			return err
		}
	}
	return k.Ledger.ThinCheckpoints(ctx, now.Add(-checkpointsAll), checkpointsApart)
}

// remove removes from the readings store what was let go before today.
func (k *Keeper) remove(ctx context.Context, now time.Time) error {
	going, err := k.Ledger.Going(ctx, now.Add(-removeAfter))
	if err != nil {
		return err
	}
	m := k.Mirror()
	for _, d := range going {
		if err := k.removeOf(ctx, now, &m, d); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) removeOf(ctx context.Context, now time.Time, m *coldkeep.Mirror, d ledger.Device) error {
	years, _, ok := k.rules(m, d)
	if !ok {
		return nil
	}
	g, err := k.Ledger.LetGo(ctx, d.Site, d.Agent)
	if err != nil {
		return err
	}
	log := k.Log.With("site", d.Site, "agent", d.Agent, "before", time.UnixMilli(g.Before).UTC())
	// Asked once more: the profile may have come to want them for longer, and something
	// with a time of then may have come since.
	e, err := readings.Expire(now, time.UnixMilli(g.Before), years)
	if err != nil {
		log.Warn("readings stay that were to be removed", "reason", err)
		return nil
	}
	ends := map[string]*end{}
	for epoch, seq := range g.Epochs {
		ends[epoch] = &end{seq: seq}
	}
	found, err := k.scan(ctx, d, g.Before, ends)
	if err != nil {
		return err
	}
	if found.stays < g.Before {
		log.Warn("readings stay that were to be removed: others have come with a time of then")
		return nil
	}
	series, err := k.Store.Series(ctx, d.Site, d.Agent)
	if err != nil {
		return err
	}
	removed := int64(0)
	for _, s := range series {
		// Not from the beginning of time: what a clock that stands at 2001 sends in this
		// moment stays.
		n, err := k.Store.Prune(ctx, s, e.Since(found.first))
		if coldkeep.ErrorCode(err) == coldkeep.EINVALID {
			k.cannot(coldkeep.ErrorMessage(err))
			return nil
		}
		if err != nil {
			return err
		}
		removed += n
	}
	log.Info("readings removed whose time was over", "readings", removed, "years", years)
	return k.Ledger.Gone(ctx, g)
}

// rules gives for how many years the readings of a device are kept, and the lines of
// the log that they made; false when that is not known of all of them.
func (k *Keeper) rules(m *coldkeep.Mirror, d ledger.Device) (years int, lines []ledger.Line, ok bool) {
	years = k.Years
	for i := range m.Assignments {
		as := &m.Assignments[i]
		if as.Site != d.Site || as.Agent != d.Agent {
			continue
		}
		a, known := m.Appliance(as.Appliance)
		if !known {
			return 0, nil, false
		}
		p, err := coldkeep.FindProfile(a.Profile)
		if err != nil {
			return 0, nil, false
		}
		years = max(years, p.RetentionYear)
		lines = append(lines, ledger.Line{Series: as.Series, Appliance: as.Appliance})
	}
	return years, lines, len(lines) > 0
}
