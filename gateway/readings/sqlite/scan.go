package sqlite

import (
	"context"
	"math"

	"github.com/coldkeep/coldkeep"
)

// Series lists the series of a site and an agent that the file knows; "" is any.
func (s *Store) Series(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) ([]coldkeep.Series, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT site, agent, probe FROM series
		WHERE ($1 = '' OR site = $1) AND ($2 = '' OR agent = $2) ORDER BY site, agent, probe`, site, agent)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Series", "series of the readings file")
	}
	defer rows.Close()
	var out []coldkeep.Series
	for rows.Next() {
		var k coldkeep.Series
		if err := rows.Scan(&k.Site, &k.Agent, &k.Probe); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Series", "series of the readings file")
		}
		out = append(out, k)
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "sqlite.Series", "series of the readings file")
}

// scanPage is how many rows one statement of Scan reads: a reader that holds a
// transaction for minutes keeps the write-ahead log from being emptied.
const scanPage = 20_000

// Scan calls each with the readings of a series whose time is in [from, to), in ms,
// in order of time and then seq, and holds no transaction for long. What is written
// meanwhile may be seen or not. It stops at the first error of each and returns it.
func (s *Store) Scan(ctx context.Context, k coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	seq, epoch := int64(math.MinInt64), int64(math.MinInt64)
	for {
		n, at := 0, from
		// INDEXED by the primary key, whose order this is.
		rows, err := s.db.QueryContext(ctx, `SELECT r.at, r.seq, r.epoch, e.name, r.celsius, r.raw, r.lo, r.hi, r.quality
			FROM reading r JOIN epoch e ON e.id = r.epoch
			WHERE r.series = (SELECT id FROM series WHERE site = $1 AND agent = $2 AND probe = $3)
				AND (r.at, r.seq, r.epoch) > ($4, $5, $6) AND r.at < $7
			ORDER BY r.series, r.at, r.seq, r.epoch LIMIT $8`, k.Site, k.Agent, k.Probe, from, seq, epoch, to, scanPage)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Scan", "readings of %s", k)
		}
		err = func() error {
			defer rows.Close()
			names := map[string]string{}
			for rows.Next() {
				r := coldkeep.Reading{Series: k}
				var c, raw, lo, hi *int64
				if err := rows.Scan(&r.At, &r.Seq, &epoch, &r.Epoch, &c, &raw, &lo, &hi, &r.Quality); err != nil {
					return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Scan", "readings of %s", k)
				}
				if name, ok := names[r.Epoch]; ok {
					r.Epoch = name
				} else {
					names[r.Epoch] = r.Epoch
				}
				r.Celsius, r.Raw, r.Lo, r.Hi = pointed(c), pointed(raw), pointed(lo), pointed(hi)
				n, at, seq = n+1, r.At, r.Seq
				if err := each(&r); err != nil {
					return err
				}
			}
			return coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "sqlite.Scan", "readings of %s", k)
		}()
		if err != nil || n < scanPage {
			return err
		}
		from = at
	}
}

func pointed(v *int64) coldkeep.Temperature {
	if v == nil || *v <= math.MinInt32 || *v > math.MaxInt32 {
		return coldkeep.NoTemperature
	}
	return coldkeep.Temperature(*v)
}
