package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/inventory"
)

// Exchange is the store as the exchange package asks for it.
func (s *Store) Exchange() exchange.Store { return exchangeStore{s} }

type exchangeStore struct{ *Store }

func (s exchangeStore) Tx(ctx context.Context, do func(exchange.Tx) error) error {
	return s.tx(ctx, func(t *tx) error { return do(t) })
}

const (
	noSender  = "Nothing has been agreed on with this sender."
	noMessage = "There is no such message."
	noFile    = "There is no such file."
)

const senderColumns = `account, site, production, applications, facilities, answers, deducts, updated_by, updated_at, revision`

func exchangeSender(s scanner) (v exchange.Sender, err error) {
	var production, deducts, at int64
	var applications, facilities string
	if err = s.Scan(&v.Account, &v.Site, &production, &applications, &facilities, &v.Answers, &deducts, &v.UpdatedBy, &at, &v.Revision); err != nil {
		return v, err
	}
	v.Production, v.Deducts, v.UpdatedAt = production != 0, deducts != 0, database.Time(at)
	if err = json.Unmarshal([]byte(applications), &v.Applications); err != nil {
		return v, err
	}
	return v, json.Unmarshal([]byte(facilities), &v.Facilities)
}

func (r rows) ExchangeSender(ctx context.Context, account string) (exchange.Sender, error) {
	return one(ctx, r.q, exchangeSender, noSender, `SELECT `+senderColumns+` FROM exchange_senders WHERE account = $1`, account)
}

// Senders lists accounts of scope records; those that nothing was agreed on with are tested.
func (r rows) ExchangeSenders(ctx context.Context, site coldkeep.SiteID) ([]exchange.Sender, error) {
	agreed, err := list(ctx, r.q, exchangeSender, `SELECT `+senderColumns+` FROM exchange_senders`)
	if err != nil {
		return nil, err
	}
	of := map[string]exchange.Sender{}
	for _, s := range agreed {
		of[s.Account] = s
	}
	accounts, err := r.Accounts(ctx, site)
	out := []exchange.Sender{}
	for _, a := range accounts {
		if !slices.Contains(a.Scopes, "records") {
			continue
		}
		s, ok := of[a.ID]
		if !ok {
			s = exchange.Sender{Account: a.ID, Answers: exchange.Always}
		}
		s.Name, s.Site = a.Name, a.Site
		out = append(out, s)
	}
	return out, err
}

func (t *tx) PutExchangeSender(ctx context.Context, s exchange.Sender) error {
	applications, err := json.Marshal(append([]string{}, s.Applications...))
	if err != nil {
		return failed(err)
	}
	facilities, err := json.Marshal(append([]exchange.Facility{}, s.Facilities...))
	if err != nil {
		return failed(err)
	}
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody else has changed this meanwhile. Look at it again, then make your change."),
		`INSERT INTO exchange_senders (`+senderColumns+`) VALUES (`+marks(10)+`)
		ON CONFLICT (account) DO UPDATE SET site = excluded.site, production = excluded.production, applications = excluded.applications, facilities = excluded.facilities,
			answers = excluded.answers, deducts = excluded.deducts, updated_by = excluded.updated_by, updated_at = excluded.updated_at, revision = excluded.revision
		WHERE exchange_senders.revision = excluded.revision - 1`,
		s.Account, string(s.Site), flag(s.Production), string(applications), string(facilities), string(s.Answers), flag(s.Deducts), s.UpdatedBy, database.Millis(s.UpdatedAt), s.Revision)
}

const messageFacts = `id, door, account, who, site, file, seq, control, type, profile, version, processing, sha256, at, took, outcome, kept, test, matched, patient, doses, findings, cleared_at`

