package store_test

import (
	"os"
	"testing"
	"testing/fstest"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/store"
)

// A registry of the first version goes on with what it has: excursions have none of
// what was added, and the spans out of service come from the trail.
func TestFromTheFirstVersion(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		db := databasetest.Open(t, where)
		first, err := os.ReadFile("migrations/00001_registry.sql")
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(ctx, "registry", fstest.MapFS{"00001_registry.sql": {Data: first}}); err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{
			`INSERT INTO sites (id, name, vfc_pin, time_zone) VALUES ('lakeside', 'Lakeside', '', 'UTC')`,
			`INSERT INTO appliances (id, site, name, unit, profile, in_service, turn) VALUES ('fridge', 'lakeside', 'Fridge', 'refrigerator', 'cdc', 0, 0), ('other', 'lakeside', 'Other', 'refrigerator', 'cdc', 1, 0)`,
			`INSERT INTO excursions (id, revision, latest, site, appliance, probe, kind, rule, profile, start_at, end_at, peak_at, extreme_mc, minutes_out, actions, state, reason, received_at)
				VALUES ('x', 1, 1, 'lakeside', 'fridge', 'lakeside/pi-1/p', 'too-warm', 'instant', 'cdc@1', 1000, NULL, 1000, 9000, 1, 'log', 'open', '', 1000)`,
			`INSERT INTO assignments (id, site, agent, probe, appliance, from_at, to_at) VALUES ('1', 'lakeside', 'pi-1', 'p', 'fridge', 1000, NULL)`,
			`INSERT INTO lots (id, site, lot, product, cvx, ndc, mvx, expires, funding, doses_on_hand, created_at) VALUES ('l', 'lakeside', 'L', 'P', '03', 'n', 'MSD', '2030-01-01', 'public', 1, 1)`,
			`INSERT INTO devices (site, agent, secret_sha256, revoked, created_at) VALUES ('lakeside', 'pi-1', '00', 0, 1)`,
			`INSERT INTO audit (id, at, who_id, who, what, subject, site, why, detail) VALUES
				('1', 1000, 'm', 'Dana', 'unit.out-of-service', 'unit/fridge', 'lakeside', '', ''), ('2', 2000, 'm', 'Dana', 'unit.in-service', 'unit/fridge', 'lakeside', '', ''),
				('3', 3000, 'm', 'Ines', 'unit.out-of-service', 'unit/fridge', 'lakeside', '', ''), ('4', 4000, 'm', 'Ines', 'lot.move', 'unit/fridge', 'lakeside', '', ''),
				('5', 5000, 'm', 'Ines', 'unit.out-of-service', 'unit/gone', 'lakeside', '', '')`,
		} {
			if _, err := db.ExecContext(ctx, q); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
		s, err := store.Open(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		spans, err := s.ContextsOf(ctx, "fridge")
		if err != nil || len(spans) != 2 || spans[0].From.UnixMilli() != 3000 || spans[0].To != nil || spans[0].By != "Ines" ||
			spans[1].From.UnixMilli() != 1000 || spans[1].To == nil || spans[1].To.UnixMilli() != 2000 || spans[1].Kind != coldkeep.ContextOutOfService {
			t.Errorf("%+v, %v", spans, err)
		}
		if x, err := s.Excursion(ctx, "x"); err != nil || x.MKT != nil || x.Witnesses != nil || x.Contexts != nil || x.Extreme != 9000 {
			t.Errorf("%+v, %v", x, err)
		}
		if all, err := s.Assignments(ctx); err != nil || len(all) != 1 || all[0].Role != "" {
			t.Errorf("%+v, %v", all, err)
		}
		if a, err := s.Appliance(ctx, "fridge"); err != nil || a.Limits != nil {
			t.Errorf("%+v, %v", a, err)
		}
		if l, err := s.Lot(ctx, "l"); err != nil || l.Budget.Warm != nil {
			t.Errorf("%+v, %v", l, err)
		}
		if revision, err := s.MirrorRevision(ctx); err != nil || revision != 2 {
			t.Errorf("revision %d, %v", revision, err)
		}
	})
}
