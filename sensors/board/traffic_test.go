package board

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata anew")

// What goes over the wires for one sample at 4 °C, byte for byte, is what
// testdata holds: a change of a driver or of periph shows there.
func TestTraffic(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		r := wire(t, d)
		var lines strings.Builder
		if r.spi != nil {
			r.spi.SetFault(func(_ int, w, read []byte) error {
				fmt.Fprintf(&lines, "w % x | r % x\n", w, read)
				return nil
			})
		} else {
			r.bus.SetFault(func(_ int, addr uint16, w, read []byte, err error) error {
				fmt.Fprintf(&lines, "%02x w % x | r % x", addr, w, read)
				if err != nil {
					fmt.Fprintf(&lines, " | %v", err)
				}
				lines.WriteString("\n")
				return err
			})
		}
		d.is(t, "recorded", ask(t, r), 4000)
		kind, _, _ := strings.Cut(r.spec, "@")
		file := filepath.Join("testdata", kind+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(lines.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if lines.String() != string(want) {
			t.Errorf("%s differs; run with -update when that is meant. Now:\n%s", file, lines.String())
		}
	})
}
