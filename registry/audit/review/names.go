package review

import (
	"context"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep/registry/auth"
)

// Names says what the things that a trail speaks of are called now, and nothing else of
// them: who reads a trail need not be one who may see units or accounts. subjects are as in
// the trail, such as "unit/…", "lot/…", "hold/…", "person/…" and "account/…"; what is not
// there, of another kind or of a site that by does not read the trail of has no name. A
// patient has none, ever. EUNAUTHORIZED, EFORBIDDEN unless by may read the trail.
func (s *Service) Names(ctx context.Context, by auth.Principal, subjects []string) (map[string]string, error) {
	if !by.Anywhere(auth.ReadTrail) {
		if err := by.Require(auth.ReadAudit, by.Site); err != nil {
			return nil, err
		}
	}
	of := map[string][]string{}
	for _, subject := range subjects {
		if kind, id, _ := strings.Cut(subject, "/"); id != "" && !slices.Contains(of[kind], id) {
			of[kind] = append(of[kind], id)
		}
	}
	out := map[string]string{}
	for _, kind := range []string{"unit", "lot", "hold", "person", "account"} {
		if len(of[kind]) == 0 {
			continue
		}
		names, err := s.store.ThingNames(ctx, by.Site, kind, of[kind])
		if err != nil {
			return nil, err
		}
		for id, name := range names {
			out[kind+"/"+id] = name
		}
	}
	return out, nil
}
