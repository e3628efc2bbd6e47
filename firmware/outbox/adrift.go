package outbox

import (
	"context"
	"database/sql"

	"github.com/coldkeep/coldkeep"
)

// Adrift is a range of records, both ends included, whose times come from a clock
// that no time service had set in that boot of the device.
type Adrift struct {
	From, To int64
	Boot     string // the kernel's name of the boot
	Base     int64  // when the boot began by that clock, ms since 1970
}

// sameBase is how far, in ms, the beginning of a boot may wander within one range: a
// crystal that is 50 ppm off takes eleven hours for it. A clock that was set moves it
// further, and begins another range.
const sameBase = 2000

// drifted notes a record that was made adrift, in the transaction that records it.
func drifted(ctx context.Context, tx *sql.Tx, r *Record) error {
	res, err := tx.ExecContext(ctx, `UPDATE adrift SET to_seq = $1 WHERE to_seq = $1 - 1 AND boot = $2 AND ABS(base - $3) < $4`, r.Seq, r.Boot, r.Base, sameBase)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO adrift (from_seq, to_seq, boot, base) VALUES ($1, $1, $2, $3)`, r.Seq, r.Boot, r.Base)
	return err
}

// Adrift returns the ranges that were recorded with a Boot since the last Settle.
func (b *Box) Adrift(ctx context.Context) ([]Adrift, error) {
	rows, err := b.db.QueryContext(ctx, `SELECT from_seq, to_seq, boot, base FROM adrift ORDER BY from_seq`)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Adrift", "%s cannot be read", b.cfg.Path)
	}
	defer func() { _ = rows.Close() }() // Err is looked at
	var out []Adrift
	for rows.Next() {
		var a Adrift
		if err := rows.Scan(&a.From, &a.To, &a.Boot, &a.Base); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Adrift", "%s cannot be read", b.cfg.Path)
		}
		out = append(out, a)
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "outbox.Adrift", "%s cannot be read", b.cfg.Path)
}

// Synced returns the boot that Settle was last called for, "" for none.
func (b *Box) Synced(ctx context.Context) (string, error) {
	var boot string
	err := b.db.QueryRowContext(ctx, `SELECT synced FROM book`).Scan(&boot)
	return boot, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "outbox.Synced", "%s cannot be read", b.cfg.Path)
}

// Settle notes that the clock has been set in a boot: it appends the records that
// say what that means for those made adrift, and forgets the ranges, both or
// neither.
func (b *Box) Settle(ctx context.Context, boot string, records []Record) error {
	return b.append(ctx, records, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM adrift`); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE book SET synced = $1`, boot)
		return err
	})
}
