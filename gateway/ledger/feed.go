package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// appendFeed numbers changes and adds them to the feed. The counter's row is
// locked until the commit, so that numbers appear in the order of commits and a
// reader never misses a lower one that comes later.
func appendFeed(ctx context.Context, tx *sql.Tx, now time.Time, changes []coldkeep.Change) error {
	if len(changes) == 0 {
		return nil
	}
	var n int64
	if err := tx.QueryRowContext(ctx, `UPDATE counter SET n = n + $1 WHERE name = 'feed' RETURNING n`, len(changes)).Scan(&n); err != nil {
		return err
	}
	n -= int64(len(changes))
	for i := range changes {
		n++
		changes[i].N, changes[i].At = n, now.UTC()
		body, err := json.Marshal(changes[i])
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO feed (n, at, body) VALUES ($1, $2, $3)`, n, database.Millis(now), string(body)); err != nil {
			return err
		}
	}
	return nil
}

// End is the number of the feed's last entry.
func (l *Ledger) End(ctx context.Context) (n int64, err error) {
	err = l.db.QueryRowContext(ctx, `SELECT n FROM counter WHERE name = 'feed'`).Scan(&n)
	return n, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.End", "feed")
}

// Changes returns up to limit entries of the feed after a number, in order.
func (l *Ledger) Changes(ctx context.Context, after int64, limit int) ([]coldkeep.Change, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT body FROM feed WHERE n > $1 ORDER BY n LIMIT $2`, after, limit)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Changes", "feed after %d", after)
	}
	defer rows.Close()
	var out []coldkeep.Change
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Changes", "feed after %d", after)
		}
		var c coldkeep.Change
		if err := json.Unmarshal([]byte(body), &c); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "ledger.Changes", "feed after %d", after)
		}
		out = append(out, c)
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "ledger.Changes", "feed after %d", after)
}

// pollFeed is how often a waiter looks by itself: another collector on the same
// PostgreSQL may have added to the feed.
const pollFeed = 2 * time.Second

// Wait returns when the feed has an entry after a number, or with ctx's error.
func (l *Ledger) Wait(ctx context.Context, after int64) error {
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		var n int64
		if err := l.db.QueryRowContext(ctx, `SELECT n FROM counter WHERE name = 'feed'`).Scan(&n); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "ledger.Wait", "feed")
		}
		if n > after {
			return nil
		}
		timer := time.NewTimer(pollFeed)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// wake tells waiters that the feed has grown.
func (l *Ledger) wake() {
	l.mu.Lock()
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
}
