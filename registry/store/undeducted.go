package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/exchange"
)

// undeductedRows are the list's rows with the record that each dose is on now, which a merge
// or its undoing may have changed, and the sender's name.
const undeductedRows = `SELECT u.dose, d.patient, u.site, u.account, COALESCE(a.name, ''), u.message, u.at, u.code, u.reason, u.settled_at, u.settled_by, u.settled_why
	FROM exchange_undeducted u JOIN doses d ON d.id = u.dose LEFT JOIN accounts a ON a.id = u.account`

// undeductedWaits are those that nobody has settled, here or on the dose itself; of a site,
// which is the first argument, or of all.
func undeductedWaits(site coldkeep.SiteID) (where string, args []any) {
	where = ` WHERE u.settled_at IS NULL AND d.deleted_at IS NULL AND d.stock = '' AND d.kind = 'administered'`
	if site == "" {
		return where, nil
	}
	return where + ` AND u.site = $1`, []any{string(site)}
}

func undeducted(s scanner) (u exchange.Undeducted, err error) {
	var at int64
	var settled sql.NullInt64
	err = s.Scan(&u.Dose, &u.Patient, &u.Site, &u.Account, &u.Sender, &u.Message, &at, &u.Code, &u.Reason, &settled, &u.By, &u.Why)
	u.At, u.Settled = database.Time(at), database.NullTime(settled)
	return u, err
}

func (r rows) Undeducted(ctx context.Context, site coldkeep.SiteID, skip, limit int) ([]exchange.Undeducted, error) {
	where, args := undeductedWaits(site)
	return list(ctx, r.q, undeducted, undeductedRows+where+fmt.Sprintf(` ORDER BY u.at, u.dose LIMIT $%d OFFSET $%d`, len(args)+1, len(args)+2), append(args, limit, skip)...)
}

func (r rows) CountUndeducted(ctx context.Context, site coldkeep.SiteID) (map[coldkeep.SiteID]int, error) {
	type count struct {
		site coldkeep.SiteID
		n    int
	}
	where, args := undeductedWaits(site)
	all, err := list(ctx, r.q, func(s scanner) (c count, err error) { return c, s.Scan(&c.site, &c.n) },
		`SELECT u.site, count(*) FROM exchange_undeducted u JOIN doses d ON d.id = u.dose`+where+` GROUP BY u.site`, args...)
	out := make(map[coldkeep.SiteID]int, len(all))
	for _, c := range all {
		out[c.site] = c.n
	}
	return out, err
}

func (r rows) UndeductedDose(ctx context.Context, dose string) (exchange.Undeducted, error) {
	return one(ctx, r.q, undeducted, "There is no such dose on the list.", undeductedRows+` WHERE u.dose = $1`, dose)
}

func (t *tx) PutUndeducted(ctx context.Context, u exchange.Undeducted) error {
	return exec(ctx, t.q, gone, `INSERT INTO exchange_undeducted (dose, patient, site, account, message, at, code, reason, settled_at, settled_by, settled_why) VALUES (`+marks(11)+`)
		ON CONFLICT (dose) DO UPDATE SET account = excluded.account, message = excluded.message, at = excluded.at, code = excluded.code, reason = excluded.reason,
			settled_at = excluded.settled_at, settled_by = excluded.settled_by, settled_why = excluded.settled_why`,
		u.Dose, u.Patient, string(u.Site), u.Account, u.Message, database.Millis(u.At), u.Code, u.Reason, database.NullMillis(u.Settled), u.By, u.Why)
}

func (t *tx) SettleUndeducted(ctx context.Context, dose, by, why string, at time.Time) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has settled this dose meanwhile."),
		`UPDATE exchange_undeducted SET settled_at = $2, settled_by = $3, settled_why = $4 WHERE dose = $1 AND settled_at IS NULL`, dose, database.Millis(at), by, why)
}
