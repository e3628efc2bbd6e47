package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/coverage"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// CoverageHeads gives people in the order of birth and id, which is that of an index.
func (r rows) CoverageHeads(ctx context.Context, first, last coldkeep.Date, after coverage.Head, limit int) ([]coverage.Head, error) {
	return list(ctx, r.q, func(s scanner) (h coverage.Head, err error) {
		var birth string
		if err = s.Scan(&birth, &h.ID); err != nil {
			return h, err
		}
		h.Birth, err = date(birth)
		return h, err
	}, `SELECT birth, id FROM patients WHERE (birth, id) > ($1, $2) AND birth >= $3 AND birth <= $4 AND merged_into = '' ORDER BY birth, id LIMIT $5`,
		after.Birth.String(), after.ID, first.String(), last.String(), limit)
}

// CoverageHeadCount counts them.
func (r rows) CoverageHeadCount(ctx context.Context, first, last coldkeep.Date) (int64, error) {
	return one(ctx, r.q, number, "", `SELECT COUNT(*) FROM patients WHERE birth >= $1 AND birth <= $2 AND merged_into = ''`, first.String(), last.String())
}

// CoverageHeadsOf gives a practice's people in the order of ids.
func (r rows) CoverageHeadsOf(ctx context.Context, site coldkeep.SiteID, basis coverage.Basis, first, last coldkeep.Date) ([]string, error) {
	of := `patient_statuses`
	if basis == coverage.ByService {
		of = `doses`
	}
	return list(ctx, r.q, text, `SELECT DISTINCT h.id FROM `+of+` x JOIN patients p ON p.id = x.patient JOIN patients h ON h.id = p.head
		WHERE x.site = $1 AND x.site <> '' AND h.birth >= $2 AND h.birth <= $3 ORDER BY h.id`, string(site), first.String(), last.String())
}

