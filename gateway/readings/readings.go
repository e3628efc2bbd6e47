// Package readings says what a store of readings must do; sqlite and influx do
// it, and readingstest holds the suite that every store passes.
package readings

import (
	"context"

	"github.com/coldkeep/coldkeep"
)

// Store keeps readings. What Append has returned nil for survives a power cut.
// Every method may be called from several goroutines.
type Store interface {
	// Append makes readings durable. The same reading (site, agent, epoch, seq)
	// again changes nothing. On an error some may have been stored; appending
	// them again is safe. EUNAVAILABLE means try again later, EINVALID that a reading
	// among them can never be stored, such as one older than the store's retention.
	Append(ctx context.Context, rs []coldkeep.Reading) error

	// Range calls each with the readings of a series whose time is in [from, to),
	// in ms, in order of time and then seq. It stops at the first error of each
	// and returns it.
	Range(ctx context.Context, s coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error

	// Latest returns the last reading of a series by time, ENOTFOUND when there is none.
	Latest(ctx context.Context, s coldkeep.Series) (coldkeep.Reading, error)

	// Count returns how many readings of a series have a time in [from, to), in ms.
	Count(ctx context.Context, s coldkeep.Series, from, to int64) (int64, error)

	// Ping reports whether the store would take readings now.
	Ping(ctx context.Context) error

	Close() error
}
