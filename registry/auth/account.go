package auth

import (
	"context"
	"crypto/subtle"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// Account returns whoever a bearer token belongs to; EUNAUTHORIZED when nobody.
func (s *Service) Account(ctx context.Context, token string) (Principal, error) {
	unknown := coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "the bearer token is missing or not known")
	if token == "" || len(token) > 512 {
		return Principal{}, unknown
	}
	a, err := s.store.AccountByToken(ctx, SHA256(token))
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND || err == nil && a.Revoked {
		return Principal{}, unknown
	}
	if err != nil {
		return Principal{}, err
	}
	p := Principal{ID: a.ID, Name: a.Name, Scopes: a.Scopes, Site: a.Site}
	if p.Lapsed, err = s.lapsed(ctx, a.Site); err != nil {
		return Principal{}, err
	}
	return p, s.noteUse(ctx, a)
}

// AccountByKey returns whoever a key belongs to that comes by SFTP under a login, by its
// fingerprint as ssh-keygen shows it. EUNAUTHORIZED when it is nobody's, another's, or the
// account is revoked.
func (s *Service) AccountByKey(ctx context.Context, login, fingerprint string) (Principal, error) {
	unknown := coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "the key is not known")
	a, err := s.store.AccountByKey(ctx, fingerprint)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND || err == nil && (a.Revoked || login != a.Login() && login != a.Name) {
		return Principal{}, unknown
	}
	if err != nil {
		return Principal{}, err
	}
	p := Principal{ID: a.ID, Name: a.Name, Scopes: a.Scopes, Site: a.Site}
	if p.Lapsed, err = s.lapsed(ctx, a.Site); err != nil {
		return Principal{}, err
	}
	return p, s.noteUse(ctx, a)
}

// AccountSignedIn enters that a program has come in by a way on which it stays, such as
// SFTP. Calls that show a token each time are not entered: what they do is.
func (s *Service) AccountSignedIn(ctx context.Context, by Principal, way string) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		return tx.Audit(ctx, s.entry(by, "account.sign-in", "account/"+by.ID, by.Site, "by "+way))
	})
}

// AccountRefused enters a sign-in that was refused in the trail of the interface account of
// that name or login, "" for one that named none; when there is no such account, in the trail
// of all.
func (s *Service) AccountRefused(ctx context.Context, name, way string) error {
	nobodys := func() error { return s.RefusedRequest(ctx, Principal{}, "credentials that are nobody's: by "+way) }
	if name == "" {
		return nobodys()
	}
	a, err := s.store.AccountByName(ctx, name)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		var all []Account
		if all, err = s.store.Accounts(ctx, ""); err == nil {
			i := slices.IndexFunc(all, func(a Account) bool { return a.Login() == name })
			if i < 0 {
				return nobodys()
			}
			a = all[i]
		}
	}
	if err != nil {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		return tx.Audit(ctx, audit.Entry{At: s.clock.Now(), WhoID: a.ID, Who: a.Name, What: "account.refused", Subject: "account/" + a.ID, Site: a.Site, Detail: "by " + way})
	})
}

// noteUse keeps when an account was last used, to the hour: a program may call every
// second, and that is no reason to write every second.
func (s *Service) noteUse(ctx context.Context, a Account) error {
	now := s.clock.Now()
	if a.UsedAt != nil && now.Sub(*a.UsedAt) < time.Hour {
		return nil
	}
	a.UsedAt = &now
	return s.store.Tx(ctx, func(tx Tx) error { return tx.PutAccount(ctx, a) })
}

// lapsed reports whether a site's enrolment has ended.
func (s *Service) lapsed(ctx context.Context, site coldkeep.SiteID) (bool, error) {
	if site == "" {
		return false, nil
	}
	until, err := s.store.EnrolledUntil(ctx, site)
	return until != nil && !s.clock.Now().Before(*until), err
}

// EnsureAccount makes the interface account of that name, or gives it this token
// and these scopes when it exists. A token shorter than 16 characters is EINVALID.
func (s *Service) EnsureAccount(ctx context.Context, name, token string, scopes ...string) error {
	return s.EnsureSiteAccount(ctx, name, token, "", scopes...)
}

// EnsureSiteAccount is EnsureAccount of an account that acts for one site.
func (s *Service) EnsureSiteAccount(ctx context.Context, name, token string, site coldkeep.SiteID, scopes ...string) error {
	if len(token) < 16 || len(token) > 512 {
		return coldkeep.Errorf(coldkeep.EINVALID, "token of interface account %q: want 16 to 512 characters", name)
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		now := s.clock.Now()
		a, err := tx.AccountByName(ctx, name)
		switch {
		case coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND:
			a = Account{ID: ulid.Make().String(), Name: name, CreatedAt: now}
		case err != nil:
			return err
		case a.TokenSHA256 == SHA256(token) && strings.Join(a.Scopes, " ") == strings.Join(scopes, " ") && a.Site == site && !a.Revoked:
			return nil
		}
		a.TokenSHA256, a.Scopes, a.Site, a.Revoked = SHA256(token), scopes, site, false
		if err := tx.PutAccount(ctx, a); err != nil {
			return err
		}
		return tx.Audit(ctx, audit.Entry{At: now, WhoID: "system", Who: "Start-up", What: "account.set",
			Subject: "account/" + a.ID, Site: site, Detail: name + " with scopes " + strings.Join(scopes, " ")})
	})
}

