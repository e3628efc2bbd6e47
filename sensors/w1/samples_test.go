package w1

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The recordings of real probes, clones and test authors: each read gives what its
// block expects, faults as their quality and none as a number.
func TestRecordedSlaves(t *testing.T) {
	const file = "../../../shared/data/onewire/w1_samples.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("the recordings are not there: %v", err)
	}
	block := regexp.MustCompile(`(?s)^(\S+)\n(.*?)\n--\n(.*)$`)
	expected := regexp.MustCompile(`(?m)^expect: (.*)$`)
	blocks := 0
	for _, part := range strings.Split(string(text), "\n== ")[1:] {
		m := block.FindStringSubmatch(part)
		if m == nil {
			t.Errorf("block not understood: %.60q", part)
			continue
		}
		name, body := m[1], comments.ReplaceAllString(m[3], "")
		expect := expected.FindStringSubmatch(m[2])[1]
		if strings.HasPrefix(expect, "ignore") || name == "listing" || expect == "missing" {
			continue // no text of w1_slave; see TestScan and TestProbeVanishes
		}
		blocks++
		lines := strings.SplitAfter(strings.TrimSpace(body), "\n")
		var got []string
		for len(lines) > 0 {
			n := min(2, len(lines))
			value, q := ParseSlave([]byte(strings.Join(lines[:n], "")))
			if lines = lines[n:]; q == "" {
				got = append(got, fmt.Sprintf("ok %d", value))
			} else if value.Known() {
				t.Errorf("%s: %v beside %q", name, value, q)
			} else {
				got = append(got, string(q))
			}
		}
		// An empty file is how the kernel tells of a bad CRC; text without t= is an error.
		want := strings.NewReplacer("empty", "crc", "nodata", "error").Replace(expect)
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %s, want %s", name, strings.Join(got, ", "), want)
		}
	}
	if blocks < 20 {
		t.Errorf("only %d blocks were read", blocks)
	}
}

// comments are what the file says after its last block.
var comments = regexp.MustCompile(`(?m)^#.*\n?`)
