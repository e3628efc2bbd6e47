package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/patient"
)

const pairColumns = `a, b, state, score, parts, found_by, found_at, decided_by, decided_at, why`

func pair(s scanner) (p patient.Pair, err error) {
	var parts []byte
	var found int64
	var decided sql.NullInt64
	if err := s.Scan(&p.A, &p.B, &p.State, &p.Score, &parts, &p.FoundBy, &found, &p.DecidedBy, &decided, &p.Why); err != nil {
		return p, err
	}
	p.FoundAt, p.DecidedAt = database.Time(found), database.NullTime(decided)
	return p, json.Unmarshal(parts, &p.Parts)
}

func (r rows) Pair(ctx context.Context, a, b string) (patient.Pair, error) {
	return one(ctx, r.q, pair, "There is no such pair.", `SELECT `+pairColumns+` FROM patient_pairs WHERE a = $1 AND b = $2`, a, b)
}

func (r rows) Pairs(ctx context.Context, state patient.PairState, limit int) ([]patient.Pair, error) {
	return list(ctx, r.q, pair, `SELECT `+pairColumns+` FROM patient_pairs WHERE state = $1 ORDER BY score DESC, a, b LIMIT $2`, string(state), limit)
}

func (r rows) PairsOf(ctx context.Context, ids []string) ([]patient.Pair, error) {
	inA, args := anyOf("a", 1, ids)
	inB, _ := anyOf("b", 1, ids)
	return list(ctx, r.q, pair, `SELECT `+pairColumns+` FROM patient_pairs WHERE `+inA+` OR `+inB+` ORDER BY score DESC, a, b`, args...)
}

// PutPair adds a pair or gives an open one its new score; a decided one stays.
func (t *tx) PutPair(ctx context.Context, p patient.Pair) (bool, error) {
	parts, err := json.Marshal(p.Parts)
	if err != nil {
		return false, failed(err)
	}
	res, err := t.q.ExecContext(ctx, `INSERT INTO patient_pairs (a, b, state, score, parts, found_by, found_at) VALUES ($1, $2, 'open', $3, $4, $5, $6)
		ON CONFLICT (a, b) DO NOTHING`, p.A, p.B, p.Score, string(parts), p.FoundBy, database.Millis(p.FoundAt))
	if err != nil {
		return false, failed(err)
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return n > 0, failed(err)
	}
	_, err = t.q.ExecContext(ctx, `UPDATE patient_pairs SET score = $3, parts = $4 WHERE a = $1 AND b = $2 AND state = 'open'`, p.A, p.B, p.Score, string(parts))
	return false, failed(err)
}

func (t *tx) DecidePair(ctx context.Context, p patient.Pair) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has decided about this pair already."),
		`UPDATE patient_pairs SET state = $3, decided_by = $4, decided_at = $5, why = $6 WHERE a = $1 AND b = $2 AND state = 'open'`,
		p.A, p.B, string(p.State), p.DecidedBy, database.NullMillis(p.DecidedAt), p.Why)
}

func (t *tx) ReopenPair(ctx context.Context, a, b string) error {
	_, err := t.q.ExecContext(ctx, `UPDATE patient_pairs SET state = 'open', decided_by = '', decided_at = NULL, why = '' WHERE a = $1 AND b = $2`, a, b)
	return failed(err)
}

const mergeColumns = `id, loser, survivor, at, who_id, who, why, undone_at, undone_by, undone_why`

func merge(s scanner) (m patient.Merge, err error) {
	var at int64
	var undone sql.NullInt64
	err = s.Scan(&m.ID, &m.Loser, &m.Survivor, &at, &m.WhoID, &m.Who, &m.Why, &undone, &m.UndoneBy, &m.UndoneWhy)
	m.At, m.UndoneAt = database.Time(at), database.NullTime(undone)
	return m, err
}

func (r rows) Merge(ctx context.Context, id string) (patient.Merge, error) {
	return one(ctx, r.q, merge, "There is no such merge.", `SELECT `+mergeColumns+` FROM patient_merges WHERE id = $1`, id)
}

func (r rows) Merges(ctx context.Context, ids []string) ([]patient.Merge, error) {
	losers, args := anyOf("loser", 1, ids)
	survivors, _ := anyOf("survivor", 1, ids)
	return list(ctx, r.q, merge, `SELECT `+mergeColumns+` FROM patient_merges WHERE `+losers+` OR `+survivors+` ORDER BY id DESC`, args...)
}

