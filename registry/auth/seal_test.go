package auth_test

import (
	"strings"
	"testing"

	"github.com/pquerna/otp/totp"
	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/store"
)

func sealer(t testing.TB, digit string) *auth.Sealer {
	t.Helper()
	s, err := auth.NewSealer(strings.Repeat(digit, 64))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is sealed opens for whom it was sealed by the same key, and otherwise not; it is
// never the same twice, and does not hold the text.
func TestSealer(t *testing.T) {
	for _, key := range []string{"", "abc", strings.Repeat("g", 64), strings.Repeat("0", 62), strings.Repeat("0", 128)} {
		if _, err := auth.NewSealer(key); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("key %q: %v", key, err)
		}
	}
	one, other := sealer(t, "1"), sealer(t, "2")
	rapid.Check(t, func(t *rapid.T) {
		text, about := rapid.StringN(4, 80, -1).Draw(t, "text"), rapid.String().Draw(t, "about")
		sealed := one.Seal(text, about)
		if got, err := one.Open(sealed, about); err != nil || got != text {
			t.Fatalf("%q, %v", got, err)
		}
		if sealed == one.Seal(text, about) || strings.Contains(sealed, text) {
			t.Fatal(sealed)
		}
		i := rapid.IntRange(0, len(sealed)-1).Draw(t, "byte")
		for _, bad := range []string{sealed[:i], sealed[:i] + "~" + sealed[i+1:], text} {
			if got, err := one.Open(bad, about); err == nil {
				t.Fatalf("%q opens as %q", bad, got)
			}
		}
		if _, err := one.Open(sealed, about+"x"); err == nil {
			t.Fatal("it opens for somebody else")
		}
		if _, err := other.Open(sealed, about); err == nil {
			t.Fatal("it opens by another key")
		}
	})
}

// A database of an earlier release has secrets in clear: they are encrypted at the next
// start and work on. Without the key nothing starts.
func TestSecretsInClearAreSealed(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		db := databasetest.Open(t, where)
		st, err := store.Open(ctx, db)
		code(t, err, "", "store")
		c := coldkeep.RealClock{}
		with := func(rules auth.Rules) *auth.Service {
			t.Helper()
			s, err := auth.New(st.Auth(), c, rules)
			code(t, err, "", "service")
			return s
		}
		bare, keyed, wrong := with(auth.Rules{}), with(auth.Rules{Secrets: sealer(t, "1")}), with(auth.Rules{Secrets: sealer(t, "2")})
		_, err = bare.SealSecrets(ctx)
		code(t, err, "", "nobody has codes")
		p, err := bare.AddPerson(ctx, auth.System("Test"), auth.NewPerson{Name: "Dana", Username: "dana", Password: "correct horse battery", Role: auth.StateAdmin})
		code(t, err, "", "person")
		_, err = bare.NewTOTP(p.Principal())
		code(t, err, coldkeep.EINVALID, "a secret without a key to keep it by")
		pending, err := keyed.NewTOTP(p.Principal())
		code(t, err, "", "secret")
		secret, _, err := keyed.ShowTOTP(p.Principal(), pending)
		code(t, err, "", "secret")
		now := func() string {
			t.Helper()
			v, err := totp.GenerateCode(secret, c.Now())
			code(t, err, "", "code")
			return v
		}
		_, err = bare.ConfirmTOTP(ctx, p.Principal(), pending, now())
		code(t, err, coldkeep.EINVALID, "codes without a key to keep them by")
		_, err = db.ExecContext(ctx, `UPDATE people SET totp_secret = $1 WHERE id = $2`, secret, p.ID)
		code(t, err, "", "as an earlier release kept it")
		_, err = bare.SealSecrets(ctx)
		code(t, err, coldkeep.EINVALID, "a start without a key")
		if n, err := keyed.SealSecrets(ctx); n != 1 || err != nil {
			t.Fatalf("%d sealed, %v", n, err)
		}
		if n, err := keyed.SealSecrets(ctx); n != 0 || err != nil {
			t.Errorf("again: %d sealed, %v", n, err)
		}
		kept, err := st.Person(ctx, p.ID)
		if err != nil || kept.TOTPSecret == "" || strings.Contains(kept.TOTPSecret, secret) {
			t.Errorf("%q, %v", kept.TOTPSecret, err)
		}
		_, err = bare.SealSecrets(ctx)
		code(t, err, coldkeep.EINVALID, "a start without the key")
		_, err = wrong.SealSecrets(ctx)
		code(t, err, coldkeep.EINVALID, "a start with another key")
		_, err = wrong.Code(ctx, p.ID, now())
		code(t, err, coldkeep.EINVALID, "a code by another key")
		how, err := keyed.Code(ctx, p.ID, now())
		if err != nil || how != auth.ByCode {
			t.Errorf("%s, %v", how, err)
		}
	})
}
