package outbox

import (
	"context"
	"crypto/ed25519"
	"io"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// Whatever is appended and acknowledged, and wherever the process dies in
// between: numbers stay consecutive, nothing undelivered is lost, the head is the
// chain of all that was ever recorded, and acks go back at most to the latest append.
//
// A process that dies is played by copying the files as they are on disk while the
// book is open, and going on with the copy.
func TestBookProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "outbox")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		cfg := Config{Path: filepath.Join(dir, "0", "outbox.db"), Site: "clinic", Agent: "pi", Key: testKey}
		if err := os.Mkdir(filepath.Dir(cfg.Path), 0o700); err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		b, err := Open(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Close() }()
		epoch := b.State().Epoch
		var book []Record      // what the book should hold
		var acked, saved int64 // saved is what the latest append has written of acked
		lives := 0
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				records := make([]Record, rapid.IntRange(0, 5).Draw(t, "n"))
				for i := range records {
					records[i] = drawRecord(t)
				}
				if err := b.Append(ctx, records); err != nil {
					t.Fatal(err)
				}
				if book = append(book, records...); len(records) > 0 {
					saved = acked
				}
			},
			"ack": func(t *rapid.T) {
				seq := rapid.Int64Range(0, int64(len(book))).Draw(t, "seq")
				if err := b.Ack(ctx, epoch, seq); err != nil {
					t.Fatal(err)
				}
				acked = max(acked, seq)
			},
			"die": func(t *rapid.T) {
				lives++
				if lives > 5 {
					t.Skip("enough lives")
				}
				next := filepath.Join(dir, string(rune('0'+lives)))
				copyFolder(t, filepath.Dir(cfg.Path), next)
				_ = b.Close()
				cfg.Path = filepath.Join(next, "outbox.db")
				if b, err = Open(ctx, cfg); err != nil {
					t.Fatal(err)
				}
				acked = saved // the rest is delivered once more
				sameBook(t, b, book)
			},
			"shut down": func(t *rapid.T) {
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				if b, err = Open(ctx, cfg); err != nil {
					t.Fatal(err)
				}
				saved = acked
			},
			"": func(t *rapid.T) {
				want := State{Epoch: epoch, Last: int64(len(book)), Acked: acked, Oldest: 1}
				if got := b.State(); got != want {
					t.Fatalf("state %+v, want %+v", got, want)
				}
				if last, head := b.Head(); last != want.Last || head != chain(cfg, epoch, book) {
					t.Fatalf("head at %d is not the chain of %d records", last, len(book))
				}
			},
		})
		sameBook(t, b, book)
		goodSeals(t, b, cfg, book)
	})
}

// goodSeals wants the seals where the rule wants them, each by the key and of the
// chain there, and no batch beyond one.
func goodSeals(t *rapid.T, b *Box, cfg Config, book []Record) {
	t.Helper()
	pub, epoch := testKey.Public().(ed25519.PublicKey), b.State().Epoch
	var last *Record
	due := int64(-1)
	for i := range book {
		r := &book[i]
		if due >= 0 && r.At != book[due].At || last != nil && r.Seq-last.Seq > wire.SealRecords {
			t.Fatalf("record %d comes after a seal that was due at %d", r.Seq, due+1)
		}
		if since := r.At - at(last); due < 0 && (last == nil || since >= wire.SealEvery.Milliseconds() || -since >= wire.SealEvery.Milliseconds()) {
			due = int64(i)
		}
		s, err := b.Seal(context.Background(), r.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if s == nil {
			continue
		}
		h, ok := s.Head()
		if !ok || h != chain(cfg, epoch, book[:i+1]) || s.Seq != r.Seq || s.Oldest != 1 || s.Check(r.Seq) != "" || !s.Verify(pub, cfg.Site, cfg.Agent, epoch) {
			t.Fatalf("seal %+v of record %d", s, r.Seq)
		}
		from := int64(1)
		if last != nil {
			from = last.Seq + 1
		}
		for got, err := b.ReadFrom(context.Background(), from, 1000, 1<<20); from <= r.Seq; from += int64(len(got)) {
			if err != nil || len(got) == 0 || got[len(got)-1].Seq > r.Seq {
				t.Fatalf("a batch from %d goes beyond the seal of %d: %v", from, r.Seq, err)
			}
		}
		last, due = r, -1
	}
	// The last one's moment may be under way; before it nothing is overdue.
	if due >= 0 && book[due].At != book[len(book)-1].At {
		t.Fatalf("no seal, and one was due at %d", due+1)
	}
}

func at(r *Record) int64 {
	if r == nil {
		return 0
	}
	return r.At
}

// sameBook reads all of the book back.
func sameBook(t *rapid.T, b *Box, book []Record) {
	t.Helper()
	for next := int64(1); next <= int64(len(book)); {
		got, err := b.ReadFrom(context.Background(), next, 1000, 1<<20)
		if err != nil || len(got) == 0 {
			t.Fatalf("record %d: %v", next, err)
		}
		for _, r := range got {
			if want := book[next-1]; r != want || r.Seq != next {
				t.Fatalf("record %d is\n%+v\nwant\n%+v", next, r, want)
			}
			next++
		}
	}
}

func drawRecord(t *rapid.T) Record {
	temperature := rapid.OneOf(rapid.Just(none), rapid.Map(rapid.Int32Range(-100_000, 100_000), func(v int32) coldkeep.Temperature { return coldkeep.Temperature(v) }))
	r := Record{
		Record: wire.Record{
			Probe: coldkeep.ProbeID(rapid.SampledFrom([]string{"a", "28-000005e2fdc3"}).Draw(t, "probe")),
			At:    rapid.Int64Range(0, 1<<41).Draw(t, "at"), Celsius: temperature.Draw(t, "c"),
			Raw: temperature.Draw(t, "r"), Lo: temperature.Draw(t, "lo"), Hi: none,
			Quality: rapid.SampledFrom([]coldkeep.Quality{"", "crc", "clock"}).Draw(t, "q"),
		},
		Clock:  rapid.SampledFrom([]string{wire.ClockNTP, wire.ClockUnsynced}).Draw(t, "clock"),
		Config: rapid.Int64Range(0, 2).Draw(t, "cfg"),
	}
	if rapid.Bool().Draw(t, "event") {
		r.Event, r.Detail = wire.EventBoot, rapid.StringN(0, 20, -1).Draw(t, "detail")
	}
	return r
}

func copyFolder(t *rapid.T, from, to string) {
	t.Helper()
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		in, err := os.Open(filepath.Join(from, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(filepath.Join(to, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, in); err != nil {
			t.Fatal(err)
		}
		_, _ = in.Close(), out.Close()
	}
}
