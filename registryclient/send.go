package registryclient

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/tracing"
	"github.com/coldkeep/coldkeep/registryclient/transport"
)

// MaxIntervals is how many intervals go in one call.
const MaxIntervals = 1000

// maxPause bounds how long a registry that asks to be left alone is obeyed.
const maxPause = 10 * time.Minute

// recordTime is what an accepted parcel has to be taken off when everything else
// is stopping.
const recordTime = 5 * time.Second

// load is what goes in one call: one parcel, or a batch of intervals.
type load struct {
	first, last int64 // numbers
	count       int
	kind        string
	path, key   string
	batch       sql.NullInt64
	body        []byte
}

// send takes the parcels in order, one call at a time.
func (c *Client) send(ctx context.Context, ok func()) error {
	pause := c.newBackoff()
	said := "" // the last reason why nothing goes through
	for {
		l, err := c.next(ctx)
		if err != nil {
			return err
		}
		ok()
		if l == nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-c.parcels:
			}
			continue
		}
		posted, end := tracing.Span(ctx, "registry.post", tracing.Count{Name: "parcels", N: l.count})
		answer, err := c.cfg.Transport.Post(posted, l.path, l.key, l.body)
		end(err)
		if ctx.Err() != nil && (err != nil || answer.Verdict != transport.Accepted) {
			return ctx.Err() // stopped by us, not by the registry
		}
		if err == nil && (answer.Verdict == transport.Accepted || answer.Verdict == transport.Refused) {
			if err := c.settle(ctx, l, answer); err != nil {
				return err
			}
			if said != "" {
				c.log.InfoContext(ctx, "the registry is back")
				said = ""
			}
			pause.Reset()
			continue
		}
		wait := pause.NextBackOff()
		if err == nil {
			wait = max(wait, min(answer.After, maxPause))
		}
		why := c.reason(answer, err)
		if why != said {
			c.log.ErrorContext(ctx, "the registry takes nothing; all is kept and sent when it does", "reason", why, "path", l.path, "n", l.first)
			said = why
		}
		if err := c.postpone(ctx, l, why); err != nil {
			return err
		}
		if err := (coldkeep.RealClock{}).Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (c *Client) reason(a transport.Answer, err error) string {
	switch {
	case err != nil:
		return printable("no answer: " + err.Error())
	case a.Verdict == transport.Unauthorized:
		return printable("the registry does not accept the collector's token or what it may do: " + a.Reason)
	}
	return printable("busy: " + a.Reason)
}

// next returns what is to be sent next, nil when nothing waits. Intervals are put
// into a batch first, once: the batch is what the key belongs to, and must be the
// same on every attempt.
func (c *Client) next(ctx context.Context) (*load, error) {
	for {
		l := &load{count: 1}
		var body string
		err := c.db.QueryRowContext(ctx, `SELECT n, kind, path, key, batch, body FROM registry_outbox
			WHERE state = 'pending' ORDER BY n LIMIT 1`).Scan(&l.first, &l.kind, &l.path, &l.key, &l.batch, &body)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		if err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.send", "next parcel")
		}
		if l.kind != kindInterval {
			l.last, l.body = l.first, []byte(body)
			return l, nil
		}
		if l.batch.Valid {
			return l, c.collect(ctx, l)
		}
		if err := c.fixBatch(ctx, l.first); err != nil {
			return nil, err
		}
	}
}

