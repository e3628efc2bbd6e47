package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/coldkeep/coldkeep/internal/database"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/store"
)

// rewrite alters an entry of a lane and writes everything after it anew with hashes that fit,
// as somebody would who may write to every table and knows how the chain is made.
func rewrite(ctx context.Context, db *database.DB, lane int, from int64) error {
	var all []audit.Entry
	if err := store.Look(db).Lane(ctx, lane, func(e *audit.Entry) error { all = append(all, *e); return nil }); err != nil {
		return err
	}
	prev := ""
	for i := range all {
		e := &all[i]
		if e.Seq == from {
			e.Who = "Somebody else"
		}
		if e.Seq >= from {
			e.Hash = audit.Link(prev, lane, e.Seq, e)
			if _, err := db.ExecContext(ctx, `UPDATE audit SET who = $1, hash = $2 WHERE id = $3`, e.Who, e.Hash, e.ID); err != nil {
				return err
			}
		}
		prev = e.Hash
	}
	_, err := db.ExecContext(ctx, `UPDATE audit_heads SET hash = $1 WHERE lane = $2`, prev, lane)
	return err
}

// Who may write to every table can do no more unseen than what an anchor that was kept
// elsewhere finds.
func TestTrailUnderAttack(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		db := databasetest.Open(t, where)
		s, err := store.Open(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		write := func(n int) {
			t.Helper()
			for i := range n {
				if err := s.Record(ctx, audit.Entry{At: noon, WhoID: "w", Who: "Writer", What: "patient.view", Subject: "patient/01J", Why: fmt.Sprint(i)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		write(200)
		whole, _ := verify(t, db, nil)
		write(100) // what came after the anchor was taken
		lane := 1
		for _, h := range whole.Heads {
			if h.Lane > 0 && h.Seq > whole.Heads[lane].Seq { // lane 0 has a beginning, which would be missed
				lane = h.Lane
			}
		}
		old := whole.Heads[lane].Seq
		sql := func(with ...string) func() error {
			return func() error {
				for _, q := range with {
					if _, err := db.ExecContext(ctx, q, lane); err != nil {
						return fmt.Errorf("%s: %w", q, err)
					}
				}
				return nil
			}
		}
		for name, attack := range map[string]struct {
			do       func() error
			anchored bool // it takes an anchor to find it
		}{
			"two entries change places":           {sql(`UPDATE audit SET seq = seq + 1000 WHERE lane = $1 AND seq = 3`, `UPDATE audit SET seq = 3 WHERE lane = $1 AND seq = 4`, `UPDATE audit SET seq = 4 WHERE lane = $1 AND seq = 1003`), false},
			"two entries change what they say":    {sql(`UPDATE audit SET why = (SELECT why FROM audit b WHERE b.lane = $1 AND b.seq = 5) WHERE lane = $1 AND seq = 4`), false},
			"an entry says that it was elsewhere": {sql(`UPDATE audit SET patient = '' WHERE lane = $1 AND seq = 3`), false},
			"an entry is moved in time":           {sql(`UPDATE audit SET at = at + 1 WHERE lane = $1 AND seq = 3`), false},
			"a lane goes with its end":            {sql(`DELETE FROM audit WHERE lane = $1`, `DELETE FROM audit_heads WHERE lane = $1`), false},
			"the end is set back alone":           {sql(`UPDATE audit_heads SET seq = 1, hash = (SELECT hash FROM audit WHERE lane = $1 AND seq = 1) WHERE lane = $1`), false},
			"a lane is moved to another":          {sql(`UPDATE audit SET lane = 7 - lane, seq = seq + 5000 WHERE lane = $1`, `UPDATE audit_heads SET seq = 0, hash = '' WHERE lane = $1`), false},
			"all from one entry on is new":        {func() error { return rewrite(ctx, db, lane, 4) }, true},
			"all from the anchor's entry on":      {func() error { return rewrite(ctx, db, lane, old) }, true},
			"a lane goes and its end is set back": {sql(`DELETE FROM audit WHERE lane = $1`, `UPDATE audit_heads SET seq = 0, hash = '' WHERE lane = $1`), true},
			"the whole trail is begun anew": {func() error {
				for _, q := range []string{`DELETE FROM audit`, `UPDATE audit_heads SET seq = 0, hash = ''`} {
					if _, err := db.ExecContext(ctx, q); err != nil {
						return err
					}
				}
				again, err := store.Open(ctx, db)
				if err == nil {
					err = again.Record(ctx, audit.Entry{At: noon, WhoID: "w", Who: "Writer", What: "patient.view", Subject: "patient/01J"})
				}
				return err
			}, true},
			"altered entries pass for those from before": {func() error {
				for _, q := range []string{`UPDATE audit SET lane = -1, who = 'Somebody else' WHERE what <> 'audit.begin'`, `DELETE FROM audit WHERE what = 'audit.begin'`, `UPDATE audit_heads SET seq = 0, hash = ''`} {
					if _, err := db.ExecContext(ctx, q); err != nil {
						return err
					}
				}
				_, err := store.Open(ctx, db)
				return err
			}, true},
		} {
			kept := databaseCopy(t, db)
			if err := attack.do(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, found := verify(t, db, nil); len(found) > 0 == attack.anchored {
				t.Errorf("%s: found without an anchor: %+v", name, found)
			}
			if _, found := verify(t, db, whole.Heads); len(found) == 0 {
				t.Errorf("%s is not found", name)
			}
			kept()
			if sum, found := verify(t, db, whole.Heads); !sum.Whole {
				t.Fatalf("%s: not put back: %+v", name, found)
			}
		}
		// What has come since the anchor is its next holder's to keep: an anchor every day leaves
		// one day open.
		kept := databaseCopy(t, db)
		if err := rewrite(ctx, db, lane, old+1); err != nil {
			t.Fatal(err)
		}
		if _, found := verify(t, db, whole.Heads); len(found) > 0 {
			t.Errorf("%+v", found)
		}
		kept()
	})
}
