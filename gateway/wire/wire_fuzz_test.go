package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
)

// A topic is either refused or made of the very parts that it is split into, so
// that no device can name itself so that another is meant.
func FuzzTopic(f *testing.F) {
	for _, s := range []string{"coldkeep/1/clinic/pi-1/readings", "coldkeep/1/a/b/", "coldkeep/1//b/readings", "coldkeep/1/+/#/x", "coldkeep/1/a/b/c/d", "coldkeep/1/a\x00/b/ack", "$SYS/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		site, agent, leaf, err := ParseTopic(topic)
		if err != nil {
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
				t.Fatal(err)
			}
			return
		}
		if Topic(site, agent, leaf) != topic || !ValidName(string(site)) || !ValidName(string(agent)) || strings.Contains(leaf, "/") {
			t.Fatalf("%q became %q %q %q", topic, site, agent, leaf)
		}
	})
}

// Whatever comes as gzip unfolds to a bounded size or is refused, and what we
// compress unfolds to itself.
func FuzzInflate(f *testing.F) {
	f.Add([]byte(`{"v":1}`))
	f.Add(Compress([]byte(`{"v":1}`)))
	f.Add(Compress(bytes.Repeat([]byte{' '}, 1<<20)))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"))
	two := append(Compress([]byte("a")), Compress([]byte("b"))...) // gzip allows several members
	f.Add(two)
	f.Fuzz(func(t *testing.T, payload []byte) {
		out, err := inflate(payload)
		if err != nil && coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Fatal(err)
		}
		packed := len(payload) >= 2 && payload[0] == 0x1f && payload[1] == 0x8b
		switch {
		case err == nil && packed && len(out) > maxInflated:
			t.Fatalf("%d bytes came out", len(out))
		case !packed && (err != nil || !bytes.Equal(out, payload)):
			t.Fatal("what is not gzip was changed")
		}
		if again, err := inflate(Compress(payload)); len(payload) <= maxInflated && (err != nil || !bytes.Equal(again, payload)) {
			t.Fatal("compressed and unfolded it is another:", err)
		}
	})
}

// FuzzBatchFields lets the fuzzer loose on the fields of a batch that has the right
// shape, where whole payloads seldom get to: both decoders say the same, a bad
// record costs no other, and what was taken is what was meant.
func FuzzBatchFields(f *testing.F) {
	f.Add(epoch, int64(5), int64(1), "ntp", int64(7), "28-000005e2fdc3", "1732290000123", "4.312", "crc", "door-open", "ups 87%")
	f.Add(epoch, int64(1)<<53, int64(0), "", int64(0), "a", "1e3", "-0", "", "", "\x1f")
	f.Add("x", int64(-1), int64(9), "sundial", int64(-1), "a b", "null", "1e300", "fine", "Boot", "\xff")
	f.Fuzz(func(t *testing.T, ep string, seq, oldest int64, clock string, cfg int64, probe, at, c, q, event, detail string) {
		record := fmt.Sprintf(`{"p":%s,"t":%s,"c":%s,"q":%s,"e":%s,"d":%s}`, text(probe), at, c, text(q), text(event), text(detail))
		good := `{"p":"good","t":1732290000123,"c":1.5}`
		payload := fmt.Appendf(nil, `{"v":1,"epoch":%s,"seq":%d,"oldest":%d,"clock":%s,"cfg":%d,"records":[%s,%s]}`, text(ep), seq, oldest, text(clock), cfg, record, good)
		b, bad, err := DecodeBatch(payload, late)
		var d Decoder
		b2, bad2, err2 := d.Decode(payload, late)
		if coldkeep.ErrorMessage(err) != coldkeep.ErrorMessage(err2) || fmt.Sprintf("%+v", bad) != fmt.Sprintf("%+v", bad2) || show(b) != show(b2) {
			t.Fatalf("%s\nDecodeBatch %v %+v %s\nDecoder     %v %+v %s", payload, err, bad, show(b), err2, bad2, show(b2))
		}
		if err != nil || !json.Valid([]byte(record)) {
			return // a fragment can make a batch of another shape
		}
		if n := len(b.Records); n != 2 || len(bad) > 1 {
			return // likewise: "},{" in a number's place
		}
		if last := b.Records[1]; last.Probe != "good" || last.Celsius != 1500 {
			t.Fatalf("the good record beside it is %+v", last)
		}
		if len(bad) == 1 && bad[0].Seq != seq {
			t.Fatalf("bad record under seq %d, want %d", bad[0].Seq, seq)
		}
	})
}

func text(s string) string {
	b, _ := json.Marshal(s) // a string always marshals
	return string(b)
}

// The small payloads: what is taken is the same after it is written and read again.
func FuzzSmallAgain(f *testing.F) {
	f.Add([]byte(`{"v":1,"epoch":"` + epoch + `","seq":7}`))
	f.Add([]byte(`{"v":1,"cmd":"resend","epoch":"` + epoch + `","from":1,"to":9}`))
	f.Add([]byte(`{"v":1,"cfg":7,"interval_s":60,"probes":[{"p":"a","appliance":"f","unit":"refrigerator","offset_mc":-120,"table":[[0,-120],[5000,-90]],"certificate":"c","expires":"2027-03-01","local":{"low_mc":2000,"high_mc":8000,"after_s":900}}]}`))
	f.Add([]byte(`{"v":1,"online":true,"epoch":"` + epoch + `","key":"k","pub":"p","probes":[{"p":"a","kind":"ds18b20","bus":"w1-1"}],"health":{"free":1}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, into := range []any{new(Ack), new(Config), new(Command), new(Status)} {
			if err := Decode(payload, into); err != nil {
				if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
					t.Fatal(err)
				}
				continue
			}
			out, err := json.Marshal(into)
			if err != nil {
				t.Fatal(err)
			}
			again := reflect.New(reflect.TypeOf(into).Elem()).Interface()
			if err := Decode(out, again); err != nil {
				t.Fatalf("%s: %v", out, err)
			}
			if twice, err := json.Marshal(again); err != nil || !bytes.Equal(out, twice) {
				t.Fatalf("%s became %s, %v", out, twice, err)
			}
		}
	})
}

// What verify reads of a quarantined record, and a device's key.
func FuzzQuarantined(f *testing.F) {
	f.Add([]byte(`{"p":"a b","t":9007199254740991,"c":4.312,"q":"odd"}`), "ntp", int64(3))
	f.Add([]byte(`{"t":1e99}`), "", int64(0))
	f.Add([]byte(EncodeKey(testKey().Public().(ed25519.PublicKey))), "rtc", int64(1))
	f.Fuzz(func(t *testing.T, raw []byte, clock string, cfg int64) {
		_ = BadTime(raw)
		out, ok := AppendBadCanonical([]byte("x"), 7, raw, clock, cfg)
		if !ok && string(out) != "x" {
			t.Fatalf("nothing was read, and %q was written", out)
		}
		if key, err := DecodeKey(string(raw)); err == nil && EncodeKey(key) != string(raw) {
			t.Fatalf("key %q has another text, %q", raw, EncodeKey(key))
		}
	})
}
