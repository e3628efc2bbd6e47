package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/recall"
)

const noticeColumns = `id, run, site, round, channel, household, language, target, state, stop, attempts, due_at, claimed_at, sent_at, made_at, why`

func noticeInto(v *recall.Notice) (into []any, done func()) {
	var due, made int64
	var claimed, sent sql.NullInt64
	return []any{&v.ID, &v.Run, &v.Site, &v.Round, &v.Channel, &v.Household, &v.Language, &v.Target, &v.State, &v.Stop, &v.Attempts, &due, &claimed, &sent, &made, &v.Why}, func() {
		v.Due, v.MadeAt, v.Claimed, v.SentAt = database.Time(due), database.Time(made), database.NullTime(claimed), database.NullTime(sent)
	}
}

func oneNotice(s scanner) (v recall.Notice, err error) {
	into, done := noticeInto(&v)
	err = s.Scan(into...)
	done()
	return v, err
}

const noNotice = "There is no such notice."

// about fills in whom a notice is about: the records that stand for them now.
func (r rows) about(ctx context.Context, n recall.Notice, err error) (recall.Notice, error) {
	if err != nil {
		return n, err
	}
	n.Patients, err = list(ctx, r.q, text, `SELECT DISTINCT p.head FROM recall_notice_people np JOIN patients p ON p.id = np.patient WHERE np.notice = $1 ORDER BY p.head`, n.ID)
	return n, err
}

func (r rows) Notice(ctx context.Context, id string) (recall.Notice, error) {
	n, err := one(ctx, r.q, oneNotice, noNotice, `SELECT `+noticeColumns+` FROM recall_notices WHERE id = $1`, id)
	return r.about(ctx, n, err)
}

func (r rows) NoticeByStop(ctx context.Context, stop string) (recall.Notice, error) {
	n, err := one(ctx, r.q, oneNotice, "There is no such page.", `SELECT `+noticeColumns+` FROM recall_notices WHERE stop = $1 AND stop <> ''`, stop)
	return r.about(ctx, n, err)
}

func (r rows) Notices(ctx context.Context, run string, ch recall.Channel, round int) ([]recall.Notice, error) {
	out, err := list(ctx, r.q, oneNotice, `SELECT `+noticeColumns+` FROM recall_notices WHERE run = $1 AND channel = $2 AND ($3 = 0 OR round = $3) ORDER BY id`, run, string(ch), round)
	if err != nil {
		return nil, err
	}
	type member struct{ notice, head string }
	all, err := list(ctx, r.q, func(s scanner) (m member, err error) { return m, s.Scan(&m.notice, &m.head) },
		`SELECT DISTINCT np.notice, p.head FROM recall_notice_people np JOIN patients p ON p.id = np.patient WHERE np.run = $1 AND np.channel = $2 ORDER BY p.head`, run, string(ch))
	of := map[string][]string{}
	for _, m := range all {
		of[m.notice] = append(of[m.notice], m.head)
	}
	for i := range out {
		out[i].Patients = of[out[i].ID]
	}
	return out, err
}

func (r rows) NoticesOf(ctx context.Context, patients []string) ([]recall.ToldOf, error) {
	if len(patients) == 0 {
		return nil, nil
	}
	where, args := anyOf("np.patient", 1, patients)
	return list(ctx, r.q, func(s scanner) (v recall.ToldOf, err error) {
		into, done := noticeInto(&v.Notice)
		err = scanTold(s, &v.Person, into...)
		done()
		return v, err
	}, `SELECT `+prefixed("n.", noticeColumns)+`, `+prefixed("p.", toldColumns)+` FROM recall_notice_people np JOIN recall_notices n ON n.id = np.notice
		JOIN recall_people p ON p.run = np.run AND p.patient = np.patient WHERE `+where+` ORDER BY n.made_at DESC, n.id DESC LIMIT 200`, args...)
}

