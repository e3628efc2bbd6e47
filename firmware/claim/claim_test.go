package claim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// registry is the registry's side of a claim, over real HTTP.
type registry struct {
	mu      sync.Mutex
	claims  map[string]*entry
	bad     []string // what a device must never send
	onEvery func()   // before each answer, without the lock
	fail    int      // so many answers to come are 503
	posts   int
}

type entry struct {
	request
	state string
	place Place
}

func newRegistry() *registry { return &registry{claims: map[string]*entry{}} }

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.onEvery != nil {
		r.onEvery()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail > 0 {
		r.fail--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	code := strings.TrimPrefix(strings.TrimPrefix(req.URL.Path, path), "/")
	switch {
	case req.Method == http.MethodPost && code == "":
		r.posts++
		r.post(w, req)
	case req.Method == http.MethodGet && r.claims[code] != nil:
		e := r.claims[code]
		a := map[string]string{"state": e.state}
		if e.state == accepted {
			a["site"], a["agent"], a["broker"] = string(e.place.Site), string(e.place.Agent), e.place.Broker
		}
		_ = json.NewEncoder(w).Encode(a)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (r *registry) post(w http.ResponseWriter, req *http.Request) {
	var q request
	dec := json.NewDecoder(req.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		r.bad = append(r.bad, err.Error())
		return
	}
	pub, err := wire.DecodeKey(q.Pub)
	sig, err2 := base64.RawURLEncoding.DecodeString(q.Sig)
	sum := regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(q.SecretSHA256)
	if err != nil || err2 != nil || !sum || q.V != 1 || !codeForm.MatchString(q.Code) || !ed25519.Verify(pub, []byte("coldkeep/claim/1|"+q.Code+"|"+q.SecretSHA256), sig) {
		r.bad = append(r.bad, "a claim that does not verify: "+q.Code)
		return
	}
	old := r.claims[q.Code]
	switch {
	case old == nil:
		r.claims[q.Code] = &entry{request: q, state: waiting}
	case old.Pub != q.Pub || old.SecretSHA256 != q.SecretSHA256:
		w.WriteHeader(http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// decide is the technician: the claims that wait become state.
func (r *registry) decide(state string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.claims {
		if e.state == waiting {
			e.state, e.place, n = state, Place{Site: "lakeside", Agent: "pi-1", Broker: "ssl://broker.example:8883"}, n+1
		}
	}
	return n
}

func key(t interface{ Fatal(...any) }) ed25519.PrivateKey {
	_, k, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func config(url, data string, k ed25519.PrivateKey) Config {
	return Config{Registry: url, Data: data, Key: k, Version: "1.2.3", Hardware: Hardware{"Pi 4", "1000"}, Every: time.Millisecond, MostGap: 4 * time.Millisecond, rest: 5 * time.Millisecond}
}

// right reports whether a place is that of the accepted claim, and opens its broker.
func (r *registry) right(p *Place) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.claims {
		if e.state == accepted && e.SecretSHA256 == hash(p.Password) && p.Site == "lakeside" && p.Agent == "pi-1" && p.Broker == "ssl://broker.example:8883" {
			return true
		}
	}
	return false
}

func TestClaim(t *testing.T) {
	reg := newRegistry()
	srv := httptest.NewServer(reg)
	defer srv.Close()
	data := filepath.Join(t.TempDir(), "made", "here")
	var log bytes.Buffer
	var shown []string
	cfg := config(srv.URL, data, key(t))
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	cfg.Show = func(code string) {
		if shown = append(shown, code); len(shown) == 1 {
			// A technician types the code that is shown once the registry has it.
			go func() {
				for reg.decide(accepted) == 0 {
					time.Sleep(time.Millisecond)
				}
			}()
		}
	}
	p, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !reg.right(p) || len(reg.bad) > 0 {
		t.Errorf("%+v, %q", p, reg.bad)
	}
	if len(shown) != 2 || !codeForm.MatchString(shown[0]) || shown[1] != "" {
		t.Errorf("shown %q, want the code and then nothing", shown)
	}
	e := reg.claims[shown[0]]
	if e == nil || e.Model != "Pi 4" || e.Serial != "1000" || e.Version != "1.2.3" {
		t.Errorf("claimed as %+v", e)
	}
	if !strings.Contains(log.String(), shown[0]) || strings.Contains(log.String(), p.Password) {
		t.Errorf("the log must show the code and not the password:\n%s", log.String())
	}
	info, err := os.Stat(filepath.Join(data, File))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want mode 0600", info, err)
	}
	srv.Close() // from now on the registry is not needed
	again, err := Run(t.Context(), cfg)
	if err != nil || *again != *p {
		t.Errorf("%+v, %v; want %+v", again, err, p)
	}
	if loaded, err := Load(data, nil); err != nil || *loaded != *p {
		t.Errorf("%+v, %v; want %+v", loaded, err, p)
	}
}

// The power goes between any two steps; the device goes on with the code that is in
// the technician's hand, and ends with a password that the registry knows.
func TestPowerCutBetweenAllSteps(t *testing.T) {
	reg := newRegistry()
	srv := httptest.NewServer(reg)
	defer srv.Close()
	data, k := t.TempDir(), key(t)
	var cuts []string // copies of the folder as it was at each request
	reg.onEvery = func() {
		dir := t.TempDir()
		if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(data)); err != nil {
			t.Error(err)
		}
		cuts = append(cuts, filepath.Join(dir, "data"))
		if len(cuts) == 4 {
			reg.decide(accepted)
		}
	}
	p, err := Run(t.Context(), config(srv.URL, data, k))
	if err != nil {
		t.Fatal(err)
	}
	reg.onEvery = nil
	cuts = append(cuts, data)
	for i, dir := range cuts {
		again, err := Run(t.Context(), config(srv.URL, dir, k))
		if err != nil || *again != *p {
			t.Errorf("cut %d of %d: %+v, %v; want %+v", i, len(cuts), again, err, p)
		}
	}
	if len(cuts) < 5 || len(reg.claims) != 1 || len(reg.bad) > 0 {
		t.Errorf("%d cuts, %d claims, %q", len(cuts), len(reg.claims), reg.bad)
	}
}

// Whatever happens on the way: the device ends with a place, and the password that
// goes with it.
func TestAnyWay(t *testing.T) {
	reg := newRegistry()
	srv := httptest.NewServer(reg)
	defer srv.Close()
	k := key(t)
	rapid.Check(t, func(t *rapid.T) {
		reg.mu.Lock()
		reg.claims, reg.bad, reg.fail = map[string]*entry{}, nil, 0
		reg.mu.Unlock()
		data, err := os.MkdirTemp("", "claim")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(data) }()
		plan := rapid.SliceOfN(rapid.SampledFrom([]string{"cut", "cut", "lose", "refuse", "expire", "fail", "damage", "torn"}), 0, 8).Draw(t, "plan")
		for _, what := range plan {
			ctx, cancel := context.WithCancel(context.Background())
			n := rapid.IntRange(1, 5).Draw(t, "requests")
			seen := 0
			reg.mu.Lock()
			reg.onEvery = func() {
				if seen++; seen == n {
					cancel() // the power goes while the registry answers
				}
			}
			reg.mu.Unlock()
			p, err := Run(ctx, config(srv.URL, data, k))
			cancel()
			if err == nil && !reg.right(p) {
				t.Fatalf("%+v is not what the registry has accepted", p)
			}
			switch what {
			case "lose": // the registry begins with an empty table
				reg.mu.Lock()
				reg.claims = map[string]*entry{}
				reg.mu.Unlock()
			case "refuse":
				reg.decide(refused)
			case "expire":
				reg.decide(expired)
			case "fail":
				reg.mu.Lock()
				reg.fail = 3
				reg.mu.Unlock()
			case "damage":
				if err := os.WriteFile(filepath.Join(data, File), []byte(`{"v":1,"co`), 0o600); err != nil {
					t.Fatal(err)
				}
			case "torn": // a file that was not finished before the cut
				if err := os.WriteFile(filepath.Join(data, File+".new-123"), []byte(`{`), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		reg.mu.Lock()
		reg.onEvery = nil
		reg.mu.Unlock()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				reg.decide(accepted)
				select {
				case <-time.After(time.Millisecond):
				case <-done:
					return
				}
			}
		}()
		p, err := Run(context.Background(), config(srv.URL, data, k))
		done <- struct{}{}
		<-done
		if err != nil || !reg.right(p) {
			t.Fatalf("%+v, %v", p, err)
		}
		reg.mu.Lock()
		defer reg.mu.Unlock()
		if len(reg.bad) > 0 {
			t.Fatalf("%q", reg.bad)
		}
	})
}

func TestCodeOfAnotherDevice(t *testing.T) {
	reg := newRegistry()
	srv := httptest.NewServer(reg)
	defer srv.Close()
	data := t.TempDir()
	s := &state{V: 1, Code: "ABCD-2345", Secret: newSecret(), Made: time.Now()}
	if err := s.save(data); err != nil {
		t.Fatal(err)
	}
	reg.claims[s.Code] = &entry{request: request{Pub: "another's"}, state: refused}
	go func() {
		for reg.decide(accepted) == 0 {
			time.Sleep(time.Millisecond)
		}
	}()
	if p, err := Run(t.Context(), config(srv.URL, data, key(t))); err != nil || !reg.right(p) {
		t.Errorf("%+v, %v", p, err)
	}
}

// A code lasts a day: by the monotonic clock in the process that made it, by the
// wall clock after a restart.
func TestCodeLastsADay(t *testing.T) {
	c := &claimer{cfg: Config{}}
	now := time.Now()
	c.cfg.now = func() time.Time { return now }
	s := &state{Made: now.Round(0)}
	for after, old := range map[time.Duration]bool{0: false, 23 * time.Hour: false, 24 * time.Hour: true, -time.Hour: false, -25 * time.Hour: true} {
		now = s.Made.Add(after)
		if got := c.old(s); got != old {
			t.Errorf("after a restart, %v later: old is %v", after, got)
		}
	}
	c.begun = time.Now()
	s.Made = time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC) // the wall clock has leapt since
	now = c.begun.Add(23 * time.Hour)
	if c.old(s) {
		t.Error("the code changed when the network told the time")
	}
	now = c.begun.Add(24 * time.Hour)
	if !c.old(s) {
		t.Error("the code is the same after a day")
	}
}

func TestRefusesAnswers(t *testing.T) {
	for what, body := range map[string]string{
		"no JSON":       "<html>",
		"odd state":     `{"state":"maybe"}`,
		"bad site":      `{"state":"accepted","site":"+","agent":"a","broker":"ssl://h"}`,
		"no agent":      `{"state":"accepted","site":"s","broker":"ssl://h"}`,
		"bad broker":    `{"state":"accepted","site":"s","agent":"a","broker":"http://h"}`,
		"broker's user": `{"state":"accepted","site":"s","agent":"a","broker":"ssl://u:p@h"}`,
		"too long":      `{"state":"accepted","site":"s","agent":"a","broker":"ssl://h","x":"` + strings.Repeat("x", maxAnswer) + `"}`,
	} {
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusAccepted)
				return
			}
			if n++; n > 3 {
				cancel()
			}
			_, _ = w.Write([]byte(body))
		}))
		data := t.TempDir()
		cfg := config(srv.URL, data, key(t))
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		if p, err := Run(ctx, cfg); err == nil {
			t.Errorf("%s: taken as %+v", what, p)
		}
		if p, err := Load(data, nil); p != nil || err != nil {
			t.Errorf("%s: kept as %+v, %v", what, p, err)
		}
		if got := strings.Count(log.String(), "cannot be asked"); got != 1 {
			t.Errorf("%s: told %d times, want once:\n%s", what, got, log.String())
		}
		srv.Close()
		cancel()
	}
}

