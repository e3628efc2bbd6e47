package fleet

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// Flood signs in as a device of the fleet and publishes n payloads on its readings
// topic as fast as the broker takes them. It returns how many went out and how long
// that took.
func (f *Fleet) Flood(ctx context.Context, device, n int, payload func(i int) []byte) (sent int, took time.Duration, err error) {
	user, password := f.cfg.Account(device)
	name := f.cfg.Name(device)
	c, err := dial(ctx, f.cfg.Broker, "flood-"+string(name), user, password, nil)
	if err != nil {
		return 0, 0, err
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	c.onPublish = func(string, []byte) {}
	go c.read()
	began := time.Now()
	for ; sent < n; sent++ {
		if err := c.publish(wire.Topic(f.cfg.Site, name, wire.LeafReadings), payload(sent), false); err != nil {
			return sent, time.Since(began), err
		}
	}
	err = c.flush()
	for len(c.room) > 0 && err == nil { // the broker has not confirmed all
		if err = (coldkeep.RealClock{}).Sleep(ctx, 10*time.Millisecond); err == nil {
			select {
			case <-c.done:
				err = c.err()
			default:
			}
		}
	}
	return sent, time.Since(began), err
}