// exchangeMessage reads messageFacts, and texts when more says where to.
func exchangeMessage(s scanner, m *exchange.Message, more ...any) error {
	var at, took, kept, test int64
	var doses, findings string
	var cleared sql.NullInt64
	if err := s.Scan(append([]any{&m.ID, &m.Door, &m.Account, &m.Who, &m.Site, &m.File, &m.Seq, &m.Control, &m.Type, &m.Profile, &m.Version, &m.Processing, &m.SHA256, &at, &took,
		&m.Outcome, &kept, &test, &m.Matched, &m.Patient, &doses, &findings, &cleared}, more...)...); err != nil {
		return err
	}
	m.At, m.Took, m.Kept, m.Test, m.Cleared = database.Time(at), time.Duration(took)*time.Microsecond, kept != 0, test != 0, database.NullTime(cleared)
	if err := json.Unmarshal([]byte(doses), &m.Doses); err != nil {
		return err
	}
	return json.Unmarshal([]byte(findings), &m.Findings)
}

func messageBare(s scanner) (m exchange.Message, err error) { return m, exchangeMessage(s, &m) }

func messageWhole(s scanner) (m exchange.Message, err error) {
	return m, exchangeMessage(s, &m, &m.Text, &m.Answer)
}

func messageArgs(m *exchange.Message) ([]any, error) {
	doses, err := json.Marshal(append([]exchange.DoseDone{}, m.Doses...))
	if err != nil {
		return nil, failed(err)
	}
	findings, err := json.Marshal(append([]exchange.Finding{}, m.Findings...))
	if err != nil {
		return nil, failed(err)
	}
	for _, s := range []*string{&m.Control, &m.Type, &m.Profile, &m.Version, &m.Processing} {
		*s = clip(*s, 250)
	}
	return []any{m.ID, string(m.Door), m.Account, m.Who, string(m.Site), m.File, m.Seq, m.Control, m.Type, m.Profile, m.Version, m.Processing, m.SHA256, database.Millis(m.At), m.Took.Microseconds(),
		string(m.Outcome), flag(m.Kept), flag(m.Test), string(m.Matched), m.Patient, plainJSON(doses), plainJSON(findings), database.NullMillis(m.Cleared), m.Text, m.Answer}, nil
}

// clip bounds what a sender wrote, such that both engines keep it.
func clip(s string, most int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// plainJSON is a document without the NUL characters that PostgreSQL does not keep.
func plainJSON(b []byte) string { return strings.ReplaceAll(string(b), `\u0000`, "") }

func (t *tx) InsertExchangeMessage(ctx context.Context, m exchange.Message) error {
	args, err := messageArgs(&m)
	if err != nil {
		return err
	}
	return exec(ctx, t.q, gone, `INSERT INTO exchange_messages (`+messageFacts+`, message, answer) VALUES (`+marks(len(args))+`)`, args...)
}

func (t *tx) FinishExchangeMessage(ctx context.Context, m exchange.Message) error {
	args, err := messageArgs(&m)
	if err != nil {
		return err
	}
	columns := append(strings.Split(messageFacts, ", "), "message", "answer")
	var sets []string
	for i, c := range columns[1:] {
		sets = append(sets, c+" = $"+strconv.Itoa(i+2))
	}
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "The message has been done meanwhile."),
		`UPDATE exchange_messages SET `+strings.Join(sets, ", ")+` WHERE id = $1 AND outcome = ''`, args...)
}

func (r rows) ExchangeMessageKept(ctx context.Context, account, sha256 string) (exchange.Message, error) {
	return one(ctx, r.q, messageWhole, noMessage, `SELECT `+messageFacts+`, message, answer FROM exchange_messages WHERE account = $1 AND sha256 = $2 AND kept = 1`, account, sha256)
}

func (r rows) ExchangeMessage(ctx context.Context, id string) (exchange.Message, error) {
	return one(ctx, r.q, messageWhole, noMessage, `SELECT `+messageFacts+`, message, answer FROM exchange_messages WHERE id = $1`, id)
}

