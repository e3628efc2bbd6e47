// Package claim gives a new device its place without a terminal: it shows a short
// code, which a technician types into the registry, and asks the registry until one
// has. Then it knows its site, its name and its broker.
//
//	code, secret ──► claim.json ──► POST …/devices/claims ──► GET …/{code} … accepted ──► claim.json
//
// The password for the broker is made here and never leaves the device but to the
// broker: the registry is told its SHA-256. Each step is on disk before the next is
// taken, so that a device which loses power goes on with the code that the
// technician has in hand. Until it has a place it records nothing: a log begins with
// the name of its device. What the registry must answer is in its API's contract.
package claim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware/uplink"
	"github.com/coldkeep/coldkeep/gateway/wire"
)

// The defaults of Config, and how long things last.
const (
	Every   = 5 * time.Second // between two questions
	MostGap = 2 * time.Minute // between two after failures
	Life    = 24 * time.Hour  // of a code

	// refusedRest is how long a device that a person has refused leaves people alone.
	refusedRest = time.Hour
	// remind is how often the log says the code again, so that it is near its end when
	// somebody looks.
	remind = 10 * time.Minute
)

// path is where the registry takes claims.
const path = "/api/v1/devices/claims"

// maxAnswer bounds what is read of an answer: a few names, and certificates.
const maxAnswer = 64 << 10

// Config says where to ask, and who asks.
type Config struct {
	// Registry is its address, https://…; http:// on this machine only.
	Registry string
	Data     string             // folder of claim.json
	Key      ed25519.PrivateKey // the device's, by which its log will be sealed
	Version  string             // of the program
	Log      *slog.Logger
	Client   *http.Client // nil is one with a time-out
	// Show is called with the code whenever there is a new one, and with "" once it
	// serves no more; nil leaves it to the log.
	Show func(code string)

	Hardware Hardware
	Every    time.Duration // 0 is Every
	MostGap  time.Duration // 0 is MostGap

	now  func() time.Time // nil is time.Now
	rest time.Duration    // 0 is refusedRest
}

// Place is what a device is told.
type Place struct {
	Site   coldkeep.SiteID  `json:"site"`
	Agent  coldkeep.AgentID `json:"agent"`
	Broker string           `json:"broker,omitempty"` // "" when the registry does not know it
	// CA holds certificates (PEM) to trust for the broker in place of the system's;
	// "" when there are none.
	CA string `json:"ca,omitempty"`

	Password string `json:"-"` // for the broker; never logged
}

// check says EINVALID of a place that no device can have.
func (p *Place) check() error {
	if !wire.ValidName(string(p.Site)) || !wire.ValidName(string(p.Agent)) {
		return coldkeep.Errorf(coldkeep.EINVALID, "site %.80q, agent %.80q: want [a-z0-9-], 1 to 64 of them", p.Site, p.Agent)
	}
	if p.Broker == "" {
		return nil
	}
	_, err := uplink.ParseBroker(p.Broker)
	return err
}

// request is the body of the POST.
type request struct {
	V            int    `json:"v"`
	Code         string `json:"code"`
	Pub          string `json:"pub"`
	SecretSHA256 string `json:"secret_sha256"`
	Model        string `json:"model"`
	Serial       string `json:"serial"`
	Version      string `json:"version"`
	Sig          string `json:"sig"`
}

// answer is that of the GET.
type answer struct {
	State string `json:"state"`
	Place
}

// The states of a claim at the registry.
const (
	waiting  = "waiting"
	accepted = "accepted"
	refused  = "refused"
	expired  = "expired"
)

// signed are the bytes that a claim's signature covers.
func signed(code, secretSHA256 string) []byte {
	return []byte("coldkeep/claim/1|" + code + "|" + secretSHA256)
}

// maxWord is how long a word about the hardware may be for the registry to take it, in
// bytes.
const maxWord = 80

