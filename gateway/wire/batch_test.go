package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
)

const (
	none  = coldkeep.NoTemperature
	epoch = "01jd3k8w2m5n6p7q8r9s0t1v2w"
	late  = int64(1) << 50
)

// The contract's own example, read and written.
func TestContractExample(t *testing.T) {
	const example = `{"v":1, "epoch":"01jd3k8w2m5n6p7q8r9s0t1v2w", "seq":10482, "oldest":9001, "clock":"ntp", "cfg":7,
     "records":[
       {"p":"28-000005e2fdc3", "t":1732290000123, "c":4.312, "r":4.437, "lo":4.25, "hi":4.375},
       {"p":"28-000005e2fdc3", "t":1732290060123, "c":null, "q":"crc"},
       {"e":"power-lost", "t":1732290061000, "d":"ups 87%"}],
     "seal":{"seq":10484, "oldest":9001, "h":"aGFzaA", "key":"k1", "sig":"c2ln"}}`
	b, bad, err := DecodeBatch([]byte(example), late)
	if err != nil || len(bad) != 0 {
		t.Fatal(err, bad)
	}
	want := Batch{Epoch: epoch, Seq: 10482, Oldest: 9001, Clock: "ntp", Config: 7, Records: []Record{
		{Probe: "28-000005e2fdc3", At: 1732290000123, Celsius: 4312, Raw: 4437, Lo: 4250, Hi: 4375},
		{Probe: "28-000005e2fdc3", At: 1732290060123, Celsius: none, Raw: none, Lo: none, Hi: none, Quality: "crc"},
		{At: 1732290061000, Celsius: none, Raw: none, Lo: none, Hi: none, Event: "power-lost", Detail: "ups 87%"},
	}, Seal: &Seal{Seq: 10484, Oldest: 9001, Hash: "aGFzaA", Key: "k1", Sig: "c2ln"}}
	if fmt.Sprintf("%+v %+v", b.Records, *b.Seal) != fmt.Sprintf("%+v %+v", want.Records, *want.Seal) || b.Seq != want.Seq || b.Oldest != want.Oldest || b.Config != 7 {
		t.Fatalf("got %+v", b)
	}
	again, bad, err := DecodeBatch(Compress(AppendBatch(nil, b)), late)
	if err != nil || len(bad) != 0 || fmt.Sprintf("%+v", again.Records) != fmt.Sprintf("%+v", b.Records) {
		t.Fatalf("written and read again: %+v %v %v", again, bad, err)
	}
}

// The canonical bytes are public and fixed: seals that were made years ago are
// checked against them.
func TestCanonicalBytesAreFixed(t *testing.T) {
	reading := Record{Probe: "28-000005e2fdc3", At: 1732290000123, Celsius: 4312, Raw: 4437, Lo: -250, Hi: none}
	event := Record{At: 1732290061000, Celsius: none, Raw: none, Lo: none, Hi: none, Event: "power-lost", Detail: "ups 87%"}
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{AppendCanonical(nil, 10482, &reading, "ntp", 7), "10482\x1f1732290000123\x1f28-000005e2fdc3\x1f4312\x1f4437\x1f-250\x1f\x1f\x1f\x1f\x1fntp\x1f7"},
		{AppendCanonical(nil, 10484, &event, "rtc", 0), "10484\x1f1732290061000\x1f\x1f\x1f\x1f\x1f\x1f\x1fpower-lost\x1fups 87%\x1frtc\x1f"},
	} {
		if string(c.got) != c.want {
			t.Errorf("got  %q\nwant %q", c.got, c.want)
		}
	}
	h := FirstHash("clinic", "pi-1", epoch).Next(AppendCanonical(nil, 1, &reading, "ntp", 7))
	if got := fmt.Sprintf("%x", h[:4]); got != firstLink {
		t.Errorf("first link begins %s, want %s", got, firstLink)
	}
}

// firstLink was computed once by another program (sha256sum).
const firstLink = "e0a67a80"

