package wire

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
)

func testKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte("thirty-two bytes of a test's key"))
}

// What a seal signs is public and fixed, as the canonical bytes are: seals that
// were made years ago are verified against it. Hash, key id and signature were made
// once by another program (openssl dgst, openssl pkeyutl -sign -rawin).
func TestSignedBytesAreFixed(t *testing.T) {
	h := FirstHash("clinic", "pi-1", epoch)
	s := NewSeal(testKey(), "clinic", "pi-1", epoch, 10484, 9001, h)
	want := "coldkeep/1\x1fclinic\x1fpi-1\x1f01jd3k8w2m5n6p7q8r9s0t1v2w\x1f10484\x1f9001\x1f" + sealedHash
	if got := string(AppendSigned(nil, "clinic", "pi-1", epoch, s)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if s.Hash != sealedHash || s.Key != sealKey || s.Sig != sealSig {
		t.Errorf("seal %+v", s)
	}
	if !s.Verify(testKey().Public().(ed25519.PublicKey), "clinic", "pi-1", epoch) {
		t.Error("the seal does not verify")
	}
}

func TestSealIsOfOneDeviceAndEpoch(t *testing.T) {
	pub := testKey().Public().(ed25519.PublicKey)
	other, _, _ := ed25519.GenerateKey(nil)
	good := *NewSeal(testKey(), "clinic", "pi-1", epoch, 5, 1, Hash{1})
	change := func(f func(*Seal)) *Seal {
		s := good
		f(&s)
		return &s
	}
	for name, ok := range map[string]bool{
		"itself":       good.Verify(pub, "clinic", "pi-1", epoch),
		"another key":  !good.Verify(other, "clinic", "pi-1", epoch),
		"no key":       !good.Verify(nil, "clinic", "pi-1", epoch),
		"site":         !good.Verify(pub, "clinic2", "pi-1", epoch),
		"agent":        !good.Verify(pub, "clinic", "pi-2", epoch),
		"moved border": !good.Verify(pub, "clinicp", "i-1", epoch),
		"epoch":        !good.Verify(pub, "clinic", "pi-1", strings.ToUpper(epoch)),
		"seq":          !change(func(s *Seal) { s.Seq++ }).Verify(pub, "clinic", "pi-1", epoch),
		"oldest":       !change(func(s *Seal) { s.Oldest++ }).Verify(pub, "clinic", "pi-1", epoch),
		"hash":         !change(func(s *Seal) { s.Hash = NewSeal(testKey(), "", "", "", 1, 1, Hash{2}).Hash }).Verify(pub, "clinic", "pi-1", epoch),
		"signature":    !change(func(s *Seal) { s.Sig = "A" + s.Sig[1:] }).Verify(pub, "clinic", "pi-1", epoch),
		"checked":      good.Check(5) == "",
		"beyond":       good.Check(4) != "",
	} {
		if !ok {
			t.Error(name)
		}
	}
}

func TestKeys(t *testing.T) {
	pub := testKey().Public().(ed25519.PublicKey)
	got, err := DecodeKey(EncodeKey(pub))
	if err != nil || !got.Equal(pub) {
		t.Error(err)
	}
	for _, bad := range []string{"", "AAAA", EncodeKey(pub) + "=", EncodeKey(pub)[1:], "!"} {
		if _, err := DecodeKey(bad); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A seal that is none does not cost the batch.
func TestBadSealLeavesTheBatch(t *testing.T) {
	for _, bad := range []string{`7`, `"x"`, `[]`, `{"seq":"one"}`, `{"seq":1e99}`, `{"h":{}}`, `{}`, `true`} {
		payload := `{"v":1,"epoch":"` + epoch + `","seq":5,"oldest":1,"clock":"ntp","records":[{"p":"a","t":1732290000123,"c":1}],"seal":` + bad + `}`
		b, wrong, err := DecodeBatch([]byte(payload), late)
		if err != nil || len(wrong) != 0 || len(b.Records) != 1 || b.Seal == nil || b.Seal.Check(5) == "" {
			t.Errorf("%s: %+v %v", bad, b, err)
		}
	}
}

// A quarantined record's canonical bytes are those of its device.
func TestCanonicalOfQuarantined(t *testing.T) {
	r := Record{Probe: "a b", At: 9_007_199_254_740_991, Celsius: 4312, Raw: none, Lo: -250, Hi: none, Quality: "odd"}
	b := Batch{Epoch: epoch, Seq: 7, Oldest: 1, Clock: "ntp", Config: 3, Records: []Record{r}}
	_, bad, err := DecodeBatch(AppendBatch(nil, &b), late)
	if err != nil || len(bad) != 1 {
		t.Fatal(bad, err)
	}
	got, ok := AppendBadCanonical(nil, 7, bad[0].Raw, "ntp", 3)
	if want := AppendCanonical(nil, 7, &r, "ntp", 3); !ok || string(got) != string(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if BadTime(bad[0].Raw) != r.At {
		t.Errorf("time %d", BadTime(bad[0].Raw))
	}
	for _, raw := range []string{`7`, `{"t":"x"}`, `{"c":1}`, `null`, `{`} {
		if _, ok := AppendBadCanonical(nil, 7, []byte(raw), "", 0); ok {
			t.Errorf("%s has canonical bytes", raw)
		}
	}
}

func FuzzSeal(f *testing.F) {
	seed, _ := json.Marshal(NewSeal(testKey(), "clinic", "pi-1", epoch, 5, 1, Hash{1}))
	f.Add(seed)
	f.Add([]byte(`{"seq":"x"}`))
	f.Add([]byte(`{"seq":5,"oldest":1,"h":"aGFzaA","key":"k1","sig":"c2ln"}`))
	pub := testKey().Public().(ed25519.PublicKey)
	f.Fuzz(func(t *testing.T, payload []byte) {
		var s Seal
		if err := s.UnmarshalJSON(payload); err != nil {
			t.Fatal("a bad seal must not be an error:", err)
		}
		why := s.Check(10)
		if s.Verify(pub, "clinic", "pi-1", epoch) {
			// Nothing but the seed's own content can be signed by this key. (The key's id
			// only says which key to verify by, and is not signed.)
			if h, ok := s.Head(); !ok || h != (Hash{1}) || s.Seq != 5 || s.Oldest != 1 {
				t.Fatalf("a forged seal verifies: %+v", s)
			}
		}
		if why == "" {
			again, err := json.Marshal(&s)
			if err != nil {
				t.Fatal(err)
			}
			var b Seal
			if err := json.Unmarshal(again, &b); err != nil || b != s {
				t.Fatalf("%+v became %+v, %v", s, b, err)
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	pub := testKey().Public().(ed25519.PublicKey)
	s := NewSeal(testKey(), "clinic", "pi-1", epoch, 5, 1, Hash{1})
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			NewSeal(testKey(), "clinic", "pi-1", epoch, 5, 1, Hash{1})
		}
	})
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !s.Verify(pub, "clinic", "pi-1", epoch) {
				b.Fatal("no")
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "seals/s")
	})
}

func BenchmarkChain(b *testing.B) {
	r := Record{Probe: "28-000005e2fdc3", At: 1732290000123, Celsius: 4312, Raw: 4437, Lo: 4250, Hi: 4375}
	h, buf := Hash{}, []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendCanonical(buf[:0], 10482, &r, "ntp", 7)
		h = h.Next(buf)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// Made once; see TestSignedBytesAreFixed.
const (
	sealedHash = "CZlVN_nEzSG2cT5CV8BBIeESNgA8GssG_C5-Ft7MQ6I"
	sealKey    = "K5N7CoIpHh2y4byR"
	sealSig    = "7PAgYzw7bdOtR50SbDXn1kTpbIEMIjuiDLDM3HQQMIKuvhGs3xvM_ZGy-qxbWvA9a7za0BF_LH-VhxfXMK2EDg"
)
