package outbox

import (
	"crypto/ed25519"
	"database/sql"
	"net/url"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

var testKey = ed25519.NewKeyFromSeed([]byte("thirty-two bytes of a test's key"))

// seals lists the seqs that are sealed.
func seals(t testing.TB, b *Box) (out []int64) {
	t.Helper()
	rows, err := b.db.QueryContext(t.Context(), `SELECT seq FROM seal ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			t.Fatal(err)
		}
		out = append(out, seq)
	}
	return out
}

func same(a []int64, b ...int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// A quarter of an hour or a thousand records after the last seal comes the next,
// and the records of one moment stay under one.
func TestSealsAreMadeWhenDue(t *testing.T) {
	cfg := testConfig(t)
	cfg.Key = testKey
	b := mustOpen(t, cfg)
	const minute = 60_000
	first := int64(1_700_000_000_000)
	for m := range int64(31) { // two probes a minute
		mustAppend(t, b, reading("a", first+m*minute, 4000), reading("b", first+m*minute, 4000))
	}
	if got := seals(t, b); !same(got, 2, 32, 62) {
		t.Fatalf("sealed %v", got)
	}
	many := make([]Record, 2500)
	for i := range many {
		many[i] = reading("a", first+31*minute, 4000)
	}
	mustAppend(t, b, many...)
	if got := seals(t, b); !same(got, 2, 32, 62, 1062, 2062) {
		t.Fatalf("sealed %v", got)
	}
	mustAppend(t, b, reading("a", first-365*24*60*minute, 4000)) // the clock goes back
	_ = b.Close()
	b = mustOpen(t, cfg)
	mustAppend(t, b, reading("a", first-365*24*60*minute+1, 4000))
	if got := seals(t, b); !same(got, 2, 32, 62, 1062, 2062, 2563) {
		t.Fatalf("sealed %v", got)
	}
	for _, x := range []struct{ from, to int64 }{{1, 2}, {3, 32}, {40, 62}, {63, 1062}, {2063, 2563}, {2564, 2564}} {
		if got := mustRead(t, b, x.from, 1000, 1<<30); got[0].Seq != x.from || got[len(got)-1].Seq != x.to {
			t.Errorf("a batch from %d ends at %d, want %d", x.from, got[len(got)-1].Seq, x.to)
		}
	}
}

// Seals go with their records, and a new epoch has seals of its own.
func TestSealsFollowTheRecords(t *testing.T) {
	cfg := testConfig(t)
	cfg.Key, cfg.MaxBytes = testKey, 300<<10
	b := mustOpen(t, cfg)
	batch := make([]Record, 1000)
	for b.State().Oldest == 1 {
		for i := range batch {
			batch[i] = reading("28-000005e2fdc3", int64(i)+1_700_000_000_000, 4000)
		}
		mustAppend(t, b, batch...)
	}
	st := b.State()
	got := seals(t, b)
	if len(got) == 0 || got[0] < st.Oldest {
		t.Errorf("seals %v, oldest record %d", got, st.Oldest)
	}
	s, err := b.Seal(t.Context(), got[len(got)-1])
	if err != nil || s.Oldest < 1 || s.Oldest > s.Seq {
		t.Errorf("%+v, %v", s, err)
	}
	if err := b.Renumber(t.Context()); err != nil {
		t.Fatal(err)
	}
	st = b.State()
	all := mustRead(t, b, 1, int(st.Last), 1<<30)
	if s, err = b.Seal(t.Context(), all[len(all)-1].Seq); err != nil || s == nil || !s.Verify(b.PublicKey(), cfg.Site, cfg.Agent, st.Epoch) {
		t.Errorf("seal of the new epoch %+v, %v", s, err)
	}
}

// A book of the version before seals is brought forward, and its first seal covers
// all that it has ever recorded.
func TestBookOfBeforeSeals(t *testing.T) {
	cfg := testConfig(t)
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: cfg.Path}).String())
	if err != nil {
		t.Fatal(err)
	}
	old := mustOpen(t, Config{Path: t.TempDir() + "/x.db", Site: "clinic", Agent: "pi"})
	epoch := old.State().Epoch
	h := wire.FirstHash("clinic", "pi", epoch)
	var records []Record
	for _, q := range []string{migrations[0], `PRAGMA user_version = 1`} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	for seq := int64(1); seq <= 3; seq++ {
		r := reading("a", 1_700_000_000_000+seq, coldkeep.Temperature(seq))
		r.Seq = seq
		h = h.Next(wire.AppendCanonical(nil, seq, &r.Record, r.Clock, r.Config))
		records = append(records, r)
		if _, err := db.ExecContext(t.Context(), `INSERT INTO record (seq, written, t, p, c, q, e, d, clock, cfg) VALUES ($1, 0, $2, 'a', $3, '', '', '', 'ntp', 0)`, seq, r.At, int64(r.Celsius)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO book (id, site, agent, epoch, last, acked, head) VALUES (1, 'clinic', 'pi', $1, 3, 1, $2)`, epoch, h[:]); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()

	cfg.Key = testKey
	b := mustOpen(t, cfg)
	if st := b.State(); st != (State{Epoch: epoch, Last: 3, Acked: 1, Oldest: 1}) {
		t.Fatalf("%+v", st)
	}
	next := reading("a", 1_700_000_000_004, 4)
	mustAppend(t, b, next)
	next.Seq = 4
	s, err := b.Seal(t.Context(), 4)
	if err != nil || s == nil {
		t.Fatal(s, err)
	}
	if got, ok := s.Head(); !ok || got != chain(cfg, epoch, append(records, next)) || !s.Verify(b.PublicKey(), "clinic", "pi", epoch) {
		t.Errorf("%+v", s)
	}
}
