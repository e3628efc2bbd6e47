package auth

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// ClaimState is where a device's claim stands.
type ClaimState string

// The states of a claim.
const (
	ClaimWaiting  ClaimState = "waiting"
	ClaimAccepted ClaimState = "accepted"
	ClaimRefused  ClaimState = "refused"
	ClaimExpired  ClaimState = "expired"
)

// claimLife is how long a new device waits for a person: it is plugged in and accepted
// in one visit. keepClaims is how long what came of it can be asked for.
const (
	claimLife  = 24 * time.Hour
	keepClaims = 30 * 24 * time.Hour
)

// maxWaiting is how many claims may wait at once. Anybody can make one.
const maxWaiting = 200

// NewClaim is what a new device says of itself, before anybody has let it in.
type NewClaim struct {
	V            int    `json:"v"`
	Code         string `json:"code"`          // "ABCD-2345", shown by the device
	PublicKey    string `json:"pub"`           // base64url of its Ed25519 key
	SecretSHA256 string `json:"secret_sha256"` // hex, of the password that it will use on the broker
	Model        string `json:"model"`
	Serial       string `json:"serial"`
	Version      string `json:"version"`
	Signature    string `json:"sig"` // base64url, over "coldkeep/claim/1|" + code + "|" + secret_sha256
}

// Claim is a device that asks to be let in. Until a person has accepted it, nothing of
// what it says counts.
type Claim struct {
	Code         string
	PublicKey    string // base64url without padding
	SecretSHA256 string
	Model        string
	Serial       string
	Version      string
	State        ClaimState
	Site         coldkeep.SiteID  // once accepted
	Agent        coldkeep.AgentID // once accepted
	CreatedAt    time.Time
	DecidedBy    string
	DecidedAt    *time.Time
}

// at is the claim as it stands at a time.
func (c Claim) at(now time.Time) Claim {
	if c.State == ClaimWaiting && !now.Before(c.ExpiresAt()) {
		c.State = ClaimExpired
	}
	return c
}

// ExpiresAt is until when the claim waits.
func (c *Claim) ExpiresAt() time.Time { return c.CreatedAt.Add(claimLife) }

// claimCode is what a code looks like. Which letters it avoids is the device's choice.
var claimCode = regexp.MustCompile(`^[A-Z0-9]{4}-[A-Z0-9]{4}$`)

// ParseClaimCode reads a code as people type it: in small letters, with blanks, without
// the dash. One that cannot be is EINVALID.
func ParseClaimCode(s string) (string, error) {
	code := strings.Map(func(r rune) rune {
		if r == '-' || r == '–' || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, s)
	if len(code) == 8 {
		code = code[:4] + "-" + code[4:]
	}
	if !claimCode.MatchString(code) {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "Code %.20q: want eight letters and digits such as ABCD-2345, as the device shows them.", s)
	}
	return code, nil
}

// check returns the claim if the device has signed it.
func (n *NewClaim) check() (Claim, error) {
	var c Claim
	if n.V != 1 {
		return c, coldkeep.Errorf(coldkeep.EINVALID, "v: %d: want 1", n.V)
	}
	if !claimCode.MatchString(n.Code) {
		return c, coldkeep.Errorf(coldkeep.EINVALID, "code: %.20q: want eight letters and digits such as ABCD-2345", n.Code)
	}
	key, err := base64url(n.PublicKey)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return c, coldkeep.Errorf(coldkeep.EINVALID, "pub: want an Ed25519 key of 32 bytes in base64url")
	}
	if b, err := hex.DecodeString(n.SecretSHA256); err != nil || len(b) != 32 || n.SecretSHA256 != strings.ToLower(n.SecretSHA256) {
		return c, coldkeep.Errorf(coldkeep.EINVALID, "secret_sha256: want 64 hexadecimal digits in small letters")
	}
	for _, f := range []struct{ name, value string }{{"model", n.Model}, {"serial", n.Serial}, {"version", n.Version}} {
		if len(f.value) > 80 || strings.ContainsFunc(f.value, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return c, coldkeep.Errorf(coldkeep.EINVALID, "%s: want at most 80 characters on one line", f.name)
		}
	}
	sig, err := base64url(n.Signature)
	if err != nil || !ed25519.Verify(key, []byte("coldkeep/claim/1|"+n.Code+"|"+n.SecretSHA256), sig) {
		return c, coldkeep.Errorf(coldkeep.EINVALID, "sig: is not the key's signature of this code and secret")
	}
	return Claim{Code: n.Code, PublicKey: base64.RawURLEncoding.EncodeToString(key), SecretSHA256: n.SecretSHA256,
		Model: n.Model, Serial: n.Serial, Version: n.Version, State: ClaimWaiting}, nil
}

