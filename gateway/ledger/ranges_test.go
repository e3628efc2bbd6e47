package ledger

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Ranges behaves as the plain set that it stands for.
func TestRangesAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Ranges
		set := map[int64]bool{}
		for i := range rapid.IntRange(0, 30).Draw(t, "adds") {
			from := rapid.Int64Range(1, 60).Draw(t, fmt.Sprint("from", i))
			to := from + rapid.Int64Range(-1, 8).Draw(t, fmt.Sprint("len", i))
			before := fmt.Sprint(r)
			next := r.Add(from, to)
			if fmt.Sprint(r) != before {
				t.Fatalf("Add(%d, %d) changed its receiver %s to %v", from, to, before, r)
			}
			r = next
			for s := from; s <= to; s++ {
				set[s] = true
			}
		}
		for i, e := range r {
			if e[0] > e[1] || i > 0 && e[0] <= r[i-1][1]+1 {
				t.Fatalf("%v is not sorted, disjoint and apart", r)
			}
		}
		contiguous := int64(0)
		for s := int64(1); s <= 70; s++ {
			if r.Has(s) != set[s] {
				t.Fatalf("%v: Has(%d) = %v", r, s, r.Has(s))
			}
			if set[s] && contiguous == s-1 {
				contiguous = s
			}
		}
		if r.Contiguous() != contiguous {
			t.Fatalf("%v: Contiguous %d, want %d", r, r.Contiguous(), contiguous)
		}
		lo := rapid.Int64Range(1, 70).Draw(t, "lo")
		hi := lo + rapid.Int64Range(-1, 30).Draw(t, "hi")
		missing := map[int64]bool{}
		for _, e := range r.Missing(lo, hi) {
			for s := e[0]; s <= e[1]; s++ {
				missing[s] = true
			}
		}
		for s := lo; s <= hi; s++ {
			if missing[s] == set[s] {
				t.Fatalf("%v: Missing(%d, %d) = %v", r, lo, hi, r.Missing(lo, hi))
			}
		}
		any := false
		for s := lo; s <= hi; s++ {
			any = any || set[s]
		}
		if r.Overlaps(lo, hi) != any {
			t.Fatalf("%v: Overlaps(%d, %d) is %v", r, lo, hi, !any)
		}
		cut := r.Without(Ranges{}.Add(lo, hi))
		for s := int64(1); s <= 110; s++ {
			if want := set[s] && (s < lo || s > hi); cut.Has(s) != want {
				t.Fatalf("%v without %d-%d is %v", r, lo, hi, cut)
			}
		}
		if from, to, ok := r.FirstGap(); ok {
			for s := from; s <= to; s++ {
				if set[s] {
					t.Fatalf("%v: gap %d-%d", r, from, to)
				}
			}
			if !set[to+1] || from > 1 && !set[from-1] {
				t.Fatalf("%v: gap %d-%d is not whole", r, from, to)
			}
		} else if len(set) > 0 && contiguous != r[len(r)-1][1] {
			t.Fatalf("%v: no gap found", r)
		}
	})
}
