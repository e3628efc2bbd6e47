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
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/recall"
)

// Recall is the store as the recall package asks for it.
func (s *Store) Recall() recall.Store { return recallStore{s} }

type recallStore struct{ *Store }

func (s recallStore) Tx(ctx context.Context, do func(recall.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

func (r rows) RecallSettings(ctx context.Context, site coldkeep.SiteID) (recall.Settings, error) {
	return one(ctx, r.q, func(s scanner) (v recall.Settings, err error) {
		var at int64
		err = s.Scan(&v.Site, &v.Name, &v.Street, &v.City, &v.State, &v.ZIP, &v.Phone, &v.Email, &v.Begin, &v.End, &v.PerHour, &v.Revision, &v.By, &at)
		v.At = database.Time(at)
		return v, err
	}, "Nothing has been set yet.", `SELECT site, name, street, city, state, zip, phone, email, begin_min, end_min, per_hour, revision, by_name, at FROM recall_settings WHERE site = $1`, string(site))
}

func (t *tx) PutRecallSettings(ctx context.Context, v recall.Settings, from int64) error {
	changed := coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has changed these meanwhile. Look at them again, then make your change.")
	args := []any{string(v.Site), v.Name, v.Street, v.City, v.State, v.ZIP, v.Phone, v.Email, v.Begin, v.End, v.PerHour, v.Revision, v.By, database.Millis(v.At)}
	if from == 0 {
		return exec(ctx, t.q, changed, `INSERT INTO recall_settings (site, name, street, city, state, zip, phone, email, begin_min, end_min, per_hour, revision, by_name, at)
			VALUES (`+marks(len(args))+`) ON CONFLICT (site) DO NOTHING`, args...)
	}
	return exec(ctx, t.q, changed, `UPDATE recall_settings SET name = $2, street = $3, city = $4, state = $5, zip = $6, phone = $7, email = $8, begin_min = $9, end_min = $10, per_hour = $11,
		revision = $12, by_name = $13, at = $14 WHERE site = $1 AND revision = $15`, append(args, from)...)
}

func (r rows) RecallTexts(ctx context.Context, site coldkeep.SiteID) ([]recall.Text, error) {
	return list(ctx, r.q, func(s scanner) (v recall.Text, err error) {
		var at int64
		err = s.Scan(&v.Site, &v.Kind, &v.Language, &v.Revision, &v.Subject, &v.Body, &v.By, &at)
		v.At = database.Time(at)
		return v, err
	}, `SELECT site, kind, language, revision, subject, body, by_name, at FROM recall_texts t WHERE site = $1
		AND revision = (SELECT MAX(revision) FROM recall_texts l WHERE l.site = t.site AND l.kind = t.kind AND l.language = t.language) ORDER BY kind, language`, string(site))
}

func (t *tx) InsertRecallText(ctx context.Context, v recall.Text) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody has changed this text meanwhile. Look at it again, then make your change."),
		`INSERT INTO recall_texts (site, kind, language, revision, subject, body, by_name, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (site, kind, language, revision) DO NOTHING`,
		string(v.Site), string(v.Kind), v.Language, v.Revision, v.Subject, v.Body, v.By, database.Millis(v.At))
}

const recallRunColumns = `id, site, cold, state, params, schedule, today, last, looked, expected, round, channels, by_id, by_name, at, issued_at, ended_at`

func oneRun(s scanner) (v recall.Run, err error) {
	var params, today, channels string
	var at int64
	var issued, ended sql.NullInt64
	if err = s.Scan(&v.ID, &v.Site, &v.Cold, &v.State, &params, &v.Schedule, &today, &v.Last, &v.Looked, &v.Expected, &v.Round, &channels, &v.ByID, &v.By, &at, &issued, &ended); err != nil {
		return v, err
	}
	v.At, v.IssuedAt, v.Ended, v.Channels = database.Time(at), database.NullTime(issued), database.NullTime(ended), channelsOf(channels)
	if v.Today, err = date(today); err != nil {
		return v, err
	}
	return v, json.Unmarshal([]byte(params), &v.Params)
}

