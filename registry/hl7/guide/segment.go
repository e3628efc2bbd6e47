package guide

import (
	"strings"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

// seg is a segment with what of it has to be ignored.
type seg struct {
	er7.Segment
	offs  uint64   // bit n: field n is empty, whatever was sent
	drops []uint16 // field<<8 | repetition that is empty
}

func (s *seg) off(n int) bool { return n < 64 && s.offs>>n&1 == 1 }

// empty makes a field empty.
func (s *seg) empty(n int) { s.offs |= 1 << n }

// drop makes a repetition empty.
func (s *seg) drop(n, rep int) { s.drops = append(s.drops, uint16(n)<<8|uint16(rep)) }

func (s *seg) dropped(n, rep int) bool {
	for _, d := range s.drops {
		if d == uint16(n)<<8|uint16(rep) {
			return true
		}
	}
	return false
}

// reps gives the repetitions of a field that count, with their numbers.
func (s *seg) reps(n int) func(func(int, er7.Rep) bool) {
	return func(yield func(int, er7.Rep) bool) {
		if s.off(n) {
			return
		}
		f := s.Field(n)
		for i := 1; i <= f.Reps() && i <= maxReps; i++ {
			if r := f.Rep(i); !r.Empty() && !s.dropped(n, i) && !yield(i, r) {
				return
			}
		}
	}
}

// first is the first repetition of a field that counts, an empty one when there is none.
func (s *seg) first(n int) er7.Rep {
	for _, r := range s.reps(n) {
		return r
	}
	return er7.Rep{}
}

// blank reports whether nothing of a field counts.
func (s *seg) blank(n int) bool { return s.first(n).Empty() }

// text is the first component of a field that counts, without blanks around it.
func (s *seg) text(n int) string { return strings.TrimSpace(s.first(n).Text()) }

// nulls appends the fields of a segment that are to be erased.
func (s *seg) nulls(to []string, fields ...int) []string {
	for _, n := range fields {
		if !s.off(n) && s.Field(n).IsNull() {
			to = append(to, er7.Location{Segment: s.Name, Field: n}.Short())
		}
	}
	return to
}

// part is a component's text without blanks around it.
func part(r er7.Rep, n int) string { return strings.TrimSpace(r.Comp(n).Text()) }

// whole is a component's text with a bare "&" in it as a letter.
func whole(r er7.Rep, n int) string { return strings.TrimSpace(r.Comp(n).Whole()) }
