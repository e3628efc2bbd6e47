package web

import (
	"context"
	"sync"
	"time"

	"github.com/coldkeep/coldkeep"
)

// collectorWait is how long a page waits for the collector before it says that it
// does not answer, and restPeriod for how long no page asks it again then: a person
// waits once, not on every page and three times on some.
const (
	collectorWait = 3 * time.Second
	restPeriod    = 5 * time.Second
)

// Devices says how the devices of a site stand. EUNAVAILABLE when the collector is away.
type Devices interface {
	Devices(ctx context.Context, site coldkeep.SiteID) ([]coldkeep.DeviceHealth, error)
}

// Latest gives the last record of a probe, wherever it stands. ENOTFOUND when nothing has
// come of it, EUNAVAILABLE when the collector is away.
type Latest interface {
	Latest(ctx context.Context, probe coldkeep.Series) (coldkeep.Reading, error)
}

// Verdicts says what each built-in profile makes of the time of an excursion. ENOTFOUND
// when the collector does not know it.
type Verdicts interface {
	Verdicts(ctx context.Context, excursion string) ([]coldkeep.Verdict, error)
}

// Channels names what alerts can be told by, such as "email". EUNAVAILABLE when the
// collector is away.
type Channels interface {
	Channels(ctx context.Context) ([]string, error)
}

// patience remembers that the collector has kept somebody waiting in vain.
type patience struct {
	mu    sync.Mutex
	until time.Time
}

// ask calls the collector for a page. While it rests it is errAway at once.
func ask[T any](ctx context.Context, p *patience, call func(context.Context) (T, error)) (T, error) {
	p.mu.Lock()
	rests := time.Now().Before(p.until)
	p.mu.Unlock()
	if rests {
		var none T
		return none, errAway
	}
	wait, cancel := context.WithTimeout(ctx, collectorWait)
	defer cancel()
	v, err := call(wait)
	if wait.Err() != nil && ctx.Err() == nil {
		p.mu.Lock()
		p.until = time.Now().Add(restPeriod)
		p.mu.Unlock()
		err = coldkeep.Wrap(wait.Err(), coldkeep.EUNAVAILABLE, "web", "The collector does not answer.")
	}
	return v, err
}
