package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/enrolment"
)

const applicationColumns = `id, purpose, state, organization, site, form, agreement, code_sha256, applied_by, address, applied_at, decided_by, decided_at, reason`

func application(s scanner) (a enrolment.Application, err error) {
	var form string
	var applied int64
	var decided sql.NullInt64
	if err := s.Scan(&a.ID, &a.Purpose, &a.Outcome, &a.Organization, &a.Site, &form, &a.Agreement, &a.CodeSHA256, &a.AppliedBy, &a.Address, &applied, &a.DecidedBy, &decided, &a.Reason); err != nil {
		return a, err
	}
	a.AppliedAt, a.DecidedAt = database.Time(applied), database.NullTime(decided)
	return a, json.Unmarshal([]byte(form), &a.Form)
}

func (r rows) Application(ctx context.Context, id string) (enrolment.Application, error) {
	return one(ctx, r.q, application, "There is no such application.", `SELECT `+applicationColumns+` FROM applications WHERE id = $1`, id)
}

func (r rows) ApplicationByCode(ctx context.Context, hash string) (enrolment.Application, error) {
	return one(ctx, r.q, application, "There is no application with this code.", `SELECT `+applicationColumns+` FROM applications WHERE code_sha256 = $1`, hash)
}

func (r rows) Applications(ctx context.Context, site coldkeep.SiteID, outcome enrolment.Outcome, limit int) ([]enrolment.Application, error) {
	return list(ctx, r.q, application, `SELECT `+applicationColumns+` FROM applications
		WHERE ($1 = '' OR site = $1) AND ($2 = '' OR state = $2) ORDER BY applied_at DESC, id DESC LIMIT $3`, string(site), string(outcome), limit)
}

func (r rows) CountWaiting(ctx context.Context) (int, error) {
	n, err := one(ctx, r.q, number, "", `SELECT COUNT(*) FROM applications WHERE state = 'waiting'`)
	return int(n), err
}

func (t *tx) InsertApplication(ctx context.Context, a enrolment.Application) error {
	form, err := json.Marshal(a.Form)
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `INSERT INTO applications (`+applicationColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		a.ID, string(a.Purpose), string(a.Outcome), a.Organization, string(a.Site), string(form), a.Agreement, a.CodeSHA256, a.AppliedBy, a.Address,
		database.Millis(a.AppliedAt), a.DecidedBy, database.NullMillis(a.DecidedAt), a.Reason)
}

func (t *tx) DecideApplication(ctx context.Context, a enrolment.Application) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has decided about this application already."),
		`UPDATE applications SET state = $2, organization = $3, site = $4, decided_by = $5, decided_at = $6, reason = $7 WHERE id = $1 AND state = 'waiting'`,
		a.ID, string(a.Outcome), a.Organization, string(a.Site), a.DecidedBy, database.NullMillis(a.DecidedAt), a.Reason)
}

func (t *tx) InsertOrganization(ctx context.Context, o enrolment.Organization) error {
	return exec(ctx, t.q, gone, `INSERT INTO organizations (id, kind, name, created_at) VALUES ($1, $2, $3, $4)`, o.ID, string(o.Kind), o.Name, database.Millis(o.CreatedAt))
}

const enrolmentQuery = `SELECT s.id, s.name, s.vfc_pin, s.time_zone, s.organization, COALESCE(o.name, ''), s.kind, s.enrolled_until, s.street, s.city, s.state, s.zip, s.phone, s.director
	FROM sites s LEFT JOIN organizations o ON o.id = s.organization `

func siteEnrolment(s scanner) (e enrolment.SiteEnrolment, err error) {
	var until sql.NullInt64
	err = s.Scan(&e.ID, &e.Name, &e.VFCPIN, &e.TimeZone, &e.Organization, &e.OrganizationName, &e.Kind, &until, &e.Street, &e.City, &e.State, &e.ZIP, &e.Phone, &e.Director)
	e.Until = database.NullTime(until)
	return e, err
}

func (r rows) SiteEnrolment(ctx context.Context, site coldkeep.SiteID) (enrolment.SiteEnrolment, error) {
	return one(ctx, r.q, siteEnrolment, "There is no site \""+string(site)+"\".", enrolmentQuery+`WHERE s.id = $1`, string(site))
}

func (r rows) SiteEnrolments(ctx context.Context) ([]enrolment.SiteEnrolment, error) {
	return list(ctx, r.q, siteEnrolment, enrolmentQuery+`ORDER BY CASE WHEN s.enrolled_until IS NULL THEN 1 ELSE 0 END, s.enrolled_until, s.name, s.id`)
}

func (t *tx) PutEnrolment(ctx context.Context, e enrolment.SiteEnrolment) error {
	return exec(ctx, t.q, gone, `UPDATE sites SET organization = $2, kind = $3, enrolled_until = $4, street = $5, city = $6, state = $7, zip = $8, phone = $9, director = $10 WHERE id = $1`,
		string(e.ID), e.Organization, string(e.Kind), database.NullMillis(e.Until), e.Street, e.City, e.State, e.ZIP, e.Phone, e.Director)
}

const policyColumns = `kind, version, title, body, by_name, published_at`

func policy(s scanner) (p enrolment.Policy, err error) {
	var at int64
	err = s.Scan(&p.Kind, &p.Version, &p.Title, &p.Body, &p.By, &at)
	p.PublishedAt = database.Time(at)
	return p, err
}

func (r rows) Policies(ctx context.Context, kind enrolment.PolicyKind) ([]enrolment.Policy, error) {
	return list(ctx, r.q, policy, `SELECT `+policyColumns+` FROM policies WHERE kind = $1 ORDER BY version DESC`, string(kind))
}

func (r rows) Unaccepted(ctx context.Context, person string) ([]enrolment.Policy, error) {
	return list(ctx, r.q, policy, `SELECT `+policyColumns+` FROM policies p WHERE kind IN ('confidentiality', 'user-agreement')
		AND version = (SELECT MAX(x.version) FROM policies x WHERE x.kind = p.kind)
		AND NOT EXISTS (SELECT 1 FROM acceptances a WHERE a.person = $1 AND a.kind = p.kind AND a.version = p.version) ORDER BY kind`, person)
}

func (t *tx) InsertPolicy(ctx context.Context, p enrolment.Policy) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody else has published this version."),
		`INSERT INTO policies (`+policyColumns+`) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, version) DO NOTHING`,
		string(p.Kind), p.Version, p.Title, p.Body, p.By, database.Millis(p.PublishedAt))
}

func (t *tx) InsertAcceptance(ctx context.Context, a enrolment.Acceptance) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "This has been accepted already."),
		`INSERT INTO acceptances (person, kind, version, at, address, agent) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (person, kind, version) DO NOTHING`,
		a.Person, string(a.Kind), a.Version, database.Millis(a.At), a.Address, a.Agent)
}

func (r rows) Acceptances(ctx context.Context, kind enrolment.PolicyKind) ([]enrolment.Acceptance, error) {
	return list(ctx, r.q, func(s scanner) (a enrolment.Acceptance, err error) {
		var at int64
		err = s.Scan(&a.Person, &a.Name, &a.Kind, &a.Version, &at, &a.Address, &a.Agent)
		a.At = database.Time(at)
		return a, err
	}, `SELECT a.person, p.name, a.kind, a.version, a.at, a.address, a.agent FROM acceptances a JOIN people p ON p.id = a.person WHERE a.kind = $1 ORDER BY a.at DESC, a.person LIMIT 2000`, string(kind))
}
