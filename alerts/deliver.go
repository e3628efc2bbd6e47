package alerts

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/cenkalti/backoff/v5"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// workers is how many attempts run at once. A target has one at a time, so a
// target that hangs keeps one worker from the others.
const workers = 32

// recordTime is what a finished attempt has to be written down when everything
// else is stopping.
const recordTime = 5 * time.Second

// attempt is a pending delivery as the dispatcher keeps it between attempts. How
// long it rests is not in the database: after a restart everything pending is
// tried at once.
type attempt struct {
	id     string
	target target
	tries  int
	pause  *backoff.ExponentialBackOff
	notBy  time.Time // machine time of the next try
	flying bool
}

// deliverAll sends pending deliveries until ctx ends, and returns only when the
// attempts that it began are over and written down.
func (s *Service) deliverAll(ctx context.Context, ok func()) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	type landing struct {
		*attempt
		over bool // delivered or refused, and written down
	}
	done := make(chan landing, workers)
	known := make(map[string]*attempt)
	busy := make(map[target]bool)
	stale := true // what is known must be compared with the table
	for {
		if stale {
			if err := s.loadPending(ctx, known); err != nil {
				return err
			}
			stale = false
			ok()
		}
		next := time.Now().Add(recheck)
		for _, a := range inTurn(known) {
			if a.flying || busy[a.target] || len(busy) == workers {
				continue
			}
			if time.Now().Before(a.notBy) {
				if a.notBy.Before(next) {
					next = a.notBy
				}
				continue
			}
			a.flying, busy[a.target] = true, true
			a.tries++
			a.notBy = time.Now().Add(a.pause.NextBackOff())
			flight := *a // the loop goes on with its own
			wg.Go(func() { done <- landing{a, s.attempt(ctx, flight)} })
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
			stale = true
		case <-s.deliveries:
			stale = true
		case a := <-done:
			a.flying = false
			delete(busy, a.target)
			if a.over {
				delete(known, a.id)
			}
		}
		timer.Stop()
	}
}

// inTurn lists what is known with the least tried first, so that one message which
// a target cannot digest does not keep the others from it.
func inTurn(known map[string]*attempt) []*attempt {
	return slices.SortedFunc(maps.Values(known), func(a, b *attempt) int {
		return cmp.Or(cmp.Compare(a.tries, b.tries), cmp.Compare(a.id, b.id))
	})
}

// loadPending brings known in line with the table.
func (s *Service) loadPending(ctx context.Context, known map[string]*attempt) error {
	rows, err := s.db.QueryContext(ctx, "SELECT id, channel, target FROM alert_delivery WHERE state = 'pending' ORDER BY id")
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.deliver", "pending deliveries")
	}
	defer func() { _ = rows.Close() }() // only read from; rows.Err is looked at
	gone := make(map[string]bool, len(known))
	for id, a := range known {
		gone[id] = !a.flying
	}
	for rows.Next() {
		a := &attempt{}
		if err := rows.Scan(&a.id, &a.target.channel, &a.target.to); err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.deliver", "pending deliveries")
		}
		gone[a.id] = false
		if known[a.id] == nil {
			a.pause = newBackoff(s.cfg.Retry)
			known[a.id] = a
		}
	}
	for id := range gone {
		if gone[id] {
			delete(known, id)
		}
	}
	return coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "alerts.deliver", "pending deliveries")
}

// attempt tries one delivery once, writes down what came of it, and reports
// whether that ends the delivery.
func (s *Service) attempt(ctx context.Context, a attempt) (over bool) {
	msg, outcome, reason, took := s.try(ctx, a)
	if outcome == "" {
		return false
	}
	// What has been sent is written down even when everything is stopping;
	// otherwise it would be told again at the next start.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := s.db.Tx(ctx, func(tx *sql.Tx) error { return s.record(ctx, tx, a.id, outcome, reason, took) }); err != nil {
		s.log.ErrorContext(ctx, "an attempt could not be written down; it may be told again", "delivery", a.id, "outcome", outcome, "err", err)
		return false
	}
	args := []any{"alert", msg.Alert.ID, "delivery", a.id, "channel", a.target.channel, "event", msg.Event, "try", a.tries}
	switch outcome {
	case "delivered":
		s.log.InfoContext(ctx, "told", args...)
	case "refused":
		s.log.ErrorContext(ctx, "a target refuses the alert; it is not tried again until the next telling", append(args, "reason", reason)...)
	default:
		s.log.WarnContext(ctx, "telling failed, it will be tried again", append(args, "reason", reason)...)
	}
	return outcome != "failed"
}

// try sends one delivery. An empty outcome means that there was nothing to learn:
// it is no longer pending, or everything is stopping.
func (s *Service) try(ctx context.Context, a attempt) (m Message, outcome, reason string, took time.Duration) {
	var body string
	if s.cfg.Fence != nil {
		// A process that slept through the loss of its lead must not tell what another has
		// told since.
		if err := s.tx(ctx, func(*sql.Tx) error { return nil }); err != nil {
			return m, "", "", 0
		}
	}
	err := s.db.QueryRowContext(ctx, "SELECT body FROM alert_delivery WHERE id = $1 AND state = 'pending'", a.id).Scan(&body)
	if err != nil {
		return m, "", "", 0 // gone, or the database fails and the loop hears of it
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return m, "refused", "its stored message is not readable: " + err.Error(), 0
	}
	m.To = a.target.to
	channel, ok := s.channels[a.target.channel]
	if !ok {
		return m, "refused", "no channel " + a.target.channel + " is set up", 0
	}
	sendCtx, cancel := context.WithTimeout(ctx, s.cfg.SendTimeout)
	defer cancel()
	began := time.Now()
	retryable, err := channel.Send(sendCtx, m)
	took = time.Since(began)
	switch {
	case err == nil:
		return m, "delivered", "", took
	case ctx.Err() != nil:
		return m, "", "", took // stopped by us, not by the other side
	case retryable:
		return m, "failed", err.Error(), took
	}
	return m, "refused", err.Error(), took
}

// record writes an attempt down. A success counts even when a later telling has
// superseded the delivery meanwhile; a failure does not bring it back.
func (s *Service) record(ctx context.Context, tx *sql.Tx, id, outcome, reason string, took time.Duration) error {
	reason = printable(reason)
	update := "UPDATE alert_delivery SET state = $2, reason = $3 WHERE id = $1 AND state = 'pending'"
	state := "pending"
	switch outcome {
	case "delivered":
		state, update = outcome, "UPDATE alert_delivery SET state = $2, reason = $3 WHERE id = $1"
	case "refused":
		state = outcome
	}
	if _, err := tx.ExecContext(ctx, update, id, state, reason); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO alert_attempt (delivery, n, at, took_ms, outcome, reason)
		SELECT $1, COALESCE(MAX(n), 0) + 1, $2, $3, $4, $5 FROM alert_attempt WHERE delivery = $1`,
		id, database.Millis(s.cfg.Clock.Now()), took.Milliseconds(), outcome, reason)
	return err
}

// printable cuts what another party said to a length and to characters that every
// database keeps.
func printable(s string) string {
	const most = 1000
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}
