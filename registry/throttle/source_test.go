package throttle_test

import (
	"testing"

	"github.com/coldkeep/coldkeep/registry/throttle"
)

func TestSource(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.7":          "203.0.113.7",
		"::ffff:203.0.113.7":   "203.0.113.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::":       "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
		"":                     "",
		"unix":                 "unix",
	} {
		if got := throttle.Source(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}
