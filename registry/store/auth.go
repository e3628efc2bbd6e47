package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/auth"
)

const personColumns = `id, name, username, role, site, password_hash, active, failed, locked_until, created_at, email, must_change, one_time_until, totp_secret, totp_step`

func person(s scanner) (p auth.Person, err error) {
	var site sql.NullString
	var locked, oneTime sql.NullInt64
	var active, created, must int64
	err = s.Scan(&p.ID, &p.Name, &p.Username, &p.Role, &site, &p.PasswordHash, &active, &p.Failed, &locked, &created,
		&p.Email, &must, &oneTime, &p.TOTPSecret, &p.TOTPStep)
	p.Site, p.Active, p.MustChange = coldkeep.SiteID(site.String), active != 0, must != 0
	p.LockedUntil, p.OneTimeUntil, p.CreatedAt = database.NullTime(locked), database.NullTime(oneTime), database.Time(created)
	return p, err
}

func (r rows) CountPeople(ctx context.Context) (int, error) {
	n, err := one(ctx, r.q, number, "", `SELECT COUNT(*) FROM people`)
	return int(n), err
}

func (r rows) Person(ctx context.Context, id string) (auth.Person, error) {
	return one(ctx, r.q, person, "There is no such person.", `SELECT `+personColumns+` FROM people WHERE id = $1`, id)
}

func (r rows) PersonByUsername(ctx context.Context, username string) (auth.Person, error) {
	return one(ctx, r.q, person, "There is no such person.", `SELECT `+personColumns+` FROM people WHERE username = $1`, username)
}

func (r rows) People(ctx context.Context, site coldkeep.SiteID) ([]auth.Person, error) {
	return list(ctx, r.q, person, `SELECT `+personColumns+` FROM people WHERE $1 = '' OR site = $1 OR id IN (SELECT person FROM memberships WHERE site = $1) ORDER BY name, id`, string(site))
}

func (t *tx) InsertPerson(ctx context.Context, p auth.Person) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Username %q is taken.", p.Username),
		`INSERT INTO people (`+personColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (username) DO NOTHING`,
		p.ID, p.Name, p.Username, string(p.Role), sql.NullString{String: string(p.Site), Valid: p.Site != ""}, p.PasswordHash,
		flag(p.Active), p.Failed, database.NullMillis(p.LockedUntil), database.Millis(p.CreatedAt),
		p.Email, flag(p.MustChange), database.NullMillis(p.OneTimeUntil), p.TOTPSecret, p.TOTPStep)
}

func (t *tx) UpdatePerson(ctx context.Context, p auth.Person) error {
	return exec(ctx, t.q, gone, `UPDATE people SET name = $2, role = $3, password_hash = $4, active = $5, failed = $6, locked_until = $7,
		site = $8, email = $9, must_change = $10, one_time_until = $11, totp_secret = $12, totp_step = $13 WHERE id = $1`,
		p.ID, p.Name, string(p.Role), p.PasswordHash, flag(p.Active), p.Failed, database.NullMillis(p.LockedUntil),
		sql.NullString{String: string(p.Site), Valid: p.Site != ""}, p.Email, flag(p.MustChange), database.NullMillis(p.OneTimeUntil), p.TOTPSecret, p.TOTPStep)
}

// SealTOTPSecret replaces a secret that is kept in clear, unless it was changed meanwhile.
func (t *tx) SealTOTPSecret(ctx context.Context, person, clear, sealed string) error {
	_, err := t.q.ExecContext(ctx, `UPDATE people SET totp_secret = $3 WHERE id = $1 AND totp_secret = $2`, person, clear, sealed)
	return failed(err)
}

func (t *tx) CountAttempt(ctx context.Context, username string) (auth.Person, error) {
	return one(ctx, t.q, person, "There is no such person.",
		`UPDATE people SET failed = failed + 1 WHERE username = $1 RETURNING `+personColumns, username)
}

func (t *tx) ResetAttempts(ctx context.Context, id string) error {
	return exec(ctx, t.q, gone, `UPDATE people SET failed = 0, locked_until = NULL WHERE id = $1`, id)
}

const accountColumns = `id, name, token_sha256, scopes, revoked, created_at, site, created_by, used_at`

func account(s scanner) (a auth.Account, err error) {
	var scopes string
	var revoked, created int64
	var used sql.NullInt64
	err = s.Scan(&a.ID, &a.Name, &a.TokenSHA256, &scopes, &revoked, &created, &a.Site, &a.CreatedBy, &used)
	a.UsedAt = database.NullTime(used)
	a.Scopes, a.Revoked, a.CreatedAt = strings.Fields(scopes), revoked != 0, database.Time(created)
	return a, err
}

func (r rows) AccountByToken(ctx context.Context, sha256 string) (auth.Account, error) {
	return one(ctx, r.q, account, "There is no such interface account.", `SELECT `+accountColumns+` FROM accounts WHERE token_sha256 = $1`, sha256)
}

func (r rows) AccountByName(ctx context.Context, name string) (auth.Account, error) {
	return one(ctx, r.q, account, "There is no such interface account.", `SELECT `+accountColumns+` FROM accounts WHERE name = $1`, name)
}

func (t *tx) PutAccount(ctx context.Context, a auth.Account) error {
	return exec(ctx, t.q, gone, `INSERT INTO accounts (`+accountColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (name) DO UPDATE SET token_sha256 = excluded.token_sha256, scopes = excluded.scopes, revoked = excluded.revoked, site = excluded.site, used_at = excluded.used_at`,
		a.ID, a.Name, a.TokenSHA256, strings.Join(a.Scopes, " "), flag(a.Revoked), database.Millis(a.CreatedAt), string(a.Site), a.CreatedBy, database.NullMillis(a.UsedAt))
}

