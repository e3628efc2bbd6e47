package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/foresight"
)

// A small measurement runs through, says that the recordings are not there, and
// does not write figures without them.
func TestRun(t *testing.T) {
	var out strings.Builder
	file := filepath.Join(t.TempDir(), "measured.json")
	err := run(&out, 1, 1, filepath.Join(t.TempDir(), "none"), false, false, file)
	if coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Errorf("%v, want EUNAVAILABLE", err)
	}
	for _, want := range []string{"recordings: skipped", "| ultra-cold | power-lost | yes |", "| freezer, frost-free | defrost that does not end |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing of %q in\n%s", want, out.String())
		}
	}
}

func TestExcursions(t *testing.T) {
	const minute = int64(60_000)
	var samples []foresight.Sample
	add := func(minutes int, c coldkeep.Temperature) {
		for range minutes {
			samples = append(samples, foresight.Sample{At: int64(len(samples)+1) * minute, Celsius: c})
		}
	}
	add(10, 5_000)
	add(4, 8_001) // four minutes and the one back: five
	add(20, 8_000)
	add(4, 9_000) // joined to the one before
	add(40, 5_000)
	add(3, 9_000) // too short
	add(40, -273_200)
	add(10, 1_999)
	got := excursionsOf(2_000, 8_000, samples)
	want := []excursion{{coldkeep.TooWarm, 11 * minute, 39 * minute}, {coldkeep.TooCold, 122 * minute, 131 * minute}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Fatalf("%v, want %v", got, want)
	}
	for at, ok := range map[int64]bool{10 * minute: true, 11 * minute: false} {
		if comesTrue(foresight.Warning{Cause: foresight.DoorAjar, Side: coldkeep.TooWarm, At: at}, got) != ok {
			t.Errorf("at %d: want %v", at, ok)
		}
	}
	late := foresight.Warning{Cause: foresight.DoorAjar, Side: coldkeep.TooCold, At: minute}
	if late.At = got[1].start - (2 * time.Hour).Milliseconds() - 1; comesTrue(late, got) {
		t.Error("more than two hours before is right")
	}
}
