package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/templog"
)

func (r rows) MirrorRevision(ctx context.Context) (int64, error) {
	return one(ctx, r.q, number, "", `SELECT revision FROM mirror WHERE one = 1`)
}

func (t *tx) BumpMirror(ctx context.Context) (int64, error) {
	t.bumped = true
	return one(ctx, t.q, number, "", `UPDATE mirror SET revision = revision + 1 WHERE one = 1 RETURNING revision`)
}

func site(s scanner) (v coldkeep.Site, err error) {
	return v, s.Scan(&v.ID, &v.Name, &v.VFCPIN, &v.TimeZone)
}

func (r rows) Site(ctx context.Context, id coldkeep.SiteID) (coldkeep.Site, error) {
	return one(ctx, r.q, site, "There is no site \""+string(id)+"\".", `SELECT id, name, vfc_pin, time_zone FROM sites WHERE id = $1`, string(id))
}

// Sites lists those that may have units: not a school's, a child care's or a child-placing
// agency's, which are in the registry for their people alone.
func (r rows) Sites(ctx context.Context) ([]coldkeep.Site, error) {
	return list(ctx, r.q, site, `SELECT id, name, vfc_pin, time_zone FROM sites WHERE kind NOT IN ('school', 'child-care', 'child-placing') ORDER BY name, id`)
}

func (t *tx) InsertSite(ctx context.Context, v coldkeep.Site) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Site id %q is taken.", v.ID),
		`INSERT INTO sites (id, name, vfc_pin, time_zone) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
		string(v.ID), v.Name, v.VFCPIN, v.TimeZone)
}

const applianceColumns = `id, site, name, unit, profile, in_service, limit_low, limit_high, limit_reason`

func appliance(s scanner) (a coldkeep.Appliance, err error) {
	var in int64
	var l limits
	if err := s.Scan(&a.ID, &a.Site, &a.Name, &a.Unit, &a.Profile, &in, &l.low, &l.high, &l.reason); err != nil {
		return a, err
	}
	a.InService = in != 0
	a.Limits, err = l.read()
	return a, err
}

// limits are a site's own range as the tables keep it.
type limits struct {
	low, high sql.NullString
	reason    string
}

func (l *limits) read() (*coldkeep.Limits, error) {
	if !l.low.Valid || !l.high.Valid {
		return nil, nil
	}
	out := &coldkeep.Limits{Reason: l.reason}
	if err := out.Low.UnmarshalText([]byte(l.low.String)); err != nil {
		return nil, err
	}
	return out, out.High.UnmarshalText([]byte(l.high.String))
}

func limitsOf(v *coldkeep.Limits) (l limits, err error) {
	if v == nil {
		return l, nil
	}
	low, err := v.Low.MarshalText()
	if err != nil {
		return l, err
	}
	high, err := v.High.MarshalText()
	return limits{sql.NullString{String: string(low), Valid: true}, sql.NullString{String: string(high), Valid: true}, v.Reason}, err
}

func noUnit(id coldkeep.ApplianceID) string { return "There is no unit \"" + string(id) + "\"." }

func (r rows) Appliance(ctx context.Context, id coldkeep.ApplianceID) (coldkeep.Appliance, error) {
	return one(ctx, r.q, appliance, noUnit(id), `SELECT `+applianceColumns+` FROM appliances WHERE id = $1`, string(id))
}

func (r rows) Appliances(ctx context.Context) ([]coldkeep.Appliance, error) {
	return list(ctx, r.q, appliance, `SELECT `+applianceColumns+` FROM appliances ORDER BY site, name, id`)
}

func (t *tx) LockAppliance(ctx context.Context, id coldkeep.ApplianceID) (coldkeep.Appliance, error) {
	return one(ctx, t.q, appliance, noUnit(id), `UPDATE appliances SET turn = turn + 1 WHERE id = $1 RETURNING `+applianceColumns, string(id))
}

func (t *tx) InsertAppliance(ctx context.Context, a coldkeep.Appliance) error {
	l, err := limitsOf(a.Limits)
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Unit id %q is taken.", a.ID),
		`INSERT INTO appliances (`+applianceColumns+`, turn) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0) ON CONFLICT (id) DO NOTHING`,
		string(a.ID), string(a.Site), a.Name, string(a.Unit), a.Profile, flag(a.InService), l.low, l.high, l.reason)
}

func (t *tx) SetLimits(ctx context.Context, id coldkeep.ApplianceID, v *coldkeep.Limits) error {
	l, err := limitsOf(v)
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `UPDATE appliances SET limit_low = $2, limit_high = $3, limit_reason = $4 WHERE id = $1`, string(id), l.low, l.high, l.reason)
}

func (t *tx) SetProfile(ctx context.Context, id coldkeep.ApplianceID, profile string) error {
	return exec(ctx, t.q, gone, `UPDATE appliances SET profile = $2 WHERE id = $1`, string(id), profile)
}

func (t *tx) SetInService(ctx context.Context, id coldkeep.ApplianceID, in bool) error {
	return exec(ctx, t.q, gone, `UPDATE appliances SET in_service = $2 WHERE id = $1`, string(id), flag(in))
}

func (r rows) Assignments(ctx context.Context) ([]coldkeep.Assignment, error) {
	return list(ctx, r.q, func(s scanner) (a coldkeep.Assignment, err error) {
		var from int64
		var to sql.NullInt64
		err = s.Scan(&a.Site, &a.Agent, &a.Probe, &a.Appliance, &a.Role, &from, &to)
		a.From, a.To = database.Time(from), database.NullTime(to)
		return a, err
	}, `SELECT site, agent, probe, appliance, role, from_at, to_at FROM assignments ORDER BY site, agent, probe, from_at DESC`)
}

func (t *tx) InsertAssignment(ctx context.Context, a coldkeep.Assignment) error {
	return exec(ctx, t.q, gone, `INSERT INTO assignments (id, site, agent, probe, appliance, role, from_at, to_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		ulid.Make().String(), string(a.Site), string(a.Agent), string(a.Probe), string(a.Appliance), string(a.Role), database.Millis(a.From), database.NullMillis(a.To))
}

