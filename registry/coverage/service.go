package coverage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
)

// Schedule gives the engine of the schedule in force.
type Schedule interface {
	Engine() *forecast.Engine
}

// The bounds of what may be asked for at once.
const (
	mostMonths     = 24
	mostUnfinished = 3 // assessments of one practice, or of the programme, that wait or go on
	mostRuns       = 50
)

// Service is the assessment of coverage.
type Service struct {
	store    Store
	schedule Schedule
	clock    coldkeep.Clock
	worker   string // this process, among those that may share the work
	wake     chan struct{}
	pace     pace
}

// New returns the service. Assessments are made while Work runs.
func New(store Store, schedule Schedule, clock coldkeep.Clock) *Service {
	return &Service{store: store, schedule: schedule, clock: clock, worker: ulid.Make().String(), wake: make(chan struct{}, 1), pace: usual}
}

func (s *Service) entry(by auth.Principal, what, subject, why, detail string) audit.Entry {
	return audit.Entry{At: s.clock.Now(), WhoID: by.ID, Who: by.Name, What: what, Subject: subject, Site: by.Site, Why: why, Detail: detail}
}

// Begin asks for an assessment, which is made by Work. Who belongs to a practice asks for
// that practice's. EFORBIDDEN when by may not assess there, ENOTFOUND for an unknown practice
// or measure, EINVALID for a day to come or ages that cannot be, ETOOMANY when there are
// enough of the practice that are not finished.
func (s *Service) Begin(ctx context.Context, by auth.Principal, a Ask) (Run, error) {
	if a.Site == "" {
		a.Site = by.Site
	}
	var r Run
	if err := by.Require(auth.ReadCoverage, a.Site); err != nil {
		return r, err
	}
	now := s.clock.Now().UTC().Truncate(time.Millisecond)
	r = Run{ID: ulid.Make().String(), Site: a.Site, ByID: by.ID, By: by.Name, At: now, State: Waiting,
		Asked: Asked{Basis: cmp.Or(a.Basis, ByOwnership), Born: a.Born, BornTo: a.BornTo, Months: a.Months}}
	if a.Ages != (Ages{}) {
		r.Asked.Ages = &a.Ages
	}
	err := s.store.Tx(ctx, func(tx Tx) error {
		zone, name, err := zoneOf(ctx, tx, a.Site)
		if err != nil {
			return err
		}
		today := coldkeep.DateOf(now.In(zone))
		if r.Day = a.Day; !r.Day.Known() {
			r.Day = today
		}
		r.Zone, r.Cutoff = name, now
		if err := s.choose(ctx, tx, &r, a.Measures); err != nil {
			return err
		}
		if err := checkAsk(&r, today); err != nil {
			return err
		}
		n, err := tx.CoverageUnfinished(ctx, a.Site)
		if err != nil {
			return err
		}
		if n >= mostUnfinished {
			return coldkeep.Errorf(coldkeep.ETOOMANY, "%d assessments are not finished yet. Wait for one of them, or cancel it.", n)
		}
		if err := tx.InsertCoverageRun(ctx, r); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "coverage.begin", "coverage/"+r.ID, "", r.words()))
	})
	s.woken()
	return r, err
}

// words say what an assessment is of, for the trail.
func (r *Run) words() string {
	of := "the programme"
	if r.Site != "" {
		of = "practice " + string(r.Site)
	}
	ids := make([]string, len(r.Asked.Measures))
	for i := range r.Asked.Measures {
		ids[i] = fmt.Sprintf("%s version %d", r.Asked.Measures[i].ID, r.Asked.Measures[i].Version)
	}
	return fmt.Sprintf("%s on %s, by %s: %s", of, r.Day, r.Asked.Basis, strings.Join(ids, ", "))
}

// choose puts the definitions of the measures that are asked for into an assessment.
func (s *Service) choose(ctx context.Context, r Reader, run *Run, ids []string) error {
	if len(ids) == 0 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Measures: choose at least one.")
	}
	kept, err := offered(ctx, r)
	if err != nil {
		return err
	}
	for _, id := range ids {
		i := slices.IndexFunc(kept, func(k Kept) bool { return k.ID == id })
		if i < 0 {
			return coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no measure %q.", id)
		}
		if run.Asked.Measure(id) == nil {
			run.Asked.Measures = append(run.Asked.Measures, kept[i].Measure)
		}
	}
	_, err = newSurvey(run, s.schedule.Engine())
	return err
}

