package readings

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
)

// Window is a stretch of time in buckets of one width, but for the last, which may
// be shorter. Times are ms since 1970-01-01 UTC.
type Window struct {
	From, To int64 // half open
	Width    int64
	// Only readings in [Since, Until), within From and To, are looked at: those of a
	// probe's stay in an appliance.
	Since, Until int64
}

// Edge is where bucket i begins and i-1 ends.
func (w Window) Edge(i int) int64 { return min(w.From+w.Width*int64(i), w.To) }

// Bucket is the bucket that t, in [From, To), lies in.
func (w Window) Bucket(t int64) int { return int((t - w.From) / w.Width) }

// Empty gives the buckets without a reading.
func (w Window) Empty() []coldkeep.Bucket {
	out := make([]coldkeep.Bucket, w.Bucket(w.To-1)+1)
	for i := range out {
		out[i] = coldkeep.Bucket{From: time.UnixMilli(w.Edge(i)).UTC(), To: time.UnixMilli(w.Edge(i + 1)).UTC(),
			Min: coldkeep.NoTemperature, Max: coldkeep.NoTemperature, Mean: coldkeep.NoTemperature}
	}
	return out
}

// Gap enters a silence between two readings in all buckets that it touches.
func (w Window) Gap(out []coldkeep.Bucket, before, after int64) {
	for i := w.Bucket(before); i <= w.Bucket(after); i++ {
		out[i].Gaps++
	}
}

// Folder is a store that can fold readings in its engine. Fold does what the
// function Fold does.
type Folder interface {
	Fold(ctx context.Context, s coldkeep.Series, w Window, maxGap time.Duration) ([]coldkeep.Bucket, error)
}

// Downsample folds the readings of a series in [from, to) into n buckets of equal
// width, in the store's engine where it can; into fewer where n buckets would not
// be whole milliseconds wide. Every extreme is in a bucket's Min or Max, and no
// reading without a value takes part in them. maxGap is the silence that counts as
// a gap. EINVALID for a range or a number that makes no sense.
//
// Only readings in the span [since, until) are looked at: those of a probe's stay
// in an appliance.
func Downsample(ctx context.Context, store Store, s coldkeep.Series, from, to, since, until time.Time, n int, maxGap time.Duration) ([]coldkeep.Bucket, error) {
	if n < 1 || n > 10_000 || !from.Before(to) {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "want 1 to 10000 buckets and from before to")
	}
	w := Window{From: from.UnixMilli(), To: to.UnixMilli()}
	w.To = max(w.To, w.From+1) // times within one millisecond
	w.Width = (w.To - w.From + int64(n) - 1) / int64(n)
	w.Since, w.Until = max(w.From, since.UnixMilli()), min(w.To, until.UnixMilli())
	if w.Since >= w.Until {
		return w.Empty(), nil
	}
	if f, ok := store.(Folder); ok {
		return f.Fold(ctx, s, w, maxGap)
	}
	return Fold(ctx, store, s, w, maxGap)
}

// Fold reads every reading and folds it here.
func Fold(ctx context.Context, store Store, s coldkeep.Series, w Window, maxGap time.Duration) ([]coldkeep.Bucket, error) {
	out := w.Empty()
	sums := make([]int64, len(out))
	prev, seen := int64(0), false
	err := store.Range(ctx, s, w.Since, w.Until, func(r *coldkeep.Reading) error {
		i := w.Bucket(r.At)
		b := &out[i]
		if seen && r.At-prev > maxGap.Milliseconds() {
			w.Gap(out, prev, r.At)
		}
		prev, seen = r.At, true
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