func base64url(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

// Claim keeps a device's wish to be let in and says where it stands. The same claim
// again has the same answer. EINVALID for a wrong field or a signature that is not the
// key's, ECONFLICT when another device has the code, ETOOMANY when as many wait as may.
func (s *Service) Claim(ctx context.Context, n NewClaim) (Claim, error) {
	c, err := n.check()
	if err != nil {
		return c, err
	}
	now := s.clock.Now().Truncate(time.Millisecond) // as the tables keep it: the first answer is that of the next
	c.CreatedAt = now
	err = s.store.Tx(ctx, func(tx Tx) error {
		if err := tx.DeleteClaims(ctx, now.Add(-keepClaims)); err != nil {
			return err
		}
		before, err := tx.Claim(ctx, c.Code)
		if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
			waiting, err := tx.WaitingClaims(ctx, now.Add(-claimLife))
			if err != nil {
				return err
			}
			if len(waiting) >= maxWaiting {
				return coldkeep.Errorf(coldkeep.ETOOMANY, "too many devices wait to be let in; try again later")
			}
			isNew, err := tx.InsertClaim(ctx, c)
			if err != nil || isNew {
				return err
			}
			before, err = tx.Claim(ctx, c.Code) // another came between
			if err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		if before.PublicKey != c.PublicKey || before.SecretSHA256 != c.SecretSHA256 {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "code: another device has it; make another")
		}
		c = before
		return nil
	})
	return c.at(now), err
}

// ClaimByCode returns a claim as it stands now. EINVALID for what is no code, ENOTFOUND
// when no device has made it.
func (s *Service) ClaimByCode(ctx context.Context, code string) (Claim, error) {
	code, err := ParseClaimCode(code)
	if err != nil {
		return Claim{}, err
	}
	c, err := s.store.Claim(ctx, code)
	return c.at(s.clock.Now()), err
}

// WaitingClaims lists the devices that wait, the latest first. Only who looks after the
// whole programme sees them all; others have the code from the device in their hand.
func (s *Service) WaitingClaims(ctx context.Context, by Principal) ([]Claim, error) {
	if err := by.Require(ManageProgramme, ""); err != nil {
		return nil, err
	}
	return s.store.WaitingClaims(ctx, s.clock.Now().Add(-claimLife))
}

// AcceptClaim lets a device in under a name at a site: it gets an account with the
// secret that it has made, and its key is the one by which its seals must be signed.
// With replace it takes the place of a device of that name, whose account ends.
// EFORBIDDEN when by may not manage units there, EINVALID for a wrong code or name,
// ENOTFOUND for an unknown code or site, ECONFLICT when it waits no more, or when the
// name is taken and replace is not set.
func (s *Service) AcceptClaim(ctx context.Context, by Principal, code string, site coldkeep.SiteID, agent coldkeep.AgentID, replace bool) error {
	if err := by.Require(ManageUnits, site); err != nil {
		return err
	}
	return s.decideClaim(ctx, by, code, func(tx Tx, c *Claim) error {
		return s.letIn(ctx, tx, by, c, site, agent, replace)
	})
}

// letIn gives a claim's device its account.
func (s *Service) letIn(ctx context.Context, tx Tx, by Principal, c *Claim, site coldkeep.SiteID, agent coldkeep.AgentID, replace bool) error {
	if !validName(string(agent), "") {
		return coldkeep.Errorf(coldkeep.EINVALID, "Device: want letters a to z, digits and -, at most 64.")
	}
	if _, err := tx.Site(ctx, site); err != nil {
		return err
	}
	what := "device.accept"
	switch d, err := tx.Device(ctx, site, agent); {
	case err == nil && !d.Revoked && !replace:
		return coldkeep.Errorf(coldkeep.ECONFLICT, "Device %s/%s has an account. Choose another name, or replace it.", site, agent)
	case err == nil && !d.Revoked:
		what = "device.replace"
	case err != nil && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND:
		return err
	}
	c.State, c.Site, c.Agent = ClaimAccepted, site, agent
	if err := s.changeDevice(ctx, tx, by, coldkeep.Device{Site: site, Agent: agent, SecretSHA256: c.SecretSHA256}, what); err != nil {
		return err
	}
	return tx.SetDeviceKey(ctx, site, agent, c.PublicKey)
}

// RefuseClaim turns a device away. EFORBIDDEN when by may manage units nowhere; else as
// AcceptClaim.
func (s *Service) RefuseClaim(ctx context.Context, by Principal, code string) error {
	if err := by.Require(ManageUnits, by.Site); err != nil {
		return err
	}
	return s.decideClaim(ctx, by, code, func(tx Tx, c *Claim) error {
		c.State = ClaimRefused
		return tx.Audit(ctx, audit.Entry{At: *c.DecidedAt, WhoID: by.ID, Who: by.Name, What: "device.refuse",
			Subject: "claim/" + c.Code, Site: by.Site, Detail: c.Model + " " + c.Serial})
	})
}

func (s *Service) decideClaim(ctx context.Context, by Principal, code string, do func(Tx, *Claim) error) error {
	code, err := ParseClaimCode(code)
	if err != nil {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		c, err := tx.Claim(ctx, code)
		if err != nil {
			return err
		}
		now := s.clock.Now()
		switch c = c.at(now); c.State {
		case ClaimWaiting:
		case ClaimExpired:
			return coldkeep.Errorf(coldkeep.ECONFLICT, "This device has waited for more than a day. Have it show another code.")
		default:
			return coldkeep.Errorf(coldkeep.ECONFLICT, "%s has decided already: %s.", c.DecidedBy, c.State)
		}
		c.DecidedBy, c.DecidedAt = by.Name, &now
		if err := do(tx, &c); err != nil {
			return err
		}
		return tx.DecideClaim(ctx, c)
	})
}
