package registryclient

import (
	"context"
	"encoding/json"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registryclient/transport"
)

// statusEvery is how often an appliance's status may be posted, on the Clock.
const statusEvery = time.Minute

// statusPause is the least machine time between two posts, so that a fast Clock
// does not make a flood.
const statusPause = time.Second

// statusChunk is how many statuses go in one call.
const statusChunk = 500

// postStatus posts the latest of all appliances once a minute. What fails is not
// kept, and is told when its minute is over.
func (c *Client) postStatus(ctx context.Context, ok func()) error {
	for {
		began := time.Now()
		err := c.postAll(ctx)
		if err == nil {
			ok()
		}
		if err := c.cfg.Clock.Sleep(ctx, statusEvery); err != nil {
			return err
		}
		if err := (coldkeep.RealClock{}).Sleep(ctx, statusPause-time.Since(began)); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
}

func (c *Client) postAll(ctx context.Context) error {
	all, err := c.cfg.Status(ctx)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.status", "status of the appliances")
	}
	for len(all) > 0 {
		chunk := all[:min(statusChunk, len(all))]
		all = all[len(chunk):]
		if err := c.postChunk(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// postChunk posts a list. A registry that refuses it keeps what came before the one
// it stumbled over and nothing after it, so the list is sent again in halves until
// the bad one stands alone; that one is logged and left out.
func (c *Client) postChunk(ctx context.Context, chunk []coldkeep.ApplianceStatus) error {
	body, err := json.Marshal(chunk)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINTERNAL, "registryclient.status", "status")
	}
	// A key of its own for every post: an appliance may stand today as it stood a
	// minute ago, and the registry is to hear that it still does.
	a, err := c.cfg.Transport.Post(ctx, pathStatus, "status-"+ulid.Make().String(), body)
	switch {
	case err != nil:
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "registryclient.status", "the registry does not answer")
	case a.Verdict == transport.Accepted:
		return nil
	case a.Verdict == transport.Refused && len(chunk) > 1:
		half := len(chunk) / 2
		if err := c.postChunk(ctx, chunk[:half]); err != nil {
			return err
		}
		return c.postChunk(ctx, chunk[half:])
	case a.Verdict == transport.Refused:
		c.log.WarnContext(ctx, "the registry refuses a status", "appliance", chunk[0].Appliance, "reason", printable(a.Reason))
		return nil
	}
	return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the registry does not take the status: %s", printable(a.Reason))
}
