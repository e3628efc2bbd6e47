package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/auth"
)

func (r rows) AccountByID(ctx context.Context, id string) (auth.Account, error) {
	return one(ctx, r.q, account, "There is no such interface account.", `SELECT `+accountColumns+` FROM accounts WHERE id = $1`, id)
}

func (r rows) Accounts(ctx context.Context, site coldkeep.SiteID) ([]auth.Account, error) {
	return list(ctx, r.q, account, `SELECT `+accountColumns+` FROM accounts WHERE $1 = '' OR site = $1 ORDER BY name`, string(site))
}

func (r rows) AccountKeys(ctx context.Context, id string) ([]auth.AccountKey, error) {
	return list(ctx, r.q, func(s scanner) (k auth.AccountKey, err error) {
		var at int64
		err = s.Scan(&k.Account, &k.Fingerprint, &k.PublicKey, &k.AddedBy, &at)
		k.AddedAt = database.Time(at)
		return k, err
	}, `SELECT account, fingerprint, public_key, added_by, added_at FROM account_keys WHERE account = $1 ORDER BY added_at, fingerprint`, id)
}

func (r rows) AccountByKey(ctx context.Context, fingerprint string) (auth.Account, error) {
	return one(ctx, r.q, account, "There is no such key.", `SELECT `+accountColumns+` FROM accounts WHERE id = (SELECT account FROM account_keys WHERE fingerprint = $1)`, fingerprint)
}

func (t *tx) InsertAccountKey(ctx context.Context, k auth.AccountKey) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "This key is known already. Each account has keys of its own."),
		`INSERT INTO account_keys (fingerprint, account, public_key, added_by, added_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (fingerprint) DO NOTHING`,
		k.Fingerprint, k.Account, k.PublicKey, k.AddedBy, database.Millis(k.AddedAt))
}

func (t *tx) DeleteAccountKey(ctx context.Context, id, fingerprint string) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such key."), `DELETE FROM account_keys WHERE account = $1 AND fingerprint = $2`, id, fingerprint)
}

func (r rows) Memberships(ctx context.Context, person string) ([]auth.Membership, error) {
	return list(ctx, r.q, func(s scanner) (m auth.Membership, err error) { return m, s.Scan(&m.Person, &m.Site, &m.Role) },
		`SELECT person, site, role FROM memberships WHERE person = $1 ORDER BY site`, person)
}

func (t *tx) PutMembership(ctx context.Context, m auth.Membership, at time.Time) error {
	return exec(ctx, t.q, gone, `INSERT INTO memberships (person, site, role, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (person, site) DO UPDATE SET role = excluded.role`, m.Person, string(m.Site), string(m.Role), database.Millis(at))
}

func (t *tx) DeleteMembership(ctx context.Context, person string, site coldkeep.SiteID) error {
	return exec(ctx, t.q, gone, `DELETE FROM memberships WHERE person = $1 AND site = $2`, person, string(site))
}

func (r rows) EnrolledUntil(ctx context.Context, site coldkeep.SiteID) (*time.Time, error) {
	return one(ctx, r.q, func(s scanner) (*time.Time, error) {
		var until sql.NullInt64
		err := s.Scan(&until)
		return database.NullTime(until), err
	}, "There is no site \""+string(site)+"\".", `SELECT enrolled_until FROM sites WHERE id = $1`, string(site))
}

func (r rows) SiteKind(ctx context.Context, site coldkeep.SiteID) (string, error) {
	return one(ctx, r.q, text, "There is no site \""+string(site)+"\".", `SELECT kind FROM sites WHERE id = $1`, string(site))
}

func (r rows) AllSites(ctx context.Context) ([]coldkeep.Site, error) {
	return list(ctx, r.q, site, `SELECT id, name, vfc_pin, time_zone FROM sites ORDER BY name, id`)
}

const signInColumns = `id, person, site, method, strong, address, agent, at, seen_at, ended_at`

// signIn reads a sign-in and what follows it in a row.
func signIn(s scanner, more ...any) (in auth.SignIn, err error) {
	var strong, at, seen int64
	var ended sql.NullInt64
	err = s.Scan(append([]any{&in.ID, &in.Person, &in.Site, &in.Method, &strong, &in.Address, &in.Agent, &at, &seen, &ended}, more...)...)
	in.Strong, in.At, in.SeenAt, in.EndedAt = strong != 0, database.Time(at), database.Time(seen), database.NullTime(ended)
	return in, err
}

func (r rows) SignIns(ctx context.Context, person string) ([]auth.SignIn, error) {
	return list(ctx, r.q, func(s scanner) (auth.SignIn, error) { return signIn(s) },
		`SELECT `+signInColumns+` FROM sign_ins WHERE person = $1 AND ended_at IS NULL ORDER BY at DESC, id DESC LIMIT 200`, person)
}

// Standing is asked for at every page, so it is two statements by keys.
func (r rows) Standing(ctx context.Context, id string) (auth.Standing, error) {
	var st auth.Standing
	var role sql.NullString
	var until sql.NullInt64
	in, err := one(ctx, r.q, func(s scanner) (auth.SignIn, error) {
		return signIn(s, &role, &until, &st.SecondFactors, &st.Unaccepted)
	}, "There is no such sign-in.", `SELECT s.id, s.person, s.site, s.method, s.strong, s.address, s.agent, s.at, s.seen_at, s.ended_at,
		(SELECT m.role FROM memberships m WHERE m.person = s.person AND m.site = s.site),
		(SELECT e.enrolled_until FROM sites e WHERE e.id = s.site),
		(SELECT COUNT(*) FROM passkeys k WHERE k.person = s.person),
		(SELECT COUNT(*) FROM policies p WHERE p.kind IN ('confidentiality', 'user-agreement')
			AND p.version = (SELECT MAX(x.version) FROM policies x WHERE x.kind = p.kind)
			AND NOT EXISTS (SELECT 1 FROM acceptances a WHERE a.person = s.person AND a.kind = p.kind AND a.version = p.version))
		FROM sign_ins s WHERE s.id = $1`, id)
	if err != nil {
		return st, err
	}
	st.SignIn, st.MemberAs, st.EnrolledUntil = in, auth.Role(role.String), database.NullTime(until)
	if st.Account, err = r.Person(ctx, in.Person); err == nil && st.Account.TOTPSecret != "" {
		st.SecondFactors++
	}
	return st, err
}