func (r rows) ExchangeMessages(ctx context.Context, f exchange.Filter) ([]exchange.Message, error) {
	where, args := []string{"outcome <> ''"}, []any{}
	for _, c := range []struct{ test, value string }{{"account = ", f.Account}, {"site = ", string(f.Site)}, {"file = ", f.File}, {"outcome = ", string(f.Outcome)}, {"control = ", f.Control}} {
		if c.value != "" {
			args = append(args, c.value)
			where = append(where, c.test+"$"+strconv.Itoa(len(args)))
		}
	}
	for _, c := range []struct {
		test string
		at   time.Time
	}{{"at >= ", f.From}, {"at < ", f.To}} {
		if !c.at.IsZero() {
			args = append(args, database.Millis(c.at))
			where = append(where, c.test+"$"+strconv.Itoa(len(args)))
		}
	}
	if f.File != "" {
		where = append(where, "file <> ''") // by its index
	}
	if f.Before != "" {
		args = append(args, f.Before)
		n := strconv.Itoa(len(args))
		where = append(where, "at <= (SELECT b.at FROM exchange_messages b WHERE b.id = $"+n+") AND (at < (SELECT b.at FROM exchange_messages b WHERE b.id = $"+n+") OR id < $"+n+")")
	}
	args = append(args, f.Limit)
	return list(ctx, r.q, messageBare, `SELECT `+messageFacts+` FROM exchange_messages WHERE `+strings.Join(where, " AND ")+` ORDER BY at DESC, id DESC LIMIT $`+strconv.Itoa(len(args)), args...)
}

const fileColumns = `id, account, who, role, site, door, name, sha256, again, state, total, head, foot, answers, findings, at, ended_at, cleared_at`

func exchangeFile(s scanner) (f exchange.File, err error) {
	var again, at int64
	var ended, cleared sql.NullInt64
	var findings string
	if err = s.Scan(&f.ID, &f.Account, &f.Who, &f.Role, &f.Site, &f.Door, &f.Name, &f.SHA256, &again, &f.State, &f.Total, &f.Head, &f.Foot, &f.Answers, &findings, &at, &ended, &cleared); err != nil {
		return f, err
	}
	f.Again, f.At, f.Ended, f.Cleared = again != 0, database.Time(at), database.NullTime(ended), database.NullTime(cleared)
	return f, json.Unmarshal([]byte(findings), &f.Findings)
}

func fileArgs(f *exchange.File) ([]any, error) {
	findings, err := json.Marshal(append([]exchange.Finding{}, f.Findings...))
	if err != nil {
		return nil, failed(err)
	}
	return []any{f.ID, f.Account, f.Who, string(f.Role), string(f.Site), string(f.Door), f.Name, f.SHA256, flag(f.Again), string(f.State), f.Total, f.Head, f.Foot, string(f.Answers),
		string(findings), database.Millis(f.At), database.NullMillis(f.Ended), database.NullMillis(f.Cleared)}, nil
}

func (t *tx) InsertExchangeFile(ctx context.Context, f exchange.File) error {
	args, err := fileArgs(&f)
	if err != nil {
		return err
	}
	return exec(ctx, t.q, gone, `INSERT INTO exchange_files (`+fileColumns+`) VALUES (`+marks(len(args))+`)`, args...)
}

func (t *tx) UpdateExchangeFile(ctx context.Context, f exchange.File, from exchange.FileState) error {
	args, err := fileArgs(&f)
	if err != nil {
		return err
	}
	var sets []string
	for i, c := range strings.Split(fileColumns, ", ")[1:] {
		sets = append(sets, c+" = $"+strconv.Itoa(i+2))
	}
	return exec(ctx, t.q, coldkeep.Errorf(coldkeep.ECONFLICT, "The file has gone on meanwhile."),
		`UPDATE exchange_files SET `+strings.Join(sets, ", ")+` WHERE id = $1 AND state = $`+strconv.Itoa(len(args)+1), append(args, string(from))...)
}

func (t *tx) DeleteExchangeFile(ctx context.Context, id string) error {
	if _, err := t.q.ExecContext(ctx, `DELETE FROM exchange_messages WHERE file = $1 AND file <> '' AND EXISTS (SELECT 1 FROM exchange_files WHERE id = $1 AND state = 'receiving')`, id); err != nil {
		return failed(err)
	}
	_, err := t.q.ExecContext(ctx, `DELETE FROM exchange_files WHERE id = $1 AND state = 'receiving'`, id)
	return failed(err)
}

