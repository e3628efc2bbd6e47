package coverage

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// What is told never gives away fewer people than the threshold: no number that is told is
// small, nor is what remains when those that are told are taken from the whole.
func TestSuppress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		least := int64(rapid.IntRange(5, 30).Draw(t, "least"))
		whole := Count{Dim: All, Measure: "m"}
		var rows []Count
		for i := range rapid.IntRange(1, 7).Draw(t, "rows") {
			n := int64(rapid.IntRange(0, 80).Draw(t, "people"))
			both := int64(rapid.IntRange(0, int(n)).Draw(t, "both"))
			left := n - both
			valid := int64(rapid.IntRange(0, int(left)).Draw(t, "valid only"))
			counted := int64(rapid.IntRange(0, int(left-valid)).Draw(t, "counted only"))
			near := int64(rapid.IntRange(0, int(n-both-valid)).Draw(t, "near"))
			missed := int64(rapid.IntRange(0, int(n-both-valid)).Draw(t, "missed"))
			c := Count{Dim: ByCounty, Value: fmt.Sprint(i), Measure: "m", People: n, Valid: both + valid, Counted: both + counted, ValidOnly: valid, CountedOnly: counted, Near: near, Missed: missed, Visits: missed}
			rows = append(rows, c)
			whole.plus(&c)
		}
		counts := append([]Count{whole}, rows...)
		suppress(counts, least)
		small := func(n int64) bool { return n > 0 && n < least }
		for i, c := range counts {
			if small(c.People) || small(c.Valid) || small(c.Near) || small(c.Missed) || small(c.ValidOnly) || small(c.CountedOnly) {
				t.Fatalf("told: %+v", c)
			}
			if c.Valid >= 0 && (small(c.People-c.Valid) || c.Near >= 0 && small(c.People-c.Valid-c.Near)) {
				t.Fatalf("told: who is not covered of %+v", c)
			}
			if c.Valid >= 0 && c.Counted >= 0 && (c.ValidOnly < 0 || small(c.Valid-c.Counted) && c.CountedOnly == 0) {
				t.Fatalf("told: the difference of %+v", c)
			}
			if c.People == Withheld && (c.Valid >= 0 || c.Visits >= 0) {
				t.Fatalf("row %d tells parts of what is withheld: %+v", i, c)
			}
		}
		if counts[0].People < 0 {
			return
		}
		// Taken from the whole: of one withheld row nothing must remain.
		var told, gone, goneRows int64
		for i, c := range counts[1:] {
			if c.People < 0 {
				gone += rows[i].People
				goneRows++
			} else {
				told += c.People
			}
		}
		others := int64(0)
		for i, c := range counts[1:] {
			if c.People >= 0 && rows[i].People > 0 {
				others++
			}
		}
		if goneRows > 0 && others > 0 && (goneRows < 2 || gone < least) {
			t.Fatalf("%d people in %d rows can be worked out: %+v", gone, goneRows, counts)
		}
	})
}