func channelsOf(s string) []recall.Channel {
	var out []recall.Channel
	for w := range strings.FieldsSeq(s) {
		out = append(out, recall.Channel(w))
	}
	return out
}

func channelWords(all []recall.Channel) string {
	out := make([]string, len(all))
	for i, c := range all {
		out[i] = string(c)
	}
	return strings.Join(out, " ")
}

const noRecallRun = "There is no such run."

func (r rows) RecallRun(ctx context.Context, id string) (recall.Run, error) {
	return one(ctx, r.q, oneRun, noRecallRun, `SELECT `+recallRunColumns+` FROM recall_runs WHERE id = $1`, id)
}

func (r rows) RecallRuns(ctx context.Context, site coldkeep.SiteID) ([]recall.Run, error) {
	return list(ctx, r.q, oneRun, `SELECT `+recallRunColumns+` FROM recall_runs WHERE site = $1 ORDER BY at DESC, id DESC LIMIT 100`, string(site))
}

func (r rows) BusyRun(ctx context.Context) (recall.Run, error) {
	return one(ctx, r.q, oneRun, noRecallRun, `SELECT `+recallRunColumns+` FROM recall_runs WHERE state IN ('counting', 'issuing') ORDER BY at, id LIMIT 1`)
}

func (r rows) RunsAwaiting(ctx context.Context, since time.Time) ([]recall.Run, error) {
	return list(ctx, r.q, oneRun, `SELECT `+recallRunColumns+` FROM recall_runs r WHERE state = 'issued' AND issued_at >= $1
		AND EXISTS (SELECT 1 FROM recall_people p WHERE p.run = r.id AND `+dosed+`) ORDER BY at, id`, database.Millis(since))
}

func (t *tx) InsertRun(ctx context.Context, v recall.Run) error {
	params, err := json.Marshal(v.Params)
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `INSERT INTO recall_runs (`+recallRunColumns+`) VALUES (`+marks(17)+`)`, v.ID, string(v.Site), v.Cold, string(v.State), string(params), v.Schedule, v.Today.String(), v.Last,
		v.Looked, v.Expected, v.Round, channelWords(v.Channels), v.ByID, v.By, database.Millis(v.At), database.NullMillis(v.IssuedAt), database.NullMillis(v.Ended))
}

var runMoved = coldkeep.Errorf(coldkeep.ECONFLICT, "The run has gone on meanwhile. Look at it again.")

func (t *tx) AdvanceRun(ctx context.Context, v recall.Run, from recall.State, last string) error {
	return exec(ctx, t.q, runMoved, `UPDATE recall_runs SET state = $2, last = $3, looked = $4, ended_at = $5 WHERE id = $1 AND state = $6 AND last = $7 AND round = $8`,
		v.ID, string(v.State), v.Last, v.Looked, database.NullMillis(v.Ended), string(from), last, v.Round)
}

func (t *tx) IssueRun(ctx context.Context, v recall.Run) error {
	return exec(ctx, t.q, runMoved, `UPDATE recall_runs SET state = $2, round = $3, channels = $4, issued_at = COALESCE(issued_at, $5), last = '' WHERE id = $1 AND state IN ('ready', 'issued') AND round = $6`,
		v.ID, string(v.State), v.Round, channelWords(v.Channels), database.NullMillis(v.IssuedAt), v.Round-1)
}

