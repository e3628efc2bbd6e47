package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	neturl "net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// RFC 6238 as every authenticator app has it: SHA-1, six digits, half a minute. One step
// before and after is taken, for clocks that differ.
const (
	totpPeriod    = 30
	totpSkew      = 1
	recoveryCodes = 10
)

var totpOptions = totp.ValidateOpts{Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}

// NewTOTP makes a secret for a person's authenticator app. pending is the secret sealed, to
// be kept until ConfirmTOTP; ShowTOTP opens it again. EINVALID where no secret key is set up.
func (s *Service) NewTOTP(by Principal) (pending string, err error) {
	if !by.Known() {
		return "", coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	if s.rules.Secrets == nil {
		return "", errNoKey
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Coldkeep", AccountName: by.Username, Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return "", coldkeep.Wrap(err, coldkeep.EINTERNAL, "auth.NewTOTP", "secret")
	}
	return s.rules.Secrets.Seal(key.Secret(), pendingOf(by.ID)), nil
}

// pendingOf is what a secret that is being set up is sealed about: it is none that signs in.
func pendingOf(person string) string { return "setting up " + person }

// ShowTOTP gives the secret that is being set up, and the URL that an app reads from a QR
// code. EINVALID for what NewTOTP has not made for this person, by this key.
func (s *Service) ShowTOTP(by Principal, pending string) (secret, url string, err error) {
	if s.rules.Secrets == nil {
		return "", "", errNoKey
	}
	if secret, err = s.rules.Secrets.Open(pending, pendingOf(by.ID)); err != nil {
		return "", "", err
	}
	return secret, "otpauth://totp/Coldkeep:" + neturl.PathEscape(by.Username) + "?issuer=Coldkeep&secret=" + secret, nil
}

// ConfirmTOTP keeps a secret (NewTOTP) once the person's app has given a right code for it,
// and returns codes to recover by, each of which works once; they cannot be shown again. It
// takes the place of an earlier secret. EINVALID for a wrong code, a secret that is not this
// person's to set up, and where no secret key is set up.
func (s *Service) ConfirmTOTP(ctx context.Context, by Principal, pending, code string) ([]string, error) {
	secret, _, err := s.ShowTOTP(by, pending)
	if err != nil {
		return nil, err
	}
	step, ok := s.totpStep(secret, code)
	if !ok {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "This code is not right. Check that the clock of your telephone is right, and type the code that it shows now.")
	}
	codes, hashes := newRecoveryCodes()
	err = s.store.Tx(ctx, func(tx Tx) error {
		p, err := tx.Person(ctx, by.ID)
		if err != nil {
			return err
		}
		p.TOTPSecret, p.TOTPStep = s.rules.Secrets.Seal(secret, p.ID), step
		if err := tx.UpdatePerson(ctx, p); err != nil {
			return err
		}
		if err := tx.PutRecoveryCodes(ctx, by.ID, hashes); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "person.second-factor", "person/"+by.ID, by.Site, "codes set up"))
	})
	return codes, err
}

// NewRecoveryCodes makes new codes to recover by in place of the old ones. EINVALID when
// the person has no second factor.
func (s *Service) NewRecoveryCodes(ctx context.Context, by Principal) ([]string, error) {
	codes, hashes := newRecoveryCodes()
	return codes, s.store.Tx(ctx, func(tx Tx) error {
		p, err := tx.Person(ctx, by.ID)
		if err != nil {
			return err
		}
		keys, err := tx.Passkeys(ctx, by.ID)
		if err != nil {
			return err
		}
		if p.TOTPSecret == "" && len(keys) == 0 {
			return coldkeep.Errorf(coldkeep.EINVALID, "You have no second factor to recover.")
		}
		if err := tx.PutRecoveryCodes(ctx, by.ID, hashes); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "person.recovery-codes", "person/"+by.ID, by.Site, "made anew"))
	})
}

func newRecoveryCodes() (codes, hashes []string) {
	for range recoveryCodes {
		b := make([]byte, 10) // 80 random bits, so a plain hash keeps them
		_, _ = rand.Read(b)   // never fails
		c := strings.ToLower(base32.StdEncoding.EncodeToString(b))
		codes = append(codes, c[:4]+"-"+c[4:8]+"-"+c[8:12]+"-"+c[12:])
		hashes = append(hashes, SHA256(c))
	}
	return codes, hashes
}

