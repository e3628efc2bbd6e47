package alerts

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// matter is what passes through the stages: one change, repetition or answer.
type matter struct {
	now       time.Time
	excursion coldkeep.Excursion
	alert     record
	event     Event // what is to be told
	policy    coldkeep.OnCall
	targets   []target

	changed bool // the alert is not what it was
	pending int  // deliveries made
}

// record is a row of the table alert.
type record struct {
	coldkeep.Alert
	toldAt    int64
	toldState coldkeep.ExcursionState
	tellings  int
	targets   int
}

// verdict is what a stage decided. A stage that stops ends the pass.
type verdict struct {
	stop     bool
	decision string // "" is not worth a row
	reason   string
}

// stage is one small step of a pass, within the pass's transaction.
type stage struct {
	name string
	do   func(s *Service, ctx context.Context, tx *sql.Tx, m *matter) (verdict, error)
}

var (
	onChange = []stage{{"raise", (*Service).raise}, {"route", (*Service).route}, {"dedup", (*Service).dedup}, {"deliver", (*Service).deliver}}
	onDue    = []stage{{"due", (*Service).due}, {"route", (*Service).route}, {"deliver", (*Service).deliver}}
	onAnswer = []stage{{"route", (*Service).route}, {"deliver", (*Service).deliver}}
)

// pass takes m through the stages and keeps what each decided.
func (s *Service) pass(ctx context.Context, tx *sql.Tx, stages []stage, m *matter) error {
	for _, st := range stages {
		v, err := st.do(s, ctx, tx, m)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts."+st.name, "excursion %s", m.excursion.ID)
		}
		if v.decision != "" {
			if err := decided(ctx, tx, m, st.name, v); err != nil {
				return err
			}
		}
		if v.stop {
			return nil
		}
	}
	return nil
}

func decided(ctx context.Context, tx *sql.Tx, m *matter, stage string, v verdict) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO alert_decision (id, excursion, revision, at, stage, decision, reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		ulid.Make().String(), m.excursion.ID, m.excursion.Revision, database.Millis(m.now), stage, v.decision, v.reason)
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.decided", "decision of %s", stage)
}

// raise makes the excursion's alert, or brings the one there is up to date.
func (s *Service) raise(ctx context.Context, tx *sql.Tx, m *matter) (verdict, error) {
	x := &m.excursion
	if x.ID == "" || x.Revision < 1 {
		s.log.ErrorContext(ctx, "an excursion without id or revision is passed over", "excursion", x.ID, "revision", x.Revision, "appliance", x.Appliance)
		return verdict{stop: true, decision: "ignored", reason: "no id or no revision"}, nil
	}
	body, err := json.Marshal(x)
	if err != nil {
		return verdict{}, err
	}
	// The update comes first because it locks the row: an answer given meanwhile is
	// either before this revision or after it.
	m.alert, err = scanRecord(tx.QueryRowContext(ctx, `UPDATE alert SET revision = $2, body = $3
		WHERE excursion = $1 AND revision < $2 RETURNING `+columns, x.ID, x.Revision, string(body)))
	if err == nil {
		m.changed = true
		return verdict{decision: "updated", reason: fmt.Sprintf("revision %d, %s", x.Revision, x.State)}, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return verdict{}, err
	}
	var seen int
	err = tx.QueryRowContext(ctx, "SELECT revision FROM alert WHERE excursion = $1", x.ID).Scan(&seen)
	switch {
	case err == nil:
		return verdict{stop: true, decision: "ignored", reason: fmt.Sprintf("revision %d is known already", seen)}, nil
	case !errors.Is(err, sql.ErrNoRows):
		return verdict{}, err
	case x.State == coldkeep.ExcursionWithdrawn:
		return verdict{stop: true, decision: "ignored", reason: "withdrawn before anybody was called"}, nil
	case !x.Has(coldkeep.ActionAlert):
		return verdict{stop: true, decision: "ignored", reason: "it does not call for a person"}, nil
	}
	m.alert = record{Alert: coldkeep.Alert{
		ID: ulid.Make().String(), Site: x.Site, Appliance: x.Appliance, Excursion: *x,
		State: coldkeep.AlertOpen, RaisedAt: database.Time(database.Millis(m.now)),
	}}
	_, err = tx.ExecContext(ctx, `INSERT INTO alert (`+columns+`, excursion, revision)
		VALUES ($1, $2, $3, $4, $5, $6, NULL, '', '', $6, '', 0, 0, $7, $8)`,
		m.alert.ID, string(x.Site), string(x.Appliance), string(body), string(m.alert.State), database.Millis(m.now),
		x.ID, x.Revision)
	m.changed = true
	return verdict{decision: "raised", reason: why(x)}, err
}

