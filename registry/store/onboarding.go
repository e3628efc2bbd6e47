package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/onboarding"
)

// Onboarding is the store as the onboarding package asks for it.
func (s *Store) Onboarding() onboarding.Store { return onboardingStore{s} }

type onboardingStore struct{ *Store }

func (s onboardingStore) Tx(ctx context.Context, do func(onboarding.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

const importColumns = `id, site, sha256, state, total, by_id, by_name, at, ended_at, cleared_at`

func oneImport(s scanner) (i onboarding.Import, err error) {
	var at int64
	var ended, cleared sql.NullInt64
	err = s.Scan(&i.ID, &i.Site, &i.SHA256, &i.State, &i.Total, &i.ByID, &i.By, &at, &ended, &cleared)
	i.At, i.Ended, i.Cleared = database.Time(at), database.NullTime(ended), database.NullTime(cleared)
	i.SHA256, _, _ = strings.Cut(i.SHA256, "/") // of one that was dropped, see ClearImport
	return i, err
}

const noImport = "There is no such import."

func (r rows) Import(ctx context.Context, id string) (onboarding.Import, error) {
	return one(ctx, r.q, oneImport, noImport, `SELECT `+importColumns+` FROM imports WHERE id = $1`, id)
}

func (r rows) ImportByFile(ctx context.Context, site coldkeep.SiteID, sha256 string) (onboarding.Import, error) {
	return one(ctx, r.q, oneImport, noImport, `SELECT `+importColumns+` FROM imports WHERE site = $1 AND sha256 = $2`, string(site), sha256)
}

func (r rows) Imports(ctx context.Context, site coldkeep.SiteID) ([]onboarding.Import, error) {
	return list(ctx, r.q, oneImport, `SELECT `+importColumns+` FROM imports WHERE site = $1 ORDER BY at DESC, id DESC LIMIT 100`, string(site))
}

func (r rows) ImportCounts(ctx context.Context, id string) (onboarding.Counts, error) {
	out := onboarding.Counts{Verdicts: map[onboarding.Verdict]int{}}
	type count struct {
		verdict  onboarding.Verdict
		n, taken int
	}
	all, err := list(ctx, r.q, func(s scanner) (c count, err error) { return c, s.Scan(&c.verdict, &c.n, &c.taken) },
		`SELECT verdict, COUNT(*), COUNT(done_at) FROM import_rows WHERE import = $1 GROUP BY verdict`, id)
	for _, c := range all {
		if c.verdict != "" {
			out.Looked += c.n
			out.Verdicts[c.verdict] = c.n
		}
		out.Taken += c.taken
	}
	return out, err
}

func importLine(s scanner) (l onboarding.Line, err error) {
	var value, findings string
	var done sql.NullInt64
	if err = s.Scan(&l.Seq, &value, &l.Verdict, &findings, &l.Patient, &done); err != nil {
		return l, err
	}
	if err = json.Unmarshal([]byte(value), &l.Row); err != nil {
		return l, err
	}
	l.Done = done.Valid
	return l, json.Unmarshal([]byte(findings), &l.Findings)
}

const importLines = `SELECT n, value, verdict, findings, patient, done_at FROM import_rows WHERE import = $1 `

func (r rows) ImportFindings(ctx context.Context, id string, after, limit int) ([]onboarding.Line, error) {
	return list(ctx, r.q, importLine, importLines+`AND n > $2 AND findings <> '[]' ORDER BY n LIMIT $3`, id, after, limit)
}

// ImportWork gives the import that has waited longest, and rows of it that are next.
func (r rows) ImportWork(ctx context.Context, limit int) (onboarding.Import, []onboarding.Line, error) {
	i, err := one(ctx, r.q, oneImport, noImport, `SELECT `+importColumns+` FROM imports WHERE state IN ('checking', 'taking') ORDER BY at, id LIMIT 1`)
	if err != nil {
		return i, nil, err
	}
	next := `AND verdict = '' ORDER BY n LIMIT $2`
	if i.State == onboarding.Taking {
		next = `AND done_at IS NULL AND verdict <> 'refused' ORDER BY n LIMIT $2`
	}
	lines, err := list(ctx, r.q, importLine, importLines+next, i.ID, limit)
	return i, lines, err
}

// ImportsToClear lists imports whose values are there and that ended, or wait, since before.
func (r rows) ImportsToClear(ctx context.Context, before time.Time) ([]onboarding.Import, error) {
	return list(ctx, r.q, oneImport, `SELECT `+importColumns+` FROM imports WHERE cleared_at IS NULL AND (ended_at < $1 OR state = 'checked' AND at < $1) ORDER BY at, id LIMIT 100`, database.Millis(before))
}

func (r rows) ImportLines(ctx context.Context, id string, after, limit int) ([]onboarding.Line, error) {
	return list(ctx, r.q, importLine, importLines+`AND n > $2 ORDER BY n LIMIT $3`, id, after, limit)
}

func (t *tx) ClearImportLine(ctx context.Context, id string, seq int, left onboarding.Row) error {
	value, err := json.Marshal(left)
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `UPDATE import_rows SET value = $3 WHERE import = $1 AND n = $2`, id, seq, string(value))
}

// ClearImport says that the values are gone. One file is one import of a practice; that of
// a dropped one may come again, so its checksum is made one that no file has.
func (t *tx) ClearImport(ctx context.Context, id string, from, to onboarding.State, at time.Time) error {
	free := ""
	if to == onboarding.Dropped {
		free = "/" + id
	}
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "The import has gone on meanwhile. Look at it again."),
		`UPDATE imports SET state = $3, cleared_at = $4, sha256 = sha256 || $5 WHERE id = $1 AND state = $2`, id, string(from), string(to), database.Millis(at), free)
}

func (t *tx) InsertImport(ctx context.Context, i onboarding.Import, lines []onboarding.Row) error {
	if err := exec(ctx, t.q, gone, `INSERT INTO imports (`+importColumns+`) VALUES (`+marks(10)+`)`,
		i.ID, string(i.Site), i.SHA256, string(i.State), i.Total, i.ByID, i.By, database.Millis(i.At), nil, nil); err != nil {
		return err
	}
	var args []any
	for k := range lines {
		l := &lines[k]
		value, err := json.Marshal(l)
		if err != nil {
			return failed(err)
		}
		findings, err := json.Marshal(append([]onboarding.Finding{}, l.Findings...))
		if err != nil {
			return failed(err)
		}
		args = append(args, i.ID, k+1, string(value), "", string(findings), "", nil)
	}
	const columns, atOnce = 7, 7 * 64
	for chunk := range slices.Chunk(args, atOnce) {
		if err := insertRows(ctx, t.q, `INSERT INTO import_rows (import, n, value, verdict, findings, patient, done_at)`, columns, chunk, ""); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) SetImportState(ctx context.Context, id string, from, to onboarding.State, at *time.Time) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "The import has gone on meanwhile. Look at it again."),
		`UPDATE imports SET state = $3, ended_at = $4 WHERE id = $1 AND state = $2`, id, string(from), string(to), database.NullMillis(at))
}

func (t *tx) PutImportLine(ctx context.Context, id string, l onboarding.Line, at *time.Time) error {
	findings, err := json.Marshal(append([]onboarding.Finding{}, l.Findings...))
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `UPDATE import_rows SET verdict = $3, findings = $4, patient = $5, done_at = $6 WHERE import = $1 AND n = $2`,
		id, l.Seq, string(l.Verdict), string(findings), l.Patient, database.NullMillis(at))
}
