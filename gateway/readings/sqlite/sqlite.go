// Package sqlite keeps readings in one SQLite file, the embedded default.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"sync"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/internal/database"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Component is the name under which the tables' versions are counted.
const Component = "readings"

// Migrations are the steps that make the tables.
func Migrations() fs.FS { return database.Steps(migrations) }

const columns = 9

var bulkReading = database.NewBulk(`INSERT INTO reading (series, at, seq, epoch, celsius, raw, lo, hi, quality)`, columns, `ON CONFLICT DO NOTHING`)

// rowsTogether is how many rows' values are gathered before they are inserted.
const rowsTogether = 64

// Store is a readings store in a SQLite file.
type Store struct {
	db *database.DB

	mu     sync.Mutex // guards the two caches, which only grow with devices
	series map[coldkeep.Series]int64
	epochs map[string]int64
}

var _ readings.Store = (*Store)(nil)

// Open opens or makes the file.
func Open(ctx context.Context, path string) (*Store, error) {
	db, err := database.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, Component, Migrations()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{db: db, series: map[coldkeep.Series]int64{}, epochs: map[string]int64{}}, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Ping reports whether the file can be read.
func (s *Store) Ping(ctx context.Context) error {
	return coldkeep.Wrap(s.db.PingContext(ctx), coldkeep.EUNAVAILABLE, "sqlite.Ping", "readings file does not answer")
}

// Append stores readings in one transaction.
func (s *Store) Append(ctx context.Context, rs []coldkeep.Reading) error {
	if len(rs) == 0 {
		return nil
	}
	err := s.db.Tx(ctx, func(tx *sql.Tx) error {
		args := make([]any, 0, rowsTogether*columns)
		for i := range rs {
			r := &rs[i]
			series, err := s.seriesID(ctx, tx, r.Series)
			if err != nil {
				return err
			}
			epoch, err := s.epochID(ctx, tx, r.Epoch)
			if err != nil {
				return err
			}
			args = append(args, series, r.At, r.Seq, epoch, nullTemp(r.Celsius), nullTemp(r.Raw), nullTemp(r.Lo), nullTemp(r.Hi), string(r.Quality))
			if len(args) == rowsTogether*columns || i == len(rs)-1 {
				if err := bulkReading.Exec(ctx, s.db, tx, args); err != nil {
					return err
				}
				args = args[:0]
			}
		}
		return nil
	})
	if err != nil {
		// The transaction may have undone a name that the caches already hold.
		s.mu.Lock()
		clear(s.series)
		clear(s.epochs)
		s.mu.Unlock()
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Append", "%d readings could not be stored", len(rs))
	}
	return nil
}

func nullTemp(t coldkeep.Temperature) any {
	if !t.Known() {
		return nil
	}
	return int64(t)
}

func (s *Store) seriesID(ctx context.Context, tx *sql.Tx, k coldkeep.Series) (int64, error) {
	s.mu.Lock()
	id, ok := s.series[k]
	s.mu.Unlock()
	if ok {
		return id, nil
	}
	err := tx.QueryRowContext(ctx, `INSERT INTO series (site, agent, probe) VALUES ($1, $2, $3)
		ON CONFLICT (site, agent, probe) DO UPDATE SET site = excluded.site RETURNING id`, k.Site, k.Agent, k.Probe).Scan(&id)
	if err == nil {
		s.mu.Lock()
		s.series[k] = id
		s.mu.Unlock()
	}
	return id, err
}

func (s *Store) epochID(ctx context.Context, tx *sql.Tx, epoch string) (int64, error) {
	s.mu.Lock()
	id, ok := s.epochs[epoch]
	s.mu.Unlock()
	if ok {
		return id, nil
	}
	err := tx.QueryRowContext(ctx, `INSERT INTO epoch (name) VALUES ($1)
		ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id`, epoch).Scan(&id)
	if err == nil {
		s.mu.Lock()
		s.epochs[epoch] = id
		s.mu.Unlock()
	}
	return id, err
}

const selectReading = `SELECT r.at, r.seq, e.name, r.celsius, r.raw, r.lo, r.hi, r.quality
	FROM reading r JOIN series s ON s.id = r.series JOIN epoch e ON e.id = r.epoch
	WHERE s.site = $1 AND s.agent = $2 AND s.probe = $3 `

// Range reads a series in order.
func (s *Store) Range(ctx context.Context, k coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	rows, err := s.db.QueryContext(ctx, selectReading+`AND r.at >= $4 AND r.at < $5 ORDER BY r.at, r.seq`, k.Site, k.Agent, k.Probe, from, to)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Range", "readings of %s", k)
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scan(rows, k)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Range", "readings of %s", k)
		}
		if err := each(&r); err != nil {
			return err
		}
	}
	return coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "sqlite.Range", "readings of %s", k)
}

// Latest reads the last of a series.
func (s *Store) Latest(ctx context.Context, k coldkeep.Series) (coldkeep.Reading, error) {
	r, err := scan(s.db.QueryRowContext(ctx, selectReading+`ORDER BY r.at DESC, r.seq DESC LIMIT 1`, k.Site, k.Agent, k.Probe), k)
	if errors.Is(err, sql.ErrNoRows) {
		return r, coldkeep.Errorf(coldkeep.ENOTFOUND, "no readings of %s", k)
	}
	return r, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Latest", "readings of %s", k)
}

// Count counts a series.
func (s *Store) Count(ctx context.Context, k coldkeep.Series, from, to int64) (n int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM reading r JOIN series s ON s.id = r.series
		WHERE s.site = $1 AND s.agent = $2 AND s.probe = $3 AND r.at >= $4 AND r.at < $5`, k.Site, k.Agent, k.Probe, from, to).Scan(&n)
	return n, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sqlite.Count", "readings of %s", k)
}

func scan(row interface{ Scan(...any) error }, k coldkeep.Series) (coldkeep.Reading, error) {
	r := coldkeep.Reading{Series: k}
	var c, raw, lo, hi sql.NullInt64
	err := row.Scan(&r.At, &r.Seq, &r.Epoch, &c, &raw, &lo, &hi, &r.Quality)
	r.Celsius, r.Raw, r.Lo, r.Hi = temp(c), temp(raw), temp(lo), temp(hi)
	return r, err
}

func temp(v sql.NullInt64) coldkeep.Temperature {
	if !v.Valid {
		return coldkeep.NoTemperature
	}
	return coldkeep.Temperature(v.Int64)
}
