package outbox

import (
	"context"
	"database/sql"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// Extreme is how cold and how warm a probe has been since its extremes were reset,
// by the event minmax-reset, or since the book has them. It follows from the records
// and is kept beside them, because the records are deleted in time and a year of them
// is not to be read at every start.
type Extreme struct {
	Lo, Hi     coldkeep.Temperature
	LoAt, HiAt int64 // ms since 1970
	Since      int64
}

// add widens e by a temperature.
func (e *Extreme) add(c coldkeep.Temperature, at int64) {
	if !c.Known() {
		return
	}
	if c < e.Lo || !e.Lo.Known() {
		e.Lo, e.LoAt = c, at
	}
	if c > e.Hi || !e.Hi.Known() {
		e.Hi, e.HiAt = c, at
	}
}

// standings are what one Append changes of the extremes and the latest events.
type standings struct {
	extremes map[coldkeep.ProbeID]*Extreme
}

// note takes a record that has been written.
func (s *standings) note(ctx context.Context, tx *sql.Tx, r *Record) error {
	if !r.IsEvent() {
		if !r.Celsius.Known() {
			return nil
		}
		e, ok := s.extremes[r.Probe]
		if !ok {
			e = &Extreme{Lo: coldkeep.NoTemperature, Hi: coldkeep.NoTemperature, Since: r.At}
			s.extremes[r.Probe] = e
		}
		for _, c := range [...]coldkeep.Temperature{r.Celsius, r.Lo, r.Hi} {
			e.add(c, r.At)
		}
		return nil
	}
	if r.Event == wire.EventMinMaxReset {
		if r.Probe == "" {
			clear(s.extremes)
		} else {
			delete(s.extremes, r.Probe)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM extreme WHERE p = $1 OR $1 = ''`, string(r.Probe)); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO latest_event (e, p, seq, t, d) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (e, p) DO UPDATE SET seq = excluded.seq, t = excluded.t, d = excluded.d`,
		r.Event, string(r.Probe), r.Seq, r.At, r.Detail)
	return err
}

// write widens the extremes on disk. A row that stays as it is costs no write.
func (s *standings) write(ctx context.Context, tx *sql.Tx) error {
	for p, e := range s.extremes {
		if _, err := tx.ExecContext(ctx, `INSERT INTO extreme (p, lo, lo_t, hi, hi_t, since) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (p) DO UPDATE SET
				lo_t = CASE WHEN excluded.lo < lo THEN excluded.lo_t ELSE lo_t END, lo = MIN(lo, excluded.lo),
				hi_t = CASE WHEN excluded.hi > hi THEN excluded.hi_t ELSE hi_t END, hi = MAX(hi, excluded.hi)
			WHERE excluded.lo < lo OR excluded.hi > hi`,
			string(p), int64(e.Lo), e.LoAt, int64(e.Hi), e.HiAt, e.Since); err != nil {
			return err
		}
	}
	return nil
}

// Extremes returns the extremes of every probe since its last reset.
func (b *Box) Extremes(ctx context.Context) (map[coldkeep.ProbeID]Extreme, error) {
	rows, err := b.db.QueryContext(ctx, `SELECT p, lo, lo_t, hi, hi_t, since FROM extreme`)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Extremes", "%s cannot be read", b.cfg.Path)
	}
	defer func() { _ = rows.Close() }() // Err is looked at
	out := make(map[coldkeep.ProbeID]Extreme)
	for rows.Next() {
		var p string
		var e Extreme
		if err := rows.Scan(&p, &e.Lo, &e.LoAt, &e.Hi, &e.HiAt, &e.Since); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Extremes", "%s cannot be read", b.cfg.Path)
		}
		out[coldkeep.ProbeID(p)] = e
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "outbox.Extremes", "%s cannot be read", b.cfg.Path)
}

// LatestEvents returns the latest event of each kind and probe that was recorded,
// also when its record is deleted, in the order in which they were recorded.
func (b *Box) LatestEvents(ctx context.Context) ([]Record, error) {
	rows, err := b.db.QueryContext(ctx, `SELECT seq, e, p, t, d FROM latest_event ORDER BY seq`)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.LatestEvents", "%s cannot be read", b.cfg.Path)
	}
	defer func() { _ = rows.Close() }() // Err is looked at
	var out []Record
	for rows.Next() {
		var p string
		var r Record
		if err := rows.Scan(&r.Seq, &r.Event, &p, &r.At, &r.Detail); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.LatestEvents", "%s cannot be read", b.cfg.Path)
		}
		r.Probe = coldkeep.ProbeID(p)
		out = append(out, r)
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "outbox.LatestEvents", "%s cannot be read", b.cfg.Path)
}

// page is how many records Since reads at once, so that Append never waits for long.
const page = 500

// Since calls each for every record held that was written at a time or later, but no
// more than the last most, in their order, and ends with its error. Append goes on meanwhile. The time is looked
// for by halves, which a clock that was set back in between may mislead by as much as
// it was set.
func (b *Box) Since(ctx context.Context, at time.Time, most int64, each func(*Record) error) error {
	st := b.State()
	lo, hi := max(st.Oldest, st.Last-most+1), st.Last+1 // the first record to be given is in [lo, hi]
	for lo < hi {
		mid := lo + (hi-lo)/2
		var written int64
		err := b.db.QueryRowContext(ctx, `SELECT written FROM record WHERE seq >= $1 ORDER BY seq LIMIT 1`, mid).Scan(&written)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Since", "%s cannot be read", b.cfg.Path)
		}
		if written < at.UnixMilli() {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for next := lo; next <= st.Last; {
		records, err := b.readPage(ctx, next)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Since", "%s cannot be read", b.cfg.Path)
		}
		if len(records) == 0 {
			return nil
		}
		for i := range records {
			if err := each(&records[i]); err != nil {
				return err
			}
		}
		next = records[len(records)-1].Seq + 1
	}
	return nil
}

func (b *Box) readPage(ctx context.Context, from int64) ([]Record, error) {
	rows, err := b.db.QueryContext(ctx, `SELECT seq, t, p, c, r, lo, hi, q, e, d, clock, cfg FROM record WHERE seq >= $1 ORDER BY seq LIMIT $2`, from, page)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err is looked at
	var out []Record
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
