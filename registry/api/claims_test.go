package api

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// device is a new device as it makes its claim.
type device struct {
	key    ed25519.PrivateKey
	code   string
	secret string
}

func newDevice(seed byte, code, secret string) device {
	return device{ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+seed)), 32))), code, secret}
}

func (d device) claim() string {
	sum := sha256.Sum256([]byte(d.secret))
	secret := hex.EncodeToString(sum[:])
	pub := base64.RawURLEncoding.EncodeToString(d.key.Public().(ed25519.PublicKey))
	sig := base64.RawURLEncoding.EncodeToString(ed25519.Sign(d.key, []byte("coldkeep/claim/1|"+d.code+"|"+secret)))
	b, err := json.Marshal(map[string]any{"v": 1, "code": d.code, "pub": pub, "secret_sha256": secret, "model": "Raspberry Pi 4", "serial": "100000", "version": "1.0", "sig": sig})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A device without an account asks, a person lets it in, and it learns where it
// belongs; its secret then opens the broker.
func TestClaim(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, where string) {
		c := serve(t, where)
		c.token = "" // it has none
		d := newDevice(0, "ABCD-2345", "s3cret-of-the-device")
		ask := func() answer { return c.do(http.MethodGet, "/api/v1/devices/claims/"+d.code, "", nil) }
		ask().problem(t, 404, coldkeep.ENOTFOUND, "no device")
		first := c.do(http.MethodPost, "/api/v1/devices/claims", "", []byte(d.claim()))
		again := c.do(http.MethodPost, "/api/v1/devices/claims", "", []byte(d.claim()))
		if first.status != 202 || !strings.Contains(first.body, `{"state":"waiting","expires_at":`) || again.status != 202 || again.body != first.body {
			t.Fatalf("%d %s, again %d %s", first.status, first.body, again.status, again.body)
		}
		other := newDevice(1, d.code, "another")
		c.do(http.MethodPost, "/api/v1/devices/claims", "", []byte(other.claim())).problem(t, 409, coldkeep.ECONFLICT, "code: ")
		by := auth.Principal{ID: "m", Name: "Dana", Role: auth.PracticeManager, Site: "lakeside"}
		ctx := t.Context()
		if err := c.auth.AcceptClaim(ctx, auth.Principal{ID: "n", Role: auth.Nurse, Site: "lakeside"}, d.code, "lakeside", "pi-9", false); coldkeep.ErrorCode(err) != coldkeep.EFORBIDDEN {
			t.Fatal(err)
		}
		before, err := c.store.MirrorRevision(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.auth.AcceptClaim(ctx, by, "abcd 2345", "lakeside", "pi-9", false); err != nil {
			t.Fatal(err)
		}
		if after, err := c.store.MirrorRevision(ctx); err != nil || after != before+1 {
			t.Fatalf("revision %d after %d, %v", after, before, err)
		}
		ask().ok(t, `"site":"lakeside","agent":"pi-9","broker":"ssl://broker.example:8883"`)
		if a := c.do(http.MethodPost, "/api/v1/devices/claims", "", []byte(d.claim())); a.status != 202 || a.body != ask().body {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if _, _, ok := c.auth.CheckDevice(ctx, "lakeside/pi-9", d.secret); !ok {
			t.Error("its secret does not open")
		}
		if key, err := c.store.DeviceKey(ctx, "lakeside", "pi-9"); err != nil || key != base64.RawURLEncoding.EncodeToString(d.key.Public().(ed25519.PublicKey)) {
			t.Errorf("key %q, %v", key, err)
		}
		if err := c.auth.RefuseClaim(ctx, by, d.code); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT || !strings.Contains(coldkeep.ErrorMessage(err), "Dana") {
			t.Errorf("decided twice: %v", err)
		}
		// A device in the place of a dead one of the same name.
		fresh := newDevice(2, "WXYZ-6789", "another secret")
		if a := c.do(http.MethodPost, "/api/v1/devices/claims", "", []byte(fresh.claim())); a.status != 202 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if err := c.auth.AcceptClaim(ctx, by, fresh.code, "lakeside", "pi-9", false); coldkeep.ErrorCode(err) != coldkeep.ECONFLICT {
			t.Fatal(err)
		}
		if err := c.auth.AcceptClaim(ctx, by, fresh.code, "lakeside", "pi-9", true); err != nil {
			t.Fatal(err)
		}
		if _, _, ok := c.auth.CheckDevice(ctx, "lakeside/pi-9", d.secret); ok {
			t.Error("the old device still opens")
		}
		refused := newDevice(3, "RRRR-2222", "x")
		c.do(http.MethodPost, "/api/v1/devices/claims", "", []byte(refused.claim()))
		if err := c.auth.RefuseClaim(ctx, by, refused.code); err != nil {
			t.Fatal(err)
		}
		c.do(http.MethodGet, "/api/v1/devices/claims/"+refused.code, "", nil).ok(t, `"state":"refused"`)
		trail, err := c.store.Trail(ctx, "lakeside", 10)
		if err != nil {
			t.Fatal(err)
		}
		var whats []string
		for _, e := range trail {
			if strings.HasPrefix(e.What, "device.") {
				whats = append(whats, e.What+" by "+e.Who)
			}
		}
		if got := strings.Join(whats, ", "); got != "device.refuse by Dana, device.replace by Dana, device.accept by Dana" {
			t.Errorf("trail %s", got)
		}
	})
}

func TestBadClaims(t *testing.T) {
	c := serve(t, databasetest.SQLite(t))
	good := newDevice(0, "ABCD-2345", "secret").claim()
	for _, row := range []struct{ from, to, text string }{
		{`"v":1`, `"v":2`, "v: "},
		{"ABCD-2345", "ABCD2345", "code: "},
		{"ABCD-2345", "abcd-2345", "code: "},
		{"ABCD-2345", "ABCD-2346", "sig: "}, // the signature is of another code
		{`"sig":"`, `"sig":"AAAA`, "sig: "},
		{`"pub":"`, `"pub":"x`, "pub: "},
		{`"secret_sha256":"`, `"secret_sha256":"00`, "secret_sha256: "},
		{"Raspberry Pi 4", strings.Repeat("x", 81), "model: "},
		{"Raspberry Pi 4", `a\nb`, "model: "},
		{good, "[]", "body: "},
		{good, strings.Repeat("x", 5000), "body: "},
	} {
		c.do(http.MethodPost, "/api/v1/devices/claims", "", []byte(strings.Replace(good, row.from, row.to, 1))).problem(t, 400, coldkeep.EINVALID, row.text)
	}
	c.do(http.MethodGet, "/api/v1/devices/claims/nothing", "", nil).problem(t, 400, coldkeep.EINVALID, "Code")
	asked := 0
	for range claimBurst {
		if a := c.do(http.MethodGet, "/api/v1/devices/claims/ABCD-2345", "", nil); a.status == http.StatusTooManyRequests {
			if a.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			return
		}
		asked++
	}
	t.Errorf("asked %d times more than an address may", asked)
}

// An address may ask again as time goes by, whatever others do.
func TestLimiter(t *testing.T) {
	var l limiter
	now := noon
	for i := range claimBurst {
		if w := l.allow("a", now); w != 0 {
			t.Fatalf("call %d waits %v", i, w)
		}
	}
	w := l.allow("a", now)
	if w <= 0 || w > claimEvery {
		t.Fatalf("waits %v", w)
	}
	if l.allow("b", now) != 0 {
		t.Error("another address waits")
	}
	if l.allow("a", now.Add(w)) != 0 {
		t.Error("it waits longer than it was told")
	}
	if l.allow("a", now.Add(w)) == 0 {
		t.Error("one call was two")
	}
	if l.allow("a", now.Add(time.Hour)) != 0 {
		t.Error("it waits an hour later")
	}
}
