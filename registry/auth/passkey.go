package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/coldkeep/coldkeep"
)

// Passkey is one of a person's passkeys.
type Passkey struct {
	ID         string // of the credential, in base64url
	Person     string
	Name       string // as the person calls it
	Credential string // all that the library keeps of it, flags and counter with it, as JSON
	CreatedAt  time.Time
	UsedAt     *time.Time // absent: never
}

// maxPasskeys is how many passkeys one person may have.
const maxPasskeys = 20

// PasskeysAt reports whether passkeys can be had at an origin ("https://host"): browsers
// bind them to a name, not to an address, and to HTTPS but for localhost.
func PasskeysAt(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Hostname() != "" && net.ParseIP(u.Hostname()) == nil && (u.Scheme == "https" || u.Hostname() == "localhost")
}

func party(origin string) (*webauthn.WebAuthn, error) {
	if !PasskeysAt(origin) {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "Passkeys need HTTPS and a name, not an address: open this page by its name.")
	}
	u, err := url.Parse(origin)
	if err != nil {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "origin %q is none", origin)
	}
	w, err := webauthn.New(&webauthn.Config{RPID: u.Hostname(), RPDisplayName: "Coldkeep", RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		// A passkey stands for the password and the second factor, so it must know who it
		// belongs to and check its holder.
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired}})
	return w, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.party", "passkeys at %s", origin)
}

// holder is a person as the library knows one.
type holder struct {
	id, username, name string
	keys               []webauthn.Credential
}

func (h *holder) WebAuthnID() []byte                         { return []byte(h.id) }
func (h *holder) WebAuthnName() string                       { return h.username }
func (h *holder) WebAuthnDisplayName() string                { return h.name }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

func holderOf(p Principal, keys []Passkey) (*holder, error) {
	h := &holder{id: p.ID, username: p.Username, name: p.Name}
	for _, k := range keys {
		var c webauthn.Credential
		if err := json.Unmarshal([]byte(k.Credential), &c); err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.holderOf", "stored passkey")
		}
		h.keys = append(h.keys, c)
	}
	return h, nil
}

// NewPasskey begins to add a passkey. options go to the browser, session is handed to
// AddPasskey and must not leave the server. EINVALID where there can be none, or when the
// person has as many as one may.
func (s *Service) NewPasskey(ctx context.Context, by Principal, origin string) (options, session []byte, err error) {
	w, err := party(origin)
	if err != nil {
		return nil, nil, err
	}
	keys, err := s.Passkeys(ctx, by)
	if err != nil {
		return nil, nil, err
	}
	if len(keys) >= maxPasskeys {
		return nil, nil, coldkeep.Errorf(coldkeep.EINVALID, "You have %d passkeys. Take one away first.", len(keys))
	}
	h, err := holderOf(by, keys)
	if err != nil {
		return nil, nil, err
	}
	exclude := make([]protocol.CredentialDescriptor, len(h.keys))
	for i := range h.keys {
		exclude[i] = h.keys[i].Descriptor()
	}
	creation, data, err := w.BeginRegistration(h, webauthn.WithExclusions(exclude))
	if err != nil {
		return nil, nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.NewPasskey", "passkey")
	}
	return both(creation, data)
}

func both(options, session any) ([]byte, []byte, error) {
	o, err := json.Marshal(options)
	if err != nil {
		return nil, nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth", "passkey options")
	}
	d, err := json.Marshal(session)
	return o, d, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth", "passkey session")
}

var badPasskey = coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "This passkey was not taken. Try again, or sign in with your password.")

