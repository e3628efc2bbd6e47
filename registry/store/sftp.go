package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/hl7/sftp"
)

// SFTP is the store as the intake over SFTP asks for it.
func (s *Store) SFTP() sftp.Store { return sftpStore{s} }

type sftpStore struct{ *Store }

const noSent = "There is no such file."

func (s sftpStore) InsertSent(ctx context.Context, f sftp.Sent) error {
	return s.tx(ctx, func(t *tx) error {
		return exec(ctx, t.q, gone, `INSERT INTO sftp_files (id, account, file, name, bytes, at) VALUES ($1, $2, $3, $4, $5, $6)`, f.ID, f.Account, f.Exchanged, f.Name, f.Size, database.Millis(f.At))
	})
}

func (s sftpStore) Sent(ctx context.Context, account string, since time.Time) ([]sftp.Sent, error) {
	return list(ctx, s.q, func(s scanner) (f sftp.Sent, err error) {
		var at int64
		var removed, ended sql.NullInt64
		if err = s.Scan(&f.ID, &f.Account, &f.Exchanged, &f.Name, &f.Size, &at, &removed, &ended, &f.Answers); err != nil {
			return f, err
		}
		f.At, f.Removed, f.EndedAt = database.Time(at), removed.Valid, database.NullTime(ended)
		return f, nil
	}, `SELECT s.id, s.account, s.file, s.name, s.bytes, s.at, s.removed_at, f.ended_at, f.answers FROM sftp_files s JOIN exchange_files f ON f.id = s.file
		WHERE s.account = $1 AND s.at >= $2 ORDER BY s.at, s.id`, account, database.Millis(since))
}

func (s sftpStore) RemoveSent(ctx context.Context, account, id string, at time.Time) error {
	return s.tx(ctx, func(t *tx) error {
		return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ENOTFOUND, noSent), `UPDATE sftp_files SET removed_at = $3 WHERE id = $1 AND account = $2 AND removed_at IS NULL`, id, account, database.Millis(at))
	})
}

func (s sftpStore) ForgetSent(ctx context.Context, before time.Time) error {
	return s.tx(ctx, func(t *tx) error {
		_, err := t.q.ExecContext(ctx, `DELETE FROM sftp_files WHERE at < $1`, database.Millis(before))
		return failed(err)
	})
}
