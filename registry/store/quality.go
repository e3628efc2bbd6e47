package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/quality"
)

// Quality is the store as the quality package asks for it.
func (s *Store) Quality() quality.Store { return qualityStore{s} }

type qualityStore struct{ *Store }

func (s qualityStore) Tx(ctx context.Context, do func(quality.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

// QualityCounts gives the counts of one site, or of all.
func (r rows) QualityCounts(ctx context.Context, site coldkeep.SiteID) ([]quality.Count, error) {
	query, args := `SELECT site, period, measure, n FROM quality_counts`, []any{}
	if site != "" {
		query, args = query+` WHERE site = $1`, append(args, string(site))
	}
	return list(ctx, r.q, func(s scanner) (c quality.Count, err error) { return c, s.Scan(&c.Site, &c.Period, &c.Measure, &c.N) }, query, args...)
}

// QualityWalk is the walk that the counts are of; nil when there was none.
func (r rows) QualityWalk(ctx context.Context) (*quality.Walk, error) {
	var w quality.Walk
	var began, ended int64
	err := r.q.QueryRowContext(ctx, `SELECT began_at, ended_at, patients, doses FROM quality_walk WHERE one = 1`).Scan(&began, &ended, &w.Patients, &w.Doses)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // there was none
	}
	w.Began, w.Ended = database.Time(began), database.Time(ended)
	return &w, failed(err)
}

// PatientsAfter gives what is looked at of standing records behind an id.
func (r rows) PatientsAfter(ctx context.Context, id string, limit int) ([]quality.PatientRow, error) {
	return list(ctx, r.q, func(s scanner) (p quality.PatientRow, err error) {
		var birth string
		var entered, phone, addressed, guarded, locked, pairs int64
		if err := s.Scan(&p.ID, &p.Site, &entered, &birth, &p.Sex, &p.Races, &p.Ethnicity, &p.Mother, &phone, &addressed, &guarded, &locked, &pairs); err != nil {
			return p, err
		}
		p.Entered, p.HasPhone, p.HasAddress, p.HasGuardian, p.Locked, p.PossiblyTwice = database.Time(entered), phone > 0, addressed > 0, guarded > 0, locked > 0, pairs > 0
		p.Birth, err = date(birth)
		return p, err
	}, `SELECT p.id, p.created_by, p.created_at, p.birth, p.sex, p.races, p.ethnicity, p.mother,
			(SELECT COUNT(*) FROM patient_contacts c WHERE c.patient = p.id AND c.until_at IS NULL AND c.kind <> 'email'),
			(SELECT COUNT(*) FROM patient_addresses a WHERE a.patient = p.id AND a.until_at IS NULL),
			(SELECT COUNT(*) FROM patient_guardians g WHERE g.patient = p.id AND g.until_at IS NULL),
			(SELECT COUNT(*) FROM patients l WHERE l.head = p.head AND l.locked = 1),
			(SELECT COUNT(*) FROM patient_pairs x WHERE x.a = p.id AND x.state = 'open') + (SELECT COUNT(*) FROM patient_pairs x WHERE x.b = p.id AND x.state = 'open')
		FROM patients p WHERE p.id > $1 AND p.merged_into = '' ORDER BY p.id LIMIT $2`, id, limit)
}

// DosesAfter gives what is looked at of doses behind an id.
func (r rows) DosesAfter(ctx context.Context, id string, limit int) ([]quality.DoseRow, error) {
	return list(ctx, r.q, func(s scanner) (d quality.DoseRow, err error) {
		var kind, given, expires, birth, duplicate string
		var entered, known, locked int64
		var deleted sql.NullInt64
		if err := s.Scan(&d.ID, &d.Site, &entered, &kind, &given, &d.CVX, &d.MVX, &d.Lot, &expires, &d.Eligibility, &duplicate, &deleted, &birth, &known, &locked); err != nil {
			return d, err
		}
		d.Entered, d.Administered, d.KnownLot, d.Locked = database.Time(entered), kind == "administered", known > 0, locked > 0
		d.Skip = kind == "refused" || duplicate != "" || deleted.Valid
		if d.Given, err = date(given); err != nil {
			return d, err
		}
		if d.Expires, err = date(expires); err != nil {
			return d, err
		}
		d.Birth, err = date(birth)
		return d, err
	}, `SELECT d.id, d.entered_site, d.entered_at, d.kind, d.given, d.cvx, d.mvx, d.lot, d.expires, d.eligibility, d.duplicate_of, d.deleted_at, p.birth,
			CASE WHEN d.kind = 'administered' AND d.lot <> '' THEN (SELECT COUNT(*) FROM lots l WHERE l.site = d.site AND l.lot = d.lot) ELSE 1 END,
			(SELECT COUNT(*) FROM patients l WHERE l.head = p.head AND l.locked = 1)
		FROM doses d JOIN patients p ON p.id = d.patient WHERE d.id > $1 ORDER BY d.id LIMIT $2`, id, limit)
}

// ReplaceQuality puts the counts of a walk in the place of the last ones.
func (t *tx) ReplaceQuality(ctx context.Context, w quality.Walk, counts []quality.Count) error {
	if _, err := t.q.ExecContext(ctx, `DELETE FROM quality_counts`); err != nil {
		return failed(err)
	}
	const columns, together = 4, 200
	for len(counts) > 0 {
		n := min(together, len(counts))
		args := make([]any, 0, n*columns)
		for _, c := range counts[:n] {
			args = append(args, string(c.Site), c.Period, string(c.Measure), c.N)
		}
		if err := insertRows(ctx, t.q, `INSERT INTO quality_counts (site, period, measure, n)`, columns, args, ""); err != nil {
			return err
		}
		counts = counts[n:]
	}
	return exec(ctx, t.q, gone, `INSERT INTO quality_walk (one, began_at, ended_at, patients, doses) VALUES (1, $1, $2, $3, $4)
		ON CONFLICT (one) DO UPDATE SET began_at = excluded.began_at, ended_at = excluded.ended_at, patients = excluded.patients, doses = excluded.doses`,
		database.Millis(w.Began), database.Millis(w.Ended), w.Patients, w.Doses)
}
