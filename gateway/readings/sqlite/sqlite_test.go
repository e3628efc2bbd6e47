package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/gateway/readings/readingstest"
	"github.com/coldkeep/coldkeep/gateway/readings/sqlite"
)

func TestContract(t *testing.T) {
	readingstest.Run(t, func(t *testing.T) readings.Store {
		s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "readings.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}
