package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/gateway/readings/readingstest"
	"github.com/coldkeep/coldkeep/gateway/readings/sqlite"
)

func open(t testing.TB) *sqlite.Store {
	s, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "readings.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	readingstest.Run(t, func(t *testing.T) readings.Store { return open(t) })
}

func BenchmarkRead(b *testing.B) { readingstest.Bench(b, open(b)) }

// More than a page of old readings goes in pages, also of one millisecond.
func TestPrunePages(t *testing.T) {
	s := open(t)
	k := coldkeep.Series{Site: "s", Agent: "a", Probe: "p"}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cut := now.AddDate(-5, 0, 0)
	var rs []coldkeep.Reading
	for i := range int64(45_000) {
		at := cut.UnixMilli() - 1 - i/30_000 // most in the last millisecond but one
		rs = append(rs, coldkeep.Reading{Series: k, Epoch: "01JD3K8W2M5N6P7Q8R9S0T1V2W", Seq: i + 1, At: at, Celsius: 1})
	}
	rs = append(rs, coldkeep.Reading{Series: k, Epoch: "01JD3K8W2M5N6P7Q8R9S0T1V2W", Seq: 99_999, At: cut.UnixMilli(), Celsius: 1})
	if err := s.Append(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
	e, err := readings.Expire(now, cut, 5)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Prune(t.Context(), k, e); err != nil || n != 45_000 {
		t.Fatalf("%d gone, %v", n, err)
	}
	if n, err := s.Count(t.Context(), k, 0, now.UnixMilli()); err != nil || n != 1 {
		t.Fatalf("%d left, %v", n, err)
	}
}
