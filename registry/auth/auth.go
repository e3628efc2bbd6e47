package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strings"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/throttle"
)

// Person is somebody with an account.
type Person struct {
	ID           string
	Name         string
	Username     string // lower case
	Role         Role
	Site         coldkeep.SiteID // where the person belongs first; "" for a role of the programme
	Email        string          // "" when none was given
	PasswordHash string
	Active       bool
	Failed       int        // failed sign-ins since the last good one
	LockedUntil  *time.Time // absent: not locked
	MustChange   bool       // the password was chosen by another, and is to be changed first
	OneTimeUntil *time.Time // until when such a password opens; absent: no end
	TOTPSecret   string     // sealed (Sealer); "" when codes are not set up
	TOTPStep     int64      // the last half minute whose code was used
	CreatedAt    time.Time

	OneTime string // the password that was made for the person, told once and not kept
}

// Membership is one site that a person works in, and as what.
type Membership struct {
	Person string
	Site   coldkeep.SiteID
	Role   Role
}

// Principal is the person as one who acts.
func (p Person) Principal() Principal {
	return Principal{ID: p.ID, Name: p.Name, Username: p.Username, Role: p.Role, Site: p.Site}
}

// Account is an interface account: a program that signs in with a bearer token.
type Account struct {
	ID          string
	Name        string
	TokenSHA256 string
	Scopes      []string
	Site        coldkeep.SiteID // the practice it acts for; "" the whole programme
	Revoked     bool
	CreatedBy   string
	CreatedAt   time.Time
	UsedAt      *time.Time // to the hour; absent: never
}

// Login is the name by which the account comes by SFTP: its own in small letters and digits,
// with a - for what stands between. Which account it is, the key decides.
func (a Account) Login() string {
	var b strings.Builder
	for _, r := range strings.ToLower(a.Name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	if s := strings.Trim(b.String(), "-"); s != "" {
		return s
	}
	return "account"
}

// Reader reads what is kept of people, accounts and devices. A missing row is
// ENOTFOUND.
type Reader interface {
	CountPeople(ctx context.Context) (int, error)
	Person(ctx context.Context, id string) (Person, error)
	PersonByUsername(ctx context.Context, username string) (Person, error)
	People(ctx context.Context, site coldkeep.SiteID) ([]Person, error)
	AccountByToken(ctx context.Context, sha256 string) (Account, error)
	AccountByName(ctx context.Context, name string) (Account, error)
	AccountByID(ctx context.Context, id string) (Account, error)
	Accounts(ctx context.Context, site coldkeep.SiteID) ([]Account, error)
	AccountKeys(ctx context.Context, account string) ([]AccountKey, error)
	AccountByKey(ctx context.Context, fingerprint string) (Account, error)
	Memberships(ctx context.Context, person string) ([]Membership, error) // by site
	EnrolledUntil(ctx context.Context, site coldkeep.SiteID) (*time.Time, error)
	Standing(ctx context.Context, signIn string) (Standing, error)
	SignIns(ctx context.Context, person string) ([]SignIn, error) // that have not ended, the latest first
	Passkeys(ctx context.Context, person string) ([]Passkey, error)
	Passkey(ctx context.Context, id string) (Passkey, error)
	RecoveryCodesLeft(ctx context.Context, person string) (int, error)
	Identity(ctx context.Context, issuer, subject string) (person string, err error)
	SiteKind(ctx context.Context, site coldkeep.SiteID) (string, error) // "provider", "school" …, an enrolment.Kind
	AllSites(ctx context.Context) ([]coldkeep.Site, error)
	Device(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) (coldkeep.Device, error)
	Devices(ctx context.Context, site coldkeep.SiteID) ([]coldkeep.Device, error)
	Site(ctx context.Context, id coldkeep.SiteID) (coldkeep.Site, error)
	DeviceKey(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) (string, error) // "" when none is expected
	Claim(ctx context.Context, code string) (Claim, error)
	WaitingClaims(ctx context.Context, since time.Time) ([]Claim, error) // made after since, the latest first
}

// Tx is a transaction on them.
type Tx interface {
	Reader
	audit.Writer
	InsertPerson(ctx context.Context, p Person) error // ECONFLICT when the username is taken
	UpdatePerson(ctx context.Context, p Person) error
	SealTOTPSecret(ctx context.Context, person, clear, sealed string) error // changes nothing when clear is not there any more
	CountAttempt(ctx context.Context, username string) (Person, error)      // adds one to Failed
	ResetAttempts(ctx context.Context, id string) error
	PutMembership(ctx context.Context, m Membership, at time.Time) error // adds it, or changes its role
	DeleteMembership(ctx context.Context, person string, site coldkeep.SiteID) error
	InsertSignIn(ctx context.Context, s SignIn) error
	TouchSignIn(ctx context.Context, id string, at time.Time) error
	MoveSignIn(ctx context.Context, id string, site coldkeep.SiteID) error
	EndSignIns(ctx context.Context, person, only, except string, at time.Time) (int64, error) // only "" is all
	UseTOTPStep(ctx context.Context, person string, step int64) (bool, error)                 // false when it, or a later one, was used
	PutRecoveryCodes(ctx context.Context, person string, sha256 []string) error               // in place of those there were
	UseRecoveryCode(ctx context.Context, person, sha256 string, at time.Time) (bool, error)
	PutPasskey(ctx context.Context, p Passkey) error
	DeletePasskey(ctx context.Context, person, id string) error
	InsertIdentity(ctx context.Context, issuer, subject, person string, at time.Time) error // ECONFLICT when the person has another there
	PutAccount(ctx context.Context, a Account) error
	InsertAccountKey(ctx context.Context, k AccountKey) error // ECONFLICT when the key is known
	DeleteAccountKey(ctx context.Context, account, fingerprint string) error
	PutDevice(ctx context.Context, d coldkeep.Device, at time.Time) error
	SetDeviceKey(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID, key string) error
	// MoveProbes has what stands now under one device stand under another from at on, with
	// the certificates of its probes, and says how many probes that were.
	MoveProbes(ctx context.Context, site coldkeep.SiteID, from, to coldkeep.AgentID, at time.Time) (int, error)
	InsertClaim(ctx context.Context, c Claim) (isNew bool, err error)
	DecideClaim(ctx context.Context, c Claim) error // ECONFLICT when it has been decided
	DeleteClaims(ctx context.Context, before time.Time) error
	BumpMirror(ctx context.Context) (int64, error)
}

// Store keeps them.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
}

