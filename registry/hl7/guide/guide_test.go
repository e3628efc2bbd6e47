package guide_test

import (
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
)

var today = coldkeep.NewDate(2026, 11, 28)

// corpus is the folder of real messages beside the checkout; the test is skipped without
// it, but not in CI.
func corpus(t testing.TB) string {
	t.Helper()
	dir, _ := filepath.Abs("../../../../shared/data/hl7/corpus")
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("the corpus is not beside the checkout: ", err)
	}
	return dir
}

// TestCorpus judges every message of the corpus and prints what came out by source.
func TestCorpus(t *testing.T) {
	c := &guide.Checker{Today: today}
	files, err := filepath.Glob(filepath.Join(corpus(t), "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	counts, rules := map[string]map[string]int{}, map[string]int{}
	total := 0
	for _, f := range files {
		source, _, _ := strings.Cut(filepath.Base(f), "__")
		in, err := os.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		for it, err := range er7.Split(in) {
			if it.Kind != "MSH" {
				continue
			}
			total++
			m, perr := er7.Parse(it.Text)
			key := "unread"
			if err == nil && perr == nil {
				r := c.Check(m)
				key = r.Header.Type + " " + string(r.Outcome)
				if r.Outcome == guide.AE && r.Rejected {
					key += " rejected"
				}
				if r.Outcome == guide.AR && !slices.Contains([]string{"VXU", "QBP", "VXQ"}, r.Header.Type) {
					key = "not for a registry AR"
				}
				for _, f := range r.Findings {
					rules[string(f.Severity)+" "+f.Rule+" "+f.Location.Segment]++
				}
			}
			if counts[source] == nil {
				counts[source] = map[string]int{}
			}
			counts[source][key]++
		}
		in.Close()
	}
	t.Logf("%d messages in %d files", total, len(files))
	for _, s := range sorted(counts) {
		for _, k := range sorted(counts[s]) {
			t.Logf("%-40s %-24s %5d", s, k, counts[s][k])
		}
	}
	for _, k := range sorted(rules) {
		t.Logf("%6d %s", rules[k], k)
	}
}

func sorted[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