// why says in few words what asked for a person.
func why(x *coldkeep.Excursion) string {
	switch {
	case temperature(x.Kind):
		return fmt.Sprintf("%s by the %s rule of %s", x.Kind, x.Rule, x.Profile)
	case x.Reason != "":
		return fmt.Sprintf("%s: %s", x.Kind, x.Reason)
	}
	return string(x.Kind)
}

// due claims an unanswered alert whose rest is over. The claim fails when somebody
// has answered meanwhile.
func (s *Service) due(ctx context.Context, tx *sql.Tx, m *matter) (verdict, error) {
	var err error
	m.alert, err = scanRecord(tx.QueryRowContext(ctx, `UPDATE alert SET told_at = $3
		WHERE id = $1 AND state = 'open' AND told_at = $2 RETURNING `+columns,
		m.alert.ID, m.alert.toldAt, database.Millis(m.now)))
	if errors.Is(err, sql.ErrNoRows) {
		return verdict{stop: true}, nil
	}
	m.excursion = m.alert.Excursion
	return verdict{}, err
}

// route finds who is to be told.
func (s *Service) route(_ context.Context, _ *sql.Tx, m *matter) (verdict, error) {
	m.policy = s.cfg.OnCall(m.alert.Site)
	m.targets = targets(m.policy)
	if len(m.targets) == 0 {
		return verdict{}, nil // deliver says so, once
	}
	return verdict{decision: "routed", reason: fmt.Sprintf("%d on call at %s", len(m.targets), m.alert.Site)}, nil
}

// dedup keeps a revision that brings people nothing new from being told. People
// care about the alert, about the excursion's end, its withdrawal, and its coming
// back; the rest is on the screen.
func (s *Service) dedup(_ context.Context, _ *sql.Tx, m *matter) (verdict, error) {
	switch {
	case m.alert.toldState == m.excursion.State && m.alert.tellings == 0:
		return verdict{stop: true, decision: "held", reason: "somebody to tell is looked for"}, nil
	case m.alert.toldState == m.excursion.State:
		return verdict{stop: true, decision: "held", reason: "people were told that it is " + string(m.excursion.State)}, nil
	case m.alert.toldState == "":
		m.event = EventRaised
	case m.excursion.State == coldkeep.ExcursionClosed:
		m.event = EventResolved
	case m.excursion.State == coldkeep.ExcursionWithdrawn:
		m.event = EventWithdrawn
	default:
		m.event = EventReopened
	}
	return verdict{decision: "tell", reason: string(m.event)}, nil
}