func TestFollowsNoRedirect(t *testing.T) {
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the claim went elsewhere") }))
	defer thief.Close()
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n > 3 {
			cancel()
		}
		http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	if _, err := Run(ctx, config(srv.URL, t.TempDir(), key(t))); err == nil {
		t.Error("accepted")
	}
}

func TestParseRegistry(t *testing.T) {
	for _, good := range []string{"https://registry.example", "https://registry.example:8443/coldkeep/", "http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"} {
		if _, err := ParseRegistry(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "registry.example", "http://registry.example", "http://127.0.0.1.example", "ftp://h", "https://u:hunter2@h", "https://h?x=1", "https://"} {
		_, err := ParseRegistry(bad)
		if coldkeep.ErrorCode(err) != coldkeep.EINVALID || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want EINVALID without secrets", bad, err)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		change func(*Config)
		code   string
	}{
		"registry": {func(c *Config) { c.Registry = "http://elsewhere.example" }, coldkeep.EINVALID},
		"key":      {func(c *Config) { c.Key = nil }, coldkeep.EINVALID},
		"folder":   {func(c *Config) { c.Data = filepath.Join(file, "x") }, coldkeep.EUNAVAILABLE},
	} {
		cfg := config("http://127.0.0.1:1", t.TempDir(), key(t))
		c.change(&cfg)
		if _, err := Run(t.Context(), cfg); coldkeep.ErrorCode(err) != c.code {
			t.Errorf("%s: %v, want %s", what, err, c.code)
		}
	}
}

func TestHardware(t *testing.T) {
	root := t.TempDir()
	if h := readHardware(root, "clinic-pi"); !strings.Contains(h.Model, "/") || h.Serial != "clinic-pi" {
		t.Errorf("%+v", h)
	}
	dir := filepath.Join(root, "proc/device-tree")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"model": "Raspberry Pi 4 Model B Rev 1.4\x00", "serial-number": "10000000abcdef01\x00"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if h := readHardware(root, "x"); h != (Hardware{"Raspberry Pi 4 Model B Rev 1.4", "10000000abcdef01"}) {
		t.Errorf("%+v", h)
	}
}

func TestPlainWords(t *testing.T) {
	for in, want := range map[string]string{
		"Raspberry Pi 4":        "Raspberry Pi 4",
		"two\nlines\x00":        "two?lines?",
		"\xff":                  "\ufffd",
		strings.Repeat("é", 60): strings.Repeat("é", 40),
	} {
		if got := plain(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A registry that does not know its broker leaves that to the command line.
func TestPlaceWithoutBroker(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		_, _ = w.Write([]byte(`{"state":"accepted","expires_at":"2026-03-02T00:00:00Z","site":"s","agent":"a"}`))
	}))
	defer srv.Close()
	data := t.TempDir()
	p, err := Run(t.Context(), config(srv.URL, data, key(t)))
	if err != nil || p.Site != "s" || p.Agent != "a" || p.Broker != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	if again, err := Load(data, nil); err != nil || *again != *p {
		t.Errorf("%+v, %v; want %+v", again, err, p)
	}
}

func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		c := newCode()
		if !codeForm.MatchString(c) || seen[c] {
			t.Fatal(c)
		}
		seen[c] = true
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"v":1,"code":"ABCD-2345","secret":"01234567890123456789012345678901","made":"2026-03-01T00:00:00Z","place":{"site":"s","agent":"a","broker":"ssl://h"}}`))
	f.Add([]byte(`{"v":1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parse(text)
		if (err == nil) != (s != nil) {
			t.Fatalf("%v, %v", s, err)
		}
		if s != nil && s.Place != nil && s.Place.check() != nil {
			t.Fatalf("%+v", s.Place)
		}
	})
}
