// Package review is what an auditor does with the trail: searching it, asking who has
// looked at a record, and taking it away as a file. Reading the trail is itself entered
// in it.
package review

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// MaxPage is how many entries one answer holds at most.
const MaxPage = 500

// Store is where the trail is kept.
type Store interface {
	// Entries lists the entries that q asks for, newest first.
	Entries(ctx context.Context, q audit.Query) ([]audit.Entry, error)
	// Record adds an entry.
	Record(ctx context.Context, e audit.Entry) error
	// WhoIDs lists the ids of people and interface accounts of a username or name.
	WhoIDs(ctx context.Context, name string) ([]string, error)
	// ThingNames says what units, lots, holds, people and interface accounts of a site, ""
	// for all, are called, by kind and ids.
	ThingNames(ctx context.Context, site coldkeep.SiteID, kind string, ids []string) (map[string]string, error)
}

// Service is the review of the trail.
type Service struct {
	store Store
	clock coldkeep.Clock
}

// New returns the service.
func New(store Store, clock coldkeep.Clock) *Service { return &Service{store, clock} }

// Search says which entries an auditor looks for.
type Search struct {
	audit.Query
	Who string // a username, or the name of an interface account; "" is everybody
}

// Search lists entries, newest first, at most MaxPage. EFORBIDDEN when by may not read
// the audit, EINVALID when the span of time is none, ENOTFOUND when nobody is called Who.
func (s *Service) Search(ctx context.Context, by auth.Principal, q Search) ([]audit.Entry, error) {
	if err := s.prepare(ctx, by, &q); err != nil {
		return nil, err
	}
	if q.Limit <= 0 || q.Limit > MaxPage {
		q.Limit = MaxPage
	}
	entries, err := s.store.Entries(ctx, q.Query)
	if err != nil {
		return nil, err
	}
	return entries, s.note(ctx, by, "audit.search", q, fmt.Sprintf("%d entries", len(entries)))
}

// Looked lists who has viewed or changed a patient's record or has been refused it, newest
// first. EFORBIDDEN when by may not read the audit.
func (s *Service) Looked(ctx context.Context, by auth.Principal, patient string, before audit.Place, limit int) ([]audit.Entry, error) {
	if patient == "" || len(patient) > 64 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "Patient: want the record's id.")
	}
	return s.Search(ctx, by, Search{Query: audit.Query{Patient: patient, Before: before, Limit: limit}})
}

// Export hands over every entry that q asks for, newest first, without a limit. Errors as
// Search; an error of each ends it.
func (s *Service) Export(ctx context.Context, by auth.Principal, q Search, each func(audit.Entry) error) error {
	if err := s.prepare(ctx, by, &q); err != nil {
		return err
	}
	if q.To.IsZero() {
		q.To = s.clock.Now() // not its own entry
	}
	if err := s.note(ctx, by, "audit.export", q, ""); err != nil {
		return err
	}
	for q.Limit = 1000; ; {
		entries, err := s.store.Entries(ctx, q.Query)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := each(e); err != nil {
				return err
			}
		}
		if len(entries) < q.Limit {
			return nil
		}
		last := entries[len(entries)-1]
		q.Before = audit.Place{At: last.At, ID: last.ID}
	}
}

func (s *Service) prepare(ctx context.Context, by auth.Principal, q *Search) error {
	if err := by.Require(auth.ReadAudit, ""); err != nil {
		return err
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return coldkeep.Errorf(coldkeep.EINVALID, "To: want a time after %s.", q.From.UTC().Format(time.RFC3339))
	}
	q.Who = strings.TrimSpace(q.Who)
	if q.Who == "" {
		return nil
	}
	ids, err := s.store.WhoIDs(ctx, q.Who)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return coldkeep.Errorf(coldkeep.ENOTFOUND, "Nobody has the username %q, and no interface account that name.", q.Who)
	}
	q.WhoID = ids[0]
	return nil
}

func (s *Service) note(ctx context.Context, by auth.Principal, what string, q Search, found string) error {
	var parts []string
	for _, p := range []struct{ name, value string }{{"person", q.Who}, {"what", q.What}, {"site", string(q.Site)}, {"subject", q.Subject}} {
		if p.value != "" {
			parts = append(parts, p.name+" "+p.value)
		}
	}
	if !q.From.IsZero() {
		parts = append(parts, "from "+q.From.UTC().Format(time.RFC3339))
	}
	if found != "" {
		parts = append(parts, found)
	}
	return s.store.Record(ctx, audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: "audit/trail", Patient: q.Patient, Detail: strings.Join(parts, ", ")})
}
