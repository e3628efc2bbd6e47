package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/inventory"
)

const lotColumns = `id, site, lot, product, cvx, ndc, mvx, expires, funding, doses_on_hand, created_at, budget_warm_min, budget_cold_min, budget_source`

func lot(s scanner) (l inventory.Lot, err error) {
	var created int64
	var warm, cold sql.NullInt64
	err = s.Scan(&l.ID, &l.Site, &l.Number, &l.Product, &l.CVX, &l.NDC, &l.MVX, &l.Expires, &l.Funding, &l.DosesOnHand, &created, &warm, &cold, &l.Budget.Source)
	l.CreatedAt, l.Budget.Warm, l.Budget.Cold = database.Time(created), optional(warm), optional(cold)
	return l, err
}

// optional reads a whole number that may be absent.
func optional(v sql.NullInt64) *int {
	if !v.Valid {
		return nil
	}
	n := int(v.Int64)
	return &n
}

func nullNumber(v *int) sql.NullInt64 {
	if v == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: int64(*v), Valid: true}
}

func (r rows) Lot(ctx context.Context, id string) (inventory.Lot, error) {
	return one(ctx, r.q, lot, "There is no such lot.", `SELECT `+lotColumns+` FROM lots WHERE id = $1`, id)
}

func (r rows) Lots(ctx context.Context, site coldkeep.SiteID) ([]inventory.Lot, error) {
	return list(ctx, r.q, lot, `SELECT `+lotColumns+` FROM lots WHERE $1 = '' OR site = $1 ORDER BY product, lot, id`, string(site))
}

func (t *tx) InsertLot(ctx context.Context, l inventory.Lot) error {
	return exec(ctx, t.q, gone, `INSERT INTO lots (`+lotColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		l.ID, string(l.Site), l.Number, l.Product, l.CVX, l.NDC, l.MVX, l.Expires, string(l.Funding), l.DosesOnHand, database.Millis(l.CreatedAt),
		nullNumber(l.Budget.Warm), nullNumber(l.Budget.Cold), l.Budget.Source)
}

func (t *tx) SetBudget(ctx context.Context, id string, b inventory.Budget) error {
	return exec(ctx, t.q, gone, `UPDATE lots SET budget_warm_min = $2, budget_cold_min = $3, budget_source = $4 WHERE id = $1`,
		id, nullNumber(b.Warm), nullNumber(b.Cold), b.Source)
}

func (t *tx) SetDoses(ctx context.Context, id string, doses int) error {
	return exec(ctx, t.q, gone, `UPDATE lots SET doses_on_hand = $2 WHERE id = $1`, id, doses)
}

func placement(s scanner) (p inventory.Placement, err error) {
	var from int64
	var to sql.NullInt64
	err = s.Scan(&p.ID, &p.Lot, &p.Appliance, &from, &to)
	p.From, p.To = database.Time(from), database.NullTime(to)
	return p, err
}

const placementQuery = `SELECT p.id, p.lot, p.appliance, p.from_at, p.to_at FROM placements p `

func (r rows) Placements(ctx context.Context, site coldkeep.SiteID) ([]inventory.Placement, error) {
	return list(ctx, r.q, placement, placementQuery+`JOIN lots l ON l.id = p.lot WHERE $1 = '' OR l.site = $1 ORDER BY p.from_at, p.id`, string(site))
}

func (r rows) PlacementsOf(ctx context.Context, lot string) ([]inventory.Placement, error) {
	return list(ctx, r.q, placement, placementQuery+`WHERE p.lot = $1 ORDER BY p.from_at, p.id`, lot)
}

func (r rows) PlacementsIn(ctx context.Context, id coldkeep.ApplianceID) ([]inventory.Placement, error) {
	return list(ctx, r.q, placement, placementQuery+`WHERE p.appliance = $1 ORDER BY p.from_at, p.id`, string(id))
}

func (t *tx) InsertPlacement(ctx context.Context, p inventory.Placement) error {
	return exec(ctx, t.q, gone, `INSERT INTO placements (id, lot, appliance, from_at, to_at) VALUES ($1, $2, $3, $4, $5)`,
		p.ID, p.Lot, string(p.Appliance), database.Millis(p.From), database.NullMillis(p.To))
}

