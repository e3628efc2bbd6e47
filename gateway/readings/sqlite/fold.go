package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

var (
	_ readings.Folder = (*Store)(nil)
	_ readings.Pruner = (*Store)(nil)
)

// find gives the id of a series, false when there is none.
func (s *Store) find(ctx context.Context, k coldkeep.Series) (id int64, ok bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT id FROM series WHERE site = $1 AND agent = $2 AND probe = $3`, k.Site, k.Agent, k.Probe).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return id, err == nil, err
}

// Fold folds in SQL: each bucket is one range of the primary key, so nothing is
// sorted, and a row costs less than half of what it costs to bring it here.
func (s *Store) Fold(ctx context.Context, k coldkeep.Series, w readings.Window, maxGap time.Duration) ([]coldkeep.Bucket, error) {
	out := w.Empty()
	fail := func(err error) ([]coldkeep.Bucket, error) {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Fold", "readings of %s", k)
	}
	id, ok, err := s.find(ctx, k)
	if err != nil || !ok {
		return out, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Fold", "readings of %s", k)
	}
	// One transaction: buckets and gaps are of one state of the file.
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fail(err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	bucket, err := tx.PrepareContext(ctx, `SELECT COUNT(*), COUNT(celsius), MIN(celsius), MAX(celsius), SUM(celsius)
		FROM reading WHERE series = ? AND at >= ? AND at < ?`)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = bucket.Close() }() // reading is over
	for i := range out {
		from, to := max(w.Edge(i), w.Since), min(w.Edge(i+1), w.Until)
		if from >= to {
			continue
		}
		b := &out[i]
		var all int
		var least, most, sum sql.NullInt64
		if err := bucket.QueryRowContext(ctx, id, from, to).Scan(&all, &b.Count, &least, &most, &sum); err != nil {
			return fail(err)
		}
		if all == 0 {
			continue
		}
		b.Faults = all - b.Count
		if b.Count > 0 {
			b.Min, b.Max, b.Mean = temp(least), temp(most), coldkeep.Temperature(sum.Int64/int64(b.Count))
		}
	}
	if err := gaps(ctx, tx, id, w, maxGap, func(before, after int64) { w.Gap(out, before, after) }); err != nil {
		return fail(err)
	}
	return out, nil
}

// gaps finds the silences of more than maxGap. It goes from a reading to the last
// one within maxGap of it, so most readings are never looked at; where there is
// none, the next one ends a gap.
func gaps(ctx context.Context, tx *sql.Tx, id int64, w readings.Window, maxGap time.Duration, each func(before, after int64)) error {
	rows, err := tx.QueryContext(ctx, `WITH RECURSIVE hop (at, before) AS (
			SELECT (SELECT MIN(at) FROM reading WHERE series = $1 AND at >= $2 AND at < $3), NULL
			UNION ALL
			SELECT COALESCE((SELECT MAX(r.at) FROM reading r WHERE r.series = $1 AND r.at > hop.at AND r.at <= MIN(hop.at + $4, $3 - 1)),
				(SELECT MIN(r.at) FROM reading r WHERE r.series = $1 AND r.at > hop.at AND r.at < $3)), hop.at
			FROM hop WHERE hop.at IS NOT NULL
		) SELECT before, at FROM hop WHERE at - before > $4`, id, w.Since, w.Until, maxGap.Milliseconds())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var before, after int64
		if err := rows.Scan(&before, &after); err != nil {
			return err
		}
		each(before, after)
	}
	return rows.Err()
}

// prunePage is how many rows one transaction of Prune removes: readings that come
// meanwhile wait no longer than that takes.
const prunePage = 10_000

// Prune removes what has expired. The file does not shrink; what comes next takes
// the room.
func (s *Store) Prune(ctx context.Context, k coldkeep.Series, e readings.Expired) (n int64, err error) {
	id, ok, err := s.find(ctx, k)
	for more := ok; more && err == nil; {
		err = s.db.Tx(ctx, func(tx *sql.Tx) error {
			// The time of the first row of the next page, which stays for now.
			since, end := e.Span()
			err := tx.QueryRowContext(ctx, `SELECT at FROM reading WHERE series = ? AND at >= ? AND at < ? ORDER BY at LIMIT 1 OFFSET ?`, id, since, end, prunePage).Scan(&end)
			if more = err == nil; err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			if more {
				end++ // so that a page of one millisecond goes too
			}
			res, err := tx.ExecContext(ctx, `DELETE FROM reading WHERE series = ? AND at >= ? AND at < ?`, id, since, end)
			if err != nil {
				return err
			}
			gone, err := res.RowsAffected()
			n += gone
			return err
		})
	}
	return n, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Prune", "old readings of %s", k)
}
