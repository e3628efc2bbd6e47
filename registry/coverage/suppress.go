package coverage

import (
	"cmp"
	"slices"
)

// column is a set of numbers that are told or withheld together, since each of them tells the
// others.
type column struct {
	main  func(c *Count) *int64
	all   func(c *Count) []*int64
	small func(c *Count, t int64) bool // on its own, in a row whose people are told
}

func few(n, t int64) bool { return n > 0 && n < t }

// columns, the people first: of a row whose people are withheld nothing is told.
var columns = []column{
	{func(c *Count) *int64 { return &c.People }, func(c *Count) []*int64 { return c.numbers() },
		func(c *Count, t int64) bool { return few(c.People, t) }},
	{func(c *Count) *int64 { return &c.Valid }, func(c *Count) []*int64 { return []*int64{&c.Valid} },
		// Who is not covered is as much a fact about a person as who is.
		func(c *Count, t int64) bool { return few(c.Valid, t) || few(c.People-c.Valid, t) }},
	{func(c *Count) *int64 { return &c.Counted }, func(c *Count) []*int64 { return []*int64{&c.Counted, &c.ValidOnly, &c.CountedOnly} },
		func(c *Count, t int64) bool {
			return few(c.Counted, t) || few(c.People-c.Counted, t) || few(c.ValidOnly, t) || few(c.CountedOnly, t)
		}},
	{func(c *Count) *int64 { return &c.Near }, func(c *Count) []*int64 { return []*int64{&c.Near} },
		func(c *Count, t int64) bool { return few(c.Near, t) || few(c.People-c.Valid-c.Near, t) }},
	{func(c *Count) *int64 { return &c.NearCounted }, func(c *Count) []*int64 { return []*int64{&c.NearCounted} },
		func(c *Count, t int64) bool { return few(c.NearCounted, t) || few(c.People-c.Counted-c.NearCounted, t) }},
	{func(c *Count) *int64 { return &c.Missed }, func(c *Count) []*int64 { return []*int64{&c.Missed, &c.Visits, &c.MissedVisits} },
		func(c *Count, t int64) bool { return few(c.Missed, t) || few(c.People-c.Valid-c.Missed, t) }},
}

// suppress withholds numbers of fewer than t people, and as many others that a withheld one
// cannot be found by taking those that are told from the whole: of a breakdown at least two
// rows are withheld in a column, of t people or more together. The counts are changed.
func suppress(counts []Count, t int64) {
	type table struct {
		day     any
		dim     Dim
		measure string
		part    string
	}
	rows := map[table][]int{}
	var tables []table
	for i := range counts {
		c := &counts[i]
		k := table{c.Day, c.Dim, c.Measure, c.Part}
		if rows[k] == nil {
			tables = append(tables, k)
		}
		rows[k] = append(rows[k], i)
	}
	was := slices.Clone(counts)
	for _, k := range tables {
		at := rows[k]
		gone := make([][]bool, len(columns))
		for n := range columns {
			gone[n] = hidden(columns[n], was, at, t)
		}
		for row, i := range at {
			for n := range columns {
				if gone[n][row] {
					for _, v := range columns[n].all(&counts[i]) {
						*v = Withheld
					}
				}
			}
		}
	}
}

// hidden says of each row of a table whether a column is withheld.
func hidden(col column, was []Count, at []int, t int64) []bool {
	out := make([]bool, len(at))
	var sum, rest int64 // of those that are withheld: who is counted, and of the assessed who is not
	n := 0
	people := false
	hide := func(row int) {
		c := &was[at[row]]
		out[row] = true
		people = col.main(c) == &c.People
		sum += *col.main(c)
		rest += c.People - *col.main(c)
		n++
	}
	for row, i := range at {
		if c := &was[i]; few(c.People, t) || c.People > 0 && col.small(c, t) {
			hide(row)
		}
	}
	if n == 0 || was[at[0]].Dim == All {
		return out
	}
	// The smallest of those that would be told go with them.
	var told []int
	for row, i := range at {
		if !out[row] && was[i].People > 0 {
			told = append(told, row)
		}
	}
	slices.SortStableFunc(told, func(a, b int) int {
		x, y := &was[at[a]], &was[at[b]]
		return cmp.Or(cmp.Compare(*col.main(x), *col.main(y)), cmp.Compare(x.People, y.People), cmp.Compare(x.Value, y.Value))
	})
	for _, row := range told {
		if n >= 2 && sum >= t && (people || rest >= t) {
			break
		}
		hide(row)
	}
	return out
}