func (t *tx) EndAssignment(ctx context.Context, a coldkeep.Assignment, to time.Time) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ENOTFOUND, "Probe %s is not assigned since then.", a.Series),
		`UPDATE assignments SET to_at = $6 WHERE site = $1 AND agent = $2 AND probe = $3 AND appliance = $4 AND from_at = $5 AND to_at IS NULL`,
		string(a.Site), string(a.Agent), string(a.Probe), string(a.Appliance), database.Millis(a.From), database.Millis(to))
}

func (r rows) OnCalls(ctx context.Context) ([]coldkeep.OnCall, error) {
	return list(ctx, r.q, func(s scanner) (o coldkeep.OnCall, err error) {
		var webhooks, emails string
		if err := s.Scan(&o.Site, &webhooks, &emails, &o.RepeatAfter); err != nil {
			return o, err
		}
		if err := json.Unmarshal([]byte(webhooks), &o.Webhooks); err != nil {
			return o, err
		}
		return o, json.Unmarshal([]byte(emails), &o.Emails)
	}, `SELECT site, webhooks, emails, repeat_after_s FROM on_call ORDER BY site`)
}

func (t *tx) PutOnCall(ctx context.Context, o coldkeep.OnCall) error {
	webhooks, err := json.Marshal(o.Webhooks)
	if err != nil {
		return failed(err)
	}
	emails, err := json.Marshal(o.Emails)
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `INSERT INTO on_call (site, webhooks, emails, repeat_after_s) VALUES ($1, $2, $3, $4)
		ON CONFLICT (site) DO UPDATE SET webhooks = excluded.webhooks, emails = excluded.emails, repeat_after_s = excluded.repeat_after_s`,
		string(o.Site), string(webhooks), string(emails), o.RepeatAfter)
}

func unit(s scanner) (u templog.Unit, err error) {
	var in int64
	var l limits
	var probe, quality, state, ahead sql.NullString
	var at, celsius, since, online, received sql.NullInt64
	if err := s.Scan(&u.ID, &u.Site, &u.Name, &u.Unit, &u.Profile, &in, &l.low, &l.high, &l.reason,
		&probe, &at, &celsius, &quality, &state, &since, &online, &received, &ahead); err != nil {
		return u, err
	}
	u.InService = in != 0
	u.Limits, err = l.read()
	if state.Valid {
		u.Status = &coldkeep.ApplianceStatus{
			Appliance: u.ID, Probe: probe.String, At: database.NullTime(at), Celsius: temperature(celsius),
			Quality: coldkeep.Quality(quality.String), State: coldkeep.State(state.String), Online: online.Int64 != 0,
		}
		if ahead.String != "" {
			if err := json.Unmarshal([]byte(ahead.String), &u.Status.Foresight); err != nil {
				return u, failed(err)
			}
		}
		u.Since, u.ReceivedAt = database.NullTime(since), database.NullTime(received)
	}
	return u, err
}

const unitQuery = `SELECT a.id, a.site, a.name, a.unit, a.profile, a.in_service, a.limit_low, a.limit_high, a.limit_reason,
	s.probe, s.at, s.celsius_mc, s.quality, s.state, s.since, s.online, s.received_at, s.foresight
	FROM appliances a LEFT JOIN appliance_status s ON s.appliance = a.id `

func (r rows) Units(ctx context.Context, site coldkeep.SiteID) ([]templog.Unit, error) {
	return list(ctx, r.q, unit, unitQuery+`WHERE $1 = '' OR a.site = $1 ORDER BY a.site, a.name, a.id`, string(site))
}

func (r rows) Unit(ctx context.Context, id coldkeep.ApplianceID) (templog.Unit, error) {
	return one(ctx, r.q, unit, noUnit(id), unitQuery+`WHERE a.id = $1`, string(id))
}

func (t *tx) PutStatus(ctx context.Context, v coldkeep.ApplianceStatus, since, at time.Time) error {
	ahead := ""
	if v.Foresight != nil {
		b, err := json.Marshal(v.Foresight)
		if err != nil {
			return failed(err)
		}
		ahead = string(b)
	}
	return exec(ctx, t.q, gone, `INSERT INTO appliance_status (appliance, probe, at, celsius_mc, quality, state, since, online, received_at, foresight)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (appliance) DO UPDATE SET probe = excluded.probe, at = excluded.at, celsius_mc = excluded.celsius_mc,
			quality = excluded.quality, state = excluded.state, since = excluded.since, online = excluded.online, received_at = excluded.received_at, foresight = excluded.foresight`,
		string(v.Appliance), v.Probe, database.NullMillis(v.At), milli(v.Celsius), string(v.Quality), string(v.State),
		database.Millis(since), flag(v.Online), database.Millis(at), ahead)
}