// cohort is where a cohort is read from: of a practice by its statuses, of the jurisdiction
// every record that stands for itself. with stands before the SELECT.
func cohort(site coldkeep.SiteID, from, to coldkeep.Date) (with, where string, args []any) {
	born := "h.birth >= $1 AND h.birth <= $2"
	until := "9999-12-31"
	if to.Known() {
		until = to.String()
	}
	args = []any{from.String(), until}
	if site == "" {
		// Not head = id, which says the same: engines take it for rare, and then sort everybody.
		return "", ` FROM patients h WHERE h.merged_into = '' AND ` + born, args
	}
	// By itself first: asked for the first few in the order of ids, PostgreSQL would otherwise go
	// through all records of the state until it has found as many of the practice.
	return `WITH of_site AS MATERIALIZED (SELECT DISTINCT p.head FROM patient_statuses st JOIN patients p ON p.id = st.patient WHERE st.site = $3 AND st.until_at IS NULL) `,
		` FROM of_site s JOIN patients h ON h.id = s.head WHERE ` + born, append(args, string(site))
}

func (r rows) Cohort(ctx context.Context, site coldkeep.SiteID, from, to coldkeep.Date, after string, limit int) ([]string, error) {
	with, where, args := cohort(site, from, to)
	n := len(args)
	return list(ctx, r.q, text, with+`SELECT h.id`+where+` AND h.id > $`+itoa(n+1)+` ORDER BY h.id LIMIT $`+itoa(n+2), append(args, after, limit)...)
}

func (r rows) CohortSize(ctx context.Context, site coldkeep.SiteID, from, to coldkeep.Date) (int, error) {
	with, where, args := cohort(site, from, to)
	n, err := one(ctx, r.q, number, "", with+`SELECT COUNT(*)`+where, args...)
	return int(n), err
}

// Members reads what a run asks of people, in the order of their ids. One that was merged
// meanwhile is left away.
func (r rows) Members(ctx context.Context, site coldkeep.SiteID, heads []string) ([]recall.Member, error) {
	if len(heads) == 0 {
		return nil, nil
	}
	where, args := anyOf("h.id", 1, heads)
	out, err := list(ctx, r.q, func(s scanner) (m recall.Member, err error) {
		var birth, died string
		var deceased int64
		if err = s.Scan(&m.ID, &birth, &m.Sex, &m.BirthNation, &deceased, &died, &m.Publicity, &m.ZIP); err != nil {
			return m, err
		}
		m.Deceased, m.Family = deceased != 0, []string{m.ID}
		if m.Birth, err = date(birth); err != nil {
			return m, err
		}
		m.Died, err = date(died)
		return m, err
	}, `SELECT h.id, h.birth, h.sex, h.birth_nation, h.deceased, h.died, h.publicity, h.zip FROM patients h WHERE h.merged_into = '' AND `+where+` ORDER BY h.id`, args...)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for i := range out {
		at[out[i].ID] = i
	}
	type record struct {
		id, head, lockSite string
		locked, deceased   int64
	}
	where, args = anyOf("head", 1, heads)
	records, err := list(ctx, r.q, func(s scanner) (v record, err error) {
		return v, s.Scan(&v.id, &v.head, &v.locked, &v.lockSite, &v.deceased)
	}, `SELECT id, head, locked, lock_site, deceased FROM patients WHERE `+where+` ORDER BY id`, args...)
	if err != nil {
		return nil, err
	}
	for _, v := range records {
		i, ok := at[v.head]
		if !ok {
			continue
		}
		m := &out[i]
		if v.id != v.head {
			m.Family = append(m.Family, v.id)
		}
		m.Deceased = m.Deceased || v.deceased != 0
		switch lock := coldkeep.SiteID(v.lockSite); {
		case v.locked == 0:
		case !m.Locked:
			m.Locked, m.LockSite = true, lock
		case m.LockSite != lock:
			m.LockSite = "" // of two sites neither may open what the other has locked
		}
	}
	return out, r.standings(ctx, site, heads, out, at)
}