// CoveragePeople reads people with all records that were merged into theirs.
func (r rows) CoveragePeople(ctx context.Context, heads []string) ([]coverage.Person, error) {
	if len(heads) == 0 {
		return nil, nil
	}
	where, args := anyOf("head", 1, heads)
	rs, err := r.q.QueryContext(ctx, `SELECT id, head, birth, sex, birth_nation, county, zip, deceased, died, locked, lock_site FROM patients WHERE `+where+` ORDER BY head, id`, args...)
	if err != nil {
		return nil, failed(err)
	}
	var out []coverage.Person
	of := map[string]int{} // records to places in out
	ids := make([]string, 0, len(heads))
	err = each(rs, func(s scanner) error {
		var id, birth, died string
		var p coverage.Person
		var deceased, locked int64
		var site coldkeep.SiteID
		if err := s.Scan(&id, &p.Head, &birth, &p.Sex, &p.BirthNation, &p.County, &p.ZIP, &deceased, &died, &locked, &site); err != nil {
			return err
		}
		if n := len(out); n == 0 || out[n-1].Head != p.Head {
			out = append(out, coverage.Person{Head: p.Head})
		}
		into := &out[len(out)-1]
		of[id], ids = len(out)-1, append(ids, id)
		if id == p.Head {
			p.Locked, p.LockSite, p.Deceased = into.Locked, into.LockSite, deceased != 0
			var err error
			if p.Birth, err = date(birth); err != nil {
				return err
			}
			if p.Died, err = date(died); err != nil {
				return err
			}
			*into = p
		}
		// As PatientGate has it: of two sites neither may see what the other has locked.
		switch {
		case locked == 0:
		case !into.Locked:
			into.Locked, into.LockSite = true, site
		case into.LockSite != site:
			into.LockSite = ""
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	where, args = anyOf("patient", 1, ids)
	for _, read := range []func(context.Context, string, []any, func(string) *coverage.Person) error{r.coverageStandings, r.coverageDoses, r.coverageFacts, r.coverageExemptions} {
		if err := read(ctx, where, args, func(id string) *coverage.Person { return &out[of[id]] }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// each reads every row and closes them.
func each(rs *sql.Rows, read func(scanner) error) error {
	defer func() { _ = rs.Close() }() // Err below tells what went wrong
	for rs.Next() {
		if err := read(rs); err != nil {
			return failed(err)
		}
	}
	return failed(rs.Err())
}

func (r rows) coverageStandings(ctx context.Context, where string, args []any, of func(string) *coverage.Person) error {
	rs, err := r.q.QueryContext(ctx, `SELECT patient, site, standing, since, until_at FROM patient_statuses WHERE `+where+` ORDER BY patient, n`, args...)
	if err != nil {
		return failed(err)
	}
	return each(rs, func(s scanner) error {
		var id string
		var since int64
		var until sql.NullInt64
		var v coverage.Standing
		if err := s.Scan(&id, &v.Site, &v.Standing, &since, &until); err != nil {
			return err
		}
		v.Since, v.Until = database.Time(since), database.NullTime(until)
		p := of(id)
		p.Standings = append(p.Standings, v)
		return nil
	})
}

func (r rows) coverageDoses(ctx context.Context, where string, args []any, of func(string) *coverage.Person) error {
	rs, err := r.q.QueryContext(ctx, `SELECT patient, id, kind, given, cvx, mvx, expires, site, non_viable, duplicate_of, entered_at, deleted_at FROM doses WHERE `+where+` ORDER BY given, id`, args...)
	if err != nil {
		return failed(err)
	}
	return each(rs, func(s scanner) error {
		var id, given, expires, spoilt string
		var kind immunization.DoseKind
		var entered int64
		var deleted sql.NullInt64
		var d coverage.Dose
		if err := s.Scan(&id, &d.ID, &kind, &given, &d.CVX, &d.MVX, &expires, &d.Site, &spoilt, &d.DuplicateOf, &entered, &deleted); err != nil {
			return err
		}
		d.Refused, d.Administered, d.NonViable = kind == immunization.Refused, kind == immunization.Administered, spoilt != ""
		d.Entered, d.Deleted = database.Time(entered), database.NullTime(deleted)
		var err error
		if d.Date, err = date(given); err != nil {
			return err
		}
		if d.Expires, err = date(expires); err != nil {
			return err
		}
		p := of(id)
		p.Doses = append(p.Doses, d)
		return nil
	})
}

func (r rows) coverageFacts(ctx context.Context, where string, args []any, of func(string) *coverage.Person) error {
	rs, err := r.q.QueryContext(ctx, `SELECT patient, code, from_on, until_on, at, ended_at FROM facts WHERE `+where+` ORDER BY patient, id`, args...)
	if err != nil {
		return failed(err)
	}
	return each(rs, func(s scanner) error {
		var id, from, until string
		var at int64
		var ended sql.NullInt64
		var f coverage.Fact
		if err := s.Scan(&id, &f.Code, &from, &until, &at, &ended); err != nil {
			return err
		}
		f.Entered, f.Ended = database.Time(at), database.NullTime(ended)
		var err error
		if f.From, err = date(from); err != nil {
			return err
		}
		if f.Until, err = date(until); err != nil {
			return err
		}
		p := of(id)
		p.Facts = append(p.Facts, f)
		return nil
	})
}

func (r rows) coverageExemptions(ctx context.Context, where string, args []any, of func(string) *coverage.Person) error {
	rs, err := r.q.QueryContext(ctx, `SELECT patient, vaccine_groups, from_on, until_on, at, ended_at FROM exemptions WHERE `+where+` ORDER BY patient, id`, args...)
	if err != nil {
		return failed(err)
	}
	return each(rs, func(s scanner) error {
		var id, groups, from, until string
		var at int64
		var ended sql.NullInt64
		var e coverage.Exemption
		if err := s.Scan(&id, &groups, &from, &until, &at, &ended); err != nil {
			return err
		}
		e.Entered, e.Ended = database.Time(at), database.NullTime(ended)
		if strings.TrimSpace(groups) != "" {
			if err := json.Unmarshal([]byte(groups), &e.Groups); err != nil {
				return err
			}
		}
		var err error
		if e.From, err = date(from); err != nil {
			return err
		}
		if e.Until, err = date(until); err != nil {
			return err
		}
		p := of(id)
		p.Exemptions = append(p.Exemptions, e)
		return nil
	})
}