func (r rows) PendingSites(ctx context.Context, at time.Time) ([]coldkeep.SiteID, error) {
	return list(ctx, r.q, func(s scanner) (v coldkeep.SiteID, err error) { return v, s.Scan(&v) },
		`SELECT DISTINCT site FROM recall_notices WHERE state = 'pending' AND due_at <= $1 ORDER BY site`, database.Millis(at))
}

func (r rows) NextPending(ctx context.Context, site coldkeep.SiteID, at time.Time) (recall.Notice, error) {
	n, err := one(ctx, r.q, oneNotice, noNotice, `SELECT `+noticeColumns+` FROM recall_notices WHERE state = 'pending' AND due_at <= $1 AND site = $2 ORDER BY due_at, id LIMIT 1`, database.Millis(at), string(site))
	return r.about(ctx, n, err)
}

func (r rows) ClaimedSince(ctx context.Context, site coldkeep.SiteID, since time.Time) (int, error) {
	n, err := one(ctx, r.q, number, "", `SELECT COUNT(*) FROM recall_notices WHERE site = $1 AND claimed_at > $2 AND claimed_at IS NOT NULL`, string(site), database.Millis(since))
	return int(n), err
}

func (r rows) Stale(ctx context.Context, before time.Time) ([]recall.Notice, error) {
	return list(ctx, r.q, oneNotice, `SELECT `+noticeColumns+` FROM recall_notices WHERE state = 'sending' AND claimed_at < $1 ORDER BY id LIMIT 100`, database.Millis(before))
}

func (r rows) ToldIn(ctx context.Context, run string, patients []string) (map[string][]recall.Channel, error) {
	out := map[string][]recall.Channel{}
	if len(patients) == 0 {
		return out, nil
	}
	type told struct {
		id      string
		channel recall.Channel
	}
	where, args := anyOf("patient", 2, patients)
	all, err := list(ctx, r.q, func(s scanner) (v told, err error) { return v, s.Scan(&v.id, &v.channel) },
		`SELECT patient, channel FROM recall_notice_people WHERE run = $1 AND `+where+` ORDER BY patient, channel`, append([]any{run}, args...)...)
	for _, v := range all {
		out[v.id] = append(out[v.id], v.channel)
	}
	return out, err
}

func (t *tx) InsertNotice(ctx context.Context, n recall.Notice) (string, error) {
	if _, err := t.q.ExecContext(ctx, `INSERT INTO recall_notices (`+noticeColumns+`) VALUES (`+marks(16)+`) ON CONFLICT (run, channel, round, household) DO NOTHING`,
		n.ID, n.Run, string(n.Site), n.Round, string(n.Channel), n.Household, n.Language, n.Target, string(n.State), n.Stop, n.Attempts, database.Millis(n.Due), database.NullMillis(n.Claimed),
		database.NullMillis(n.SentAt), database.Millis(n.MadeAt), n.Why); err != nil {
		return "", failed(err)
	}
	return one(ctx, t.q, text, noNotice, `SELECT id FROM recall_notices WHERE run = $1 AND channel = $2 AND round = $3 AND household = $4`, n.Run, string(n.Channel), n.Round, n.Household)
}

func (t *tx) AddToNotice(ctx context.Context, n recall.Notice, patient string) (bool, error) {
	res, err := t.q.ExecContext(ctx, `INSERT INTO recall_notice_people (run, channel, patient, notice) VALUES ($1, $2, $3, $4) ON CONFLICT (run, channel, patient) DO NOTHING`,
		n.Run, string(n.Channel), patient, n.ID)
	if err != nil {
		return false, failed(err)
	}
	added, err := res.RowsAffected()
	return added == 1, failed(err)
}

func (t *tx) ReleaseNotices(ctx context.Context, run string, round int, at time.Time) error {
	_, err := t.q.ExecContext(ctx, `UPDATE recall_notices SET state = CASE WHEN channel IN ('email', 'sms') THEN 'pending' ELSE 'paper' END, due_at = $3
		WHERE run = $1 AND round = $2 AND state = 'making'`, run, round, database.Millis(at))
	if err != nil {
		return failed(err)
	}
	return nil
}