func (r rows) ExchangeFile(ctx context.Context, id string) (exchange.File, error) {
	return one(ctx, r.q, exchangeFile, noFile, `SELECT `+fileColumns+` FROM exchange_files WHERE id = $1`, id)
}

func (r rows) ExchangeFileByContent(ctx context.Context, account, sha256 string) (exchange.File, error) {
	return one(ctx, r.q, exchangeFile, noFile, `SELECT `+fileColumns+` FROM exchange_files WHERE account = $1 AND sha256 = $2 AND again = 0`, account, sha256)
}

func (r rows) ExchangeFiles(ctx context.Context, account string, site coldkeep.SiteID, limit int) ([]exchange.File, error) {
	where, args := "state <> 'receiving'", []any{limit}
	if account != "" {
		args = append(args, account)
		where += " AND account = $" + strconv.Itoa(len(args))
	}
	if site != "" {
		args = append(args, string(site))
		where += " AND site = $" + strconv.Itoa(len(args))
	}
	return list(ctx, r.q, exchangeFile, `SELECT `+fileColumns+` FROM exchange_files WHERE `+where+` ORDER BY at DESC, id DESC LIMIT $1`, args...)
}

func (r rows) ExchangeUnreceived(ctx context.Context, before time.Time) ([]exchange.File, error) {
	return list(ctx, r.q, exchangeFile, `SELECT `+fileColumns+` FROM exchange_files WHERE state = 'receiving' AND at < $1 ORDER BY at, id LIMIT 100`, database.Millis(before))
}

func (r rows) ExchangeFileCounts(ctx context.Context, file string) (map[exchange.Outcome]int, error) {
	type count struct {
		outcome exchange.Outcome
		n       int
	}
	all, err := list(ctx, r.q, func(s scanner) (c count, err error) { return c, s.Scan(&c.outcome, &c.n) },
		`SELECT outcome, COUNT(*) FROM exchange_messages WHERE file = $1 AND file <> '' GROUP BY outcome`, file)
	out := map[exchange.Outcome]int{}
	for _, c := range all {
		out[c.outcome] = c.n
	}
	return out, err
}

func (r rows) ExchangeFileWork(ctx context.Context) ([]exchange.File, error) {
	return list(ctx, r.q, exchangeFile, `SELECT `+fileColumns+` FROM exchange_files f WHERE state = 'queued' AND NOT EXISTS (
			SELECT 1 FROM exchange_files o WHERE o.state = 'queued' AND o.account = f.account AND (o.at < f.at OR o.at = f.at AND o.id < f.id))
		ORDER BY at, id LIMIT 100`)
}

func (r rows) ExchangeFileNext(ctx context.Context, file string, limit int) ([]exchange.Message, error) {
	return list(ctx, r.q, messageWhole, `SELECT `+messageFacts+`, message, answer FROM exchange_messages WHERE file = $1 AND file <> '' AND outcome = '' ORDER BY seq LIMIT $2`, file, limit)
}

func (r rows) ExchangeFileAnswers(ctx context.Context, file string, after, limit int) ([]exchange.Message, error) {
	return list(ctx, r.q, func(s scanner) (m exchange.Message, err error) {
		return m, s.Scan(&m.ID, &m.Seq, &m.Outcome, &m.Answer)
	}, `SELECT id, seq, outcome, answer FROM exchange_messages WHERE file = $1 AND file <> '' AND seq > $2 ORDER BY seq LIMIT $3`, file, after, limit)
}

func (t *tx) ClearExchangeMessages(ctx context.Context, before, now time.Time, limit int) (int, error) {
	ids, err := list(ctx, t.q, text, `SELECT id FROM exchange_messages WHERE cleared_at IS NULL AND at < $1 AND outcome <> '' ORDER BY at LIMIT $2`, database.Millis(before), limit)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	where, args := anyOf("id", 2, ids)
	if _, err := t.q.ExecContext(ctx, `UPDATE exchange_messages SET message = NULL, answer = NULL, cleared_at = $1 WHERE `+where, append([]any{database.Millis(now)}, args...)...); err != nil {
		return 0, failed(err)
	}
	_, err = t.q.ExecContext(ctx, `UPDATE exchange_files SET cleared_at = $1 WHERE cleared_at IS NULL AND state = 'done' AND at < $2`, database.Millis(now), database.Millis(before))
	return len(ids), failed(err)
}