// AddDevice makes a device's account and returns its secret, which is not kept and
// cannot be shown again. EFORBIDDEN when by may not manage units there, EINVALID
// for a wrong name, ENOTFOUND for an unknown site, ECONFLICT when the device has
// an account that is not revoked.
func (s *Service) AddDevice(ctx context.Context, by Principal, site coldkeep.SiteID, agent coldkeep.AgentID) (string, error) {
	secret := newSecret()
	return secret, s.putDevice(ctx, by, site, agent, secret, false)
}

// EnsureDevice makes a device's account with a secret of the caller's, or gives it
// this secret when it exists. Errors as AddDevice, without ECONFLICT.
func (s *Service) EnsureDevice(ctx context.Context, by Principal, site coldkeep.SiteID, agent coldkeep.AgentID, secret string) error {
	if len(secret) < 8 {
		return coldkeep.Errorf(coldkeep.EINVALID, "secret of device %s/%s: want at least 8 characters", site, agent)
	}
	return s.putDevice(ctx, by, site, agent, secret, true)
}

func (s *Service) putDevice(ctx context.Context, by Principal, site coldkeep.SiteID, agent coldkeep.AgentID, secret string, replace bool) error {
	if err := by.Require(ManageUnits, site); err != nil {
		return err
	}
	if !validName(string(agent), "") {
		return coldkeep.Errorf(coldkeep.EINVALID, "Device: want letters a to z, digits and -, at most 64.")
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		if _, err := tx.Site(ctx, site); err != nil {
			return err
		}
		d, err := tx.Device(ctx, site, agent)
		switch {
		case err != nil && coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND:
			return err
		case err == nil && !d.Revoked && d.SecretSHA256 == SHA256(secret):
			return nil
		case err == nil && !d.Revoked && !replace:
			return coldkeep.Errorf(coldkeep.ECONFLICT, "Device %s/%s has an account. Revoke it first to give it a new secret.", site, agent)
		}
		d = coldkeep.Device{Site: site, Agent: agent, SecretSHA256: SHA256(secret)}
		if err := s.changeDevice(ctx, tx, by, d, "device.add"); err != nil {
			return err
		}
		return tx.SetDeviceKey(ctx, site, agent, "") // a new device has a new key
	})
}

// RevokeDevice ends a device's account. EFORBIDDEN, or ENOTFOUND when it has none.
func (s *Service) RevokeDevice(ctx context.Context, by Principal, site coldkeep.SiteID, agent coldkeep.AgentID) error {
	if err := by.Require(ManageUnits, site); err != nil {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		d, err := tx.Device(ctx, site, agent)
		if err != nil {
			return err
		}
		d.Revoked = true
		return s.changeDevice(ctx, tx, by, d, "device.revoke")
	})
}

func (s *Service) changeDevice(ctx context.Context, tx Tx, by Principal, d coldkeep.Device, what string) error {
	now := s.clock.Now()
	if err := tx.PutDevice(ctx, d, now); err != nil {
		return err
	}
	if _, err := tx.BumpMirror(ctx); err != nil {
		return err
	}
	return tx.Audit(ctx, audit.Entry{At: now, WhoID: by.ID, Who: by.Name, What: what,
		Subject: "device/" + string(d.Site) + "/" + string(d.Agent), Site: d.Site})
}

// Devices lists the device accounts of a site; EFORBIDDEN when by may not manage
// units there.
func (s *Service) Devices(ctx context.Context, by Principal, site coldkeep.SiteID) ([]coldkeep.Device, error) {
	if err := by.Require(ManageUnits, site); err != nil {
		return nil, err
	}
	return s.store.Devices(ctx, site)
}

// CheckDevice checks a broker sign-in: username "site/agent" and the device's
// secret. ok is false for an unknown or revoked device and a wrong secret, and
// when the store does not answer.
func (s *Service) CheckDevice(ctx context.Context, username, password string) (site coldkeep.SiteID, agent coldkeep.AgentID, ok bool) {
	a, b, found := strings.Cut(username, "/")
	if !found {
		return "", "", false
	}
	d, err := s.store.Device(ctx, coldkeep.SiteID(a), coldkeep.AgentID(b))
	if err != nil || d.Revoked {
		return "", "", false
	}
	if subtle.ConstantTimeCompare([]byte(d.SecretSHA256), []byte(SHA256(password))) != 1 {
		return "", "", false
	}
	return d.Site, d.Agent, true
}

// DeviceKey returns the key by which a device's seals are to be signed, in base64url; ""
// when none was told. ENOTFOUND for an unknown device.
func (s *Service) DeviceKey(ctx context.Context, site coldkeep.SiteID, agent coldkeep.AgentID) (string, error) {
	return s.store.DeviceKey(ctx, site, agent)
}