func (t *tx) EndPlacement(ctx context.Context, id string, to time.Time) error {
	return exec(ctx, t.q, gone, `UPDATE placements SET to_at = $2 WHERE id = $1`, id, database.Millis(to))
}

const holdColumns = `id, excursion, site, appliance, since, until_at, reason, created_at`

func hold(s scanner) (h inventory.Hold, err error) {
	var since, created int64
	var until sql.NullInt64
	err = s.Scan(&h.ID, &h.Excursion, &h.Site, &h.Appliance, &since, &until, &h.Reason, &created)
	h.Since, h.Until, h.CreatedAt = database.Time(since), database.NullTime(until), database.Time(created)
	return h, err
}

func (r rows) Hold(ctx context.Context, id string) (inventory.Hold, error) {
	return one(ctx, r.q, hold, "There is no hold \""+id+"\".", `SELECT `+holdColumns+` FROM holds WHERE id = $1`, id)
}

func (r rows) HoldByExcursion(ctx context.Context, excursion string) (inventory.Hold, error) {
	return one(ctx, r.q, hold, "The excursion has no hold.", `SELECT `+holdColumns+` FROM holds WHERE excursion = $1`, excursion)
}

func (r rows) Holds(ctx context.Context, site coldkeep.SiteID) ([]inventory.Hold, error) {
	return list(ctx, r.q, hold, `SELECT `+holdColumns+` FROM holds WHERE $1 = '' OR site = $1 ORDER BY since DESC, id`, string(site))
}

func (r rows) HoldsIn(ctx context.Context, id coldkeep.ApplianceID) ([]inventory.Hold, error) {
	return list(ctx, r.q, hold, `SELECT `+holdColumns+` FROM holds WHERE appliance = $1 ORDER BY since, id`, string(id))
}

func (t *tx) InsertHold(ctx context.Context, h inventory.Hold) error {
	return exec(ctx, t.q, gone, `INSERT INTO holds (`+holdColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		h.ID, h.Excursion, string(h.Site), string(h.Appliance), database.Millis(h.Since), database.NullMillis(h.Until), h.Reason, database.Millis(h.CreatedAt))
}

func (t *tx) UpdateHold(ctx context.Context, h inventory.Hold) error {
	return exec(ctx, t.q, gone, `UPDATE holds SET since = $2, until_at = $3 WHERE id = $1`, h.ID, database.Millis(h.Since), database.NullMillis(h.Until))
}

func holdLot(s scanner) (h inventory.HoldLot, err error) {
	var joined int64
	var decided sql.NullInt64
	err = s.Scan(&h.Hold, &h.Lot, &h.State, &h.JoinedAs, &joined, &h.DecidedBy, &decided, &h.Reason)
	h.JoinedAt, h.DecidedAt = database.Time(joined), database.NullTime(decided)
	return h, err
}

const holdLotQuery = `SELECT hl.hold, hl.lot, hl.state, hl.joined_as, hl.joined_at, hl.decided_by, hl.decided_at, hl.reason FROM hold_lots hl `

func (r rows) HoldLots(ctx context.Context, site coldkeep.SiteID) ([]inventory.HoldLot, error) {
	return list(ctx, r.q, holdLot, holdLotQuery+`JOIN holds h ON h.id = hl.hold WHERE $1 = '' OR h.site = $1 ORDER BY hl.hold, hl.lot`, string(site))
}

func (r rows) HoldLotsOf(ctx context.Context, hold string) ([]inventory.HoldLot, error) {
	return list(ctx, r.q, holdLot, holdLotQuery+`WHERE hl.hold = $1 ORDER BY hl.lot`, hold)
}

func (r rows) HoldsOn(ctx context.Context, lot string) ([]inventory.HoldLot, error) {
	return list(ctx, r.q, holdLot, holdLotQuery+`WHERE hl.lot = $1 ORDER BY hl.hold`, lot)
}

