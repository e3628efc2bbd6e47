// Package readings says what a store of readings must do; sqlite and influx do
// it, and readingstest holds the suite that every store passes.
package readings

import (
	"context"
	"time"

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

// Downsample folds the readings of a series in [from, to) into n buckets of equal
// width. Every extreme is in a bucket's Min or Max, and no reading without a value
// takes part in them. maxGap is the silence that counts as a gap.
//
// Only readings in the span [since, until) are looked at: those of a probe's stay
// in an appliance.
func Downsample(ctx context.Context, store Store, s coldkeep.Series, from, to, since, until time.Time, n int, maxGap time.Duration) ([]coldkeep.Bucket, error) {
	if n < 1 || n > 10_000 || !from.Before(to) {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "want 1 to 10000 buckets and from before to")
	}
	lo, hi := from.UnixMilli(), to.UnixMilli()
	if hi-lo < int64(n) {
		n = int(max(hi-lo, 1))
	}
	edge := func(i int) int64 { return lo + (hi-lo)*int64(i)/int64(n) }
	out := make([]coldkeep.Bucket, n)
	sums := make([]int64, n)
	for i := range out {
		out[i] = coldkeep.Bucket{From: time.UnixMilli(edge(i)).UTC(), To: time.UnixMilli(edge(i + 1)).UTC(),
			Min: coldkeep.NoTemperature, Max: coldkeep.NoTemperature, Mean: coldkeep.NoTemperature}
	}
	at := func(t int64) int {
		i := int((t - lo) * int64(n) / (hi - lo))
		for i+1 < n && edge(i+1) <= t { // rounding of the edges
			i++
		}
		for i > 0 && edge(i) > t {
			i--
		}
		return i
	}
	prev := int64(-1)
	err := store.Range(ctx, s, max(lo, since.UnixMilli()), min(hi, until.UnixMilli()), func(r *coldkeep.Reading) error {
		i := at(r.At)
		b := &out[i]
		if prev >= 0 && r.At-prev > maxGap.Milliseconds() {
			for g := at(prev); g <= i; g++ {
				out[g].Gaps++
			}
		}
		prev = r.At
		if !r.Celsius.Known() {
			b.Faults++
			return nil
		}
		if !b.Min.Known() || r.Celsius < b.Min {
			b.Min = r.Celsius
		}
		if !b.Max.Known() || r.Celsius > b.Max {
			b.Max = r.Celsius
		}
		sums[i] += int64(r.Celsius)
		b.Count++
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		if out[i].Count > 0 {
			out[i].Mean = coldkeep.Temperature(sums[i] / int64(out[i].Count))
		}
	}
	return out, nil
}
