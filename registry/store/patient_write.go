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
	"github.com/coldkeep/coldkeep/registry/patient"
)

// InsertPatient adds a record with its entries.
func (t *tx) InsertPatient(ctx context.Context, p patient.Patient) error {
	profile := patient.ProfileOf(&p)
	zip, county := home(&p)
	err := exec(ctx, t.q, gone, `INSERT INTO patients (id, head, merged_into, birth, birth_state, birth_nation, sex, multiple, birth_order, races, ethnicity, language,
		mother, deceased, died, publicity, offered_at, offered_by, revision, created_by, created_at, updated_at, zip, county, profile)
		VALUES ($1, $1, '', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)`,
		append(fields(&p), p.Revision, string(p.CreatedBy), database.Millis(p.CreatedAt), database.Millis(p.UpdatedAt), zip, county, profile.String())...)
	if err != nil {
		return err
	}
	if err := t.putEntries(ctx, &p); err != nil {
		return err
	}
	return t.insertKeys(ctx, p.ID, profile.Keys())
}

// UpdatePatient changes a record that stands at revision from.
func (t *tx) UpdatePatient(ctx context.Context, p patient.Patient, from int64) error {
	profile := patient.ProfileOf(&p)
	zip, county := home(&p)
	err := exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody else has changed this record since you opened it. Look at it again, then make your change."),
		`UPDATE patients SET birth = $2, birth_state = $3, birth_nation = $4, sex = $5, multiple = $6, birth_order = $7, races = $8, ethnicity = $9, language = $10,
		mother = $11, deceased = $12, died = $13, publicity = $14, offered_at = $15, offered_by = $16, revision = $17, updated_at = $18, zip = $19, county = $20, profile = $21
		WHERE id = $1 AND revision = $22`,
		append(fields(&p), p.Revision, database.Millis(p.UpdatedAt), zip, county, profile.String(), from)...)
	if err != nil {
		return err
	}
	if err := t.putEntries(ctx, &p); err != nil {
		return err
	}
	if _, err := t.q.ExecContext(ctx, `DELETE FROM patient_keys WHERE patient = $1`, p.ID); err != nil {
		return failed(err)
	}
	return t.insertKeys(ctx, p.ID, profile.Keys())
}

// fields are id and single fields in the order of both statements.
func fields(p *patient.Patient) []any {
	multiple := sql.NullInt64{Valid: p.Multiple != nil}
	if p.Multiple != nil {
		multiple.Int64 = flag(*p.Multiple)
	}
	return []any{p.ID, p.Birth.String(), p.BirthState, p.BirthNation, string(p.Sex), multiple, p.BirthOrder, strings.Join(p.Races, " "), p.Ethnicity, p.Language,
		p.Mother, flag(p.Deceased), p.Died.String(), p.Publicity, database.NullMillis(p.Consent.OfferedAt), string(p.Consent.OfferedBy)}
}

// home is the ZIP code and county by which a person is counted.
func home(p *patient.Patient) (zip, county string) {
	if a := p.Home(); a != nil {
		return a.ZIP, a.County
	}
	return "", ""
}

func (t *tx) putEntries(ctx context.Context, p *patient.Patient) error {
	var names, addresses, contacts, identifiers, guardians, statuses []any
	for _, v := range p.Names {
		names = append(names, p.ID, v.Seq, string(v.Kind), v.Family, v.Given, v.Middle, v.Suffix, database.NullMillis(v.Until), v.EndedBy)
	}
	for _, v := range p.Addresses {
		addresses = append(addresses, p.ID, v.Seq, v.Kind, v.Street, v.Street2, v.City, v.State, v.ZIP, v.County, v.Country, database.NullMillis(v.Until), v.EndedBy)
	}
	for _, v := range p.Contacts {
		contacts = append(contacts, p.ID, v.Seq, string(v.Kind), v.Value, database.NullMillis(v.Until), v.EndedBy)
	}
	for _, v := range p.Identifiers {
		identifiers = append(identifiers, p.ID, v.Seq, v.Kind, v.Assigner, v.Value, database.NullMillis(v.Until), v.EndedBy)
	}
	for _, v := range p.Guardians {
		address, err := json.Marshal(v.Address)
		if err != nil {
			return failed(err)
		}
		reached, err := json.Marshal(v.Contacts)
		if err != nil {
			return failed(err)
		}
		guardians = append(guardians, p.ID, v.Seq, v.Relation, v.Family, v.Given, v.Middle, string(address), string(reached), database.NullMillis(v.Until), v.EndedBy)
	}
	for _, v := range p.Statuses {
		statuses = append(statuses, p.ID, v.Seq, string(v.Site), string(v.Standing), database.Millis(v.Since), v.By, database.NullMillis(v.Until))
	}
	// An entry that is kept changes in one way only: it ends.
	const ends = ` ON CONFLICT (patient, n) DO UPDATE SET until_at = excluded.until_at, ended_by = excluded.ended_by`
	for _, e := range []struct {
		head    string
		columns int
		args    []any
		tail    string
	}{
		{`INSERT INTO patient_names (patient, n, kind, family, given, middle, suffix, until_at, ended_by)`, 9, names, ends},
		{`INSERT INTO patient_addresses (patient, n, kind, street, street2, city, state, zip, county, country, until_at, ended_by)`, 12, addresses, ends},
		{`INSERT INTO patient_contacts (patient, n, kind, value, until_at, ended_by)`, 6, contacts, ends},
		{`INSERT INTO patient_identifiers (patient, n, kind, assigner, value, until_at, ended_by)`, 7, identifiers, ends},
		{`INSERT INTO patient_guardians (patient, n, relation, family, given, middle, address, contacts, until_at, ended_by)`, 10, guardians, ends},
		{`INSERT INTO patient_statuses (patient, n, site, standing, since, by_name, until_at)`, 7, statuses, ` ON CONFLICT (patient, n) DO UPDATE SET until_at = excluded.until_at`},
	} {
		if err := insertRows(ctx, t.q, e.head, e.columns, e.args, e.tail); err != nil {
			return err
		}
	}
	return nil
}

