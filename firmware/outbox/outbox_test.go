package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

const none = coldkeep.NoTemperature

// clock is a clock that is set by hand.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time                                   { return c.now }
func (c *clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func testConfig(t testing.TB) Config {
	return Config{Path: filepath.Join(t.TempDir(), "outbox.db"), Site: "clinic", Agent: "pi", Clock: &clock{time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}}
}

func mustOpen(t testing.TB, cfg Config) *Box {
	t.Helper()
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func reading(probe string, at int64, c coldkeep.Temperature) Record {
	r := Record{Record: wire.Record{Probe: coldkeep.ProbeID(probe), At: at, Celsius: c, Raw: none, Lo: none, Hi: none}, Clock: wire.ClockNTP}
	if !c.Known() {
		r.Quality = coldkeep.QualityCRC
	}
	return r
}

func mustAppend(t testing.TB, b *Box, records ...Record) {
	t.Helper()
	if err := b.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t testing.TB, b *Box, seq int64, limit, maxBytes int) []Record {
	t.Helper()
	got, err := b.ReadFrom(t.Context(), seq, limit, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	cfg := testConfig(t)
	b := mustOpen(t, cfg)
	full := reading("28-000005e2fdc3", 1_700_000_000_123, 4312)
	full.Raw, full.Lo, full.Hi, full.Quality, full.Config = 4437, -1, 0, coldkeep.QualityUncalibrated, 7
	event := Record{Record: wire.Record{At: 1, Celsius: none, Raw: none, Lo: none, Hi: none, Event: wire.EventPowerLost, Detail: "ups 87 %"}, Clock: wire.ClockRTC, Config: 7}
	in := []Record{full, reading("b", 2, none), event}
	mustAppend(t, b, in...)
	before, _ := b.Head()
	epoch := b.State().Epoch
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	b = mustOpen(t, cfg)
	if got := b.State(); got != (State{Epoch: epoch, Last: 3, Oldest: 1}) || before != 3 {
		t.Errorf("state %+v", got)
	}
	var out []Record
	for seq := int64(1); seq <= 3; seq++ {
		out = append(out, mustRead(t, b, seq, 1, 1)...)
	}
	for i := range in {
		in[i].Seq = int64(i + 1)
		if out[i] != in[i] {
			t.Errorf("record %d\n%+v\nwant\n%+v", i, out[i], in[i])
		}
	}
}

func TestReadFromGivesWhatFitsOneBatch(t *testing.T) {
	b := mustOpen(t, testConfig(t))
	for i := range 10 {
		r := reading("p", int64(i), 4000)
		if i >= 4 {
			r.Clock = wire.ClockUnsynced
		}
		if i >= 7 {
			r.Config = 2
		}
		mustAppend(t, b, r)
	}
	for _, c := range []struct {
		seq          int64
		limit, bytes int
		from, to     int64
	}{
		{1, 1000, 1 << 20, 1, 4}, // another clock
		{5, 1000, 1 << 20, 5, 7}, // another configuration
		{8, 1000, 1 << 20, 8, 10},
		{1, 2, 1 << 20, 1, 2},
		{1, 1000, 400, 1, 2}, // 151 bytes each
		{1, 1000, 1, 1, 1},   // one at least
		{-5, 1, 1 << 20, 1, 1},
		{11, 1000, 1 << 20, 0, -1},
	} {
		got := mustRead(t, b, c.seq, c.limit, c.bytes)
		if int64(len(got)) != c.to-c.from+1 && c.from != 0 || c.from == 0 && len(got) != 0 {
			t.Errorf("from %d, %d records, %d bytes: %d records, want %d to %d", c.seq, c.limit, c.bytes, len(got), c.from, c.to)
			continue
		}
		if c.from != 0 && got[0].Seq != c.from {
			t.Errorf("from %d: begins at %d", c.seq, got[0].Seq)
		}
	}
}

// The bound of wireSize holds for whatever a record may carry.
func TestWireSizeIsABound(t *testing.T) {
	const low = coldkeep.Temperature(-2147483647)
	r := Record{Record: wire.Record{Probe: coldkeep.ProbeID(strings.Repeat("p", 64)), At: -1 << 62, Celsius: low, Raw: low, Lo: low, Hi: low,
		Quality: coldkeep.QualityUncalibrated, Detail: strings.Repeat("<", 1024)}}
	b := wire.Batch{Records: []wire.Record{r.Record, r.Record}}
	two := len(wire.AppendBatch(nil, &b))
	b.Records = b.Records[:1]
	if one := two - len(wire.AppendBatch(nil, &b)); one > wireSize(&r) {
		t.Errorf("a record is of %d bytes, the bound says %d", one, wireSize(&r))
	}
}

func TestAck(t *testing.T) {
	cfg := testConfig(t)
	b := mustOpen(t, cfg)
	mustAppend(t, b, reading("p", 1, 4000), reading("p", 2, 4000), reading("p", 3, 4000))
	epoch := b.State().Epoch
	for _, c := range []struct {
		epoch string
		seq   int64
		acked int64
		code  string
	}{
		{epoch, 2, 2, ""},
		{epoch, 1, 2, ""},                        // lower: ignored
		{epoch, 2, 2, ""},                        // again
		{"01JD3K8W2M5N6P7Q8R9S0T1V2W", 3, 2, ""}, // of another epoch: ignored
		{epoch, 4, 2, coldkeep.ECONFLICT},        // of what there is not
		{epoch, 3, 3, ""},
	} {
		if err := b.Ack(t.Context(), c.epoch, c.seq); coldkeep.ErrorCode(err) != c.code {
			t.Errorf("ack %d: %v, want %q", c.seq, err, c.code)
		}
		if got := b.State().Acked; got != c.acked {
			t.Errorf("ack %d: acked up to %d, want %d", c.seq, got, c.acked)
		}
	}
	if p := b.State().Pending(); p != 0 {
		t.Errorf("%d pending", p)
	}
	_ = b.Close()
	if got := mustOpen(t, cfg).State().Acked; got != 3 {
		t.Errorf("acked up to %d after a restart, want 3", got)
	}
}

func TestDeliveredIsKeptThirtyDays(t *testing.T) {
	cfg := testConfig(t)
	now := cfg.Clock.(*clock)
	b := mustOpen(t, cfg)
	for day := range 40 {
		mustAppend(t, b, reading("p", int64(day), 4000))
		if day == 19 { // what comes after day 19 stays undelivered
			if err := b.Ack(t.Context(), b.State().Epoch, 20); err != nil {
				t.Fatal(err)
			}
		}
		now.now = now.now.Add(24 * time.Hour)
	}
	// At the last append, on day 39, what was written before day 9 is older than 30 days.
	if st := b.State(); st.Oldest != 10 || st.Last != 40 {
		t.Errorf("day 39: %+v, want the first nine records gone", st)
	}
	now.now = now.now.Add(1000 * 24 * time.Hour)
	mustAppend(t, b, reading("p", 41, 4000))
	if st := b.State(); st.Oldest != 21 {
		t.Errorf("years later: %+v, want the delivered records gone and the others kept", st)
	}
	if last, err := b.Last(t.Context()); err != nil || !last["p"].Equal(time.UnixMilli(41)) {
		t.Errorf("last %v, %v", last, err)
	}
}

// When there is no space the delivered records go first; then the oldest
// undelivered ones, and the book says so. Numbers go on without a hole.
func TestSpace(t *testing.T) {
	cfg := testConfig(t)
	cfg.MaxBytes = 300 << 10
	b := mustOpen(t, cfg)
	batch := make([]Record, 1000)
	fill := func() {
		for i := range batch {
			batch[i] = reading("28-000005e2fdc3", int64(i), 4000)
		}
		mustAppend(t, b, batch...)
	}
	for b.State().Oldest == 1 {
		fill()
		if err := b.Ack(t.Context(), b.State().Epoch, b.State().Last); err != nil {
			t.Fatal(err)
		}
	}
	if n := wrapped(t, b); n != 0 {
		t.Errorf("%d outbox-wrapped records while only delivered ones went", n)
	}
	acked := b.State().Acked
	for b.State().Oldest <= acked+1 {
		fill()
	}
	st := b.State()
	if n := wrapped(t, b); n == 0 {
		t.Error("undelivered records went, and the book does not say so")
	}
	if got := mustRead(t, b, 1, 1, 1); got[0].Seq != st.Oldest {
		t.Errorf("oldest is %d, state says %d", got[0].Seq, st.Oldest)
	}
	checkBook(t, b)
	fi, err := os.Stat(cfg.Path)
	if err != nil || fi.Size() > 2*cfg.MaxBytes {
		t.Errorf("file of %d bytes for a bound of %d: %v", fi.Size(), cfg.MaxBytes, err)
	}
}

func wrapped(t *testing.T, b *Box) (n int) {
	t.Helper()
	if err := b.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM record WHERE e = 'outbox-wrapped'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// checkBook checks that the numbers held are consecutive up to the last.
func checkBook(t testing.TB, b *Box) {
	t.Helper()
	st := b.State()
	next := st.Oldest
	for next <= st.Last {
		got := mustRead(t, b, next, 1000, 1<<30)
		if len(got) == 0 || got[0].Seq != next {
			t.Fatalf("record %d is not there", next)
		}
		next = got[len(got)-1].Seq + 1
	}
}

func TestDamagedFileIsSetAside(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"no database": func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a page of zeros": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(make([]byte, 8192), 4096); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
		},
		"a record missing":         func(t *testing.T, path string) { execute(t, path, `DELETE FROM record WHERE seq = 500`) },
		"the last record missing":  func(t *testing.T, path string) { execute(t, path, `DELETE FROM record WHERE seq = 1000`) },
		"the book's line missing":  func(t *testing.T, path string) { execute(t, path, `DELETE FROM book`) },
		"the head is not a digest": func(t *testing.T, path string) { execute(t, path, `UPDATE book SET head = x'00'`) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			b := mustOpen(t, cfg)
			records := make([]Record, 1000)
			for i := range records {
				records[i] = reading("p", 1, 4000)
			}
			mustAppend(t, b, records...)
			old := b.State().Epoch
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			damage(t, cfg.Path)
			b = mustOpen(t, cfg)
			if st := b.State(); st.Epoch == old || st.Last != 0 || !wire.ValidEpoch(st.Epoch) {
				t.Errorf("after damage %+v, want a new epoch", st)
			}
			if aside, err := filepath.Glob(cfg.Path + ".damaged-*"); err != nil || len(aside) != 1 {
				t.Errorf("set aside: %v, %v, want one file", aside, err)
			}
			mustAppend(t, b, reading("p", 2, 4000))
		})
	}
}

func execute(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), statement)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenLeavesAloneWhatIsNotDamaged(t *testing.T) {
	cfg := testConfig(t)
	cfg.Log = nil
	b := mustOpen(t, cfg)
	mustAppend(t, b, reading("p", 1, 4000))

	if _, err := Open(t.Context(), cfg); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second agent on one book: %v, want ECONFLICT", err)
	}
	_ = b.Close()
	other := cfg
	other.Agent = "other"
	if _, err := Open(t.Context(), other); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT || !strings.Contains(err.Error(), "clinic/pi") {
		t.Errorf("another agent's book: %v, want ECONFLICT", err)
	}
	execute(t, cfg.Path, `PRAGMA user_version = 99`)
	if _, err := Open(t.Context(), cfg); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT || !strings.Contains(err.Error(), "newer") {
		t.Errorf("a newer agent's book: %v, want ECONFLICT", err)
	}
	cfg.Path = filepath.Join(cfg.Path, "below", "a", "file")
	if _, err := Open(t.Context(), cfg); coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Errorf("no such folder: %v, want EUNAVAILABLE", err)
	}
	if aside, _ := filepath.Glob(filepath.Join(filepath.Dir(other.Path), "*.damaged-*")); len(aside) != 0 {
		t.Errorf("set aside: %v", aside)
	}
}

