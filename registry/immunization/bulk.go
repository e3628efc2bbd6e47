package immunization

import (
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/forecast"
)

// Question is a person as the forecast engine is asked about on a day, for other areas of
// the registry that read many records at once; ids are those of the doses in the order in
// which the engine gets them. doses and facts are of all records of the person. The caller
// has asked the gate.
func Question(subject Subject, doses []Dose, facts []Fact, on coldkeep.Date) (p *forecast.Patient, ids []string) {
	return asked(&family{subject: subject, doses: doses, facts: facts}, on, "")
}

// Exempted reports whether an exemption covers a vaccine group on a day.
func Exempted(all []Exemption, group string, on coldkeep.Date) bool {
	return exempt(all, group, on) != nil
}

// RefusedGroups lists the vaccine groups of which a vaccine was refused and none given since.
// doses are by date.
func (s *Service) RefusedGroups(doses []Dose) []string {
	var out []string
	k := s.known()
	for i := range doses {
		d := &doses[i]
		if d.Deleted != nil {
			continue
		}
		for _, g := range k.Groups(d.CVX) {
			switch at := slices.Index(out, g); {
			case d.Kind == Refused && at < 0:
				out = append(out, g)
			case d.Kind != Refused && at >= 0:
				out = slices.Delete(out, at, at+1)
			}
		}
	}
	return out
}
