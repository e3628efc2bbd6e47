package auth

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// Provider is a state's identity provider, asked by OpenID Connect. Who signs in there is
// one of our people by a claim that holds the username: the provider says who somebody is,
// and the registry what they may do.
type Provider struct {
	Name     string // as people call it, for the button
	Issuer   string
	ClientID string
	Secret   string
	Claim    string // that holds the username; "" is preferred_username
	Suffix   string // cut off its end, such as "@dph.example.gov"; a value without it is refused

	mu       sync.Mutex
	provider *oidc.Provider
}

// discover asks the provider for its addresses once it is needed, so that the registry
// starts while the provider is away.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.provider == nil {
		// Its keys are fetched in its own time, not in this request's.
		found, err := oidc.NewProvider(context.WithoutCancel(ctx), p.Issuer)
		if err != nil {
			return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "auth.Provider", "%s does not answer. Sign in with your password, or try again later.", p.Name)
		}
		p.provider = found
	}
	return p.provider, nil
}

func (p *Provider) config(ctx context.Context, callback string) (*oauth2.Config, *oidc.Provider, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return nil, nil, err
	}
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.Secret, Endpoint: found.Endpoint(), RedirectURL: callback,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"}}, found, nil
}

// Address is where a browser is sent to sign in. state, nonce and verifier are random and
// stay in the session. EUNAVAILABLE when the provider does not answer.
func (p *Provider) Address(ctx context.Context, callback, state, nonce, verifier string) (string, error) {
	c, _, err := p.config(ctx, callback)
	if err != nil {
		return "", err
	}
	return c.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// Claimed is whom a provider says that somebody is.
type Claimed struct {
	Issuer, Subject, Username string
}

// Redeem turns the code that a browser brings back into whom it is of. EUNAUTHORIZED when
// the provider does not stand by it, or it has no username; EUNAVAILABLE when it does not
// answer.
func (p *Provider) Redeem(ctx context.Context, callback, code, nonce, verifier string) (Claimed, error) {
	refused := coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "%s has not confirmed who you are. Try again.", p.Name)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c, found, err := p.config(ctx, callback)
	if err != nil {
		return Claimed{}, err
	}
	token, err := c.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Claimed{}, refused
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := found.Verifier(&oidc.Config{ClientID: p.ClientID}).Verify(ctx, raw)
	if err != nil || id.Nonce != nonce || nonce == "" {
		return Claimed{}, refused
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return Claimed{}, refused
	}
	claim := p.Claim
	if claim == "" {
		claim = "preferred_username"
	}
	name, _ := claims[claim].(string)
	name = strings.ToLower(strings.TrimSpace(name))
	// An address that its owner has not shown to be theirs says nothing.
	if verified, told := claims["email_verified"].(bool); claim == "email" && told && !verified {
		name = ""
	}
	if suffix := strings.ToLower(p.Suffix); suffix != "" {
		var ok bool
		if name, ok = strings.CutSuffix(name, suffix); !ok {
			name = ""
		}
	}
	if name == "" {
		return Claimed{}, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "%s does not say which account here is yours. Ask your administrator.", p.Name)
	}
	return Claimed{id.Issuer, id.Subject, name}, nil
}

// ByClaim returns the person whom a provider names. The first time the subject is bound to
// the account of that username; from then on the subject alone counts, so that a username
// which is given to somebody else there opens nothing here. EUNAUTHORIZED when there is no
// such account, it is closed, or it is bound to another subject.
func (s *Service) ByClaim(ctx context.Context, c Claimed) (Person, error) {
	unknown := coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "There is no account here for %s. Ask your administrator.", c.Username)
	var p Person
	err := s.store.Tx(ctx, func(tx Tx) error {
		id, err := tx.Identity(ctx, c.Issuer, c.Subject)
		switch coldkeep.ErrorCode(err) {
		case "":
			p, err = tx.Person(ctx, id)
			return err
		case coldkeep.ENOTFOUND:
		default:
			return err
		}
		p, err = tx.PersonByUsername(ctx, c.Username)
		if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
			return unknown
		}
		if err != nil {
			return err
		}
		now := s.clock.Now()
		if err := tx.InsertIdentity(ctx, c.Issuer, c.Subject, p.ID, now); err != nil {
			if coldkeep.ErrorCode(err) == coldkeep.ECONFLICT {
				return unknown
			}
			return err
		}
		return tx.Audit(ctx, audit.Entry{At: now, WhoID: p.ID, Who: p.Name, What: "person.identity", Subject: "person/" + p.ID, Site: p.Site, Detail: "bound to " + c.Issuer})
	})
	if err == nil && !p.Active {
		err = unknown
	}
	return p, err
}
