// Package door is what the ways in for single HL7 messages share: who comes, how often,
// and whether what they bring is one message of text. What the message says is not looked
// at here.
package door

import (
	"context"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/throttle"
)

// The rate of an account: as many at once, and one every so often after that. A practice
// sends a few a minute; what is left over at the end of a day comes faster.
const (
	burst = 100
	every = 100 * time.Millisecond
)

// Who fails to sign in may do so a few times, as after a new token, and is then made to wait.
const (
	freeFailures = 5
	freeOfOne    = 30 // from one address: a practice's programs share it
	firstWait    = 2 * time.Second
	longestWait  = 15 * time.Minute
)

// Accounts says whose a token is. A refused sign-in goes in the trail.
type Accounts interface {
	Account(ctx context.Context, token string) (auth.Principal, error)
	AccountRefused(ctx context.Context, name, door string) error
}

// Senders says what is agreed on with a sender.
type Senders interface {
	Sender(ctx context.Context, by auth.Principal, account string) (exchange.Sender, error)
}

// Door lets senders in.
type Door struct {
	accounts  Accounts
	senders   Senders
	failures  *throttle.Backoff // by address and name
	addresses *throttle.Backoff
	rates     *throttle.Limiter
}

// New returns a door.
func New(accounts Accounts, senders Senders) *Door {
	return &Door{accounts: accounts, senders: senders, failures: throttle.NewBackoff(freeFailures, firstWait, longestWait),
		addresses: throttle.NewBackoff(freeOfOne, firstWait, longestWait), rates: throttle.New(every, burst)}
}

// Credentials are what a sender shows: the name of an interface account and its token, or
// the token alone.
type Credentials struct {
	Name  string // "" for a bearer token
	Token string
}

// Wait is an ETOOMANY with how long to wait.
type Wait struct {
	error
	For time.Duration
}

// Unwrap gives the coldkeep.Error.
func (w Wait) Unwrap() error { return w.error }

func tooOften(what string, wait time.Duration) error {
	wait = wait.Truncate(time.Second) + time.Second
	return Wait{coldkeep.Errorf(coldkeep.ETOOMANY, "%s: wait %s.", what, wait), wait}
}

// SignIn says who comes. EUNAUTHORIZED when the credentials are missing or wrong, without
// saying which; EFORBIDDEN when the account may not exchange records; ETOOMANY, as a Wait,
// after too many failures from an address or messages of an account.
func (d *Door) SignIn(ctx context.Context, way, address string, c Credentials, facility string) (auth.Principal, error) {
	now := time.Now()
	address = throttle.Source(address)
	key := address + "\x00" + c.Name
	if wait := max(d.failures.Wait(key, now), d.addresses.Wait(address, now)); wait > 0 {
		return auth.Principal{}, tooOften("Too many failed sign-ins", wait)
	}
	if c.Token == "" { // it is no guess
		return auth.Principal{}, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "The account or its token is missing or not known.")
	}
	by, err := d.accounts.Account(ctx, c.Token)
	if err == nil && c.Name != "" && by.Name != c.Name {
		by, err = auth.Principal{}, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "The account or its token is not known.")
	}
	if coldkeep.ErrorCode(err) == coldkeep.EUNAUTHORIZED {
		d.failures.Failed(key, now)
		d.addresses.Failed(address, now)
		if e := d.accounts.AccountRefused(ctx, c.Name, way); e != nil {
			return auth.Principal{}, e
		}
		return auth.Principal{}, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "The account or its token is missing or not known.")
	}
	if err != nil {
		return auth.Principal{}, err
	}
	d.failures.Succeeded(key)
	if err := by.Require(auth.ExchangeRecords, by.Site); err != nil {
		return auth.Principal{}, err
	}
	if err := d.speaksFor(ctx, by, strings.TrimSpace(facility)); err != nil {
		return auth.Principal{}, err
	}
	if wait := d.rates.Take(by.ID, now); wait > 0 {
		return auth.Principal{}, tooOften("Messages come too often", wait)
	}
	return by, nil
}

// speaksFor checks a facility ID as the exchange checks MSH-4: when it is agreed on for whom
// a sender speaks, it has to be one of them.
func (d *Door) speaksFor(ctx context.Context, by auth.Principal, facility string) error {
	if facility == "" || strings.EqualFold(facility, string(by.Site)) {
		return nil
	}
	agreed, err := d.senders.Sender(ctx, by, by.ID)
	if err != nil && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
		return err
	}
	for _, f := range agreed.Facilities {
		if strings.EqualFold(strings.TrimSpace(f.Code), facility) {
			return nil
		}
	}
	if len(agreed.Facilities) == 0 {
		return nil
	}
	return coldkeep.Errorf(coldkeep.EFORBIDDEN, "The facility ID is none that this account may speak for.")
}