// insertRows adds some rows of one table in one statement.
func insertRows(ctx context.Context, q queryer, head string, columns int, args []any, tail string) error {
	if len(args) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString(head + " VALUES ")
	for i := range args {
		switch {
		case i == 0:
			b.WriteByte('(')
		case i%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	_, err := q.ExecContext(ctx, b.String()+")"+tail, args...)
	return failed(err)
}

// How keys of records are written; one that a record has already stays.
const (
	insertKey = `INSERT INTO patient_keys (key, patient)`
	newKey    = ` ON CONFLICT (key, patient) DO NOTHING`
)

func (t *tx) insertKeys(ctx context.Context, id string, keys []int64) error {
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, k, id)
	}
	return insertRows(ctx, t.q, insertKey, 2, args, newKey)
}

func (t *tx) InsertChange(ctx context.Context, c patient.Change) error {
	changes, err := json.Marshal(c.Fields)
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `INSERT INTO patient_history (id, patient, revision, at, who_id, who, site, what, why, changes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		c.ID, c.Patient, c.Revision, database.Millis(c.At), c.WhoID, c.Who, string(c.Site), c.What, c.Why, string(changes))
}

// Grant lets who open a person's record until a time.
func (t *tx) Grant(ctx context.Context, who, id string, until time.Time) error {
	return exec(ctx, t.q, gone, `INSERT INTO patient_grants (who, patient, until_at) VALUES ($1, $2, $3)
		ON CONFLICT (who, patient) DO UPDATE SET until_at = excluded.until_at`, who, id, database.Millis(until))
}

func (t *tx) InsertEmergency(ctx context.Context, e patient.Emergency) error {
	return exec(ctx, t.q, gone, `INSERT INTO patient_emergencies (id, patient, who_id, who, site, at, until_at, why) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		e.ID, e.Patient, e.WhoID, e.Who, string(e.Site), database.Millis(e.At), database.Millis(e.Until), e.Why)
}

func (t *tx) ReviewEmergency(ctx context.Context, id, by, review string, at time.Time) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has reviewed this already, or it is gone."),
		`UPDATE patient_emergencies SET reviewed_at = $2, reviewed_by = $3, review = $4 WHERE id = $1 AND reviewed_at IS NULL`, id, database.Millis(at), by, review)
}

// CountSearch adds one to the searches of who in a slot of time and gives their number.
func (t *tx) CountSearch(ctx context.Context, who string, slot int64) (int, error) {
	n, err := one(ctx, t.q, number, "", `INSERT INTO patient_searches (who, slot, n) VALUES ($1, $2, 1)
		ON CONFLICT (who, slot) DO UPDATE SET n = patient_searches.n + 1 RETURNING n`, who, slot)
	return int(n), err
}

func (t *tx) InsertLock(ctx context.Context, l patient.LockRecord) error {
	if err := exec(ctx, t.q, gone, `INSERT INTO patient_locks (id, patient, site, form, at, by_name) VALUES ($1, $2, $3, $4, $5, $6)`,
		l.ID, l.Patient, string(l.Site), l.Form, database.Millis(l.At), l.By); err != nil {
		return err
	}
	return exec(ctx, t.q, gone, `UPDATE patients SET locked = 1, lock_site = $2 WHERE id = $1`, l.Patient, string(l.Site))
}

func (t *tx) EndLocks(ctx context.Context, ids []string, by, form string, at time.Time) error {
	where, args := anyOf("patient", 4, ids)
	if _, err := t.q.ExecContext(ctx, `UPDATE patient_locks SET ended_at = $1, ended_by = $2, ended_form = $3 WHERE ended_at IS NULL AND `+where,
		append([]any{database.Millis(at), by, form}, args...)...); err != nil {
		return failed(err)
	}
	where, args = anyOf("id", 1, ids)
	_, err := t.q.ExecContext(ctx, `UPDATE patients SET locked = 0, lock_site = '' WHERE `+where, args...)
	return failed(err)
}