// plain makes a word that the registry takes: on one line, and not too long.
func plain(s string) string {
	var b strings.Builder
	for _, r := range s { // what is no UTF-8 comes as U+FFFD
		if !unicode.IsPrint(r) {
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r) > maxWord {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// alphabet is Crockford's base 32: no I, L, O and U, which are read as something
// else on a small display and over the telephone.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// newCode makes a code such as ABCD-2345: 40 random bits.
func newCode() string {
	b := make([]byte, 8)
	_, _ = crand.Read(b) // does not fail (Go 1.24)
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b[:4]) + "-" + string(b[4:])
}

// newSecret makes a password of 256 random bits.
func newSecret() string {
	b := make([]byte, 32)
	_, _ = crand.Read(b) // does not fail (Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b)
}

func hash(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:])
}

// Run claims a place and returns it once a technician has accepted the device. It
// goes on with what an earlier Run has begun in the same folder, and returns at
// once when that was accepted. An absent registry is waited for; a wrong address is
// EINVALID, a folder that cannot be written EUNAVAILABLE, and the end of ctx
// ctx.Err().
func Run(ctx context.Context, cfg Config) (*Place, error) {
	c, err := newClaimer(cfg)
	if err != nil {
		return nil, err
	}
	return c.run(ctx)
}

// ParseRegistry checks a registry's address. One that is not https://host, or http://
// on this machine, is EINVALID: whoever reads or answers in its place could take the
// device.
func ParseRegistry(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "the registry's address is not a URL such as https://registry.example")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "registry %s: want a plain address, without user and query", u.Redacted())
	case u.Scheme == "http" && !loopback(u.Hostname()), u.Scheme != "http" && u.Scheme != "https":
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "registry %s: want https://, or http:// on this machine", u)
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// claimer is a claim under way.
type claimer struct {
	cfg   Config
	url   string
	begun time.Time // of the code, by this process's clock; zero when another process made it
	shown string
	told  time.Time
}

func newClaimer(cfg Config) (*claimer, error) {
	u, err := ParseRegistry(cfg.Registry)
	if err != nil {
		return nil, err
	}
	if len(cfg.Key) != ed25519.PrivateKeySize || cfg.Data == "" {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "claim.Run: a key and a data folder are needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{Timeout: 30 * time.Second}
	}
	client := *cfg.Client
	// The registry answers itself, or nobody does.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cfg.Client = &client
	if cfg.Show == nil {
		cfg.Show = func(string) {}
	}
	if cfg.now == nil {
		cfg.now = time.Now
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&cfg.Every, Every}, {&cfg.MostGap, MostGap}, {&cfg.rest, refusedRest}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	return &claimer{cfg: cfg, url: strings.TrimRight(u.String(), "/") + path}, nil
}

func (c *claimer) run(ctx context.Context) (*Place, error) {
	s, err := open(c.cfg.Data, c.cfg.Log)
	if err != nil {
		return nil, err
	}
	if s != nil && s.Place != nil {
		return s.place(), nil
	}
	defer c.cfg.Show("")
	posted := false // in this process: the registry may have lost it meanwhile
	wait := c.cfg.Every
	var complained string
	for {
		if s == nil || c.old(s) {
			if s, err = c.begin(); err != nil {
				return nil, err
			}
			posted = false
		}
		c.show(s.Code)
		state, place, err := c.ask(ctx, s, &posted)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			if complained != err.Error() { // a registry that is away for days is told of once
				c.cfg.Log.Warn("registry cannot be asked; trying again", "registry", c.cfg.Registry, "err", err)
				complained = err.Error()
			}
			wait = min(2*wait, c.cfg.MostGap)
		case state == accepted:
			s.Place = place
			if err := s.save(c.cfg.Data); err != nil {
				return nil, err
			}
			c.cfg.Log.Info("device is accepted", "site", place.Site, "agent", place.Agent, "broker", place.Broker)
			return s.place(), nil
		case state == refused:
			c.cfg.Log.Error("the registry refuses this device; asking again with another code later", "after", c.cfg.rest)
			c.cfg.Show("")
			s, wait = nil, c.cfg.rest
			if err := forget(c.cfg.Data); err != nil {
				return nil, err
			}
		case state == expired:
			s, wait, complained = nil, c.cfg.Every/5, ""
		default:
			wait, complained = c.cfg.Every, ""
		}
		// A fifth of it at random: the devices of a region come back one by one.
		if err := (coldkeep.RealClock{}).Sleep(ctx, wait-wait/10+rand.N(wait/5+1)); err != nil {
			return nil, err
		}
	}
}