func (r rows) LotsNumbered(ctx context.Context, site coldkeep.SiteID, number string) ([]inventory.Lot, error) {
	return list(ctx, r.q, lot, `SELECT `+lotColumns+` FROM lots WHERE site = $1 AND lot = $2 ORDER BY id`, string(site), strings.ToUpper(strings.TrimSpace(number)))
}

func (r rows) MessageWords(ctx context.Context, patient string) ([]exchange.Word, error) {
	return list(ctx, r.q, func(s scanner) (w exchange.Word, err error) {
		var sent int64
		err = s.Scan(&w.Topic, &sent)
		w.Sent = database.Time(sent)
		return w, err
	}, `SELECT topic, sent FROM exchange_words WHERE patient = $1 ORDER BY topic`, patient)
}

func (t *tx) PutMessageWord(ctx context.Context, patient string, w exchange.Word) error {
	return exec(ctx, t.q, gone, `INSERT INTO exchange_words (patient, topic, sent) VALUES ($1, $2, $3)
		ON CONFLICT (patient, topic) DO UPDATE SET sent = excluded.sent`, patient, w.Topic, database.Millis(w.Sent))
}

// TakeTurn makes other transactions with the key wait: on PostgreSQL by the row, on SQLite they
// wait in any case.
func (t *tx) TakeTurn(ctx context.Context, key string) error {
	return exec(ctx, t.q, gone, `INSERT INTO exchange_turns (key, n) VALUES ($1, 1) ON CONFLICT (key) DO UPDATE SET n = exchange_turns.n + 1`, key)
}

func (t *tx) AddExchangeFigures(ctx context.Context, account string, site coldkeep.SiteID, day coldkeep.Date, n map[string]int) error {
	var args []any
	for _, m := range slices.Sorted(maps.Keys(n)) { // in one order, so that two wait for each other and never both
		if n[m] != 0 {
			args = append(args, account, string(site), day.String(), m, n[m])
		}
	}
	return insertRows(ctx, t.q, `INSERT INTO exchange_figures (account, site, day, measure, n)`, 5, args, ` ON CONFLICT (account, site, day, measure) DO UPDATE SET n = exchange_figures.n + excluded.n`)
}

func (r rows) ExchangeFigures(ctx context.Context, site coldkeep.SiteID, from, to coldkeep.Date) ([]exchange.Figure, error) {
	read := func(s scanner) (f exchange.Figure, err error) {
		return f, s.Scan(&f.Account, &f.Site, &f.Measure, &f.N)
	}
	if site == "" {
		return list(ctx, r.q, read, `SELECT account, site, measure, SUM(n) FROM exchange_figures WHERE day >= $1 AND day <= $2 GROUP BY account, site, measure ORDER BY account, site, measure`, from.String(), to.String())
	}
	return list(ctx, r.q, read, `SELECT account, site, measure, SUM(n) FROM exchange_figures WHERE site = $1 AND day >= $2 AND day <= $3 GROUP BY account, site, measure ORDER BY account, site, measure`,
		string(site), from.String(), to.String())
}

func (r rows) LastExchangeMessages(ctx context.Context, site coldkeep.SiteID) (map[string]time.Time, error) {
	type last struct {
		account string
		at      int64
	}
	all, err := list(ctx, r.q, func(s scanner) (l last, err error) { return l, s.Scan(&l.account, &l.at) }, `SELECT id, at FROM (
			SELECT a.id AS id, (SELECT MAX(m.at) FROM exchange_messages m WHERE m.account = a.id) AS at FROM accounts a WHERE $1 = '' OR a.site = $1) l WHERE at IS NOT NULL`, string(site))
	out := map[string]time.Time{}
	for _, l := range all {
		out[l.account] = database.Time(l.at)
	}
	return out, err
}