func (t *tx) InsertSignIn(ctx context.Context, in auth.SignIn) error {
	return exec(ctx, t.q, gone, `INSERT INTO sign_ins (`+signInColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		in.ID, in.Person, string(in.Site), string(in.Method), flag(in.Strong), in.Address, in.Agent, database.Millis(in.At), database.Millis(in.SeenAt), database.NullMillis(in.EndedAt))
}

func (t *tx) TouchSignIn(ctx context.Context, id string, at time.Time) error {
	return exec(ctx, t.q, gone, `UPDATE sign_ins SET seen_at = $2 WHERE id = $1`, id, database.Millis(at))
}

func (t *tx) MoveSignIn(ctx context.Context, id string, site coldkeep.SiteID) error {
	return exec(ctx, t.q, gone, `UPDATE sign_ins SET site = $2 WHERE id = $1`, id, string(site))
}

func (t *tx) EndSignIns(ctx context.Context, person, only, except string, at time.Time) (int64, error) {
	res, err := t.q.ExecContext(ctx, `UPDATE sign_ins SET ended_at = $4 WHERE person = $1 AND ended_at IS NULL AND ($2 = '' OR id = $2) AND id <> $3`,
		person, only, except, database.Millis(at))
	if err != nil {
		return 0, failed(err)
	}
	n, err := res.RowsAffected()
	return n, failed(err)
}

// done runs a statement and reports whether it has touched a row.
func (t *tx) done(ctx context.Context, query string, args ...any) (bool, error) {
	res, err := t.q.ExecContext(ctx, query, args...)
	if err != nil {
		return false, failed(err)
	}
	n, err := res.RowsAffected()
	return n > 0, failed(err)
}

func (t *tx) UseTOTPStep(ctx context.Context, person string, step int64) (bool, error) {
	return t.done(ctx, `UPDATE people SET totp_step = $2 WHERE id = $1 AND totp_step < $2`, person, step)
}

func (t *tx) PutRecoveryCodes(ctx context.Context, person string, hashes []string) error {
	if _, err := t.q.ExecContext(ctx, `DELETE FROM recovery_codes WHERE person = $1`, person); err != nil {
		return failed(err)
	}
	for _, h := range hashes {
		if err := exec(ctx, t.q, gone, `INSERT INTO recovery_codes (person, sha256) VALUES ($1, $2)`, person, h); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) UseRecoveryCode(ctx context.Context, person, hash string, at time.Time) (bool, error) {
	return t.done(ctx, `UPDATE recovery_codes SET used_at = $3 WHERE person = $1 AND sha256 = $2 AND used_at IS NULL`, person, hash, database.Millis(at))
}

func (r rows) RecoveryCodesLeft(ctx context.Context, person string) (int, error) {
	n, err := one(ctx, r.q, number, "", `SELECT COUNT(*) FROM recovery_codes WHERE person = $1 AND used_at IS NULL`, person)
	return int(n), err
}

const passkeyColumns = `id, person, name, credential, created_at, used_at`

func passkey(s scanner) (k auth.Passkey, err error) {
	var created int64
	var used sql.NullInt64
	err = s.Scan(&k.ID, &k.Person, &k.Name, &k.Credential, &created, &used)
	k.CreatedAt, k.UsedAt = database.Time(created), database.NullTime(used)
	return k, err
}

func (r rows) Passkeys(ctx context.Context, person string) ([]auth.Passkey, error) {
	return list(ctx, r.q, passkey, `SELECT `+passkeyColumns+` FROM passkeys WHERE person = $1 ORDER BY created_at, id`, person)
}

func (r rows) Passkey(ctx context.Context, id string) (auth.Passkey, error) {
	return one(ctx, r.q, passkey, "There is no such passkey.", `SELECT `+passkeyColumns+` FROM passkeys WHERE id = $1`, id)
}

func (t *tx) PutPasskey(ctx context.Context, k auth.Passkey) error {
	return exec(ctx, t.q, gone, `INSERT INTO passkeys (`+passkeyColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO UPDATE SET credential = excluded.credential, used_at = excluded.used_at`,
		k.ID, k.Person, k.Name, k.Credential, database.Millis(k.CreatedAt), database.NullMillis(k.UsedAt))
}

func (t *tx) DeletePasskey(ctx context.Context, person, id string) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such passkey."), `DELETE FROM passkeys WHERE person = $1 AND id = $2`, person, id)
}

func (r rows) Identity(ctx context.Context, issuer, subject string) (string, error) {
	return one(ctx, r.q, text, "Nobody is known by this identity.", `SELECT person FROM identities WHERE issuer = $1 AND subject = $2`, issuer, subject)
}

func (t *tx) InsertIdentity(ctx context.Context, issuer, subject, person string, at time.Time) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "This account is bound to another identity."),
		`INSERT INTO identities (issuer, subject, person, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, issuer, subject, person, database.Millis(at))
}
