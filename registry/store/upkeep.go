package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/templog"
)

const contextColumns = `id, appliance, kind, from_at, to_at, note, by_name`

func unitContext(s scanner) (c coldkeep.Context, err error) {
	var from int64
	var to sql.NullInt64
	err = s.Scan(&c.ID, &c.Appliance, &c.Kind, &from, &to, &c.Note, &c.By)
	c.From, c.To = database.Time(from), database.NullTime(to)
	return c, err
}

// Contexts lists what is noted of all units, by unit and begin.
func (r rows) Contexts(ctx context.Context) ([]coldkeep.Context, error) {
	return list(ctx, r.q, unitContext, `SELECT `+contextColumns+` FROM contexts ORDER BY appliance, from_at, id`)
}

// ContextsOf lists what is noted of a unit, the latest first.
func (r rows) ContextsOf(ctx context.Context, id coldkeep.ApplianceID) ([]coldkeep.Context, error) {
	return list(ctx, r.q, unitContext, `SELECT `+contextColumns+` FROM contexts WHERE appliance = $1 ORDER BY from_at DESC, id DESC`, string(id))
}

func (r rows) Context(ctx context.Context, id string) (coldkeep.Context, error) {
	return one(ctx, r.q, unitContext, "There is no such note.", `SELECT `+contextColumns+` FROM contexts WHERE id = $1`, id)
}

func (t *tx) InsertContext(ctx context.Context, c coldkeep.Context, at time.Time) error {
	return exec(ctx, t.q, gone, `INSERT INTO contexts (`+contextColumns+`, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.ID, string(c.Appliance), string(c.Kind), database.Millis(c.From), database.NullMillis(c.To), c.Note, c.By, database.Millis(at))
}

// EndContext ends what goes on; ECONFLICT when it has ended.
func (t *tx) EndContext(ctx context.Context, id string, to time.Time) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "It has been ended already."),
		`UPDATE contexts SET to_at = $2 WHERE id = $1 AND to_at IS NULL`, id, database.Millis(to))
}

const calibrationColumns = `site, agent, probe, n, offset_mc, points, certificate, expires, by_name, created_at`

func calibration(s scanner) (c templog.Certificate, err error) {
	var at int64
	var points string
	if err := s.Scan(&c.Site, &c.Agent, &c.Probe, &c.N, &c.Offset, &points, &c.Certificate, &c.Expires, &c.By, &at); err != nil {
		return c, err
	}
	c.At = database.Time(at)
	if points != "" {
		err = json.Unmarshal([]byte(points), &c.Table)
	}
	return c, err
}

// Certificates lists every certificate of a site's probes, or of all with "", by
// probe and the one in force first.
func (r rows) Certificates(ctx context.Context, site coldkeep.SiteID) ([]templog.Certificate, error) {
	return list(ctx, r.q, calibration, `SELECT `+calibrationColumns+` FROM calibrations
		WHERE $1 = '' OR site = $1 ORDER BY site, agent, probe, n DESC`, string(site))
}

// InsertCertificate adds a certificate and gives it its number.
func (t *tx) InsertCertificate(ctx context.Context, c templog.Certificate) error {
	points := ""
	if len(c.Table) > 0 {
		b, err := json.Marshal(c.Table)
		if err != nil {
			return failed(err)
		}
		points = string(b)
	}
	return exec(ctx, t.q, gone, `INSERT INTO calibrations (`+calibrationColumns+`)
		SELECT $1, $2, $3, COALESCE(MAX(n), 0) + 1, $4, $5, $6, $7, $8, $9 FROM calibrations WHERE site = $1 AND agent = $2 AND probe = $3`,
		string(c.Site), string(c.Agent), string(c.Probe), int64(c.Offset), points, c.Certificate, c.Expires, c.By, database.Millis(c.At))
}

// StandingLots counts the lots with doses that stand in a unit.
func (r rows) StandingLots(ctx context.Context, id coldkeep.ApplianceID) (int, error) {
	n, err := one(ctx, r.q, number, "", `SELECT COUNT(*) FROM placements p JOIN lots l ON l.id = p.lot
		WHERE p.appliance = $1 AND p.to_at IS NULL AND l.doses_on_hand > 0`, string(id))
	return int(n), err
}
