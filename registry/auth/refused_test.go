package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// A flood of refused requests is in the trail with its number, in few entries.
func TestRefusedRequests(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, st, _ := open(t, where)
		ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: "203.0.113.9"})
		const n = 1500
		for range n {
			if err := s.RefusedRequest(ctx, auth.Principal{}, "larger than any call: POST /api/v1/devices/claims"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.EnterRefused(t.Context()); err != nil {
			t.Fatal(err)
		}
		entries, err := st.Entries(ctx, audit.Query{What: "request.refused", Limit: 2 * n})
		if err != nil || len(entries) != 1001 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		want := "500 more were refused from 2026-03-01T12:00:00Z to 2026-03-01T12:00:00Z: larger than any call (500)"
		if e := entries[0]; e.Detail != want || e.Address != "203.0.113.9" || e.Who != "Nobody" {
			t.Errorf("%+v", e)
		}
		if err := s.EnterRefused(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again, err := st.Entries(ctx, audit.Query{What: "request.refused", Limit: 2 * n}); err != nil || len(again) != 1001 {
			t.Errorf("entered twice: %d, %v", len(again), err)
		}
	})
}

// Nobody learns by guessing which usernames there are: one that is nobody's is answered, and
// locked, as somebody's is. Every try is in the trail, without the username.
func TestUsernamesCannotBeTriedOut(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		s, st, c := open(t, where)
		add(t, s, "dana", auth.Nurse, "lakeside")
		ctx, tries := t.Context(), 0
		for i, wait := range []time.Duration{0, 0, 0, 0, 0, 0, time.Second, 30 * time.Second, 0, 61 * time.Second, 0, 3 * time.Minute, 0, time.Hour, 0, 0} {
			c.add(wait)
			_, _, known := s.Password(ctx, "dana", "wrong password")
			_, _, stranger := s.Password(ctx, "Strange-Password1", "wrong password")
			tries++
			if coldkeep.ErrorCode(known) != coldkeep.ErrorCode(stranger) || coldkeep.ErrorMessage(known) != coldkeep.ErrorMessage(stranger) {
				t.Errorf("try %d: %v for somebody, %v for nobody", i, known, stranger)
			}
		}
		entries, err := st.Entries(ctx, audit.Query{Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		ofKnown, ofNobody := 0, 0
		for _, e := range entries {
			if strings.Contains(strings.ToLower(e.Detail+e.Who+e.Subject+e.WhoID), "strange") {
				t.Errorf("the trail has what was typed: %+v", e)
			}
			switch {
			case e.What == "person.refused", e.What == "request.refused" && e.WhoID != "":
				ofKnown++
			case e.What == "request.refused":
				ofNobody++
			}
		}
		if ofKnown != tries || ofNobody != tries {
			t.Errorf("the trail has %d and %d of %d tries", ofKnown, ofNobody, tries)
		}
	})
}
