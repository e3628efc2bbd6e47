package outbox

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

func TestAdrift(t *testing.T) {
	ctx := context.Background()
	cfg := Config{Path: filepath.Join(t.TempDir(), "outbox.db"), Site: "clinic", Agent: "pi"}
	box, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = box.Close() }()
	none := coldkeep.NoTemperature
	record := func(boot string, base int64) Record {
		return Record{Record: wire.Record{Probe: "p", At: 1, Celsius: 4000, Raw: none, Lo: none, Hi: none}, Clock: wire.ClockUnsynced, Boot: boot, Base: base}
	}
	// A base that wanders stays in its range; one that leaps, another boot, and a
	// record with a good time in between begin another.
	for _, r := range []Record{record("b1", 0), record("b1", 900), record("b1", 1900), record("b1", 2100), record("b1", -3_600_000), record("b2", -3_600_000), record("", 0), record("b2", -3_600_000)} {
		if err := box.Append(ctx, []Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	adrift := func() string {
		t.Helper()
		got, err := box.Adrift(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(got)
	}
	const want = "[{1 3 b1 0} {4 4 b1 2100} {5 5 b1 -3600000} {6 6 b2 -3600000} {8 8 b2 -3600000}]"
	if got := adrift(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
	if box, err = Open(ctx, cfg); err != nil { // after a restart they are still there
		t.Fatal(err)
	}
	if got := adrift(); got != want {
		t.Errorf("after a restart %s, want %s", got, want)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := box.Settle(ended, "b2", []Record{record("", 0)}); err == nil || adrift() != want || box.State().Last != 8 {
		t.Errorf("%v: half of it was done", err)
	}
	if err := box.Settle(ctx, "b2", []Record{record("", 0)}); err != nil || adrift() != "[]" || box.State().Last != 9 {
		t.Errorf("%v, %s, last %d", err, adrift(), box.State().Last)
	}
	if err := box.Settle(ctx, "b3", nil); err != nil || box.State().Last != 9 {
		t.Errorf("%v, last %d", err, box.State().Last)
	}
	if boot, err := box.Synced(ctx); boot != "b3" || err != nil {
		t.Errorf("synced in %q, %v", boot, err)
	}
	if err := box.Append(ctx, []Record{record("b3", 0)}); err != nil {
		t.Fatal(err)
	}
	if err := box.Renumber(ctx); err != nil || adrift() != "[]" {
		t.Errorf("%v, %s: ranges of numbers that are no more", err, adrift())
	}
}
