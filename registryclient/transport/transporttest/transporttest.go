// Package transporttest is the suite that every transport to a registry passes.
package transporttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep/registryclient/transport"
)

// Rig is a transport and the fake of the registry at its other end, which
// misbehaves when told to. A transport that cannot meet a trouble (a file drop has
// nobody to be refused by) leaves its func nil.
type Rig struct {
	Transport    transport.Transport
	Got          func() []string // keys of the parcels that took effect, in order
	Away         func()          // the registry is gone
	Back         func()          // and is there again
	Busy         func()          // it asks to come again
	Unauthorized func()          // it no longer knows us
	Refuse       func()          // it refuses the next parcel for good
	Hang         func()          // it does not answer the next parcel
	Lose         func()          // it takes the next parcel and its answer gets lost
	Impostor     func()          // something else answers the next parcel in its place
}

// Run runs the suite; rig makes a fresh rig for each test.
func Run(t *testing.T, rig func(t *testing.T) Rig) {
	post := func(t *testing.T, r Rig, key string) (transport.Answer, error) {
		t.Helper()
		return r.Transport.Post(t.Context(), "/api/v1/excursions", key, []byte(`{"id":"`+key+`"}`))
	}
	accepted := func(t *testing.T, r Rig, key string) {
		t.Helper()
		if a, err := post(t, r, key); err != nil || a.Verdict != transport.Accepted {
			t.Fatalf("%s: %+v, %v", key, a, err)
		}
	}
	got := func(t *testing.T, r Rig, want ...string) {
		t.Helper()
		if got := r.Got(); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	trouble := func(name string, bring func(Rig) func(), check func(*testing.T, Rig)) {
		t.Run(name, func(t *testing.T) {
			r := rig(t)
			f := bring(r)
			if f == nil {
				t.Logf("%s cannot be", name)
				return
			}
			f()
			check(t, r)
		})
	}

	t.Run("takes parcels in order", func(t *testing.T) {
		r := rig(t)
		var want []string
		for i := range 5 {
			key := fmt.Sprintf("k%d", i)
			accepted(t, r, key)
			want = append(want, key)
		}
		got(t, r, want...)
	})
	t.Run("a parcel that comes twice counts once", func(t *testing.T) {
		r := rig(t)
		accepted(t, r, "k")
		accepted(t, r, "k")
		got(t, r, "k")
	})
	trouble("a lost answer", func(r Rig) func() { return r.Lose }, func(t *testing.T, r Rig) {
		if a, err := post(t, r, "k"); err == nil {
			t.Fatalf("got %+v", a)
		}
		accepted(t, r, "k")
		got(t, r, "k")
	})
	trouble("away", func(r Rig) func() { return r.Away }, func(t *testing.T, r Rig) {
		a, err := post(t, r, "k")
		if err == nil {
			t.Fatalf("got %+v", a)
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error shows the token: %v", err)
		}
		r.Back()
		accepted(t, r, "k")
		got(t, r, "k")
	})
	trouble("busy", func(r Rig) func() { return r.Busy }, func(t *testing.T, r Rig) {
		a, err := post(t, r, "k")
		if err != nil || a.Verdict != transport.Busy || a.Reason == "" {
			t.Fatalf("%+v, %v", a, err)
		}
		accepted(t, r, "k")
	})
	trouble("unauthorized", func(r Rig) func() { return r.Unauthorized }, func(t *testing.T, r Rig) {
		a, err := post(t, r, "k")
		if err != nil || a.Verdict != transport.Unauthorized || strings.Contains(a.Reason, "s3cret") {
			t.Fatalf("%+v, %v", a, err)
		}
		got(t, r)
	})
	trouble("refused", func(r Rig) func() { return r.Refuse }, func(t *testing.T, r Rig) {
		a, err := post(t, r, "k")
		if err != nil || a.Verdict != transport.Refused || a.Reason == "" {
			t.Fatalf("%+v, %v", a, err)
		}
		accepted(t, r, "other")
		got(t, r, "other")
	})
	trouble("silent", func(r Rig) func() { return r.Hang }, func(t *testing.T, r Rig) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		a, err := r.Transport.Post(ctx, "/api/v1/excursions", "k", []byte("{}"))
		if err == nil || time.Since(began) > 2*time.Second {
			t.Fatalf("%+v after %v", a, time.Since(began))
		}
	})
	trouble("impostor", func(r Rig) func() { return r.Impostor }, func(t *testing.T, r Rig) {
		if a, err := post(t, r, "k"); err == nil {
			t.Fatalf("what a stranger said was believed: %+v", a)
		}
		accepted(t, r, "k")
		got(t, r, "k")
	})
}
