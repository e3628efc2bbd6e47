package fleet

import (
	"crypto/ed25519"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// What a device sends is what its book has, by the decoder of the contract, and its
// seals fit the chain of what it sends.
func TestSendsItsBook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{Site: "clinic", Devices: 1, First: rapid.IntRange(0, 1000).Draw(t, "device"), Seal: true,
			Batch: rapid.IntRange(1, 200).Draw(t, "batch"), Window: 1_000_000, GzipFrom: rapid.SampledFrom([]int{0, 1, 1024}).Draw(t, "gzip"),
			Start: time.UnixMilli(1_767_225_600_000), Spacing: time.Duration(rapid.IntRange(1, 300_000).Draw(t, "spacing")) * time.Millisecond,
			Record: func(device int, seq, at int64) wire.Record {
				r := Plain(device, seq, at)
				switch seq % 7 {
				case 3:
					r = wire.Record{At: at, Celsius: coldkeep.NoTemperature, Raw: coldkeep.NoTemperature, Lo: coldkeep.NoTemperature, Hi: coldkeep.NoTemperature, Event: wire.EventDoorOpen, Detail: "front"}
				case 5:
					r.Celsius, r.Quality = coldkeep.NoTemperature, coldkeep.QualityCRC
				}
				return r
			}}
		f := New(cfg)
		f.Produce(rapid.IntRange(1, 3000).Draw(t, "records"))
		d := f.devices[0]
		var got []wire.Record
		h := wire.FirstHash("clinic", d.name, d.epoch)
		var sealedSeq, sealedAt int64
		pub, err := wire.DecodeKey(d.pub)
		if err != nil {
			t.Fatal(err)
		}
		for {
			m, ok, _ := d.take(time.Now(), nil)
			if !ok {
				break
			}
			b, bad, err := wire.DecodeBatch(m.payload, 1<<50)
			if err != nil || len(bad) != 0 || b.Seq != int64(len(got))+1 || len(b.Records) > cfg.Batch || b.Epoch != d.epoch {
				t.Fatalf("batch from %d: %v %v", m.from, err, bad)
			}
			for i := range b.Records {
				h = h.Next(wire.AppendCanonical(nil, b.Seq+int64(i), &b.Records[i], b.Clock, b.Config))
			}
			last := b.Seq + int64(len(b.Records)) - 1
			got = append(got, b.Records...)
			if b.Seal == nil {
				if r := b.Records[len(b.Records)-1]; last-sealedSeq >= wire.SealRecords || sealedSeq == 0 || r.At-sealedAt >= wire.SealEvery.Milliseconds() {
					t.Fatalf("no seal at %d, the last was at %d", last, sealedSeq)
				}
				continue
			}
			head, _ := b.Seal.Head()
			if why := b.Seal.Check(last); why != "" || b.Seal.Seq != last || head != h || !b.Seal.Verify(pub, "clinic", d.name, d.epoch) {
				t.Fatalf("seal at %d: %s", last, why)
			}
			sealedSeq, sealedAt = last, b.Records[len(b.Records)-1].At
		}
		n := 0
		f.Records(0, func(seq int64, r *wire.Record) {
			if fmt.Sprintf("%+v", *r) != fmt.Sprintf("%+v", got[seq-1]) {
				t.Fatalf("record %d\nsent %+v\nbook %+v", seq, got[seq-1], *r)
			}
			n++
		})
		if n != len(got) {
			t.Fatalf("%d sent of %d", len(got), n)
		}
	})
}

// What is not acknowledged is sent again: after the wait, from the last ack, one
// message at a time; after an ack as many as before.
func TestSendsAgain(t *testing.T) {
	f := New(Config{Site: "clinic", Devices: 1, Batch: 10, Window: 4, Start: time.UnixMilli(1_767_225_600_000), Spacing: time.Minute})
	f.Produce(100)
	d, now := f.devices[0], time.Now()
	take := func() (out []string) {
		for {
			m, ok, _ := d.take(now, nil)
			if !ok {
				return out
			}
			out = append(out, fmt.Sprint(m.from, "-", m.to, " ", m.fresh))
		}
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
	want("window", take(), "1-10 true", "11-20 true", "21-30 true", "31-40 true")
	if moved := d.ack(15, now, nil); moved != 15 {
		t.Fatal(moved)
	}
	want("one acknowledged", take(), "41-50 true")
	if moved := d.ack(12, now, nil); moved != 0 {
		t.Fatal("a lower ack moved the book")
	}
	now = now.Add(31 * time.Second)
	want("not acknowledged", take(), "16-25 false")
	d.ack(25, now, nil)
	want("acknowledged", take(), "26-35 false", "36-45 false", "46-55 false", "56-65 true")
	d.again = append(d.again, span{3, 14})
	want("asked for", take(), "3-12 false", "13-14 false")
	d.forgetFlights()
	want("connected anew", take(), "26-35 false", "36-45 false", "46-55 false", "56-65 false")
}

func TestEpochs(t *testing.T) {
	seen := map[string]bool{}
	for i := range 2000 {
		e := Epoch(i)
		if !wire.ValidEpoch(e) || seen[e] {
			t.Fatalf("epoch %q of device %d", e, i)
		}
		seen[e] = true
	}
	if len(key(1)) != ed25519.PrivateKeySize || key(1).Equal(key(2)) {
		t.Fatal("keys")
	}
}
