package ledger

import "slices"

// Ranges is a set of seqs as sorted, disjoint ranges that include both ends and
// do not touch.
type Ranges [][2]int64

// Add returns the set with [from, to] in it.
func (r Ranges) Add(from, to int64) Ranges {
	if from > to {
		return r
	}
	// The ranges from i to j touch the new one and melt into it.
	i, _ := slices.BinarySearchFunc(r, from-1, func(e [2]int64, t int64) int { return int(min(1, max(-1, e[1]-t))) })
	j := i
	for j < len(r) && r[j][0] <= to+1 {
		from, to = min(from, r[j][0]), max(to, r[j][1])
		j++
	}
	return slices.Insert(slices.Delete(slices.Clone(r), i, j), i, [2]int64{from, to})
}

// Has reports whether seq is in the set.
func (r Ranges) Has(seq int64) bool {
	i, _ := slices.BinarySearchFunc(r, seq, func(e [2]int64, t int64) int { return int(min(1, max(-1, e[1]-t))) })
	return i < len(r) && r[i][0] <= seq
}

// Contiguous returns the last seq of the range that starts at 1, 0 when there is none.
func (r Ranges) Contiguous() int64 {
	if len(r) == 0 || r[0][0] > 1 {
		return 0
	}
	return r[0][1]
}

// FirstGap returns the lowest range that is missing below the highest seq.
func (r Ranges) FirstGap() (from, to int64, ok bool) {
	switch {
	case len(r) > 0 && r[0][0] > 1:
		return 1, r[0][0] - 1, true
	case len(r) > 1:
		return r[0][1] + 1, r[1][0] - 1, true
	}
	return 0, 0, false
}

// Overlaps reports whether any of [from, to] is in the set.
func (r Ranges) Overlaps(from, to int64) bool {
	i, _ := slices.BinarySearchFunc(r, from, func(e [2]int64, t int64) int { return int(min(1, max(-1, e[1]-t))) })
	return from <= to && i < len(r) && r[i][0] <= to
}

// Without returns the set less another.
func (r Ranges) Without(other Ranges) Ranges {
	var out Ranges
	for _, e := range r {
		out = append(out, other.Missing(e[0], e[1])...)
	}
	return out
}

// Missing returns what of [from, to] is not in the set.
func (r Ranges) Missing(from, to int64) Ranges {
	var out Ranges
	for _, e := range r {
		if e[1] < from {
			continue
		}
		if e[0] > to {
			break
		}
		if e[0] > from {
			out = append(out, [2]int64{from, e[0] - 1})
		}
		from = e[1] + 1
	}
	if from <= to {
		out = append(out, [2]int64{from, to})
	}
	return out
}

// became compares the set with what it has become: the ranges of which no range with
// the same beginning is left, and those that are new or have another end.
func (r Ranges) became(next Ranges) (gone, changed Ranges) {
	i, j := 0, 0
	for i < len(r) || j < len(next) {
		switch {
		case j == len(next) || i < len(r) && r[i][0] < next[j][0]:
			gone = append(gone, r[i])
			i++
		case i == len(r) || next[j][0] < r[i][0]:
			changed = append(changed, next[j])
			j++
		default:
			if r[i] != next[j] {
				changed = append(changed, next[j])
			}
			i, j = i+1, j+1
		}
	}
	return gone, changed
}