// standings fills in how people stand with a site: the latest word of any of their records.
func (r rows) standings(ctx context.Context, site coldkeep.SiteID, heads []string, out []recall.Member, at map[string]int) error {
	type status struct {
		head     string
		standing patient.Standing
	}
	where, args := anyOf("p.head", 2, heads)
	all, err := list(ctx, r.q, func(s scanner) (v status, err error) { return v, s.Scan(&v.head, &v.standing) },
		`SELECT p.head, st.standing FROM patients p JOIN patient_statuses st ON st.patient = p.id WHERE st.site = $1 AND st.until_at IS NULL AND `+where+` ORDER BY st.since, st.n`, append([]any{string(site)}, args...)...)
	if err != nil {
		return err
	}
	for i := range out {
		if site == "" {
			out[i].Standing = patient.Active // the jurisdiction's, until it says otherwise
		}
	}
	for _, v := range all {
		if i, ok := at[v.head]; ok {
			out[i].Standing = v.standing
		}
	}
	return nil
}

func (r rows) LastNotices(ctx context.Context, site coldkeep.SiteID, heads []string, but string) (map[string]coldkeep.Date, error) {
	out := map[string]coldkeep.Date{}
	if len(heads) == 0 {
		return out, nil
	}
	type last struct{ id, on string }
	where, args := anyOf("p.patient", 3, heads)
	all, err := list(ctx, r.q, func(s scanner) (v last, err error) { return v, s.Scan(&v.id, &v.on) },
		`SELECT p.patient, MAX(p.noticed_on) FROM recall_people p JOIN recall_runs r ON r.id = p.run WHERE r.site = $1 AND r.id <> $2 AND p.noticed_on <> '' AND `+where+` GROUP BY p.patient`, append([]any{string(site), but}, args...)...)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if out[v.id], err = date(v.on); err != nil {
			return nil, failed(err)
		}
	}
	return out, nil
}

func (r rows) RecallCounts(ctx context.Context, run string) (map[recall.Reason]int, map[recall.Channel]int, error) {
	type count struct {
		verdict  recall.Reason
		channels string
		n        int
	}
	all, err := list(ctx, r.q, func(s scanner) (c count, err error) { return c, s.Scan(&c.verdict, &c.channels, &c.n) },
		`SELECT verdict, channels, COUNT(*) FROM recall_people WHERE run = $1 GROUP BY verdict, channels`, run)
	reasons, channels := map[recall.Reason]int{}, map[recall.Channel]int{}
	for _, c := range all {
		reasons[c.verdict] += c.n
		if c.verdict == recall.Told {
			for _, ch := range channelsOf(c.channels) {
				channels[ch] += c.n
			}
		}
	}
	return reasons, channels, err
}

const toldColumns = `run, patient, verdict, vaccine_groups, channels, noticed_on, outcome, outcome_on, outcome_by`

func scanTold(s scanner, v *recall.Person, more ...any) error {
	var groups, channels, noticed, on string
	err := s.Scan(append(more, &v.Run, &v.Patient, &v.Verdict, &groups, &channels, &noticed, &v.Outcome, &on, &v.By)...)
	if err != nil {
		return err
	}
	v.Channels = channelsOf(channels)
	if v.Noticed, err = date(noticed); err != nil {
		return err
	}
	if v.On, err = date(on); err != nil {
		return err
	}
	return json.Unmarshal([]byte(groups), &v.Groups)
}

func oneTold(s scanner) (v recall.Person, err error) { return v, scanTold(s, &v) }

// dosed is that somebody of a run was told, nothing has come of it, and there is a dose since.
const dosed = `p.verdict = '' AND p.outcome = '' AND p.noticed_on <> '' AND EXISTS (SELECT 1 FROM patients h JOIN patients q ON q.head = h.head JOIN doses d ON d.patient = q.id
	WHERE h.id = p.patient AND d.given >= p.noticed_on AND d.kind <> 'refused' AND d.deleted_at IS NULL)`

func (r rows) RecallPeople(ctx context.Context, run, after string, limit int) ([]recall.Person, error) {
	return list(ctx, r.q, oneTold, `SELECT `+toldColumns+` FROM recall_people WHERE run = $1 AND verdict = '' AND patient > $2 ORDER BY patient LIMIT $3`, run, after, limit)
}

