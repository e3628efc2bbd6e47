package registryclient

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/database"
)

// page is how many entries of the feed are dealt with in one transaction.
const page = 500

// The paths of the contract.
const (
	pathIntervals  = "/api/v1/temperature-log/intervals"
	pathExcursions = "/api/v1/excursions"
	pathHolds      = "/api/v1/holds"
	pathStatus     = "/api/v1/appliance-status"
)

// The kinds of parcel.
const (
	kindInterval  = "interval"
	kindExcursion = "excursion"
	kindHold      = "hold"
	kindProposal  = "proposal"
)

// errMoved says that another Client works on the same tables.
var errMoved = errors.New("the place in the feed was moved by another process")

// Place is the number of the feed's last entry that was dealt with. A failing database
// is EUNAVAILABLE.
func (c *Client) Place(ctx context.Context) (n int64, err error) {
	err = c.db.QueryRowContext(ctx, "SELECT n FROM registry_cursor WHERE id = 1").Scan(&n)
	return n, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.Place", "place in the feed")
}

// pump reads the feed from where the last transaction left it.
func (c *Client) pump(ctx context.Context, ok func()) error {
	cursor, err := c.Place(ctx)
	if err != nil {
		return err
	}
	for {
		changes, err := c.cfg.Feed.Changes(ctx, cursor, page)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.pump", "feed after %d", cursor)
		}
		if len(changes) == 0 {
			if err := c.cfg.Feed.Wait(ctx, cursor); err != nil {
				return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.pump", "waiting for the feed after %d", cursor)
			}
			continue
		}
		if cursor, err = c.take(ctx, cursor, changes); err != nil {
			return err
		}
		ok()
		c.wake()
	}
}

// take turns a page of changes into parcels and moves the cursor, all or nothing,
// and returns the new cursor.
func (c *Client) take(ctx context.Context, cursor int64, changes []coldkeep.Change) (int64, error) {
	to := changes[len(changes)-1].N
	if to <= cursor {
		return cursor, coldkeep.Errorf(coldkeep.EINTERNAL, "feed after %d ends in %d", cursor, to)
	}
	err := c.tx(ctx, func(tx *sql.Tx) error {
		w := &writer{ctx: ctx, tx: tx}
		// The cursor comes first: its row is the lock that keeps numbers in order.
		err := tx.QueryRowContext(ctx, "UPDATE registry_cursor SET n = $1 WHERE id = 1 AND n = $2 RETURNING parcel", to, cursor).Scan(&w.last)
		if errors.Is(err, sql.ErrNoRows) {
			return coldkeep.Wrap(errMoved, coldkeep.EINTERNAL, "registryclient.pump", "place %d", cursor)
		}
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.pump", "place in the feed")
		}
		for i := range changes {
			if changes[i].N <= cursor {
				continue
			}
			if err := w.change(&changes[i]); err != nil {
				return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.pump", "entry %d of the feed", changes[i].N)
			}
		}
		_, err = tx.ExecContext(ctx, "UPDATE registry_cursor SET parcel = $1 WHERE id = 1", w.last)
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.pump", "place in the feed")
	})
	if err != nil {
		return cursor, err
	}
	return to, nil
}

// writer puts parcels into the outbox within one transaction.
type writer struct {
	ctx  context.Context
	tx   *sql.Tx
	last int64 // number of the last parcel
}

func (w *writer) put(at time.Time, kind, path, key string, content any) error {
	body, err := json.Marshal(content)
	if err != nil {
		return err
	}
	w.last++
	_, err = w.tx.ExecContext(w.ctx, `INSERT INTO registry_outbox (n, kind, path, key, body, state, attempts, last_error, at)
		VALUES ($1, $2, $3, $4, $5, 'pending', 0, '', $6)`, w.last, kind, path, key, string(body), database.Millis(at))
	return err
}

