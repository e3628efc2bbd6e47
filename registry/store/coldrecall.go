package store

import (
	"context"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/recall"
)

// prefixed puts a table's alias before each column of a list.
func prefixed(alias, columns string) string {
	all := strings.Split(columns, ",")
	for i, c := range all {
		all[i] = alias + strings.TrimSpace(c)
	}
	return strings.Join(all, ", ")
}

// Spoilt lists doses that do not count and are in no recall.
func (r rows) Spoilt(ctx context.Context, limit int) ([]immunization.Dose, error) {
	return list(ctx, r.q, dose, `SELECT `+prefixed("d.", doseColumns)+` FROM doses d LEFT JOIN cold_doses c ON c.dose = d.id
		WHERE d.non_viable <> '' AND d.deleted_at IS NULL AND d.kind <> 'refused' AND c.dose IS NULL ORDER BY d.id LIMIT $1`, limit)
}

const coldColumns = `id, site, cause, hold, by_name, why, opened_at`

func oneCold(s scanner) (v recall.Cold, err error) {
	var at int64
	err = s.Scan(&v.ID, &v.Site, &v.Cause, &v.Hold, &v.By, &v.Why, &at)
	v.Opened = database.Time(at)
	return v, err
}

const noCold = "There is no such recall."

// counted fills in how many people stand how.
func (r rows) counted(ctx context.Context, all []recall.Cold) error {
	if len(all) == 0 {
		return nil
	}
	at := map[string]int{}
	ids := make([]string, len(all))
	for i := range all {
		at[all[i].ID], ids[i] = i, all[i].ID
		all[i].Counts = map[recall.ColdState]int{}
	}
	type count struct {
		id    string
		state recall.ColdState
		n     int
	}
	where, args := anyOf("recall", 1, ids)
	counts, err := list(ctx, r.q, func(s scanner) (c count, err error) { return c, s.Scan(&c.id, &c.state, &c.n) },
		`SELECT recall, state, COUNT(*) FROM cold_people WHERE `+where+` GROUP BY recall, state`, args...)
	for _, c := range counts {
		v := &all[at[c.id]]
		v.Counts[c.state] = c.n
		v.Total += c.n
	}
	return err
}

func (r rows) countedOne(ctx context.Context, c recall.Cold, err error) (recall.Cold, error) {
	if err != nil {
		return c, err
	}
	all := []recall.Cold{c}
	err = r.counted(ctx, all)
	return all[0], err
}

func (r rows) Cold(ctx context.Context, id string) (recall.Cold, error) {
	c, err := one(ctx, r.q, oneCold, noCold, `SELECT `+coldColumns+` FROM cold_recalls WHERE id = $1`, id)
	return r.countedOne(ctx, c, err)
}

func (r rows) ColdByCause(ctx context.Context, cause string) (recall.Cold, error) {
	c, err := one(ctx, r.q, oneCold, noCold, `SELECT `+coldColumns+` FROM cold_recalls WHERE cause = $1`, cause)
	return r.countedOne(ctx, c, err)
}

func (r rows) Colds(ctx context.Context, site coldkeep.SiteID) ([]recall.Cold, error) {
	all, err := list(ctx, r.q, oneCold, `SELECT `+coldColumns+` FROM cold_recalls WHERE $1 = '' OR site = $1 ORDER BY opened_at DESC, id DESC LIMIT 500`, string(site))
	if err != nil {
		return nil, err
	}
	return all, r.counted(ctx, all)
}

const coldPersonColumns = `recall, patient, state, since, by_name, note, revision, seen`

func oneColdPerson(s scanner) (v recall.ColdPerson, err error) {
	var since int64
	err = s.Scan(&v.Recall, &v.Patient, &v.State, &since, &v.By, &v.Note, &v.Revision, &v.Seen)
	v.Since = database.Time(since)
	return v, err
}

func (r rows) ColdPerson(ctx context.Context, id, patient string) (recall.ColdPerson, error) {
	return one(ctx, r.q, oneColdPerson, "The person is not in this recall.", `SELECT `+coldPersonColumns+` FROM cold_people WHERE recall = $1 AND patient = $2`, id, patient)
}

func (r rows) ColdPeople(ctx context.Context, id string) ([]recall.ColdPerson, error) {
	return list(ctx, r.q, oneColdPerson, `SELECT `+coldPersonColumns+` FROM cold_people WHERE recall = $1 ORDER BY patient`, id)
}

func (r rows) ColdPeopleOf(ctx context.Context, patients []string) ([]recall.ColdPerson, error) {
	where, args := ofPatients(patients)
	return list(ctx, r.q, oneColdPerson, `SELECT `+coldPersonColumns+` FROM cold_people WHERE `+where+` ORDER BY recall DESC`, args...)
}

func (r rows) ColdDoses(ctx context.Context, id, patient string) ([]immunization.Dose, error) {
	return list(ctx, r.q, dose, `SELECT `+prefixed("d.", doseColumns)+` FROM cold_doses c JOIN doses d ON d.id = c.dose WHERE c.recall = $1 AND c.patient = $2 ORDER BY d.given, d.id`, id, patient)
}

