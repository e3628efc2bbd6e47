package auth

import (
	"context"
	"crypto/rsa"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/crypto/ssh"

	"github.com/coldkeep/coldkeep"
)

// AccountKey is a public key by which an interface account comes by SFTP.
type AccountKey struct {
	Account     string
	Fingerprint string // "SHA256:…", as ssh-keygen shows it
	PublicKey   string // a line of authorized_keys
	AddedBy     string
	AddedAt     time.Time
}

// mayManageAccounts is nil when by may make and end interface accounts of a site; "" asks
// for those of the whole programme.
func mayManageAccounts(by Principal, site coldkeep.SiteID) error {
	if site == "" {
		return by.Require(ManageProgramme, "")
	}
	return by.Require(ManagePeople, site)
}

// AddAccount makes an interface account and returns its token, which is not kept and cannot
// be shown again. A practice may give the scope of records alone, for itself. EFORBIDDEN
// when by may not, EINVALID for a wrong field, ENOTFOUND for an unknown site, ECONFLICT
// when the name is taken.
func (s *Service) AddAccount(ctx context.Context, by Principal, name string, site coldkeep.SiteID, scopes []string) (Account, string, error) {
	if err := mayManageAccounts(by, site); err != nil {
		return Account{}, "", err
	}
	if name = strings.TrimSpace(name); name == "" || len(name) > 80 {
		return Account{}, "", coldkeep.Errorf(coldkeep.EINVALID, "Name: want 1 to 80 characters.")
	}
	if len(scopes) == 0 {
		return Account{}, "", coldkeep.Errorf(coldkeep.EINVALID, "Scope: choose at least one.")
	}
	for _, sc := range scopes {
		if scopeGrants[sc] == nil {
			return Account{}, "", coldkeep.Errorf(coldkeep.EINVALID, "Scope: %q is not known.", sc)
		}
		if sc != ScopeRecords && !by.May(ManageProgramme, "") {
			return Account{}, "", coldkeep.Errorf(coldkeep.EFORBIDDEN, "Scope %q is for a state administrator to give.", sc)
		}
		if sc == ScopeRecords && site == "" || sc == ScopeCollector && site != "" {
			return Account{}, "", coldkeep.Errorf(coldkeep.EINVALID, "Site: scope %q is %s.", sc, map[bool]string{true: "of one practice; choose it", false: "of the whole programme; leave the site empty"}[site == ""])
		}
	}
	token := newSecret()
	a := Account{ID: ulid.Make().String(), Name: name, TokenSHA256: SHA256(token), Scopes: slices.Clone(scopes), Site: site, CreatedBy: by.Name, CreatedAt: s.clock.Now()}
	err := s.store.Tx(ctx, func(tx Tx) error {
		if site != "" {
			if _, err := tx.Site(ctx, site); err != nil {
				return err
			}
		}
		if _, err := tx.AccountByName(ctx, name); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			if err == nil {
				err = coldkeep.Errorf(coldkeep.ECONFLICT, "Name %q is taken.", name)
			}
			return err
		}
		if err := tx.PutAccount(ctx, a); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "account.add", "account/"+a.ID, site, name+" with scopes "+strings.Join(scopes, " ")))
	})
	if err != nil {
		return Account{}, "", err
	}
	return a, token, nil
}

// RenewAccount gives an interface account another token in place of the one it had, also
// when it was revoked. Errors as RevokeAccount.
func (s *Service) RenewAccount(ctx context.Context, by Principal, id string) (string, error) {
	token := newSecret()
	err := s.changeAccount(ctx, by, id, "account.token", func(tx Tx, a *Account) error {
		a.TokenSHA256, a.Revoked = SHA256(token), false
		return tx.PutAccount(ctx, *a)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// RevokeAccount ends an interface account. ENOTFOUND when there is none that by may manage:
// whether another practice has one is not told.
func (s *Service) RevokeAccount(ctx context.Context, by Principal, id string) error {
	return s.changeAccount(ctx, by, id, "account.revoke", func(tx Tx, a *Account) error {
		a.Revoked = true
		return tx.PutAccount(ctx, *a)
	})
}

func (s *Service) changeAccount(ctx context.Context, by Principal, id, what string, do func(Tx, *Account) error) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		a, err := tx.AccountByID(ctx, id)
		if err != nil {
			return err
		}
		if err := mayManageAccounts(by, a.Site); err != nil {
			if by.Known() {
				return coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such interface account.")
			}
			return err
		}
		if err := do(tx, &a); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, what, "account/"+a.ID, a.Site, a.Name))
	})
}

// AddAccountKey lets an interface account come by SFTP with a key, given as a line of
// authorized_keys. EINVALID for what is no such key or a weak one, ECONFLICT when it is
// known already; else as RevokeAccount.
func (s *Service) AddAccountKey(ctx context.Context, by Principal, id, line string) error {
	if len(line) > 8<<10 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Public key: is too long.")
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(options) > 0 || strings.TrimSpace(string(rest)) != "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "Public key: want one line such as “ssh-ed25519 AAAA…”.")
	}
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA:
	default:
		return coldkeep.Errorf(coldkeep.EINVALID, "Public key: %s is not taken; use ssh-ed25519, ecdsa or rsa.", key.Type())
	}
	if weak(key) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Public key: an rsa key of less than 2048 bits is too weak; use ssh-ed25519.")
	}
	return s.changeAccount(ctx, by, id, "account.key", func(tx Tx, a *Account) error {
		return tx.InsertAccountKey(ctx, AccountKey{Account: a.ID, Fingerprint: ssh.FingerprintSHA256(key),
			PublicKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), AddedBy: by.Name, AddedAt: s.clock.Now()})
	})
}

// weak reports whether a key can be broken: RSA below 2048 bits (NIST SP 800-131A).
func weak(key ssh.PublicKey) bool {
	c, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return false
	}
	r, ok := c.CryptoPublicKey().(*rsa.PublicKey)
	return ok && r.N.BitLen() < 2048
}

// RemoveAccountKey takes a key away. Errors as RevokeAccount.
func (s *Service) RemoveAccountKey(ctx context.Context, by Principal, id, fingerprint string) error {
	return s.changeAccount(ctx, by, id, "account.key-removed", func(tx Tx, a *Account) error {
		return tx.DeleteAccountKey(ctx, a.ID, fingerprint)
	})
}

// Accounts lists the interface accounts that by may manage, with their keys by account;
// EFORBIDDEN when none.
func (s *Service) Accounts(ctx context.Context, by Principal) ([]Account, map[string][]AccountKey, error) {
	if err := mayManageAccounts(by, by.Site); err != nil {
		return nil, nil, err
	}
	all, err := s.store.Accounts(ctx, by.Site)
	if err != nil {
		return nil, nil, err
	}
	keys := map[string][]AccountKey{}
	for _, a := range all {
		if keys[a.ID], err = s.store.AccountKeys(ctx, a.ID); err != nil {
			return nil, nil, err
		}
	}
	return all, keys, nil
}
