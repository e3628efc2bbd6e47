package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

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
