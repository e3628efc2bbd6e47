package outbox

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// mark is the latest record that was sealed; seq 0 when none was, which lets the
// first record of an epoch be sealed with its moment.
type mark struct{ seq, at int64 }

// PublicKey is the key by which the book's seals are verified; nil when it seals
// nothing.
func (b *Box) PublicKey() ed25519.PublicKey {
	if b.cfg.Key == nil {
		return nil
	}
	return b.cfg.Key.Public().(ed25519.PublicKey)
}

// Seal returns the seal of the chain at seq, nil when there is none.
func (b *Box) Seal(ctx context.Context, seq int64) (*wire.Seal, error) {
	var s wire.Seal
	err := b.db.QueryRowContext(ctx, `SELECT seq, oldest, h, key, sig FROM seal WHERE seq = $1`, seq).Scan(&s.Seq, &s.Oldest, &s.Hash, &s.Key, &s.Sig)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &s, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Seal", "%s cannot be read", b.cfg.Path)
}

// due reports whether the chain is to be sealed at r, whose successor in the same
// Append is next, nil for the last one. The rule looks at the records' own times,
// so that it can be checked from them; the records of one moment stay under one
// seal.
func (m mark) due(r, next *Record) bool {
	since := r.At - m.at
	switch {
	case r.Seq-m.seq >= wire.SealRecords:
		return true
	case m.seq != 0 && -wire.SealEvery.Milliseconds() < since && since < wire.SealEvery.Milliseconds():
		return false
	}
	return next == nil || next.At != r.At
}

// seal signs the chain at r, in the transaction that records r.
func (b *Box) seal(ctx context.Context, tx *sql.Tx, p *place, r *Record) error {
	s := wire.NewSeal(b.cfg.Key, b.cfg.Site, b.cfg.Agent, p.Epoch, r.Seq, min(p.Oldest, r.Seq), p.head)
	if _, err := tx.ExecContext(ctx, `INSERT INTO seal (seq, oldest, h, key, sig) VALUES ($1, $2, $3, $4, $5)`,
		s.Seq, s.Oldest, s.Hash, s.Key, s.Sig); err != nil {
		return err
	}
	p.sealed = mark{r.Seq, r.At}
	return nil
}
