package alerts

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// The most that a person's name and a note may hold, in bytes.
const (
	maxPerson = 200
	maxNote   = 4000
)

// answeredLimit is how many answered alerts Alerts lists, the latest.
const answeredLimit = 1000

// Alerts lists alerts, unanswered ones first and then the latest raised first, of
// one site or, with "", of all. Unanswered ones are all there; of the answered,
// which onlyOpen leaves out, the latest thousand. A failing database is
// EUNAVAILABLE.
func (s *Service) Alerts(ctx context.Context, site coldkeep.SiteID, onlyOpen bool) ([]coldkeep.Alert, error) {
	out := []coldkeep.Alert{}
	list := func(state coldkeep.AlertState, limit int) error {
		rows, err := s.db.QueryContext(ctx, `SELECT `+columns+` FROM alert
			WHERE state = $1 AND ($2 = '' OR site = $2) ORDER BY raised_at DESC, id DESC LIMIT $3`, string(state), string(site), limit)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // only read from; rows.Err is looked at
		for rows.Next() {
			r, err := scanRecord(rows)
			if err != nil {
				return err
			}
			out = append(out, r.Alert)
		}
		return rows.Err()
	}
	err := list(coldkeep.AlertOpen, 1<<31-1)
	if err == nil && !onlyOpen {
		err = list(coldkeep.AlertAcknowledged, answeredLimit)
	}
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Alerts", "alerts cannot be read")
	}
	return out, nil
}

// Acknowledge takes the answer of a person to an alert: what has not been delivered
// of it yet is given up, it is not told again, and those on call hear who answered.
// The first answer counts; a later one changes nothing and is no error, because
// two people may press at once and both have done right. A missing or overlong
// name or note is EINVALID, an alert that there is none of ENOTFOUND, a failing
// database EUNAVAILABLE.
func (s *Service) Acknowledge(ctx context.Context, id, person, note string) error {
	person, note = strings.TrimSpace(person), strings.TrimSpace(note)
	switch {
	case person == "":
		return coldkeep.Errorf(coldkeep.EINVALID, "an alert is answered by a person: a name is needed")
	case len(person) > maxPerson || !writable(person) || strings.ContainsAny(person, "\n\r\t"):
		return coldkeep.Errorf(coldkeep.EINVALID, "the name of the person must be one line of at most %d bytes", maxPerson)
	case len(note) > maxNote || !writable(note):
		return coldkeep.Errorf(coldkeep.EINVALID, "the note must be text of at most %d bytes", maxNote)
	case id == "" || !writable(id):
		return coldkeep.Errorf(coldkeep.ENOTFOUND, "there is no alert %q", id)
	}
	var m matter
	err := s.db.Tx(ctx, func(tx *sql.Tx) error {
		m = matter{now: s.cfg.Clock.Now(), event: EventAcknowledged}
		return s.answer(ctx, tx, &m, id, person, note)
	})
	if err != nil {
		if coldkeep.ErrorCode(err) == coldkeep.EINTERNAL {
			err = coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Acknowledge", "the answer could not be kept")
		}
		return err
	}
	s.after(&m)
	s.deliveries.wake() // some may have been given up
	return nil
}

func (s *Service) answer(ctx context.Context, tx *sql.Tx, m *matter, id, person, note string) error {
	var err error
	m.alert, err = scanRecord(tx.QueryRowContext(ctx, `UPDATE alert SET state = 'acknowledged', acknowledged_at = $2, acknowledged_by = $3, note = $4
		WHERE id = $1 AND state = 'open' RETURNING `+columns, id, database.Millis(m.now), person, note))
	if errors.Is(err, sql.ErrNoRows) {
		var by string
		err := tx.QueryRowContext(ctx, "SELECT excursion, revision, acknowledged_by FROM alert WHERE id = $1", id).
			Scan(&m.excursion.ID, &m.excursion.Revision, &by)
		if errors.Is(err, sql.ErrNoRows) {
			return coldkeep.Errorf(coldkeep.ENOTFOUND, "there is no alert %q", id)
		}
		if err != nil {
			return err
		}
		return decided(ctx, tx, m, "answer", verdict{decision: "ignored", reason: person + " answered after " + by})
	}
	if err != nil {
		return err
	}
	m.changed, m.excursion = true, m.alert.Excursion
	if _, err := tx.ExecContext(ctx, `UPDATE alert_delivery SET state = 'superseded', reason = 'somebody has answered'
		WHERE alert = $1 AND state = 'pending'`, id); err != nil {
		return err
	}
	if err := decided(ctx, tx, m, "answer", verdict{decision: "acknowledged", reason: "by " + person}); err != nil {
		return err
	}
	if m.alert.tellings == 0 {
		return nil // nobody has heard of it, so nobody waits to hear the end
	}
	return s.pass(ctx, tx, onAnswer, m)
}