func lotOnHold(s scanner) (l coldkeep.LotOnHold, err error) {
	var since int64
	err = s.Scan(&l.Appliance, &l.Lot, &l.Product, &since)
	l.Since = database.Time(since)
	return l, err
}

// LotsOnHold is templog's, which hands them on in the mirror.
func (r rows) LotsOnHold(ctx context.Context) ([]coldkeep.LotOnHold, error) {
	return list(ctx, r.q, lotOnHold, `SELECT h.appliance, l.lot, l.product, MIN(h.since) FROM hold_lots hl JOIN holds h ON h.id = hl.hold JOIN lots l ON l.id = hl.lot
		WHERE hl.state = $1 GROUP BY h.appliance, l.lot, l.product ORDER BY h.appliance, l.lot, l.product`, string(inventory.Held))
}

// shown has the collector fetch the mirror, which lists the lots on hold.
func (t *tx) shown(ctx context.Context, err error) error {
	if err == nil {
		_, err = t.BumpMirror(ctx)
	}
	return err
}

func (t *tx) InsertHoldLot(ctx context.Context, h inventory.HoldLot) error {
	return t.shown(ctx, exec(ctx, t.q, gone, `INSERT INTO hold_lots (hold, lot, state, joined_as, joined_at, decided_by, decided_at, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		h.Hold, h.Lot, string(h.State), h.JoinedAs, database.Millis(h.JoinedAt), h.DecidedBy, database.NullMillis(h.DecidedAt), h.Reason))
}

func (t *tx) UpdateHoldLot(ctx context.Context, h inventory.HoldLot) error {
	return t.shown(ctx, exec(ctx, t.q, gone, `UPDATE hold_lots SET state = $3, decided_by = $4, decided_at = $5, reason = $6 WHERE hold = $1 AND lot = $2`,
		h.Hold, h.Lot, string(h.State), h.DecidedBy, database.NullMillis(h.DecidedAt), h.Reason))
}

func proposal(s scanner) (p inventory.Proposal, err error) {
	var created int64
	var since, decided sql.NullInt64
	err = s.Scan(&p.ID, &p.Hold, &p.Action, &since, &p.Reason, &p.State, &created, &p.DecidedBy, &decided, &p.Decision)
	p.Since, p.CreatedAt, p.DecidedAt = database.NullTime(since), database.Time(created), database.NullTime(decided)
	return p, err
}

const proposalQuery = `SELECT p.id, p.hold, p.action, p.since, p.reason, p.state, p.created_at, p.decided_by, p.decided_at, p.decision FROM proposals p `

func (r rows) Proposal(ctx context.Context, id string) (inventory.Proposal, error) {
	return one(ctx, r.q, proposal, "There is no such proposal.", proposalQuery+`WHERE p.id = $1`, id)
}

func (r rows) Proposals(ctx context.Context, site coldkeep.SiteID) ([]inventory.Proposal, error) {
	return list(ctx, r.q, proposal, proposalQuery+`JOIN holds h ON h.id = p.hold WHERE $1 = '' OR h.site = $1 ORDER BY p.created_at DESC, p.id`, string(site))
}

func (r rows) ProposalsOf(ctx context.Context, hold string) ([]inventory.Proposal, error) {
	return list(ctx, r.q, proposal, proposalQuery+`WHERE p.hold = $1 ORDER BY p.created_at, p.id`, hold)
}

func (t *tx) InsertProposal(ctx context.Context, p inventory.Proposal) error {
	return exec(ctx, t.q, gone, `INSERT INTO proposals (id, hold, action, since, reason, state, created_at, decided_by, decided_at, decision)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		p.ID, p.Hold, p.Action, database.NullMillis(p.Since), p.Reason, p.State, database.Millis(p.CreatedAt), p.DecidedBy, database.NullMillis(p.DecidedAt), p.Decision)
}

func (t *tx) UpdateProposal(ctx context.Context, p inventory.Proposal) error {
	return exec(ctx, t.q, gone, `UPDATE proposals SET state = $2, decided_by = $3, decided_at = $4, decision = $5 WHERE id = $1`,
		p.ID, p.State, p.DecidedBy, database.NullMillis(p.DecidedAt), p.Decision)
}
