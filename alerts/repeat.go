package alerts

import (
	"context"
	"database/sql"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// recheck bounds, on the machine's clock, how long the repetition rests: a clock
// that is set while it rests is noticed by then.
const recheck = 15 * time.Second

// repeat tells unanswered alerts again, each when its rest is over.
func (s *Service) repeat(ctx context.Context, ok func()) error {
	for {
		next, err := s.repeatDue(ctx)
		if err != nil {
			return err
		}
		ok()
		if !s.restUntil(ctx, next) {
			return ctx.Err()
		}
	}
}

// restUntil waits for a time of the Clock, for an alert to be raised, or for the
// recheck. It reports false when ctx has ended.
func (s *Service) restUntil(ctx context.Context, next time.Time) bool {
	bounded, cancel := context.WithTimeout(ctx, recheck)
	defer cancel()
	slept := make(chan struct{})
	go func() {
		defer close(slept)
		_ = s.cfg.Clock.Sleep(bounded, next.Sub(s.cfg.Clock.Now())) // whatever ended it, the alerts are looked at
	}()
	select {
	case <-slept:
	case <-s.repeats:
		cancel()
		<-slept
	}
	return ctx.Err() == nil
}

// longest is how long the repetition rests when no alert waits for an answer.
const longest = time.Hour

// repeatDue tells every alert that is due and returns when the next is.
func (s *Service) repeatDue(ctx context.Context) (next time.Time, err error) {
	now := s.cfg.Clock.Now()
	if err := s.expire(ctx, now); err != nil {
		return next, err
	}
	rows, err := s.db.QueryContext(ctx, "SELECT id, site, told_at, targets FROM alert WHERE state = 'open'")
	if err != nil {
		return next, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.repeat", "unanswered alerts")
	}
	defer func() { _ = rows.Close() }() // only read from; rows.Err is looked at
	next = now.Add(longest)
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	var due []matter
	for rows.Next() {
		m := matter{now: now, event: EventRepeated}
		var site coldkeep.SiteID
		if err := rows.Scan(&m.alert.ID, &site, &m.alert.toldAt, &m.alert.targets); err != nil {
			return next, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.repeat", "unanswered alerts")
		}
		every := repeatAfter(s.cfg.OnCall(site))
		if m.alert.targets == 0 {
			every = min(every, nobodyRepeat)
		}
		// A told_at well in the future means that the clock was set back. Telling once
		// too often is better than a silence as long as the jump.
		told := database.Time(m.alert.toldAt)
		setBack := told.Sub(now) > min(every, time.Minute)
		if left := told.Add(every).Sub(now); left > 0 && !setBack {
			sooner(now.Add(left))
			continue
		}
		sooner(now.Add(every))
		due = append(due, m)
	}
	if err := rows.Err(); err != nil {
		return next, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.repeat", "unanswered alerts")
	}
	for i := range due {
		claim := due[i]
		if err := s.tx(ctx, func(tx *sql.Tx) error {
			due[i] = claim // the transaction may be run again
			return s.pass(ctx, tx, onDue, &due[i])
		}); err != nil {
			return next, err
		}
		s.after(&due[i])
	}
	return next, nil
}

// expire gives up news of answered alerts that nobody would want any more.
func (s *Service) expire(ctx context.Context, now time.Time) error {
	_, err := s.db.ExecContext(ctx, `UPDATE alert_delivery SET state = 'expired', reason = 'the alert had been answered a day before'
		WHERE state = 'pending' AND at < $1 AND alert IN (SELECT id FROM alert WHERE state = 'acknowledged')`,
		database.Millis(now.Add(-newsLife)))
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.expire", "old news")
}