// A card that gave back an older state: the collector knows more than the book.
func TestRenumber(t *testing.T) {
	cfg := testConfig(t)
	b := mustOpen(t, cfg)
	for i := range 10 {
		mustAppend(t, b, reading("p", int64(i), coldkeep.Temperature(i)))
	}
	if err := b.Ack(t.Context(), b.State().Epoch, 4); err != nil {
		t.Fatal(err)
	}
	old := b.State().Epoch
	if err := b.Renumber(t.Context()); err != nil {
		t.Fatal(err)
	}
	st := b.State()
	if st.Epoch == old || st.Last != 6 || st.Acked != 0 || st.Oldest != 1 {
		t.Errorf("%+v, want the six undelivered records in a new epoch", st)
	}
	got := mustRead(t, b, 1, 1000, 1<<20)
	for i, r := range got {
		if r.Seq != int64(i+1) || r.At != int64(i+4) {
			t.Errorf("record %d: seq %d, time %d", i, r.Seq, r.At)
		}
	}
	if _, head := b.Head(); head != chain(cfg, st.Epoch, got) {
		t.Error("the head is not the chain of the new epoch")
	}
	_ = b.Close()
	if again := mustOpen(t, cfg).State(); again != st {
		t.Errorf("%+v after a restart, want %+v", again, st)
	}
}

