package coverage

import (
	"context"
	"fmt"
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// offered are the measures that may be chosen: those that come with the program, then the
// latest versions of the programme's own that are not retired.
func offered(ctx context.Context, r Reader) ([]Kept, error) {
	var out []Kept
	for _, m := range Builtin() {
		out = append(out, Kept{Measure: m})
	}
	own, err := r.CoverageMeasures(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, k := range own {
		if !seen[k.ID] && k.Retired == nil {
			out = append(out, k)
		}
		seen[k.ID] = true
	}
	return out, nil
}

// Measures lists the measures that may be chosen. EFORBIDDEN.
func (s *Service) Measures(ctx context.Context, by auth.Principal) ([]Kept, error) {
	if err := by.Require(auth.ReadCoverage, by.Site); err != nil {
		return nil, err
	}
	return offered(ctx, s.store)
}

// Antigens lists what a measure may count, by CDC's names. EFORBIDDEN as AddMeasure.
func (s *Service) Antigens(by auth.Principal) ([]string, error) {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return nil, err
	}
	var out []string
	for i := range s.schedule.Engine().Schedule().Antigens {
		out = append(out, s.schedule.Engine().Schedule().Antigens[i].Name)
	}
	slices.Sort(out)
	return out, nil
}

// AddMeasure keeps a measure of the programme's own, or the next version of one; Version is
// given. EFORBIDDEN when by may not manage the programme, EINVALID when the definition cannot
// be worked with, ECONFLICT when the id is that of a measure that comes with the program.
func (s *Service) AddMeasure(ctx context.Context, by auth.Principal, m Measure) (Kept, error) {
	k := Kept{Measure: m, Own: true, By: by.Name, At: s.clock.Now()}
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return k, err
	}
	if slices.ContainsFunc(Builtin(), func(b Measure) bool { return b.ID == m.ID }) {
		return k, coldkeep.Errorf(coldkeep.ECONFLICT, "id: %q is a measure that comes with the program. Choose another id for one of your own.", m.ID)
	}
	k.Version = 1
	if err := k.Check(s.schedule.Engine().Schedule()); err != nil {
		return k, err
	}
	err := s.store.Tx(ctx, func(tx Tx) error {
		own, err := tx.CoverageMeasures(ctx)
		if err != nil {
			return err
		}
		k.Version = 1
		for _, o := range own {
			if o.ID == k.ID {
				k.Version = max(k.Version, o.Version+1)
			}
		}
		if err := tx.InsertCoverageMeasure(ctx, k); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "coverage.measure", "coverage-measure/"+k.ID, "", fmt.Sprintf("version %d", k.Version)))
	})
	return k, err
}

// RetireMeasure takes one of the programme's own measures out of what is offered. Results that
// were made with it stay, with its definition. EFORBIDDEN, ENOTFOUND when there is none.
func (s *Service) RetireMeasure(ctx context.Context, by auth.Principal, id string) error {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return err
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		if err := tx.RetireCoverageMeasure(ctx, id, by.Name, s.clock.Now()); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "coverage.measure.retire", "coverage-measure/"+id, "", ""))
	})
}
