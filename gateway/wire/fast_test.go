package wire

import (
	"testing"

	"github.com/coldkeep/coldkeep"
)

// A message with one reading, and a gzipped one with many, are read without making
// garbage.
func TestDecoderMakesNoGarbage(t *testing.T) {
	single := Batch{Epoch: "01jd3k8w2m5n6p7q8r9s0t1v2w", Seq: 7, Oldest: 1, Clock: ClockNTP, Config: 1,
		Records: []Record{{Probe: "28-000005e2fdc3", At: 1_767_225_600_000, Celsius: 4312, Raw: 4437, Lo: coldkeep.NoTemperature, Hi: coldkeep.NoTemperature}}}
	many := single
	for range 59 {
		many.Records = append(many.Records, single.Records[0])
	}
	for name, payload := range map[string][]byte{"single": AppendBatch(nil, &single), "gzipped": Compress(AppendBatch(nil, &many))} {
		var d Decoder
		if n := testing.AllocsPerRun(100, func() {
			if _, bad, err := d.Decode(payload, 1<<60); err != nil || bad != nil {
				t.Fatal(bad, err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
