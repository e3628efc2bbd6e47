package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// Begin claims an idempotency key of an account for a request, named by its hash.
// It returns status and body of the answer when the same request was answered
// before, and status 0 when it is to be run: it is new, or an earlier run of it was
// cut off. A key that was used for another request is ECONFLICT.
func (s *Store) Begin(ctx context.Context, account, key, request string) (int, []byte, error) {
	_, err := s.q.ExecContext(ctx, `INSERT INTO idempotency (account, key, request, at) VALUES ($1, $2, $3, $4) ON CONFLICT (account, key) DO NOTHING`,
		account, key, request, database.Millis(time.Now()))
	if err != nil {
		return 0, nil, failed(err)
	}
	return s.answer(ctx, account, key, request)
}

func (s *Store) answer(ctx context.Context, account, key, request string) (int, []byte, error) {
	type row struct {
		request string
		status  sql.NullInt64
		body    []byte
	}
	r, err := one(ctx, s.q, func(r scanner) (v row, err error) { return v, r.Scan(&v.request, &v.status, &v.body) }, "no claim",
		`SELECT request, status, answer FROM idempotency WHERE account = $1 AND key = $2`, account, key)
	switch {
	case coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND: // another run of it has just failed and let go
		return 0, nil, nil
	case err != nil:
		return 0, nil, err
	case r.request != request:
		return 0, nil, coldkeep.Errorf(coldkeep.ECONFLICT, "Idempotency-Key: %q was used for another request", key)
	case !r.status.Valid:
		return 0, nil, nil
	}
	return int(r.status.Int64), r.body, nil
}

// Finish keeps the answer to a claimed request and returns the one that stands: of
// two runs at once, the first that finished.
func (s *Store) Finish(ctx context.Context, account, key, request string, status int, body []byte) (int, []byte, error) {
	_, err := s.q.ExecContext(ctx, `INSERT INTO idempotency (account, key, request, status, answer, at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account, key) DO UPDATE SET status = excluded.status, answer = excluded.answer WHERE idempotency.status IS NULL`,
		account, key, request, status, body, database.Millis(time.Now()))
	if err != nil {
		return 0, nil, failed(err)
	}
	return s.answer(ctx, account, key, request)
}

// Forget lets go of a claim whose request was refused, so that it can be sent
// again once it is right.
func (s *Store) Forget(ctx context.Context, account, key, request string) error {
	_, err := s.q.ExecContext(ctx, `DELETE FROM idempotency WHERE account = $1 AND key = $2 AND request = $3 AND status IS NULL`, account, key, request)
	return failed(err)
}