func (r rows) ColdSteps(ctx context.Context, id, patient string) ([]recall.ColdStep, error) {
	return list(ctx, r.q, func(s scanner) (v recall.ColdStep, err error) {
		var at int64
		err = s.Scan(&v.ID, &v.Recall, &v.Patient, &v.State, &v.By, &v.Note, &at)
		v.At = database.Time(at)
		return v, err
	}, `SELECT id, recall, patient, state, by_name, note, at FROM cold_steps WHERE recall = $1 AND patient = $2 ORDER BY at DESC, id DESC`, id, patient)
}

// ColdOpen lists who has not come to an end, by the records that stand for them.
func (r rows) ColdOpen(ctx context.Context, id, after string, limit int) ([]string, error) {
	return list(ctx, r.q, text, `SELECT DISTINCT h.head FROM cold_people cp JOIN patients h ON h.id = cp.patient
		WHERE cp.recall = $1 AND cp.state IN ('open', 'reached') AND h.head > $2 ORDER BY h.head LIMIT $3`, id, after, limit)
}

// ColdChanged lists people whose doses have changed. What tells is the number of doses of
// all their records, the sum of revisions, how many stand for another, how many were
// deleted, and whether somebody has died.
func (r rows) ColdChanged(ctx context.Context, limit int) ([]recall.ColdPerson, error) {
	type seen struct {
		recall.ColdPerson
		now string
	}
	all, err := list(ctx, r.q, func(s scanner) (v seen, err error) {
		var n, revisions, linked, dead int64
		err = s.Scan(&v.Recall, &v.Patient, &v.Seen, &n, &revisions, &linked, &dead)
		v.now = itoa(int(n)) + " " + itoa(int(revisions)) + " " + itoa(int(linked)) + " " + itoa(int(dead))
		return v, err
	}, `SELECT cp.recall, cp.patient, cp.seen, COUNT(d.id), COALESCE(SUM(d.revision), 0), COALESCE(SUM(CASE WHEN d.duplicate_of <> '' THEN 1 ELSE 0 END), 0), MAX(p.deceased)
		FROM cold_people cp JOIN patients h ON h.id = cp.patient JOIN patients p ON p.head = h.head LEFT JOIN doses d ON d.patient = p.id
		WHERE cp.state IN ('open', 'reached') GROUP BY cp.recall, cp.patient, cp.seen ORDER BY cp.recall, cp.patient`)
	if err != nil {
		return nil, err
	}
	var out []recall.ColdPerson
	for _, v := range all {
		if v.now != v.Seen && len(out) < limit {
			v.Seen = v.now
			out = append(out, v.ColdPerson)
		}
	}
	return out, nil
}

func (t *tx) PutCold(ctx context.Context, c recall.Cold) error {
	if _, err := t.q.ExecContext(ctx, `INSERT INTO cold_recalls (`+coldColumns+`) VALUES (`+marks(7)+`) ON CONFLICT (cause) DO NOTHING`,
		c.ID, string(c.Site), c.Cause, c.Hold, c.By, c.Why, database.Millis(c.Opened)); err != nil {
		return failed(err)
	}
	return nil
}

func (t *tx) PutColdPerson(ctx context.Context, p recall.ColdPerson) error {
	return exec(ctx, t.q, gone, `INSERT INTO cold_people (`+coldPersonColumns+`) VALUES (`+marks(8)+`)`, p.Recall, p.Patient, string(p.State), database.Millis(p.Since), p.By, p.Note, p.Revision, p.Seen)
}

func (t *tx) PutColdDose(ctx context.Context, id, patient, doseID string) error {
	if _, err := t.q.ExecContext(ctx, `INSERT INTO cold_doses (dose, recall, patient) VALUES ($1, $2, $3) ON CONFLICT (dose) DO NOTHING`, doseID, id, patient); err != nil {
		return failed(err)
	}
	return nil
}

func (t *tx) SetCold(ctx context.Context, p recall.ColdPerson, step recall.ColdStep) error {
	if err := exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has changed this meanwhile. Look at it again, then make your change."),
		`UPDATE cold_people SET state = $3, since = $4, by_name = $5, note = $6, revision = $7 WHERE recall = $1 AND patient = $2 AND revision = $8`,
		p.Recall, p.Patient, string(p.State), database.Millis(p.Since), p.By, p.Note, p.Revision, p.Revision-1); err != nil {
		return err
	}
	return exec(ctx, t.q, gone, `INSERT INTO cold_steps (id, recall, patient, state, by_name, note, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		step.ID, step.Recall, step.Patient, string(step.State), step.By, step.Note, database.Millis(step.At))
}

func (t *tx) SetColdSeen(ctx context.Context, p recall.ColdPerson) error {
	return exec(ctx, t.q, gone, `UPDATE cold_people SET seen = $3 WHERE recall = $1 AND patient = $2`, p.Recall, p.Patient, p.Seen)
}
