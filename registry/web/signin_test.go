package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/totp"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/oidcfake"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// code is what an app shows some half minutes from now.
func (s *site) code(secret string, steps int) string {
	s.t.Helper()
	c, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	s.must(err)
	return c
}

var secretKey = regexp.MustCompile(`type the key <code>([A-Z2-7 ]+)</code>`)

// withCodes sets codes up for a person who is signed in, and returns the secret and the
// recovery codes.
func (b *browser) withCodes() (secret string, recovery []string) {
	b.t.Helper()
	m := secretKey.FindStringSubmatch(b.page("/account/second-factor"))
	if m == nil {
		b.t.Fatal("no key")
	}
	secret = strings.ReplaceAll(m[1], " ", "")
	if r := b.post("/account/second-factor/code", url.Values{"code": {"000000"}}); r.status != 303 || r.header.Get("Location") != "/account/second-factor" {
		b.t.Fatalf("a wrong code: %d", r.status)
	}
	r := b.post("/account/second-factor/code", url.Values{"code": {b.code(secret, -1)}})
	for _, c := range regexp.MustCompile(`<li><code>([a-z2-7-]{19})</code>`).FindAllStringSubmatch(r.body, -1) {
		recovery = append(recovery, c[1])
	}
	if r.status != 200 || len(recovery) != 10 {
		b.t.Fatalf("%d, %d recovery codes: %s", r.status, len(recovery), words(b.t, r.body))
	}
	return secret, recovery
}

// A secret that is being set up is in the session until it is confirmed, and not in clear:
// sessions are rows of the database. Where there is no key to seal it by, the page says so.
func TestPendingSecretIsSealed(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("nurse")
	m := secretKey.FindStringSubmatch(b.page("/account/second-factor"))
	if m == nil {
		t.Fatal("no key")
	}
	secret := strings.ReplaceAll(m[1], " ", "")
	if again := secretKey.FindStringSubmatch(b.page("/account/second-factor")); again == nil || again[1] != m[1] {
		t.Error("the secret is another one when the page is loaded again")
	}
	rows, err := s.db.QueryContext(t.Context(), `SELECT data FROM sessions`)
	s.must(err)
	defer func() { s.must(rows.Close()) }()
	n := 0
	for rows.Next() {
		var data []byte
		s.must(rows.Scan(&data))
		if strings.Contains(string(data), secret) {
			t.Error("the secret stands in a session's row in clear")
		}
		n++
	}
	s.must(rows.Err())
	if n == 0 {
		t.Error("no sessions")
	}
	bare, err := auth.New(s.store.Auth(), coldkeep.RealClock{}, auth.Rules{})
	s.must(err)
	s.cfg.Auth = bare
	s.again()
	if page := s.as("nurse").page("/account/second-factor"); !strings.Contains(page, "--secret-key-file") || secretKey.MatchString(page) {
		t.Error("codes are offered where no key is set up")
	}
}

// A password alone opens nothing once there is a second factor; a code works once, and so
// does a recovery code.
func TestSecondFactor(t *testing.T) {
	s := serve(t)
	s.furnish()
	secret, recovery := s.as("nurse").withCodes()
	half := s.browser()
	form := url.Values{"username": {"nurse"}, "password": {password}, "next": {"/lots"}}
	if r := half.post("/signin", form); r.status != 303 || r.header.Get("Location") != "/signin/second" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	if r := half.get("/units"); r.status != 303 || !strings.HasPrefix(r.header.Get("Location"), "/signin") {
		t.Fatalf("half signed in opens units: %d", r.status)
	}
	if r := half.post("/signin/second", url.Values{"code": {s.code(secret, -1)}}); r.status != 401 {
		t.Fatalf("the code that was used to set up opens: %d", r.status)
	}
	now := s.code(secret, 0)
	if r := half.post("/signin/second", url.Values{"code": {now}}); r.status != 303 || r.header.Get("Location") != "/lots" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	half.page("/units", "Fridge of lakeside")
	other := s.browser()
	other.post("/signin", form)
	if r := other.post("/signin/second", url.Values{"code": {now}}); r.status != 401 {
		t.Fatalf("a code works twice: %d", r.status)
	}
	if r := other.post("/signin/second", url.Values{"code": {strings.ToUpper(recovery[3])}}); r.status != 303 {
		t.Fatalf("recovery code: %d %s", r.status, words(t, r.body))
	}
	other.page("/account", "9 recovery codes left")
	third := s.browser()
	third.post("/signin", form)
	if r := third.post("/signin/second", url.Values{"code": {recovery[3]}}); r.status != 401 {
		t.Fatalf("a recovery code works twice: %d", r.status)
	}
	if r := s.browser().post("/signin/second", url.Values{"code": {recovery[4]}}); r.status != 303 || r.header.Get("Location") != "/signin" {
		t.Fatalf("a second step without a first: %d", r.status)
	}
	// Guessing codes locks the account as guessing passwords does.
	for range 5 {
		third.post("/signin/second", url.Values{"code": {"123456"}})
	}
	if r := third.post("/signin/second", url.Values{"code": {recovery[5]}}); r.status != http.StatusTooManyRequests {
		t.Fatalf("after guessing: %d", r.status)
	}
}

