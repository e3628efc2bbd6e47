package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/inventory"
)

// AddDoses changes the doses on hand; the condition is in the statement, so that two who
// draw the last dose at once cannot both have it.
func (t *tx) AddDoses(ctx context.Context, lot string, n int) (int, error) {
	left, err := number(t.q.QueryRowContext(ctx, `UPDATE lots SET doses_on_hand = doses_on_hand + $2 WHERE id = $1 AND doses_on_hand + $2 >= 0 RETURNING doses_on_hand`, lot, n))
	if errors.Is(err, sql.ErrNoRows) {
		return 0, coldkeep.Errorf(coldkeep.ECONFLICT, "The lot has too few doses left.")
	}
	return int(left), failed(err)
}

func (t *tx) InsertStockEntry(ctx context.Context, e inventory.StockEntry) error {
	return exec(ctx, t.q, gone, `INSERT INTO stock_journal (id, lot, at, kind, doses, on_hand, dose, by_name, why) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		e.ID, e.Lot, database.Millis(e.At), string(e.Kind), e.Doses, e.OnHand, e.Dose, e.By, e.Why)
}

func (r rows) StockEntries(ctx context.Context, lot string, limit int) ([]inventory.StockEntry, error) {
	return list(ctx, r.q, func(s scanner) (e inventory.StockEntry, err error) {
		var at int64
		err = s.Scan(&e.ID, &e.Lot, &at, &e.Kind, &e.Doses, &e.OnHand, &e.Dose, &e.By, &e.Why)
		e.At = database.Time(at)
		return e, err
	}, `SELECT id, lot, at, kind, doses, on_hand, dose, by_name, why FROM stock_journal WHERE lot = $1 ORDER BY id DESC LIMIT $2`, lot, limit)
}
