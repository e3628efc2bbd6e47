package enrolment

import (
	"context"
	"embed"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// PolicyKind says what a text is for.
type PolicyKind string

// The texts. Every person accepts the first two, an organization the third.
const (
	Confidentiality   PolicyKind = "confidentiality"
	UserAgreement     PolicyKind = "user-agreement"
	ProviderAgreement PolicyKind = "provider-agreement"
)

// PolicyKinds lists them all.
func PolicyKinds() []PolicyKind {
	return []PolicyKind{Confidentiality, UserAgreement, ProviderAgreement}
}

func (k PolicyKind) known() bool {
	return k == Confidentiality || k == UserAgreement || k == ProviderAgreement
}

// Policy is one version of a text. It is plain: paragraphs with a blank line between.
type Policy struct {
	Kind        PolicyKind `json:"kind"`
	Version     int64      `json:"version"` // from 1; the highest is in force
	Title       string     `json:"title"`
	Body        string     `json:"body"`
	By          string     `json:"by"`
	PublishedAt time.Time  `json:"published_at"`
}

// Paragraphs are those of the body.
func (p Policy) Paragraphs() []string {
	var out []string
	for part := range strings.SplitSeq(p.Body, "\n\n") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// Acceptance is that a person has accepted a version of a text.
type Acceptance struct {
	Person  string     `json:"person"`
	Name    string     `json:"name"`
	Kind    PolicyKind `json:"kind"`
	Version int64      `json:"version"`
	At      time.Time  `json:"at"`
	Address string     `json:"address"`
	Agent   string     `json:"agent"`
}

//go:embed texts/*.txt
var texts embed.FS

// EnsureTexts puts the texts that come with Coldkeep into force where there is none yet.
func (s *Service) EnsureTexts(ctx context.Context) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		for _, kind := range PolicyKinds() {
			all, err := tx.Policies(ctx, kind)
			if err != nil {
				return err
			}
			if len(all) > 0 {
				continue
			}
			b, err := texts.ReadFile("texts/" + string(kind) + ".txt")
			if err != nil {
				return coldkeep.Wrap(err, coldkeep.EINTERNAL, "enrolment.EnsureTexts", "%s", kind)
			}
			title, body, _ := strings.Cut(string(b), "\n")
			err = tx.InsertPolicy(ctx, Policy{Kind: kind, Version: 1, Title: title, Body: strings.TrimSpace(body), By: "Coldkeep", PublishedAt: s.clock.Now()})
			if err != nil && coldkeep.ErrorCode(err) != coldkeep.ECONFLICT { // another starter has
				return err
			}
		}
		return nil
	})
}

// Current returns the text of a kind that is in force. Anybody may read it. ENOTFOUND when
// there is none.
func (s *Service) Current(ctx context.Context, kind PolicyKind) (Policy, error) {
	all, err := s.store.Policies(ctx, kind)
	if err != nil {
		return Policy{}, err
	}
	if len(all) == 0 {
		return Policy{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no text %q.", kind)
	}
	return all[0], nil
}

// Versions lists the versions of a text, the one in force first. EFORBIDDEN when by may not
// manage the programme, ENOTFOUND for an unknown kind.
func (s *Service) Versions(ctx context.Context, by auth.Principal, kind PolicyKind) ([]Policy, error) {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return nil, err
	}
	if !kind.known() {
		return nil, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no text %q.", kind)
	}
	return s.store.Policies(ctx, kind)
}

// Publish puts a new version of a text into force, made from version base. Everybody is
// asked to accept it before anything else opens. EFORBIDDEN when by may not manage the
// programme, EINVALID for an empty or too long text, ECONFLICT when base is not in force
// any more or nothing was changed.
func (s *Service) Publish(ctx context.Context, by auth.Principal, kind PolicyKind, base int64, title, body string) (Policy, error) {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return Policy{}, err
	}
	if !kind.known() {
		return Policy{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no text %q.", kind)
	}
	title = strings.TrimSpace(title)
	body = strings.TrimSpace(strings.ReplaceAll(body, "\r\n", "\n"))
	if title == "" || len(title) > 120 {
		return Policy{}, coldkeep.Errorf(coldkeep.EINVALID, "Title: want 1 to 120 characters.")
	}
	if body == "" || len(body) > 40_000 {
		return Policy{}, coldkeep.Errorf(coldkeep.EINVALID, "Text: want 1 to 40,000 characters.")
	}
	p := Policy{Kind: kind, Version: base + 1, Title: title, Body: body, By: by.Name, PublishedAt: s.clock.Now()}
	err := s.store.Tx(ctx, func(tx Tx) error {
		all, err := tx.Policies(ctx, kind)
		if err != nil {
			return err
		}
		if len(all) > 0 && all[0].Version != base || len(all) == 0 && base != 0 {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "Somebody else has published another version. Read it, then make your change to it.")
		}
		if len(all) > 0 && all[0].Body == body && all[0].Title == title {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "Nothing has been changed: everybody would be asked to accept the same text again.")
		}
		if err := tx.InsertPolicy(ctx, p); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "policy.publish", "policy/"+string(kind), "", title+", version "+itoa(p.Version)))
	})
	return p, err
}

// Pending lists the texts that a person has to accept before anything else opens.
func (s *Service) Pending(ctx context.Context, by auth.Principal) ([]Policy, error) {
	if !by.Known() {
		return nil, coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	return s.store.Unaccepted(ctx, by.ID)
}

// Accept keeps that a person has accepted the texts in force, of which versions says what
// was read. ECONFLICT when another version has come into force meanwhile, or one of them
// was not accepted.
func (s *Service) Accept(ctx context.Context, by auth.Principal, versions map[PolicyKind]int64) error {
	if !by.Known() || by.Role == "" {
		return coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "Sign in first.")
	}
	o := audit.OriginOf(ctx)
	return s.store.Tx(ctx, func(tx Tx) error {
		pending, err := tx.Unaccepted(ctx, by.ID)
		if err != nil {
			return err
		}
		for _, p := range pending {
			if versions[p.Kind] != p.Version {
				return coldkeep.Errorf(coldkeep.ECONFLICT, "Accept “%s” as well: it has to be read and accepted before anything else opens.", p.Title)
			}
			if err := tx.InsertAcceptance(ctx, Acceptance{Person: by.ID, Kind: p.Kind, Version: p.Version, At: s.clock.Now(), Address: o.Address, Agent: o.Agent}); err != nil {
				return err
			}
			if err := tx.Audit(ctx, s.entry(by, "policy.accept", "policy/"+string(p.Kind), by.Site, "version "+itoa(p.Version))); err != nil {
				return err
			}
		}
		return nil
	})
}

// Acceptances lists who has accepted the versions of a text, the latest first. EFORBIDDEN
// when by may not manage the programme.
func (s *Service) Acceptances(ctx context.Context, by auth.Principal, kind PolicyKind) ([]Acceptance, error) {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return nil, err
	}
	return s.store.Acceptances(ctx, kind)
}
