package store

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// Sessions keeps sessions of the screens for scs, which hashes the tokens before
// it hands them over.
type Sessions struct{ s *Store }

// Sessions returns the session store.
func (s *Store) Sessions() Sessions { return Sessions{s} }

// FindCtx returns the data of a session that has not expired.
func (s Sessions) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	b, err := one(ctx, s.s.q, func(r scanner) (b []byte, err error) { return b, r.Scan(&b) }, "There is no such session.",
		`SELECT data FROM sessions WHERE token = $1 AND expires > $2`, token, database.Millis(time.Now()))
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return nil, false, nil
	}
	return b, err == nil, err
}

// CommitCtx adds a session or replaces its data and expiry.
func (s Sessions) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	_, err := s.s.q.ExecContext(ctx, `INSERT INTO sessions (token, data, expires) VALUES ($1, $2, $3)
		ON CONFLICT (token) DO UPDATE SET data = excluded.data, expires = excluded.expires`, token, b, database.Millis(expiry))
	return failed(err)
}

// DeleteCtx ends a session.
func (s Sessions) DeleteCtx(ctx context.Context, token string) error {
	_, err := s.s.q.ExecContext(ctx, `DELETE FROM sessions WHERE token = $1`, token)
	return failed(err)
}

// Find is FindCtx for callers without a context.
func (s Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx for callers without a context.
func (s Sessions) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}

// Delete is DeleteCtx for callers without a context.
func (s Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// Tidy deletes what has had its time: sessions that have expired and answers kept
// for repeated calls, and forms that have recorded a dose, from before a time.
func (s *Store) Tidy(ctx context.Context, answersBefore time.Time) error {
	if _, err := s.q.ExecContext(ctx, `DELETE FROM sessions WHERE expires <= $1`, database.Millis(time.Now())); err != nil {
		return failed(err)
	}
	if _, err := s.q.ExecContext(ctx, `DELETE FROM dose_forms WHERE at < $1`, database.Millis(answersBefore)); err != nil {
		return failed(err)
	}
	_, err := s.q.ExecContext(ctx, `DELETE FROM idempotency WHERE at < $1`, database.Millis(answersBefore))
	return failed(err)
}