func (t *tx) MoveNotice(ctx context.Context, n recall.Notice, from recall.NoticeState) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "The notice has gone on meanwhile."),
		`UPDATE recall_notices SET state = $2, attempts = $3, due_at = $4, claimed_at = $5, sent_at = $6, why = $7 WHERE id = $1 AND state = $8`,
		n.ID, string(n.State), n.Attempts, database.Millis(n.Due), database.NullMillis(n.Claimed), database.NullMillis(n.SentAt), n.Why, string(from))
}

const consentColumns = `id, patient, channel, target, agreed, site, by_name, at, ended_at, ended_by`

func oneConsent(s scanner) (v recall.Consent, err error) {
	var at int64
	var ended sql.NullInt64
	err = s.Scan(&v.ID, &v.Patient, &v.Channel, &v.Target, &v.Agreed, &v.Site, &v.By, &at, &ended, &v.EndedBy)
	v.At, v.Ended = database.Time(at), database.NullTime(ended)
	return v, err
}

func (r rows) Consents(ctx context.Context, patients []string) ([]recall.Consent, error) {
	where, args := ofPatients(patients)
	return list(ctx, r.q, oneConsent, `SELECT `+consentColumns+` FROM recall_consents WHERE `+where+` AND ended_at IS NULL ORDER BY at, id`, args...)
}

func (r rows) ConsentsAt(ctx context.Context, ch recall.Channel, target string) ([]recall.Consent, error) {
	return list(ctx, r.q, oneConsent, `SELECT `+consentColumns+` FROM recall_consents WHERE channel = $1 AND target = $2 AND ended_at IS NULL ORDER BY at, id`, string(ch), target)
}

func (r rows) Consent(ctx context.Context, id string) (recall.Consent, error) {
	return one(ctx, r.q, oneConsent, "There is no such agreement.", `SELECT `+consentColumns+` FROM recall_consents WHERE id = $1`, id)
}

func (t *tx) InsertConsent(ctx context.Context, c recall.Consent) error {
	return exec(ctx, t.q, gone, `INSERT INTO recall_consents (`+consentColumns+`) VALUES (`+marks(10)+`)`, c.ID, c.Patient, string(c.Channel), c.Target, c.Agreed, string(c.Site), c.By, database.Millis(c.At), nil, "")
}

func (t *tx) EndConsent(ctx context.Context, id, by string, at time.Time) error {
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "This agreement has ended already."), `UPDATE recall_consents SET ended_at = $2, ended_by = $3 WHERE id = $1 AND ended_at IS NULL`, id, database.Millis(at), by)
}

const attemptColumns = `id, patient, site, run, channel, result, address, note, by_name, at`

func (r rows) Attempts(ctx context.Context, patients []string) ([]recall.Attempt, error) {
	where, args := ofPatients(patients)
	return list(ctx, r.q, func(s scanner) (v recall.Attempt, err error) {
		var at int64
		err = s.Scan(&v.ID, &v.Patient, &v.Site, &v.Run, &v.Channel, &v.Result, &v.Address, &v.Note, &v.By, &at)
		v.At = database.Time(at)
		return v, err
	}, `SELECT `+attemptColumns+` FROM recall_attempts WHERE `+where+` ORDER BY at DESC, id DESC`, args...)
}

func (t *tx) InsertAttempt(ctx context.Context, a recall.Attempt) error {
	return exec(ctx, t.q, gone, `INSERT INTO recall_attempts (`+attemptColumns+`) VALUES (`+marks(10)+`)`, a.ID, a.Patient, string(a.Site), a.Run, string(a.Channel), string(a.Result), a.Address, a.Note, a.By, database.Millis(a.At))
}
