package store

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// Audit adds an entry to the trail. There is no statement that changes one. It is written
// as the last thing of the transaction, so that the lane of the chain is held for the
// commit alone.
func (t *tx) Audit(ctx context.Context, e audit.Entry) error {
	e = e.Complete(ctx)
	e.ID = ulid.Make().String()
	t.entries = append(t.entries, e)
	return nil
}

// chain appends the transaction's entries to a lane.
func (t *tx) chain(ctx context.Context) error {
	if len(t.entries) == 0 {
		return nil
	}
	return t.chainTo(ctx, rand.IntN(audit.Lanes)) //nolint:gosec // which lane is no secret
}

func (t *tx) chainTo(ctx context.Context, lane int) error {
	// Writing the row first makes others wait: the end of the lane is ours to move.
	head, err := one(ctx, t.q, head, "", `UPDATE audit_heads SET turn = turn + 1 WHERE lane = $1 RETURNING lane, seq, hash`, lane)
	if err != nil {
		return err
	}
	for i := range t.entries {
		e := &t.entries[i]
		e.Lane, e.Seq = lane, head.Seq+1
		e.Hash = audit.Link(head.Hash, lane, e.Seq, e)
		head.Seq, head.Hash = e.Seq, e.Hash
		if _, err := t.q.ExecContext(ctx, `INSERT INTO audit (`+entryColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
			e.ID, database.Millis(e.At), e.WhoID, e.Who, e.What, e.Subject, string(e.Site), e.Why, e.Detail, e.Patient, e.Address, e.Agent, e.Session, e.Lane, e.Seq, e.Hash); err != nil {
			return failed(err)
		}
	}
	t.entries = nil
	return exec(ctx, t.q, gone, `UPDATE audit_heads SET seq = $2, hash = $3 WHERE lane = $1`, lane, head.Seq, head.Hash)
}

const entryColumns = `id, at, who_id, who, what, subject, site, why, detail, patient, address, agent, session, lane, seq, hash`

func entry(s scanner) (e audit.Entry, err error) {
	var at int64
	err = s.Scan(&e.ID, &at, &e.WhoID, &e.Who, &e.What, &e.Subject, &e.Site, &e.Why, &e.Detail, &e.Patient, &e.Address, &e.Agent, &e.Session, &e.Lane, &e.Seq, &e.Hash)
	e.At = database.Time(at)
	return e, err
}

func head(s scanner) (h audit.Head, err error) { return h, s.Scan(&h.Lane, &h.Seq, &h.Hash) }

// Trail lists the latest entries that are about no patient, newest first; a site narrows
// them.
func (r rows) Trail(ctx context.Context, site coldkeep.SiteID, limit int) ([]audit.Entry, error) {
	if site == "" {
		return list(ctx, r.q, entry, `SELECT `+entryColumns+` FROM audit WHERE patient = '' AND what <> 'audit.begin' ORDER BY at DESC, id DESC LIMIT $1`, limit)
	}
	return list(ctx, r.q, entry, `SELECT `+entryColumns+` FROM audit WHERE site = $1 AND patient = '' ORDER BY at DESC, id DESC LIMIT $2`, string(site), limit)
}

// Entries lists the entries that q asks for, newest first.
func (r rows) Entries(ctx context.Context, q audit.Query) ([]audit.Entry, error) {
	where, args := []string{"1 = 1"}, []any{}
	add := func(cond string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			cond = strings.Replace(cond, "?", "$"+itoa(len(args)), 1)
		}
		where = append(where, cond)
	}
	if q.Patient != "" {
		add("patient = ?", q.Patient)
	}
	if q.WhoID != "" {
		add("who_id = ?", q.WhoID)
	}
	if q.Subject != "" {
		add("subject = ?", q.Subject)
	}
	if begins, ok := strings.CutSuffix(q.What, "*"); ok {
		add("what >= ? AND what < ?", begins, begins+"\U0010FFFF")
	} else if q.What != "" {
		add("what = ?", q.What)
	}
	if q.Site != "" {
		add("site = ?", string(q.Site))
	}
	if !q.From.IsZero() {
		add("at >= ?", database.Millis(q.From))
	}
	if !q.To.IsZero() {
		add("at < ?", database.Millis(q.To))
	}
	if q.Before.ID != "" {
		at := database.Millis(q.Before.At)
		add("at <= ? AND (at < ? OR id < ?)", at, at, q.Before.ID)
	}
	args = append(args, q.Limit)
	return list(ctx, r.q, entry, `SELECT `+entryColumns+` FROM audit WHERE `+strings.Join(where, " AND ")+
		` ORDER BY at DESC, id DESC LIMIT $`+itoa(len(args)), args...)
}

