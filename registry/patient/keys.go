package patient

import (
	"hash/fnv"
	"strings"

	"github.com/coldkeep/coldkeep"
)

// key hashes what a person can be found by: 64 bits, so that the index is small and
// holds nothing to read. Two texts with one key only cost a look at the record.
func key(parts ...string) int64 {
	h := fnv.New64a()
	for _, s := range parts {
		_, _ = h.Write([]byte(s)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return int64(h.Sum64()) //nolint:gosec // the bits alone matter
}

// Keys are what records are grouped by before they are compared. Two records of one
// person share one unless nearly everything of them differs; each key is held by few
// records, also of a million people. The birth date is in most of them: a million people
// have some forty a day.
func (p *Profile) Keys() []int64 {
	keys := make([]int64, 0, 24)
	add := func(parts ...string) { keys = appendNew(keys, key(parts...)) }
	birth := p.Birth.String()
	year, day := yearOf(p.Birth), dayOf(p.Birth)
	for _, n := range p.Names {
		given := sound(root(n.Given))
		blank := placeholder(n.Given)
		for beginning := range beginnings(n.Family) {
			add("beginning birth", beginning, birth) // of a search that gives a name's first letters
		}
		for family := range parts(n.Family) {
			spoken := sound(family)
			add("family birth", spoken, birth)
			if blank {
				continue
			}
			// In either order, so that exchanged names meet.
			one, two := spoken, given
			if two < one {
				one, two = two, one
			}
			add("name year", one, two, year) // any error in month and day
			add("name day", one, two, day)   // any error in the year; month and day exchanged
		}
		if blank {
			continue
		}
		add("given birth", given, birth) // any family name
		for _, t := range p.Phones {
			add("phone given", t, given) // any family name and birth date
		}
		for _, a := range p.Addresses {
			if a.House != "" && a.ZIP != "" {
				add("home given", a.House, a.ZIP, given)
			}
		}
	}
	for _, t := range p.Phones {
		add("phone birth", t, birth)
	}
	for _, g := range p.Guardians {
		add("guardian beginning", beginning(g.Family), birth)
		for family := range parts(g.Family) {
			add("guardian birth", sound(family), birth)
		}
	}
	for _, i := range p.IDs {
		add("id", i.Kind, i.Assigner, i.Value)
	}
	return keys
}

// parts goes through a family name and, of a compound one, its parts of three letters or
// more.
func parts(family string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if !yield(squash(family)) || !strings.Contains(family, " ") {
			return
		}
		for part := range strings.FieldsSeq(family) {
			if len(part) >= 3 && !yield(part) {
				return
			}
		}
	}
}

// leastFamily is how many letters of a family name are a search by its beginning. They are
// counted in bytes of the folded text: a letter of other scripts tells more than a Latin one.
const leastFamily = 3

// beginning is what a family name has in common with every beginning of it that is
// searched by: its first letters, or all of a shorter one.
func beginning(family string) string {
	s := squash(family)
	return s[:min(len(s), leastFamily)]
}

// beginnings goes through those of a family name and, of a compound one, of its parts.
func beginnings(family string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if !yield(beginning(family)) || !strings.Contains(family, " ") {
			return
		}
		for part := range strings.FieldsSeq(family) {
			if !yield(beginning(part)) {
				return
			}
		}
	}
}

func yearOf(d coldkeep.Date) string {
	if !d.Known() {
		return ""
	}
	return d.String()[:4]
}

// dayOf names month and day in either order.
func dayOf(d coldkeep.Date) string {
	if !d.Known() {
		return ""
	}
	s := d.String()
	month, day := s[5:7], s[8:10]
	if day < month {
		month, day = day, month
	}
	return month + day
}