// A role that has to have a second factor gets nowhere until there is one.
func TestSecondFactorIsNeeded(t *testing.T) {
	s := serve(t)
	s.furnish()
	var err error
	s.auth, err = auth.New(s.store.Auth(), wall{}, auth.Rules{SecondFactor: []auth.Role{auth.StateAdmin}, Secrets: testSealer(t)})
	s.must(err)
	s.cfg.Auth = s.auth
	s.again()
	b := s.as("state-admin")
	for _, path := range []string{"/units", "/admin", "/account", "/audit", "/account/password"} {
		if r := b.get(path); r.status != 303 || r.header.Get("Location") != "/account/second-factor" {
			t.Errorf("%s: %d %s", path, r.status, r.header.Get("Location"))
		}
	}
	if r := b.post("/admin/people", url.Values{"name": {"x"}}); r.status != 403 {
		t.Errorf("a form: %d", r.status)
	}
	secret, _ := b.withCodes()
	b.page("/units")
	if r := b.post("/account/second-factor/code/remove", url.Values{"password": {password}}); r.status != 303 {
		t.Fatal(r.status)
	}
	b.page("/account", "has to have a second factor", "Codes from an app are set up")
	_ = secret
	s.as("nurse").page("/units")
}

func TestPasskeys(t *testing.T) {
	s := serve(t)
	s.furnish()
	s.cfg.Origin = "https://coldkeep.example"
	s.again()
	party := virtualwebauthn.RelyingParty{Name: "Coldkeep", ID: "coldkeep.example", Origin: "https://coldkeep.example"}
	device, key := virtualwebauthn.NewAuthenticator(), virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	b := s.as("nurse")
	me, err := s.auth.SignIn(t.Context(), "nurse", password)
	s.must(err)
	device.Options.UserHandle = []byte(me.ID)
	asked := b.post("/account/passkeys/begin", nil)
	options, err := virtualwebauthn.ParseAttestationOptions(asked.body)
	s.must(err)
	made := virtualwebauthn.CreateAttestationResponse(party, device, key, *options)
	if r := b.json("/account/passkeys/add?name=", made); r.status != 400 {
		t.Fatalf("without a name: %d %s", r.status, r.body)
	}
	if r := b.json("/account/passkeys/add?name=Phone", made); r.status != 401 {
		t.Fatalf("a challenge is good twice: %d %s", r.status, r.body)
	}
	asked = b.post("/account/passkeys/begin", nil)
	options, err = virtualwebauthn.ParseAttestationOptions(asked.body)
	s.must(err)
	if r := b.json("/account/passkeys/add?name=%3CPhone%3E", virtualwebauthn.CreateAttestationResponse(party, device, key, *options)); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	b.page("/account", "<Phone>")
	kept, err := s.store.Passkeys(t.Context(), me.ID)
	if err != nil || len(kept) != 1 || !strings.Contains(kept[0].Credential, `"flags"`) || !strings.Contains(kept[0].Credential, `"userVerified":true`) {
		t.Fatalf("%+v, %v", kept, err)
	}
	device.AddCredential(key)
	enter := func(p virtualwebauthn.RelyingParty) (*browser, reply) {
		t.Helper()
		b := s.browser()
		asked := b.post("/signin/passkey/begin", nil)
		o, err := virtualwebauthn.ParseAssertionOptions(asked.body)
		s.must(err)
		return b, b.json("/signin/passkey?next=/lots", virtualwebauthn.CreateAssertionResponse(p, device, key, *o))
	}
	in, r := enter(party)
	if r.status != 200 || r.body != `{"next":"/lots"}` {
		t.Fatalf("%d %s", r.status, r.body)
	}
	in.page("/account", "passkey")
	party.Origin = "https://coldkeep.example.evil.example"
	if _, r := enter(party); r.status != 401 {
		t.Errorf("of another origin: %d %s", r.status, r.body)
	}
	party.Origin = "https://coldkeep.example"
	device.Options.UserNotVerified = true
	if _, r := enter(party); r.status != 401 {
		t.Errorf("without a check of the person: %d %s", r.status, r.body)
	}
	device.Options.UserNotVerified = false
	s.must(s.auth.SetActive(t.Context(), system, me.ID, false))
	if _, r := enter(party); r.status != 401 {
		t.Errorf("into a closed account: %d %s", r.status, r.body)
	}
}

