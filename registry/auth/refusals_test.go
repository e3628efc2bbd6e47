package auth

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Of every flood of refused requests a bounded part is entered one by one, and what is
// entered and what is counted together are all that there were.
func TestRefusalsAreBoundedAndNoneIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, now := newRefusals(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		sent, written, counted, entries := 0, 0, 0, 0
		count := func() {
			for i, f := range r.drain() {
				entries++
				if i == 1 && rapid.Bool().Draw(t, "not entered") {
					r.back(f)
					continue
				}
				counted += f.n
				kinds := 0
				for _, n := range f.kinds {
					kinds += n
				}
				if kinds != f.n || f.last.Before(f.first) || f.words() == "" {
					t.Fatalf("%+v", f)
				}
			}
		}
		start := now
		for range rapid.IntRange(1, 12).Draw(t, "floods") {
			n, spread := rapid.IntRange(1, 4000).Draw(t, "requests"), rapid.IntRange(1, 3000).Draw(t, "sources")
			form := rapid.SampledFrom([]string{"10.%d.%d.9", "2001:db8:%x:%x::1"}).Draw(t, "addresses")
			by := Principal{ID: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "who")}
			for i := range n {
				if r.take(by, fmt.Sprintf(form, i%spread/256, i%spread%256), fmt.Sprint("kind ", i%3, ": POST /x"), now) {
					written++
				}
			}
			sent += n
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			if rapid.Bool().Draw(t, "entered") {
				before := entries
				count()
				if entries-before > mostCounted+1 {
					t.Fatalf("a count has %d entries", entries-before)
				}
			}
		}
		for range 3 {
			count()
		}
		for _, f := range r.drain() {
			counted += f.n
		}
		if written+counted != sent {
			t.Fatalf("%d entered and %d counted of %d", written, counted, sent)
		}
		if most := refusedOfAll + int(now.Sub(start)/refusedOfAllOne) + 1; written > most {
			t.Fatalf("%d entered one by one, want at most %d", written, most)
		}
	})
}

// Who has a network of IPv6 addresses is one source, and does not use up that of others.
func TestRefusalsOfOneNetwork(t *testing.T) {
	r, now := newRefusals(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	written := 0
	for i := range 5 * refusedAtOnce {
		if r.take(Principal{}, fmt.Sprintf("2001:db8::%x:%x", i/256, i%256), "larger than any call: POST /x", now) {
			written++
		}
	}
	if written != refusedAtOnce {
		t.Errorf("%d entered one by one", written)
	}
	if !r.take(Principal{}, "10.0.0.1", "larger than any call: POST /x", now) {
		t.Error("another source is counted only")
	}
	all := r.drain()
	if len(all) != 1 || all[0].n != 4*refusedAtOnce || all[0].source != "2001:db8::/64" {
		t.Errorf("%+v", all)
	}
}
