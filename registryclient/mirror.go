package registryclient

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/coldkeep/coldkeep"
)

// mirrorWait is how long the registry may keep the question open.
const mirrorWait = 30 * time.Second

// minPoll keeps two questions apart when the registry answers at once that there is
// nothing new.
const minPoll = time.Second

// Mirror returns the latest mirror, empty (revision 0) when there has never been
// one. It is shared: nobody may write into its lists.
func (c *Client) Mirror() coldkeep.Mirror {
	c.mirrorMu.Lock()
	defer c.mirrorMu.Unlock()
	return c.mirror
}

// OnMirror calls f with every new revision of the mirror, one after the other, and
// at once with the cached one if there is any. f must not call OnMirror.
func (c *Client) OnMirror(f func(coldkeep.Mirror)) {
	c.listenMu.Lock()
	defer c.listenMu.Unlock()
	c.listeners = append(c.listeners, f)
	if m := c.Mirror(); m.Revision > 0 {
		f(m)
	}
}

func (c *Client) loadMirror(ctx context.Context) error {
	var body string
	err := c.db.QueryRowContext(ctx, "SELECT body FROM registry_mirror WHERE id = 1").Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(body), &c.mirror)
	}
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.Open", "the cached mirror cannot be read")
}

// Away reports whether the registry did not answer when it was last asked for its
// mirror, or did not know our token.
func (c *Client) Away() bool { return c.away.Load() }

// follow asks for the next revision of the mirror, over and over.
func (c *Client) follow(ctx context.Context, ok func()) error {
	for {
		asked := time.Now()
		since := c.Mirror().Revision
		m, err := c.cfg.Source.Mirror(ctx, since, mirrorWait)
		if err != nil {
			c.away.Store(ctx.Err() == nil)
			return err
		}
		c.away.Store(false)
		ok()
		if m == nil || m.Revision == since {
			if err := (coldkeep.RealClock{}).Sleep(ctx, minPoll-time.Since(asked)); err != nil {
				return err
			}
			continue
		}
		if m.Revision < since {
			// The registry was put back to an earlier state. What it says now is the truth.
			c.log.WarnContext(ctx, "the registry's mirror went back", "from", since, "to", m.Revision)
		}
		if err := c.keepMirror(ctx, m); err != nil {
			return err
		}
	}
}

// keepMirror caches a mirror and then shows it, so that what was once acted on is
// there after a crash.
func (c *Client) keepMirror(ctx context.Context, m *coldkeep.Mirror) error {
	body, err := json.Marshal(m)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINTERNAL, "registryclient.mirror", "revision %d", m.Revision)
	}
	if _, err := c.db.ExecContext(ctx, `INSERT INTO registry_mirror (id, body) VALUES (1, $1)
		ON CONFLICT (id) DO UPDATE SET body = $1`, string(body)); err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.mirror", "revision %d cannot be cached", m.Revision)
	}
	c.listenMu.Lock()
	defer c.listenMu.Unlock()
	c.mirrorMu.Lock()
	c.mirror = *m
	c.mirrorMu.Unlock()
	for _, f := range c.listeners {
		f(*m)
	}
	return nil
}