func (b *browser) json(path, body string) reply {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+path, strings.NewReader(body))
	b.must(err)
	r.Header.Set("Content-Type", "application/json")
	return b.send(r)
}

// A state's identity provider says who somebody is, and only for whom there is an account.
func TestIdentityProvider(t *testing.T) {
	s := serve(t)
	s.furnish()
	fake, err := oidcfake.New("127.0.0.1:0", "coldkeep", "a secret")
	s.must(err)
	t.Cleanup(fake.Close)
	s.cfg.Provider = &auth.Provider{Name: "State login", Issuer: fake.URL(), ClientID: "coldkeep", Secret: "a secret", Suffix: "@dph.example"}
	s.again()
	b := s.browser()
	b.page("/signin", "Sign in with State login")
	come := func(b *browser) reply {
		t.Helper()
		r := b.get("/signin/provider?next=/lots")
		if r.status != 303 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.header.Get("Location"), nil)
		s.must(err)
		back := b.send(q)
		u, err := url.Parse(back.header.Get("Location"))
		s.must(err)
		return b.get(u.RequestURI())
	}
	fake.Be(map[string]any{"sub": "17", "preferred_username": "Nurse@dph.example"})
	if r := come(b); r.status != 303 || r.header.Get("Location") != "/lots" {
		t.Fatalf("%d %s", r.status, words(t, r.body))
	}
	b.page("/account", "identity provider")
	for name, claims := range map[string]map[string]any{
		"nobody of ours":        {"sub": "18", "preferred_username": "stranger@dph.example"},
		"another domain":        {"sub": "19", "preferred_username": "nurse@elsewhere.example"},
		"without a username":    {"sub": "20"},
		"the name of another's": {"sub": "21", "preferred_username": "nurse@dph.example"},
		"nobody at all":         nil,
	} {
		fake.Be(claims)
		if r := come(s.browser()); r.status != 401 {
			t.Errorf("%s: %d %s", name, r.status, r.header.Get("Location"))
		}
	}
	// The subject is who it is, whatever its name has become.
	fake.Be(map[string]any{"sub": "17", "preferred_username": "renamed@dph.example"})
	if r := come(s.browser()); r.status != 303 {
		t.Errorf("renamed: %d", r.status)
	}
	for name, spoil := range map[string]func(map[string]any){
		"another nonce":    func(c map[string]any) { c["nonce"] = "other" },
		"another audience": func(c map[string]any) { c["aud"] = "other" },
		"run out":          func(c map[string]any) { c["exp"] = 1000 },
		"another issuer":   func(c map[string]any) { c["iss"] = "https://evil.example" },
	} {
		fake.Break(spoil)
		if r := come(s.browser()); r.status != 401 {
			t.Errorf("%s: %d", name, r.status)
		}
	}
	fake.Break(nil)
	if r := s.browser().get("/signin/provider/callback?state=x&code=y"); r.status != 401 {
		t.Errorf("an answer that nobody asked for: %d", r.status)
	}
}

// A session that was planted before a sign-in is not the one that goes on, and each step up
// makes another.
func TestSessionFixation(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.browser()
	b.post("/signin", url.Values{"username": {"nurse"}, "password": {password}})
	u, err := url.Parse(s.url)
	s.must(err)
	token := func() string { return b.Jar.Cookies(u)[0].Value }
	first := token()
	planted := s.browser()
	planted.Jar.SetCookies(u, []*http.Cookie{{Name: "coldkeep_session", Value: "planted-by-somebody-else-0123456789"}})
	planted.post("/signin", url.Values{"username": {"nurse"}, "password": {password}})
	if planted.Jar.Cookies(u)[0].Value == "planted-by-somebody-else-0123456789" {
		t.Error("the planted session goes on")
	}
	secret, _ := b.withCodes()
	if token() == first {
		t.Error("the session is the same after a second factor was set up")
	}
	_ = secret
	old := s.browser()
	old.Jar.SetCookies(u, []*http.Cookie{{Name: "coldkeep_session", Value: first}})
	if r := old.get("/units"); r.status != 303 {
		t.Errorf("the session from before is still good: %d", r.status)
	}
}

