package throttle_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep/registry/throttle"
)

// However calls are spread, a key gets no more than its burst and one every interval, and
// what one key does is nothing to another.
func TestNoMoreThanAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.IntRange(1, 5000).Draw(t, "every")) * time.Millisecond
		burst := rapid.IntRange(1, 20).Draw(t, "burst")
		l := throttle.New(every, burst)
		start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		now, allowed := start, 0
		for i := range rapid.IntRange(1, 200).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause")) * time.Millisecond)
			if l.Take("a", now) == 0 {
				allowed++
			}
			if most := burst + int(now.Sub(start)/every) + 1; allowed > most {
				t.Fatalf("%d calls after %s, want at most %d", allowed, now.Sub(start), most)
			}
			if wait := l.Take(fmt.Sprint("other", i), now); wait != 0 {
				t.Fatalf("another key waits %s", wait)
			}
		}
	})
}

func TestWaitIsEnough(t *testing.T) {
	l, now := throttle.New(time.Second, 1), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	if wait := l.Take("a", now); wait != 0 {
		t.Fatal(wait)
	}
	wait := l.Take("a", now)
	if wait <= 0 || wait > time.Second {
		t.Fatal(wait)
	}
	if again := l.Take("a", now.Add(wait)); again != 0 {
		t.Fatalf("after the wait: %s", again)
	}
}

func TestManyKeys(t *testing.T) {
	l, now := throttle.New(time.Hour, 1), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range 50_000 {
		l.Take(fmt.Sprint(i), now)
	}
	if l.Take("49999", now) == 0 {
		t.Error("the last key is forgotten already")
	}
}