// writable reports whether every database keeps s as it is.
func writable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
	})
}

// Decision is what a stage made of a revision, a repetition or an answer.
type Decision struct {
	At       time.Time `json:"at"`
	Revision int       `json:"revision"`
	Stage    string    `json:"stage"`
	Decision string    `json:"decision"`
	Reason   string    `json:"reason"`
}

// Delivery is one telling to one target.
type Delivery struct {
	ID       string    `json:"id"`
	Telling  int       `json:"telling"`
	Event    Event     `json:"event"`
	Channel  string    `json:"channel"`
	Target   string    `json:"target"` // may be a secret: a webhook's address often is
	At       time.Time `json:"at"`
	State    string    `json:"state"` // pending, delivered, refused, superseded, expired
	Reason   string    `json:"reason,omitempty"`
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one try of a delivery.
type Attempt struct {
	At      time.Time     `json:"at"`
	Took    time.Duration `json:"took_ns"`
	Outcome string        `json:"outcome"` // delivered, failed, refused
	Reason  string        `json:"reason,omitempty"`
}

// Decisions lists what the stages decided about an excursion, first to last. An
// excursion never heard of has none.
func (s *Service) Decisions(ctx context.Context, excursion string) ([]Decision, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT at, revision, stage, decision, reason FROM alert_decision
		WHERE excursion = $1 ORDER BY id`, excursion)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Decisions", "excursion %s", excursion)
	}
	defer func() { _ = rows.Close() }() // only read from; rows.Err is looked at
	var out []Decision
	for rows.Next() {
		var d Decision
		var at int64
		if err := rows.Scan(&at, &d.Revision, &d.Stage, &d.Decision, &d.Reason); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Decisions", "excursion %s", excursion)
		}
		d.At = database.Time(at)
		out = append(out, d)
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "alerts.Decisions", "excursion %s", excursion)
}

// Deliveries lists who was told of an alert and what came of it, first to last. An
// alert that there is none of has none.
func (s *Service) Deliveries(ctx context.Context, alert string) ([]Delivery, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT d.id, d.telling, d.event, d.channel, d.target, d.at, d.state, d.reason,
			a.at, a.took_ms, a.outcome, a.reason
		FROM alert_delivery d LEFT JOIN alert_attempt a ON a.delivery = d.id
		WHERE d.alert = $1 ORDER BY d.id, a.n`, alert)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Deliveries", "alert %s", alert)
	}
	defer func() { _ = rows.Close() }() // only read from; rows.Err is looked at
	var out []Delivery
	for rows.Next() {
		var d Delivery
		var at int64
		var tried, took sql.NullInt64
		var outcome, why sql.NullString
		if err := rows.Scan(&d.ID, &d.Telling, &d.Event, &d.Channel, &d.Target, &at, &d.State, &d.Reason,
			&tried, &took, &outcome, &why); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Deliveries", "alert %s", alert)
		}
		if n := len(out); n == 0 || out[n-1].ID != d.ID {
			d.At = database.Time(at)
			out = append(out, d)
		}
		if tried.Valid {
			last := &out[len(out)-1]
			last.Attempts = append(last.Attempts, Attempt{At: database.Time(tried.Int64),
				Took: time.Duration(took.Int64) * time.Millisecond, Outcome: outcome.String, Reason: why.String})
		}
	}
	return out, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "alerts.Deliveries", "alert %s", alert)
}