func checkAsk(r *Run, today coldkeep.Date) error {
	a := &r.Asked
	switch {
	case r.Day > today:
		return coldkeep.Errorf(coldkeep.EINVALID, "Day: %s is to come. Coverage is assessed on a day that has begun.", r.Day)
	case r.Day < coldkeep.NewDate(1900, 1, 1):
		return coldkeep.Errorf(coldkeep.EINVALID, "Day: want one from 1900 on.")
	case a.Basis != ByOwnership && a.Basis != ByService:
		return coldkeep.Errorf(coldkeep.EINVALID, "Basis: want ownership or service.")
	case a.Months < 0 || a.Months > mostMonths:
		return coldkeep.Errorf(coldkeep.EINVALID, "Months: want 0 to %d.", mostMonths)
	case a.Born.Known() != a.BornTo.Known():
		return coldkeep.Errorf(coldkeep.EINVALID, "Born: want the first and the last birth date, or neither.")
	case a.Born > a.BornTo:
		return coldkeep.Errorf(coldkeep.EINVALID, "Born: the first birth date must not be after the last.")
	case a.Born.Known() && a.Ages != nil:
		return coldkeep.Errorf(coldkeep.EINVALID, "Ages: want ages or birth dates, not both.")
	}
	return nil
}

// zoneOf is where the day of an assessment ends: the practice's zone, and for the programme
// that of most of its practices.
func zoneOf(ctx context.Context, r Reader, site coldkeep.SiteID) (*time.Location, string, error) {
	name := "UTC"
	if site != "" {
		of, err := r.Site(ctx, site)
		if err != nil {
			return nil, "", err
		}
		name = of.TimeZone
	} else {
		sites, err := r.Sites(ctx)
		if err != nil {
			return nil, "", err
		}
		n := map[string]int{}
		for _, of := range sites {
			n[of.TimeZone]++
		}
		for zone := range n {
			if n[zone] > n[name] || n[zone] == n[name] && zone < name {
				name = zone
			}
		}
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC, "UTC", nil
	}
	return zone, name, nil
}

// run reads an assessment that by may read. One that is not by's to read is as if it were not
// there.
func (s *Service) run(ctx context.Context, r Reader, by auth.Principal, id string) (Run, error) {
	if err := by.Require(auth.ReadCoverage, by.Site); err != nil {
		return Run{}, err
	}
	run, err := r.CoverageRun(ctx, id)
	if err == nil && !by.May(auth.ReadCoverage, run.Site) {
		return Run{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no such assessment.")
	}
	return run, err
}

// Get gives an assessment and how far it is, without its counts. EFORBIDDEN, ENOTFOUND.
func (s *Service) Get(ctx context.Context, by auth.Principal, id string) (Run, error) {
	return s.run(ctx, s.store, by, id)
}

// List gives the latest assessments: of one's practice, or for the programme all of them.
// EFORBIDDEN.
func (s *Service) List(ctx context.Context, by auth.Principal) ([]Run, error) {
	if err := by.Require(auth.ReadCoverage, by.Site); err != nil {
		return nil, err
	}
	return s.store.CoverageRuns(ctx, by.Site, by.Site == "", mostRuns)
}

// Cancel ends an assessment that waits or goes on: that of one's practice, and those of all
// for who keeps the programme; for others of the programme their own. EFORBIDDEN, ENOTFOUND,
// ECONFLICT when it has ended.
func (s *Service) Cancel(ctx context.Context, by auth.Principal, id string) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		r, err := s.run(ctx, tx, by, id)
		if err != nil {
			return err
		}
		if by.Site == "" && r.ByID != by.ID && !by.May(auth.ManageProgramme, "") {
			return coldkeep.Errorf(coldkeep.EFORBIDDEN, "Somebody else has begun this assessment: they, or a state administrator, can cancel it.")
		}
		if err := tx.CancelCoverageRun(ctx, id, by.Name, s.clock.Now()); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "coverage.cancel", "coverage/"+id, "", ""))
	})
}

// Result is what an assessment has found, as far as who asks may know it.
type Result struct {
	Run
	Counts []Count // by day, the latest first, then by dimension, value and measure
	// Benchmarks are the programme's rates, by measure, beside those of a practice. One that
	// is not there has not been assessed for the same ages.
	Benchmarks map[string]Benchmark
	// Threshold is the smallest number of people that was told; 0: nothing was withheld.
	Threshold int64
	// Names is that by may see who lacks what.
	Names bool
}

