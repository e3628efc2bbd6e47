package quality

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// Service makes and reads the report.
type Service struct {
	store Store
	codes *vaccine.Codes
	clock coldkeep.Clock
}

// New returns the service.
func New(store Store, codes *vaccine.Codes, clock coldkeep.Clock) *Service {
	return &Service{store: store, codes: codes, clock: clock}
}

// The counts are made anew after a thousand times what making them has taken, so that they
// cost the database next to nothing, but not more often than sooner and not more seldom
// than later.
const (
	sooner = 10 * time.Minute
	later  = 24 * time.Hour
)

// look is how often Work asks whether it is time.
const look = 30 * time.Second

// together is how many rows a step of the walk reads: a few milliseconds of the database.
const together = 2000

// months is how many months are told apart; what is older is counted by years.
const months = 24

// Report gives the counts of one practice, or of all with site "". Who belongs to a
// practice gets that practice's. EFORBIDDEN when by may not read the report there. Every
// reading is in the trail.
func (s *Service) Report(ctx context.Context, by auth.Principal, site coldkeep.SiteID) (Report, error) {
	if by.Site != "" && site == "" {
		site = by.Site
	}
	var r Report
	if err := by.Require(auth.ReadQuality, site); err != nil {
		return r, err
	}
	err := s.store.Tx(ctx, func(tx Tx) error {
		walk, err := tx.QualityWalk(ctx)
		if err != nil {
			return err
		}
		counts, err := tx.QualityCounts(ctx, site)
		if err != nil {
			return err
		}
		r = report(site, walk, counts)
		return tx.Audit(ctx, audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: "quality.read", Subject: "quality", Site: site})
	})
	return r, err
}

func report(site coldkeep.SiteID, walk *Walk, counts []Count) Report {
	r := Report{Walk: walk, Site: site, Total: Counts{}}
	periods, sites := map[string]Counts{}, map[coldkeep.SiteID]Counts{}
	for _, c := range counts {
		if periods[c.Period] == nil {
			periods[c.Period] = Counts{}
		}
		if sites[c.Site] == nil {
			sites[c.Site] = Counts{}
		}
		for _, into := range []Counts{r.Total, periods[c.Period], sites[c.Site]} {
			into[c.Measure] += c.N
		}
	}
	for p, c := range periods {
		r.ByPeriod = append(r.ByPeriod, Row{Site: site, Period: p, Counts: c})
	}
	for id, c := range sites {
		r.BySite = append(r.BySite, Row{Site: id, Counts: c})
	}
	slices.SortFunc(r.ByPeriod, func(a, b Row) int { return cmp.Compare(b.Period, a.Period) })
	slices.SortFunc(r.BySite, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Counts[Doses], a.Counts[Doses]), cmp.Compare(a.Site, b.Site))
	})
	return r
}

// Due reports whether it is time to count again, or nothing has been counted yet.
func (s *Service) Due(ctx context.Context) (bool, error) {
	w, err := s.store.QualityWalk(ctx)
	if err != nil || w == nil {
		return err == nil, err
	}
	return s.clock.Now().Sub(w.Ended) >= min(later, max(sooner, 1000*w.Ended.Sub(w.Began))), nil
}

// Work counts whenever it is time, until ctx ends. failed is told of errors; it tries again.
func (s *Service) Work(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		due, err := s.Due(ctx)
		if due && err == nil {
			_, err = s.Count(ctx)
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Count walks over the registry and replaces the counts. It holds no transaction over more
// than a step, so nothing waits for it; what changes behind it is in the next.
func (s *Service) Count(ctx context.Context) (Walk, error) {
	began := s.clock.Now()
	t := tally{codes: s.codes, today: coldkeep.DateOf(began), now: began, counts: map[key]int64{}}
	walk := Walk{Began: began}
	for last := ""; ; {
		rows, err := s.store.PatientsAfter(ctx, last, together)
		if err != nil {
			return walk, err
		}
		for i := range rows {
			t.patient(&rows[i])
		}
		walk.Patients += int64(len(rows))
		if len(rows) < together {
			break
		}
		last = rows[len(rows)-1].ID
	}
	for last := ""; ; {
		rows, err := s.store.DosesAfter(ctx, last, together)
		if err != nil {
			return walk, err
		}
		for i := range rows {
			t.dose(&rows[i])
		}
		walk.Doses += int64(len(rows))
		if len(rows) < together {
			break
		}
		last = rows[len(rows)-1].ID
	}
	walk.Ended = s.clock.Now()
	return walk, s.store.Tx(ctx, func(tx Tx) error { return tx.ReplaceQuality(ctx, walk, t.list()) })
}
