package patient

import "hash/fnv"

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

// Keys are what the person can be found by.
func (p *Profile) Keys() []int64 {
	var keys []int64
	for _, n := range p.Names {
		keys = appendNew(keys, key("name", n.Family, n.Given, p.Birth.String()))
	}
	return keys
}
