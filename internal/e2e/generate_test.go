package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// generator makes a freezer's log and keeps the ledger of what it made.
type generator struct {
	path     string
	from, to time.Time
	ledger   []string // "time celsius probe quality" as the export must show them
}

// The generated excursion, by hand: out of range from minute 2000 until 2300,
// warmest at 2150, five hours of which none is a gap.
const (
	genMinutes = 4320 // three days
	genStart   = 2000
	genPeak    = 2150
	genEnd     = 2300
)

var genBase = time.Date(2026, 8, 10, 0, 0, 30, 0, time.UTC)

func at(minute int) time.Time { return genBase.Add(time.Duration(minute) * time.Minute) }

func generate(t *testing.T, dir string) *generator {
	t.Helper()
	g := &generator{path: filepath.Join(dir, "freezer.csv"), from: genBase.Add(-time.Minute), to: at(genMinutes)}
	f, err := os.Create(g.path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "time,celsius,probe")
	for m := range genMinutes {
		c := -20_000 + (m*37)%900 // a compressor's swing
		switch {
		case m >= genStart && m < genPeak:
			c = -14_900 + (m-genStart)*26_900/(genPeak-genStart)
		case m >= genPeak && m < genEnd:
			c = 12_000 - (m-genPeak)*26_900/(genEnd-genPeak)
		}
		stamp, exported := at(m).Format("2006-01-02T15:04:05Z"), at(m).Format("2006-01-02T15:04:05.000Z")
		switch {
		case m >= 1000 && m < 1010: // the probe failed
			fmt.Fprintf(w, "%s,,T0\n", stamp)
			g.ledger = append(g.ledger, exported+"  T0 missing")
		case m == 2100: // a lost probe's value in the middle of the excursion
			fmt.Fprintf(w, "%s,-273.2,T0\n", stamp)
			g.ledger = append(g.ledger, exported+"  T0 range")
		default:
			fmt.Fprintf(w, "%s,%s,T0\n", stamp, celsius(c))
			g.ledger = append(g.ledger, exported+" "+celsius(c)+" T0 ")
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return g
}

// celsius prints thousandths with the decimals they need.
func celsius(m int) string {
	s := fmt.Sprintf("%.3f", float64(m)/1000)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}