func TestPasswordsAndSignIns(t *testing.T) {
	s := serve(t)
	s.furnish()
	manager := s.as("practice-manager")
	r := manager.post("/admin/people", url.Values{"name": {"<b>Nora</b>"}, "username": {"nora"}, "role": {"nurse"}, "site": {"lakeside"}})
	oneTime := regexp.MustCompile(`id="one-time">([a-z2-7]{20})<`).FindStringSubmatch(r.body)
	if r.status != 200 || oneTime == nil || strings.Contains(r.body, "<b>Nora") {
		t.Fatalf("%d %s", r.status, r.body)
	}
	manager.page("/admin/people", "<b>Nora</b>", "has not signed in yet")
	b := s.browser()
	b.post("/signin", url.Values{"username": {"nora"}, "password": {oneTime[1]}})
	for _, path := range []string{"/units", "/account", "/lots"} {
		if r := b.get(path); r.status != 303 || r.header.Get("Location") != "/account/password" {
			t.Errorf("%s: %d %s", path, r.status, r.header.Get("Location"))
		}
	}
	b.post("/account/password", url.Values{"old": {oneTime[1]}, "new": {"short"}, "again": {"short"}})
	b.page("/account/password", "at least 12 characters")
	if r := b.post("/account/password", url.Values{"old": {oneTime[1]}, "new": {"a password of hers"}, "again": {"a password of hers"}}); r.status != 303 || r.header.Get("Location") != "/account" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	b.page("/units", "Fridge of lakeside")
	again := func() *browser {
		n := s.browser()
		n.post("/signin", url.Values{"username": {"nora"}, "password": {"a password of hers"}})
		return n
	}
	other := again()
	b.page("/account", "Sign out everywhere else")
	b.post("/account/sign-ins/end", nil)
	if r := other.get("/units"); r.status != 303 {
		t.Errorf("signed out elsewhere, and it goes on: %d", r.status)
	}
	b.page("/units")
	id := regexp.MustCompile(`/admin/people/([0-9A-Z]{26})">&lt;b&gt;Nora`).FindStringSubmatch(manager.page("/admin/people"))[1]
	for _, path := range []string{"/reset", "/second-factor", "/role", "/leave", ""} {
		if r := s.as("nurse").post("/admin/people/"+id+path, url.Values{"active": {"no"}, "role": {"practice-manager"}, "site": {"lakeside"}}); r.status != 403 {
			t.Errorf("a nurse at %s: %d", path, r.status)
		}
	}
	if r := manager.post("/admin/people/"+id+"/reset", nil); r.status != 200 || !strings.Contains(r.body, `id="one-time"`) {
		t.Fatalf("%d", r.status)
	}
	if r := b.get("/units"); r.status != 303 {
		t.Errorf("after a reset the old session goes on: %d", r.status)
	}
	if r := again().get("/units"); r.status != 303 || !strings.HasPrefix(r.header.Get("Location"), "/signin") {
		t.Errorf("the old password still opens: %d", r.status)
	}
}

