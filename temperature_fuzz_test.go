package coldkeep_test

import (
	"encoding/json"
	"testing"

	"github.com/coldkeep/coldkeep"
)

// A temperature is read exactly or not at all: what was taken is written and read
// as the same number of thousandths.
func FuzzTemperature(f *testing.F) {
	for _, s := range []string{"4.312", "-0", "-0.5", "null", "1e300", "2147483.647", "-2147483.648", "1e-3", "0.0005", `"4"`, "+1", "01", ".5", "5."} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var v coldkeep.Temperature
		if err := json.Unmarshal(in, &v); err != nil {
			return
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%q was read as %d and cannot be written: %v", in, v, err)
		}
		var again coldkeep.Temperature
		if err := json.Unmarshal(out, &again); err != nil || again != v {
			t.Fatalf("%q was read as %d, written as %s, read as %d, %v", in, v, out, again, err)
		}
	})
}