func TestBadRecordKeepsItsPlace(t *testing.T) {
	head := `{"v":1,"epoch":"` + epoch + `","seq":5,"oldest":1,"clock":"ntp","records":[{"p":"a","t":1732290000123,"c":1},`
	for body, reason := range map[string]string{
		`{"p":"a b","t":1732290000123,"c":1}`:                    "probe name",
		`{"p":"a","t":1000,"c":1}`:                               "before 2000",
		`{"p":"a","t":9007199254740991,"c":1}`:                   "future",
		`{"p":"a","c":1}`:                                        "no time",
		`{"p":"a","t":"yesterday","c":1}`:                        "not a record",
		`{"p":"a","t":1732290000123,"c":"warm"}`:                 "not a record",
		`{"p":"a","t":1732290000123,"c":1e300}`:                  "not a record",
		`{"p":"a","t":1732290000123,"c":null}`:                   "no quality",
		`{"p":"a","t":1732290000123,"c":1,"q":"crc"}`:            "means none",
		`{"p":"a","t":1732290000123,"c":1,"q":"fine"}`:           "not one of",
		`{"e":"Door Open","t":1732290000123}`:                    "event e",
		`{"e":"boot","t":1732290000123,"d":"a\u001fb"}`:          "control",
		`{"e":"boot","t":1732290000123,"d":"` + big(2000) + `"}`: "longer",
		`null`: "no time", `7`: "not a record", `[]`: "not a record",
	} {
		b, bad, err := DecodeBatch([]byte(head+body+`,{"p":"a","t":1732290000125,"c":3}]}`), late)
		if err != nil || len(bad) != 1 || bad[0].Seq != 6 || !strings.Contains(bad[0].Reason, reason) || string(bad[0].Raw) != body {
			t.Errorf("%s: bad %+v, %v", body, bad, err)
			continue
		}
		if b.Records[0].Celsius != 1000 || b.Records[2].Celsius != 3000 {
			t.Errorf("%s: its neighbours are %+v", body, b.Records)
		}
	}
}

func big(n int) string { return strings.Repeat("x", n) }

func TestUnreadablePayload(t *testing.T) {
	many := strings.Repeat(`{"p":"a","t":1732290000123,"c":1},`, MaxRecords) + `{"p":"a","t":1732290000123,"c":1}`
	for payload, reason := range map[string]string{
		``: "not a batch", `{`: "not a batch", `"x"`: "not a batch",
		`{"v":2}`: "version 2",
		`{"v":1,"epoch":"x","seq":1,"records":[{}]}`:                               "ULID",
		`{"v":1,"epoch":"` + epoch + `","seq":0,"records":[{}]}`:                   "start at 1",
		`{"v":1,"epoch":"` + epoch + `","seq":1,"oldest":2,"records":[{}]}`:        "oldest",
		`{"v":1,"epoch":"` + epoch + `","seq":1,"records":[]}`:                     "empty",
		`{"v":1,"epoch":"` + epoch + `","seq":1,"clock":"sundial","records":[{}]}`: "clock",
		`{"v":1,"epoch":"` + epoch + `","seq":1,"cfg":-1,"records":[{}]}`:          "cfg",
		`{"v":1,"epoch":"` + epoch + `","seq":1,"records":[` + many + `]}`:         "1001 records",
		big(MaxPayload + 1): "at most",
		"\x1f\x8bnot gzip":  "gzip",
		string(Compress(bytes.Repeat([]byte(" "), maxInflated+1))): "unfolds",
	} {
		_, _, err := DecodeBatch([]byte(payload), late)
		if coldkeep.ErrorCode(err) != coldkeep.EINVALID || !strings.Contains(coldkeep.ErrorMessage(err), reason) {
			t.Errorf("%.60q: %v", payload, err)
		}
	}
}

