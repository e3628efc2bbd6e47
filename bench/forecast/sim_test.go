package main

import (
	"math/rand/v2"
	"testing"

	"github.com/coldkeep/coldkeep/registry/forecast"
)

// BenchmarkSimulated is the simulated population under the Go tool's own clock.
func BenchmarkSimulated(b *testing.B) {
	e := forecast.New(forecast.Builtin())
	lines := simulate(rand.New(rand.NewPCG(1, 1)), 2000)
	b.ReportAllocs()
	var out []byte
	i := 0
	for b.Loop() {
		out = e.AppendLine(out[:0], lines[i%len(lines)], false)
		i++
	}
}
