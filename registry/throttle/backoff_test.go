package throttle_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep/registry/throttle"
)

// Waits grow with failures, never beyond the longest, end by themselves, and are a key's own.
func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		free := rapid.IntRange(0, 5).Draw(t, "free")
		b := throttle.NewBackoff(free, time.Second, time.Minute)
		now, before := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Duration(0)
		for n := range rapid.IntRange(1, 30).Draw(t, "failures") {
			if got := b.Wait("a", now); got != 0 {
				t.Fatalf("after the wait: %s", got)
			}
			wait := b.Failed("a", now)
			switch {
			case n < free && wait != 0:
				t.Fatalf("failure %d costs %s", n+1, wait)
			case n >= free && wait < max(before, time.Second), wait > time.Minute:
				t.Fatalf("failure %d: %s after %s", n+1, wait, before)
			}
			if got := b.Wait("a", now); got != wait {
				t.Fatalf("Wait says %s, Failed said %s", got, wait)
			}
			if got := b.Wait("other", now); got != 0 {
				t.Fatalf("another waits %s", got)
			}
			before, now = wait, now.Add(wait)
		}
		b.Succeeded("a")
		if got := b.Wait("a", now.Add(-time.Millisecond)); got != 0 {
			t.Fatalf("after a success: %s", got)
		}
	})
}

func TestBackoffForgetsAfterADay(t *testing.T) {
	b, now := throttle.NewBackoff(1, time.Minute, time.Hour), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	b.Failed("a", now)
	b.Failed("a", now)
	if wait := b.Failed("a", now.Add(25*time.Hour)); wait != 0 {
		t.Errorf("the first failure of another day costs %s", wait)
	}
}
