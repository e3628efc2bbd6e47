package alerts

import (
	"context"
	"database/sql"
	"errors"

	"github.com/coldkeep/coldkeep"
)

// page is how many entries of the feed are dealt with in one transaction.
const page = 500

// errMoved says that another Service works on the same tables.
var errMoved = errors.New("the place in the feed was moved by another process")

// Place is the number of the feed's last entry that was dealt with. A failing database
// is EUNAVAILABLE.
func (s *Service) Place(ctx context.Context) (n int64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT n FROM alert_cursor WHERE id = 1").Scan(&n)
	return n, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.Place", "place in the feed")
}

// intake reads the feed from where the last transaction left it.
func (s *Service) intake(ctx context.Context, ok func()) error {
	cursor, err := s.Place(ctx)
	if err != nil {
		return err
	}
	for {
		changes, err := s.cfg.Feed.Changes(ctx, cursor, page)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.intake", "feed after %d", cursor)
		}
		if len(changes) == 0 {
			if err := s.cfg.Feed.Wait(ctx, cursor); err != nil {
				return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.intake", "waiting for the feed after %d", cursor)
			}
			continue
		}
		if cursor, err = s.take(ctx, cursor, changes); err != nil {
			return err
		}
		ok()
	}
}

// take deals with a page of changes and moves the cursor, all or nothing, and
// returns the new cursor.
func (s *Service) take(ctx context.Context, cursor int64, changes []coldkeep.Change) (int64, error) {
	var news []matter
	to := changes[len(changes)-1].N
	if to <= cursor {
		return cursor, coldkeep.Errorf(coldkeep.EINTERNAL, "feed after %d ends in %d", cursor, to)
	}
	err := s.tx(ctx, func(tx *sql.Tx) error {
		news = news[:0] // the transaction may be run again
		// Every alert of the page carries one time, the time at which it was raised.
		now := s.cfg.Clock.Now()
		for i := range changes {
			x := changes[i].Excursion
			if x == nil || changes[i].N <= cursor {
				continue
			}
			m := matter{now: now, excursion: *x}
			if err := s.pass(ctx, tx, onChange, &m); err != nil {
				return err
			}
			news = append(news, m)
		}
		moved, err := tx.ExecContext(ctx, "UPDATE alert_cursor SET n = $1 WHERE id = 1 AND n = $2", to, cursor)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "alerts.intake", "place in the feed")
		}
		if n, err := moved.RowsAffected(); err != nil || n != 1 {
			return coldkeep.Wrap(errors.Join(errMoved, err), coldkeep.EINTERNAL, "alerts.intake", "place %d", cursor)
		}
		return nil
	})
	if err != nil {
		return cursor, err
	}
	for i := range news {
		s.after(&news[i])
	}
	return to, nil
}

// after lets others know of a pass once it is committed.
func (s *Service) after(m *matter) {
	if m.changed {
		s.live.publish(coldkeep.LiveEvent{Type: "alert", Site: m.alert.Site, Appliance: m.alert.Appliance})
		s.repeats.wake()
	}
	if m.event == EventRaised && m.pending > 0 {
		s.log.Info("alert", "alert", m.alert.ID, "site", m.alert.Site, "appliance", m.alert.Appliance,
			"probe", m.excursion.Probe, "kind", m.excursion.Kind, "extreme_c", m.excursion.Extreme, "told", m.pending)
	}
	if m.pending > 0 {
		s.deliveries.wake()
	}
}
