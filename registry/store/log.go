package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

const intervalColumns = `appliance, probe, from_at, revision, to_at, min_mc, min_at, max_mc, max_at, mean_mc, readings, gap_s, fault_s`

func interval(s scanner) (i coldkeep.Interval, err error) {
	var from, to int64
	var minMC, minAt, maxMC, maxAt, mean sql.NullInt64
	err = s.Scan(&i.Appliance, &i.Probe, &from, &i.Revision, &to, &minMC, &minAt, &maxMC, &maxAt, &mean, &i.Readings, &i.GapSec, &i.FaultSec)
	i.From, i.To = database.Time(from), database.Time(to)
	i.Min, i.MinAt = temperature(minMC), database.NullTime(minAt)
	i.Max, i.MaxAt = temperature(maxMC), database.NullTime(maxAt)
	i.Mean = temperature(mean)
	return i, err
}

func (r rows) Intervals(ctx context.Context, id coldkeep.ApplianceID, from, to time.Time) ([]coldkeep.Interval, error) {
	return list(ctx, r.q, interval, `SELECT `+intervalColumns+` FROM intervals
		WHERE appliance = $1 AND from_at >= $2 AND from_at < $3 AND latest = 1 ORDER BY from_at DESC, probe`,
		string(id), database.Millis(from), database.Millis(to))
}

