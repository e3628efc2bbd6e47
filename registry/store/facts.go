package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

const factColumns = `id, patient, kind, code, title, from_on, until_on, basis, by_name, site, at, ended_by, ended_at, ended_why`

func fact(s scanner) (f immunization.Fact, err error) {
	var from, until, endedBy, endedWhy string
	var at int64
	var endedAt sql.NullInt64
	if err = s.Scan(&f.ID, &f.Patient, &f.Kind, &f.Code, &f.Title, &from, &until, &f.Basis, &f.By, &f.Site, &at, &endedBy, &endedAt, &endedWhy); err != nil {
		return f, err
	}
	f.At, f.Ended = database.Time(at), deletion(endedBy, endedAt, endedWhy)
	if f.From, err = date(from); err != nil {
		return f, err
	}
	f.Until, err = date(until)
	return f, err
}

func (r rows) Facts(ctx context.Context, patients []string) ([]immunization.Fact, error) {
	where, args := ofPatients(patients)
	return list(ctx, r.q, fact, `SELECT `+factColumns+` FROM facts WHERE `+where+` ORDER BY id`, args...)
}

func (r rows) Fact(ctx context.Context, id string) (immunization.Fact, error) {
	return one(ctx, r.q, fact, "There is no such entry.", `SELECT `+factColumns+` FROM facts WHERE id = $1`, id)
}

func (t *tx) InsertFact(ctx context.Context, f immunization.Fact) error {
	return exec(ctx, t.q, gone, `INSERT INTO facts (`+factColumns+`) VALUES (`+marks(14)+`)`,
		f.ID, f.Patient, string(f.Kind), f.Code, f.Title, f.From.String(), f.Until.String(), f.Basis, f.By, string(f.Site), database.Millis(f.At), "", nil, "")
}

// end ends a row of a table that has not ended yet.
func (t *tx) end(ctx context.Context, table, id string, d immunization.Deletion) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "It has been ended already."),
		`UPDATE `+table+` SET ended_by = $2, ended_at = $3, ended_why = $4 WHERE id = $1 AND ended_at IS NULL`, id, d.By, database.Millis(d.At), d.Reason)
}

func (t *tx) EndFact(ctx context.Context, id string, d immunization.Deletion) error {
	return t.end(ctx, "facts", id, d)
}

const reactionColumns = `id, patient, items, by_name, site, at, ended_by, ended_at, ended_why`

func reaction(s scanner) (r immunization.Reaction, err error) {
	var id, of, items, by, site, endedBy, endedWhy string
	var at int64
	var endedAt sql.NullInt64
	if err = s.Scan(&id, &of, &items, &by, &site, &at, &endedBy, &endedAt, &endedWhy); err != nil {
		return r, err
	}
	if err = json.Unmarshal([]byte(items), &r); err != nil {
		return r, err
	}
	r.ID, r.Patient, r.By, r.Site, r.At, r.Ended = id, of, by, coldkeep.SiteID(site), database.Time(at), deletion(endedBy, endedAt, endedWhy)
	return r, nil
}

func (r rows) Reactions(ctx context.Context, patients []string) ([]immunization.Reaction, error) {
	where, args := ofPatients(patients)
	return list(ctx, r.q, reaction, `SELECT `+reactionColumns+` FROM reactions WHERE `+where+` ORDER BY id`, args...)
}

func (r rows) Reaction(ctx context.Context, id string) (immunization.Reaction, error) {
	return one(ctx, r.q, reaction, "There is no such entry.", `SELECT `+reactionColumns+` FROM reactions WHERE id = $1`, id)
}

func (t *tx) InsertReaction(ctx context.Context, r immunization.Reaction) error {
	items, err := json.Marshal(r)
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `INSERT INTO reactions (`+reactionColumns+`) VALUES (`+marks(9)+`)`,
		r.ID, r.Patient, string(items), r.By, string(r.Site), database.Millis(r.At), "", nil, "")
}

func (t *tx) EndReaction(ctx context.Context, id string, d immunization.Deletion) error {
	return t.end(ctx, "reactions", id, d)
}

const exemptionColumns = `id, patient, kind, vaccine_groups, from_on, until_on, signer, source, by_name, site, at, ended_by, ended_at, ended_why`

func exemption(s scanner) (e immunization.Exemption, err error) {
	var groups, from, until, endedBy, endedWhy string
	var at int64
	var endedAt sql.NullInt64
	if err = s.Scan(&e.ID, &e.Patient, &e.Kind, &groups, &from, &until, &e.Signer, &e.Source, &e.By, &e.Site, &at, &endedBy, &endedAt, &endedWhy); err != nil {
		return e, err
	}
	e.At, e.Ended = database.Time(at), deletion(endedBy, endedAt, endedWhy)
	if err = json.Unmarshal([]byte(groups), &e.Groups); err != nil {
		return e, err
	}
	if e.From, err = date(from); err != nil {
		return e, err
	}
	e.Until, err = date(until)
	return e, err
}

func (r rows) Exemptions(ctx context.Context, patients []string) ([]immunization.Exemption, error) {
	where, args := ofPatients(patients)
	return list(ctx, r.q, exemption, `SELECT `+exemptionColumns+` FROM exemptions WHERE `+where+` ORDER BY id`, args...)
}

func (r rows) Exemption(ctx context.Context, id string) (immunization.Exemption, error) {
	return one(ctx, r.q, exemption, "There is no such entry.", `SELECT `+exemptionColumns+` FROM exemptions WHERE id = $1`, id)
}

func (t *tx) InsertExemption(ctx context.Context, e immunization.Exemption) error {
	groups, err := json.Marshal(append([]string{}, e.Groups...))
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `INSERT INTO exemptions (`+exemptionColumns+`) VALUES (`+marks(14)+`)`,
		e.ID, e.Patient, string(e.Kind), string(groups), e.From.String(), e.Until.String(), e.Signer, e.Source, e.By, string(e.Site), database.Millis(e.At), "", nil, "")
}

func (t *tx) EndExemption(ctx context.Context, id string, d immunization.Deletion) error {
	return t.end(ctx, "exemptions", id, d)
}

// move puts a row of a table under another record.
func (t *tx) move(ctx context.Context, table, id, to string) error {
	return exec(ctx, t.q, gone, `UPDATE `+table+` SET patient = $2 WHERE id = $1`, id, to)
}

func (t *tx) MoveFact(ctx context.Context, id, to string) error { return t.move(ctx, "facts", id, to) }

func (t *tx) MoveReaction(ctx context.Context, id, to string) error {
	return t.move(ctx, "reactions", id, to)
}

func (t *tx) MoveExemption(ctx context.Context, id, to string) error {
	return t.move(ctx, "exemptions", id, to)
}
