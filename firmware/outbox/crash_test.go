package outbox

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// disk is the book's files as a card holds them.
type disk struct{ db, wal []byte }

func readDisk(path string) (d disk) {
	d.db, _ = os.ReadFile(path)           // absent is empty
	d.wal, _ = os.ReadFile(path + "-wal") // as above
	return d
}

// put writes the files into a new folder and returns the book's path there.
func (d disk) put(t *rapid.T, dir string) string {
	path := filepath.Join(dir, "outbox.db")
	for name, content := range map[string][]byte{path: d.db, path + "-wal": d.wal} {
		if len(content) == 0 {
			continue
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// torn is what may be on the card when the power goes during a write: of each block of
// the new file that differs from the old, the old or the new content, and where the
// file grew, also nothing or an end in the middle.
func torn(t *rapid.T, old, fresh []byte, what string) []byte {
	const block = 512
	out := bytes.Clone(fresh)
	if len(fresh) > len(old) {
		out = out[:rapid.IntRange(len(old), len(fresh)).Draw(t, what+" ends at")]
	}
	for at := 0; at < len(out); at += block {
		end := min(at+block, len(out))
		had := make([]byte, end-at) // zeros where the file did not reach
		if at < len(old) {
			copy(had, old[at:])
		}
		if !bytes.Equal(had, out[at:end]) && rapid.Bool().Draw(t, what+" block is old") {
			copy(out[at:end], had)
		}
	}
	return out
}

// fill appends some batches and gives the book that should be there and the disk after
// each.
func fill(t *rapid.T, cfg Config, n int) (books [][]Record, disks []disk, b *Box) {
	b, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var book []Record
	books, disks = append(books, nil), append(disks, readDisk(cfg.Path))
	for range n {
		records := make([]Record, rapid.IntRange(1, 8).Draw(t, "records"))
		for i := range records {
			records[i] = drawRecord(t)
		}
		if rapid.Bool().Draw(t, "acked before") && len(book) > 0 {
			if err := b.Ack(context.Background(), b.State().Epoch, int64(len(book))); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Append(context.Background(), records); err != nil {
			t.Fatal(err)
		}
		book = append(book, records...)
		books, disks = append(books, slices.Clone(book)), append(disks, readDisk(cfg.Path))
	}
	return books, disks, b
}

// The power goes while a batch is written, and what was not synced is there in part, in
// any part. What had been recorded before is whole, under its epoch and numbers; of the
// batch there is all or nothing; and the chain is that of what is there.
func TestPowerCutInAWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "outbox")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		cfg := Config{Path: filepath.Join(dir, "outbox.db"), Site: "clinic", Agent: "pi", Key: testKey}
		books, disks, b := fill(t, cfg, rapid.IntRange(1, 12).Draw(t, "batches"))
		epoch := b.State().Epoch
		defer func() { _ = b.Close() }()
		last := len(books) - 1
		before, after := disks[last-1], disks[last]
		cut := disk{before.db, torn(t, before.wal, after.wal, "log")}
		if !bytes.Equal(before.db, after.db) { // a checkpoint: the log was synced before
			cut = disk{torn(t, before.db, after.db, "file"), after.wal}
		}
		next := filepath.Join(dir, "next")
		if err := os.Mkdir(next, 0o700); err != nil {
			t.Fatal(err)
		}
		again := cfg
		again.Path = cut.put(t, next)
		c, err := Open(context.Background(), again)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		st := c.State()
		if st.Epoch != epoch || c.Lost() != "" {
			t.Fatalf("a cut in a write was taken for damage: %s", c.Lost())
		}
		book := books[last]
		if st.Last == int64(len(books[last-1])) {
			book = books[last-1]
		}
		if st.Last != int64(len(book)) {
			t.Fatalf("%d records, want %d or %d", st.Last, len(books[last-1]), len(books[last]))
		}
		sameBook(t, c, book)
		if _, head := c.Head(); head != chain(cfg, epoch, book) {
			t.Fatal("the head is not the chain of what is there")
		}
	})
}

// A card damages what it had been given for good, anywhere. Either nothing of the book
// is touched by it, or it is found out: a new epoch begins, the old files are kept and
// the loss is told. Only the very last commit cannot be told from one that the power
// cut; then that alone is missing, which the collector's ack shows.
func TestDamageIsFoundOut(t *testing.T) {
	found, missed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "outbox")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		cfg := Config{Path: filepath.Join(dir, "outbox.db"), Site: "clinic", Agent: "pi", Key: testKey}
		books, disks, b := fill(t, cfg, rapid.IntRange(3, 12).Draw(t, "batches"))
		epoch, acked := b.State().Epoch, b.State().Acked
		d := disks[len(disks)-1]
		if rapid.Bool().Draw(t, "shut down in order") {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			d = readDisk(cfg.Path)
		} else {
			defer func() { _ = b.Close() }()
		}
		hit := d.db
		if len(d.wal) > 0 && (len(d.db) == 0 || rapid.Bool().Draw(t, "in the log")) {
			hit = d.wal
		}
		at := rapid.IntRange(0, len(hit)-1).Draw(t, "at")
		for i := at; i < min(len(hit), at+rapid.IntRange(1, 64).Draw(t, "bytes")); i++ {
			hit[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		}
		next := filepath.Join(dir, "next")
		if err := os.Mkdir(next, 0o700); err != nil {
			t.Fatal(err)
		}
		again := cfg
		again.Path = d.put(t, next)
		c, err := Open(context.Background(), again)
		if err != nil {
			t.Skip("the file says it is another's or of another version, and is left alone: ", err)
		}
		defer func() { _ = c.Close() }()
		st := c.State()
		if st.Epoch != epoch {
			found++
			aside, _ := filepath.Glob(again.Path + ".damaged-*")
			if len(aside) == 0 || !strings.Contains(c.Lost(), "damaged") || st.Last != 0 {
				t.Fatalf("files set aside %q, told %q, %+v", aside, c.Lost(), st)
			}
			return
		}
		book := books[len(books)-1]
		if n := len(books) - 1; st.Last == int64(len(books[n-1])) {
			missed++
			book = books[n-1]
		}
		if st.Last != int64(len(book)) {
			t.Fatalf("%d records of the epoch, without a word; want %d", st.Last, len(book))
		}
		// What is not delivered is as it was recorded; what is, the collector has.
		for seq := acked + 1; seq <= st.Last; {
			got, err := c.ReadFrom(context.Background(), seq, 1000, 1<<20)
			if err != nil || len(got) == 0 {
				t.Fatalf("record %d: %v", seq, err)
			}
			for _, r := range got {
				if r != book[seq-1] {
					t.Fatalf("record %d is, without a word,\n%+v\nwant\n%+v", seq, r, book[seq-1])
				}
				seq++
			}
		}
	})
	t.Logf("%d damages found, the last commit gone in %d", found, missed)
}