// People and interface accounts of another practice are not there, whatever id is walked.
func TestIDsOfOthers(t *testing.T) {
	s := serve(t)
	s.furnish()
	ctx := t.Context()
	ines, err := s.auth.AddPerson(ctx, system, auth.NewPerson{Name: "Ines", Username: "ines", Password: password, Role: auth.Nurse, Site: "northgate"})
	s.must(err)
	admin, err := s.auth.SignIn(ctx, "state-admin", password)
	s.must(err)
	theirs, _, err := s.auth.AddAccount(ctx, system, "Their EHR", "northgate", []string{auth.ScopeRecords})
	s.must(err)
	m := s.as("practice-manager")
	for _, id := range []string{ines.ID, admin.ID, "01ARZ3NDEKTSV4RRFFQ69G5FAV"} {
		if r := m.get("/admin/people/" + id); r.status != 404 || strings.Contains(r.body, "Ines") {
			t.Errorf("person %s: %d", id, r.status)
		}
		for path, form := range map[string]url.Values{"": {"active": {"no"}}, "/reset": nil, "/second-factor": nil, "/role": {"role": {"nurse"}, "site": {"lakeside"}}, "/leave": {"site": {"northgate"}}} {
			if r := m.post("/admin/people/"+id+path, form); r.status != 403 && r.status != 404 {
				t.Errorf("%s of %s: %d %s", path, id, r.status, r.header.Get("Location"))
			}
		}
	}
	for _, path := range []string{"/token", "/revoke", "/keys", "/keys/remove"} {
		r := m.post("/admin/interfaces/"+theirs.ID+path, url.Values{"key": {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB4kY9XPmvI5d3cM4Y1G4VnE5p1b0gC5mYy9Jd3Xw2oN"}})
		if r.status != 404 && r.status != 303 || strings.Contains(r.body, `id="token"`) {
			t.Errorf("interface account %s: %d", path, r.status)
		}
	}
	m.page("/admin/interfaces", "!Their EHR")
	if a, err := s.store.AccountByID(ctx, theirs.ID); err != nil || a.Revoked || a.TokenSHA256 != theirs.TokenSHA256 {
		t.Errorf("%+v, %v", a, err)
	}
	if r := m.post("/account/site", url.Values{"site": {"northgate"}}); r.status != 403 {
		t.Errorf("acting for another practice: %d", r.status)
	}
	if p, err := s.auth.Principal(ctx, ines.ID); err != nil || p.Role != auth.Nurse {
		t.Errorf("%+v, %v", p, err)
	}
}

// Somebody who works at two sites acts for one at a time.
func TestTwoSites(t *testing.T) {
	s := serve(t)
	s.furnish()
	nurse, err := s.auth.SignIn(t.Context(), "nurse", password)
	s.must(err)
	s.must(s.auth.SetRole(t.Context(), system, nurse.ID, "northgate", auth.ViewOnly))
	b := s.as("nurse")
	b.page("/units", "Fridge of lakeside", "!Fridge of northgate")
	if r := b.post("/account/site", url.Values{"site": {"northgate"}}); r.status != 303 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	b.page("/units", "Fridge of northgate", "!Fridge of lakeside", "View only")
	if r := b.get("/units/lakeside-fridge"); r.status != 404 {
		t.Errorf("the other site's unit: %d", r.status)
	}
	// Their manager at one site alone cannot open the account for the other.
	if r := s.as("practice-manager").post("/admin/people/"+nurse.ID+"/reset", nil); r.status != 403 {
		t.Errorf("a reset by the manager of one site: %d", r.status)
	}
	s.must(s.auth.LeaveSite(t.Context(), system, nurse.ID, "northgate"))
	if r := b.get("/units"); r.status != 303 {
		t.Errorf("acting for a site that was left: %d", r.status)
	}
}

// Many tries from one address are slowed, whosoever's account they are at.
func TestBruteForce(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.browser()
	refused := 0
	for i := range 60 {
		if r := b.post("/signin", url.Values{"username": {"nobody" + string(rune('a'+i%26)) + string(rune('a'+i/26))}, "password": {"x"}}); r.status == http.StatusTooManyRequests {
			refused++
			if r.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
	}
	if refused == 0 {
		t.Error("60 tries at once were all looked at")
	}
	entries, err := s.store.Entries(t.Context(), audit.Query{What: "person.*", Limit: 10})
	if err != nil || len(entries) == 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestOversizedBodies(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("state-admin")
	big := strings.Repeat("x", 100<<10)
	for _, path := range []string{"/signin", "/apply", "/account/password", "/admin/people", "/admin/policies/confidentiality", "/account/passkeys/add"} {
		r := b.post(path, url.Values{"username": {big}, "body": {big}, "name": {big}})
		if r.status == 200 || r.status >= 500 || strings.Contains(r.body, big) {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

// A page of another site can do nothing with a person's session, on the screens or at the
// API.
func TestCrossSite(t *testing.T) {
	s := serve(t)
	s.furnish()
	b := s.as("nurse")
	for _, h := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}} {
		for _, path := range []string{"/account/site", "/account/sign-ins/end", "/signout", "/signin"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, nil)
			s.must(err)
			for k, v := range h {
				r.Header.Set(k, v)
			}
			if got := b.send(r); got.status != 403 {
				t.Errorf("%s with %v: %d", path, h, got.status)
			}
		}
	}
	b.page("/units")
	u, err := url.Parse(s.url)
	s.must(err)
	screens, err := New(s.cfg)
	s.must(err)
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/people", nil)
	s.must(err)
	q.AddCookie(b.Jar.Cookies(u)[0])
	if p, _, err := screens.Person(q); err != nil || p.Username != "nurse" || p.Site != "lakeside" {
		t.Errorf("%+v, %v", p, err)
	}
	q.Header.Set("Sec-Fetch-Site", "cross-site")
	if p, _, err := screens.Person(q); err == nil || p.Known() {
		t.Errorf("of another site: %+v, %v", p, err)
	}
}

// wall is the machine's clock.
type wall struct{ coldkeep.RealClock }