const deviceColumns = `site, agent, secret_sha256, revoked, public_key`

func device(s scanner) (d coldkeep.Device, err error) {
	var revoked int64
	err = s.Scan(&d.Site, &d.Agent, &d.SecretSHA256, &revoked, &d.PublicKey)
	d.Revoked = revoked != 0
	return d, err
}

func (r rows) Device(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) (coldkeep.Device, error) {
	return one(ctx, r.q, device, "There is no such device.", `SELECT `+deviceColumns+` FROM devices WHERE site = $1 AND agent = $2`, string(site), string(agent))
}

func (r rows) Devices(ctx context.Context, site coldkeep.SiteID) ([]coldkeep.Device, error) {
	return list(ctx, r.q, device, `SELECT `+deviceColumns+` FROM devices WHERE site = $1 ORDER BY agent`, string(site))
}

func (r rows) AllDevices(ctx context.Context) ([]coldkeep.Device, error) {
	return list(ctx, r.q, device, `SELECT `+deviceColumns+` FROM devices ORDER BY site, agent`)
}

func (t *tx) PutDevice(ctx context.Context, d coldkeep.Device, at time.Time) error {
	return exec(ctx, t.q, gone, `INSERT INTO devices (site, agent, secret_sha256, revoked, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (site, agent) DO UPDATE SET secret_sha256 = excluded.secret_sha256, revoked = excluded.revoked`,
		string(d.Site), string(d.Agent), d.SecretSHA256, flag(d.Revoked), database.Millis(at))
}

func (t *tx) SetDeviceKey(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID, key string) error {
	return exec(ctx, t.q, gone, `UPDATE devices SET public_key = $3 WHERE site = $1 AND agent = $2`, string(site), string(agent), key)
}

func (r rows) DeviceKey(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) (string, error) {
	return one(ctx, r.q, func(s scanner) (key string, err error) { return key, s.Scan(&key) }, "There is no such device.",
		`SELECT public_key FROM devices WHERE site = $1 AND agent = $2`, string(site), string(agent))
}

const claimColumns = `code, public_key, secret_sha256, model, serial, version, state, site, agent, created_at, decided_by, decided_at`

func claim(s scanner) (c auth.Claim, err error) {
	var created int64
	var decided sql.NullInt64
	err = s.Scan(&c.Code, &c.PublicKey, &c.SecretSHA256, &c.Model, &c.Serial, &c.Version, &c.State, &c.Site, &c.Agent, &created, &c.DecidedBy, &decided)
	c.CreatedAt, c.DecidedAt = database.Time(created), database.NullTime(decided)
	return c, err
}

func (r rows) Claim(ctx context.Context, code string) (auth.Claim, error) {
	return one(ctx, r.q, claim, "There is no device with this code.", `SELECT `+claimColumns+` FROM claims WHERE code = $1`, code)
}

func (r rows) WaitingClaims(ctx context.Context, since time.Time) ([]auth.Claim, error) {
	return list(ctx, r.q, claim, `SELECT `+claimColumns+` FROM claims WHERE state = 'waiting' AND created_at > $1 ORDER BY created_at DESC, code`, database.Millis(since))
}

// InsertClaim adds a claim and reports whether its code was free.
func (t *tx) InsertClaim(ctx context.Context, c auth.Claim) (bool, error) {
	res, err := t.q.ExecContext(ctx, `INSERT INTO claims (`+claimColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (code) DO NOTHING`,
		c.Code, c.PublicKey, c.SecretSHA256, c.Model, c.Serial, c.Version, string(c.State), string(c.Site), string(c.Agent), database.Millis(c.CreatedAt), c.DecidedBy, database.NullMillis(c.DecidedAt))
	if err != nil {
		return false, failed(err)
	}
	n, err := res.RowsAffected()
	return n > 0, failed(err)
}

// DecideClaim sets a claim's outcome, once: ECONFLICT when somebody has decided.
func (t *tx) DecideClaim(ctx context.Context, c auth.Claim) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has decided about this device already."),
		`UPDATE claims SET state = $2, site = $3, agent = $4, decided_by = $5, decided_at = $6 WHERE code = $1 AND state = 'waiting'`,
		c.Code, string(c.State), string(c.Site), string(c.Agent), c.DecidedBy, database.NullMillis(c.DecidedAt))
}

func (t *tx) DeleteClaims(ctx context.Context, before time.Time) error {
	_, err := t.q.ExecContext(ctx, `DELETE FROM claims WHERE created_at < $1`, database.Millis(before))
	return failed(err)
}