func (r rows) RecallPerson(ctx context.Context, run, id string) (recall.Person, error) {
	return one(ctx, r.q, oneTold, "The person is not in this run.", `SELECT `+toldColumns+` FROM recall_people WHERE run = $1 AND patient = $2`, run, id)
}

func (r rows) Awaited(ctx context.Context, run string) ([]recall.Person, error) {
	return list(ctx, r.q, oneTold, `SELECT `+toldColumns+` FROM recall_people p WHERE p.run = $1 AND `+dosed+` ORDER BY patient`, run)
}

func (t *tx) InsertRecallPeople(ctx context.Context, all []recall.Person) error {
	var args []any
	for i := range all {
		p := &all[i]
		groups, err := json.Marshal(append([]recall.Group{}, p.Groups...))
		if err != nil {
			return failed(err)
		}
		args = append(args, p.Run, p.Patient, string(p.Verdict), string(groups), channelWords(p.Channels), "", "", "", "")
	}
	const columns, atOnce = 9, 9 * 64
	for chunk := range slices.Chunk(args, atOnce) {
		if err := insertRows(ctx, t.q, `INSERT INTO recall_people (`+toldColumns+`)`, columns, chunk, ` ON CONFLICT (run, patient) DO NOTHING`); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) SetVerdict(ctx context.Context, p recall.Person) error {
	groups, err := json.Marshal(append([]recall.Group{}, p.Groups...))
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, gone, `UPDATE recall_people SET verdict = $3, vaccine_groups = $4, channels = $5 WHERE run = $1 AND patient = $2`, p.Run, p.Patient, string(p.Verdict), string(groups), channelWords(p.Channels))
}

func (t *tx) SetNoticed(ctx context.Context, run, id string, on coldkeep.Date) error {
	return exec(ctx, t.q, gone, `UPDATE recall_people SET noticed_on = $3 WHERE run = $1 AND patient = $2`, run, id, on.String())
}

func (t *tx) SetOutcome(ctx context.Context, p recall.Person) error {
	return exec(ctx, t.q, gone, `UPDATE recall_people SET outcome = $3, outcome_on = $4, outcome_by = $5 WHERE run = $1 AND patient = $2`, p.Run, p.Patient, string(p.Outcome), p.On.String(), p.By)
}

func (r rows) RecallTallies(ctx context.Context, run string) ([]recall.Tally, error) {
	byChannel := map[recall.Channel]*recall.Tally{}
	at := func(ch recall.Channel) *recall.Tally {
		if byChannel[ch] == nil {
			byChannel[ch] = &recall.Tally{Channel: ch, States: map[recall.NoticeState]int{}}
		}
		return byChannel[ch]
	}
	type count struct {
		channel recall.Channel
		state   recall.NoticeState
		n, came int
	}
	notices, err := list(ctx, r.q, func(s scanner) (c count, err error) { return c, s.Scan(&c.channel, &c.state, &c.n) },
		`SELECT channel, state, COUNT(*) FROM recall_notices WHERE run = $1 GROUP BY channel, state`, run)
	if err != nil {
		return nil, err
	}
	for _, c := range notices {
		at(c.channel).Notices += c.n
		at(c.channel).States[c.state] += c.n
	}
	people, err := list(ctx, r.q, func(s scanner) (c count, err error) { return c, s.Scan(&c.channel, &c.n, &c.came) },
		`SELECT np.channel, COUNT(*), SUM(CASE WHEN p.outcome = 'came' THEN 1 ELSE 0 END) FROM recall_notice_people np JOIN recall_notices n ON n.id = np.notice
		JOIN recall_people p ON p.run = np.run AND p.patient = np.patient WHERE np.run = $1 AND n.state NOT IN ('refused', 'withdrawn') GROUP BY np.channel`, run)
	if err != nil {
		return nil, err
	}
	for _, c := range people {
		at(c.channel).People, at(c.channel).Came = c.n, c.came
	}
	var out []recall.Tally
	for _, ch := range recall.Channels() {
		if t := byChannel[ch]; t != nil {
			out = append(out, *t)
		}
	}
	return out, nil
}