// WhoIDs lists the ids of people and interface accounts of a username or name.
func (r rows) WhoIDs(ctx context.Context, name string) ([]string, error) {
	return list(ctx, r.q, text, `SELECT id FROM people WHERE username = $1 UNION ALL SELECT id FROM accounts WHERE name = $2`, strings.ToLower(name), name)
}

// Record adds an entry about something that is kept elsewhere, such as an alert
// that the collector keeps.
func (s *Store) Record(ctx context.Context, e audit.Entry) error {
	return s.tx(ctx, func(t *tx) error { return t.Audit(ctx, e) })
}

// Heads lists the ends of the lanes.
func (r rows) Heads(ctx context.Context) ([]audit.Head, error) {
	return list(ctx, r.q, head, `SELECT lane, seq, hash FROM audit_heads ORDER BY lane`)
}

// Lane hands over a lane's entries in order.
func (r rows) Lane(ctx context.Context, lane int, each func(*audit.Entry) error) error {
	order := `seq`
	if lane == audit.Before {
		order = `id`
	}
	rs, err := r.q.QueryContext(ctx, `SELECT `+entryColumns+` FROM audit WHERE lane = $1 ORDER BY `+order, lane)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = rs.Close() }() // Err below tells what went wrong
	for rs.Next() {
		e, err := entry(rs)
		if err != nil {
			return failed(err)
		}
		if err := each(&e); err != nil {
			return err
		}
	}
	return failed(rs.Err())
}

// laneList are the lanes that there are, and Before.
var laneList = func() string {
	all := []string{strconv.Itoa(audit.Before)}
	for lane := range audit.Lanes {
		all = append(all, strconv.Itoa(lane))
	}
	return strings.Join(all, ", ")
}()

// Strays counts entries of lanes that do not exist.
func (r rows) Strays(ctx context.Context) (int64, error) {
	return one(ctx, r.q, number, "", `SELECT COUNT(*) FROM audit WHERE lane NOT IN (`+laneList+`)`)
}

// beginChain makes the chain's first entry, once: it covers what was entered before there
// was one.
func (s *Store) beginChain(ctx context.Context) error {
	heads, err := s.Heads(ctx)
	if err != nil || len(heads) > 0 && heads[0].Seq > 0 {
		return err
	}
	return s.tx(ctx, func(t *tx) error {
		// The row first, as chainTo does: of two starters one comes to an end before the
		// other looks.
		first, err := one(ctx, t.q, head, "", `UPDATE audit_heads SET turn = turn + 1 WHERE lane = 0 RETURNING lane, seq, hash`)
		if err != nil || first.Seq > 0 {
			return err
		}
		n, hash := int64(0), ""
		if err := t.Lane(ctx, audit.Before, func(e *audit.Entry) error {
			n++
			hash = audit.Link(hash, audit.Before, n, e)
			return nil
		}); err != nil {
			return err
		}
		if err := t.Audit(ctx, audit.Entry{At: time.Now(), WhoID: "system", Who: "Start-up", What: audit.Begins, Subject: "audit/trail", Detail: audit.Beginning(n, hash)}); err != nil {
			return err
		}
		return t.chainTo(ctx, 0)
	})
}

// Look returns the trail in a database as it is, for who verifies it: nothing is brought up
// to date.
func Look(db *database.DB) audit.Source { return rows{q: db.DB} }

// ThingNames says what things of a kind are called, of one site or all.
func (r rows) ThingNames(ctx context.Context, site coldkeep.SiteID, kind string, ids []string) (map[string]string, error) {
	var query string
	switch kind {
	case "unit":
		query = `SELECT x.id, x.name, 0 FROM appliances x`
	case "lot":
		query = `SELECT x.id, 'Lot ' || x.lot || ', ' || x.product, 0 FROM lots x`
	case "hold":
		query = `SELECT x.id, 'Hold of ' || u.name, x.since FROM holds x JOIN appliances u ON u.id = x.appliance`
	case "person":
		query = `SELECT x.id, x.name, 0 FROM people x`
	case "account":
		query = `SELECT x.id, x.name, 0 FROM accounts x`
	default:
		return nil, nil
	}
	where, args := anyOf("x.id", 1, ids)
	query += " WHERE " + where
	if site != "" && kind == "account" {
		return nil, nil // one account may be of every site
	}
	if site != "" {
		args = append(args, string(site))
		query += " AND x.site = $" + strconv.Itoa(len(args))
	}
	type named struct{ id, name string }
	all, err := list(ctx, r.q, func(s scanner) (v named, err error) {
		var since int64
		err = s.Scan(&v.id, &v.name, &since)
		if since != 0 {
			v.name += " since " + database.Time(since).UTC().Format("Jan 2, 2006")
		}
		return v, err
	}, query, args...)
	out := make(map[string]string, len(all))
	for _, v := range all {
		out[v.id] = v.name
	}
	return out, err
}