// RecoveryCodesLeft is how many codes to recover by a person has yet.
func (s *Service) RecoveryCodesLeft(ctx context.Context, by Principal) (int, error) {
	return s.store.RecoveryCodesLeft(ctx, by.ID)
}

// HasTOTP reports whether a person has set up codes.
func (s *Service) HasTOTP(ctx context.Context, by Principal) (bool, error) {
	p, err := s.store.Person(ctx, by.ID)
	return p.TOTPSecret != "", err
}

// RemoveTOTP takes a person's own codes away. EUNAUTHORIZED when the password is wrong,
// ECONFLICT when their role needs a second factor and this is the only one.
func (s *Service) RemoveTOTP(ctx context.Context, by Principal, password string) error {
	return s.removeFactor(ctx, by, password, "codes taken away", func(tx Tx, p *Person) error {
		p.TOTPSecret, p.TOTPStep = "", 0
		return tx.UpdatePerson(ctx, *p)
	})
}

// removeFactor takes one second factor away, by somebody who knows the password.
func (s *Service) removeFactor(ctx context.Context, by Principal, password, detail string, do func(Tx, *Person) error) error {
	p, err := s.attempt(ctx, by.Username)
	if err != nil {
		return err
	}
	ok, err := s.matches(ctx, password, p.PasswordHash)
	if err != nil {
		return err
	}
	if !ok {
		return s.refused(ctx, p, "password when taking a second factor away", coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "The password is wrong."))
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		if err := tx.ResetAttempts(ctx, p.ID); err != nil {
			return err
		}
		p, err := tx.Person(ctx, p.ID)
		if err != nil {
			return err
		}
		if err := do(tx, &p); err != nil {
			return err
		}
		keys, err := tx.Passkeys(ctx, p.ID)
		if err != nil {
			return err
		}
		if p.TOTPSecret == "" && len(keys) == 0 {
			if s.NeedsSecondFactor(by.Role) {
				return coldkeep.Errorf(coldkeep.ECONFLICT, "Your role has to have a second factor. Set up another one first.")
			}
			if err := tx.PutRecoveryCodes(ctx, p.ID, nil); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, s.entry(by, "person.second-factor", "person/"+p.ID, by.Site, detail))
	})
}

// Code checks the second step of a sign-in: a code of the person's app, or one to recover
// by. Wrong ones count as failed sign-ins. EUNAUTHORIZED for a wrong or used code,
// ETOOMANY while the account is locked.
func (s *Service) Code(ctx context.Context, person, code string) (Method, error) {
	p, err := s.store.Person(ctx, person)
	if err != nil {
		return "", err
	}
	if p, err = s.attempt(ctx, p.Username); err != nil {
		return "", err
	}
	secret, err := s.secretOf(&p)
	if err != nil {
		return "", err
	}
	method := Method("")
	clean := strings.NewReplacer(" ", "", "-", "").Replace(strings.ToLower(strings.TrimSpace(code)))
	err = s.store.Tx(ctx, func(tx Tx) error {
		method = ""
		if step, ok := s.totpStep(secret, clean); ok && len(clean) == 6 {
			fresh, err := tx.UseTOTPStep(ctx, p.ID, step)
			if err != nil || !fresh {
				return err // a code is good once
			}
			method = ByCode
			return nil
		}
		if len(clean) != 16 {
			return nil
		}
		used, err := tx.UseRecoveryCode(ctx, p.ID, SHA256(clean), s.clock.Now())
		if err != nil || !used {
			return err
		}
		method = ByRecovery
		return tx.Audit(ctx, audit.Entry{At: s.clock.Now(), WhoID: p.ID, Who: p.Name, What: "person.recovery-code", Subject: "person/" + p.ID, Site: p.Site, Detail: "one was used"})
	})
	if err != nil {
		return "", err
	}
	if method == "" || !p.Active {
		return "", s.refused(ctx, p, "code", coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "This code is not right. Type the one that your app shows now, or one of your recovery codes."))
	}
	return method, nil
}

// totpStep is the half minute that a code is of.
func (s *Service) totpStep(secret, code string) (int64, bool) {
	if secret == "" || len(code) != 6 {
		return 0, false
	}
	now := s.clock.Now()
	for d := -totpSkew; d <= totpSkew; d++ {
		at := now.Add(time.Duration(d) * totpPeriod * time.Second)
		want, err := totp.GenerateCodeCustom(secret, at, totpOptions)
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return at.Unix() / totpPeriod, true
		}
	}
	return 0, false
}
