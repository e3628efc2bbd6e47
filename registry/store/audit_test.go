package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/store"
)

func verify(t *testing.T, db *database.DB, anchor []audit.Head) (audit.Summary, []audit.Finding) {
	t.Helper()
	var found []audit.Finding
	sum, err := audit.Verify(t.Context(), store.Look(db), anchor, func(f audit.Finding) error {
		found = append(found, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Whole != (len(found) == 0) || sum.Findings != int64(len(found)) {
		t.Fatalf("%+v with %+v", sum, found)
	}
	return sum, found
}

// Many writers at once make a chain that is whole, and whatever is done to it afterwards is
// found.
func TestTrailIsChained(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		db := databasetest.Open(t, where)
		s, err := store.Open(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 15 {
					err := s.Auth().Tx(context.Background(), func(tx auth.Tx) error {
						for range 1 + i%2 {
							if err := tx.Audit(ctx, audit.Entry{At: noon, WhoID: "w", Who: fmt.Sprint("Writer ", w), What: "patient.view", Subject: "patient/01J", Why: "\x00\xff" + fmt.Sprint(i)}); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		whole, found := verify(t, db, nil)
		if !whole.Whole || whole.Entries != 8*(8+14)+1 || whole.Earlier != 0 {
			t.Fatalf("%+v, %+v", whole, found)
		}
		if again, found := verify(t, db, whole.Heads); !again.Whole {
			t.Fatalf("with its own anchor: %+v", found)
		}
		entries, err := s.Entries(ctx, audit.Query{Patient: "01J", What: "patient.*", Limit: 500})
		if err != nil || len(entries) != 8*22 || entries[0].Why == "" {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		lane := 0
		for _, h := range whole.Heads {
			if h.Seq > 4 {
				lane = h.Lane
			}
		}
		for name, tamper := range map[string]struct {
			with []string
			kind string
			// anchored is that it takes an anchor to find it.
			anchored bool
		}{
			"altered":                    {[]string{`UPDATE audit SET who = 'Somebody else' WHERE lane = $1 AND seq = 3`}, "altered", false},
			"text moved":                 {[]string{`UPDATE audit SET who = who || subject, subject = '' WHERE lane = $1 AND seq = 3`}, "altered", false},
			"deleted":                    {[]string{`DELETE FROM audit WHERE lane = $1 AND seq = 3`}, "missing", false},
			"truncated":                  {[]string{`DELETE FROM audit WHERE lane = $1 AND seq > 3`}, "truncated", false},
			"truncated wholly":           {[]string{`DELETE FROM audit WHERE lane = $1 AND seq > 3`, `UPDATE audit_heads SET seq = 3, hash = (SELECT hash FROM audit WHERE lane = $1 AND seq = 3) WHERE lane = $1`}, "truncated", true},
			"inserted":                   {[]string{`INSERT INTO audit (id, at, who_id, who, what, subject, site, why, detail, lane, seq) SELECT 'x', at, who_id, who, what, subject, site, why, detail, $1, 1000 FROM audit WHERE lane = $1 AND seq = 3`}, "inserted", false},
			"smuggled in as from before": {[]string{`INSERT INTO audit (id, at, who_id, who, what, subject, site, why, detail) SELECT 'x', at, who_id, who, what, subject, site, why, detail FROM audit WHERE lane = $1 AND seq = 3`}, "altered", false},
			"of no lane":                 {[]string{`UPDATE audit SET lane = 77 WHERE lane = $1 AND seq > 3`, `UPDATE audit_heads SET seq = 3 WHERE lane = $1`}, "inserted", false},
		} {
			kept := databaseCopy(t, db)
			for _, q := range tamper.with {
				if _, err := db.ExecContext(ctx, q, lane); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			_, found := verify(t, db, nil)
			if tamper.anchored {
				if len(found) != 0 {
					t.Errorf("%s: found without an anchor: %+v", name, found)
				}
				_, found = verify(t, db, whole.Heads)
			}
			ok := false
			for _, f := range found {
				ok = ok || f.Kind == tamper.kind
			}
			if !ok {
				t.Errorf("%s: found %+v", name, found)
			}
			kept()
			if sum, found := verify(t, db, whole.Heads); !sum.Whole {
				t.Fatalf("%s: not put back: %+v", name, found)
			}
		}
	})
}

// databaseCopy keeps the trail and returns what puts it back.
func databaseCopy(t *testing.T, db *database.DB) func() {
	t.Helper()
	do := func(q string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	for _, table := range []string{"audit", "audit_heads"} {
		do(`CREATE TABLE kept_` + table + ` AS SELECT * FROM ` + table)
	}
	return func() {
		for _, table := range []string{"audit", "audit_heads"} {
			do(`DELETE FROM ` + table)
			do(`INSERT INTO ` + table + ` SELECT * FROM kept_` + table)
			do(`DROP TABLE kept_` + table)
		}
	}
}
