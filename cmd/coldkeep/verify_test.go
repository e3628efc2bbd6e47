package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/evidence"
	"github.com/coldkeep/coldkeep/gateway/ledger"
	"github.com/coldkeep/coldkeep/gateway/readings/sqlite"
	"github.com/coldkeep/coldkeep/gateway/wire"
	"github.com/coldkeep/coldkeep/internal/database"
)

// verify answers by its exit code, and its last line is the summary.
func TestVerify(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	db, err := database.Open(ctx, filepath.Join(dir, "collector.db"))
	if err != nil {
		t.Fatal(err)
	}
	led, err := ledger.Open(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(ctx, filepath.Join(dir, "readings.db"))
	if err != nil {
		t.Fatal(err)
	}
	const epoch = "01jd3k8w2m5n6p7q8r9s0t1v2w"
	e := ledger.Epoch{Site: "clinic", Agent: "pi-1", Epoch: epoch}
	key := ed25519.NewKeyFromSeed([]byte("thirty-two bytes of a test's key"))
	pub := key.Public().(ed25519.PublicKey)
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	if _, err := led.NoteKey(ctx, now, e.Site, e.Agent, wire.KeyID(pub), wire.EncodeKey(pub)); err != nil {
		t.Fatal(err)
	}
	none := coldkeep.NoTemperature
	r := coldkeep.Reading{Series: coldkeep.Series{Site: e.Site, Agent: e.Agent, Probe: "p"}, Epoch: epoch, Seq: 1, At: now.UnixMilli(), Celsius: 4000, Raw: none, Lo: none, Hi: none}
	rec := wire.Record{Probe: "p", At: r.At, Celsius: 4000, Raw: none, Lo: none, Hi: none}
	b := wire.Batch{Epoch: epoch, Seq: 1, Oldest: 1, Clock: "ntp", Records: []wire.Record{rec}}
	b.Seal = wire.NewSeal(key, e.Site, e.Agent, epoch, 1, 1, wire.FirstHash(e.Site, e.Agent, epoch).Next(wire.AppendCanonical(nil, 1, &rec, "ntp", 0)))
	entry := ledger.Entry{Epoch: e, From: 1, To: 1, Oldest: 1, Clock: "ntp"}
	if err := evidence.NewArrivals(led).Take(ctx, now, &entry, &b, nil); err != nil {
		t.Fatal(err)
	}
	if err := store.Append(ctx, []coldkeep.Reading{r}); err != nil {
		t.Fatal(err)
	}
	if _, err := led.Commit(ctx, now, []ledger.Entry{entry}); err != nil {
		t.Fatal(err)
	}
	check := func(code int, lines int, whole bool, args ...string) {
		t.Helper()
		got, out, said := program(t, append([]string{"verify", "--data", dir}, args...)...)
		all := strings.Split(strings.TrimSpace(out), "\n")
		var sum struct {
			Kind  string
			Whole bool
			Keys  []struct{ Key string }
		}
		if err := json.Unmarshal([]byte(all[len(all)-1]), &sum); got != code || len(all) != lines || err != nil || sum.Kind != "summary" || sum.Whole != whole ||
			len(sum.Keys) != 1 || sum.Keys[0].Key != wire.KeyID(pub) {
			t.Errorf("%q ends with %d, %v:\n%s%s", args, got, err, out, said)
		}
		if whole != strings.Contains(said, "whole: 1 readings") {
			t.Errorf("said %q", said)
		}
	}
	check(0, 1, true)
	check(0, 1, true, "--site", "clinic", "--agent", "pi-1", "--from", "2026-02-28", "--to", "2026-03-02T00:00:00+01:00")
	r.Seq = 2
	if err := store.Append(ctx, []coldkeep.Reading{r}); err != nil {
		t.Fatal(err)
	}
	check(1, 2, false)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	check(1, 2, false)
	// A person's note stands beside it, and changes nothing.
	code, out, said := program(t, "annotate", "--data", dir, "--site", "clinic", "--agent", "pi-1", "--from", "2026-03-01", "--to", "2026-03-02", "--person", "Anna", "the door was open")
	if code != exitDone || !strings.Contains(out, `"why":"the door was open"`) {
		t.Errorf("annotate ends with %d: %s%s", code, out, said)
	}
	check(1, 3, false)
	for _, args := range [][]string{{"--from", "2026-03-02", "--to", "2026-03-01"}, {"--from", "yesterday", "--to", "2026-03-01"}, {"--from", "2026-03-01", "--to", "2026-03-02", "--agent", "No Name"}} {
		if code, _, said := program(t, append([]string{"annotate", "--data", dir, "--site", "clinic", "--person", "Anna", "why"}, args...)...); code != exitUsage || said == "" {
			t.Errorf("%q ends with %d: %s", args, code, said)
		}
	}
	if code, _, said := program(t, "verify", "--data", dir, "--site", "elsewhere"); code != exitUsage || !strings.Contains(said, "elsewhere") {
		t.Errorf("a site that is not there: %d, %s", code, said)
	}
}
