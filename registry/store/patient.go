package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/patient"
)

const noPatient = "There is no such patient."

// PatientGate is what decides whether a person's record opens to who at a time.
func (r rows) PatientGate(ctx context.Context, id, who string, at time.Time) (patient.Gate, error) {
	type member struct {
		id, head, birth, site string
		locked                bool
	}
	g := patient.Gate{Patient: id}
	// Every practice that knows the person, and what who may do by a search or an
	// emergency, come with the records: one way to the database and back.
	members, err := list(ctx, r.q, func(s scanner) (m member, err error) {
		var locked int64
		err = s.Scan(&m.id, &m.head, &m.birth, &locked, &m.site)
		m.locked = locked != 0
		return m, err
	}, `SELECT p.id, p.head, p.birth, p.locked, p.lock_site FROM patients q JOIN patients p ON p.head = q.head WHERE q.id = $1 ORDER BY p.id`, id)
	if err != nil {
		return g, err
	}
	if len(members) == 0 {
		return g, coldkeep.Errorf(coldkeep.ENOTFOUND, noPatient)
	}
	g.Head = members[0].head
	g.Family = []string{g.Head}
	for _, m := range members {
		if m.id == g.Head {
			if g.Birth, err = date(m.birth); err != nil {
				return g, err
			}
		} else {
			g.Family = append(g.Family, m.id)
		}
		switch site := coldkeep.SiteID(m.site); {
		case !m.locked:
		case !g.Locked:
			g.Locked, g.LockSite = true, site
		case g.LockSite != site:
			g.LockSite = "" // of two sites neither may open what the other has locked
		}
	}
	if g.Head != id {
		g.MergedInto = g.Head
	}
	if g.Sites, err = list(ctx, r.q, func(s scanner) (v coldkeep.SiteID, err error) { return v, s.Scan(&v) },
		`SELECT DISTINCT st.site FROM patients p JOIN patient_statuses st ON st.patient = p.id WHERE p.head = $1 AND st.site <> '' ORDER BY st.site`, g.Head); err != nil {
		return g, err
	}
	opens, err := list(ctx, r.q, number, `SELECT 0 FROM patients p JOIN patient_grants gr ON gr.patient = p.id WHERE p.head = $1 AND gr.who = $2 AND gr.until_at > $3
		UNION ALL SELECT 1 FROM patients p JOIN patient_emergencies e ON e.patient = p.id WHERE p.head = $1 AND e.who_id = $2 AND e.until_at > $3`,
		g.Head, who, database.Millis(at))
	g.Granted, g.Emergency = slices.Contains(opens, 0), slices.Contains(opens, 1)
	return g, err
}

func date(s string) (d coldkeep.Date, err error) { return d, d.UnmarshalText([]byte(s)) }

const patientColumns = `id, head, merged_into, birth, birth_state, birth_nation, sex, multiple, birth_order, races, ethnicity, language, mother,
	deceased, died, publicity, offered_at, offered_by, locked, revision, created_by, created_at, updated_at`

func onePatient(s scanner) (p patient.Patient, err error) {
	var birth, died, races string
	var multiple, offered sql.NullInt64
	var deceased, locked, created, updated int64
	err = s.Scan(&p.ID, &p.Head, &p.MergedInto, &birth, &p.BirthState, &p.BirthNation, &p.Sex, &multiple, &p.BirthOrder, &races, &p.Ethnicity, &p.Language, &p.Mother,
		&deceased, &died, &p.Publicity, &offered, &p.Consent.OfferedBy, &locked, &p.Revision, &p.CreatedBy, &created, &updated)
	if err != nil {
		return p, err
	}
	if multiple.Valid {
		yes := multiple.Int64 != 0
		p.Multiple = &yes
	}
	if locked != 0 {
		p.Lock = &patient.Lock{}
	}
	p.Races, p.Deceased = strings.Fields(races), deceased != 0
	p.Consent.OfferedAt, p.CreatedAt, p.UpdatedAt = database.NullTime(offered), database.Time(created), database.Time(updated)
	if p.Birth, err = date(birth); err != nil {
		return p, err
	}
	p.Died, err = date(died)
	return p, err
}

// Patient is one record with all its entries, those that stand first.
func (r rows) Patient(ctx context.Context, id string) (patient.Patient, error) {
	p, err := one(ctx, r.q, onePatient, noPatient, `SELECT `+patientColumns+` FROM patients WHERE id = $1`, id)
	if err != nil {
		return p, err
	}
	if p.Lock != nil {
		locks, err := r.Locks(ctx, []string{id})
		if err != nil {
			return p, err
		}
		for _, l := range locks {
			if l.EndedAt == nil {
				*p.Lock = l.Lock
			}
		}
	}
	return p, r.entries(ctx, &p)
}

