package coverage

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Counting is which of the two ways of counting somebody is not covered in.
type Counting string

// The ways of counting.
const (
	Valid   Counting = "valid"
	Counted Counting = "count"
)

// Lack is what somebody lacks of one part of a measure.
type Lack struct {
	Part  string
	Title string
	Doses int
}

// Uncovered is a person who is not covered.
type Uncovered struct {
	Patient string
	Name    patient.Name
	Birth   coldkeep.Date
	Lacks   []Lack
}

// Doses is how many are lacking altogether.
func (u *Uncovered) Doses() (n int) {
	for _, l := range u.Lacks {
		n += l.Doses
	}
	return n
}

// Missing is a page of a practice's patients who are not covered.
type Missing struct {
	Run
	Measure  Measure
	Counting Counting
	People   []Uncovered // by name
	Next     string      // after which the next page begins; "" for none
	// Schedule is the version that the list was made with, which may be newer than the
	// assessment's.
	Schedule string
}

// mostMissing is how many people a page has.
const mostMissing = 100

// Missing lists the practice's own active patients whom an assessment of it found not covered
// by a measure, with what they lack: found anew, as of the assessment's day. Left out is who
// is not the practice's active patient any more, and whose record has been locked by somebody
// else since. Each person who is shown is in the trail. after is the Next of the page before.
//
// EFORBIDDEN when by may not see patients there, ENOTFOUND, EINVALID when the assessment is of
// no one practice or not by ownership, ECONFLICT when it is not finished.
func (s *Service) Missing(ctx context.Context, by auth.Principal, id, measure string, counting Counting, after string) (Missing, error) {
	var out Missing
	r, err := s.run(ctx, s.store, by, id)
	if err != nil {
		return out, err
	}
	if err := by.Require(auth.ViewPatients, cmp.Or(r.Site, by.Site)); err != nil {
		return out, err
	}
	m := r.Asked.Measure(measure)
	w, known := map[Counting]way{Valid: byValid, Counted: byCount, "": byValid}[counting]
	switch {
	case r.Site == "":
		return out, coldkeep.Errorf(coldkeep.EINVALID, "Only an assessment of one practice can be looked into.")
	case r.Asked.Basis != ByOwnership:
		return out, coldkeep.Errorf(coldkeep.EINVALID, "Only an assessment by ownership can be looked into: others are not the practice's active patients.")
	case r.State != Done:
		return out, coldkeep.Errorf(coldkeep.ECONFLICT, "The assessment is not finished.")
	case m == nil:
		return out, coldkeep.Errorf(coldkeep.ENOTFOUND, "The assessment has no measure %q.", measure)
	case !known:
		return out, coldkeep.Errorf(coldkeep.EINVALID, "counting: want valid or count")
	}
	engine := s.schedule.Engine()
	one := r
	one.Asked.Measures, one.Asked.Months = []Measure{*m}, 0
	v, err := newSurvey(&one, engine)
	if err != nil {
		return out, err
	}
	out = Missing{Run: r, Measure: *m, Counting: cmp.Or(counting, Valid), Schedule: engine.Schedule().Version}
	found, more, err := s.uncovered(ctx, v, w, after)
	if err != nil {
		return out, err
	}
	err = s.store.Tx(ctx, func(tx Tx) error {
		out.People, out.Next = nil, ""
		if more {
			out.Next = found[len(found)-1].Patient
		}
		for i := range found {
			if len(out.People) == mostMissing {
				out.Next = out.People[mostMissing-1].Patient
				break
			}
			g, err := tx.PatientGate(ctx, found[i].Patient, by.ID, s.clock.Now())
			if err != nil {
				return err
			}
			if g.Head != found[i].Patient || !g.Own(r.Site) || g.Require(by, auth.ViewPatients) != nil {
				continue
			}
			out.People = append(out.People, found[i])
			if err := tx.Audit(ctx, s.entry(by, "coverage.missing", "patient/"+g.Head, "", "assessment "+id+", "+measure)); err != nil {
				return err
			}
		}
		ids := make([]string, len(out.People))
		for i := range out.People {
			ids[i] = out.People[i].Patient
		}
		names, err := tx.Names(ctx, ids)
		if err != nil {
			return err
		}
		for i := range out.People {
			out.People[i].Name = names[out.People[i].Patient]
		}
		return tx.Audit(ctx, s.entry(by, "coverage.list", "coverage/"+id, "", fmt.Sprintf("%s, %d patients", measure, len(ids))))
	})
	slices.SortStableFunc(out.People, func(a, b Uncovered) int {
		return cmp.Or(cmp.Compare(a.Name.Family, b.Name.Family), cmp.Compare(a.Name.Given, b.Name.Given), cmp.Compare(a.Birth, b.Birth))
	})
	return out, err
}

// uncovered finds somewhat more people than a page has, in the order of their ids. more is
// that there may be others behind them.
func (s *Service) uncovered(ctx context.Context, v *survey, w way, after string) (out []Uncovered, more bool, err error) {
	first, last := v.births()
	all, err := s.store.CoverageHeadsOf(ctx, v.run.Site, v.run.Asked.Basis, first, last)
	if err != nil {
		return nil, false, err
	}
	at, found := slices.BinarySearch(all, after)
	if found {
		at++
	}
	today := moment{coldkeep.DateOf(s.clock.Now().Add(14 * 3600e9)), s.clock.Now()}
	t := v.tally()
	for ; at < len(all) && len(out) < 2*mostMissing; at += s.pace.together {
		people, err := s.store.CoveragePeople(ctx, all[at:min(at+s.pace.together, len(all))])
		if err != nil {
			return nil, false, err
		}
		for i := range people {
			if u, is := t.uncovered(&people[i], w, today); is {
				out = append(out, u)
			}
		}
	}
	return out, at < len(all), nil
}

// uncovered says what a person lacks; is is false for who is covered, or not assessed, or not
// the practice's active patient today.
func (t *tally) uncovered(p *Person, w way, today moment) (u Uncovered, is bool) {
	m := t.moments[0]
	for _, when := range []moment{m, today} {
		if _, sites := p.counts(when, ByOwnership); !slices.Contains(sites, t.run.Site) {
			return u, false
		}
	}
	if !t.assesses(t.plans[0], p.Birth, m.day) {
		return u, false
	}
	t.eval.look(p, m)
	lack := t.eval.lack(t.plans[0], m, nil)
	u = Uncovered{Patient: p.Head, Birth: p.Birth}
	for i := range lack {
		if n := lack[i][w]; n > 0 {
			part := &t.plans[0].Parts[i]
			u.Lacks = append(u.Lacks, Lack{part.ID, part.Title, n})
		}
	}
	return u, len(u.Lacks) > 0
}