// PutInterval adds a revision; the appliance is locked by the transaction.
func (t *tx) PutInterval(ctx context.Context, i coldkeep.Interval, at time.Time) (bool, error) {
	key := []any{string(i.Appliance), i.Probe, database.Millis(i.From)}
	has, err := list(ctx, t.q, interval, `SELECT `+intervalColumns+` FROM intervals WHERE appliance = $1 AND probe = $2 AND from_at = $3`, key...)
	if err != nil {
		return false, err
	}
	latest := true
	for _, h := range has {
		if h.Revision == i.Revision {
			if sameInterval(h, i) {
				return false, nil
			}
			return false, coldkeep.Errorf(coldkeep.ECONFLICT, "revision: %d of this interval is known with other content", i.Revision)
		}
		latest = latest && h.Revision < i.Revision
	}
	if latest && len(has) > 0 {
		if _, err := t.q.ExecContext(ctx, `UPDATE intervals SET latest = 0 WHERE appliance = $1 AND probe = $2 AND from_at = $3 AND latest = 1`, key...); err != nil {
			return false, failed(err)
		}
	}
	_, err = t.q.ExecContext(ctx, `INSERT INTO intervals (`+intervalColumns+`, latest, received_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		string(i.Appliance), i.Probe, database.Millis(i.From), i.Revision, database.Millis(i.To),
		milli(i.Min), database.NullMillis(i.MinAt), milli(i.Max), database.NullMillis(i.MaxAt), milli(i.Mean),
		i.Readings, i.GapSec, i.FaultSec, flag(latest), database.Millis(at))
	return err == nil, failed(err)
}

// sameInterval compares as the tables keep times, to the millisecond.
func sameInterval(a, b coldkeep.Interval) bool {
	return a.Min == b.Min && a.Max == b.Max && a.Mean == b.Mean && a.Readings == b.Readings && a.GapSec == b.GapSec &&
		a.FaultSec == b.FaultSec && sameTime(a.MinAt, b.MinAt) && sameTime(a.MaxAt, b.MaxAt)
}

func sameTime(a, b *time.Time) bool { return database.NullMillis(a) == database.NullMillis(b) }

const excursionColumns = `id, revision, site, appliance, probe, kind, rule, profile, start_at, end_at, peak_at, extreme_mc, minutes_out, actions, state, reason,
	role, degree_minutes, mkt_mc, witnesses, contexts`

// noWitnesses is the text of a list without any.
const noWitnesses = "[]"

func excursion(s scanner) (x coldkeep.Excursion, err error) {
	var start, peak int64
	var end, extreme, mkt sql.NullInt64
	var actions, witnesses, contexts string
	if err := s.Scan(&x.ID, &x.Revision, &x.Site, &x.Appliance, &x.Probe, &x.Kind, &x.Rule, &x.Profile, &start, &end, &peak,
		&extreme, &x.MinutesOut, &actions, &x.State, &x.Reason, &x.Role, &x.DegreeMinutes, &mkt, &witnesses, &contexts); err != nil {
		return x, err
	}
	if witnesses != noWitnesses {
		err = json.Unmarshal([]byte(witnesses), &x.Witnesses)
	}
	if mkt.Valid {
		t := temperature(mkt)
		x.MKT = &t
	}
	for _, c := range strings.Fields(contexts) {
		x.Contexts = append(x.Contexts, coldkeep.ContextKind(c))
	}
	x.Start, x.End, x.PeakAt, x.Extreme = database.Time(start), database.NullTime(end), database.Time(peak), temperature(extreme)
	for _, a := range strings.Fields(actions) {
		x.Actions = append(x.Actions, coldkeep.Action(a))
	}
	return x, err
}

func (r rows) Excursion(ctx context.Context, id string) (coldkeep.Excursion, error) {
	return one(ctx, r.q, excursion, "There is no excursion \""+id+"\".", `SELECT `+excursionColumns+` FROM excursions WHERE id = $1 AND latest = 1`, id)
}

func (r rows) Excursions(ctx context.Context, id coldkeep.ApplianceID, from, to time.Time, limit int) ([]coldkeep.Excursion, error) {
	return list(ctx, r.q, excursion, `SELECT `+excursionColumns+` FROM excursions
		WHERE appliance = $1 AND latest = 1 AND start_at < $3 AND (end_at IS NULL OR end_at > $2) ORDER BY start_at DESC, id LIMIT $4`,
		string(id), database.Millis(from), database.Millis(to), limit)
}

// OutOfRange lists the latest revisions of the excursions of a site, or of all with
// "", in which a unit stood too warm or too cold. What only air probes saw, and what
// was withdrawn, is left out.
func (r rows) OutOfRange(ctx context.Context, site coldkeep.SiteID) ([]coldkeep.Excursion, error) {
	return list(ctx, r.q, excursion, `SELECT `+excursionColumns+` FROM excursions
		WHERE ($1 = '' OR site = $1) AND latest = 1 AND kind IN ('too-warm', 'too-cold') AND state <> 'withdrawn' AND role <> 'air'
		ORDER BY start_at, id`, string(site))
}

// Revisions lists every revision of an excursion, the first first.
func (r rows) Revisions(ctx context.Context, id string) ([]coldkeep.Excursion, error) {
	return list(ctx, r.q, excursion, `SELECT `+excursionColumns+` FROM excursions WHERE id = $1 ORDER BY revision`, id)
}

// PutExcursion adds a revision; the appliance is locked by the transaction.
func (t *tx) PutExcursion(ctx context.Context, x coldkeep.Excursion, at time.Time) (bool, error) {
	has, err := t.Revisions(ctx, x.ID)
	if err != nil {
		return false, err
	}
	latest := true
	for _, h := range has {
		if h.Revision == x.Revision {
			if sameExcursion(h, x) {
				return false, nil
			}
			return false, coldkeep.Errorf(coldkeep.ECONFLICT, "revision: %d of excursion %q is known with other content", x.Revision, x.ID)
		}
		latest = latest && h.Revision < x.Revision
	}
	if latest && len(has) > 0 {
		if _, err := t.q.ExecContext(ctx, `UPDATE excursions SET latest = 0 WHERE id = $1 AND latest = 1`, x.ID); err != nil {
			return false, failed(err)
		}
	}
	witnesses, mkt := []byte(noWitnesses), coldkeep.NoTemperature
	if len(x.Witnesses) > 0 {
		if witnesses, err = json.Marshal(x.Witnesses); err != nil {
			return false, failed(err)
		}
	}
	if x.MKT != nil {
		mkt = *x.MKT
	}
	_, err = t.q.ExecContext(ctx, `INSERT INTO excursions (`+excursionColumns+`, latest, received_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)`,
		x.ID, x.Revision, string(x.Site), string(x.Appliance), x.Probe, string(x.Kind), string(x.Rule), x.Profile,
		database.Millis(x.Start), database.NullMillis(x.End), database.Millis(x.PeakAt), milli(x.Extreme), x.MinutesOut,
		words(x.Actions), string(x.State), x.Reason, string(x.Role), x.DegreeMinutes, milli(mkt), string(witnesses), words(x.Contexts),
		flag(latest), database.Millis(at))
	return err == nil, failed(err)
}

// words joins words that hold no blank.
func words[T ~string](all []T) string {
	out := make([]string, len(all))
	for i, a := range all {
		out[i] = string(a)
	}
	return strings.Join(out, " ")
}

// sameExcursion compares as the tables keep times, to the millisecond.
func sameExcursion(a, b coldkeep.Excursion) bool {
	if !sameTime(&a.Start, &b.Start) || !sameTime(&a.PeakAt, &b.PeakAt) || !sameTime(a.End, b.End) || words(a.Actions) != words(b.Actions) ||
		words(a.Contexts) != words(b.Contexts) || !slices.Equal(a.Witnesses, b.Witnesses) {
		return false
	}
	a.Start, a.PeakAt, a.End, a.Actions, a.Contexts, a.Witnesses = b.Start, b.PeakAt, b.End, b.Actions, b.Contexts, b.Witnesses
	return reflect.DeepEqual(a, b)
}
