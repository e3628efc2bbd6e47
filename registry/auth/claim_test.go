package auth_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/internal/feedtest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/store"
)

func newClaim(n int) auth.NewClaim {
	key := ed25519.NewKeyFromSeed([]byte(fmt.Sprintf("%032d", n)))
	c := auth.NewClaim{V: 1, Code: fmt.Sprintf("AB%02d-%04d", n/10_000, n%10_000), SecretSHA256: auth.SHA256(fmt.Sprint("secret", n)),
		PublicKey: base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))}
	c.Signature = base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte("coldkeep/claim/1|"+c.Code+"|"+c.SecretSHA256)))
	return c
}

// A claim waits for a day, as many wait as may, and those that are over make room.
func TestClaimsExpireAndAreBounded(t *testing.T) {
	st, err := store.Open(t.Context(), databasetest.Open(t, databasetest.SQLite(t)))
	if err != nil {
		t.Fatal(err)
	}
	clock := feedtest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	s, err := auth.New(st.Auth(), clock)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	claim := func(n int, state auth.ClaimState, code string) {
		t.Helper()
		c, err := s.Claim(ctx, newClaim(n))
		if coldkeep.ErrorCode(err) != code || code == "" && c.State != state {
			t.Fatalf("claim %d: %s, %v", n, c.State, err)
		}
	}
	for n := range 200 {
		claim(n, auth.ClaimWaiting, "")
	}
	claim(200, "", coldkeep.ETOOMANY)
	claim(7, auth.ClaimWaiting, "") // who waits already is not turned away
	admin := auth.Principal{ID: "a", Name: "Ada", Role: auth.StateAdmin}
	if all, err := s.WaitingClaims(ctx, admin); err != nil || len(all) != 200 {
		t.Fatalf("%d wait, %v", len(all), err)
	}
	if _, err := s.WaitingClaims(ctx, auth.Principal{ID: "m", Role: auth.PracticeManager, Site: "lakeside"}); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
		t.Error(err)
	}
	clock.Advance(24 * time.Hour)
	claim(7, auth.ClaimExpired, "")
	claim(200, auth.ClaimWaiting, "")
	if err := s.RefuseClaim(ctx, admin, newClaim(7).Code); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT || !strings.Contains(coldkeep.ErrorMessage(err), "more than a day") {
		t.Error(err)
	}
	if err := s.RefuseClaim(ctx, auth.Principal{ID: "n", Role: auth.Nurse, Site: "lakeside"}, newClaim(200).Code); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
		t.Error(err)
	}
	clock.Advance(30 * 24 * time.Hour)
	claim(201, auth.ClaimWaiting, "")
	if _, err := s.ClaimByCode(ctx, newClaim(7).Code); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		t.Errorf("what is a month old is kept: %v", err)
	}
}

func FuzzParseClaimCode(f *testing.F) {
	for _, s := range []string{"ABCD-2345", "abcd 2345", "", "ABCD–2345", "ßßßß-2345", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		code, err := auth.ParseClaimCode(s)
		if err != nil {
			if coldkeep.ErrorCode(err) != coldkeep.EINVALID {
				t.Fatal(err)
			}
			return
		}
		if again, err := auth.ParseClaimCode(code); err != nil || again != code || len(code) != 9 {
			t.Fatalf("%q gives %q, which gives %q, %v", s, code, again, err)
		}
	})
}
