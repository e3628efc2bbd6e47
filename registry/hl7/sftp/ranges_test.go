package sftp

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever order parts come in, and however they overlap, a file is whole when each of its
// bytes has come, and not before.
func TestRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.IntRange(0, 10).Draw(t, "base")
		r := ranges{end: int64(base)}
		var has [64]bool
		for i := range base {
			has[i] = true
		}
		for range rapid.IntRange(1, 30).Draw(t, "parts") {
			from := rapid.IntRange(0, 60).Draw(t, "from")
			to := min(64, from+rapid.IntRange(0, 8).Draw(t, "length"))
			r.add(int64(from), int64(to))
			for i := from; i < to; i++ {
				has[i] = true
			}
			size, whole := 0, true
			for i, h := range has {
				if h {
					size = i + 1
				}
			}
			for _, h := range has[:size] {
				whole = whole && h
			}
			if r.size() != int64(size) || r.whole() != whole {
				t.Fatalf("size %d, whole %t; want %d, %t: %+v", r.size(), r.whole(), size, whole, r)
			}
		}
	})
}

// No path leads into more than a folder of the tree and one name in it.
func FuzzSplit(f *testing.F) {
	for _, p := range []string{"/in/a.hl7", "in/../../etc/passwd", "//in//a", "/out", "/in/a/b", "", "/in/.."} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		folder, name := split(p)
		if validName(name) == nil && (name == "." || name == ".." || len(name) > maxName) {
			t.Errorf("%q is %q in %q", p, name, folder)
		}
		if again, same := split(folder + "/" + name); name != "" && (again != folder || same != name) {
			t.Errorf("%q is %q in %q, and that is %q in %q", p, name, folder, same, again)
		}
	})
}
