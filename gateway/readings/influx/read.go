package influx

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
)

// reader is a language in which InfluxDB can be asked. Times are ms.
type reader interface {
	// points reads a series in order of time.
	points(ctx context.Context, k coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error
	// last gives the time of the last point.
	last(ctx context.Context, k coldkeep.Series) (at int64, ok bool, err error)
	count(ctx context.Context, k coldkeep.Series, from, to int64) (int64, error)
	// values lists the values of a tag in the series that k names; "" is any.
	values(ctx context.Context, tag string, k coldkeep.Series) ([]string, error)
}

// clamp keeps ms within what fits in ns.
func clamp(ms int64) int64 {
	const most = math.MaxInt64/1_000_000 - 1
	return max(-most, min(ms, most))
}

// points tells each's own errors from the server's.
func (s *Store) points(ctx context.Context, op string, k coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	from, to = clamp(from), clamp(to)
	if from >= to {
		return nil
	}
	var stopped error
	err := s.read.points(ctx, k, from, to, func(r *coldkeep.Reading) error {
		stopped = each(r)
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, op, "readings of %s", k)
}

// torn reports whether a point lacks fields that every point has. InfluxDB reads
// field by field, so a point that is being written may come in part.
func torn(r *coldkeep.Reading) bool {
	return r.Seq == 0 || r.Epoch == "" || !r.Celsius.Known() && (r.Quality == "" || r.Quality.HasValue())
}

// tornTries is how often a point is read again until it is whole.
const (
	tornTries = 5
	tornPause = 20 * time.Millisecond
)

// mend reads the points of one millisecond again until they are whole.
func (s *Store) mend(ctx context.Context, k coldkeep.Series, at int64) (out []coldkeep.Reading, err error) {
	for range tornTries {
		if err := (coldkeep.RealClock{}).Sleep(ctx, tornPause); err != nil {
			return nil, err
		}
		out = out[:0]
		if err := s.points(ctx, "influx.Range", k, at, at+1, func(r *coldkeep.Reading) error { out = append(out, *r); return nil }); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(r coldkeep.Reading) bool { return torn(&r) }) {
			break
		}
	}
	for i := range out {
		if r := &out[i]; r.Seq == 0 || r.Epoch == "" {
			return nil, coldkeep.Errorf(coldkeep.EINTERNAL, "point of %s at %v has no seq or epoch", k, r.Time())
		}
	}
	return out, nil
}

// Range reads a series in order.
func (s *Store) Range(ctx context.Context, k coldkeep.Series, from, to int64, each func(*coldkeep.Reading) error) error {
	var same []coldkeep.Reading // of one millisecond
	broken := false
	flush := func() error {
		if broken {
			var err error
			if same, err = s.mend(ctx, k, same[0].At); err != nil {
				return err
			}
			broken = false
		}
		if len(same) > 1 {
			// Within a millisecond the points' times count seqs modulo a million.
			slices.SortStableFunc(same, func(a, b coldkeep.Reading) int { return cmp.Compare(a.Seq, b.Seq) })
		}
		for i := range same {
			if err := each(&same[i]); err != nil {
				return err
			}
		}
		same = same[:0]
		return nil
	}
	err := s.points(ctx, "influx.Range", k, from, to, func(r *coldkeep.Reading) error {
		if len(same) > 0 && same[0].At != r.At {
			if err := flush(); err != nil {
				return err
			}
		}
		same = append(same, *r)
		broken = broken || torn(r)
		return nil
	})
	if err != nil || len(same) == 0 {
		return err
	}
	return flush()
}

// Latest reads the last of a series.
func (s *Store) Latest(ctx context.Context, k coldkeep.Series) (coldkeep.Reading, error) {
	at, ok, err := s.read.last(ctx, k)
	if err != nil {
		return coldkeep.Reading{}, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "influx.Latest", "readings of %s", k)
	}
	var last coldkeep.Reading
	if ok {
		if err := s.Range(ctx, k, at, at+1, func(r *coldkeep.Reading) error { last = *r; return nil }); err != nil {
			return last, err
		}
	}
	if last.Epoch == "" {
		return last, coldkeep.Errorf(coldkeep.ENOTFOUND, "no readings of %s", k)
	}
	return last, nil
}

// Count counts a series.
func (s *Store) Count(ctx context.Context, k coldkeep.Series, from, to int64) (int64, error) {
	from, to = clamp(from), clamp(to)
	if from >= to {
		return 0, nil
	}
	n, err := s.read.count(ctx, k, from, to)
	return n, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "influx.Count", "readings of %s", k)
}