// AddPasskey keeps the passkey that the browser has made. EUNAUTHORIZED when it is not an
// answer to session, EINVALID for a wrong name, ECONFLICT when it is known.
func (s *Service) AddPasskey(ctx context.Context, by Principal, origin, name string, session, answer []byte) error {
	w, err := party(origin)
	if err != nil {
		return err
	}
	if name = strings.TrimSpace(name); name == "" || len(name) > 80 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Name of the passkey: want 1 to 80 characters.")
	}
	var data webauthn.SessionData
	if err := json.Unmarshal(session, &data); err != nil {
		return badPasskey
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return badPasskey
	}
	keys, err := s.Passkeys(ctx, by)
	if err != nil {
		return err
	}
	h, err := holderOf(by, keys)
	if err != nil {
		return err
	}
	c, err := w.CreateCredential(h, data, parsed)
	if err != nil {
		return badPasskey
	}
	kept, err := json.Marshal(c)
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.AddPasskey", "passkey")
	}
	k := Passkey{ID: base64.RawURLEncoding.EncodeToString(c.ID), Person: by.ID, Name: name, Credential: string(kept), CreatedAt: s.clock.Now()}
	return s.store.Tx(ctx, func(tx Tx) error {
		if _, err := tx.Passkey(ctx, k.ID); coldkeep.ErrorCode(err) != coldkeep.ENOTFOUND {
			if err == nil {
				err = coldkeep.Errorf(coldkeep.ECONFLICT, "This passkey is known already.")
			}
			return err
		}
		if err := tx.PutPasskey(ctx, k); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "person.second-factor", "person/"+by.ID, by.Site, "passkey added"))
	})
}

// AskPasskey begins a sign-in by passkey. options go to the browser, session is handed to
// Passkey and must not leave the server. EINVALID where there can be none.
func (*Service) AskPasskey(origin string) (options, session []byte, err error) {
	w, err := party(origin)
	if err != nil {
		return nil, nil, err
	}
	assertion, data, err := w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.AskPasskey", "passkey")
	}
	return both(assertion, data)
}

// ByPasskey returns whose passkey answers session. EUNAUTHORIZED when nobody's does, or
// the authenticator may have been copied; ETOOMANY while the account is locked.
func (s *Service) ByPasskey(ctx context.Context, origin string, session, answer []byte) (Person, error) {
	w, err := party(origin)
	if err != nil {
		return Person{}, err
	}
	var data webauthn.SessionData
	if err := json.Unmarshal(session, &data); err != nil {
		return Person{}, badPasskey
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Person{}, badPasskey
	}
	var p Person
	var ours error // of the store, apart from what is wrong with the passkey
	_, c, err := w.ValidatePasskeyLogin(func(rawID, userHandle []byte) (webauthn.User, error) {
		if p, ours = s.store.Person(ctx, string(userHandle)); ours != nil {
			return nil, ours
		}
		var keys []Passkey
		if keys, ours = s.store.Passkeys(ctx, p.ID); ours != nil {
			return nil, ours
		}
		return holderOf(p.Principal(), keys)
	}, data, parsed)
	if ours != nil && coldkeep.ErrorCode(ours) != coldkeep.ENOTFOUND {
		return Person{}, ours
	}
	if err != nil || !p.Active {
		return Person{}, badPasskey
	}
	if c.Authenticator.CloneWarning {
		return Person{}, s.refused(ctx, p, "passkey: its counter went back, so it may have been copied", badPasskey)
	}
	now := s.clock.Now()
	if p.LockedUntil != nil && now.Before(*p.LockedUntil) {
		return Person{}, coldkeep.Errorf(coldkeep.ETOOMANY, "Too many failed sign-ins. Try again in %s.", p.LockedUntil.Sub(now).Round(time.Second))
	}
	kept, err := json.Marshal(c)
	if err != nil {
		return Person{}, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.ByPasskey", "passkey")
	}
	return p, s.store.Tx(ctx, func(tx Tx) error {
		k, err := tx.Passkey(ctx, base64.RawURLEncoding.EncodeToString(c.ID))
		if err != nil {
			return err
		}
		k.Credential, k.UsedAt = string(kept), &now
		return tx.PutPasskey(ctx, k)
	})
}

// Passkeys lists a person's own passkeys, the first one first.
func (s *Service) Passkeys(ctx context.Context, by Principal) ([]Passkey, error) {
	if !by.Known() {
		return nil, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	return s.store.Passkeys(ctx, by.ID)
}

// RemovePasskey takes one of a person's own passkeys away. Errors as RemoveTOTP, and
// ENOTFOUND.
func (s *Service) RemovePasskey(ctx context.Context, by Principal, id, password string) error {
	return s.removeFactor(ctx, by, password, "passkey taken away", func(tx Tx, p *Person) error {
		return tx.DeletePasskey(ctx, p.ID, id)
	})
}