// Result gives what a finished assessment has found. To who may not see patients, numbers of
// few people are Withheld. Every reading is in the trail. EFORBIDDEN, ENOTFOUND.
func (s *Service) Result(ctx context.Context, by auth.Principal, id string) (Result, error) {
	var out Result
	err := s.store.Tx(ctx, func(tx Tx) error {
		r, err := s.run(ctx, tx, by, id)
		if err != nil {
			return err
		}
		out = Result{Run: r, Benchmarks: map[string]Benchmark{}}
		if out.Counts, err = tx.CoverageCounts(ctx, id); err != nil {
			return err
		}
		least, err := smallest(ctx, tx)
		if err != nil {
			return err
		}
		if r.Site != "" {
			if err := benchmarks(ctx, tx, &out, least.N); err != nil {
				return err
			}
		}
		if by.May(auth.ViewPatients, r.Site) {
			out.Names = r.Site != "" && r.Asked.Basis == ByOwnership && r.State == Done
		} else {
			out.Threshold = least.N
			suppress(out.Counts, least.N)
		}
		return tx.Audit(ctx, s.entry(by, "coverage.read", "coverage/"+id, "", ""))
	})
	return out, err
}

// benchmarks adds the programme's rates of the same definitions for the same ages, from the
// latest assessment of the programme that has them. A rate of few people is none.
func benchmarks(ctx context.Context, r Reader, out *Result, least int64) error {
	runs, err := r.CoverageRuns(ctx, "", false, mostRuns)
	if err != nil {
		return err
	}
	for i := range runs {
		p := &runs[i]
		if p.State != Done || !sameAges(&p.Asked, &out.Asked) {
			continue
		}
		var counts []Count
		for k := range out.Asked.Measures {
			m := &out.Asked.Measures[k]
			same := p.Asked.Measure(m.ID)
			if _, has := out.Benchmarks[m.ID]; has || same == nil || same.Version != m.Version {
				continue
			}
			if counts == nil {
				if counts, err = r.CoverageCounts(ctx, p.ID); err != nil {
					return err
				}
			}
			for _, c := range counts {
				if c.Day == p.Day && c.Dim == All && c.Measure == m.ID && c.Part == "" && c.People >= least {
					b := Benchmark{Run: p.ID, Day: p.Day}
					b.Valid, _ = Rate(c.Valid, c.People)
					b.Counted, _ = Rate(c.Counted, c.People)
					out.Benchmarks[m.ID] = b
				}
			}
		}
	}
	return nil
}

func sameAges(a, b *Asked) bool {
	if (a.Ages == nil) != (b.Ages == nil) || a.Ages != nil && *a.Ages != *b.Ages {
		return false
	}
	return a.Born == b.Born && a.BornTo == b.BornTo
}

func smallest(ctx context.Context, r Reader) (Smallest, error) {
	v, err := r.CoverageSmallest(ctx)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return Smallest{N: smallestDefault, Why: "CMS' rule for who uses its data: no cell under 11"}, nil
	}
	return v, err
}

// Smallest gives the smallest number of people that is told to who may not see patients.
// EFORBIDDEN.
func (s *Service) Smallest(ctx context.Context, by auth.Principal) (Smallest, error) {
	if err := by.Require(auth.ReadCoverage, by.Site); err != nil {
		return Smallest{}, err
	}
	return smallest(ctx, s.store)
}

// SetSmallest changes it, with a reason. EFORBIDDEN when by may not manage the programme,
// EINVALID when it is not 5 to 1000 or there is no reason.
func (s *Service) SetSmallest(ctx context.Context, by auth.Principal, n int64, why string) error {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return err
	}
	// Under 5, two counts of a family tell who it is: no state goes lower.
	if n < 5 || n > 1000 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Smallest number: want 5 to 1000 people.")
	}
	if why = strings.TrimSpace(why); why == "" || len(why) > 500 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Reason: say why, in at most 500 characters.")
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		if err := tx.PutCoverageSmallest(ctx, Smallest{N: n, By: by.Name, At: s.clock.Now(), Why: why}); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "coverage.smallest", "coverage/", why, fmt.Sprintf("%d people", n)))
	})
}
