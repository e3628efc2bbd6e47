package guide_test

import (
	"testing"

	"github.com/coldkeep/coldkeep/registry/hl7/guide"
)

func BenchmarkCheck(b *testing.B) {
	m := message(b, good)
	c := &guide.Checker{Today: today}
	b.ReportAllocs()
	for b.Loop() {
		c.Check(m)
	}
}
