package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// pruneEvery is how often delivered records are looked through for age.
const pruneEvery = time.Hour

// chunk is how many records are deleted at once for space.
const chunk = 1000

// makeRoom deletes, inside the transaction of an Append, what is delivered and
// older than Keep, and what the file has no room for: delivered records first, then
// the oldest undelivered ones, which it records as outbox-wrapped. next is the
// record for which room is made.
func (b *Box) makeRoom(ctx context.Context, tx *sql.Tx, p *place, now time.Time, next *Record) error {
	if now.Sub(b.pruned) >= pruneEvery || now.Before(b.pruned) {
		b.pruned = now
		if _, err := tx.ExecContext(ctx, `DELETE FROM record WHERE seq <= $1 AND seq <
			COALESCE((SELECT MIN(seq) FROM record WHERE written >= $2), $1 + 1)`,
			p.Acked, now.Add(-b.cfg.Keep).UnixMilli()); err != nil {
			return err
		}
		if err := dropSeals(ctx, tx, &p.State); err != nil {
			return err
		}
	}
	for {
		used, err := usedBytes(ctx, tx)
		if err != nil || used < b.cfg.MaxBytes || p.Oldest > p.Last {
			return err
		}
		to := min(p.Oldest+chunk-1, p.Last)
		lost := to - max(p.Acked, p.Oldest-1)
		if to > p.Acked && p.Oldest <= p.Acked {
			to, lost = p.Acked, 0 // the delivered ones alone, first
		}
		from := p.Oldest
		if _, err := tx.ExecContext(ctx, `DELETE FROM record WHERE seq <= $1`, to); err != nil {
			return err
		}
		if err := dropSeals(ctx, tx, &p.State); err != nil {
			return err
		}
		if lost <= 0 {
			continue
		}
		b.cfg.Log.Error("outbox is full: undelivered records were deleted", "from", from, "to", to, "max_bytes", b.cfg.MaxBytes)
		none := coldkeep.NoTemperature
		return b.insert(ctx, tx, p, now, []Record{{Record: wire.Record{At: now.UnixMilli(), Celsius: none, Raw: none, Lo: none, Hi: none,
			Event: wire.EventOutboxWrapped, Detail: fmt.Sprintf("no space: undelivered records %d to %d deleted", from, to)}, Clock: next.Clock, Config: next.Config}})
	}
}

// usedBytes is how much of the file holds something; freed pages are used again
// before the file grows.
func usedBytes(ctx context.Context, tx *sql.Tx) (int64, error) {
	var pages, free, size int64
	err := tx.QueryRowContext(ctx, `SELECT page_count, freelist_count, page_size
		FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&pages, &free, &size)
	return (pages - free) * size, err
}

// dropSeals looks for the oldest record and forgets the seals below it.
func dropSeals(ctx context.Context, tx *sql.Tx, state *State) error {
	if err := oldest(ctx, tx, state); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM seal WHERE seq < $1`, state.Oldest)
	return err
}

func oldest(ctx context.Context, tx *sql.Tx, state *State) error {
	return tx.QueryRowContext(ctx, `SELECT COALESCE(MIN(seq), $1) FROM record`, state.Last+1).Scan(&state.Oldest)
}

// Renumber begins a new epoch with the undelivered records, from 1. It is for the
// one case in which the numbers of this epoch cannot be trusted any more: the
// collector has acknowledged more than the book holds, because the card gave back
// an older state of the file (a restored image, a disk that lied about a sync).
// Numbers that the collector knows would be used again, and their readings taken
// for duplicates.
//
// A record that the collector has had under its old number is then stored twice,
// with the same probe and time; the alternative is to lose those it has not had. The
// ranges of Adrift are forgotten with the numbers that they name.
func (b *Box) Renumber(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cfg.Clock.Now()
	fresh := place{State: State{Epoch: newEpoch(), Oldest: 1}}
	fresh.head = wire.FirstHash(b.cfg.Site, b.cfg.Agent, fresh.Epoch)
	err := b.tx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT seq, t, p, c, r, lo, hi, q, e, d, clock, cfg FROM record WHERE seq > $1 ORDER BY seq`, b.place.Acked)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // Err is looked at
		var keep []Record
		for rows.Next() {
			r, err := scan(rows)
			if err != nil {
				return err
			}
			keep = append(keep, r)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM record; DELETE FROM seal; DELETE FROM adrift`); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE book SET epoch = $1, last = 0, acked = 0, head = $2, sealed = 0, sealed_t = 0`,
			fresh.Epoch, fresh.head[:]); err != nil {
			return err
		}
		return b.insert(ctx, tx, &fresh, now, keep)
	})
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Renumber", "%s: a new epoch cannot be begun", b.cfg.Path)
	}
	b.cfg.Log.Warn("outbox is behind the collector; a new epoch begins", "old", b.place.Epoch, "new", fresh.Epoch, "records", fresh.Last)
	b.place = fresh
	b.notify()
	return nil
}

// newEpoch is a ULID. Its time is the machine's, which may be wrong on a device
// without a clock; its 80 random bits are what makes it unique.
func newEpoch() string { return ulid.Make().String() }