func (w *writer) change(ch *coldkeep.Change) error {
	if ch.Interval != nil {
		// Its key is that of the batch it will be sent in.
		if err := w.put(ch.At, kindInterval, pathIntervals, "", ch.Interval); err != nil {
			return err
		}
	}
	x := ch.Excursion
	if x == nil || x.Kind == coldkeep.DeviceFault {
		return nil // a device is not the registry's: it knows units
	}
	if err := w.put(ch.At, kindExcursion, pathExcursions, fmt.Sprintf("excursion-%s-%d", x.ID, x.Revision), x); err != nil {
		return err
	}
	if x.Kind != coldkeep.TooWarm && x.Kind != coldkeep.TooCold {
		return nil // that nobody knows how a unit stood spoils no vaccine
	}
	return w.hold(ch.At, x)
}

// held is a row of registry_hold.
type held struct {
	id       string
	since    int64
	revision int
	released bool
}

// hold asks for a hold when a revision first calls for one, asks again when the
// excursion turns out to have begun earlier, and proposes its release when a
// revision no longer calls for it. It never takes anything back by itself: a person
// in the registry decides.
func (w *writer) hold(at time.Time, x *coldkeep.Excursion) error {
	wanted := x.Has(coldkeep.ActionHold) && x.State != coldkeep.ExcursionWithdrawn
	var h held
	var released int
	err := w.tx.QueryRowContext(w.ctx, "SELECT id, since, revision, released FROM registry_hold WHERE excursion = $1", x.ID).
		Scan(&h.id, &h.since, &h.revision, &released)
	h.released = released != 0
	switch {
	case errors.Is(err, sql.ErrNoRows) && !wanted:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		h = held{id: "hold-" + x.ID, since: database.Millis(x.Start)}
		if err := w.request(at, &h, x); err != nil {
			return err
		}
		_, err := w.tx.ExecContext(w.ctx, "INSERT INTO registry_hold (excursion, id, appliance, since, revision, released) VALUES ($1, $2, $3, $4, $5, 0)",
			x.ID, h.id, string(x.Appliance), h.since, x.Revision)
		return err
	case err != nil:
		return err
	case x.Revision <= h.revision:
		return nil
	}
	if earlier := database.Millis(x.Start) < h.since; wanted && earlier {
		h.since = database.Millis(x.Start)
		if err := w.request(at, &h, x); err != nil {
			return err
		}
	}
	if wanted == h.released {
		if err := w.propose(at, &h, x, wanted); err != nil {
			return err
		}
		h.released = !wanted
	}
	released = 0
	if h.released {
		released = 1
	}
	_, err = w.tx.ExecContext(w.ctx, "UPDATE registry_hold SET since = $2, revision = $3, released = $4 WHERE excursion = $1",
		x.ID, h.since, x.Revision, released)
	return err
}

func (w *writer) request(at time.Time, h *held, x *coldkeep.Excursion) error {
	return w.put(at, kindHold, pathHolds, fmt.Sprintf("%s-%d", h.id, x.Revision), coldkeep.HoldRequest{
		ID: h.id, Excursion: x.ID, Appliance: x.Appliance, Since: database.Time(h.since),
		Reason: fmt.Sprintf("%s by the %s rule of %s, extreme %s °C", x.Kind, x.Rule, x.Profile, x.Extreme),
	})
}

// propose tells a person in the registry that the excursion no longer calls for the
// hold, or that it does so again after all.
func (w *writer) propose(at time.Time, h *held, x *coldkeep.Excursion, again bool) error {
	p := coldkeep.HoldProposal{Action: "release", Reason: "The excursion was withdrawn."}
	switch {
	case again:
		since := database.Time(h.since)
		p = coldkeep.HoldProposal{Action: "extend", Since: &since, Reason: "The excursion calls for the hold after all."}
	case x.State != coldkeep.ExcursionWithdrawn:
		p.Reason = "The excursion, as revised, does not call for a hold."
	}
	if x.Reason != "" {
		p.Reason += " " + x.Reason
	}
	return w.put(at, kindProposal, pathHolds+"/"+url.PathEscape(h.id)+"/proposal",
		fmt.Sprintf("%s-%s-%d", h.id, p.Action, x.Revision), p)
}
