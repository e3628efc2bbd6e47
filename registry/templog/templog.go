// Package templog is the registry's temperature log: the sites and their
// appliances, which probe stood in which appliance when, the quarter-hour
// intervals, the excursions and the latest status that the collector posts. It
// owns the truth that the collector mirrors.
package templog

import (
	"context"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// Unit is an appliance as people look at it.
type Unit struct {
	coldkeep.Appliance
	Status     *coldkeep.ApplianceStatus // absent until the collector has posted one
	Since      *time.Time                // since when the status has its state
	ReceivedAt *time.Time
}

// State is the unit's state; a unit that nothing has come from yet has no data.
func (u Unit) State() coldkeep.State {
	if u.Status == nil {
		return coldkeep.StateNoData
	}
	return u.Status.State
}

// Reader reads what is kept. A missing row is ENOTFOUND.
type Reader interface {
	Site(ctx context.Context, id coldkeep.SiteID) (coldkeep.Site, error)
	Sites(ctx context.Context) ([]coldkeep.Site, error)
	Appliance(ctx context.Context, id coldkeep.ApplianceID) (coldkeep.Appliance, error)
	Appliances(ctx context.Context) ([]coldkeep.Appliance, error)
	Assignments(ctx context.Context) ([]coldkeep.Assignment, error)
	AllDevices(ctx context.Context) ([]coldkeep.Device, error)
	OnCalls(ctx context.Context) ([]coldkeep.OnCall, error)
	MirrorRevision(ctx context.Context) (int64, error)

	Units(ctx context.Context, site coldkeep.SiteID) ([]Unit, error)
	Unit(ctx context.Context, id coldkeep.ApplianceID) (Unit, error)
	Intervals(ctx context.Context, id coldkeep.ApplianceID, from, to time.Time) ([]coldkeep.Interval, error)
	Excursions(ctx context.Context, id coldkeep.ApplianceID, from, to time.Time, limit int) ([]coldkeep.Excursion, error)
	Excursion(ctx context.Context, id string) (coldkeep.Excursion, error)
	Revisions(ctx context.Context, id string) ([]coldkeep.Excursion, error)

	Contexts(ctx context.Context) ([]coldkeep.Context, error)
	ContextsOf(ctx context.Context, id coldkeep.ApplianceID) ([]coldkeep.Context, error)
	Context(ctx context.Context, id string) (coldkeep.Context, error)
	Certificates(ctx context.Context, site coldkeep.SiteID) ([]Certificate, error)
	StandingLots(ctx context.Context, id coldkeep.ApplianceID) (int, error)
	// LotsOnHold lists the lots that wait for a person, by appliance, lot and product.
	LotsOnHold(ctx context.Context) ([]coldkeep.LotOnHold, error)
}

// Tx is a transaction on it.
type Tx interface {
	Reader
	audit.Writer
	BumpMirror(ctx context.Context) (int64, error)
	LockAppliance(ctx context.Context, id coldkeep.ApplianceID) (coldkeep.Appliance, error)
	InsertSite(ctx context.Context, s coldkeep.Site) error           // ECONFLICT when the id is taken
	InsertAppliance(ctx context.Context, a coldkeep.Appliance) error // ECONFLICT when the id is taken
	SetInService(ctx context.Context, id coldkeep.ApplianceID, in bool) error
	InsertAssignment(ctx context.Context, a coldkeep.Assignment) error
	EndAssignment(ctx context.Context, a coldkeep.Assignment, to time.Time) error
	PutOnCall(ctx context.Context, o coldkeep.OnCall) error
	SetProfile(ctx context.Context, id coldkeep.ApplianceID, profile string) error
	SetLimits(ctx context.Context, id coldkeep.ApplianceID, l *coldkeep.Limits) error
	InsertContext(ctx context.Context, c coldkeep.Context, at time.Time) error
	EndContext(ctx context.Context, id string, to time.Time) error // ECONFLICT when it has ended
	InsertCertificate(ctx context.Context, c Certificate) error

	// PutInterval and PutExcursion add a revision and report whether it is new; one
	// that is there already with other content is ECONFLICT.
	PutInterval(ctx context.Context, i coldkeep.Interval, at time.Time) (bool, error)
	PutExcursion(ctx context.Context, x coldkeep.Excursion, at time.Time) (bool, error)
	PutStatus(ctx context.Context, s coldkeep.ApplianceStatus, since, at time.Time) error
}

// Store keeps it.
type Store interface {
	Reader
	Tx(ctx context.Context, do func(Tx) error) error
	// MirrorChanged returns a channel that is closed when a transaction of this
	// process has changed the mirror.
	MirrorChanged() <-chan struct{}
}

// Service is the temperature log.
type Service struct {
	store Store
	clock coldkeep.Clock
}

// New returns the service.
func New(store Store, clock coldkeep.Clock) *Service { return &Service{store: store, clock: clock} }

// otherServers is how often a waiting mirror call looks for changes that another
// registry server on the same database has made.
const otherServers = 2 * time.Second

// Mirror returns what the collector mirrors. While the revision is still since it
// waits, at most for wait, and then returns what there is. EFORBIDDEN when by may
// not collect.
func (s *Service) Mirror(ctx context.Context, by auth.Principal, since int64, wait time.Duration) (*coldkeep.Mirror, error) {
	if err := by.Require(auth.Collect, ""); err != nil {
		return nil, err
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	look := time.NewTicker(otherServers)
	defer look.Stop()
	for over := wait <= 0; !over; {
		changed := s.store.MirrorChanged() // before the look, so that no change falls between
		rev, err := s.store.MirrorRevision(ctx)
		if err != nil {
			return nil, err
		}
		if rev != since {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout.C:
			over = true
		case <-changed:
		case <-look.C:
		}
	}
	return s.mirror(ctx)
}

func (s *Service) mirror(ctx context.Context) (*coldkeep.Mirror, error) {
	// The revision first: what is read after it is at least as new, and a newer one
	// only makes the collector ask again.
	var m coldkeep.Mirror
	var err error
	if m.Revision, err = s.store.MirrorRevision(ctx); err != nil {
		return nil, err
	}
	if m.Sites, err = s.store.Sites(ctx); err != nil {
		return nil, err
	}
	if m.Appliances, err = s.store.Appliances(ctx); err != nil {
		return nil, err
	}
	if m.Assignments, err = s.store.Assignments(ctx); err != nil {
		return nil, err
	}
	if m.Devices, err = s.store.AllDevices(ctx); err != nil {
		return nil, err
	}
	if m.OnCall, err = s.store.OnCalls(ctx); err != nil {
		return nil, err
	}
	if m.Contexts, err = s.store.Contexts(ctx); err != nil {
		return nil, err
	}
	if m.LotsOnHold, err = s.store.LotsOnHold(ctx); err != nil {
		return nil, err
	}
	all, err := s.store.Certificates(ctx, "")
	if err != nil {
		return nil, err
	}
	m.Calibrations = inForce(all)
	return &m, nil
}

// Sites lists the sites that by may see.
func (s *Service) Sites(ctx context.Context, by auth.Principal) ([]coldkeep.Site, error) {
	if err := by.Require(auth.View, by.Site); err != nil {
		return nil, err
	}
	if by.Site == "" {
		return s.store.Sites(ctx)
	}
	site, err := s.store.Site(ctx, by.Site)
	if err != nil {
		return nil, err
	}
	return []coldkeep.Site{site}, nil
}

// Units lists the units that by may see, by site and name.
func (s *Service) Units(ctx context.Context, by auth.Principal) ([]Unit, error) {
	if err := by.Require(auth.View, by.Site); err != nil {
		return nil, err
	}
	return s.store.Units(ctx, by.Site)
}

// Unit returns one unit and its site. ENOTFOUND when there is none that by may
// see: whether another site has it is not told.
func (s *Service) Unit(ctx context.Context, by auth.Principal, id coldkeep.ApplianceID) (Unit, coldkeep.Site, error) {
	u, err := s.store.Unit(ctx, id)
	if err != nil {
		return Unit{}, coldkeep.Site{}, err
	}
	if !by.May(auth.View, u.Site) {
		return Unit{}, coldkeep.Site{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no unit %q.", id)
	}
	site, err := s.store.Site(ctx, u.Site)
	return u, site, err
}

// Intervals lists the latest revisions of a unit's intervals that begin in
// [from, to), newest first. Errors as Unit.
func (s *Service) Intervals(ctx context.Context, by auth.Principal, id coldkeep.ApplianceID, from, to time.Time) ([]coldkeep.Interval, error) {
	if _, _, err := s.Unit(ctx, by, id); err != nil {
		return nil, err
	}
	return s.store.Intervals(ctx, id, from, to)
}

// Excursions lists the latest revisions of a unit's excursions that touch
// [from, to), newest first, at most limit. Errors as Unit.
func (s *Service) Excursions(ctx context.Context, by auth.Principal, id coldkeep.ApplianceID, from, to time.Time, limit int) ([]coldkeep.Excursion, error) {
	if _, _, err := s.Unit(ctx, by, id); err != nil {
		return nil, err
	}
	return s.store.Excursions(ctx, id, from, to, limit)
}

// Revisions lists every revision of an excursion, the first first. Errors as
// Excursion.
func (s *Service) Revisions(ctx context.Context, by auth.Principal, id string) ([]coldkeep.Excursion, error) {
	if _, err := s.Excursion(ctx, by, id); err != nil {
		return nil, err
	}
	return s.store.Revisions(ctx, id)
}

// Assignments lists which probes stood in a unit, the latest first. Errors as Unit.
func (s *Service) Assignments(ctx context.Context, by auth.Principal, id coldkeep.ApplianceID) ([]coldkeep.Assignment, error) {
	if _, _, err := s.Unit(ctx, by, id); err != nil {
		return nil, err
	}
	all, err := s.store.Assignments(ctx)
	if err != nil {
		return nil, err
	}
	var out []coldkeep.Assignment
	for _, a := range all {
		if a.Appliance == id {
			out = append(out, a)
		}
	}
	return out, nil
}

// OnCalls returns whom the alarms of the sites call that by may see, by site. A site
// that has not said is absent.
func (s *Service) OnCalls(ctx context.Context, by auth.Principal) (map[coldkeep.SiteID]coldkeep.OnCall, error) {
	if err := by.Require(auth.View, by.Site); err != nil {
		return nil, err
	}
	all, err := s.store.OnCalls(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[coldkeep.SiteID]coldkeep.OnCall, len(all))
	for _, o := range all {
		if by.May(auth.View, o.Site) {
			out[o.Site] = o
		}
	}
	return out, nil
}

// OnCall returns whom a site's alarms call. EFORBIDDEN when by may not see the site.
func (s *Service) OnCall(ctx context.Context, by auth.Principal, site coldkeep.SiteID) (coldkeep.OnCall, error) {
	if err := by.Require(auth.View, site); err != nil {
		return coldkeep.OnCall{}, err
	}
	all, err := s.store.OnCalls(ctx)
	if err != nil {
		return coldkeep.OnCall{}, err
	}
	for _, o := range all {
		if o.Site == site {
			return o, nil
		}
	}
	return coldkeep.OnCall{Site: site, RepeatAfter: defaultRepeat}, nil
}

// Excursion returns the latest revision of an excursion. ENOTFOUND when there is
// none that by may see.
func (s *Service) Excursion(ctx context.Context, by auth.Principal, id string) (coldkeep.Excursion, error) {
	x, err := s.store.Excursion(ctx, id)
	if err == nil && !by.May(auth.View, x.Site) {
		return coldkeep.Excursion{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no excursion %q.", id)
	}
	return x, err
}