// begin makes a code and a secret and keeps them.
func (c *claimer) begin() (*state, error) {
	c.begun = c.cfg.now()
	s := &state{V: wire.Version, Code: newCode(), Secret: newSecret(), Made: c.begun.UTC()}
	return s, s.save(c.cfg.Data)
}

// old reports whether a code has lived long enough. In the process that made it the
// monotonic clock tells: at the first boot the wall clock leaps when the network
// tells the time, and the code that is being typed must not change for it.
func (c *claimer) old(s *state) bool {
	now := c.cfg.now()
	if !c.begun.IsZero() {
		return now.Sub(c.begun) >= Life
	}
	age := now.Sub(s.Made)
	return age >= Life || age < -Life
}

// show tells people the code.
func (c *claimer) show(code string) {
	if c.shown != code {
		c.shown, c.told = code, time.Time{}
		c.cfg.Show(code)
	}
	if time.Since(c.told) >= remind {
		c.told = time.Now()
		c.cfg.Log.Warn("this device waits to be claimed: type its code into the registry's page \"Add a device\"", "code", code, "registry", c.cfg.Registry, "key", wire.KeyID(c.cfg.Key.Public().(ed25519.PublicKey)))
	}
}

// ask posts the claim, if it was not in this process, and asks how it stands. It
// gives the state, and the place when that is accepted.
func (c *claimer) ask(ctx context.Context, s *state, posted *bool) (string, *Place, error) {
	if !*posted {
		sum := hash(s.Secret)
		body, err := json.Marshal(request{V: wire.Version, Code: s.Code, Pub: wire.EncodeKey(c.cfg.Key.Public().(ed25519.PublicKey)), SecretSHA256: sum,
			Model: plain(c.cfg.Hardware.Model), Serial: plain(c.cfg.Hardware.Serial), Version: plain(c.cfg.Version),
			Sig: base64.RawURLEncoding.EncodeToString(ed25519.Sign(c.cfg.Key, signed(s.Code, sum)))})
		if err != nil {
			return "", nil, err
		}
		status, _, err := c.call(ctx, http.MethodPost, c.url, body)
		switch {
		case err != nil:
			return "", nil, err
		case status == http.StatusConflict || status == http.StatusGone:
			return expired, nil, nil // another device's code, or one whose time is over
		case status/100 != 2:
			return "", nil, fmt.Errorf("the registry answers the claim with status %d", status)
		}
		*posted = true
	}
	status, body, err := c.call(ctx, http.MethodGet, c.url+"/"+s.Code, nil)
	switch {
	case err != nil:
		return "", nil, err
	case status == http.StatusNotFound:
		*posted = false
		return "", nil, errors.New("the registry does not know the claim any more; it is made again")
	case status == http.StatusGone:
		return expired, nil, nil
	case status != http.StatusOK:
		return "", nil, fmt.Errorf("the registry answers with status %d", status)
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return "", nil, fmt.Errorf("the registry's answer is not readable: %w", err)
	}
	switch a.State {
	case waiting, refused, expired:
		return a.State, nil, nil
	case accepted:
		if err := a.check(); err != nil {
			return "", nil, fmt.Errorf("the registry gives a place that cannot be: %w", err)
		}
		return accepted, &a.Place, nil
	}
	return "", nil, fmt.Errorf("the registry gives a state that is not known: %.40q", a.State)
}

// call makes a request and reads its answer.
func (c *claimer) call(ctx context.Context, method, url string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.cfg.Client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }() // read as far as it is of use
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = errors.New("the registry's answer is too long")
	}
	return res.StatusCode, answer, err
}
