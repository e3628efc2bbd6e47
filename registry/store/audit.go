package store

import (
	"context"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// Audit adds an entry to the trail. There is no statement that changes one.
func (t *tx) Audit(ctx context.Context, e audit.Entry) error {
	_, err := t.q.ExecContext(ctx, `INSERT INTO audit (id, at, who_id, who, what, subject, site, why, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		ulid.Make().String(), database.Millis(e.At), e.WhoID, e.Who, e.What, e.Subject, string(e.Site), e.Why, e.Detail)
	return failed(err)
}

// Trail lists the latest entries, newest first; a site narrows them.
func (r rows) Trail(ctx context.Context, site coldkeep.SiteID, limit int) ([]audit.Entry, error) {
	return list(ctx, r.q, func(s scanner) (e audit.Entry, err error) {
		var at int64
		err = s.Scan(&e.ID, &at, &e.WhoID, &e.Who, &e.What, &e.Subject, &e.Site, &e.Why, &e.Detail)
		e.At = database.Time(at)
		return e, err
	}, `SELECT id, at, who_id, who, what, subject, site, why, detail FROM audit
		WHERE $1 = '' OR site = $1 ORDER BY at DESC, id DESC LIMIT $2`, string(site), limit)
}

// Record adds an entry about something that is kept elsewhere, such as an alert
// that the collector keeps.
func (s *Store) Record(ctx context.Context, e audit.Entry) error {
	return s.tx(ctx, func(t *tx) error { return t.Audit(ctx, e) })
}
