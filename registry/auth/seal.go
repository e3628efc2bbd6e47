package auth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/coldkeep/coldkeep"
)

// sealMark begins what a Sealer has written; base32, in which secrets of authenticator apps
// are, has no colon.
const sealMark = "gcm1:"

// Sealer encrypts secrets that the registry has to read again, such as those of
// authenticator apps, so that who copies the database has none of them.
type Sealer struct{ aead cipher.AEAD }

// NewSealer returns a sealer by a key of 64 hexadecimal digits, for AES-256 in GCM.
// EINVALID for another one.
func NewSealer(key string) (*Sealer, error) {
	b, err := hex.DecodeString(strings.TrimSpace(key))
	if err != nil || len(b) != 32 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "secret key: want 64 hexadecimal digits, such as openssl rand -hex 32 makes")
	}
	block, err := aes.NewCipher(b)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.NewSealer", "cipher")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Sealer{aead}, coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.NewSealer", "cipher")
}

// Seal encrypts text. about is whose it is: for anybody else it does not open.
func (s *Sealer) Seal(text, about string) string {
	return sealMark + base64.RawStdEncoding.EncodeToString(s.aead.Seal(nil, nil, []byte(text), []byte(about)))
}

// Open decrypts what Seal has written. EINVALID when it was not sealed by this key, or not
// about that.
func (s *Sealer) Open(sealed, about string) (string, error) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimPrefix(sealed, sealMark))
	if err == nil {
		b, err = s.aead.Open(nil, nil, b, []byte(about))
	}
	if err != nil || !isSealed(sealed) {
		return "", coldkeep.Errorf(coldkeep.EINVALID, "a secret does not open: the secret key is not the one it was sealed by")
	}
	return string(b), nil
}

// IsSealed reports whether a text was written by a Sealer.
func IsSealed(text string) bool { return isSealed(text) }

func isSealed(secret string) bool { return strings.HasPrefix(secret, sealMark) }

// SealSecrets encrypts the secrets of authenticator apps that are kept in clear, as earlier
// releases did, and tells how many. It is to be called before the service is used. EINVALID
// when there are secrets and no key is set up, or another one than they were sealed by.
func (s *Service) SealSecrets(ctx context.Context) (int, error) {
	n := 0
	err := s.store.Tx(ctx, func(tx Tx) error {
		n = 0
		people, err := tx.People(ctx, "")
		if err != nil {
			return err
		}
		for _, p := range people {
			switch {
			case p.TOTPSecret == "":
			case s.rules.Secrets == nil:
				return coldkeep.Errorf(coldkeep.EINVALID, "people sign in by codes from an app, and no secret key is set up to keep them by: name its file (--secret-key-file)")
			case isSealed(p.TOTPSecret):
				if _, err := s.rules.Secrets.Open(p.TOTPSecret, p.ID); err != nil {
					return err
				}
			default:
				if err := tx.SealTOTPSecret(ctx, p.ID, p.TOTPSecret, s.rules.Secrets.Seal(p.TOTPSecret, p.ID)); err != nil {
					return err
				}
				n++
			}
		}
		return nil
	})
	return n, err
}

// secretOf is the secret of a person's authenticator app; "" when there is none.
func (s *Service) secretOf(p *Person) (string, error) {
	switch {
	case p.TOTPSecret == "":
		return "", nil
	case s.rules.Secrets == nil:
		return "", errNoKey
	}
	return s.rules.Secrets.Open(p.TOTPSecret, p.ID)
}

var errNoKey = coldkeep.Errorf(coldkeep.EINVALID, "Codes from an app cannot be used: no secret key is set up here to keep them by (--secret-key-file).")