// fixBatch makes one batch of the intervals that come next, up to the first parcel
// of another kind.
func (c *Client) fixBatch(ctx context.Context, first int64) error {
	err := c.tx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT n, kind, batch, body FROM registry_outbox
			WHERE state = 'pending' AND n >= $1 ORDER BY n LIMIT $2`, first, MaxIntervals)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // only read from; rows.Err is looked at
		last := first
		var bodies [][]byte
		for rows.Next() {
			var n int64
			var kind, body string
			var batch sql.NullInt64
			if err := rows.Scan(&n, &kind, &batch, &body); err != nil {
				return err
			}
			if kind != kindInterval || batch.Valid {
				break
			}
			last = n
			bodies = append(bodies, []byte(body))
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		return nameBatch(ctx, tx, first, last, bodies)
	})
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.send", "batch from %d", first)
}

// nameBatch makes the pending intervals from first to last one batch and gives it
// the key of its content.
func nameBatch(ctx context.Context, tx *sql.Tx, first, last int64, bodies [][]byte) error {
	sum := sha256.Sum256(join(bodies))
	_, err := tx.ExecContext(ctx, `UPDATE registry_outbox SET batch = $1, key = $2, attempts = 0
		WHERE n BETWEEN $1 AND $3 AND state = 'pending' AND kind = 'interval'`,
		first, "intervals-"+hex.EncodeToString(sum[:16]), last)
	return err
}

// join makes a JSON array of JSON values.
func join(bodies [][]byte) []byte {
	size := 2
	for _, b := range bodies {
		size += len(b) + 1
	}
	out := append(make([]byte, 0, size), '[')
	for i, b := range bodies {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, b...)
	}
	return append(out, ']')
}

// collect reads the batch that l begins.
func (c *Client) collect(ctx context.Context, l *load) error {
	bodies, err := c.batch(ctx, c.db, l)
	if err != nil {
		return err
	}
	l.count, l.body = len(bodies), join(bodies)
	return nil
}

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// batch reads the bodies of l's batch in order and sets l.last.
func (c *Client) batch(ctx context.Context, q queryer, l *load) ([][]byte, error) {
	rows, err := q.QueryContext(ctx, `SELECT n, body FROM registry_outbox
		WHERE state = 'pending' AND n >= $1 AND n < $2 AND batch = $3 ORDER BY n`, l.first, l.first+maxSpan, l.batch.Int64)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.send", "batch from %d", l.first)
	}
	defer func() { _ = rows.Close() }() // only read from; rows.Err is looked at
	var bodies [][]byte
	for rows.Next() {
		var body string
		if err := rows.Scan(&l.last, &body); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.send", "batch from %d", l.first)
		}
		bodies = append(bodies, []byte(body))
	}
	return bodies, coldkeep.Wrap(rows.Err(), coldkeep.EUNAVAILABLE, "registryclient.send", "batch from %d", l.first)
}

// maxSpan bounds the numbers among which a batch is looked for. A batch is made of
// parcels without a gap, so it never reaches farther.
const maxSpan = MaxIntervals

// settle takes an accepted load off the outbox, and parks a refused one. It is done
// even when everything is stopping, so that what was accepted is not sent again.
func (c *Client) settle(ctx context.Context, l *load, a transport.Answer) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if a.Verdict == transport.Refused {
		return c.refuse(ctx, l, a)
	}
	_, err := c.db.ExecContext(ctx, "DELETE FROM registry_outbox WHERE n BETWEEN $1 AND $2 AND state = 'pending'", l.first, l.last)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.send", "parcel %d was accepted and stays", l.first)
	}
	if l.kind == kindHold {
		var h coldkeep.Hold
		_ = json.Unmarshal(a.Body, &h) // only for the log; the registry has it
		c.log.InfoContext(ctx, "lots are on hold", "key", l.key, "lots", len(h.Lots))
	}
	return nil
}

// refuse parks one parcel. A batch is refused whole, whatever is wrong in it, so it
// is sent again in halves until what is wrong stands alone.
func (c *Client) refuse(ctx context.Context, l *load, a transport.Answer) error {
	if l.count > 1 {
		err := c.tx(ctx, func(tx *sql.Tx) error {
			again := *l
			bodies, err := c.batch(ctx, tx, &again)
			if err != nil {
				return err
			}
			half := int64(len(bodies) / 2)
			if err := nameBatch(ctx, tx, l.first, l.first+half-1, bodies[:half]); err != nil {
				return err
			}
			return nameBatch(ctx, tx, l.first+half, again.last, bodies[half:])
		})
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.send", "batch from %d cannot be divided", l.first)
	}
	reason := printable(a.Reason)
	c.log.ErrorContext(ctx, "the registry refuses a parcel for good; it is parked and the rest goes on",
		"n", l.first, "kind", l.kind, "key", l.key, "reason", reason)
	_, err := c.db.ExecContext(ctx, `UPDATE registry_outbox SET state = 'refused', attempts = attempts + 1, last_error = $2
		WHERE n = $1 AND state = 'pending'`, l.first, reason)
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.send", "parcel %d", l.first)
}

// postpone notes on the first parcel why it still waits.
func (c *Client) postpone(ctx context.Context, l *load, why string) error {
	_, err := c.db.ExecContext(ctx, "UPDATE registry_outbox SET attempts = attempts + 1, last_error = $2 WHERE n = $1", l.first, why)
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.send", "parcel %d", l.first)
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