// deliver makes a delivery for each target. What a target has not received of this
// alert yet is superseded: the newer message says all that the older did.
func (s *Service) deliver(ctx context.Context, tx *sql.Tx, m *matter) (verdict, error) {
	if m.alert.tellings == 0 {
		m.event = EventRaised // nobody could be told before
	}
	telling := m.alert.tellings + 1
	site, appliance := s.cfg.Describe(m.alert.Site, m.alert.Appliance)
	also, err := beside(ctx, tx, &m.alert)
	if err != nil {
		return verdict{}, err
	}
	refused := 0
	for _, t := range m.targets {
		msg := Message{
			ID: ulid.Make().String(), Event: m.event, Telling: telling, At: database.Time(database.Millis(m.now)),
			Repeat: int(repeatAfter(m.policy) / time.Second), Site: site, Appliance: appliance,
			Alert: m.alert.Alert, Also: also, Link: s.cfg.Link(m.alert.Alert),
		}
		msg.Alert.Excursion = m.excursion
		body, err := json.Marshal(msg)
		if err != nil {
			return verdict{}, err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE alert_delivery SET state = 'superseded', reason = $4
			WHERE alert = $1 AND channel = $2 AND target = $3 AND state = 'pending'`,
			m.alert.ID, t.channel, t.to, fmt.Sprintf("by telling %d", telling)); err != nil {
			return verdict{}, err
		}
		state, reason := "pending", ""
		if _, ok := s.channels[t.channel]; !ok {
			state, reason = "refused", "no channel "+t.channel+" is set up"
			refused++
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO alert_delivery (id, alert, telling, event, channel, target, at, body, state, reason)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			msg.ID, m.alert.ID, telling, string(m.event), t.channel, t.to, database.Millis(m.now), string(body), state, reason); err != nil {
			return verdict{}, err
		}
	}
	m.pending = len(m.targets) - refused
	if m.pending == 0 {
		telling--
	}
	if _, err := tx.ExecContext(ctx, "UPDATE alert SET told_at = $2, told_state = $3, tellings = $4, targets = $5 WHERE id = $1",
		m.alert.ID, database.Millis(m.now), string(m.excursion.State), telling, m.pending); err != nil {
		return verdict{}, err
	}
	switch {
	case m.pending > 0:
		return verdict{decision: "queued", reason: fmt.Sprintf("%s to %d, telling %d", m.event, m.pending, telling)}, nil
	case m.event == EventRaised && m.alert.toldState != "":
		return verdict{}, nil // the same as the last look, a minute ago
	}
	s.log.ErrorContext(ctx, "an alert can be told to nobody", "alert", m.alert.ID, "site", m.alert.Site,
		"appliance", m.alert.Appliance, "on_call", len(m.targets), "without_channel", refused)
	return verdict{decision: "nobody", reason: fmt.Sprintf("%d on call at %s, %d of them by a channel that is not set up", len(m.targets), m.alert.Site, refused)}, nil
}

// recentAlerts is among how many of a unit's alerts those are looked for that go on.
const recentAlerts = 50

// beside lists what else goes on in the alert's unit by alerts of their own, so that
// who hears of a silence knows that the unit was too warm, and the other way round.
func beside(ctx context.Context, tx *sql.Tx, a *record) ([]Also, error) {
	if a.Appliance == "" {
		return nil, nil
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+columns+` FROM alert WHERE appliance = $1 AND site = $2 AND id <> $3
		ORDER BY raised_at DESC, id DESC LIMIT $4`, string(a.Appliance), string(a.Site), a.ID, recentAlerts)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // only read from; rows.Err is looked at
	var out []Also
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, err
		}
		if x := &r.Excursion; x.State == coldkeep.ExcursionOpen && x.Kind != a.Excursion.Kind {
			out = append(out, Also{Alert: r.ID, Kind: x.Kind, Start: x.Start})
		}
	}
	return out, rows.Err()
}

// columns are what scanRecord reads.
const columns = "id, site, appliance, body, state, raised_at, acknowledged_at, acknowledged_by, note, told_at, told_state, tellings, targets"

func scanRecord(row interface{ Scan(...any) error }) (record, error) {
	var r record
	var body string
	var raised int64
	var answered sql.NullInt64
	err := row.Scan(&r.ID, &r.Site, &r.Appliance, &body, &r.State, &raised, &answered, &r.AcknowledgedBy, &r.Note,
		&r.toldAt, &r.toldState, &r.tellings, &r.targets)
	if err != nil {
		return r, err
	}
	r.RaisedAt, r.AcknowledgedAt = database.Time(raised), database.NullTime(answered)
	return r, json.Unmarshal([]byte(body), &r.Excursion)
}