// Service is who may come in.
type Service struct {
	store   Store
	clock   coldkeep.Clock
	rules   Rules
	params  argon2id.Params
	decoy   string        // compared with when the username is unknown, so that both take as long
	hashing chan struct{} // argon2id takes memory by design: only so many at once

	refusals *refusals
	// strangers are usernames that nobody has: they are locked as an account is, so that a
	// lock tells nobody which usernames there are.
	strangers *throttle.Backoff
}

// Rules are what a programme decides about sign-ins.
type Rules struct {
	Idle         time.Duration // after so long without use a sign-in ends; 0 is never
	Longest      time.Duration // after so long it ends in any case; 0 is LongestSignIn
	SecondFactor []Role        // who must have a second factor
	// Secrets keeps the secrets of authenticator apps; absent: codes cannot be set up.
	Secrets *Sealer
}

// LongestSignIn is one long clinic day. It is not prolonged by use, so that a screen on
// the wall asks for a person once a day.
const LongestSignIn = 14 * time.Hour

// New returns the service. At most one Rules may be given; without, sign-ins end after
// LongestSignIn alone and nobody needs a second factor. EINVALID for a rule that is none.
func New(store Store, clock coldkeep.Clock, rules ...Rules) (*Service, error) {
	s := &Service{
		store: store, clock: clock, rules: Rules{Longest: LongestSignIn},
		// OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes, 1 lane is
		// its smallest setting, and fits the smallest server that a clinic may have.
		params:   argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32},
		hashing:  make(chan struct{}, 4),
		refusals: newRefusals(), strangers: throttle.NewBackoff(freeTries-1, firstLock, maxLock),
	}
	if len(rules) > 0 {
		s.rules = rules[0]
	}
	if s.rules.Longest == 0 {
		s.rules.Longest = LongestSignIn
	}
	if s.rules.Idle < 0 || s.rules.Longest < 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "how long a sign-in lasts cannot be less than nothing")
	}
	for _, r := range s.rules.SecondFactor {
		if !r.known() {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "role %q, which is to have a second factor, is not known", r)
		}
	}
	decoy, err := argon2id.CreateHash(rand.Text(), &s.params)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.New", "no hash could be made")
	}
	s.decoy = decoy
	return s, nil
}

func (s *Service) hash(ctx context.Context, password string) (string, error) {
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	h, err := argon2id.CreateHash(password, &s.params)
	return h, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.hash", "password")
}

func (s *Service) matches(ctx context.Context, password, hash string) (bool, error) {
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	ok, err := argon2id.ComparePasswordAndHash(password, hash)
	return ok, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.matches", "stored password")
}

// SHA256 is a random secret as it is stored: hex of its hash. A password, which is
// not random, is never stored this way.
func SHA256(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// newSecret is 160 random bits, in letters and digits that can be typed.
func newSecret() string {
	b := make([]byte, 20)
	_, _ = rand.Read(b) // never fails
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

// validName is the form of a SiteID, AgentID, ApplianceID or username.
func validName(s, more string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || strings.ContainsRune(more, r)) {
			return false
		}
	}
	return true
}
