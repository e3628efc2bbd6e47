package influx

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

var _ readings.Folder = (*Store)(nil)

// Fold folds in the engine by InfluxQL, so that of each bucket one row comes here.
// By Flux it reads the points.
func (s *Store) Fold(ctx context.Context, k coldkeep.Series, w readings.Window, maxGap time.Duration) ([]coldkeep.Bucket, error) {
	if s.config.Flux {
		return readings.Fold(ctx, s, k, w, maxGap)
	}
	out, err := s.ql.fold(ctx, k, w, maxGap)
	return out, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "influx.Fold", "readings of %s", k)
}

func (q *influxQL) fold(ctx context.Context, k coldkeep.Series, w readings.Window, maxGap time.Duration) ([]coldkeep.Bucket, error) {
	out := w.Empty()
	const aggregate = "SELECT COUNT(seq), COUNT(celsius), MIN(celsius), MAX(celsius), SUM(celsius)"
	enter := func(i int, row [][]byte) error {
		b := &out[i]
		all, err := cellInt(row[1])
		if err != nil || all == 0 {
			return err
		}
		known, err := cellInt(row[2])
		if err != nil {
			return err
		}
		b.Count, b.Faults = int(known), int(all-known)
		if known == 0 {
			return nil
		}
		if b.Min, err = cellTemp(row[3]); err == nil {
			b.Max, err = cellTemp(row[4])
		}
		if err != nil {
			return err
		}
		// A sum of thousandths in floating point is off by far less than one of them.
		sum, err := cellFloat(row[5])
		b.Mean = coldkeep.Temperature(int64(roundMilli(sum)) / known)
		return err
	}
	offset := ((w.From % w.Width) + w.Width) % w.Width
	err := q.ask(ctx, http.MethodGet, aggregate+q.where(k, w.Since, w.Until)+" GROUP BY time("+strconv.FormatInt(w.Width, 10)+"ms, "+strconv.FormatInt(offset, 10)+"ms) fill(none)",
		func(_ int, _ []string, row [][]byte) error {
			ns, err := cellInt(row[0])
			if err != nil {
				return err
			}
			// The time is that of the bucket, or of the stay that begins in it.
			return enter(w.Bucket(max(floorMillis(ns), w.From)), row)
		})
	if err != nil {
		return nil, err
	}
	// Readings are apart by whole ms, points by ms and a little: what is close is
	// asked for, and the times decide.
	most := maxGap.Milliseconds()
	err = q.ask(ctx, http.MethodGet, "SELECT e FROM (SELECT ELAPSED(seq, 1ns) AS e"+q.where(k, w.Since, w.Until)+") WHERE e > "+strconv.FormatInt(max(most-1, 0)*1_000_000, 10),
		func(_ int, _ []string, row [][]byte) error {
			ns, err := cellInt(row[0])
			if err != nil {
				return err
			}
			elapsed, err := cellInt(row[1])
			if before, after := floorMillis(ns-elapsed), floorMillis(ns); err == nil && after-before > most {
				w.Gap(out, before, after)
			}
			return err
		})
	if err != nil {
		return nil, err
	}
	return out, nil
}
