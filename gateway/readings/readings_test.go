package readings_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
)

// Nothing within the years can be made to expire.
func TestExpire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		second := func(name string) time.Time {
			return time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(t, name), 0).UTC()
		}
		now, before, years := second("now"), second("before"), rapid.IntRange(-1, 12).Draw(t, "years")
		e, err := readings.Expire(now, before, years)
		if err != nil {
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID || e != (readings.Expired{}) {
				t.Fatal(e, err)
			}
			if years >= 3 && !before.After(now.AddDate(-years, 0, 0)) {
				t.Fatalf("%v may go at %v after %d years: %v", before, now, years, err)
			}
			return
		}
		// Its years are over for the youngest that goes.
		if youngest := time.UnixMilli(ends(e) - 1).UTC(); years < 3 || youngest.AddDate(years, 0, 0).After(now) {
			t.Fatalf("%v goes at %v after %d years", youngest, now, years)
		}
	})
}

func TestDays(t *testing.T) {
	from := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	for years := 3; years < 12; years++ {
		if got := from.AddDate(0, 0, readings.Days(years)); got.Before(from.AddDate(years, 0, 0)) {
			t.Errorf("%d days are less than %d years", readings.Days(years), years)
		}
	}
}

// Buckets follow each other without a hole, and each time is in the one that it is
// between the edges of.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := readings.Window{From: rapid.Int64Range(-1e12, 2e12).Draw(t, "from")}
		w.To = w.From + rapid.Int64Range(1, 1e11).Draw(t, "length")
		w.Width = rapid.Int64Range((w.To-w.From)/1000+1, w.To-w.From).Draw(t, "width")
		out := w.Empty()
		if !out[0].From.Equal(time.UnixMilli(w.From)) || !out[len(out)-1].To.Equal(time.UnixMilli(w.To)) {
			t.Fatalf("%+v is from %v to %v", w, out[0].From, out[len(out)-1].To)
		}
		for i := range out {
			if !out[i].From.Before(out[i].To) || i > 0 && !out[i].From.Equal(out[i-1].To) {
				t.Fatalf("bucket %d of %+v: %+v", i, w, out[i])
			}
		}
		at := rapid.Int64Range(w.From, w.To-1).Draw(t, "t")
		if b := out[w.Bucket(at)]; at < b.From.UnixMilli() || at >= b.To.UnixMilli() {
			t.Fatalf("%d is not in %+v", at, b)
		}
	})
}

func ends(e readings.Expired) int64 {
	_, before := e.Span()
	return before
}
