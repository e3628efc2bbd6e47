package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/coldkeep/coldkeep/gateway/wire"
)

// verify derives the chain anew over what is not delivered, from the last seal before
// it on, and compares it with every seal there and with the head. A card that gives
// back other values than were written is found out before they are sent; what is
// delivered is the collector's to prove.
func (b *Box) verify(ctx context.Context, tx *sql.Tx, p *place) error {
	from := p.Oldest
	h := wire.FirstHash(b.cfg.Site, b.cfg.Agent, p.Epoch)
	known := from == 1
	start, err := sealAt(ctx, tx, `SELECT seq, oldest, h, key, sig FROM seal WHERE seq <= $1 ORDER BY seq DESC LIMIT 1`, p.Acked)
	if err != nil {
		return err
	}
	if start != nil && start.Seq+1 >= p.Oldest {
		if h, known = start.Head(); !known {
			return fmt.Errorf("%w: the seal of %d has no hash", errDamaged, start.Seq)
		}
		from = start.Seq + 1
	}
	if !known { // no seal is left from before; the first one there is will do
		if start, err = sealAt(ctx, tx, `SELECT seq, oldest, h, key, sig FROM seal ORDER BY seq LIMIT 1`); err != nil || start == nil {
			return err
		}
		if h, known = start.Head(); !known {
			return fmt.Errorf("%w: the seal of %d has no hash", errDamaged, start.Seq)
		}
		from = start.Seq + 1
	}
	seals := make(map[int64]string)
	rows, err := tx.QueryContext(ctx, `SELECT seq, h FROM seal WHERE seq >= $1`, from)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err is looked at
	for rows.Next() {
		var seq int64
		var hash string
		if err := rows.Scan(&seq, &hash); err != nil {
			return err
		}
		seals[seq] = hash
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return b.walk(ctx, tx, p, from, h, seals)
}

// walk is the derivation itself.
func (b *Box) walk(ctx context.Context, tx *sql.Tx, p *place, from int64, h wire.Hash, seals map[int64]string) error {
	rows, err := tx.QueryContext(ctx, `SELECT seq, t, p, c, r, lo, hi, q, e, d, clock, cfg FROM record WHERE seq >= $1 ORDER BY seq`, from)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err is looked at
	var canonical []byte
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return fmt.Errorf("%w: the record after %d is not readable: %w", errDamaged, from-1, err)
		}
		canonical = wire.AppendCanonical(canonical[:0], r.Seq, &r.Record, r.Clock, r.Config)
		h = h.Next(canonical)
		if want, sealed := seals[r.Seq]; sealed {
			s := wire.Seal{Hash: want}
			if head, ok := s.Head(); !ok || head != h {
				return fmt.Errorf("%w: the chain at %d is not that of its seal", errDamaged, r.Seq)
			}
		}
		from = r.Seq + 1
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if h != p.head {
		return fmt.Errorf("%w: the chain does not end at the book's head", errDamaged)
	}
	return nil
}

// sealAt reads one seal, nil when there is none.
func sealAt(ctx context.Context, tx *sql.Tx, query string, args ...any) (*wire.Seal, error) {
	var s wire.Seal
	err := tx.QueryRowContext(ctx, query, args...).Scan(&s.Seq, &s.Oldest, &s.Hash, &s.Key, &s.Sig)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &s, err
}
