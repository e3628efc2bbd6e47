package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/coverage"
)

// Coverage is the store as the coverage package asks for it.
func (s *Store) Coverage() coverage.Store { return coverageStore{s} }

type coverageStore struct{ *Store }

func (s coverageStore) Tx(ctx context.Context, do func(coverage.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

const runColumns = `id, site, asked, day, cutoff, zone, by_id, by_name, at, state, tries, beat_at, done, total, schedule, began_at, ended_at, ended_by, trouble`

func coverageRun(s scanner) (r coverage.Run, err error) {
	var asked, day string
	var cutoff, at, beat int64
	var began, ended sql.NullInt64
	if err = s.Scan(&r.ID, &r.Site, &asked, &day, &cutoff, &r.Zone, &r.ByID, &r.By, &at, &r.State, &r.Tries, &beat, &r.Done, &r.Total, &r.Schedule, &began, &ended, &r.EndedBy, &r.Trouble); err != nil {
		return r, err
	}
	r.Cutoff, r.At, r.Beat, r.Began, r.Ended = database.Time(cutoff), database.Time(at), database.Time(beat), database.NullTime(began), database.NullTime(ended)
	if r.Day, err = date(day); err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(asked), &r.Asked)
}

const noRun = "There is no such assessment."

// CoverageRun is one assessment.
func (r rows) CoverageRun(ctx context.Context, id string) (coverage.Run, error) {
	return one(ctx, r.q, coverageRun, noRun, `SELECT `+runColumns+` FROM coverage_runs WHERE id = $1`, id)
}

// CoverageRuns lists assessments, the latest first.
func (r rows) CoverageRuns(ctx context.Context, site coldkeep.SiteID, all bool, limit int) ([]coverage.Run, error) {
	if all && site == "" {
		return list(ctx, r.q, coverageRun, `SELECT `+runColumns+` FROM coverage_runs ORDER BY id DESC LIMIT $1`, limit)
	}
	return list(ctx, r.q, coverageRun, `SELECT `+runColumns+` FROM coverage_runs WHERE site = $1 ORDER BY id DESC LIMIT $2`, string(site), limit)
}

// CoverageUnfinished counts assessments that wait or go on.
func (r rows) CoverageUnfinished(ctx context.Context, site coldkeep.SiteID) (int, error) {
	n, err := one(ctx, r.q, number, "", `SELECT COUNT(*) FROM coverage_runs WHERE site = $1 AND state IN ('waiting', 'running')`, string(site))
	return int(n), err
}

// CoverageCounts gives what an assessment has found, in the order in which it was put in.
func (r rows) CoverageCounts(ctx context.Context, run string) ([]coverage.Count, error) {
	return list(ctx, r.q, func(s scanner) (c coverage.Count, err error) {
		var day string
		if err = s.Scan(&day, &c.Dim, &c.Value, &c.Measure, &c.Part, &c.People, &c.Valid, &c.Counted, &c.ValidOnly, &c.CountedOnly, &c.Near, &c.NearCounted, &c.Missed, &c.Visits, &c.MissedVisits); err != nil {
			return c, err
		}
		c.Day, err = date(day)
		return c, err
	}, `SELECT day, dim, value, measure, part, people, valid, counted, valid_only, counted_only, near, near_counted, missed, visits, missed_visits
		FROM coverage_counts WHERE run = $1 ORDER BY n`, run)
}

// CoverageMeasures lists the programme's own measures, the latest version of each first.
func (r rows) CoverageMeasures(ctx context.Context) ([]coverage.Kept, error) {
	return list(ctx, r.q, func(s scanner) (k coverage.Kept, err error) {
		var definition string
		var at int64
		var retired sql.NullInt64
		if err = s.Scan(&definition, &k.By, &at, &retired); err != nil {
			return k, err
		}
		k.Own, k.At, k.Retired = true, database.Time(at), database.NullTime(retired)
		return k, json.Unmarshal([]byte(definition), &k.Measure)
	}, `SELECT definition, by_name, at, retired_at FROM coverage_measures ORDER BY id, version DESC`)
}

// CoverageSmallest is the threshold that was set.
func (r rows) CoverageSmallest(ctx context.Context) (coverage.Smallest, error) {
	return one(ctx, r.q, func(s scanner) (v coverage.Smallest, err error) {
		var at int64
		err = s.Scan(&v.N, &v.By, &at, &v.Why)
		v.At = database.Time(at)
		return v, err
	}, "No threshold was set.", `SELECT n, by_name, at, why FROM coverage_smallest WHERE one = 1`)
}

func (t *tx) InsertCoverageRun(ctx context.Context, r coverage.Run) error {
	asked, err := json.Marshal(r.Asked)
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `INSERT INTO coverage_runs (id, site, asked, day, cutoff, zone, by_id, by_name, at, state, tries, worker, beat_at, done, total, schedule, began_at, ended_at, ended_by, trouble)
		VALUES (`+marks(10)+`, 0, '', 0, 0, 0, '', NULL, NULL, '', '')`,
		r.ID, string(r.Site), string(asked), r.Day.String(), database.Millis(r.Cutoff), r.Zone, r.ByID, r.By, database.Millis(r.At), string(r.State))
}