// inUse orders entries: those that stand, then the others with the latest first.
const inUse = ` WHERE patient = $1 ORDER BY CASE WHEN until_at IS NULL THEN 0 ELSE 1 END, until_at DESC, n`

func (r rows) entries(ctx context.Context, p *patient.Patient) (err error) {
	if p.Names, err = list(ctx, r.q, func(s scanner) (n patient.Name, err error) {
		return n, scanEntry(s, &n.Span, &n.Kind, &n.Family, &n.Given, &n.Middle, &n.Suffix)
	}, `SELECT n, until_at, ended_by, kind, family, given, middle, suffix FROM patient_names`+inUse, p.ID); err != nil {
		return err
	}
	if p.Addresses, err = list(ctx, r.q, func(s scanner) (a patient.Address, err error) {
		return a, scanEntry(s, &a.Span, &a.Kind, &a.Street, &a.Street2, &a.City, &a.State, &a.ZIP, &a.County, &a.Country)
	}, `SELECT n, until_at, ended_by, kind, street, street2, city, state, zip, county, country FROM patient_addresses`+inUse, p.ID); err != nil {
		return err
	}
	if p.Contacts, err = list(ctx, r.q, func(s scanner) (c patient.Contact, err error) {
		return c, scanEntry(s, &c.Span, &c.Kind, &c.Value)
	}, `SELECT n, until_at, ended_by, kind, value FROM patient_contacts`+inUse, p.ID); err != nil {
		return err
	}
	if p.Identifiers, err = list(ctx, r.q, func(s scanner) (i patient.Identifier, err error) {
		return i, scanEntry(s, &i.Span, &i.Kind, &i.Assigner, &i.Value)
	}, `SELECT n, until_at, ended_by, kind, assigner, value FROM patient_identifiers`+inUse, p.ID); err != nil {
		return err
	}
	if p.Guardians, err = list(ctx, r.q, func(s scanner) (g patient.Guardian, err error) {
		var address, contacts []byte
		if err := scanEntry(s, &g.Span, &g.Relation, &g.Family, &g.Given, &g.Middle, &address, &contacts); err != nil {
			return g, err
		}
		if err := json.Unmarshal(address, &g.Address); err != nil {
			return g, err
		}
		return g, json.Unmarshal(contacts, &g.Contacts)
	}, `SELECT n, until_at, ended_by, relation, family, given, middle, address, contacts FROM patient_guardians`+inUse, p.ID); err != nil {
		return err
	}
	p.Statuses, err = list(ctx, r.q, func(s scanner) (v patient.Status, err error) {
		var since int64
		err = scanEntry(s, &v.Span, &v.Site, &v.Standing, &since, &v.By)
		v.Since = database.Time(since)
		return v, err
	}, `SELECT n, until_at, '', site, standing, since, by_name FROM patient_statuses`+inUse, p.ID)
	return err
}

func scanEntry(s scanner, span *patient.Span, fields ...any) error {
	var until sql.NullInt64
	err := s.Scan(append([]any{&span.Seq, &until, &span.EndedBy}, fields...)...)
	span.Until = database.NullTime(until)
	return err
}

// anyOf gives "column IN ($from, $from+1 …)" and the arguments to it.
func anyOf[T any](column string, from int, values []T) (string, []any) {
	var b strings.Builder
	args := make([]any, len(values))
	b.WriteString(column + " IN (")
	for i, v := range values {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(from+i))
		args[i] = v
	}
	return b.String() + ")", args
}

const candidateColumns = `p.id, p.head, p.locked, p.lock_site, p.revision, p.profile`

func candidate(s scanner) (c patient.Candidate, err error) {
	var profile string
	var locked int64
	if err := s.Scan(&c.ID, &c.Head, &locked, &c.LockSite, &c.Revision, &profile); err != nil {
		return c, err
	}
	c.Locked = locked != 0
	c.Profile, err = patient.ReadProfile(profile)
	return c, err
}

// ProfilesByKey gives what matching compares of the records that have any of the keys.
func (r rows) ProfilesByKey(ctx context.Context, keys []int64, but string, limit int) ([]patient.Candidate, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	where, args := anyOf("key", 3, keys)
	return list(ctx, r.q, candidate, `SELECT `+candidateColumns+` FROM patients p JOIN
		(SELECT DISTINCT patient FROM patient_keys WHERE `+where+` LIMIT $2) k ON p.id = k.patient WHERE p.id <> $1 ORDER BY p.id`,
		append([]any{but, limit}, args...)...)
}

