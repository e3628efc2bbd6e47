package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Immunizations is the store as the immunization package asks for it.
func (s *Store) Immunizations() immunization.Store { return immunizationStore{s} }

type immunizationStore struct{ *Store }

func (s immunizationStore) Tx(ctx context.Context, do func(immunization.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

const doseColumns = `id, patient, kind, given, cvx, mvx, ndc, lot, expires, stock, unit, body_site, route, amount, eligibility, funding, vis,
	given_by, ordered_by, site, source, elsewhere, refusal, note, non_viable, duplicate_of, distinct_from, deleted_by, deleted_at, deleted_why,
	entered_by, entered_site, entered_at, revision, day_unknown`

func dose(s scanner) (d immunization.Dose, err error) {
	var given, expires, vis, distinct, deletedBy, deletedWhy string
	var deletedAt sql.NullInt64
	var entered, dayUnknown int64
	err = s.Scan(&d.ID, &d.Patient, &d.Kind, &given, &d.CVX, &d.MVX, &d.NDC, &d.Lot, &expires, &d.StockID, &d.Unit, &d.BodySite, &d.Route, &d.Amount, &d.Eligibility, &d.Funding, &vis,
		&d.GivenBy, &d.OrderedBy, &d.Site, &d.Source, &d.Elsewhere, &d.Refusal, &d.Note, &d.NonViable, &d.DuplicateOf, &distinct, &deletedBy, &deletedAt, &deletedWhy,
		&d.EnteredBy, &d.EnteredSite, &entered, &d.Revision, &dayUnknown)
	if err != nil {
		return d, err
	}
	d.EnteredAt, d.Deleted, d.DistinctFrom, d.DayUnknown = database.Time(entered), deletion(deletedBy, deletedAt, deletedWhy), strings.Fields(distinct), dayUnknown != 0
	if d.Date, err = date(given); err != nil {
		return d, err
	}
	if d.Expires, err = date(expires); err != nil || vis == "" {
		return d, err
	}
	return d, json.Unmarshal([]byte(vis), &d.VIS)
}

func deletion(by string, at sql.NullInt64, why string) *immunization.Deletion {
	if !at.Valid {
		return nil
	}
	return &immunization.Deletion{By: by, At: database.Time(at.Int64), Reason: why}
}

func doseArgs(d *immunization.Dose) ([]any, error) {
	vis := ""
	if len(d.VIS) > 0 {
		b, err := json.Marshal(d.VIS)
		if err != nil {
			return nil, failed(err)
		}
		vis = string(b)
	}
	var deleted immunization.Deletion
	var deletedAt sql.NullInt64
	if d.Deleted != nil {
		deleted, deletedAt = *d.Deleted, sql.NullInt64{Int64: database.Millis(d.Deleted.At), Valid: true}
	}
	return []any{d.ID, d.Patient, string(d.Kind), d.Date.String(), d.CVX, d.MVX, d.NDC, d.Lot, d.Expires.String(), d.StockID, string(d.Unit), d.BodySite, d.Route, d.Amount,
		d.Eligibility, d.Funding, vis, d.GivenBy, d.OrderedBy, string(d.Site), d.Source, d.Elsewhere, d.Refusal, d.Note, d.NonViable, d.DuplicateOf,
		strings.Join(d.DistinctFrom, " "), deleted.By, deletedAt, deleted.Reason, d.EnteredBy, string(d.EnteredSite), database.Millis(d.EnteredAt), d.Revision, flag(d.DayUnknown)}, nil
}

// ofPatients is a condition on the column patient, with its parameters from $1 on.
func ofPatients(ids []string) (string, []any) {
	marks, args := make([]string, len(ids)), make([]any, len(ids))
	for i, v := range ids {
		marks[i], args[i] = "$"+strconv.Itoa(1+i), v
	}
	if len(ids) == 0 {
		return "1 = 0", nil
	}
	return "patient IN (" + strings.Join(marks, ", ") + ")", args
}

func (r rows) Subject(ctx context.Context, id string) (immunization.Subject, error) {
	return one(ctx, r.q, subject, noPatient, subjects+`p.id = $1`, id)
}

// subjects reads what a forecast asks of people, whichever of their records knows it.
const subjects = `SELECT p.id, p.birth, p.sex, p.birth_nation, ` + personDeceased + `, CASE WHEN p.died <> '' THEN p.died ELSE COALESCE((SELECT MAX(l.died) FROM patients l WHERE l.head = p.id), '') END
		FROM patients p WHERE `

func subject(s scanner) (v immunization.Subject, err error) {
	var birth, died string
	var deceased int64
	if err = s.Scan(&v.ID, &birth, &v.Sex, &v.BirthNation, &deceased, &died); err != nil {
		return v, err
	}
	v.Deceased = deceased != 0
	if v.Birth, err = date(birth); err != nil {
		return v, err
	}
	v.Died, err = date(died)
	return v, err
}

// OpenFamilies gives standing records that are not locked with all that were merged into them.
func (r rows) OpenFamilies(ctx context.Context, heads []string) ([]immunization.OpenFamily, error) {
	if len(heads) == 0 {
		return nil, nil
	}
	where, args := anyOf("p.id", 1, heads)
	people, err := list(ctx, r.q, subject, subjects+where+` AND p.head = p.id ORDER BY p.id`, args...)
	if err != nil {
		return nil, err
	}
	type record struct {
		id, head string
		locked   bool
	}
	where, args = anyOf("head", 1, heads)
	records, err := list(ctx, r.q, func(s scanner) (v record, err error) {
		var locked int64
		err = s.Scan(&v.id, &v.head, &locked)
		v.locked = locked != 0
		return v, err
	}, `SELECT id, head, locked FROM patients WHERE `+where+` ORDER BY id`, args...)
	if err != nil {
		return nil, err
	}
	of, locked := map[string][]string{}, map[string]bool{}
	for _, v := range records {
		of[v.head] = append(of[v.head], v.id)
		locked[v.head] = locked[v.head] || v.locked
	}
	var out []immunization.OpenFamily
	for _, p := range people {
		if !locked[p.ID] {
			out = append(out, immunization.OpenFamily{Subject: p, Records: of[p.ID]})
		}
	}
	return out, nil
}

func (r rows) Dose(ctx context.Context, id string) (immunization.Dose, error) {
	return one(ctx, r.q, dose, "There is no such dose.", `SELECT `+doseColumns+` FROM doses WHERE id = $1`, id)
}

func (r rows) Doses(ctx context.Context, patients []string) ([]immunization.Dose, error) {
	where, args := ofPatients(patients)
	return list(ctx, r.q, dose, `SELECT `+doseColumns+` FROM doses WHERE `+where+` ORDER BY given, id`, args...)
}

func (r rows) DosesFrom(ctx context.Context, lot string, since coldkeep.Date) ([]immunization.Dose, error) {
	return list(ctx, r.q, dose, `SELECT `+doseColumns+` FROM doses WHERE stock = $1 AND stock <> '' AND given >= $2 AND deleted_at IS NULL ORDER BY given, id`, lot, since.String())
}

// GivenSince counts the doses that were given from a lot on a day or later.
func (r rows) GivenSince(ctx context.Context, lot string, since coldkeep.Date) (int, error) {
	n, err := one(ctx, r.q, number, "", `SELECT COUNT(*) FROM doses WHERE stock = $1 AND stock <> '' AND given >= $2 AND deleted_at IS NULL`, lot, since.String())
	return int(n), err
}

func (r rows) DoseHistory(ctx context.Context, id string) ([]immunization.Change, error) {
	return list(ctx, r.q, func(s scanner) (c immunization.Change, err error) {
		var value string
		var at int64
		if err = s.Scan(&value, &c.By, &at, &c.Why); err != nil {
			return c, err
		}
		c.At = database.Time(at)
		return c, json.Unmarshal([]byte(value), &c.Before)
	}, `SELECT value, by_name, at, why FROM dose_history WHERE dose = $1 ORDER BY revision DESC`, id)
}

// Names gives the legal name in use of each record.
func (r rows) Names(ctx context.Context, patients []string) (map[string]patient.Name, error) {
	out := map[string]patient.Name{}
	where, args := ofPatients(patients)
	type named struct {
		id   string
		name patient.Name
	}
	all, err := list(ctx, r.q, func(s scanner) (v named, err error) {
		return v, s.Scan(&v.id, &v.name.Kind, &v.name.Family, &v.name.Given, &v.name.Middle, &v.name.Suffix)
	}, `SELECT patient, kind, family, given, middle, suffix FROM patient_names WHERE `+where+` AND until_at IS NULL ORDER BY patient, n`, args...)
	for _, v := range all {
		if has, ok := out[v.id]; !ok || has.Kind != patient.Legal && v.name.Kind == patient.Legal {
			out[v.id] = v.name
		}
	}
	return out, err
}

// LockPatient makes other transactions that lock the record wait.
func (t *tx) LockPatient(ctx context.Context, head string) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ENOTFOUND, noPatient), `UPDATE patients SET head = head WHERE id = $1`, head)
}

