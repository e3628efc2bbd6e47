package uplink

import (
	"crypto/ed25519"
	"path/filepath"
	"testing"

	"github.com/coldkeep/coldkeep/firmware/collectortest"
	"github.com/coldkeep/coldkeep/firmware/outbox"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// Whoever has a sealed record has its seal: it comes with every batch that holds
// the record, however often and after whatever cuts, and the birth brings the key.
func TestSealsTravelWithTheirRecords(t *testing.T) {
	key := ed25519.NewKeyFromSeed([]byte("thirty-two bytes of a test's key"))
	pub := key.Public().(ed25519.PublicKey)
	r := start(t, func(c *Config) {
		_ = c.Outbox.Close()
		box, err := outbox.Open(t.Context(), outbox.Config{Path: filepath.Join(t.TempDir(), "outbox.db"), Site: "clinic", Agent: "pi", Key: key})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = box.Close() })
		c.Outbox = box
	})
	r.box = r.link.cfg.Outbox
	r.Await("the key", func(v *collectortest.View) bool {
		return v.Status != nil && v.Status.Key == wire.KeyID(pub) && v.Status.Pub == wire.EncodeKey(pub)
	})
	for range 3 {
		r.add(2500)
		r.Cut()
		r.add(7)
	}
	r.delivered()
	epoch := r.box.State().Epoch
	r.Send(wire.LeafCommand, false, wire.Command{V: 1, Cmd: wire.CommandResend, Epoch: epoch, From: 1000, To: 3000})
	r.Await("the range again", func(v *collectortest.View) bool { return v.Came[epoch][3000] >= 2 })
	r.View(func(v *collectortest.View) {
		sealed := map[int64]bool{}
		for _, b := range v.Batches {
			last := b.Seq + int64(len(b.Records)) - 1
			want, err := r.box.Seal(t.Context(), last)
			if err != nil {
				t.Fatal(err)
			}
			if (b.Seal == nil) != (want == nil) || want != nil && *b.Seal != *want {
				t.Errorf("batch of %d to %d has seal %+v, want %+v", b.Seq, last, b.Seal, want)
			}
			if want != nil {
				sealed[last] = true
				if !b.Seal.Verify(pub, "clinic", "pi", epoch) {
					t.Errorf("seal %+v", b.Seal)
				}
			}
			for seq := b.Seq; seq < last; seq++ {
				if s, _ := r.box.Seal(t.Context(), seq); s != nil {
					t.Errorf("batch of %d to %d goes beyond the seal of %d", b.Seq, last, seq)
				}
			}
		}
		if len(sealed) < 7 {
			t.Errorf("only %d seals of %d records", len(sealed), r.box.State().Last)
		}
	})
}