func chain(cfg Config, epoch string, records []Record) wire.Hash {
	h := wire.FirstHash(cfg.Site, cfg.Agent, epoch)
	for i := range records {
		r := &records[i]
		h = h.Next(wire.AppendCanonical(nil, r.Seq, &r.Record, r.Clock, r.Config))
	}
	return h
}

func TestSettings(t *testing.T) {
	cfg := testConfig(t)
	b := mustOpen(t, cfg)
	if got, err := b.Settings(t.Context()); got != nil || err != nil {
		t.Errorf("new book: %q, %v", got, err)
	}
	if err := b.SaveSettings(t.Context(), []byte(`{"cfg":7}`)); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	if got, err := mustOpen(t, cfg).Settings(t.Context()); string(got) != `{"cfg":7}` || err != nil {
		t.Errorf("after a restart: %q, %v", got, err)
	}
}

func TestLastRecorded(t *testing.T) {
	cfg := testConfig(t)
	if at, err := LastRecorded(t.Context(), cfg.Path); !at.IsZero() || err != nil {
		t.Errorf("no book: %v, %v", at, err)
	}
	b := mustOpen(t, cfg)
	mustAppend(t, b, reading("a", 5000, 4000), reading("b", 9000, none), reading("a", 7000, 4000))
	_ = b.Close()
	if at, err := LastRecorded(t.Context(), cfg.Path); at.UnixMilli() != 9000 || err != nil {
		t.Errorf("%v, %v, want 9 s", at, err)
	}
}

func TestWaitDelivered(t *testing.T) {
	b := mustOpen(t, testConfig(t))
	mustAppend(t, b, reading("p", 1, 4000))
	done := make(chan error, 1)
	go func() { done <- b.WaitDelivered(context.WithoutCancel(t.Context())) }()
	if err := b.Ack(t.Context(), b.State().Epoch, 1); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	mustAppend(t, b, reading("p", 2, 4000))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.WaitDelivered(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 5, 1000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			box := mustOpen(b, testConfig(b))
			records := make([]Record, n)
			for b.Loop() {
				for i := range records {
					records[i] = reading("28-000005e2fdc3", int64(i), 4000)
				}
				mustAppend(b, box, records...)
			}
			b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
