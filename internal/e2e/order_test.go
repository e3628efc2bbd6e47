package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
)

// inOrder compares the collector's feed with what the registry has received: every
// entry is there, the revisions of an excursion came in their order, and the hold
// came after the excursion that it is for. It reads both databases from outside.
func (c *chain) inOrder(registryDatabase string) {
	t := c.t
	t.Helper()
	collector := databasetest.Open(t, filepath.Join(c.dir, "collector", "collector.db"))
	registry := databasetest.Open(t, registryDatabase)
	eventually(t, time.Minute, "the registry has all of the feed", func() error {
		var want []string
		for _, body := range column(t, collector.DB, "SELECT body FROM feed ORDER BY n") {
			var ch coldkeep.Change
			if err := json.Unmarshal([]byte(body), &ch); err != nil {
				t.Fatal(err)
			}
			switch {
			case ch.Excursion != nil && ch.Excursion.Kind == coldkeep.DeviceFault: // alerts only
			case ch.Excursion != nil:
				want = append(want, fmt.Sprintf("excursion %s %d", ch.Excursion.ID, ch.Excursion.Revision))
			case ch.Interval != nil:
				want = append(want, fmt.Sprintf("interval %s %d %d", ch.Interval.Probe, ch.Interval.From.UnixMilli(), ch.Interval.Revision))
			}
		}
		got := slices.Concat(
			column(t, registry.DB, "SELECT 'excursion ' || id || ' ' || revision FROM excursions WHERE appliance = 'lakeside-recorded'"),
			column(t, registry.DB, "SELECT 'interval ' || probe || ' ' || from_at || ' ' || revision FROM intervals WHERE appliance = 'lakeside-recorded'"))
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("registry has %d entries of %d: %s", len(got), len(want), firstDifference(got, want))
		}
		return nil
	})
	for _, bad := range column(t, registry.DB, `SELECT a.id || ' revision ' || a.revision FROM excursions a JOIN excursions b
		ON b.id = a.id AND b.revision = a.revision + 1 AND b.received_at < a.received_at`) {
		t.Errorf("excursion %s came after the next one", bad)
	}
	for _, bad := range column(t, registry.DB, `SELECT h.id FROM holds h JOIN excursions x
		ON x.id = h.excursion AND x.revision = 1 AND h.created_at < x.received_at`) {
		t.Errorf("hold %s came before its excursion", bad)
	}
}

func column(t *testing.T, db *sql.DB, query string) (out []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