func (t *tx) InsertMerge(ctx context.Context, m patient.Merge) error {
	return exec(ctx, t.q, gone, `INSERT INTO patient_merges (id, loser, survivor, at, who_id, who, why) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		m.ID, m.Loser, m.Survivor, database.Millis(m.At), m.WhoID, m.Who, m.Why)
}

func (t *tx) EndMerge(ctx context.Context, m patient.Merge) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "This merge has been undone already."),
		`UPDATE patient_merges SET undone_at = $2, undone_by = $3, undone_why = $4 WHERE id = $1 AND undone_at IS NULL`,
		m.ID, database.NullMillis(m.UndoneAt), m.UndoneBy, m.UndoneWhy)
}

// InsertMove keeps where an entry was before a merge was undone.
func (t *tx) InsertMove(ctx context.Context, merge string, e patient.Entered, to string) error {
	return exec(ctx, t.q, gone, `INSERT INTO merge_moves (merge_id, kind, entry, from_record, to_record) VALUES ($1, $2, $3, $4, $5)`, merge, e.Kind, e.ID, e.Record, to)
}

func (r rows) MergedInto(ctx context.Context, id string) (string, error) {
	return one(ctx, r.q, func(s scanner) (v string, err error) { return v, s.Scan(&v) }, noPatient, `SELECT merged_into FROM patients WHERE id = $1`, id)
}

func (t *tx) SetHead(ctx context.Context, ids []string, head string) error {
	where, args := anyOf("id", 2, ids)
	return exec(ctx, t.q, gone, `UPDATE patients SET head = $1 WHERE `+where, append([]any{head}, args...)...)
}

func (t *tx) SetMergedInto(ctx context.Context, id, survivor string) error {
	return exec(ctx, t.q, gone, `UPDATE patients SET merged_into = $2 WHERE id = $1`, id, survivor)
}

// Children lists the records that were merged straight into one.
func (t *tx) Children(ctx context.Context, id string) ([]string, error) {
	return list(ctx, t.q, func(s scanner) (v string, err error) { return v, s.Scan(&v) },
		`SELECT p.id FROM patients q JOIN patients p ON p.head = q.head WHERE q.id = $1 AND p.merged_into = $1 ORDER BY p.id`, id)
}

func (t *tx) SetSwept(ctx context.Context, id string, revision int64) error {
	_, err := t.q.ExecContext(ctx, `UPDATE patients SET swept = $2 WHERE id = $1 AND swept < $2`, id, revision)
	return failed(err)
}

// PseudonymKey returns the key that is kept; fresh is kept when there is none.
func (t *tx) PseudonymKey(ctx context.Context, fresh []byte) ([]byte, error) {
	if _, err := t.q.ExecContext(ctx, `INSERT INTO pseudonym_key (one, key) VALUES (1, $1) ON CONFLICT (one) DO NOTHING`, fresh); err != nil {
		return nil, failed(err)
	}
	return one(ctx, t.q, func(s scanner) (b []byte, err error) { return b, s.Scan(&b) }, "no key", `SELECT key FROM pseudonym_key WHERE one = 1`)
}

// Deidentified gives the rows after an id of people whose record is open.
func (r rows) Deidentified(ctx context.Context, after string, limit int) ([]patient.DeidentifiedRow, error) {
	// A person's record is locked when any record of the person is.
	return list(ctx, r.q, deidentified, `SELECT p.id, p.birth, p.sex, p.races, p.ethnicity, p.zip, p.county, `+personDeceased+` FROM patients p
		WHERE p.id > $1 AND p.merged_into = '' AND NOT EXISTS (SELECT 1 FROM patients l WHERE l.head = p.id AND l.locked = 1) ORDER BY p.id LIMIT $2`, after, limit)
}

func deidentified(s scanner) (d patient.DeidentifiedRow, err error) {
	var birth, races string
	var deceased int64
	if err := s.Scan(&d.ID, &birth, &d.Sex, &races, &d.Ethnicity, &d.ZIP, &d.County, &deceased); err != nil {
		return d, err
	}
	d.Races, d.Deceased = strings.Fields(races), deceased != 0
	d.Birth, err = date(birth)
	return d, err
}

// AreaCounts counts people whose record is open by area and year of birth.
func (r rows) AreaCounts(ctx context.Context) ([]patient.AreaCount, error) {
	return list(ctx, r.q, func(s scanner) (c patient.AreaCount, err error) {
		return c, s.Scan(&c.ZIP3, &c.Born, &c.Count)
	}, `SELECT SUBSTR(p.zip, 1, 3) AS area, CAST(SUBSTR(p.birth, 1, 4) AS BIGINT) AS born, COUNT(*) FROM patients p
		WHERE p.merged_into = '' AND NOT EXISTS (SELECT 1 FROM patients l WHERE l.head = p.id AND l.locked = 1)
		GROUP BY SUBSTR(p.zip, 1, 3), CAST(SUBSTR(p.birth, 1, 4) AS BIGINT) ORDER BY area, born`)
}

// CountyCounts counts people whose record is open by county.
func (r rows) CountyCounts(ctx context.Context) (map[string]int, error) {
	type row struct {
		county string
		n      int
	}
	all, err := list(ctx, r.q, func(s scanner) (v row, err error) { return v, s.Scan(&v.county, &v.n) },
		`SELECT p.county, COUNT(*) FROM patients p WHERE p.merged_into = '' AND NOT EXISTS (SELECT 1 FROM patients l WHERE l.head = p.id AND l.locked = 1) GROUP BY p.county`)
	out := make(map[string]int, len(all))
	for _, v := range all {
		out[v.county] = v.n
	}
	return out, err
}
