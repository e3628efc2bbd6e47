package main

import (
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// signInFlags are how people sign in.
type signInFlags struct {
	Origin       string        `help:"Where people come to, such as https://coldkeep.example: passkeys and the identity provider need it; by default that of each request." env:"COLDKEEP_ORIGIN"`
	TrustedProxy []string      `help:"Address or range of a proxy whose X-Forwarded-For is taken." env:"COLDKEEP_TRUSTED_PROXIES"`
	SignInIdle   time.Duration `help:"A sign-in ends after so long without use; 0 is never." default:"30m" env:"COLDKEEP_SIGN_IN_IDLE"`
	SignInLife   time.Duration `help:"A sign-in ends after so long in any case." default:"14h" env:"COLDKEEP_SIGN_IN_LIFE"`
	SecondFactor []string      `help:"Roles that must have a second factor, or none (default: those of the programme; in a demo none)." env:"COLDKEEP_SECOND_FACTOR" placeholder:"ROLE"`

	SecretKeyFile string `help:"File with the key, 64 hexadecimal digits, that the secrets of authenticator apps are encrypted by (default secret-key in the data folder, made when it is not there; with a registry on PostgreSQL it has to be named)." env:"COLDKEEP_SECRET_KEY_FILE"`

	OIDCIssuer     string `help:"Issuer of a state's identity provider (OpenID Connect), such as https://id.example.gov." name:"oidc-issuer" env:"COLDKEEP_OIDC_ISSUER"`
	OIDCName       string `help:"What people call it." name:"oidc-name" default:"the state’s account" env:"COLDKEEP_OIDC_NAME"`
	OIDCClient     string `help:"Client id of Coldkeep there." name:"oidc-client" env:"COLDKEEP_OIDC_CLIENT"`
	OIDCSecretFile string `help:"File with the client's secret." name:"oidc-secret-file" env:"COLDKEEP_OIDC_SECRET_FILE"`
	OIDCClaim      string `help:"Claim that holds the username." name:"oidc-claim" default:"preferred_username" env:"COLDKEEP_OIDC_CLAIM"`
	OIDCSuffix     string `help:"Cut off the claim's end, such as @dph.example.gov; a value without it is refused." name:"oidc-suffix" env:"COLDKEEP_OIDC_SUFFIX"`
}

// secretKeyFile is the name of the key in a data folder.
const secretKeyFile = "secret-key"

// secrets sets up the key by which secrets are kept. kept is the file of it that is made
// when none is named; "" makes none.
func (f *signInFlags) secrets(cfg *registry.Config, kept string) error {
	var key string
	var err error
	switch {
	case f.SecretKeyFile != "":
		key, err = readSecret(f.SecretKeyFile)
	case kept != "":
		key, err = keptSecret(kept)
	case len(cfg.SignIn.SecondFactor) > 0:
		return coldkeep.Errorf(coldkeep.EINVALID, "second factors need a key that their secrets are encrypted by, the same wherever this registry runs: make one (openssl rand -hex 32), keep it out of the database's backups and name its file by --secret-key-file, or ask nobody for a second factor (--second-factor none)")
	default:
		return nil
	}
	if err == nil {
		cfg.SignIn.Secrets, err = auth.NewSealer(key)
	}
	return err
}

func (f *signInFlags) signIn(cfg *registry.Config, demo bool) error {
	cfg.Origin, cfg.TrustedProxies = f.Origin, f.TrustedProxy
	cfg.SignIn = auth.Rules{Idle: f.SignInIdle, Longest: f.SignInLife}
	switch {
	case len(f.SecondFactor) == 1 && f.SecondFactor[0] == "none":
	case len(f.SecondFactor) > 0:
		for _, r := range f.SecondFactor {
			cfg.SignIn.SecondFactor = append(cfg.SignIn.SecondFactor, auth.Role(r))
		}
	case !demo:
		for _, r := range auth.Roles() {
			if r.Programme() {
				cfg.SignIn.SecondFactor = append(cfg.SignIn.SecondFactor, r)
			}
		}
	}
	if f.OIDCIssuer == "" {
		return nil
	}
	if f.OIDCClient == "" {
		return coldkeep.Errorf(coldkeep.EINVALID, "--oidc-issuer needs --oidc-client")
	}
	secret, err := readSecret(f.OIDCSecretFile)
	if err != nil {
		return err
	}
	cfg.Provider = &auth.Provider{Name: f.OIDCName, Issuer: f.OIDCIssuer, ClientID: f.OIDCClient, Secret: secret, Claim: f.OIDCClaim, Suffix: f.OIDCSuffix}
	return nil
}
