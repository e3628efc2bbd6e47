package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/schedules"
)

// Schedules is the store as the schedules package asks for it.
func (s *Store) Schedules() schedules.Store { return scheduleStore{s} }

type scheduleStore struct{ *Store }

func (s scheduleStore) Tx(ctx context.Context, do func(schedules.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

func (r rows) Releases(ctx context.Context) ([]schedules.Release, error) {
	return list(ctx, r.q, func(s scanner) (v schedules.Release, err error) {
		var released string
		var loaded, active int64
		var activated sql.NullInt64
		if err = s.Scan(&v.ID, &v.Version, &released, &v.LoadedBy, &loaded, &active, &v.ActivatedBy, &activated); err != nil {
			return v, err
		}
		v.LoadedAt, v.Active, v.ActivatedAt = database.Time(loaded), active != 0, database.NullTime(activated)
		v.Released, err = date(released)
		return v, err
	}, `SELECT id, version, released, loaded_by, loaded_at, active, activated_by, activated_at FROM schedules ORDER BY id DESC`)
}

const noRelease = "There is no such release."

func (r rows) ReleaseContent(ctx context.Context, id string) ([]byte, error) {
	return one(ctx, r.q, func(s scanner) (b []byte, err error) { return b, s.Scan(&b) }, noRelease, `SELECT content FROM schedules WHERE id = $1`, id)
}

func (r rows) ActiveRelease(ctx context.Context) (string, error) {
	var id string
	err := r.q.QueryRowContext(ctx, `SELECT id FROM schedules WHERE active = 1`).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, failed(err)
}

func (t *tx) InsertRelease(ctx context.Context, r schedules.Release, content []byte) error {
	return exec(ctx, t.q, gone, `INSERT INTO schedules (id, version, released, content, loaded_by, loaded_at, active, activated_by, activated_at) VALUES ($1, $2, $3, $4, $5, $6, 0, '', NULL)`,
		r.ID, r.Version, r.Released.String(), content, r.LoadedBy, database.Millis(r.LoadedAt))
}

func (t *tx) ActivateRelease(ctx context.Context, id, by string, at time.Time) error {
	if _, err := t.q.ExecContext(ctx, `UPDATE schedules SET active = 0 WHERE active = 1`); err != nil {
		return failed(err)
	}
	if id == "" {
		return nil
	}
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ENOTFOUND, noRelease),
		`UPDATE schedules SET active = 1, activated_by = $2, activated_at = $3 WHERE id = $1`, id, by, database.Millis(at))
}

// SampleOf lists the records of people to try something on, the latest first.
func (r rows) SampleOf(ctx context.Context, n int) ([]string, error) {
	return list(ctx, r.q, func(s scanner) (v string, err error) { return v, s.Scan(&v) }, `SELECT id FROM patients WHERE id = head ORDER BY id DESC LIMIT $1`, n)
}
