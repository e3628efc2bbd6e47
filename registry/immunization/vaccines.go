package immunization

import (
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// known joins the code sets with the schedule in force: a vaccine is of the schedule's
// groups, and of the published ones when the schedule does not have it.
type known struct {
	codes *vaccine.Codes
	s     *schedule.Schedule
}

func (s *Service) known() known { return known{s.codes, s.schedule.Engine().Schedule()} }

// Groups are the vaccine groups of a code, in the schedule's order.
func (k known) Groups(cvx string) []string {
	i, ok := k.s.CVX(cvx)
	if !ok {
		v, _ := k.codes.CVX(cvx)
		return v.Groups
	}
	var out []string
	for g := range k.s.Groups {
		for _, a := range k.s.Vaccines[i].Associations {
			if slices.Contains(k.s.Groups[g].Antigens, a.Antigen) {
				out = append(out, k.s.Groups[g].Name)
				break
			}
		}
	}
	return out
}

// Vague reports whether a code leaves the formulation open: CDC's names of such codes
// say so.
func (k known) Vague(cvx string) bool {
	v, ok := k.codes.CVX(cvx)
	return !ok || strings.Contains(strings.ToLower(v.Name), "unspecified") || strings.Contains(strings.ToLower(v.Name), ", nos")
}

// GroupNames lists the schedule's vaccine groups.
func (s *Service) GroupNames() []string {
	groups := s.schedule.Engine().Schedule().Groups
	out := make([]string, len(groups))
	for i := range groups {
		out[i] = groups[i].Name
	}
	return out
}

// GroupsOf lists the vaccine groups of a CVX code.
func (s *Service) GroupsOf(cvx string) []string { return s.known().Groups(cvx) }