// personDeceased tells of a standing record p whether the person has died: any of the
// records that were merged into it may be the one that knows.
const personDeceased = `COALESCE((SELECT MAX(l.deceased) FROM patients l WHERE l.head = p.id), p.deceased)`

// Faces gives what a list of search results shows of standing records.
func (r rows) Faces(ctx context.Context, ids []string) ([]patient.Face, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	where, args := anyOf("p.id", 1, ids)
	all, err := list(ctx, r.q, func(s scanner) (f patient.Face, err error) {
		var birth string
		var deceased int64
		var city sql.NullString
		if err := s.Scan(&f.ID, &birth, &f.Sex, &deceased, &f.Name.Kind, &f.Name.Family, &f.Name.Given, &f.Name.Middle, &f.Name.Suffix, &city); err != nil {
			return f, err
		}
		f.Deceased, f.City = deceased != 0, city.String
		f.Birth, err = date(birth)
		return f, err
	}, `SELECT p.id, p.birth, p.sex, `+personDeceased+`, n.kind, n.family, n.given, n.middle, n.suffix,
		(SELECT MAX(a.city) FROM patient_addresses a WHERE a.patient = p.id AND a.until_at IS NULL AND a.kind = 'H')
		FROM patients p JOIN patient_names n ON n.patient = p.id AND n.kind = 'L' AND n.until_at IS NULL WHERE `+where+` ORDER BY p.id, n.n`, args...)
	if err != nil {
		return nil, err
	}
	return slices.CompactFunc(all, func(a, b patient.Face) bool { return a.ID == b.ID }), nil
}

// Profile gives what matching compares of one record.
func (r rows) Profile(ctx context.Context, id string) (patient.Candidate, error) {
	return one(ctx, r.q, candidate, noPatient, `SELECT `+candidateColumns+` FROM patients p WHERE p.id = $1`, id)
}

// Unswept lists records that have changed since the sweep for duplicates saw them.
func (r rows) Unswept(ctx context.Context, limit int) ([]patient.Candidate, error) {
	return list(ctx, r.q, candidate, `SELECT `+candidateColumns+` FROM patients p WHERE p.swept < p.revision ORDER BY p.id LIMIT $1`, limit)
}

func (r rows) History(ctx context.Context, ids []string) ([]patient.Change, error) {
	where, args := anyOf("patient", 1, ids)
	return list(ctx, r.q, func(s scanner) (c patient.Change, err error) {
		var at int64
		var fields []byte
		if err := s.Scan(&c.ID, &c.Patient, &c.Revision, &at, &c.WhoID, &c.Who, &c.Site, &c.What, &c.Why, &fields); err != nil {
			return c, err
		}
		c.At = database.Time(at)
		return c, json.Unmarshal(fields, &c.Fields)
	}, `SELECT id, patient, revision, at, who_id, who, site, what, why, changes FROM patient_history WHERE `+where+` ORDER BY id DESC`, args...)
}

func (r rows) Locks(ctx context.Context, ids []string) ([]patient.LockRecord, error) {
	where, args := anyOf("patient", 1, ids)
	return list(ctx, r.q, func(s scanner) (l patient.LockRecord, err error) {
		var at int64
		var ended sql.NullInt64
		err = s.Scan(&l.ID, &l.Patient, &l.Site, &l.Form, &at, &l.By, &ended, &l.EndedBy, &l.EndedForm)
		l.At, l.EndedAt = database.Time(at), database.NullTime(ended)
		return l, err
	}, `SELECT id, patient, site, form, at, by_name, ended_at, ended_by, ended_form FROM patient_locks WHERE `+where+` ORDER BY id DESC`, args...)
}

// Emergencies lists records opened in an emergency, the latest first.
func (r rows) Emergencies(ctx context.Context, open bool, limit int) ([]patient.Emergency, error) {
	where := `reviewed_at IS NOT NULL`
	if open {
		where = `reviewed_at IS NULL`
	}
	return list(ctx, r.q, func(s scanner) (e patient.Emergency, err error) {
		var at, until int64
		var reviewed sql.NullInt64
		err = s.Scan(&e.ID, &e.Patient, &e.WhoID, &e.Who, &e.Site, &at, &until, &e.Why, &reviewed, &e.ReviewedBy, &e.Review)
		e.At, e.Until, e.ReviewedAt = database.Time(at), database.Time(until), database.NullTime(reviewed)
		return e, err
	}, `SELECT id, patient, who_id, who, site, at, until_at, why, reviewed_at, reviewed_by, review FROM patient_emergencies WHERE `+where+` ORDER BY id DESC LIMIT $1`, limit)
}
