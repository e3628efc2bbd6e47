package readings

import (
	"context"
	"math"
	"time"

	"github.com/coldkeep/coldkeep"
)

// LeastYears is the shortest time that any programme wants temperature logs to be
// kept (CDC, Vaccine Storage and Handling Toolkit; Vaccines for Children).
const LeastYears = 3

// Days is how many days a store must keep readings so that none goes within a
// number of years, whatever leap days they hold.
func Days(years int) int { return years * 366 }

// Expired is a time within which readings may go. Only Expire makes one: a store
// cannot be told to forget anything else.
type Expired struct{ since, before int64 }

// Span is that time, [since, before) in ms since 1970-01-01 UTC. That of the zero
// Expired is empty.
func (e Expired) Span() (since, before int64) { return e.since, e.before }

// Since leaves out what was measured before a time, ms.
func (e Expired) Since(since int64) Expired {
	return Expired{max(e.since, since), e.before}
}

// Expire checks that what is older than before need not be kept any more: years is
// what the profile of the appliance, or the longest of the profiles of the
// appliances in which the probe has stood, asks for. EINVALID for less than
// LeastYears, and for a time within the years up to now.
func Expire(now, before time.Time, years int) (Expired, error) {
	if years < LeastYears {
		return Expired{}, coldkeep.Errorf(coldkeep.EINVALID, "retention of %d years: no programme allows less than %d", years, LeastYears)
	}
	if earliest := now.AddDate(-years, 0, 0); before.After(earliest) {
		return Expired{}, coldkeep.Errorf(coldkeep.EINVALID, "readings since %s must be kept for %d years; nothing after %s may go",
			before.UTC().Format(time.DateOnly), years, earliest.UTC().Format(time.DateOnly))
	}
	return Expired{math.MinInt64, before.UnixMilli()}, nil
}

// Pruner is a store that can forget.
type Pruner interface {
	// Prune removes the readings of a series that have expired and returns how many
	// there were.
	Prune(ctx context.Context, s coldkeep.Series, e Expired) (int64, error)
}
