package inventory

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Exposure is for how long a lot stood out of range in its life, as far as is known:
// in minutes, too warm and too cold apart, since the one does not mend the other.
type Exposure struct {
	Warm, Cold float64
	Of         []Exposed // the excursions, the first first
}

// Exposed is a lot's part of one excursion.
type Exposed struct {
	coldkeep.Excursion
	Minutes float64
}

// Expose adds up the excursions that a lot stood through. Of each it counts the minutes
// out of range, but no more than the lot stood there while it lasted: which of the
// minutes fell into a stay that began or ended meanwhile is not known here, and too
// much is the safe side. An excursion that is open lasts until now.
func Expose(stays []Placement, in func(coldkeep.ApplianceID) []coldkeep.Excursion, now time.Time) Exposure {
	var out Exposure
	seen := map[coldkeep.ApplianceID]bool{}
	for _, p := range stays {
		if seen[p.Appliance] {
			continue
		}
		seen[p.Appliance] = true
		for _, x := range in(p.Appliance) {
			m := math.Min(x.MinutesOut, stood(stays, &x, now).Minutes())
			if m <= 0 {
				continue
			}
			switch x.Kind {
			case coldkeep.TooWarm:
				out.Warm += m
			case coldkeep.TooCold:
				out.Cold += m
			default:
				continue
			}
			out.Of = append(out.Of, Exposed{x, m})
		}
	}
	slices.SortStableFunc(out.Of, func(a, b Exposed) int { return a.Start.Compare(b.Start) })
	return out
}

// stood is for how long a lot stood in an excursion's unit while it lasted.
func stood(stays []Placement, x *coldkeep.Excursion, now time.Time) time.Duration {
	end := now
	if x.End != nil {
		end = *x.End
	}
	var sum time.Duration
	for _, p := range stays {
		if p.Appliance != x.Appliance {
			continue
		}
		from, to := p.From, end
		if from.Before(x.Start) {
			from = x.Start
		}
		if p.To != nil && p.To.Before(to) {
			to = *p.To
		}
		if to.After(from) {
			sum += to.Sub(from)
		}
	}
	return sum
}

// maxBudget is the longest time out of range that can be recorded, in minutes: a year.
const maxBudget = 365 * 24 * 60

// SetBudget records how long a lot may be out of range in its life; absent minutes are
// none recorded. It informs people and clears no hold. EFORBIDDEN when by may not
// manage stock there, ENOTFOUND, EINVALID for wrong minutes or without a source.
func (s *Service) SetBudget(ctx context.Context, by auth.Principal, lot string, b Budget) error {
	for _, m := range []*int{b.Warm, b.Cold} {
		if m != nil && (*m < 1 || *m > maxBudget) {
			return coldkeep.Errorf(coldkeep.EINVALID, "Time out of range: want 1 minute to a year.")
		}
	}
	b.Source = strings.TrimSpace(b.Source)
	if len(b.Source) > 500 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Source: want at most 500 characters.")
	}
	if b.Source == "" && (b.Warm != nil || b.Cold != nil) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Source: please say who allows it, such as the package insert.")
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		l, err := s.stock(ctx, tx, by, lot)
		if err != nil {
			return err
		}
		if err := tx.SetBudget(ctx, lot, b); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "lot.budget", "lot/"+lot, l.Site, b.Source, "warm "+budgetWords(b.Warm)+", cold "+budgetWords(b.Cold)))
	})
}

func budgetWords(m *int) string {
	if m == nil {
		return "not recorded"
	}
	return fmt.Sprintf("%d min", *m)
}