func TestTopics(t *testing.T) {
	site, agent, leaf, err := ParseTopic(Topic("clinic-1", "pi-1", LeafReadings))
	if err != nil || site != "clinic-1" || agent != "pi-1" || leaf != LeafReadings {
		t.Fatal(site, agent, leaf, err)
	}
	for _, bad := range []string{"", "coldkeep/1", "coldkeep/2/a/b/readings", "coldkeep/1/a/b", "coldkeep/1/a/b/c/d", "coldkeep/1/A/b/readings", "coldkeep/1/+/b/readings", "coldkeep/1//b/readings"} {
		if _, _, _, err := ParseTopic(bad); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// What is written is read as it was, and the chain does not depend on batching.
func TestRoundTrip(t *testing.T) {
	temp := rapid.OneOf(rapid.Just(none), rapid.Map(rapid.Int32Range(-100_000, 100_000), func(v int32) coldkeep.Temperature { return coldkeep.Temperature(v) }))
	rapid.Check(t, func(t *rapid.T) {
		b := Batch{Epoch: epoch, Seq: rapid.Int64Range(1, 1<<40).Draw(t, "seq"), Oldest: 1, Clock: rapid.SampledFrom([]string{"ntp", "rtc", "unsynced"}).Draw(t, "clock"), Config: rapid.Int64Range(0, 9).Draw(t, "cfg")}
		for i := range rapid.IntRange(1, 20).Draw(t, "n") {
			r := Record{At: rapid.Int64Range(earliest, late).Draw(t, fmt.Sprint("t", i)), Probe: "28-000005e2fdc3", Celsius: none,
				Raw: temp.Draw(t, fmt.Sprint("r", i)), Lo: temp.Draw(t, fmt.Sprint("lo", i)), Hi: temp.Draw(t, fmt.Sprint("hi", i))}
			switch rapid.IntRange(0, 2).Draw(t, fmt.Sprint("what", i)) {
			case 0:
				r.Celsius = coldkeep.Temperature(rapid.Int32Range(-100_000, 100_000).Draw(t, fmt.Sprint("c", i)))
			case 1:
				r.Quality = coldkeep.QualityZeros
			default:
				r.Event, r.Detail = EventDoorOpen, rapid.StringMatching(`[ -~]{0,30}`).Draw(t, fmt.Sprint("d", i))
			}
			b.Records = append(b.Records, r)
		}
		var d Decoder
		got, bad, err := d.Decode(AppendBatch(nil, &b), late)
		if err != nil || len(bad) != 0 || fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", b) {
			t.Fatalf("%v %v\ngot  %+v\nwant %+v", err, bad, got, b)
		}
	})
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add([]byte(`{"v":1,"epoch":"` + epoch + `","seq":5,"oldest":1,"clock":"ntp","records":[{"p":"a","t":1732290000123,"c":1.5}]}`))
	f.Add(Compress([]byte(`{"v":1,"epoch":"` + epoch + `","seq":1,"records":[{"e":"boot","t":1732290000123}]}`)))
	f.Add([]byte(`{"v":1,"epoch":"` + epoch + `","seq":1,"records":[{"p":"a","t":1732290000123,"c":-0.5,"r":1.25,"lo":0,"hi":9,"q":"uncalibrated"},{"p":"b","t":1732290000124,"c":null,"q":"crc"}],"seal":{"seq":1,"oldest":1,"h":"x","key":"k","sig":"y"}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		b, bad, err := DecodeBatch(payload, late)
		var d Decoder
		for range 2 { // with and without names known
			b2, bad2, err2 := d.Decode(payload, late)
			if coldkeep.ErrorMessage(err) != coldkeep.ErrorMessage(err2) || fmt.Sprintf("%+v", bad) != fmt.Sprintf("%+v", bad2) || show(b) != show(b2) {
				t.Fatalf("DecodeBatch %v %+v %s\nDecoder     %v %+v %s", err, bad, show(b), err2, bad2, show(b2))
			}
		}
		if err != nil {
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
				t.Fatal(err)
			}
			return
		}
		isBad := map[int64]bool{}
		for _, x := range bad {
			isBad[x.Seq] = true
		}
		// All that was taken can be written and is read the same again.
		good := *b
		good.Records = nil
		for i, r := range b.Records {
			if !isBad[b.Seq+int64(i)] {
				good.Records = append(good.Records, r)
			}
		}
		if len(good.Records) == 0 {
			return
		}
		again, bad, err := DecodeBatch(AppendBatch(nil, &good), late)
		if err != nil && len(AppendBatch(nil, &good)) > MaxPayload {
			return
		}
		if err != nil || len(bad) != 0 || fmt.Sprintf("%+v", again.Records) != fmt.Sprintf("%+v", good.Records) {
			t.Fatalf("%v %v\ngot  %+v\nwant %+v", err, bad, again, good)
		}
	})
}

func show(b *Batch) string {
	if b == nil {
		return "nothing"
	}
	c := *b
	c.Seal = nil
	if b.Seal != nil {
		return fmt.Sprintf("%+v %+v", c, *b.Seal)
	}
	return fmt.Sprintf("%+v", c)
}

func BenchmarkDecode(b *testing.B) {
	batch := Batch{Epoch: epoch, Seq: 1, Oldest: 1, Clock: ClockNTP, Config: 7}
	for i := range 60 {
		batch.Records = append(batch.Records, Record{Probe: "28-000005e2fdc3", At: 1732290000123 + int64(i)*1000, Celsius: coldkeep.Temperature(4312 + i), Raw: 4437, Lo: 4250, Hi: 4375})
	}
	payload := AppendBatch(nil, &batch)
	b.Run("general", func(b *testing.B) {
		b.SetBytes(int64(len(payload)))
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := DecodeBatch(payload, late); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*60/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("fast", func(b *testing.B) {
		b.SetBytes(int64(len(payload)))
		b.ReportAllocs()
		var d Decoder
		for b.Loop() {
			if _, _, err := d.Decode(payload, late); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*60/b.Elapsed().Seconds(), "records/s")
	})
}

func FuzzDecodeSmall(f *testing.F) {
	f.Add([]byte(`{"v":1,"online":true,"probes":[{"p":"a","kind":"ds18b20"}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, into := range []any{new(Ack), new(Status), new(Config), new(Command)} {
			if err := Decode(payload, into); err != nil && coldkeep.ErrorCode(err) != coldkeep.EINVALID {
				t.Fatal(err)
			}
		}
	})
}