// ClaimCoverageRun takes the assessment that has waited longest. Of two that take the same,
// one finds it taken when the other has committed, and looks again.
func (t *tx) ClaimCoverageRun(ctx context.Context, worker string, now, stale time.Time, schedule string) (coverage.Run, error) {
	for {
		id, err := one(ctx, t.q, text, noRun, `SELECT id FROM coverage_runs WHERE state IN ('waiting', 'running') AND (state = 'waiting' OR beat_at < $1) ORDER BY id LIMIT 1`, database.Millis(stale))
		if err != nil {
			return coverage.Run{}, err
		}
		taken := coldkeep.Errorf(coldkeep.ECONFLICT, "It is another's.")
		err = exec(ctx, t.q, taken, `UPDATE coverage_runs SET state = 'running', worker = $2, beat_at = $3, began_at = $3, schedule = $4, tries = tries + 1, done = 0
			WHERE id = $1 AND (state = 'waiting' OR state = 'running' AND beat_at < $5)`, id, worker, database.Millis(now), schedule, database.Millis(stale))
		if errors.Is(err, taken) {
			continue
		}
		if err != nil {
			return coverage.Run{}, err
		}
		return t.CoverageRun(ctx, id)
	}
}

var notWorkers = coldkeep.Errorf(coldkeep.ECONFLICT, "The assessment is not this worker's any more.")

func (t *tx) BeatCoverageRun(ctx context.Context, id, worker string, now time.Time, done, total int64) error {
	return exec(ctx, t.q, notWorkers, `UPDATE coverage_runs SET beat_at = $3, done = $4, total = $5 WHERE id = $1 AND worker = $2 AND state = 'running'`,
		id, worker, database.Millis(now), done, total)
}

func (t *tx) EndCoverageRun(ctx context.Context, id, worker string, state coverage.State, now time.Time, trouble string, done int64, counts []coverage.Count) error {
	if err := exec(ctx, t.q, notWorkers, `UPDATE coverage_runs SET state = $3, ended_at = $4, trouble = $5, done = $6 WHERE id = $1 AND worker = $2 AND state = 'running'`,
		id, worker, string(state), database.Millis(now), trouble, done); err != nil {
		return err
	}
	const columns, together = 17, 200
	for n := 0; n < len(counts); n += together {
		some := counts[n:min(n+together, len(counts))]
		args := make([]any, 0, len(some)*columns)
		for i := range some {
			c := &some[i]
			args = append(args, id, n+i, c.Day.String(), string(c.Dim), c.Value, c.Measure, c.Part, c.People, c.Valid, c.Counted, c.ValidOnly, c.CountedOnly, c.Near, c.NearCounted, c.Missed, c.Visits, c.MissedVisits)
		}
		if err := insertRows(ctx, t.q, `INSERT INTO coverage_counts (run, n, day, dim, value, measure, part, people, valid, counted, valid_only, counted_only, near, near_counted, missed, visits, missed_visits)`, columns, args, ""); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) CancelCoverageRun(ctx context.Context, id, by string, now time.Time) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "The assessment has ended already."),
		`UPDATE coverage_runs SET state = 'cancelled', ended_at = $3, ended_by = $2 WHERE id = $1 AND state IN ('waiting', 'running')`, id, by, database.Millis(now))
}

func (t *tx) InsertCoverageMeasure(ctx context.Context, k coverage.Kept) error {
	definition, err := json.Marshal(k.Measure)
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has added this version meanwhile. Look at the measures again."),
		`INSERT INTO coverage_measures (id, version, definition, by_name, at, retired_by, retired_at) VALUES ($1, $2, $3, $4, $5, '', NULL) ON CONFLICT DO NOTHING`,
		k.ID, k.Version, string(definition), k.By, database.Millis(k.At))
}

func (t *tx) RetireCoverageMeasure(ctx context.Context, id, by string, at time.Time) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such measure of the programme's own."),
		`UPDATE coverage_measures SET retired_by = $2, retired_at = $3 WHERE id = $1 AND retired_at IS NULL`, id, by, database.Millis(at))
}

func (t *tx) PutCoverageSmallest(ctx context.Context, s coverage.Smallest) error {
	return exec(ctx, t.q, gone, `INSERT INTO coverage_smallest (one, n, by_name, at, why) VALUES (1, $1, $2, $3, $4)
		ON CONFLICT (one) DO UPDATE SET n = excluded.n, by_name = excluded.by_name, at = excluded.at, why = excluded.why`, s.N, s.By, database.Millis(s.At), s.Why)
}