func (t *tx) InsertDose(ctx context.Context, d immunization.Dose) error {
	args, err := doseArgs(&d)
	if err != nil {
		return err
	}
	return exec(ctx, t.q, gone, `INSERT INTO doses (`+doseColumns+`) VALUES (`+marks(len(args))+`)`, args...)
}

func (r rows) DoseForm(ctx context.Context, form string) (immunization.SentForm, error) {
	return one(ctx, r.q, func(s scanner) (f immunization.SentForm, err error) { return f, s.Scan(&f.Form, &f.Dose, &f.Sent) },
		"This form has recorded nothing.", `SELECT form, dose, sent FROM dose_forms WHERE form = $1`, form)
}

func (t *tx) InsertDoseForm(ctx context.Context, f immunization.SentForm, at time.Time) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "This form has recorded a dose already."),
		`INSERT INTO dose_forms (form, dose, sent, at) VALUES ($1, $2, $3, $4) ON CONFLICT (form) DO NOTHING`, f.Form, f.Dose, f.Sent, database.Millis(at))
}

// marks is a list of n parameters.
func marks(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	return b.String()
}

// UpdateDose changes a dose that stands at the revision before d's, and keeps what was
// there.
func (t *tx) UpdateDose(ctx context.Context, d immunization.Dose, by, why string, at time.Time) error {
	was, err := t.Dose(ctx, d.ID)
	if err != nil {
		return err
	}
	value, err := json.Marshal(was)
	if err != nil {
		return failed(err)
	}
	args, err := doseArgs(&d)
	if err != nil {
		return err
	}
	columns := strings.Split(strings.Join(strings.Fields(doseColumns), ""), ",")
	var sets []string
	for i, c := range columns[1:] {
		sets = append(sets, c+" = $"+strconv.Itoa(i+2))
	}
	changed := coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has changed this dose meanwhile. Look at it again, then make your change.")
	if err := exec(ctx, t.q, changed, `UPDATE doses SET `+strings.Join(sets, ", ")+` WHERE id = $1 AND revision = $`+strconv.Itoa(len(args)+1), append(args, d.Revision-1)...); err != nil {
		return err
	}
	return exec(ctx, t.q, gone, `INSERT INTO dose_history (dose, revision, value, by_name, at, why) VALUES ($1, $2, $3, $4, $5, $6)`,
		d.ID, was.Revision, string(value), by, database.Millis(at), why)
}

func (t *tx) LinkDose(ctx context.Context, id, duplicateOf string) error {
	return exec(ctx, t.q, gone, `UPDATE doses SET duplicate_of = $2 WHERE id = $1`, id, duplicateOf)
}

// SpoilDoses marks the doses that were given from a lot on a day or later.
func (t *tx) SpoilDoses(ctx context.Context, lot string, since coldkeep.Date, words, by, why string, at time.Time) ([]inventory.Spoilt, error) {
	doses, err := t.DosesFrom(ctx, lot, since)
	if err != nil {
		return nil, err
	}
	var out []inventory.Spoilt
	for _, d := range doses {
		if d.NonViable != "" {
			continue
		}
		d.NonViable = words
		d.Revision++
		if err := t.UpdateDose(ctx, d, by, why, at); err != nil {
			return out, err
		}
		out = append(out, inventory.Spoilt{Dose: d.ID, Patient: d.Patient})
	}
	return out, nil
}
